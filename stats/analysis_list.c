/* analysis_list.c - what the lists of each arm were like, for guardrails that no single
 * metric of the config shows.
 *
 * Three families of questions, each corrected by itself: the items and their repeats,
 * the click rate at each position, the percentiles of the time a list took.
 *
 * Repeats and clicks are ratios of sums over a unit's showings, so their variance is
 * the delta method's with units as clusters (ratio.h): showings of one unit are alike.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/analysis_parts.h"
#include "stats/ratio.h"

#define N_POSITIONS 20 /* told apart; deeper ones are not compared */

enum family { FAMILY_ITEMS, FAMILY_POSITIONS, FAMILY_LATENCY, N_FAMILIES };

#define CLUSTERED "delta method with units as clusters, t-test, two-sided"

struct item_metric *analysis_list_metric(struct analysis *analysis,
                                         struct experiment_result *result,
                                         const char *name, const char *meaning,
                                         int family)
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

int analysis_list_compare(const struct experiment_result *result,
                          struct item_metric *metric, const char *test,
                          struct error *error)
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

/* Sums over the units of one arm. */
struct arm_sums {
    struct ratio_sum repeats;
    struct ratio_sum clicks[N_POSITIONS];
};

/* One unit's showings. */
struct unit_count {
    double shown, distinct;
    double at[N_POSITIONS], clicked[N_POSITIONS];
};

static void add_unit(const struct unit_count *count, struct arm_sums *sums)
{
    if (count->shown > 0) {
        ratio_sum_add(&sums->repeats, count->shown - count->distinct, count->shown);
    }
    for (int p = 0; p < N_POSITIONS; p++) {
        if (count->at[p] > 0) {
            ratio_sum_add(&sums->clicks[p], count->clicked[p], count->at[p]);
        }
    }
}

/* Goes through the showings, which are in order of unit, item, request and position, an
 * answer before what it answers to. Returns how many were answered. */
static int64_t count_shown(const struct unit_table *table, struct arm_sums *sums)
{
    const struct unit_lists *lists = &table->lists;
    struct unit_count count = {0};
    int64_t n_answered = 0;
    bool is_answered = false, is_item_shown = false;
    for (int64_t i = 0; i < lists->n_shown; i++) {
        const struct shown_item *at = &lists->shown[i];
        const struct shown_item *last = i > 0 ? at - 1 : NULL;
        if (last && last->unit != at->unit) {
            add_unit(&count, &sums[table->arm[last->unit]]);
            memset(&count, 0, sizeof count);
        }
        const bool is_same_item =
            last && last->unit == at->unit && last->item == at->item;
        is_item_shown &= is_same_item;
        is_answered &= is_same_item && last->request == at->request;
        if (at->position == SHOWN_ANSWER) {
            is_answered = true;
            continue;
        }
        count.shown++;
        count.distinct += !is_item_shown;
        is_item_shown = true;
        n_answered += is_answered;
        if (at->position < N_POSITIONS) {
            count.at[at->position]++;
            count.clicked[at->position] += is_answered;
        }
    }
    if (lists->n_shown > 0) {
        add_unit(&count, &sums[table->arm[lists->shown[lists->n_shown - 1].unit]]);
    }
    return n_answered;
}

/* One metric of the ratios that `sums` + offset holds for each arm. */
static int add_ratio(const struct unit_table *table, struct experiment_result *result,
                     struct item_metric *metric, const struct arm_sums *sums,
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
    return analysis_list_compare(result, metric, CLUSTERED, error);
}

static bool is_shown_at(const struct experiment_result *result,
                        const struct arm_sums *sums, int position)
{
    for (int a = 0; a < result->spec->n_arms; a++) {
        if (sums[a].clicks[position].n_units > 0) {
            return true;
        }
    }
    return false;
}

int analysis_shown(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, struct error *error)
{
    int rc = -1;
    struct arm_sums *sums = calloc((size_t)result->spec->n_arms, sizeof *sums);
    if (!sums) {
        return analysis_no_memory(result, error);
    }
    const int64_t n_answered = count_shown(table, sums);
    if (add_ratio(
            table, result,
            analysis_list_metric(
                analysis, result, "repeat rate",
                "share of showings of an item that its user had been shown before",
                FAMILY_ITEMS),
            sums, -1, error) != 0) {
        goto out;
    }
    for (int p = 0; n_answered > 0 && p < N_POSITIONS; p++) {
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
        if (add_ratio(
                table, result,
                analysis_list_metric(analysis, result, name, meaning, FAMILY_POSITIONS),
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
        struct item_metric *to = analysis_list_metric(
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
        if (analysis_list_compare(
                result, to,
                "delta method, order statistics, units as clusters, z-test, two-sided",
                error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Corrects every p of one family for the number of them. */
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
    const int n_questions = n;
    const int rc = multiple_adjust(p, (size_t)n, correction, p, error);
    n = 0;
    for (int m = 0; m < result->n_item_metrics; m++) {
        struct item_metric *metric = &result->item_metrics[m];
        if (metric->family != family) {
            continue;
        }
        metric->n_family = n_questions;
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
         (analysis_items(analysis, result, &lists->items, error) != 0 ||
          analysis_shown(analysis, result, table, error) != 0)) ||
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
