/* effect.h - compare two independent estimates, each with its variance: what means,
 * ratios, quantiles and adjusted means have in common.
 *
 * statistic = (treatment - control) / sqrt(var_c + var_t), referred to Student's
 * distribution with Welch and Satterthwaite's degrees of freedom
 *     df = (var_c + var_t)^2 / (var_c^2 / df_c + var_t^2 / df_t)
 * (B. L. Welch, Biometrika 34 (1947) 28-35), or to the normal where the degrees of
 * freedom are infinite, as for estimates whose variance is itself an approximation.
 *
 * Wrong when the arms are not independent, or when there are too few units for the
 * estimate to be normal (heavy tails need more: see bootstrap.h).
 */
#ifndef STATS_EFFECT_H
#define STATS_EFFECT_H

#include <stdbool.h>

#include "common/error.h"
#include "stats/tail.h"

struct estimate {
    double value;
    double variance; /* of the estimate (its standard error squared), >= 0 */
    double df; /* degrees of freedom of the variance; INFINITY: take it as known */
};

struct effect {
    double control; /* the estimates compared */
    double treatment;
    double effect_size; /* treatment - control, absolute */
    double ci_lower;    /* of effect_size; -INFINITY and INFINITY in one-sided ones */
    double ci_upper;
    double rel_effect_size; /* effect_size / |control|; NAN when control is 0 */
    double standard_error;  /* of effect_size */
    double df;              /* NAN when not testable */
    bool is_testable;       /* false: the variance of the effect is zero or unknown, or
                               the statistic beyond what a double holds */
    double statistic;       /* NAN when not testable */
    double p_value;         /* NAN when not testable */
    double log10_p_value;
};

/* Compares two estimates. Never fails: without a positive, finite variance the effect
 * is not testable and its interval NAN. `level` in (0, 1). Thread-safe. */
struct effect effect_compare(struct estimate control, struct estimate treatment,
                             double level, enum alternative alternative);

/* The same for H0: effect = `shift` (non-inferiority tests shift by the margin). The
 * interval is that of the effect and does not depend on the shift. */
struct effect effect_compare_shifted(struct estimate control, struct estimate treatment,
                                     double shift, double level,
                                     enum alternative alternative);

#endif
