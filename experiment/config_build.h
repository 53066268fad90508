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

/* What can only be seen of the whole: sums, conflicts, missing parts. */
void config_check(const struct config *config, struct problem_list *problems);

#endif
