/* analysis_bootstrap.c - BCa bootstrap intervals for the metrics whose config asks for
 * them, whatever their kind; the test beside them stays what it was.
 *
 * Units are drawn whole, so that the events of one stay together. Replicate r of a
 * contrast uses random stream r of the analysis' seed: same log, same bytes.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/bootstrap.h"

/* One arm's values: of units, or of events in order of value. */
struct sample {
    double *x, *y;
    int32_t *unit;
    int64_t n;       /* values */
    int64_t n_units; /* of the arm */
    union {
        struct bootstrap_units units;
        struct bootstrap_events events;
    } data;
};

static void free_sample(struct sample *sample)
{
    free(sample->x);
    free(sample->y);
    free(sample->unit);
}

struct event {
    double value;
    int32_t unit;
};

static int compare_events(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->value != y->value) {
        return x->value < y->value ? -1 : 1;
    }
    return (x->unit > y->unit) - (x->unit < y->unit);
}

/* The single values of one arm, ascending; its units numbered from 0. */
static int gather_events(const struct analysis_metric *metric,
                         const struct unit_table *table,
                         const struct unit_metric *column, int arm,
                         struct sample *sample)
{
    int32_t last = -1;
    const size_t room = (size_t)column->n_values + 1;
    struct event *events = malloc(room * sizeof *events);
    sample->x = malloc(room * sizeof *sample->x);
    sample->unit = malloc(room * sizeof *sample->unit);
    if (!events || !sample->x || !sample->unit) {
        free(events);
        return -1;
    }
    for (int64_t i = 0; i < column->n_values; i++) {
        if (table->arm[column->cluster[i]] == arm) {
            sample->n_units += column->cluster[i] != last;
            last = column->cluster[i];
            events[sample->n++] =
                (struct event){column->values[i], (int32_t)sample->n_units - 1};
        }
    }
    qsort(events, (size_t)sample->n, sizeof *events, compare_events);
    for (int64_t i = 0; i < sample->n; i++) {
        sample->x[i] = events[i].value;
        sample->unit[i] = events[i].unit;
    }
    free(events);
    sample->data.events = (struct bootstrap_events){sample->x, sample->unit, sample->n,
                                                    sample->n_units, metric->quantile};
    return 0;
}

static int gather_units(const struct analysis_metric *metric,
                        const struct unit_table *table,
                        const struct unit_metric *column, int arm,
                        struct sample *sample)
{
    const size_t room = (size_t)table->n_units + 1;
    sample->x = malloc(room * sizeof *sample->x);
    sample->y = malloc(room * sizeof *sample->y);
    if (!sample->x || !sample->y) {
        return -1;
    }
    for (int i = 0; i < table->n_units; i++) {
        if (table->arm[i] == arm) {
            sample->x[sample->n_units] = analysis_x(metric, column, i);
            sample->y[sample->n_units++] = analysis_y(column, i);
        }
    }
    sample->data.units = (struct bootstrap_units){sample->x, sample->y, metric->trim};
    return 0;
}

static int gather(const struct analysis_metric *metric, const struct unit_table *table,
                  const struct unit_metric *column, int arm, struct sample *sample)
{
    return metric->kind == ANALYSIS_QUANTILE
               ? gather_events(metric, table, column, arm, sample)
               : gather_units(metric, table, column, arm, sample);
}

/* Puts the bootstrap's interval in place of the contrast's. */
static int replace_interval(struct analysis *analysis, struct experiment_result *result,
                            const struct metric_result *metric,
                            struct contrast *contrast, const struct sample *samples,
                            struct error *error)
{
    const struct analysis_metric *spec = metric->spec;
    const struct sample *control = &samples[0], *treatment = &samples[contrast->arm];
    const struct bootstrap_arm c = {&control->data, control->n_units},
                               t = {&treatment->data, treatment->n_units};
    struct bootstrap_config config = bootstrap_config_default();
    struct bootstrap_result answer;
    config.value = spec->kind == ANALYSIS_QUANTILE ? bootstrap_clustered
                   : spec->kind == ANALYSIS_RATIO  ? bootstrap_ratio
                   : spec->trim > 0                ? bootstrap_trimmed
                                                   : bootstrap_mean;
    config.n_replicates = spec->replicates;
    config.seed = result->spec->seed;
    config.level = 1 - result->spec->alpha;
    if (c.n_units == 0 || t.n_units == 0) {
        return 0;
    }
    if (bootstrap_bca(&c, &t, &config, &answer, error) != 0) {
        return -1;
    }
    contrast->fixed.interval = arena_printf(
        &analysis->arena, "BCa bootstrap over units, %d replicates", spec->replicates);
    contrast->fixed.ci_lower = answer.ci_lower;
    contrast->fixed.ci_upper = answer.ci_upper;
    return contrast->fixed.interval ? 0 : analysis_no_memory(result, error);
}

static int bootstrap_metric(struct analysis *analysis, struct experiment_result *result,
                            const struct unit_table *table, int index,
                            struct error *error)
{
    const struct metric_result *metric = &result->metrics[index];
    const int n_arms = result->spec->n_arms;
    int rc = -1;
    struct sample *samples = calloc((size_t)n_arms, sizeof *samples);
    if (!samples) {
        return analysis_no_memory(result, error);
    }
    for (int a = 0; a < n_arms; a++) {
        if (gather(metric->spec, table, &table->metrics[index], a, &samples[a]) != 0) {
            analysis_no_memory(result, error);
            goto out;
        }
    }
    for (int a = 1; a < n_arms; a++) {
        if (replace_interval(analysis, result, metric, &metric->contrasts[a - 1],
                             samples, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    for (int a = 0; a < n_arms; a++) {
        free_sample(&samples[a]);
    }
    free(samples);
    return rc;
}

int analysis_bootstrap(struct analysis *analysis, struct experiment_result *result,
                       const struct unit_table *table, struct error *error)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        if (result->spec->metrics[m].replicates > 0 && table->n_units > 0 &&
            bootstrap_metric(analysis, result, table, m, error) != 0) {
            return -1;
        }
    }
    return 0;
}
