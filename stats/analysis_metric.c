/* analysis_metric.c - every metric in every arm, and the contrasts made of them. */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/proportion_interval.h"
#include "stats/quantile.h"
#include "stats/tail.h"

double analysis_x(const struct analysis_metric *metric,
                  const struct unit_metric *column, int unit)
{
    return metric->kind == ANALYSIS_PROPORTION ? column->value[unit] > 0
                                               : column->value[unit];
}

double analysis_y(const struct unit_metric *column, int unit)
{
    return column->denominator ? column->denominator[unit] : 1;
}

/* In the table's order, so that the last bits are the same whatever the log's order. */
static void add_units(const struct analysis_metric *metric,
                      const struct unit_metric *column, const struct unit_table *table,
                      struct metric_arm *arms)
{
    for (int i = 0; i < table->n_units; i++) {
        struct metric_arm *arm = &arms[table->arm[i]];
        const double x = analysis_x(metric, column, i), y = analysis_y(column, i);
        ratio_sum_add(&arm->sum, x, y);
        arm->sum_x += x;
        arm->sum_y += y;
    }
}

/* Units are numbered from 0 in the arm. */
int analysis_quantile(const struct analysis_metric *metric,
                      const struct unit_metric *column, const struct unit_table *table,
                      int index, struct metric_arm *arm, struct error *error)
{
    int rc = -1;
    int32_t n_units = 0, last = -1;
    uint64_t n = 0;
    double *values = malloc(((size_t)column->n_values + 1) * sizeof *values);
    int32_t *units = malloc(((size_t)column->n_values + 1) * sizeof *units);
    if (!values || !units) {
        error_set(error, ERROR_NOMEM, "no memory for the values of %s", metric->name);
        goto out;
    }
    for (int64_t i = 0; i < column->n_values; i++) {
        if (table->arm[column->cluster[i]] == index) {
            n_units += column->cluster[i] != last;
            last = column->cluster[i];
            values[n] = column->values[i];
            units[n++] = n_units - 1;
            arm->sum_x += column->values[i];
        }
    }
    arm->n_values = (int64_t)n;
    arm->sum.n_units = (uint64_t)n_units;
    if (n > 0) {
        const struct quantile_events events = {values, units, n, (uint64_t)n_units};
        rc = quantile_estimate(&events, metric->quantile, QUANTILE_ORDER,
                               &arm->estimate, error);
    } else {
        rc = 0;
    }

out:
    free(values);
    free(units);
    return rc;
}

