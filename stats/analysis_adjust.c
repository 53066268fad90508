/* analysis_adjust.c - the effect after taking out what was known of the units before,
 * and the effect as probabilities.
 *
 * Covariates of a metric: the metric itself before the first exposure, as far as the
 * log reaches back, the experiment's other metrics before it, and whatever columns the
 * table brings (a file, the model's prediction). A unit that a column does not know
 * gets the mean of those it knows, and a column of its own says so: unknown is
 * information too. Columns that say what others say already (two metrics of one event)
 * are left out by the regression.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/analysis_parts.h"
#include "stats/bayes.h"
#include "stats/cuped.h"

struct columns {
    const double *values[CUPED_MAX_COVARIATES]; /* NULL: `unknown` of another column */
    const double *unknown[CUPED_MAX_COVARIATES];
    double mean[CUPED_MAX_COVARIATES]; /* of the known */
    int n;
};

static void add_column(struct columns *columns, const double *values, int n_units)
{
    double sum = 0;
    int n_known = 0;
    for (int i = 0; i < n_units; i++) {
        if (isfinite(values[i])) {
            sum += values[i];
            n_known++;
        }
    }
    if (n_known == 0 || columns->n == CUPED_MAX_COVARIATES) {
        return;
    }
    columns->values[columns->n] = values;
    columns->mean[columns->n++] = sum / n_known;
    if (n_known < n_units && columns->n < CUPED_MAX_COVARIATES) {
        columns->unknown[columns->n++] = values;
    }
}

static void read_row(const struct columns *columns, int unit, double *row)
{
    for (int c = 0; c < columns->n; c++) {
        if (columns->values[c]) {
            const double value = columns->values[c][unit];
            row[c] = isfinite(value) ? value : columns->mean[c];
        } else {
            row[c] = !isfinite(columns->unknown[c][unit]);
        }
    }
}

/* What a metric can be adjusted for: first itself before the first exposure, if it was
 * seen then; then the table's columns; last, as far as there is room, the other metrics
 * before the first exposure, which are not tried each alone: there may be many. */
struct source {
    const char *name; /* NULL: not alone */
    const double *values;
};

static const char itself[] = "the same metric before the first exposure";
static const char all_metrics[] = "all metrics before the first exposure";

static int list_sources(const struct unit_table *table, int metric,
                        struct source sources[CUPED_MAX_COVARIATES])
{
    int n = 0;
    if (table->metrics[metric].before) {
        sources[n++] = (struct source){itself, table->metrics[metric].before};
    }
    for (int c = 0; c < table->covariates.n && n < CUPED_MAX_COVARIATES; c++) {
        sources[n++] =
            (struct source){table->covariates.names[c], table->covariates.values[c]};
    }
    for (int m = 0; m < table->n_metrics && n < CUPED_MAX_COVARIATES; m++) {
        if (m != metric && table->metrics[m].before) {
            sources[n++] = (struct source){NULL, table->metrics[m].before};
        }
    }
    return n;
}

/* Sums of one metric and its covariates, by arm. */
static void add_up(const struct experiment_result *result,
                   const struct unit_table *table, int index,
                   const struct columns *columns, struct cuped_sum *sums)
{
    const struct unit_metric *column = &table->metrics[index];
    memset(sums, 0, (size_t)result->spec->n_arms * sizeof *sums);
    for (int a = 0; a < result->spec->n_arms; a++) {
        sums[a].n_covariates = columns->n;
    }
    for (int i = 0; i < table->n_units; i++) {
        double row[CUPED_MAX_COVARIATES];
        read_row(columns, i, row);
        cuped_sum_add(&sums[table->arm[i]],
                      analysis_x(&result->spec->metrics[index], column, i), row);
    }
}

static int compare(const struct experiment_result *result, const struct cuped_sum *sums,
                   int arm, struct adjustment *to, struct error *error)
{
    const double level = 1 - result->spec->alpha;
    struct cuped_result cuped;
    if (sums[0].n_units == 0 || sums[arm].n_units == 0) {
        return 0;
    }
    if (cuped_compare(&sums[0], &sums[arm], level, ALTERNATIVE_TWO_SIDED, &cuped,
                      error) != 0 ||
        finding_from_effect(cuped.control, cuped.treatment, level,
                            "CUPED, Welch t-test, two-sided", &to->finding,
                            error) != 0) {
        return -1;
    }
    to->variance_reduction = cuped.variance_reduction;
    return 0;
}

