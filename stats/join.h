/* join.h - from logged events to one row per unit.
 *
 * The unit is the user. Its arm is the arm of its first exposure by time; a unit seen
 * in two arms of an experiment is left out and counted. Feedback counts inside the
 * metric's window after that exposure. Events with the same id count once; where their
 * contents differ, the earliest does. Nothing depends on the order of lines or files.
 *
 * What counts depends on a first exposure that may stand in a later file, so values are
 * counted in a second pass: over an extract that the first one keeps of every event
 * (some ten bytes each, in a temporary file when they are many), or over the log again
 * where the extract does not do. So memory grows with units (about 100 bytes each, and
 * 48 bytes a metric) and not with events.
 */
#ifndef STATS_JOIN_H
#define STATS_JOIN_H

#include <stdbool.h>

#include "common/error.h"
#include "common/slice.h"
#include "stats/analysis_spec.h"
#include "stats/evidence.h"
#include "stats/unit_table.h"

struct join;

/* A config as the log holds it. */
struct join_config {
    struct slice hash;
    struct slice text;    /* empty when only exposures name it and its event is lost */
    int64_t first_ts_us;  /* of its events */
    int64_t newest_ts_us; /* the newest decides which config is in force */
    struct analysis_model *models; /* (n_models) that its events name, each once, by
                                      name and hash; more than one of a name where a
                                      file was replaced */
    int n_models;
};

/* First reading of `path`, a directory or one segment, by n_threads >= 1 threads (the
 * result is the same with any number). Damage is not a failure: see join_evidence.
 * Fails with what log_read fails with; the caller frees *join. */
MUST_CHECK int join_open(const char *path, int n_threads, struct join **join,
                         struct error *error);
void join_free(struct join *join);

/* As join_open, but goes on from the state that stands in the file `state`, if it is
 * there, and reads only what is new; join_measure writes the state anew. The results
 * are those of a full reading, to the bit: where a state cannot give them (it is
 * damaged, the log is not the one it was made of, an event came in that changes what
 * was counted before), join_stale says why, and the log is to be opened again with
 * is_fresh, which does not look at the old state. A state keeps users who were not
 * exposed, too.
 *
 * Also fails with ERROR_INVALID when the file is not a state, so that it is not
 * overwritten. */
struct join_state_options {
    const char *file; /* borrowed until join_free */
    bool is_fresh;
};
MUST_CHECK int join_open_state(const char *path, const struct join_state_options *state,
                               int n_threads, struct join **join, struct error *error);

/* Why the state cannot be gone on from; NULL when it can. Told by join_open_state,
 * which then returns a join for nothing but this and join_free, and by a join_measure
 * that fails. */
const char *join_stale(const struct join *join);

/* Configs in the log, the newest first (ties by hash). Valid until join_free. */
int join_n_configs(const struct join *join);
const struct join_config *join_config(const struct join *join, int index);

/* Before join_measure: count which items were shown, too. Reading lists makes it
 * slower. */
void join_want_items(struct join *join);

/* Second reading: the values of every metric of `spec`, which must outlive the join. */
MUST_CHECK int join_measure(struct join *join, const struct analysis_spec *spec,
                            struct error *error);

/* Complete after join_measure. */
const struct evidence *join_evidence(const struct join *join);

/* The rows of one experiment of the measured spec. The ids in the table point into the
 * join. The values move: the join gives back the memory of what the table has taken, so
 * there is one table of an experiment. The caller releases it with unit_table_free.
 * Fails with ERROR_NOMEM, or ERROR_INVALID the second time. */
MUST_CHECK int join_table(struct join *join, int experiment, struct unit_table *table,
                          struct error *error);

/* The arm that each unit of `table` (rows of `experiment`) has in another experiment of
 * the measured spec, for looking at two that ran at once: group (n_units) is filled
 * with indices of that experiment's arms, -1 where the unit is in none or in two. */
void join_other_arms(const struct join *join, int other, const struct unit_table *table,
                     int *group);

/* What exposures said of their users. Every different thing that was said, all
 * attributes of an exposure together, is a set; sets are in no order that means
 * anything. */
enum join_attribute_type {
    JOIN_ATTRIBUTE_STRING,
    JOIN_ATTRIBUTE_NUMBER,
    JOIN_ATTRIBUTE_BOOLEAN,
};
struct join_attribute {
    enum join_attribute_type type;
    struct slice text; /* of a string; valid until join_free */
    double number;     /* of a number; of a boolean 0 or 1 */
};
int join_n_attribute_sets(const struct join *join);

/* The attribute called `name` in a set; false when it is not in it. */
bool join_attribute(const struct join *join, int set, struct slice name,
                    struct join_attribute *attribute);

/* The set of each unit of `table` (rows of `experiment` of the measured spec) at its
 * first exposure, -1 where nothing was said: set (n_units) is filled. */
void join_unit_attributes(const struct join *join, int experiment,
                          const struct unit_table *table, int *set);

#endif
