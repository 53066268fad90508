/* analysis_decision.c - from numbers to what to do, with the reasons.
 *
 * The rule, in this order: a failed trust check withholds the verdict; a treatment that
 * breaches a guardrail is rolled back; one that is worse on the primary metric is
 * rolled back; one that is better is shipped, once its guardrails hold their margins
 * and the shortest run of the config is over; else it keeps running. What decides is
 * the corrected p-value: always-valid when the config says `sequential`, because then
 * it is looked at while it runs, the fixed-horizon one otherwise.
 */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stats/analysis_parts.h"
#include "stats/number_text.h"
#include "stats/tail.h"

#define DAY_US  INT64_C(86400000000)
#define WEEK_US (7 * DAY_US - DAY_US / 2) /* a week but for the hours of a night */
/* Of control's value: what is worth finding when the config does not say. */
#define DEFAULT_EFFECT 0.05

static int add_reason(struct analysis *analysis, struct experiment_result *result,
                      const char *format, ...) PRINTF_LIKE(3, 4);

static int add_reason(struct analysis *analysis, struct experiment_result *result,
                      const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *reason = arena_text(&analysis->arena, slice_of(text));
    if (!reason) {
        return -1;
    }
    if (result->n_reasons < REASONS_MAX) {
        result->reasons[result->n_reasons++] = reason;
    }
    return 0;
}

