/* join_state.h - what the join keeps while it reads: private to join.c and
 * join_table.c.
 */
#ifndef STATS_JOIN_STATE_H
#define STATS_JOIN_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/id_map.h"
#include "stats/analysis_spec.h"
#include "stats/evidence.h"
#include "stats/exact_sum.h"
#include "stats/id_seen.h"
#include "stats/join.h"

#define JOIN_ARM_NONE      (-1)      /* never exposed to this experiment */
#define JOIN_ARM_CROSSOVER (-2)      /* seen in two arms */
#define JOIN_ARM_FORCED    (-3)      /* forced into an arm at least once */
#define JOIN_MAX_VALUES    (4 << 20) /* single values kept for one quantile metric */

/* One unit in one experiment. */
struct join_unit {
    int64_t first_ts_us;
    int16_t arm; /* index into join_experiment.arms, or JOIN_ARM_* */
    int16_t config;
    uint32_t n_exposures;
    uint32_t n_feedback;
};

/* One metric of one unit. */
struct join_value {
    exact_sum sum;    /* inside the window */
    exact_sum before; /* before the first exposure */
    uint32_t days;
    bool has_before;
};

struct join_single {
    int32_t unit;
    double value;
};

struct join_metric {
    struct join_value *values;   /* (n_units) */
    exact_sum *denominators;     /* (n_units) for ratios */
    struct join_single *singles; /* for quantiles */
    size_t n_singles, single_capacity;
    int sample_shift; /* units whose hash ends in so many 0 bits are kept */
};

/* An experiment as exposures name it. */
struct join_experiment {
    struct id_map *arms;
    struct join_unit
        *units; /* (n_units) of the join, but perhaps fewer: see capacity */
    int32_t capacity;
    const struct analysis_experiment *spec; /* NULL when nobody asks for it */
    struct join_metric *metrics;            /* (spec->n_metrics) */
    int64_t n_early, n_late;
};

/* What one event name feeds. */
struct join_target {
    int experiment, metric;
    bool is_denominator;
};
struct join_targets {
    struct join_target *items;
    int n;
};

struct join {
    struct arena arena;
    char *path;
    struct evidence evidence;
    struct id_seen *seen;
    struct id_map *users;
    uint64_t *user_hash; /* (count of users), made for the second reading */
    struct id_map *experiment_names;
    struct join_experiment *experiments; /* by index of experiment_names */
    int n_experiments;
    struct id_map *config_hashes;
    struct join_config *configs; /* by index of config_hashes */
    int config_capacity, last_config;
    int *config_order; /* newest first */
    const struct analysis_spec *spec;
    int *spec_experiment; /* (spec->n_experiments) index into experiments, or -1 */
    struct id_map *event_names;
    struct join_targets *targets;                      /* by index of event_names */
    int target_exposure, target_latency, target_items; /* index into targets, or -1 */
    struct join_repeat *repeats;                       /* by id_seen_repeated */
    struct error *error;                               /* of the reading under way */
};

#endif
