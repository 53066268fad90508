/* power.h - how many units, what power, what smallest effect: planning a test.
 *
 * For n control and k n treatment units, effect d, variances V0 under the null and V1
 * under the effect of sqrt(n) times the estimated difference:
 *     power = Phi((|d| sqrt n - z sqrt V0) / sqrt V1)  (+ the other tail, two-sided)
 *     n     = (z_alpha sqrt V0 + z_power sqrt V1)^2 / d^2
 *
 *   proportions  V0 = p q (1 + 1/k), p = (p_c + k p_t)/(1 + k): the pooled z-test;
 *                V1 = p_c q_c + p_t q_t / k. J. Fleiss, Statistical Methods for Rates
 * and Proportions (2003), 4.3 (without continuity correction). means        Student's t
 * with n(1 + k) - 2 degrees of freedom and its noncentral distribution when both arms
 * vary alike (J. Cohen, Statistical Power Analysis (1988), 2.2), integrated
 * numerically; the normal formula with V0 = V1 = v_c + v_t / k when they do not. ratios
 * the normal formula; a unit's variance is that of the delta method, (v_x - 2 R cov +
 * R^2 v_y) / mean_y^2.
 *
 * Wrong when the baseline or the variance is (take them from the past of the same
 * metric), or when the experiment is stopped at what it shows.
 */
#ifndef STATS_POWER_H
#define STATS_POWER_H

#include <stdint.h>

#include "common/error.h"
#include "stats/tail.h"

enum power_metric {
    POWER_PROPORTION,
    POWER_MEAN,
    POWER_RATIO,
};

/* The name of the formula: "pooled z-test of two proportions, normal", ... */
const char *power_formula_name(enum power_metric metric, double sd_treatment,
                               double sd_control);

struct power_plan {
    enum power_metric metric;
    double baseline;     /* the control's rate in (0, 1), mean, or ratio */
    double sd_control;   /* > 0, of a unit's value; unused for proportions */
    double sd_treatment; /* > 0; set to sd_control when alike */
    double alpha;        /* in (0, 0.5] */
    enum alternative alternative;
    double allocation; /* k: treatment units per control unit, > 0; 1 when equal */
};

/* Variance of a unit's contribution to the ratio of sums, for sd_control and
 * sd_treatment of POWER_RATIO: its square root. `correlation` of numerator and
 * denominator in [-1, 1]. NAN when mean_y is not above 0. */
double power_ratio_sd(double mean_x, double sd_x, double mean_y, double sd_y,
                      double correlation);

/* Power to detect the absolute effect `effect` with n_control (>= 2) control units. */
MUST_CHECK int power_of(const struct power_plan *plan, double effect, double n_control,
                        double *power, struct error *error);

/* Control units (a whole number, at least 2) for `power` in (alpha, 1). The treatment
 * arm needs ceil(allocation times that). */
MUST_CHECK int power_sample_size(const struct power_plan *plan, double effect,
                                 double power, double *n_control, struct error *error);

/* The smallest absolute effect toward the alternative (two-sided: upward) that has
 * `power`. Fails with ERROR_NUMERIC when no effect within the metric's range has. */
MUST_CHECK int power_detectable(const struct power_plan *plan, double n_control,
                                double power, double *effect, struct error *error);

/* All of them fail with ERROR_INVALID for values out of range, naming the value. */

/* Whole days until n_units are there, at units_per_day > 0 new units: at least 1. */
double power_days(double n_units, double units_per_day);

#endif
