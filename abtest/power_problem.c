#include "abtest/power_problem.h"

#include <math.h>

#include "abtest/stat_problem.h"

#define DEFAULT_POWER 0.8

struct power_problem power_problem_default(void)
{
    return (struct power_problem){
        .plan = {.metric = POWER_PROPORTION,
                 .baseline = NAN,
                 .sd_control = NAN,
                 .sd_treatment = NAN,
                 .alpha = 0.05,
                 .alternative = ALTERNATIVE_TWO_SIDED,
                 .allocation = 1},
        .effect = NAN,
        .lift = NAN,
        .n_control = NAN,
        .days = NAN,
        .units_per_day = NAN,
        .power = NAN,
        .comparisons = 1,
        .mean_numerator = NAN,
        .sd_numerator = NAN,
        .mean_denominator = NAN,
        .sd_denominator = NAN,
        .correlation = 0,
    };
}

/* A number that stays as it is when the key is absent. */
static int optional(const json_t *json, const char *key, double *value,
                    struct error *error)
{
    return json_object_get(json, key)
               ? stat_number(json, key, -1e300, 1e300, NAN, value, error)
               : 0;
}

int power_problem_read(const json_t *json, struct power_problem *problem,
                       struct error *error)
{
    static const char *const metrics[] = {"proportion", "mean", "ratio", NULL};
    static const char *const sides[] = {"two-sided", "greater", "less", NULL};
    int metric = 0, side = 0;
    const struct {
        const char *key;
        double *value;
    } numbers[] = {
        {"baseline", &problem->plan.baseline},
        {"effect", &problem->effect},
        {"lift", &problem->lift},
        {"n_control", &problem->n_control},
        {"days", &problem->days},
        {"units_per_day", &problem->units_per_day},
        {"power", &problem->power},
        {"alpha", &problem->plan.alpha},
        {"allocation", &problem->plan.allocation},
        {"sd", &problem->plan.sd_control},
        {"sd_treatment", &problem->plan.sd_treatment},
        {"mean_numerator", &problem->mean_numerator},
        {"sd_numerator", &problem->sd_numerator},
        {"mean_denominator", &problem->mean_denominator},
        {"sd_denominator", &problem->sd_denominator},
        {"correlation", &problem->correlation},
        {"comparisons", &problem->comparisons},
    };
    if (stat_word(json, "metric", metrics, 0, &metric, error) != 0 ||
        stat_word(json, "alternative", sides, 0, &side, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (optional(json, numbers[i].key, numbers[i].value, error) != 0) {
            return -1;
        }
    }
    problem->plan.metric = (enum power_metric)metric;
    problem->plan.alternative = (enum alternative)side;
    return 0;
}

/* Ratios: baseline and spread from the numerator's and denominator's. */
static void complete_ratio(struct power_problem *p)
{
    if (p->plan.metric != POWER_RATIO) {
        return;
    }
    if (isnan(p->plan.baseline)) {
        p->plan.baseline = p->mean_numerator / p->mean_denominator;
    }
    if (isnan(p->plan.sd_control)) {
        p->plan.sd_control =
            power_ratio_sd(p->mean_numerator, p->sd_numerator, p->mean_denominator,
                           p->sd_denominator, p->correlation);
    }
}

static int complete_effect(struct power_problem *p, struct error *error)
{
    if (isnan(p->lift)) {
        return 0;
    }
    if (!isnan(p->effect)) {
        error_set(error, ERROR_INVALID, "give the effect or the lift, not both");
        return -1;
    }
    if (isnan(p->plan.baseline)) {
        error_set(error, ERROR_INVALID, "a lift needs a baseline");
        return -1;
    }
    p->effect = p->lift * fabs(p->plan.baseline);
    return 0;
}

static int complete_units(struct power_problem *p, struct error *error)
{
    if (!isnan(p->units_per_day) && !(p->units_per_day > 0)) {
        error_set(error, ERROR_INVALID, "%g units per day; give more than 0",
                  p->units_per_day);
        return -1;
    }
    if (isnan(p->days)) {
        return 0;
    }
    if (!isnan(p->n_control) || isnan(p->units_per_day) || !(p->days > 0)) {
        error_set(
            error, ERROR_INVALID,
            "days need the units per day, and stand instead of the control units");
        return -1;
    }
    p->n_control = floor(p->days * p->units_per_day / (1 + p->plan.allocation));
    return 0;
}

static int complete(struct power_problem *p, struct error *error)
{
    if (!(p->comparisons >= 1)) {
        error_set(error, ERROR_INVALID, "%g comparisons; give 1 or more",
                  p->comparisons);
        return -1;
    }
    if (p->plan.metric == POWER_PROPORTION && isnan(p->plan.baseline)) {
        error_set(error, ERROR_INVALID, "a proportion needs its baseline rate");
        return -1;
    }
    complete_ratio(p);
    if (p->plan.metric != POWER_PROPORTION && isnan(p->plan.sd_control)) {
        error_set(error, ERROR_INVALID,
                  p->plan.metric == POWER_MEAN
                      ? "a mean needs the standard deviation of a unit"
                      : "a ratio needs sd, or mean and sd of its numerator and "
                        "denominator");
        return -1;
    }
    if (isnan(p->plan.sd_treatment)) {
        p->plan.sd_treatment = p->plan.sd_control;
    }
    return complete_effect(p, error) == 0 && complete_units(p, error) == 0 ? 0 : -1;
}

static int seek(struct power_problem *p, const struct power_plan *plan,
                struct error *error)
{
    const bool has_units = !isnan(p->n_control), has_effect = !isnan(p->effect);
    const double target = isnan(p->power) ? DEFAULT_POWER : p->power;
    if (has_units && has_effect) {
        p->sought = SOUGHT_POWER;
        if (!isnan(p->power)) {
            error_set(
                error, ERROR_INVALID,
                "units, effect and power are all given; leave out what is sought");
            return -1;
        }
        return power_of(plan, p->effect, p->n_control, &p->power, error);
    }
    p->power = target;
    if (has_effect) {
        p->sought = SOUGHT_UNITS;
        return power_sample_size(plan, p->effect, target, &p->n_control, error);
    }
    if (has_units) {
        p->sought = SOUGHT_EFFECT;
        return power_detectable(plan, p->n_control, target, &p->effect, error);
    }
    error_set(
        error, ERROR_INVALID,
        "give an effect (or lift) to learn the units, or units (or days) to learn "
        "the effect, or both to learn the power");
    return -1;
}

int power_problem_solve(struct power_problem *p, struct error *error)
{
    if (complete(p, error) != 0) {
        return -1;
    }
    struct power_plan plan = p->plan;
    plan.alpha /= p->comparisons;
    if (seek(p, &plan, error) != 0) {
        return -1;
    }
    p->n_treatment = ceil(p->n_control * p->plan.allocation);
    if (!isnan(p->units_per_day)) {
        p->days = power_days(p->n_control + p->n_treatment, p->units_per_day);
    }
    p->lift = p->plan.baseline != 0 ? p->effect / fabs(p->plan.baseline) : (double)NAN;
    return 0;
}

void power_problem_answer(const struct power_problem *p, struct buffer *answer)
{
    static const char *const sought[] = {"units", "power", "effect"};
    answer_text(
        answer, "method",
        power_formula_name(p->plan.metric, p->plan.sd_treatment, p->plan.sd_control));
    answer_text(answer, "sought", sought[p->sought]);
    answer_number(answer, "n_control", p->n_control);
    answer_number(answer, "n_treatment", p->n_treatment);
    answer_number(answer, "effect", p->effect);
    answer_number(answer, "lift", p->lift);
    answer_number(answer, "power", p->power);
    answer_number(answer, "days", p->days);
    answer_number(answer, "alpha", p->plan.alpha);
    answer_number(answer, "comparisons", p->comparisons);
    answer_text(answer, "alternative", alternative_name(p->plan.alternative));
    if (p->plan.metric != POWER_PROPORTION) {
        answer_number(answer, "sd", p->plan.sd_control);
    }
}
