#include "stats/effect.h"

#include <math.h>

/* Both terms divided by the larger variance first: squares of small ones underflow. */
static double welch_df(const struct estimate *control, const struct estimate *treatment)
{
    const double largest = fmax(control->variance, treatment->variance);
    const double c = control->variance / largest, t = treatment->variance / largest;
    const double below = c * c / control->df + t * t / treatment->df;
    return below > 0 ? (c + t) * (c + t) / below : (double)INFINITY;
}

struct effect effect_compare_shifted(struct estimate control, struct estimate treatment,
                                     double shift, double level,
                                     enum alternative alternative)
{
    const double variance = control.variance + treatment.variance;
    struct effect e = {
        .control = control.value,
        .treatment = treatment.value,
        .effect_size = treatment.value - control.value,
        .ci_lower = NAN,
        .ci_upper = NAN,
        .rel_effect_size = control.value != 0
                               ? (treatment.value - control.value) / fabs(control.value)
                               : (double)NAN,
        .standard_error = sqrt(variance),
        .df = NAN,
        .is_testable = variance > 0 && isfinite(variance) && control.df > 0 &&
                       treatment.df > 0 && isfinite(treatment.value - control.value),
        .statistic = NAN,
        .p_value = NAN,
        .log10_p_value = NAN,
    };
    if (!e.is_testable) {
        return e;
    }
    e.df = welch_df(&control, &treatment);
    e.statistic = (e.effect_size - shift) / e.standard_error;
    if (!isfinite(e.statistic)) { /* beyond what a double holds */
        e.is_testable = false;
        e.statistic = e.df = NAN;
        return e;
    }
    const struct tail_p p = tail_p_student(e.statistic, e.df, alternative);
    e.p_value = p.p_value;
    e.log10_p_value = p.log10_p_value;
    const double half_width =
        tail_student_critical(level, e.df, alternative) * e.standard_error;
    e.ci_lower = alternative == ALTERNATIVE_LESS ? (double)-INFINITY
                                                 : e.effect_size - half_width;
    e.ci_upper = alternative == ALTERNATIVE_GREATER ? (double)INFINITY
                                                    : e.effect_size + half_width;
    return e;
}

struct effect effect_compare(struct estimate control, struct estimate treatment,
                             double level, enum alternative alternative)
{
    return effect_compare_shifted(control, treatment, 0, level, alternative);
}
