/* mean.h - compare the mean of a per-unit number (revenue, minutes, count of clicks).
 *
 * One number a unit: a unit's events are summed or averaged before they come here. The
 * test is Welch's, which does not assume that the arms vary alike: Student's pooled
 * test is wrong exactly when a treatment changes the variance, and saves nothing
 * otherwise.
 *
 * Two defences against heavy tails, both changing what is compared (say so in a
 * report): winsorised  values beyond percentiles of both arms together are pulled to
 * them; the caps are common, or the cap itself would make a difference; trimmed Yuen's
 * test: a share of the units at each end of each arm is left out, the variance is the
 * winsorised one. K. K. Yuen, Biometrika 61 (1974) 165-170.
 *
 * Source: B. L. Welch, Biometrika 34 (1947) 28-35. Assumption: enough units for the
 * means to be normal, about 355 skewness^2 an arm (Kohavi, Tang & Xu, Trustworthy
 * Online Controlled Experiments, 2020, chapter 17).
 */
#ifndef STATS_MEAN_H
#define STATS_MEAN_H

#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"

struct mean_sample {
    uint64_t n_units;
    double mean;     /* NAN when there is no unit */
    double variance; /* sample variance, divisor n - 1; 0 when there is one unit */
};

/* Running mean and sum of squared deviations (Welford; merging: Chan, Golub & LeVeque,
 * American Statistician 37 (1983) 242), so that samples of parts can be added up. All
 * zeros is the empty one. */
struct mean_sum {
    uint64_t n_units;
    double mean;
    double squares; /* sum of (value - mean)^2 */
};

void mean_sum_add(struct mean_sum *sum, double value);
void mean_sum_merge(struct mean_sum *sum, const struct mean_sum *other);
struct mean_sample mean_sum_sample(const struct mean_sum *sum);

/* Mean and variance of `values`, in two passes. */
struct mean_sample mean_sample_of(const double *values, uint64_t n_values);

/* The sample's mean as an estimate with variance / n and n - 1 degrees of freedom. With
 * fewer than two units its variance is NAN: not testable. */
struct estimate mean_estimate(const struct mean_sample *sample);

/* Welch's test and interval of treatment - control. Fails with ERROR_INVALID when an
 * arm has no unit, a mean or variance is not finite, a variance is negative, or the
 * level is outside (0, 1). One unit or no variance: not testable. Thread-safe. */
MUST_CHECK int mean_compare(const struct mean_sample *control,
                            const struct mean_sample *treatment, double level,
                            enum alternative alternative, struct effect *result,
                            struct error *error);

/* Where the values of both arms are capped: shares in, caps out. */
struct winsor {
    double lower_share; /* in [0, 1), e.g. 0 */
    double upper_share; /* in (lower_share, 1], e.g. 0.99 */
    double lower;       /* set: values below it were raised to it */
    double upper;       /* set: values above it were lowered to it */
};

/* Pulls the values of both arms to the quantiles (type 7, R's default) of both arms
 * together, in place. Shares 0 and 1 change nothing. Fails with ERROR_NOMEM or
 * ERROR_INVALID (no values, wrong shares, a value that is not finite). */
MUST_CHECK int mean_winsorise(double *control, uint64_t n_control, double *treatment,
                              uint64_t n_treatment, struct winsor *winsor,
                              struct error *error);

/* The trimmed mean of `values`, which are sorted in place, with `share` in [0, 0.5)
 * left out at each end, and its variance: (n - 1) s_w^2 / (h (h - 1)), h what is left.
 * With h < 2 the variance is NAN. Fails with ERROR_INVALID (no values, wrong share). */
MUST_CHECK int mean_trimmed(double *values, uint64_t n_values, double share,
                            struct estimate *result, struct error *error);

#endif
