/* analysis_looks.c - what stays valid when an experiment is looked at while it runs,
 * besides the confidence sequence: mSPRT, and the planned looks of a group-sequential
 * design.
 *
 * A planned look is a number of units, not a day on which somebody ran the report: the
 * k-th of K looks compares the first k/K of the planned units, by first exposure, with
 * all that they did since. So the answer may be asked for as often as one likes and
 * changes only when a look is reached, and what was looked at need not be remembered
 * anywhere. Units beyond the plan come too late for it. Treatments share alpha evenly
 * (Bonferroni); guardrails have it whole, for to miss harm is the worse mistake.
 *
 * mSPRT's prior standard deviation tau is the config's minimum_effect on the primary
 * metric; elsewhere the one with which it and the confidence sequence are the same
 * statement, T = V t / g (sequential.h). Its p-value is the smallest at any step of the
 * series, as Johari et al. define it.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/sequential.h"

#define METHOD      "Lan-DeMets group-sequential bounds"
#define ALPHA_POWER 2 /* of the spending function alpha t^2 */

void mixture_look(const struct analysis_experiment *spec,
                  const struct analysis_metric *metric, const struct finding *always,
                  int64_t n_units, struct mixture *mixture)
{
    if (!always->is_testable) {
        return;
    }
    const double n = (double)n_units;
    const struct sequential_look look = {always->effect_size, always->standard_error,
                                         n};
    const bool is_primary =
        spec->primary >= 0 && metric == &spec->metrics[spec->primary];
    const double tau = is_primary && spec->minimum_effect > 0
                           ? spec->minimum_effect
                           : look.standard_error * sqrt(n / analysis_tuning(spec));
    const double log_ratio = sequential_log_mixture_ratio(&look, tau);
    if (!isfinite(log_ratio)) {
        return;
    }
    mixture->method = "mSPRT, normal mixture";
    if (log_ratio > mixture->log_ratio) {
        const struct tail_p p = tail_p_from_log(-log_ratio);
        mixture->tau = tau;
        mixture->log_ratio = log_ratio;
        mixture->p_value = p.p_value;
        mixture->log10_p_value = p.log10_p_value;
        mixture->n_units = n_units;
    }
}

/* Why there are no bounds for this metric; NULL when there are. */
static const char *why_not_planned(const struct experiment_result *result,
                                   const struct metric_result *metric, bool has_order)
{
    const struct analysis_experiment *spec = result->spec;
    if (!(spec->planned_units > 0) || spec->n_looks < 1) {
        return "the config plans no number of units (planned_units)";
    }
    if (!analysis_is_of_sums(metric->spec)) {
        return "there are no bounds for quantiles";
    }
    if (metric->role == ROLE_SECONDARY) {
        return "looks are planned for the primary metric and guardrails";
    }
    if (!(spec->alpha < 0.5)) {
        return "bounds want an alpha below 0.5";
    }
    return has_order ? NULL : "the order in which units came is not known";
}

static double alpha_of(const struct analysis_experiment *spec, enum metric_role role)
{
    return role == ROLE_PRIMARY && spec->correction != ANALYSIS_UNCORRECTED
               ? spec->alpha / (spec->n_arms - 1)
               : spec->alpha;
}

/* The looks of one contrast with their bounds; nothing seen yet. */
static int plan(struct analysis *analysis, const struct experiment_result *result,
                const struct metric_result *metric, struct planned_looks *to,
                struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    double fractions[GROUP_SEQUENTIAL_MAX_LOOKS], bounds[GROUP_SEQUENTIAL_MAX_LOOKS],
        spent[GROUP_SEQUENTIAL_MAX_LOOKS];
    const int n = spec->n_looks < GROUP_SEQUENTIAL_MAX_LOOKS
                      ? spec->n_looks
                      : GROUP_SEQUENTIAL_MAX_LOOKS;
    for (int k = 0; k < n; k++) {
        fractions[k] = (k + 1.0) / n;
    }
    const struct group_sequential_plan design = {
        .fractions = fractions,
        .n_looks = n,
        .alpha = alpha_of(spec, metric->role),
        .spending = spec->has_spending ? spec->spending : SPENDING_OBRIEN_FLEMING,
        .power = ALPHA_POWER,
        .alternative = ALTERNATIVE_TWO_SIDED,
    };
    if (group_sequential_bounds(&design, bounds, spent, error) != 0) {
        return -1;
    }
    to->looks = arena_zeroed(&analysis->arena, (size_t)n, sizeof *to->looks);
    if (!to->looks) {
        return analysis_no_memory(result, error);
    }
    to->method = METHOD;
    to->spending = design.spending == SPENDING_POWER ? "alpha t^2"
                                                     : spending_name(design.spending);
    to->alpha = design.alpha;
    to->n_looks = n;
    for (int k = 0; k < n; k++) {
        to->looks[k] = (struct planned_look){
            .fraction = fractions[k],
            .n_units = (int64_t)ceil(fractions[k] * spec->planned_units),
            .statistic = NAN,
            .p_value = NAN,
            .effect_size = NAN,
            .bound = bounds[k],
            .nominal_p = isinf(bounds[k]) ? 0 : 2 * tail_normal_upper(bounds[k]),
            .spent = spent[k],
        };
    }
    return 0;
}

