/* analysis_robust.c - defences against heavy tails, chosen in the config: values pulled
 * to percentiles of all arms together (winsorised), or a share of each arm's units left
 * out at both ends (trimmed). Both change what is compared, so both are named beside
 * the numbers. Sources in mean.h.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/mean.h"
#include "stats/number_text.h"
#include "stats/order.h"

int analysis_winsorise(const struct experiment_result *result,
                       struct metric_result *metric, struct unit_metric *column,
                       int n_units, struct error *error)
{
    const struct analysis_metric *spec = metric->spec;
    const bool has_cap = spec->cap > 0 && spec->cap<1, has_floor = spec->floor> 0;
    metric->floor_value = metric->cap_value = NAN;
    if ((!has_cap && !has_floor) || n_units == 0 ||
        (spec->kind != ANALYSIS_MEAN && spec->kind != ANALYSIS_COUNT)) {
        return 0;
    }
    double *sorted = malloc((size_t)n_units * sizeof *sorted);
    if (!sorted) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < n_units; i++) {
        sorted[i] = column->value[i];
    }
    order_sort(sorted, (uint64_t)n_units);
    if (has_floor) {
        metric->floor_value = order_quantile(sorted, (uint64_t)n_units, spec->floor);
    }
    if (has_cap) {
        metric->cap_value = order_quantile(sorted, (uint64_t)n_units, spec->cap);
    }
    free(sorted);
    for (int i = 0; i < n_units; i++) { /* fmax and fmin leave a NAN bound aside */
        column->value[i] =
            fmin(fmax(column->value[i], metric->floor_value), metric->cap_value);
    }
    return 0;
}

int analysis_trimmed(const struct experiment_result *result,
                     const struct metric_result *metric, const struct unit_table *table,
                     const struct unit_metric *column, int arm,
                     struct estimate *estimate, struct error *error)
{
    uint64_t n = 0;
    int rc = 0;
    double *values = malloc(((size_t)table->n_units + 1) * sizeof *values);
    if (!values) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < table->n_units; i++) {
        if (table->arm[i] == arm) {
            values[n++] = analysis_x(metric->spec, column, i);
        }
    }
    if (n > 0) {
        rc = mean_trimmed(values, n, metric->spec->trim, estimate, error);
    }
    free(values);
    return rc;
}

int analysis_name_robust(struct analysis *analysis, struct experiment_result *result,
                         struct metric_result *metric, struct error *error)
{
    const struct analysis_metric *spec = metric->spec;
    const char *name = NULL;
    if (spec->trim > 0) {
        name =
            arena_printf(&analysis->arena,
                         "Yuen t-test of trimmed means (%g %% of an arm's units left "
                         "out at each end), two-sided",
                         100 * spec->trim);
    } else if (isfinite(metric->floor_value) || isfinite(metric->cap_value)) {
        char bounds[2][NUMBER_TEXT_SIZE];
        number_text_value(spec->kind, metric->floor_value, bounds[0]);
        number_text_value(spec->kind, metric->cap_value, bounds[1]);
        name = arena_printf(
            &analysis->arena,
            "Welch t-test of winsorised means (values pulled to %s%s%s%s%s), two-sided",
            isfinite(metric->floor_value) ? "at least " : "",
            isfinite(metric->floor_value) ? bounds[0] : "",
            isfinite(metric->floor_value) && isfinite(metric->cap_value) ? " and " : "",
            isfinite(metric->cap_value) ? "at most " : "",
            isfinite(metric->cap_value) ? bounds[1] : "");
    } else {
        return 0;
    }
    if (!name) {
        return analysis_no_memory(result, error);
    }
    metric->robust_test = name;
    for (int a = 1; a < result->spec->n_arms; a++) {
        struct finding *fixed = &metric->contrasts[a - 1].fixed;
        fixed->test = fixed->test ? name : NULL;
    }
    return 0;
}
