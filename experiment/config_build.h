/* config_build.h - the steps from scanned sections to a checked config.
 *
 * Private to experiment/.
 */
#ifndef EXPERIMENT_CONFIG_BUILD_H
#define EXPERIMENT_CONFIG_BUILD_H

#include "experiment/config.h"
#include "experiment/config_keys.h"
#include "experiment/ini_scan.h"
#include "experiment/problems.h"

struct builder {
    struct config *config;
    const char *directory; /* before relative paths; "" for none */
    struct problem_list *problems;
};

/* Makes the objects of all sections, then fills them key by key, so that a key may name
 * what stands further down. */
void config_build(struct builder *builder, const struct ini_file *file);

/* Reads the value of one entry into `object`, the struct of its section. */
void config_apply_key(struct builder *builder, const struct config_key *key,
                      const struct ini_entry *entry, void *object);

/* One line of [attributes]: NAME = TYPE, of a number perhaps with its cut points. */
void config_add_attribute(struct builder *builder, const struct ini_entry *entry);

/* Marks the attributes that go into the log, when all sections are read. */
void config_choose_logged(struct builder *builder);

/* An audience that the log cannot be held against. */
void config_warn_of_logged(const struct config *config, struct problem_list *problems);

/* One line of [force EXPERIMENT]: UNIT = ARM, the unit percent-encoded where INI would
 * take a character for its own. */
void config_add_forced(struct builder *builder, const struct ini_entry *entry,
                       struct experiment *experiment);

/* What can only be seen of the whole: sums, conflicts, missing parts. */
void config_check(const struct config *config, struct problem_list *problems);

/* What is legal but unwise. */
void config_warn(const struct config *config, struct problem_list *problems);

/* Warnings that depend on the day: an experiment that is over but said to be running.
 */
void config_warn_at(const struct config *config, int64_t now_us,
                    struct problem_list *problems);

/* Whether no unit can be in both at one time. */
bool config_is_disjoint(const struct experiment *a, const struct experiment *b);

#endif