/* By all covariates together, and by each alone where there are several. */
static int adjust_metric(struct experiment_result *result,
                         const struct unit_table *table, int index,
                         struct cuped_sum *sums, struct error *error)
{
    struct source sources[CUPED_MAX_COVARIATES];
    const int n_sources = list_sources(table, index, sources);
    for (int s = n_sources > 1 ? 0 : n_sources; s <= n_sources; s++) {
        const bool is_all = s == n_sources;
        struct columns columns = {0};
        if (!is_all && !sources[s].name) {
            continue;
        }
        for (int i = 0; i < n_sources; i++) {
            if (is_all || i == s) {
                add_column(&columns, sources[i].values, table->n_units);
            }
        }
        if (columns.n == 0) {
            continue;
        }
        add_up(result, table, index, &columns, sums);
        for (int a = 1; a < result->spec->n_arms; a++) {
            struct contrast *contrast = &result->metrics[index].contrasts[a - 1];
            struct adjustment one = {.by = is_all ? NULL : sources[s].name,
                                     .finding = contrast->adjusted,
                                     .variance_reduction = NAN};
            if (compare(result, sums, a, &one, error) != 0) {
                return -1;
            }
            if (is_all) {
                contrast->adjusted = one.finding;
                contrast->variance_reduction = one.variance_reduction;
            } else {
                contrast->adjustments[contrast->n_adjustments++] = one;
            }
        }
    }
    return 0;
}

int analysis_adjustments_room(struct analysis *analysis,
                              struct experiment_result *result,
                              const struct unit_table *table, struct error *error)
{
    const size_t n = CUPED_MAX_COVARIATES + (size_t)table->n_segments;
    for (int m = 0; m < result->spec->n_metrics; m++) {
        for (int a = 1; a < result->spec->n_arms; a++) {
            struct contrast *contrast = &result->metrics[m].contrasts[a - 1];
            contrast->adjustments =
                arena_zeroed(&analysis->arena, n, sizeof *contrast->adjustments);
            if (!contrast->adjustments) {
                return analysis_no_memory(result, error);
            }
        }
    }
    return 0;
}

/* Beta(1, 1) for rates; for the rest the flat limit, where the posterior is normal
 * around the estimate. */
static int believe(const struct experiment_result *result,
                   const struct metric_result *metric, struct contrast *contrast,
                   struct error *error)
{
    static const struct beta_prior uniform = {1, 1};
    const struct ratio_sum *c = &metric->arms[0].sum,
                           *t = &metric->arms[contrast->arm].sum;
    struct bayes_proportions answer;
    contrast->belief = (struct belief){NULL, NAN, NAN, NAN, NAN};
    if (metric->spec->kind != ANALYSIS_PROPORTION || c->n_units == 0 ||
        t->n_units == 0) {
        return 0;
    }
    const struct proportion_sample control = {
        (uint64_t)llround(c->mean_x * (double)c->n_units), c->n_units};
    const struct proportion_sample treatment = {
        (uint64_t)llround(t->mean_x * (double)t->n_units), t->n_units};
    if (bayes_proportions(&control, &treatment, uniform, 1 - result->spec->alpha,
                          &answer, error) != 0) {
        return -1;
    }
    const bool is_down = metric->spec->direction < 0;
    contrast->belief = (struct belief){
        "beta-binomial, uniform prior",
        is_down ? 1 - answer.p_better : answer.p_better,
        is_down ? answer.loss_if_control : answer.loss_if_treatment,
        answer.effect.lower,
        answer.effect.upper,
    };
    return 0;
}

int analysis_believe(struct experiment_result *result, struct error *error)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        for (int a = 1; a < result->spec->n_arms; a++) {
            if (believe(result, &result->metrics[m],
                        &result->metrics[m].contrasts[a - 1], error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int name_covariates(struct analysis *analysis, struct experiment_result *result,
                           const struct unit_table *table)
{
    const char *names = NULL;
    for (int m = 0; m < result->spec->n_metrics; m++) {
        if (table->metrics[m].before) {
            names = result->spec->n_metrics > 1 ? all_metrics : itself;
        }
    }
    for (int c = 0; c < table->covariates.n; c++) {
        names = arena_printf(&analysis->arena, "%s%s%s", names ? names : "",
                             names ? ", " : "", table->covariates.names[c]);
        if (!names) {
            return -1;
        }
    }
    result->covariates = names;
    return 0;
}

int analysis_adjust(struct analysis *analysis, struct experiment_result *result,
                    const struct unit_table *table, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    int rc = -1;
    struct cuped_sum *sums = malloc((size_t)spec->n_arms * sizeof *sums);
    if (!sums || name_covariates(analysis, result, table) != 0) {
        analysis_no_memory(result, error);
        goto out;
    }
    if (analysis_believe(result, error) != 0) {
        goto out;
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        const struct analysis_metric *metric = &spec->metrics[m];
        if (analysis_is_of_sums(metric) && metric->kind != ANALYSIS_RATIO &&
            adjust_metric(result, table, m, sums, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(sums);
    return rc;
}
