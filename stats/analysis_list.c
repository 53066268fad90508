/* analysis_list.c - what the lists of each arm were like, for guardrails that no single
 * metric of the config shows.
 *
 * Three families of questions, each corrected by itself: the items and their repeats,
 * the click rate at each position, the percentiles of the time a list took.
 * The numbers are those of lists.h.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"

enum family { FAMILY_ITEMS, FAMILY_POSITIONS, FAMILY_LATENCY, N_FAMILIES };

#define CLUSTERED LISTS_CLUSTERED ", t-test, two-sided"
#define JACKKNIFE LISTS_JACKKNIFE ", t-test, two-sided"

static struct item_metric *add_metric(struct analysis *analysis,
                                      struct experiment_result *result,
                                      const char *name, const char *meaning, int family)
{
    const size_t n_arms = (size_t)result->spec->n_arms;
    struct arena *arena = &analysis->arena;
    if (!result->item_metrics) {
        result->item_metrics =
            arena_zeroed(arena, LISTS_MAX, sizeof *result->item_metrics);
    }
    if (!result->item_metrics) {
        return NULL;
    }
    struct item_metric *metric = &result->item_metrics[result->n_item_metrics];
    metric->name = name;
    metric->meaning = meaning;
    metric->family = family;
    metric->sampled_1_in = 1;
    metric->arms = arena_zeroed(arena, n_arms, sizeof *metric->arms);
    metric->findings = arena_zeroed(arena, n_arms, sizeof *metric->findings);
    metric->p_adjusted = arena_zeroed(arena, n_arms, sizeof(double));
    if (!metric->arms || !metric->findings || !metric->p_adjusted) {
        return NULL;
    }
    for (size_t a = 0; a < n_arms; a++) {
        metric->arms[a] = (struct estimate){NAN, NAN, NAN};
        metric->findings[a] = finding_none("an arm showed no items");
    }
    result->n_item_metrics++;
    return metric;
}

static int compare(const struct experiment_result *result, struct item_metric *metric,
                   const char *test, struct error *error)
{
    for (int a = 1; a < result->spec->n_arms; a++) {
        if (!isnan(metric->arms[0].value) && !isnan(metric->arms[a].value) &&
            finding_from_effect(metric->arms[0], metric->arms[a],
                                1 - result->spec->alpha, test, &metric->findings[a - 1],
                                error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Coverage, concentration and novelty. */
