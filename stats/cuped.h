/* cuped.h - less variance from what was known of the units before the experiment.
 *
 * Each unit's metric y is replaced by y - theta'(x - mean(x)), x its covariates from
 * before its first exposure (past activity; CUPAC: the model's predicted affinity).
 * Randomization makes the expected difference of x between arms 0, so the effect is
 * unchanged and the variance falls by the share that x explains: effect = (m_t - m_c) -
 * theta'(x_t - x_c),  theta = S_xx^-1 S_xy with S the within-arm sums of squares and
 * products of both arms together, one theta for both. The effect equals the coefficient
 * of the arm in a linear regression on arm and covariates; the standard error is
 * Welch's, of the adjusted values in each arm, so it does not assume equal variances.
 * Source: A. Deng, Y. Xu, R. Kohavi & T. Walker, CUPED, WSDM 2013, equations 3-5.
 * Covariates that are combinations of earlier ones are left out and counted.
 *
 * Wrong, and badly, when a covariate could have been changed by the treatment.
 *
 * Post-stratification, for categories instead of numbers, is poststratification.h.
 */
#ifndef STATS_CUPED_H
#define STATS_CUPED_H

#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"

#define CUPED_MAX_COVARIATES 16

/* Running means and sums of products of (y, x_1 .. x_k) over an arm's units, which can
 * be added up. Zero it, then set n_covariates. */
struct cuped_sum {
    int n_covariates; /* 0 to CUPED_MAX_COVARIATES */
    uint64_t n_units;
    double mean[CUPED_MAX_COVARIATES + 1]; /* y first */
    /* sums of products of deviations, lower triangle used */
    double products[CUPED_MAX_COVARIATES + 1][CUPED_MAX_COVARIATES + 1];
};

/* Adds a unit: its metric and n_covariates covariates. */
void cuped_sum_add(struct cuped_sum *sum, double y, const double *x);
void cuped_sum_merge(struct cuped_sum *sum, const struct cuped_sum *other);

struct cuped_result {
    struct effect raw; /* without the covariates */
    /* with them; its control and treatment are adjusted means */
    struct effect adjusted;
    struct estimate control; /* the adjusted arms, for lift.h and noninferiority.h */
    struct estimate treatment;
    double theta[CUPED_MAX_COVARIATES]; /* 0 for those left out */
    int n_left_out;            /* covariates that are constant or combinations */
    double variance_reduction; /* 1 - variance of the adjusted effect / of the raw; may
                                  be a little below 0; NAN when not testable */
};

/* Fails with ERROR_INVALID when the arms have different numbers of covariates, an arm
 * has no unit, or the level is outside (0, 1). Thread-safe. */
MUST_CHECK int cuped_compare(const struct cuped_sum *control,
                             const struct cuped_sum *treatment, double level,
                             enum alternative alternative, struct cuped_result *result,
                             struct error *error);

#endif
