/* bootstrap.h - an interval for any statistic of two arms, by resampling their units.
 *
 * Each replicate draws as many units as the arm has, with replacement and whole (a
 * unit's events stay together, so clusters need no formula). The interval is BCa:
 * percentiles of the replicates, shifted for bias (z0) and for a standard error that
 * changes with the value (a, from the jackknife over both arms). Source: B. Efron, JASA
 * 82 (1987) 171-185; B. Efron & R. Tibshirani, An Introduction to the Bootstrap (1993),
 * chapter 14.
 *
 * Wrong with few units (below some 20 an arm no bootstrap knows the tails), and for
 * statistics that hang on single units, such as a maximum. Arms above JACKKNIFE_GROUPS
 * units are jackknifed by that many groups: a full jackknife would cost n^2.
 *
 * Replicate r uses random stream r of the seed, so the same seed gives the same
 * interval whatever order or thread computes it.
 */
#ifndef STATS_BOOTSTRAP_H
#define STATS_BOOTSTRAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "stats/tail.h"

#define BOOTSTRAP_JACKKNIFE_GROUPS 500

/* An arm, opaque here: `value` says what is computed of it. */
struct bootstrap_arm {
    const void *data;
    int64_t n_units; /* >= 1 */
};

struct bootstrap_config {
    /* The statistic of the arm's units at `units` (n_units of them, indices into the
     * arm, with repetition). `scratch` has room for the arm's n_units doubles. May
     * return NAN (say, an empty denominator): the replicate is then left out and
     * counted. */
    double (*value)(const void *data, const int64_t *units, int64_t n_units,
                    double *scratch);
    bool is_relative; /* the effect is treatment / control - 1, not the difference */
    int n_replicates; /* 100 to 1,000,000; 10,000 settles the second digit of a bound */
    uint64_t seed;
    double level; /* in (0, 1) */
    enum alternative alternative;
};

/* 10,000 replicates, seed 1, 95 %, two-sided, difference; value NULL. */
struct bootstrap_config bootstrap_config_default(void);

struct bootstrap_result {
    double control; /* the statistic of each arm as it is */
    double treatment;
    double effect_size; /* the difference, or the lift if is_relative */
    double ci_lower;    /* infinite where one-sided; NAN when not testable */
    double ci_upper;
    double standard_error; /* standard deviation of the replicates */
    double bias;           /* their mean less effect_size */
    double z0;             /* bias correction */
    double acceleration;
    double p_value; /* the interval inverted at no effect; at least 1 / n_replicates */
    int n_failed;   /* replicates that gave NAN */
    bool is_testable; /* false: replicates do not vary, or all lie on one side */
};

/* Fails with ERROR_INVALID (an empty arm, a config out of range) or ERROR_NOMEM.
 * Thread-safe if config->value is. */
MUST_CHECK int bootstrap_bca(const struct bootstrap_arm *control,
                             const struct bootstrap_arm *treatment,
                             const struct bootstrap_config *config,
                             struct bootstrap_result *result, struct error *error);

/* An arm as two numbers a unit, for the ready-made statistics below. */
struct bootstrap_units {
    const double *x;
    const double *y; /* bootstrap_ratio's denominator; NULL otherwise */
    double share; /* bootstrap_quantile's in (0, 1), bootstrap_trimmed's in [0, 0.5) */
};

/* An arm as events of units, for the quantile of all its events. */
struct bootstrap_events {
    const double *values; /* (n_values) ascending */
    const int32_t *units; /* (n_values) index of the unit in [0, n_units) */
    int64_t n_values, n_units;
    double share; /* in (0, 1) */
};

/* The quantile (type 7) of the events of the units drawn; a unit drawn twice brings its
 * events twice. O(n_values). */
double bootstrap_clustered(const void *data, const int64_t *units, int64_t n_units,
                           double *scratch);

/* mean(x), sum(x) / sum(y), the quantile of x (type 7), the trimmed mean of x. */
double bootstrap_mean(const void *data, const int64_t *units, int64_t n_units,
                      double *scratch);
double bootstrap_ratio(const void *data, const int64_t *units, int64_t n_units,
                       double *scratch);
double bootstrap_quantile(const void *data, const int64_t *units, int64_t n_units,
                          double *scratch);
double bootstrap_trimmed(const void *data, const int64_t *units, int64_t n_units,
                         double *scratch);

#endif
