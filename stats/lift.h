/* lift.h - intervals of the relative lift, treatment / control - 1.
 *
 *   delta    lift +- z sqrt(var_t / c^2 + t^2 var_c / c^4): the delta method on the
 * ratio. Symmetric; too narrow when the control's own error is not small against it.
 *   Katz     exp(ln(t/c) +- z sqrt(q_t/s_t + q_c/s_c)) - 1, for proportions only: the
 *            log's error is nearer normal. D. Katz et al., Biometrics 34 (1978)
 * 469-474. NAN when an arm has no success. Fieller  every ratio r for which t - r c is
 * not significantly off 0: exact for normal estimates, asymmetric, and without a bound
 * when the control itself is not significantly above 0. E. C. Fieller, JRSS B 16 (1954)
 * 175-185.
 *
 * All want a control above 0: lift over nothing, or over a loss, is not a percentage.
 */
#ifndef STATS_LIFT_H
#define STATS_LIFT_H

#include "common/error.h"
#include "stats/effect.h"
#include "stats/interval.h"
#include "stats/proportion.h"

enum lift_method {
    LIFT_DELTA,
    LIFT_KATZ,
    LIFT_FIELLER,
};

/* "delta method", "Katz log", "Fieller". */
const char *lift_name(enum lift_method method);

/* The interval of treatment / control - 1 of two independent estimates by LIFT_DELTA or
 * LIFT_FIELLER. The critical value is Student's with the Welch degrees of freedom of
 * (t - c); normal where both are infinite. NAN bounds when the control is not above 0
 * or a variance is unknown; infinite bounds where Fieller's set has no end. Fails with
 * ERROR_INVALID for a level outside (0, 1) and for LIFT_KATZ. Thread-safe. */
MUST_CHECK int lift_interval(struct estimate control, struct estimate treatment,
                             enum lift_method method, double level,
                             enum alternative alternative, struct interval *result,
                             struct error *error);

/* The same for proportions by any method, with the normal's critical value and the
 * unpooled variances p q / n. */
MUST_CHECK int lift_proportions(const struct proportion_sample *control,
                                const struct proportion_sample *treatment,
                                enum lift_method method, double level,
                                enum alternative alternative, struct interval *result,
                                struct error *error);

#endif
