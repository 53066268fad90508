/* analysis_metric.c - moments of every arm and the contrasts made of them. */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/proportion.h"
#include "stats/proportion_interval.h"
#include "stats/tail.h"

static double unit_x(const struct analysis_metric *metric,
                     const struct unit_metric *column, int i)
{
    return metric->kind == ANALYSIS_PROPORTION ? column->value[i] > 0
                                               : column->value[i];
}

static double unit_y(const struct unit_metric *column, int i)
{
    return column->denominator ? column->denominator[i] : 1;
}

/* Two passes in the table's order: means first, then what is around them. */
static void add_moments(const struct analysis_metric *metric,
                        const struct unit_metric *column,
                        const struct unit_table *table, int n_arms,
                        struct metric_arm *arms)
{
    for (int i = 0; i < table->n_units && column->value; i++) {
        struct moments *m = &arms[table->arm[i]].moments;
        m->n++;
        m->sum_x += unit_x(metric, column, i);
        m->sum_y += unit_y(column, i);
    }
    for (int a = 0; a < n_arms; a++) {
        struct moments *m = &arms[a].moments;
        m->mean_x = m->n ? m->sum_x / (double)m->n : (double)NAN;
        m->mean_y = m->n ? m->sum_y / (double)m->n : (double)NAN;
        m->var_x = m->var_y = m->cov_xy = m->n > 1 ? 0 : (double)NAN;
    }
    for (int i = 0; i < table->n_units && column->value; i++) {
        struct moments *m = &arms[table->arm[i]].moments;
        if (m->n > 1) {
            const double dx = unit_x(metric, column, i) - m->mean_x;
            const double dy = unit_y(column, i) - m->mean_y;
            m->var_x += dx * dx / (double)(m->n - 1);
            m->var_y += dy * dy / (double)(m->n - 1);
            m->cov_xy += dx * dy / (double)(m->n - 1);
        }
    }
}

static struct finding not_testable(const char *why)
{
    return (struct finding){
        .why_not = why,
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

static struct proportion_sample sample_of(const struct moments *m)
{
    return (struct proportion_sample){(uint64_t)m->sum_x, (uint64_t)m->n};
}

static int compare_proportions(const struct moments *control,
                               const struct moments *treatment, double level,
                               struct finding *finding, struct error *error)
{
    const struct proportion_sample c = sample_of(control), t = sample_of(treatment);
    struct proportion_result r;
    struct proportion_z z;
    *finding = not_testable(NULL);
    if (c.n_trials == 0 || t.n_trials == 0) {
        finding->why_not = "an arm has no units yet";
        return 0;
    }
    if (proportion_compare(&c, &t, level, &r, error) != 0 ||
        proportion_z_test(&c, &t, true, ALTERNATIVE_TWO_SIDED, &z, error) != 0) {
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
    return 0;
}

static void describe_arm(const struct analysis_metric *metric, double level,
                         struct metric_arm *arm)
{
    const struct moments *m = &arm->moments;
    arm->value = arm->ci_lower = arm->ci_upper = NAN;
    if (m->n == 0 || metric->kind == ANALYSIS_QUANTILE) {
        return;
    }
    arm->value = m->sum_y > 0 ? m->sum_x / m->sum_y : (double)NAN;
    if (metric->kind == ANALYSIS_PROPORTION) {
        const struct proportion_sample sample = sample_of(m);
        const struct interval wilson = proportion_wilson(
            &sample, tail_normal_critical(level, ALTERNATIVE_TWO_SIDED));
        arm->ci_lower = wilson.lower;
        arm->ci_upper = wilson.upper;
        arm->interval = "Wilson score";
    }
}

static enum metric_role role_of(const struct analysis_experiment *spec, int metric)
{
    if (metric == spec->primary) {
        return ROLE_PRIMARY;
    }
    for (int g = 0; g < spec->n_guardrails; g++) {
        if (spec->guardrails[g] == metric) {
            return ROLE_GUARDRAIL;
        }
    }
    return ROLE_SECONDARY;
}

static int measure(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, int index, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const struct analysis_metric *metric = &spec->metrics[index];
    struct metric_result *to = &result->metrics[index];
    const double level = 1 - spec->alpha;
    to->spec = metric;
    to->role = role_of(spec, index);
    to->sampled_1_in = 1;
    to->arms = arena_zeroed(&analysis->arena, (size_t)spec->n_arms, sizeof *to->arms);
    to->contrasts =
        arena_zeroed(&analysis->arena, (size_t)spec->n_arms, sizeof *to->contrasts);
    if (!to->arms || !to->contrasts) {
        return analysis_no_memory(result, error);
    }
    add_moments(metric, &table->metrics[index], table, spec->n_arms, to->arms);
    for (int a = 0; a < spec->n_arms; a++) {
        describe_arm(metric, level, &to->arms[a]);
    }
    for (int a = 1; a < spec->n_arms; a++) {
        struct contrast *contrast = &to->contrasts[a - 1];
        contrast->arm = a;
        contrast->p_adjusted = NAN;
        if (metric->kind != ANALYSIS_PROPORTION) {
            contrast->fixed = not_testable("no test for this kind of metric");
            continue;
        }
        if (compare_proportions(&to->arms[0].moments, &to->arms[a].moments, level,
                                &contrast->fixed, error) != 0) {
            return -1;
        }
    }
    return 0;
}

int analysis_metrics(struct analysis *analysis, struct experiment_result *result,
                     const struct unit_table *table, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    result->metrics = arena_zeroed(&analysis->arena, (size_t)spec->n_metrics,
                                   sizeof *result->metrics);
    if (!result->metrics) {
        return analysis_no_memory(result, error);
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        if (measure(analysis, result, table, m, error) != 0) {
            return -1;
        }
    }
    return 0;
}
