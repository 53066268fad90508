#include "stats/power.h"

#include <math.h>

#define MIN_SD        1e-100 /* its square is a number, and so is its square over n */
#define MAX_SD        1e100
#define MAX_UNITS     1e15
#define CHI_INTERVALS 400 /* of Simpson over the density of the standard deviation */
#define CHI_REACH     10.0
#define LARGE_DF      1e6 /* from here Student is the normal to six digits */

const char *power_formula_name(enum power_metric metric, double sd_treatment,
                               double sd_control)
{
    switch (metric) {
    case POWER_PROPORTION:
        return "pooled z-test of two proportions, normal (Fleiss)";
    case POWER_MEAN:
        return sd_treatment == sd_control
                   ? "t-test of two means, noncentral t (Cohen)"
                   : "test of two means with unequal variances, normal";
    case POWER_RATIO:
        return "test of two ratios, delta method, normal";
    }
    return "?";
}

double power_ratio_sd(double mean_x, double sd_x, double mean_y, double sd_y,
                      double correlation)
{
    const double ratio = mean_x / mean_y;
    const double variance = sd_x * sd_x - 2 * ratio * correlation * sd_x * sd_y +
                            ratio * ratio * sd_y * sd_y;
    return mean_y > 0 ? sqrt(fmax(variance, 0)) / mean_y : (double)NAN;
}

/* Variances of sqrt(n_control) times the estimated difference. */
struct variances {
    double null;
    double effect;
};

static struct variances variances_of(const struct power_plan *plan, double effect)
{
    const double k = plan->allocation;
    if (plan->metric == POWER_PROPORTION) {
        const double p_c = plan->baseline, p_t = plan->baseline + effect;
        const double pooled = (p_c + k * p_t) / (1 + k);
        return (struct variances){pooled * (1 - pooled) * (1 + 1 / k),
                                  p_c * (1 - p_c) + p_t * (1 - p_t) / k};
    }
    const double variance = plan->sd_control * plan->sd_control +
                            plan->sd_treatment * plan->sd_treatment / k;
    return (struct variances){variance, variance};
}

/* P(T > critical) of the noncentral t: the normal's tail averaged over the distribution
 * of the estimated standard deviation, s ~ sqrt(chi^2_df / df), by Simpson's rule. */
static double noncentral_t_upper(double critical, double df, double noncentrality)
{
    if (df > LARGE_DF) {
        return tail_normal_upper(critical - noncentrality);
    }
    const double spread = CHI_REACH / sqrt(2 * df);
    const double low = fmax(0, 1 - spread), high = 1 + fmax(spread, 8 / df);
    const double step = (high - low) / CHI_INTERVALS;
    double mass = 0, sum = 0;
    for (int i = 0; i <= CHI_INTERVALS; i++) {
        const double s = low + i * step;
        const double weight = i == 0 || i == CHI_INTERVALS ? 1 : i % 2 ? 4 : 2;
        const double log_density =
            (df == 1 ? 0 : (df - 1) * log(s)) - 0.5 * df * (s * s - 1);
        const double density = weight * exp(log_density);
        mass += density;
        sum += density * tail_normal_upper(critical * s - noncentrality);
    }
    return sum / mass;
}

static double student_power(const struct power_plan *plan, double effect, double n)
{
    const double df = n * (1 + plan->allocation) - 2;
    const double se = plan->sd_control * sqrt((1 + 1 / plan->allocation) / n);
    const double critical =
        tail_student_critical(1 - plan->alpha, df, plan->alternative);
    const double noncentrality = effect / se;
    const double toward =
        plan->alternative == ALTERNATIVE_LESS ? -noncentrality : noncentrality;
    const double power = noncentral_t_upper(critical, df, toward);
    return plan->alternative == ALTERNATIVE_TWO_SIDED
               ? power + noncentral_t_upper(critical, df, -toward)
               : power;
}

static double normal_power(const struct power_plan *plan, double effect, double n)
{
    const struct variances v = variances_of(plan, effect);
    const double critical =
        tail_normal_critical(1 - plan->alpha, plan->alternative) * sqrt(v.null);
    const double toward =
        (plan->alternative == ALTERNATIVE_LESS ? -effect : effect) * sqrt(n);
    if (!(v.effect > 0)) { /* both rates at 0 or 1: the outcome is certain */
        return fabs(toward) > critical ? 1 : 0;
    }
    const double power = tail_normal_upper((critical - toward) / sqrt(v.effect));
    return plan->alternative == ALTERNATIVE_TWO_SIDED
               ? power + tail_normal_upper((critical + toward) / sqrt(v.effect))
               : power;
}

static double power_at(const struct power_plan *plan, double effect, double n)
{
    return plan->metric == POWER_MEAN && plan->sd_control == plan->sd_treatment
               ? student_power(plan, effect, n)
               : normal_power(plan, effect, n);
}

