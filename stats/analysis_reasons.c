/* analysis_reasons.c - the sentences that stand under a verdict. */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "stats/analysis_parts.h"
#include "stats/number_text.h"

/* Of control's value: what is worth finding when the config does not say. */
#define DEFAULT_EFFECT 0.05

int analysis_add_reason(struct analysis *analysis, struct experiment_result *result,
                        const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    const char *reason = arena_text(&analysis->arena, slice_of(text));
    if (!reason || result->n_reasons == analysis_reasons_room(result->spec)) {
        return -1;
    }
    result->reasons[result->n_reasons++] = reason;
    return 0;
}

int analysis_reasons_room(const struct analysis_experiment *spec)
{
    return CHECKS_MAX + (spec->n_metrics + 1) * spec->n_arms;
}

double analysis_worth(const struct experiment_result *result,
                      const struct metric_result *primary)
{
    return result->spec->minimum_effect > 0
               ? result->spec->minimum_effect
               : DEFAULT_EFFECT * fabs(primary->arms[0].estimate.value);
}

int analysis_explain_plan(struct analysis *analysis, struct experiment_result *result,
                          const struct metric_result *primary,
                          const struct contrast *contrast)
{
    static const char *const looking[] = {"", ", looked at while it runs",
                                          ", looked at as planned"};
    const struct analysis_experiment *spec = result->spec;
    char worth[NUMBER_TEXT_SIZE], days[64] = "";
    if (isnan(result->units_needed)) {
        return 0;
    }
    if (!isnan(result->days_needed)) {
        snprintf(days, sizeof days, ", so %.0f more day%s at this pace",
                 result->days_needed, result->days_needed == 1 ? "" : "s");
    }
    if (spec->planned_units > 0) {
        return analysis_add_reason(analysis, result,
                                   "%" PRId64 " of the %.0f planned units are there%s",
                                   result->n_units, result->units_needed, days);
    }
    number_text_effect(primary->spec->kind, analysis_worth(result, primary), worth);
    return analysis_add_reason(
        analysis, result,
        "%.0f units in all would find a difference of %s with %g %% power%s%s; %" PRId64
        " are there%s",
        result->units_needed, worth, 100 * ANALYSIS_POWER,
        looking[analysis_decider(spec, contrast)],
        spec->minimum_effect > 0 ? ""
                                 : " (5 % of control, for the config has no "
                                   "minimum_effect)",
        result->n_units, days);
}

int analysis_explain_guardrails(struct analysis *analysis,
                                struct experiment_result *result, int arm)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct metric_result *metric = &result->metrics[m];
        const struct guard *guard = &metric->contrasts[arm - 1].guard;
        if (guard->state != GUARD_NONE &&
            analysis_add_reason(analysis, result, "guardrail %s %s: %s%s%s%s",
                                metric->spec->name, guard_state_name(guard->state),
                                guard->detail, guard->method ? " (" : "",
                                guard->method ? guard->method : "",
                                guard->method ? ")" : "") != 0) {
            return -1;
        }
    }
    return 0;
}

static int explain_loser(struct analysis *analysis, struct experiment_result *result,
                         const struct metric_result *primary, int arm)
{
    const struct analysis_experiment *spec = result->spec;
    const struct contrast *contrast = &primary->contrasts[arm - 1];
    char effect[NUMBER_TEXT_SIZE];
    number_text_effect(primary->spec->kind, contrast->fixed.effect_size, effect);
    return analysis_add_reason(
        analysis, result, "%s loses to %s on %s (%s, p = %.4g): take it out",
        spec->arms[arm].name, spec->arms[0].name, primary->spec->name, effect,
        analysis_decisive_p(spec, contrast));
}

