/* ratio.h - compare a ratio of two per-unit sums (clicks per impression, minutes per
 * session), where the unit randomized is the user and the denominator is random too.
 *
 * R = sum(x) / sum(y) over the arm's units. Dividing by the number of impressions as
 * though they were independent understates the variance; the delta method with the
 * units as clusters does not: var(R) = (v_x - 2 R cov_xy + R^2 v_y) / (n mean_y^2)
 * Source: A. Deng, U. Knoblich & J. Lu, Applying the Delta Method in Metric Analytics,
 * KDD 2018, equation 4; the linearised survey estimator of W. G. Cochran, Sampling
 * Techniques (1977), 2.11 (without its finite-population factor).
 *
 * Wrong with few units, or when the arms differ in the denominator for a reason of
 * their own: then the ratio compares different mixes (report the denominator's mean
 * too).
 */
#ifndef STATS_RATIO_H
#define STATS_RATIO_H

#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"

/* Running means and sums of squares and products of a unit's numerator x and
 * denominator y (Welford), which can be added up over parts. All zeros is the empty
 * one. */
struct ratio_sum {
    uint64_t n_units;
    double mean_x, mean_y;
    double squares_x, squares_y, products; /* sums of squared and crossed deviations */
};

void ratio_sum_add(struct ratio_sum *sum, double x, double y);
void ratio_sum_merge(struct ratio_sum *sum, const struct ratio_sum *other);

/* The arm's ratio with its delta-method variance and n - 1 degrees of freedom. The
 * value is NAN when the denominators sum to 0, the variance NAN with fewer than two
 * units. */
struct estimate ratio_estimate(const struct ratio_sum *sum);

/* Difference of the two ratios: test and interval as in effect.h. Fails with
 * ERROR_INVALID when an arm has no unit, its denominators do not sum above 0, or the
 * level is outside (0, 1). Thread-safe. */
MUST_CHECK int ratio_compare(const struct ratio_sum *control,
                             const struct ratio_sum *treatment, double level,
                             enum alternative alternative, struct effect *result,
                             struct error *error);

#endif
