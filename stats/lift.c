#include "stats/lift.h"

#include <math.h>

const char *lift_name(enum lift_method method)
{
    switch (method) {
    case LIFT_DELTA:
        return "delta method";
    case LIFT_KATZ:
        return "Katz log";
    case LIFT_FIELLER:
        return "Fieller";
    }
    return "?";
}

static struct interval delta(struct estimate c, struct estimate t, double critical)
{
    const double ratio = t.value / c.value;
    const double half_width =
        critical * sqrt(t.variance + ratio * ratio * c.variance) / c.value;
    return (struct interval){ratio - 1 - half_width, ratio - 1 + half_width};
}

/* The roots in r of (t - r c)^2 = critical^2 (var_t + r^2 var_c), that is of
 * a r^2 - 2 b r + d = 0, less 1. What cancels in b^2 - a d (all of it when critical is
 * 0) and in r - 1 is cancelled on paper. */
static struct interval fieller(struct estimate c, struct estimate t, double critical)
{
    const double square = critical * critical;
    const double a = c.value * c.value - square * c.variance;
    const double under = c.value * c.value * t.variance +
                         t.value * t.value * c.variance -
                         square * c.variance * t.variance;
    if (!(a > 0) || !(under >= 0)) {
        return (struct interval){-INFINITY, INFINITY};
    }
    const double middle = c.value * (t.value - c.value) + square * c.variance;
    const double root = critical * sqrt(under);
    return (struct interval){(middle - root) / a, (middle + root) / a};
}

static struct interval one_side(struct interval both, enum alternative alternative)
{
    if (alternative == ALTERNATIVE_GREATER) {
        both.upper = INFINITY;
    } else if (alternative == ALTERNATIVE_LESS) {
        both.lower = -INFINITY;
    }
    return both;
}

int lift_interval(struct estimate control, struct estimate treatment,
                  enum lift_method method, double level, enum alternative alternative,
                  struct interval *result, struct error *error)
{
    if (tail_check_level(level, error) != 0) {
        return -1;
    }
    if (method == LIFT_KATZ) {
        error_set(error, ERROR_INVALID,
                  "Katz's interval is for proportions; use delta or Fieller");
        return -1;
    }
    const struct effect effect =
        effect_compare(control, treatment, level, ALTERNATIVE_TWO_SIDED);
    if (!(control.value > 0) || !effect.is_testable) {
        *result = (struct interval){NAN, NAN};
        return 0;
    }
    const double critical = tail_student_critical(level, effect.df, alternative);
    const struct interval both = method == LIFT_DELTA
                                     ? delta(control, treatment, critical)
                                     : fieller(control, treatment, critical);
    *result = one_side(both, alternative);
    return 0;
}

static struct estimate rate(const struct proportion_sample *sample)
{
    const double s = (double)sample->n_successes, n = (double)sample->n_trials;
    return (struct estimate){
        .value = s / n, .variance = s / n * ((n - s) / n) / n, .df = INFINITY};
}

static struct interval katz(const struct proportion_sample *control,
                            const struct proportion_sample *treatment, double critical)
{
    const struct estimate c = rate(control), t = rate(treatment);
    if (!(c.value > 0 && t.value > 0)) {
        return (struct interval){NAN, NAN};
    }
    const double s_c = (double)control->n_successes;
    const double s_t = (double)treatment->n_successes;
    const double half_width =
        critical *
        sqrt(((double)control->n_trials - s_c) / (double)control->n_trials / s_c +
             ((double)treatment->n_trials - s_t) / (double)treatment->n_trials / s_t);
    const double middle = log(t.value / c.value);
    return (struct interval){expm1(middle - half_width), expm1(middle + half_width)};
}

int lift_proportions(const struct proportion_sample *control,
                     const struct proportion_sample *treatment, enum lift_method method,
                     double level, enum alternative alternative,
                     struct interval *result, struct error *error)
{
    if (proportion_check(control, treatment, error) != 0 ||
        tail_check_level(level, error) != 0) {
        return -1;
    }
    if (method != LIFT_KATZ) {
        return lift_interval(rate(control), rate(treatment), method, level, alternative,
                             result, error);
    }
    struct interval both =
        katz(control, treatment, tail_normal_critical(level, alternative));
    if (!isnan(both.lower)) { /* a ratio of rates is at least 0 */
        both = one_side(both, alternative);
        both.lower = fmax(both.lower, -1);
    }
    *result = both;
    return 0;
}
