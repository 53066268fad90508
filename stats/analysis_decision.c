/* analysis_decision.c - from numbers to what to do.
 *
 * The rule, in this order: a failed trust check withholds the verdict; a treatment that
 * breaches a guardrail is rolled back; one that is worse on the primary metric is
 * rolled back; one that is better is shipped, once nothing holds it back; else it keeps
 * running. Of several treatments the verdict is about the best; what speaks against the
 * others stands among its reasons.
 *
 * What decides is the corrected answer that the config planned for: the always-valid
 * one when it says `sequential`, the bounds of planned looks when it says how alpha is
 * spent, else the fixed-horizon one. That one is valid at a single look, planned
 * beforehand, so with `planned_units` it ships nothing before they are there. Harm is
 * acted on at once in either case.
 *
 * A guardrail holds back what would be shipped while more units may tell: within its
 * margin or not, testable or not. One that no number of units may make testable (every
 * unit of both arms has the same value; no direction is configured) is said and holds
 * nothing back, or it would do so for ever.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stats/analysis_parts.h"
#include "stats/number_text.h"
#include "stats/sequential.h"
#include "stats/tail.h"

#define DAY_US  INT64_C(86400000000)
#define WEEK_US (7 * DAY_US - DAY_US / 2) /* a week but for the hours of a night */

/* The primary metric, one treatment on it, and what is known of that treatment. */
struct candidate {
    const struct metric_result *metric;
    const struct contrast *contrast;
    int judgement;    /* on the primary metric */
    bool is_breached; /* some guardrail is */
    bool is_unclear;  /* some guardrail holds it back */
};

static struct candidate candidate_of(const struct experiment_result *result, int arm)
{
    struct candidate candidate = {.metric = &result->metrics[result->spec->primary]};
    candidate.contrast = &candidate.metric->contrasts[arm - 1];
    candidate.judgement =
        analysis_judge(result->spec, candidate.metric->spec, candidate.contrast);
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct guard *guard = &result->metrics[m].contrasts[arm - 1].guard;
        candidate.is_breached |= guard->state == GUARD_BREACHED;
        candidate.is_unclear |= guard->holds_back;
    }
    return candidate;
}

/* The treatment that the verdict is about: a winner without a breached guardrail, the
 * clearest one; else the one with the clearest answer. */
static struct candidate choose(const struct experiment_result *result)
{
    struct candidate best = candidate_of(result, 1);
    for (int arm = 2; arm < result->spec->n_arms; arm++) {
        const struct candidate next = candidate_of(result, arm);
        const int best_rank = best.is_breached ? -2 : best.judgement;
        const int next_rank = next.is_breached ? -2 : next.judgement;
        if (next_rank > best_rank ||
            (next_rank == best_rank &&
             next.contrast->fixed.log10_p_value < best.contrast->fixed.log10_p_value)) {
            best = next;
        }
    }
    return best;
}

static int give_up(struct analysis *analysis, struct experiment_result *result)
{
    result->verdict = VERDICT_DO_NOT_TRUST;
    result->headline = "Do not trust these numbers: a trust check failed.";
    result->advice =
        "Find and mend the cause, then run the experiment again. No verdict is given.";
    for (int c = 0; c < result->n_checks; c++) {
        if (result->checks[c].status == CHECK_FAILED &&
            analysis_add_reason(analysis, result, "%s: %s", result->checks[c].name,
                                result->checks[c].detail) != 0) {
            return -1;
        }
    }
    return 0;
}

static bool any_check_failed(const struct experiment_result *result)
{
    for (int c = 0; c < result->n_checks; c++) {
        if (result->checks[c].status == CHECK_FAILED) {
            return true;
        }
    }
    return false;
}

static int no_data(struct analysis *analysis, struct experiment_result *result,
                   const char *why)
{
    result->verdict = VERDICT_NO_DATA;
    result->headline =
        arena_printf(&analysis->arena, "Nothing to compare yet: %s.", why);
    result->advice = "Keep it running, or check that the experiment is switched on.";
    return result->headline ? 0 : -1;
}

/* What the headline ends with when planned looks decide. */
static const char *looks_words(const struct analysis_experiment *spec,
                               const struct contrast *contrast)
{
    return analysis_decider(spec, contrast) != DECIDER_LOOKS ? ""
           : contrast->planned.crossed_at ? ", a planned look crossed its bound"
                                          : ", no planned look crossed its bound";
}

