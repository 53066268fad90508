/* analysis_series.c - how the answer settled as units came in.
 *
 * Steps are by first exposure: a point holds every unit that came before it with all
 * that it did since, so the last point is the answer itself. Looking at events up to a
 * day instead would count late units with half their window.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/ratio.h"

#define MAX_STEPS 60

/* Smallest step that covers the span in MAX_STEPS, of those that people think in. */
static int64_t choose_step(int64_t first_us, int64_t last_us)
{
    static const int64_t seconds[] = {1,    10,    60,    300,    900,
                                      3600, 21600, 86400, 604800, 2592000};
    const int n = sizeof seconds / sizeof seconds[0];
    for (int i = 0; i < n; i++) {
        const int64_t step = seconds[i] * 1000000;
        if (last_us / step - first_us / step < MAX_STEPS) {
            return step;
        }
    }
    return (last_us - first_us) / (MAX_STEPS - 1) + 1;
}

static int compare_arrivals(const void *a, const void *b)
{
    const struct arrival *x = a, *y = b;
    if (x->ts_us != y->ts_us) {
        return x->ts_us < y->ts_us ? -1 : 1;
    }
    return x->unit - y->unit;
}

static void add_point(const struct experiment_result *result,
                      const struct analysis_metric *metric,
                      const struct ratio_sum *sums, int64_t ts_us, int step,
                      struct contrast *contrasts)
{
    for (int a = 1; a < result->spec->n_arms; a++) {
        struct contrast *contrast = &contrasts[a - 1];
        struct series_point *point = &contrast->series[step];
        point->ts_us = ts_us;
        point->n_units = (int64_t)(sums[0].n_units + sums[a].n_units);
        analysis_point(result->spec, metric, &sums[0], &sums[a], point,
                       &contrast->mixture);
    }
}

static void fill_metric(const struct experiment_result *result,
                        const struct unit_table *table, const struct arrival *arrivals,
                        int index, struct ratio_sum *sums)
{
    const int n_arms = result->spec->n_arms;
    const struct analysis_metric *metric = &result->spec->metrics[index];
    const struct unit_metric *column = &table->metrics[index];
    int at = 0;
    for (int a = 0; a < n_arms; a++) {
        sums[a] = (struct ratio_sum){0};
    }
    const int64_t start = arrivals[0].ts_us / result->series_step_us;
    for (int step = 0; step < result->n_series; step++) {
        const int64_t end = (start + step + 1) * result->series_step_us;
        for (; at < table->n_units && arrivals[at].ts_us < end; at++) {
            const int unit = arrivals[at].unit;
            ratio_sum_add(&sums[table->arm[unit]], analysis_x(metric, column, unit),
                          analysis_y(column, unit));
        }
        add_point(result, metric, sums, end, step, result->metrics[index].contrasts);
    }
}

static int make_room(struct analysis *analysis, struct experiment_result *result)
{
    const struct analysis_experiment *spec = result->spec;
    const size_t n = (size_t)result->n_series;
    result->enrolled =
        arena_zeroed(&analysis->arena, n * (size_t)spec->n_arms, sizeof(int64_t));
    result->enrolled_expected =
        arena_zeroed(&analysis->arena, n * (size_t)spec->n_arms, sizeof(double));
    for (int m = 0; m < spec->n_metrics; m++) {
        for (int a = 1; a < spec->n_arms; a++) {
            struct contrast *contrast = &result->metrics[m].contrasts[a - 1];
            if (analysis_is_of_sums(&result->spec->metrics[m])) {
                contrast->series =
                    arena_zeroed(&analysis->arena, n, sizeof *contrast->series);
                if (!contrast->series) {
                    return -1;
                }
            }
        }
    }
    return result->enrolled && result->enrolled_expected ? 0 : -1;
}

static void count_arrival(struct experiment_result *result,
                          const struct unit_table *table, int unit, int step)
{
    const struct analysis_experiment *spec = result->spec;
    const int w = table->config[unit];
    result->enrolled[step * spec->n_arms + table->arm[unit]]++;
    for (int a = 0; a < spec->n_arms; a++) {
        result->enrolled_expected[step * spec->n_arms + a] +=
            w >= 0 ? spec->weights[w].weights[a] : spec->arms[a].weight;
    }
}

int analysis_series(struct analysis *analysis, struct experiment_result *result,
                    const struct unit_table *table, struct error *error)
{
    const int n_arms = result->spec->n_arms;
    int rc = -1;
    if (table->n_units == 0) {
        return analysis_looks(analysis, result, table, NULL, error);
    }
    struct arrival *arrivals = malloc((size_t)table->n_units * sizeof *arrivals);
    struct ratio_sum *sums = malloc((size_t)n_arms * sizeof *sums);
    if (!arrivals || !sums) {
        analysis_no_memory(result, error);
        goto out;
    }
    for (int i = 0; i < table->n_units; i++) {
        arrivals[i] = (struct arrival){table->first_ts_us[i], i};
    }
    qsort(arrivals, (size_t)table->n_units, sizeof *arrivals, compare_arrivals);
    const int64_t first = arrivals[0].ts_us, last = arrivals[table->n_units - 1].ts_us;
    result->series_step_us = choose_step(first, last);
    result->n_series =
        (int)(last / result->series_step_us - first / result->series_step_us) + 1;
    if (make_room(analysis, result) != 0) {
        analysis_no_memory(result, error);
        goto out;
    }
    for (int i = 0; i < table->n_units; i++) {
        count_arrival(result, table, arrivals[i].unit,
                      (int)(arrivals[i].ts_us / result->series_step_us -
                            first / result->series_step_us));
    }
    for (int m = 0; m < result->spec->n_metrics; m++) {
        if (analysis_is_of_sums(&result->spec->metrics[m])) {
            fill_metric(result, table, arrivals, m, sums);
        }
    }
    rc = analysis_looks(analysis, result, table, arrivals, error);

out:
    free(arrivals);
    free(sums);
    return rc;
}