static int compare_items(struct analysis *analysis, struct experiment_result *result,
                         const struct item_counts *items, struct error *error)
{
    static const char *const texts[LIST_MEASURES][2] = {
        {"coverage", "share of the items shown in any arm that this arm shows"},
        {"concentration",
         "Gini coefficient of showings over items: 0 even, 1 one item"},
        {"novelty", "mean -log2 of an item's share of all showings, in bits"},
    };
    int rc = -1;
    struct estimate *measures =
        calloc((size_t)items->n_arms * LIST_MEASURES, sizeof *measures);
    if (!measures) {
        return analysis_no_memory(result, error);
    }
    if (lists_measure_items(items, measures, error) != 0) {
        goto out;
    }
    for (int m = 0; m < LIST_MEASURES; m++) {
        struct item_metric *metric =
            add_metric(analysis, result, texts[m][0], texts[m][1], FAMILY_ITEMS);
        if (!metric) {
            analysis_no_memory(result, error);
            goto out;
        }
        for (int a = 0; a < items->n_arms; a++) {
            metric->arms[a] = measures[a * LIST_MEASURES + m];
        }
        if (compare(result, metric, JACKKNIFE, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(measures);
    return rc;
}

/* One metric of the ratios that `sums` + offset holds for each arm. */
static int add_ratio(const struct unit_table *table, struct experiment_result *result,
                     struct item_metric *metric, const struct list_sums *sums,
                     int position, struct error *error)
{
    if (!metric) {
        return analysis_no_memory(result, error);
    }
    metric->sampled_1_in = table->lists.shown_1_in;
    for (int a = 0; a < result->spec->n_arms; a++) {
        const struct ratio_sum *sum =
            position < 0 ? &sums[a].repeats : &sums[a].clicks[position];
        if (sum->n_units > 0) {
            metric->arms[a] = ratio_estimate(sum);
        }
    }
    return compare(result, metric, CLUSTERED, error);
}

static bool is_shown_at(const struct experiment_result *result,
                        const struct list_sums *sums, int position)
{
    for (int a = 0; a < result->spec->n_arms; a++) {
        if (sums[a].clicks[position].n_units > 0) {
            return true;
        }
    }
    return false;
}

static int compare_shown(struct analysis *analysis, struct experiment_result *result,
                         const struct unit_table *table, struct error *error)
{
    int rc = -1;
    struct list_sums *sums = calloc((size_t)result->spec->n_arms, sizeof *sums);
    if (!sums) {
        return analysis_no_memory(result, error);
    }
    const int64_t n_answered =
        lists_add_shown(table->lists.shown, table->lists.n_shown, sums);
    if (add_ratio(
            table, result,
            add_metric(
                analysis, result, "repeat rate",
                "share of showings of an item that its user had been shown before",
                FAMILY_ITEMS),
            sums, -1, error) != 0) {
        goto out;
    }
    for (int p = 0; n_answered > 0 && p < LIST_POSITIONS; p++) {
        if (!is_shown_at(result, sums, p)) {
            break;
        }
        const char *name =
            arena_printf(&analysis->arena, "click rate, position %d", p + 1);
        const char *meaning = arena_printf(&analysis->arena,
                                           "share of items shown there that got a "
                                           "\"%s\" event",
                                           result->spec->click);
        if (!name || !meaning) {
            analysis_no_memory(result, error);
            goto out;
        }
        if (add_ratio(table, result,
                      add_metric(analysis, result, name, meaning, FAMILY_POSITIONS),
                      sums, p, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(sums);
    return rc;
}

static int compare_latency(struct analysis *analysis, struct experiment_result *result,
                           const struct unit_table *table, struct error *error)
{
    static const struct {
        double share;
        const char *name;
    } percentiles[] = {
        {0.5, "latency p50"}, {0.95, "latency p95"}, {0.99, "latency p99"}};
    for (size_t i = 0; i < sizeof percentiles / sizeof percentiles[0]; i++) {
        const struct analysis_metric metric = {.name = percentiles[i].name,
                                               .kind = ANALYSIS_QUANTILE,
                                               .quantile = percentiles[i].share};
        struct item_metric *to = add_metric(
            analysis, result, metric.name,
            "percentile of the microseconds a list took to make", FAMILY_LATENCY);
        if (!to) {
            return analysis_no_memory(result, error);
        }
        to->sampled_1_in = table->lists.latency.sampled_1_in;
        for (int a = 0; a < result->spec->n_arms; a++) {
            struct metric_arm arm = {.estimate = {NAN, NAN, NAN}};
            if (analysis_quantile(&metric, &table->lists.latency, table, a, &arm,
                                  error) != 0) {
                return -1;
            }
            to->arms[a] = arm.estimate;
        }
        if (compare(
                result, to,
                "delta method, order statistics, units as clusters, z-test, two-sided",
                error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Corrects every p of one family for the number that could be tested. */
static int correct_family(struct experiment_result *result, int family,
                          struct error *error)
{
    const enum correction correction = analysis_correction(result->spec->correction);
    const int n_treatments = result->spec->n_arms - 1;
    int n = 0;
    double *p =
        calloc((size_t)result->n_item_metrics * (size_t)n_treatments + 1, sizeof *p);
    if (!p) {
        return analysis_no_memory(result, error);
    }
    for (int m = 0; m < result->n_item_metrics; m++) {
        const struct item_metric *metric = &result->item_metrics[m];
        for (int a = 0; metric->family == family && a < n_treatments; a++) {
            p[n++] = metric->findings[a].p_value;
        }
    }
    const int n_tested = multiple_count(p, (size_t)n);
    const int rc = multiple_adjust(p, (size_t)n, correction, p, error);
    n = 0;
    for (int m = 0; m < result->n_item_metrics; m++) {
        struct item_metric *metric = &result->item_metrics[m];
        if (metric->family != family) {
            continue;
        }
        metric->n_family = n_tested;
        metric->adjustment = correction_name(correction);
        for (int a = 0; a < n_treatments; a++) {
            metric->p_adjusted[a] = p[n++];
        }
    }
    free(p);
    return rc;
}

int analysis_lists(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, struct error *error)
{
    const struct unit_lists *lists = &table->lists;
    result->n_items = lists->items.n_items;
    if ((lists->items.n_items > 0 &&
         (compare_items(analysis, result, &lists->items, error) != 0 ||
          compare_shown(analysis, result, table, error) != 0)) ||
        (lists->latency.n_values > 0 &&
         compare_latency(analysis, result, table, error) != 0)) {
        return -1;
    }
    for (int family = 0; family < N_FAMILIES; family++) {
        if (correct_family(result, family, error) != 0) {
            return -1;
        }
    }
    return 0;
}