/* The primary metric, one treatment on it, and what is known of that treatment. */
struct candidate {
    const struct metric_result *metric;
    const struct contrast *contrast;
    int judgement;    /* on the primary metric */
    bool is_breached; /* some guardrail is */
    bool is_unclear;  /* some guardrail was tested against its margin and not shown to
                         hold it; one that could not be tested is a reason to read, but
                         more time need not make it testable, so it holds nothing back */
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
        candidate.is_unclear |= guard->state == GUARD_UNCLEAR && !isnan(guard->p_value);
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
            add_reason(analysis, result, "%s: %s", result->checks[c].name,
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

static int write_headline(struct analysis *analysis, struct experiment_result *result,
                          const struct candidate *candidate)
{
    const struct analysis_experiment *spec = result->spec;
    const struct metric_result *metric = candidate->metric;
    const struct contrast *contrast = candidate->contrast;
    const bool is_always = spec->sequential && contrast->always.is_testable;
    const struct finding *finding = is_always ? &contrast->always : &contrast->fixed;
    const enum analysis_kind kind = metric->spec->kind;
    char control[NUMBER_TEXT_SIZE], treatment[NUMBER_TEXT_SIZE],
        effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    number_text_value(kind, metric->arms[contrast->arm].estimate.value, treatment);
    number_text_value(kind, metric->arms[0].estimate.value, control);
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    number_text_p(finding->p_value, finding->log10_p_value, p);
    result->headline =
        arena_printf(&analysis->arena,
                     "%s %s %s on %s: %s against %s, %s (%g %% %sinterval %s), %s%s.",
                     spec->arms[contrast->arm].name,
                     candidate->judgement > 0   ? "wins over"
                     : candidate->judgement < 0 ? "loses to"
                                                : "is not shown to differ from",
                     spec->arms[0].name, metric->spec->name, treatment, control, effect,
                     100 * (1 - spec->alpha), is_always ? "always-valid " : "",
                     interval, is_always ? "always-valid " : "", p);
    return result->headline ? 0 : -1;
}

/* How many more days until the effect worth finding would be found, at the variance and
 * the pace seen so far. */
static void plan(struct experiment_result *result, const struct candidate *candidate)
{
    const struct analysis_experiment *spec = result->spec;
    const struct finding *fixed = &candidate->contrast->fixed;
    const double control = candidate->metric->arms[0].estimate.value;
    const double worth = spec->minimum_effect > 0 ? spec->minimum_effect
                                                  : DEFAULT_EFFECT * fabs(control);
    const double days = (double)(result->n_series ? result->n_series : 1) *
                        (double)result->series_step_us / (double)DAY_US;
    const double reach = tail_normal_critical(1 - spec->alpha, ALTERNATIVE_TWO_SIDED) +
                         tail_normal_quantile_upper(1 - ANALYSIS_POWER);
    if (!fixed->is_testable || !(worth > 0) || !(days > 0)) {
        return;
    }
    if (result->n_series == 0) {
        return; /* from sums: how long it took is not known */
    }
    const double ratio = fixed->standard_error * reach / worth;
    const double n = (double)result->n_units;
    result->units_needed = ceil(n * ratio * ratio);
    result->days_needed = fmax(0, ceil((result->units_needed - n) / (n / days)));
}

static int explain_plan(struct analysis *analysis, struct experiment_result *result,
                        const struct candidate *candidate)
{
    const struct analysis_experiment *spec = result->spec;
    char worth[NUMBER_TEXT_SIZE];
    if (isnan(result->units_needed)) {
        return 0;
    }
    number_text_effect(candidate->metric->spec->kind,
                       spec->minimum_effect > 0
                           ? spec->minimum_effect
                           : DEFAULT_EFFECT *
                                 fabs(candidate->metric->arms[0].estimate.value),
                       worth);
    return add_reason(
        analysis, result,
        "%.0f units in all would find a difference of %s with %g %% power%s; %" PRId64
        " are there, so %.0f more day%s at this pace",
        result->units_needed, worth, 100 * ANALYSIS_POWER,
        spec->minimum_effect > 0 ? ""
                                 : " (5 % of control, for the config has no "
                                   "minimum_effect)",
        result->n_units, result->days_needed, result->days_needed == 1 ? "" : "s");
}

static int explain_guardrails(struct analysis *analysis,
                              struct experiment_result *result, int arm)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct metric_result *metric = &result->metrics[m];
        const struct guard *guard = &metric->contrasts[arm - 1].guard;
        if (guard->state != GUARD_NONE &&
            add_reason(analysis, result, "guardrail %s %s: %s", metric->spec->name,
                       guard_state_name(guard->state), guard->detail) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Says which p decided and, where the two ways of looking disagree, why. */
static int explain_peeking(struct analysis *analysis, struct experiment_result *result,
                           const struct contrast *contrast)
{
    const struct analysis_experiment *spec = result->spec;
    const bool fixed = contrast->p_adjusted < spec->alpha;
    const bool always = contrast->always_p_adjusted < spec->alpha;
    if (spec->sequential && !contrast->always.is_testable) {
        return add_reason(analysis, result,
                          "%s; until then nothing is decided, because the config says "
                          "that this experiment is looked at while it runs",
                          contrast->always.why_not);
    }
    if (fixed && !always && contrast->always.is_testable) {
        return add_reason(analysis, result,
                          "the two answers disagree: p = %.4g holds for one look "
                          "planned beforehand; at every look together nothing is shown "
                          "yet (always-valid p = %.4g). %s",
                          contrast->p_adjusted, contrast->always_p_adjusted,
                          spec->sequential
                              ? "The config says sequential, so the second decides"
                              : "The config does not say sequential, so the first "
                                "decides: it is void if you looked before");
    }
    return 0;
}

static int explain_family(struct analysis *analysis, struct experiment_result *result,
                          const struct candidate *candidate)
{
    const struct contrast *contrast = candidate->contrast;
    if (contrast->n_family > 1 &&
        add_reason(analysis, result,
                   "%s correction for %d treatments: adjusted p = %.4g",
                   contrast->adjustment, contrast->n_family,
                   analysis_decisive_p(result->spec, contrast)) != 0) {
        return -1;
    }
    if (candidate->metric->spec->direction == 0) {
        return add_reason(
            analysis, result,
            "%s has no direction in the config; higher is taken as better",
            candidate->metric->spec->name);
    }
    return 0;
}

/* Is what would be shipped held back? Adds the reason when it is. */
static int hold_back(struct analysis *analysis, struct experiment_result *result,
                     const struct candidate *candidate, bool *is_held)
{
    const int64_t ran_us = result->last_ts_us - result->first_ts_us;
    *is_held = false;
    if (candidate->is_unclear) {
        *is_held = true;
        if (add_reason(analysis, result,
                       "it is better, but a guardrail is not shown to stay within its "
                       "margin yet") != 0) {
            return -1;
        }
    }
    if (ran_us < result->spec->minimum_time_us && result->n_series > 0) {
        *is_held = true;
        return add_reason(
            analysis, result,
            "it is better, but ran for %.1f of the %.1f days that the config wants",
            (double)ran_us / (double)DAY_US,
            (double)result->spec->minimum_time_us / (double)DAY_US);
    }
    if (ran_us < WEEK_US && !*is_held && result->n_series > 0) {
        return add_reason(analysis, result,
                          "it ran for less than a week (%.1f days): weekdays and "
                          "weekends may differ",
                          (double)ran_us / (double)DAY_US);
    }
    return 0;
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
        result->advice = is_held
                             ? "Keep it running until the rest of the rule is met."
                             : arena_printf(&analysis->arena, "Ship %s.", treatment);
    } else {
        result->verdict = VERDICT_KEEP_RUNNING;
        result->advice =
            result->days_needed > 0
                ? arena_printf(&analysis->arena, "Keep it running for %.0f more day%s.",
                               result->days_needed, result->days_needed == 1 ? "" : "s")
            : isnan(result->days_needed)
                ? "Keep it running."
                : "The planned size is reached without a difference: more time is "
                  "unlikely to show one. Stay with control unless it costs nothing.";
    }
    return result->advice ? 0 : -1;
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
    if (!contrast->fixed.is_testable && !candidate.is_breached) {
        result->verdict = VERDICT_KEEP_RUNNING;
        result->headline =
            arena_printf(&analysis->arena, "%s is not testable: %s.",
                         candidate.metric->spec->name, contrast->fixed.why_not);
        result->advice = "Keep it running.";
        return result->headline ? 0 : -1;
    }
    if (write_headline(analysis, result, &candidate) != 0 ||
        advise(analysis, result, &candidate) != 0 ||
        explain_peeking(analysis, result, contrast) != 0 ||
        explain_family(analysis, result, &candidate) != 0 ||
        explain_guardrails(analysis, result, contrast->arm) != 0) {
        return -1;
    }
    return result->verdict == VERDICT_KEEP_RUNNING && candidate.judgement == 0
               ? explain_plan(analysis, result, &candidate)
               : 0;
}

int analysis_decide(struct analysis *analysis, struct experiment_result *result,
                    struct error *error)
{
    result->units_needed = result->days_needed = NAN;
    result->reasons =
        arena_zeroed(&analysis->arena, REASONS_MAX, sizeof *result->reasons);
    if (!result->reasons || decide(analysis, result) != 0) {
        return analysis_no_memory(result, error);
    }
    return 0;
}
