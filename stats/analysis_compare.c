/* analysis_compare.c - treatment against control, by the method that fits the kind of
 * metric.
 */
#include <math.h>

#include "stats/analysis_parts.h"
#include "stats/lift.h"
#include "stats/mean.h"
#include "stats/proportion.h"
#include "stats/proportion_interval.h"

struct finding finding_none(const char *why_not)
{
    return (struct finding){
        .why_not = why_not,
        .statistic = NAN,
        .df = NAN,
        .p_value = NAN,
        .log10_p_value = NAN,
        .effect_size = NAN,
        .standard_error = NAN,
        .ci_lower = NAN,
        .ci_upper = NAN,
        .rel_effect_size = NAN,
        .rel_ci_lower = NAN,
        .rel_ci_upper = NAN,
    };
}

static struct proportion_sample sample_of(const struct ratio_sum *sum)
{
    return (struct proportion_sample){
        (uint64_t)llround(sum->mean_x * (double)sum->n_units), sum->n_units};
}

struct estimate analysis_estimate(enum analysis_kind kind, const struct ratio_sum *sum)
{
    const double n = (double)sum->n_units;
    if (sum->n_units == 0) {
        return (struct estimate){NAN, NAN, NAN};
    }
    if (kind == ANALYSIS_RATIO) {
        return ratio_estimate(sum);
    }
    if (kind == ANALYSIS_PROPORTION) {
        const struct proportion_sample sample = sample_of(sum);
        const double p = (double)sample.n_successes / n;
        return (struct estimate){p, p * (1 - p) / n, (double)INFINITY};
    }
    const struct mean_sample sample = {sum->n_units, sum->mean_x,
                                       sum->n_units > 1 ? sum->squares_x / (n - 1) : 0};
    return mean_estimate(&sample);
}

static int compare_proportions(double level, const struct ratio_sum *control,
                               const struct ratio_sum *treatment,
                               struct finding *finding, struct error *error)
{
    const struct proportion_sample c = sample_of(control), t = sample_of(treatment);
    struct proportion_result r;
    struct proportion_z z;
    struct interval lift;
    if (proportion_compare(&c, &t, level, &r, error) != 0 ||
        proportion_z_test(&c, &t, true, ALTERNATIVE_TWO_SIDED, &z, error) != 0 ||
        lift_proportions(&c, &t, LIFT_KATZ, level, ALTERNATIVE_TWO_SIDED, &lift,
                         error) != 0) {
        return -1;
    }
    finding->is_testable = r.is_testable;
    finding->why_not =
        r.is_testable ? NULL : "every unit of both arms had the same outcome";
    finding->test = "two-proportion z-test, pooled variance, two-sided";
    finding->statistic_name = "z";
    finding->statistic = r.statistic;
    finding->p_value = r.p_value;
    finding->log10_p_value = r.log10_p_value;
    finding->effect_size = r.effect_size;
    finding->standard_error = z.standard_error;
    finding->interval = proportion_interval_name(INTERVAL_NEWCOMBE);
    finding->ci_lower = r.ci_lower;
    finding->ci_upper = r.ci_upper;
    finding->rel_effect_size = r.rel_effect_size;
    finding->relative = lift_name(LIFT_KATZ);
    finding->rel_ci_lower = lift.lower;
    finding->rel_ci_upper = lift.upper;
    return 0;
}

int finding_from_effect(struct estimate control, struct estimate treatment,
                        double level, const char *test, struct finding *finding,
                        struct error *error)
{
    const struct effect effect =
        effect_compare(control, treatment, level, ALTERNATIVE_TWO_SIDED);
    struct interval lift;
    if (lift_interval(control, treatment, LIFT_DELTA, level, ALTERNATIVE_TWO_SIDED,
                      &lift, error) != 0) {
        return -1;
    }
    const bool has_df = isfinite(effect.df);
    finding->is_testable = effect.is_testable;
    finding->why_not =
        effect.is_testable ? NULL : "the values do not vary, or there are too few";
    finding->test = test;
    finding->statistic_name = has_df ? "t" : "z";
    finding->statistic = effect.statistic;
    finding->df = has_df ? effect.df : (double)NAN;
    finding->p_value = effect.p_value;
    finding->log10_p_value = effect.log10_p_value;
    finding->effect_size = effect.effect_size;
    finding->standard_error = effect.standard_error;
    finding->interval = has_df ? "Welch, Student's t" : "delta method, normal";
    finding->ci_lower = effect.ci_lower;
    finding->ci_upper = effect.ci_upper;
    finding->rel_effect_size = effect.rel_effect_size;
    finding->relative = lift_name(LIFT_DELTA);
    finding->rel_ci_lower = lift.lower;
    finding->rel_ci_upper = lift.upper;
    return 0;
}

int analysis_compare(enum analysis_kind kind, double level,
                     const struct metric_arm *control,
                     const struct metric_arm *treatment, struct finding *finding,
                     struct error *error)
{
    static const char *const tests[] = {
        [ANALYSIS_MEAN] = "Welch t-test, two-sided",
        [ANALYSIS_COUNT] = "Welch t-test, two-sided",
        [ANALYSIS_RATIO] = "delta method with units as clusters, t-test, two-sided",
        [ANALYSIS_QUANTILE] =
            "delta method, order statistics, units as clusters, z-test, two-sided",
    };
    *finding = finding_none(NULL);
    if (isnan(control->estimate.value) || isnan(treatment->estimate.value)) {
        finding->why_not = "an arm has no values yet";
        return 0;
    }
    if (kind == ANALYSIS_PROPORTION) {
        return compare_proportions(level, &control->sum, &treatment->sum, finding,
                                   error);
    }
    return finding_from_effect(control->estimate, treatment->estimate, level,
                               tests[kind], finding, error);
}

void analysis_point(const struct analysis_experiment *spec,
                    const struct analysis_metric *metric,
                    const struct ratio_sum *control, const struct ratio_sum *treatment,
                    struct series_point *point, struct mixture *mixture)
{
    const struct metric_arm c = {.sum = *control,
                                 .estimate = analysis_estimate(metric->kind, control)};
    const struct metric_arm t = {
        .sum = *treatment, .estimate = analysis_estimate(metric->kind, treatment)};
    struct finding finding;
    if (analysis_compare(metric->kind, 1 - spec->alpha, &c, &t, &finding, NULL) != 0) {
        finding = finding_none(NULL);
    }
    point->effect_size = finding.effect_size;
    point->ci_lower = finding.ci_lower;
    point->ci_upper = finding.ci_upper;
    const struct finding always = analysis_always(
        spec, &finding, &c.estimate, &t.estimate, c.sum.n_units, t.sum.n_units);
    point->always_lower = always.ci_lower;
    point->always_upper = always.ci_upper;
    mixture_look(spec, metric, &always,
                 (int64_t)(control->n_units + treatment->n_units), mixture);
}