/* What the units so far say at look k of every treatment. */
static void look(const struct analysis_experiment *spec, struct metric_result *metric,
                 const struct ratio_sum *sums, int k)
{
    const enum analysis_kind kind = metric->spec->kind;
    const struct metric_arm control = {.sum = sums[0],
                                       .estimate = analysis_estimate(kind, &sums[0])};
    for (int a = 1; a < spec->n_arms; a++) {
        struct planned_looks *planned = &metric->contrasts[a - 1].planned;
        struct planned_look *at = &planned->looks[k];
        const struct metric_arm treatment = {
            .sum = sums[a], .estimate = analysis_estimate(kind, &sums[a])};
        struct finding finding;
        planned->n_reached = k + 1;
        at->is_reached = true;
        if (analysis_compare(kind, 1 - spec->alpha, &control, &treatment, &finding,
                             NULL) != 0 ||
            !finding.is_testable) {
            continue;
        }
        at->statistic = finding.statistic;
        at->p_value = finding.p_value;
        at->effect_size = finding.effect_size;
        at->is_crossed = finding.p_value <= at->nominal_p;
        if (at->is_crossed && planned->crossed_at == 0) {
            planned->crossed_at = k + 1;
        }
    }
}

static void look_at_all(const struct experiment_result *result,
                        struct metric_result *metric, const struct unit_table *table,
                        const struct arrival *arrivals, struct ratio_sum *sums)
{
    const struct analysis_experiment *spec = result->spec;
    const struct unit_metric *column = &table->metrics[metric->spec - spec->metrics];
    const struct planned_looks *planned = &metric->contrasts[0].planned;
    int k = 0;
    for (int a = 0; a < spec->n_arms; a++) {
        sums[a] = (struct ratio_sum){0};
    }
    for (int i = 0; i < table->n_units && k < planned->n_looks; i++) {
        const int unit = arrivals[i].unit;
        ratio_sum_add(&sums[table->arm[unit]], analysis_x(metric->spec, column, unit),
                      analysis_y(column, unit));
        while (k < planned->n_looks && planned->looks[k].n_units == i + 1) {
            look(spec, metric, sums, k++);
        }
    }
}

/* The sentence of a report. */
static int describe(struct analysis *analysis, const struct experiment_result *result,
                    struct planned_looks *planned, struct error *error)
{
    const struct planned_look *last =
        planned->n_reached ? &planned->looks[planned->n_reached - 1] : NULL;
    const struct planned_look *next = planned->n_reached < planned->n_looks
                                          ? &planned->looks[planned->n_reached]
                                          : NULL;
    const struct planned_look *crossed =
        planned->crossed_at ? &planned->looks[planned->crossed_at - 1] : NULL;
    char so_far[160] = "none is reached yet", then[80] = "";
    if (crossed) {
        snprintf(so_far, sizeof so_far,
                 "look %d crossed its bound (|%.3f| against %.3f at %" PRId64 " units)",
                 planned->crossed_at, crossed->statistic, crossed->bound,
                 crossed->n_units);
    } else if (last && isnan(last->statistic)) {
        snprintf(so_far, sizeof so_far, "look %d could not be tested",
                 planned->n_reached);
    } else if (last) {
        snprintf(so_far, sizeof so_far,
                 "none crossed its bound (the last: |%.3f| against %.3f at %" PRId64
                 " units)",
                 last->statistic, last->bound, last->n_units);
    }
    if (next) {
        snprintf(then, sizeof then, "; the next is at %" PRId64 " units",
                 next->n_units);
    }
    planned->detail = arena_printf(&analysis->arena, "%d of %d looks reached, %s%s",
                                   planned->n_reached, planned->n_looks, so_far, then);
    return planned->detail ? 0 : analysis_no_memory(result, error);
}

int analysis_looks(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, const struct arrival *arrivals,
                   struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    int rc = -1;
    struct ratio_sum *sums = calloc((size_t)spec->n_arms + 1, sizeof *sums);
    if (!sums) {
        return analysis_no_memory(result, error);
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        struct metric_result *metric = &result->metrics[m];
        const char *why_not = why_not_planned(result, metric, table != NULL);
        for (int a = 1; a < spec->n_arms; a++) {
            struct planned_looks *planned = &metric->contrasts[a - 1].planned;
            planned->why_not = why_not;
            if (!why_not && plan(analysis, result, metric, planned, error) != 0) {
                goto out;
            }
        }
        if (why_not || spec->n_arms < 2) {
            continue;
        }
        look_at_all(result, metric, table, arrivals, sums);
        for (int a = 1; a < spec->n_arms; a++) {
            if (describe(analysis, result, &metric->contrasts[a - 1].planned, error) !=
                0) {
                goto out;
            }
        }
    }
    rc = 0;

out:
    free(sums);
    return rc;
}