static int write_headline(struct analysis *analysis, struct experiment_result *result,
                          const struct candidate *candidate)
{
    const struct analysis_experiment *spec = result->spec;
    const struct metric_result *metric = candidate->metric;
    const struct contrast *contrast = candidate->contrast;
    const bool is_always = analysis_decider(spec, contrast) == DECIDER_ALWAYS &&
                           contrast->always.is_testable;
    const struct finding *finding = is_always ? &contrast->always : &contrast->fixed;
    const enum analysis_kind kind = metric->spec->kind;
    char control[NUMBER_TEXT_SIZE], treatment[NUMBER_TEXT_SIZE],
        effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    number_text_value(kind, metric->arms[contrast->arm].estimate.value, treatment);
    number_text_value(kind, metric->arms[0].estimate.value, control);
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    number_text_p(finding->p_value, finding->log10_p_value, p);
    result->headline = arena_printf(
        &analysis->arena,
        "%s %s %s on %s: %s against %s, %s (%g %% %sinterval %s), %s%s%s.",
        spec->arms[contrast->arm].name,
        candidate->judgement > 0   ? "wins over"
        : candidate->judgement < 0 ? "loses to"
                                   : "is not shown to differ from",
        spec->arms[0].name, metric->spec->name, treatment, control, effect,
        100 * (1 - spec->alpha), is_always ? "always-valid " : "", interval,
        is_always ? "always-valid " : "", p, looks_words(spec, contrast));
    return result->headline ? 0 : -1;
}

/* Standard errors that an effect must be away from 0 to be found with ANALYSIS_POWER,
 * when n units of all arms are looked at by the answer that decides. */
static double reach_at(const struct experiment_result *result,
                       const struct contrast *contrast, double n)
{
    const struct analysis_experiment *spec = result->spec;
    const struct planned_looks *planned = &contrast->planned;
    const enum decider decider = analysis_decider(spec, contrast);
    double critical = tail_normal_critical(1 - spec->alpha, ALTERNATIVE_TWO_SIDED);
    struct interval interval;
    const struct sequential_look look = {0, 1, n};
    if (decider == DECIDER_LOOKS &&
        isfinite(planned->looks[planned->n_looks - 1].bound)) {
        critical = planned->looks[planned->n_looks - 1].bound;
    } else if (decider == DECIDER_ALWAYS &&
               sequential_interval(&look, analysis_tuning(spec), 1 - spec->alpha,
                                   ALTERNATIVE_TWO_SIDED, &interval, NULL) == 0) {
        critical = interval.upper;
    }
    return critical + tail_normal_quantile_upper(1 - ANALYSIS_POWER);
}

/* Units of all arms with which the effect worth finding is found, at the variance seen
 * so far. The always-valid interval's width in standard errors moves slowly with the
 * units, so a few rounds settle it. */
static double units_for(const struct experiment_result *result,
                        const struct contrast *contrast, double worth)
{
    const double n = (double)result->n_units;
    double units = n;
    for (int round = 0; round < 20; round++) {
        const double ratio =
            contrast->fixed.standard_error * reach_at(result, contrast, units) / worth;
        units = fmax(2, n * ratio * ratio);
    }
    return ceil(units);
}

/* How many units the decision needs, and how many more days those are at the pace so
 * far; from sums it is not known how long it took. */
static void plan(struct experiment_result *result, const struct candidate *candidate)
{
    const struct analysis_experiment *spec = result->spec;
    const double worth = analysis_worth(result, candidate->metric);
    const double days =
        (double)result->n_series * (double)result->series_step_us / (double)DAY_US;
    const double n = (double)result->n_units;
    if (!(n > 0)) {
        return;
    }
    if (spec->planned_units > 0) {
        result->units_needed = ceil(spec->planned_units);
    } else if (candidate->contrast->fixed.is_testable && worth > 0) {
        result->units_needed = units_for(result, candidate->contrast, worth);
    } else {
        return;
    }
    if (result->units_needed <= n) {
        result->days_needed = 0;
    } else if (days > 0) {
        result->days_needed = ceil((result->units_needed - n) / (n / days));
    }
}

static bool is_early(const struct experiment_result *result,
                     const struct contrast *contrast)
{
    return analysis_decider(result->spec, contrast) == DECIDER_FIXED &&
           (double)result->n_units < result->spec->planned_units;
}

/* Is what would be shipped held back? Adds the reason when it is. */
static int hold_back(struct analysis *analysis, struct experiment_result *result,
                     const struct candidate *candidate, bool *is_held)
{
    const int64_t ran_us = result->last_ts_us - result->first_ts_us;
    *is_held = false;
    if (candidate->is_unclear) {
        *is_held = true;
        if (analysis_add_reason(analysis, result,
                                "it is better, but not every guardrail is shown to "
                                "hold yet") != 0) {
            return -1;
        }
    }
    if (is_early(result, candidate->contrast)) {
        *is_held = true;
        if (analysis_add_reason(
                analysis, result,
                "it is better, but %" PRId64 " of the %.0f planned units are there: "
                "the answer that decides holds for one look, then (to look before, say "
                "sequential = yes or spending = obrien-fleming)",
                result->n_units, result->units_needed) != 0) {
            return -1;
        }
    }
    if (result->n_series == 0 && result->spec->minimum_time_us > 0) {
        return analysis_add_reason(
            analysis, result,
            "the config wants %.1f days, and sums do not tell how long it ran",
            (double)result->spec->minimum_time_us / (double)DAY_US);
    }
    if (ran_us < result->spec->minimum_time_us && result->n_series > 0) {
        *is_held = true;
        return analysis_add_reason(
            analysis, result,
            "it is better, but ran for %.1f of the %.1f days that the config wants",
            (double)ran_us / (double)DAY_US,
            (double)result->spec->minimum_time_us / (double)DAY_US);
    }
    if (ran_us < WEEK_US && !*is_held && result->n_series > 0) {
        return analysis_add_reason(
            analysis, result,
            "it ran for less than a week (%.1f days): weekdays and "
            "weekends may differ",
            (double)ran_us / (double)DAY_US);
    }
    return 0;
}

