/* reload.h - whether one config may take the place of another while units have arms.
 *
 * A unit that has met an arm must keep it as long as the experiment keeps its seed:
 * a changed weight, a lower coverage, another layer range would move it, and what it
 * did before would be counted for the wrong arm. Raising the coverage, widening a range
 * and lowering a holdout move nobody; nor does a change of status or time, which stops
 * the experiment for everybody at once. An experiment that was a draft has no units.
 */
#ifndef EXPERIMENT_RELOAD_H
#define EXPERIMENT_RELOAD_H

#include "experiment/config.h"

#define RELOAD_BUCKETS 10000

/* How many of 10,000 buckets of units would not keep the arm that `before` gives them
 * under `after`, the same experiment later. Layer, namespace and holdout count as
 * independent of the arms, which their hashes are; anything above 0 is at least 1.
 * Forced units and audiences do not count. Safe to call from several threads. */
int reload_count_moved(const struct config *before, int index_before,
                       const struct config *after, int index_after);

/* Adds an error for a change of [server] or [log], which a running server cannot take
 * up, and, at its line in `after`, for each experiment of both configs that keeps
 * its seed and would move units; an experiment whose audience changed from one
 * condition to another counts too, since nobody can say whom that moves. Returns 0, or
 * -1 with ERROR_INVALID (the first of them) or ERROR_NOMEM. `name` is the file's, for
 * the message. */
MUST_CHECK int reload_check(const struct config *before, const struct config *after,
                            const char *name, struct config_problems *problems,
                            struct error *error);

#endif