static int check_plan(const struct power_plan *plan, struct error *error)
{
    if (plan->metric == POWER_PROPORTION &&
        !(plan->baseline > 0 && plan->baseline < 1)) {
        error_set(error, ERROR_INVALID, "baseline rate %g is not between 0 and 1",
                  plan->baseline);
        return -1;
    }
    if (plan->metric != POWER_PROPORTION &&
        (!(plan->sd_control >= MIN_SD && plan->sd_control <= MAX_SD) ||
         !(plan->sd_treatment >= MIN_SD && plan->sd_treatment <= MAX_SD))) {
        error_set(error, ERROR_INVALID,
                  "standard deviations %g and %g: both must be from %g to %g",
                  plan->sd_control, plan->sd_treatment, MIN_SD, MAX_SD);
        return -1;
    }
    if (!(plan->alpha > 0 && plan->alpha <= 0.5)) {
        error_set(error, ERROR_INVALID, "alpha %g is not above 0 and up to 0.5",
                  plan->alpha);
        return -1;
    }
    if (!(plan->allocation > 0) || !isfinite(plan->allocation)) {
        error_set(error, ERROR_INVALID, "allocation %g is not above 0",
                  plan->allocation);
        return -1;
    }
    return 0;
}

static int check_effect(const struct power_plan *plan, double effect,
                        struct error *error)
{
    if (!isfinite(effect)) {
        error_set(error, ERROR_INVALID, "effect %g is not a number", effect);
        return -1;
    }
    const double rate = plan->baseline + effect;
    if (plan->metric == POWER_PROPORTION && !(rate >= 0 && rate <= 1)) {
        error_set(error, ERROR_INVALID,
                  "effect %g takes the rate from %g to %g, outside 0 to 1", effect,
                  plan->baseline, rate);
        return -1;
    }
    return 0;
}

static int check_units(double n_control, struct error *error)
{
    if (n_control >= 2 && n_control <= MAX_UNITS) {
        return 0;
    }
    error_set(error, ERROR_INVALID, "%g control units; give 2 to %g", n_control,
              MAX_UNITS);
    return -1;
}

int power_of(const struct power_plan *plan, double effect, double n_control,
             double *power, struct error *error)
{
    if (check_plan(plan, error) != 0 || check_effect(plan, effect, error) != 0 ||
        check_units(n_control, error) != 0) {
        return -1;
    }
    *power = power_at(plan, effect, n_control);
    return 0;
}

static int check_target(const struct power_plan *plan, double power,
                        struct error *error)
{
    if (power > plan->alpha && power < 1) {
        return 0;
    }
    error_set(error, ERROR_INVALID, "power %g is not between alpha %g and 1", power,
              plan->alpha);
    return -1;
}

int power_sample_size(const struct power_plan *plan, double effect, double power,
                      double *n_control, struct error *error)
{
    if (check_plan(plan, error) != 0 || check_effect(plan, effect, error) != 0 ||
        check_target(plan, power, error) != 0) {
        return -1;
    }
    double low = 2, high = 2;
    while (power_at(plan, effect, high) < power && high < MAX_UNITS) {
        low = high;
        high *= 2;
    }
    if (high >= MAX_UNITS) {
        error_set(error, ERROR_NUMERIC,
                  "effect %g is too small, or on the wrong side: no sample up to %g "
                  "units an arm reaches power %g",
                  effect, MAX_UNITS, power);
        return -1;
    }
    if (power_at(plan, effect, low) >= power) {
        high = low;
    }
    while (high - low > 1) { /* whole numbers: low fails, high has the power */
        const double middle = floor((low + high) / 2);
        if (power_at(plan, effect, middle) >= power) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *n_control = high;
    return 0;
}

int power_detectable(const struct power_plan *plan, double n_control, double power,
                     double *effect, struct error *error)
{
    if (check_plan(plan, error) != 0 || check_units(n_control, error) != 0 ||
        check_target(plan, power, error) != 0) {
        return -1;
    }
    const double sign = plan->alternative == ALTERNATIVE_LESS ? -1 : 1;
    double low = 0, high = 0;
    if (plan->metric == POWER_PROPORTION) {
        high = sign > 0 ? 1 - plan->baseline : plan->baseline;
    } else {
        const struct variances v = variances_of(plan, 0);
        high = sqrt(v.null / n_control);
        while (power_at(plan, sign * high, n_control) < power && high < 1e300) {
            high *= 2;
        }
    }
    if (!(power_at(plan, sign * high, n_control) >= power)) {
        error_set(
            error, ERROR_NUMERIC,
            "no effect within the metric's range has power %g at %g control units",
            power, n_control);
        return -1;
    }
    for (int i = 0; i < 200 && high - low > 1e-13 * high; i++) {
        const double middle = 0.5 * (low + high);
        if (power_at(plan, sign * middle, n_control) >= power) {
            high = middle;
        } else {
            low = middle;
        }
    }
    *effect = sign * high;
    return 0;
}

double power_days(double n_units, double units_per_day)
{
    return fmax(1, ceil(n_units / units_per_day));
}