static const char *keep_running(struct analysis *analysis,
                                const struct experiment_result *result)
{
    return result->days_needed > 0
               ? arena_printf(&analysis->arena, "Keep it running for %.0f more day%s.",
                              result->days_needed, result->days_needed == 1 ? "" : "s")
               : "Keep it running.";
}

static int advise(struct analysis *analysis, struct experiment_result *result,
                  const struct candidate *candidate)
{
    const char *treatment = result->spec->arms[candidate->contrast->arm].name;
    bool is_held = false;
    if (candidate->is_breached || candidate->judgement < 0) {
        result->verdict = VERDICT_ROLL_BACK;
        result->winner = candidate->is_breached && candidate->judgement >= 0 ? -1 : 0;
        result->advice = arena_printf(
            &analysis->arena, "Roll back to %s%s.", result->spec->arms[0].name,
            candidate->is_breached ? ": a guardrail is breached" : "");
    } else if (candidate->judgement > 0) {
        result->winner = candidate->contrast->arm;
        if (hold_back(analysis, result, candidate, &is_held) != 0) {
            return -1;
        }
        result->verdict = is_held ? VERDICT_KEEP_RUNNING : VERDICT_SHIP;
        result->advice = !is_held
                             ? arena_printf(&analysis->arena, "Ship %s.", treatment)
                         : is_early(result, candidate->contrast)
                             ? keep_running(analysis, result)
                             : "Keep it running until the rest of the rule is met.";
    } else {
        result->verdict = VERDICT_KEEP_RUNNING;
        result->advice =
            result->days_needed > 0 || isnan(result->days_needed)
                ? keep_running(analysis, result)
                : "The planned size is reached without a difference: more time is "
                  "unlikely to show one. Stay with control unless it costs nothing.";
    }
    return result->advice ? 0 : -1;
}

static bool is_any_worse(const struct experiment_result *result)
{
    bool is_worse = false;
    for (int arm = 1; arm < result->spec->n_arms; arm++) {
        is_worse |= candidate_of(result, arm).judgement < 0;
    }
    return is_worse;
}

static int explain(struct analysis *analysis, struct experiment_result *result,
                   const struct candidate *candidate)
{
    const struct contrast *contrast = candidate->contrast;
    if (analysis_explain_peeking(analysis, result, contrast) != 0 ||
        analysis_explain_family(analysis, result, candidate->metric, contrast) != 0 ||
        analysis_explain_guardrails(analysis, result, contrast->arm) != 0 ||
        analysis_explain_others(analysis, result, candidate->metric, contrast->arm) !=
            0) {
        return -1;
    }
    return result->verdict == VERDICT_KEEP_RUNNING
               ? analysis_explain_plan(analysis, result, candidate->metric, contrast)
               : 0;
}

static int decide(struct analysis *analysis, struct experiment_result *result)
{
    const struct analysis_experiment *spec = result->spec;
    int n_arms_seen = 0;
    for (int a = 0; a < spec->n_arms; a++) {
        n_arms_seen += result->arm_units[a] > 0;
    }
    if (any_check_failed(result)) {
        return give_up(analysis, result);
    }
    if (n_arms_seen < 2 || spec->n_arms < 2) {
        return no_data(analysis, result,
                       n_arms_seen ? "only one arm has units"
                                   : "no units were exposed");
    }
    if (spec->primary < 0) {
        return no_data(analysis, result, "the experiment names no primary metric");
    }
    const struct candidate candidate = choose(result);
    const struct contrast *contrast = candidate.contrast;
    plan(result, &candidate);
    result->is_treatment_worse = is_any_worse(result);
    if (!contrast->fixed.is_testable && !candidate.is_breached) {
        result->verdict = VERDICT_KEEP_RUNNING;
        result->headline =
            arena_printf(&analysis->arena, "%s is not testable: %s.",
                         candidate.metric->spec->name, contrast->fixed.why_not);
        result->advice = "Keep it running.";
        return result->headline ? analysis_explain_others(
                                      analysis, result, candidate.metric, contrast->arm)
                                : -1;
    }
    if (write_headline(analysis, result, &candidate) != 0 ||
        advise(analysis, result, &candidate) != 0) {
        return -1;
    }
    return explain(analysis, result, &candidate);
}

int analysis_decide(struct analysis *analysis, struct experiment_result *result,
                    struct error *error)
{
    result->units_needed = result->days_needed = NAN;
    result->n_reasons = 0;
    result->winner = -1;
    result->is_treatment_worse = false;
    result->reasons =
        arena_zeroed(&analysis->arena, (size_t)analysis_reasons_room(result->spec),
                     sizeof *result->reasons);
    if (!result->reasons || decide(analysis, result) != 0) {
        return analysis_no_memory(result, error);
    }
    return 0;
}
