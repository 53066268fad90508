/* unit_table.h - one experiment as statistics see it: a row per unit, a column per
 * metric.
 *
 * Rows are in canonical order (by hash of the unit's id, then by the id), whatever the
 * order of lines and files was, so that every sum over them gives the same bits. Only
 * units that count are rows: exposed, in one arm only, an arm that the config knows.
 */
#ifndef STATS_UNIT_TABLE_H
#define STATS_UNIT_TABLE_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"
#include "stats/lists.h"

#define UNIT_DAYS 32 /* days after the first exposure that are told apart */

struct unit_metric {
    double *value;       /* (n_units) inside the window: sum of values, or count */
    double *denominator; /* (n_units) for ratios, else NULL */
    double *before;      /* (n_units) the same before the first exposure; NULL when no
                            unit has any: the covariate of CUPED */
    uint32_t *days;      /* (n_units) bit d: an event on day d since the first exposure,
                            inside      the window; bit 31 gathers the rest */
    /* ANALYSIS_QUANTILE: the single values, in order of unit, ascending in a unit */
    int32_t *cluster; /* (n_values) row of the unit */
    double *values;   /* (n_values) */
    int64_t n_values;
    int sampled_1_in; /* values of one unit in so many are here, by hash; 1: all */
};

/* Numbers known of the units before the experiment: from a file or from a model. */
struct unit_covariates {
    int n;
    const char **names; /* (n) */
    double **values;    /* (n) of (n_units); NAN where a unit is not known */
};

/* Groups of units known before the experiment. */
struct unit_segments {
    const char *name;    /* "activity before", a column's name */
    int n;               /* groups */
    const char **groups; /* (n) names */
    int *group;          /* (n_units) index, -1: in none */
    bool is_experiment;  /* the arms of another experiment: no strata to adjust by */
};

/* What the lists were like, for whoever asks. Of many lists, those of one unit in so
 * many are here, by hash; 1: all. */
struct unit_lists {
    struct item_counts items;
    struct shown_item *shown; /* (n_shown) by unit, item, request, position */
    int64_t n_shown;
    int shown_1_in;
    struct unit_metric latency; /* cluster, values and sampled_1_in only: microseconds
                                   it took to answer */
};

struct unit_table {
    int n_units;
    struct slice *id;      /* (n_units) */
    uint64_t *hash;        /* (n_units) of the id, ascending */
    int16_t *arm;          /* (n_units) index of the arm */
    int16_t *config;       /* (n_units) config of the first exposure: index into
                              analysis_experiment.weights, or -1 */
    int64_t *first_ts_us;  /* (n_units) first exposure */
    uint32_t *n_exposures; /* (n_units) */
    uint32_t *n_feedback;  /* (n_units) events of any kind after the first exposure */
    struct unit_metric *metrics; /* (n_metrics) */
    int n_metrics;
    /* Borrowed from whoever adds them; n = 0 without any. */
    struct unit_covariates covariates;
    const struct unit_segments *segments; /* (n_segments) */
    int n_segments;
    struct unit_lists lists;
    /* what was left out, and why */
    int64_t n_crossover;   /* units exposed to two arms */
    int64_t n_forced;      /* units forced into an arm, by [force] in the config */
    int64_t n_unknown_arm; /* units exposed to an arm the config does not have */
    /* Feedback that feeds a metric, each event once: before its unit's first exposure;
       after every window that it could count in. Of units that are left out, too. */
    int64_t n_feedback_early, n_feedback_late;
    int64_t first_ts_us_min, last_ts_us; /* first exposure of all, last event of all */
};

void unit_table_free(struct unit_table *table); /* leaves an empty table */

#endif
