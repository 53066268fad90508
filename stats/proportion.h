/* proportion.h - compare a binary metric (click-through, conversion) between two arms.
 *
 * The observation must be the unit that was randomized, i.e. one trial per user.
 * Counting impressions as trials treats correlated views as independent and understates
 * the variance; use ratio.h (delta method) for per-impression rates.
 *
 * Test:     pooled two-sample z-test of H0: p_treatment = p_control,
 *           z = (p_t - p_c) / sqrt(p q (1/n_c + 1/n_t)), p = all successes / all
 * trials. Unpooled on request: z = (p_t - p_c) / sqrt(p_c q_c/n_c + p_t q_t/n_t).
 * Interval: Newcombe's hybrid score interval, which keeps its coverage at the small
 *           rates typical of clicks, where the Wald interval does not. Others:
 *           proportion_interval.h.
 * Source:   R. G. Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10.
 *
 * The normal approximation of the test wants about five successes and five failures an
 * arm; below that use exact.h. Test and interval need not agree at the boundary: the
 * test pools the variance, the interval cannot. Report both; decide on p_value.
 */
#ifndef STATS_PROPORTION_H
#define STATS_PROPORTION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "stats/tail.h"

struct proportion_sample {
    uint64_t n_successes; /* units with the event; <= n_trials */
    uint64_t n_trials;    /* units assigned to the arm and exposed; > 0 */
};

struct proportion_result {
    double control;     /* rate in [0, 1] */
    double treatment;   /* rate in [0, 1] */
    double effect_size; /* treatment - control, absolute, in [-1, 1] */
    double ci_lower;    /* bounds of effect_size at the requested level */
    double ci_upper;
    double rel_effect_size; /* effect_size / control; NAN when control is 0 */
    bool is_testable;       /* false: every unit of both arms had the same outcome */
    double statistic;       /* z; NAN when not testable */
    double p_value;         /* two-sided; NAN when not testable */
    double log10_p_value;   /* base-10 logarithm of p_value; NAN when not testable */
};

/* A z statistic and its p-value under an alternative; proportion_z_test's answer. */
struct proportion_z {
    bool is_testable;
    double statistic;      /* NAN when not testable */
    double standard_error; /* of the difference, as the test estimates it */
    struct tail_p p;       /* NAN when not testable */
};

/* Compare treatment with control at `confidence_level` in (0, 1), e.g. 0.95.
 *
 * Allocates nothing; safe to call from several threads.
 * Returns 0 and fills every field of *result, or returns -1 with ERROR_INVALID when a
 * sample is empty, has more successes than trials, or the level is outside (0, 1);
 * *result is then untouched. */
MUST_CHECK int proportion_compare(const struct proportion_sample *control,
                                  const struct proportion_sample *treatment,
                                  double confidence_level,
                                  struct proportion_result *result,
                                  struct error *error);

/* The z-test alone: pooled or unpooled variance, any alternative. Errors as above. */
MUST_CHECK int proportion_z_test(const struct proportion_sample *control,
                                 const struct proportion_sample *treatment,
                                 bool is_pooled, enum alternative alternative,
                                 struct proportion_z *result, struct error *error);

/* 0, or -1 with ERROR_INVALID when a sample is empty or has more successes than trials.
 * For the files that share these samples. */
MUST_CHECK int proportion_check(const struct proportion_sample *control,
                                const struct proportion_sample *treatment,
                                struct error *error);

#endif