int analysis_explain_others(struct analysis *analysis, struct experiment_result *result,
                            const struct metric_result *primary, int arm)
{
    const struct analysis_experiment *spec = result->spec;
    for (int a = 1; a < spec->n_arms; a++) {
        if (a == arm) {
            continue;
        }
        if (analysis_judge(spec, primary->spec, &primary->contrasts[a - 1]) < 0 &&
            explain_loser(analysis, result, primary, a) != 0) {
            return -1;
        }
        for (int m = 0; m < spec->n_metrics; m++) {
            const struct metric_result *metric = &result->metrics[m];
            const struct guard *guard = &metric->contrasts[a - 1].guard;
            if (guard->state == GUARD_BREACHED &&
                analysis_add_reason(
                    analysis, result, "guardrail %s of %s breached: %s: take it out",
                    metric->spec->name, spec->arms[a].name, guard->detail) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* The answers side by side; those that exist. */
#define MAX_ANSWERS 4
struct answers {
    struct {
        char text[96];
        bool is_shown;
    } items[MAX_ANSWERS];
    int n;
};

static void add_answer(struct answers *answers, const char *name, double p,
                       double alpha)
{
    if (!isnan(p)) {
        snprintf(answers->items[answers->n].text, sizeof answers->items[0].text,
                 "%s (p = %.4g)", name, p);
        answers->items[answers->n++].is_shown = p < alpha;
    }
}

static void list_answers(const struct analysis_experiment *spec,
                         const struct contrast *contrast, struct answers *answers)
{
    const struct planned_looks *planned = &contrast->planned;
    add_answer(answers, "the fixed-horizon test", contrast->p_adjusted, spec->alpha);
    add_answer(answers, "the confidence sequence", contrast->always_p_adjusted,
               spec->alpha);
    add_answer(answers, "mSPRT", contrast->mixture.p_adjusted, spec->alpha);
    if (planned->method && planned->n_reached) {
        snprintf(answers->items[answers->n].text, sizeof answers->items[0].text,
                 "the planned looks (%d of %d reached)", planned->n_reached,
                 planned->n_looks);
        answers->items[answers->n++].is_shown = planned->crossed_at > 0;
    }
}

/* "a, b and c" of those that are (not) shown. */
static void join_answers(const struct answers *answers, bool is_shown, char *text,
                         size_t size)
{
    int n = 0, at = 0;
    size_t len = 0;
    for (int i = 0; i < answers->n; i++) {
        n += answers->items[i].is_shown == is_shown;
    }
    text[0] = '\0';
    for (int i = 0; i < answers->n && len < size; i++) {
        if (answers->items[i].is_shown == is_shown) {
            at++;
            len += (size_t)snprintf(text + len, size - len, "%s%s",
                                    at == 1   ? ""
                                    : at == n ? " and "
                                              : ", ",
                                    answers->items[i].text);
        }
    }
}

static int explain_disagreement(struct analysis *analysis,
                                struct experiment_result *result,
                                const struct contrast *contrast)
{
    static const char *const decides[] = {
        "The config plans a single look, so the fixed-horizon test decides: it is void "
        "if you looked before",
        "The config says that it is looked at while it runs, so the confidence "
        "sequence "
        "decides",
        "The config says how alpha is spent over looks, so their bounds decide",
    };
    struct answers answers = {.n = 0};
    char shown[MAX_ANSWERS * 100], not_shown[MAX_ANSWERS * 100];
    list_answers(result->spec, contrast, &answers);
    join_answers(&answers, true, shown, sizeof shown);
    join_answers(&answers, false, not_shown, sizeof not_shown);
    if (!shown[0] || !not_shown[0]) {
        return 0;
    }
    return analysis_add_reason(
        analysis, result,
        "the answers disagree: a difference is shown by %s, not by %s. %s", shown,
        not_shown, decides[analysis_decider(result->spec, contrast)]);
}

int analysis_explain_peeking(struct analysis *analysis,
                             struct experiment_result *result,
                             const struct contrast *contrast)
{
    const struct planned_looks *planned = &contrast->planned;
    const enum decider decider = analysis_decider(result->spec, contrast);
    if (decider == DECIDER_ALWAYS && !contrast->always.is_testable) {
        return analysis_add_reason(
            analysis, result,
            "%s; until then nothing is decided, because the config says "
            "that this experiment is looked at while it runs",
            contrast->always.why_not);
    }
    if (decider == DECIDER_LOOKS &&
        analysis_add_reason(analysis, result, "%s: %s", planned->method,
                            planned->detail) != 0) {
        return -1;
    }
    return explain_disagreement(analysis, result, contrast);
}

int analysis_explain_family(struct analysis *analysis, struct experiment_result *result,
                            const struct metric_result *primary,
                            const struct contrast *contrast)
{
    const struct analysis_experiment *spec = result->spec;
    const int n_treatments = spec->n_arms - 1;
    if (n_treatments > 1 && analysis_decider(spec, contrast) == DECIDER_LOOKS) {
        if (analysis_add_reason(analysis, result,
                                "%d treatments share alpha: %.4g for each",
                                n_treatments, contrast->planned.alpha) != 0) {
            return -1;
        }
    } else if (contrast->n_family > 1 &&
               analysis_add_reason(analysis, result,
                                   "%s correction for %d treatments: adjusted p = %.4g",
                                   contrast->adjustment, contrast->n_family,
                                   analysis_decisive_p(spec, contrast)) != 0) {
        return -1;
    }
    return primary->spec->direction == 0
               ? analysis_add_reason(
                     analysis, result,
                     "%s has no direction in the config; higher is taken as better",
                     primary->spec->name)
               : 0;
}