static void describe_arm(enum analysis_kind kind, double level, struct metric_arm *arm)
{
    const struct estimate *estimate = &arm->estimate;
    arm->ci_lower = arm->ci_upper = NAN;
    if (arm->sum.n_units == 0) {
        return;
    }
    if (kind == ANALYSIS_PROPORTION) {
        const struct proportion_sample sample = {(uint64_t)arm->sum_x,
                                                 arm->sum.n_units};
        const struct interval wilson = proportion_wilson(
            &sample, tail_normal_critical(level, ALTERNATIVE_TWO_SIDED));
        arm->ci_lower = wilson.lower;
        arm->ci_upper = wilson.upper;
        arm->interval = "Wilson score";
    } else if (isfinite(estimate->variance) && estimate->df > 0) {
        const double critical =
            isfinite(estimate->df)
                ? tail_student_critical(level, estimate->df, ALTERNATIVE_TWO_SIDED)
                : tail_normal_critical(level, ALTERNATIVE_TWO_SIDED);
        const double half = critical * sqrt(estimate->variance);
        arm->ci_lower = estimate->value - half;
        arm->ci_upper = estimate->value + half;
        arm->interval = kind == ANALYSIS_RATIO      ? "delta method, Student's t"
                        : kind == ANALYSIS_QUANTILE ? "delta method, order statistics"
                                                    : "Student's t";
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

static int fill_arms(const struct experiment_result *result,
                     const struct unit_table *table, int index, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const struct analysis_metric *metric = &spec->metrics[index];
    const struct unit_metric *column = &table->metrics[index];
    struct metric_arm *arms = result->metrics[index].arms;
    const bool is_quantile = metric->kind == ANALYSIS_QUANTILE;
    if (!is_quantile) {
        add_units(metric, column, table, arms);
    }
    for (int a = 0; a < spec->n_arms; a++) {
        arms[a].estimate = (struct estimate){NAN, NAN, NAN};
        if (!is_quantile) {
            arms[a].estimate = analysis_estimate(metric->kind, &arms[a].sum);
            if (metric->trim > 0 &&
                analysis_trimmed(result, &result->metrics[index], table, column, a,
                                 &arms[a].estimate, error) != 0) {
                return -1;
            }
        } else if (analysis_quantile(metric, column, table, a, &arms[a], error) != 0) {
            return -1;
        }
        describe_arm(metric->kind, 1 - spec->alpha, &arms[a]);
    }
    return 0;
}

/* Room for one metric's arms and contrasts. */
static int start_metric(struct analysis *analysis, struct experiment_result *result,
                        int index, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct metric_result *to = &result->metrics[index];
    to->spec = &spec->metrics[index];
    to->role = role_of(spec, index);
    to->sampled_1_in = 1;
    to->floor_value = to->cap_value = NAN;
    to->arms = arena_zeroed(&analysis->arena, (size_t)spec->n_arms, sizeof *to->arms);
    to->contrasts =
        arena_zeroed(&analysis->arena, (size_t)spec->n_arms, sizeof *to->contrasts);
    return to->arms && to->contrasts ? 0 : analysis_no_memory(result, error);
}

static int compare_arms(const struct analysis_experiment *spec,
                        struct metric_result *to, struct error *error)
{
    for (int a = 1; a < spec->n_arms; a++) {
        struct contrast *contrast = &to->contrasts[a - 1];
        contrast->arm = a;
        contrast->adjusted = finding_none("nothing was known of the units before");
        contrast->variance_reduction = NAN;
        contrast->mixture = (struct mixture){.log_ratio = -INFINITY,
                                             .p_value = NAN,
                                             .log10_p_value = NAN,
                                             .p_adjusted = NAN,
                                             .tau = NAN};
        if (analysis_compare(to->spec->kind, 1 - spec->alpha, &to->arms[0],
                             &to->arms[a], &contrast->fixed, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int start_metrics(struct analysis *analysis, struct experiment_result *result,
                         struct error *error)
{
    result->metrics = arena_zeroed(&analysis->arena, (size_t)result->spec->n_metrics,
                                   sizeof *result->metrics);
    if (!result->metrics) {
        return analysis_no_memory(result, error);
    }
    for (int m = 0; m < result->spec->n_metrics; m++) {
        if (start_metric(analysis, result, m, error) != 0) {
            return -1;
        }
    }
    return 0;
}

int analysis_metrics(struct analysis *analysis, struct experiment_result *result,
                     struct unit_table *table, struct error *error)
{
    if (start_metrics(analysis, result, error) != 0) {
        return -1;
    }
    for (int m = 0; m < result->spec->n_metrics; m++) {
        struct metric_result *metric = &result->metrics[m];
        metric->sampled_1_in = table->metrics[m].sampled_1_in;
        if (analysis_winsorise(result, metric, &table->metrics[m], table->n_units,
                               error) != 0 ||
            fill_arms(result, table, m, error) != 0 ||
            compare_arms(result->spec, metric, error) != 0 ||
            analysis_name_robust(analysis, result, metric, error) != 0) {
            return -1;
        }
    }
    return 0;
}

int analysis_metrics_of_sums(struct analysis *analysis,
                             struct experiment_result *result,
                             const struct ratio_sum *sums, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    if (start_metrics(analysis, result, error) != 0) {
        return -1;
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        struct metric_result *to = &result->metrics[m];
        for (int a = 0; a < spec->n_arms; a++) {
            struct metric_arm *arm = &to->arms[a];
            arm->sum = sums[m * spec->n_arms + a];
            arm->sum_x = arm->sum.mean_x * (double)arm->sum.n_units;
            arm->sum_y = arm->sum.mean_y * (double)arm->sum.n_units;
            if (to->spec->kind == ANALYSIS_PROPORTION) {
                arm->sum_x = round(arm->sum_x);
            }
            arm->estimate = analysis_estimate(to->spec->kind, &arm->sum);
            describe_arm(to->spec->kind, 1 - spec->alpha, arm);
        }
        if (compare_arms(spec, to, error) != 0) {
            return -1;
        }
    }
    return 0;
}
