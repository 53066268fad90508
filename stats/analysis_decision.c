/* analysis_decision.c - from numbers to what to do, with the reasons. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "stats/analysis_parts.h"
#include "stats/number_text.h"

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
    if (!reason || result->n_reasons == REASONS_MAX) {
        return -1;
    }
    result->reasons[result->n_reasons++] = reason;
    return 0;
}

static int give_up(struct analysis *analysis, struct experiment_result *result)
{
    result->verdict = VERDICT_DO_NOT_TRUST;
    result->headline = arena_printf(
        &analysis->arena, "Do not trust these numbers: a trust check failed.");
    result->advice =
        "Find and mend the cause, then run the experiment again. No verdict is given.";
    for (int c = 0; c < result->n_checks; c++) {
        if (result->checks[c].status == CHECK_FAILED &&
            add_reason(analysis, result, "%s: %s", result->checks[c].name,
                       result->checks[c].detail) != 0) {
            return -1;
        }
    }
    return result->headline ? 0 : -1;
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

/* +1 the treatment is better, -1 worse, 0 not shown. */
static int judge(const struct analysis_metric *metric, const struct finding *finding,
                 double alpha)
{
    if (!finding->is_testable || !(finding->p_value < alpha)) {
        return 0;
    }
    const int sign = (finding->effect_size > 0) - (finding->effect_size < 0);
    return metric->direction < 0 ? -sign : sign;
}

static int write_headline(struct analysis *analysis, struct experiment_result *result,
                          const struct metric_result *metric,
                          const struct contrast *contrast, int judgement)
{
    const struct analysis_experiment *spec = result->spec;
    const char *treatment = spec->arms[contrast->arm].name;
    char rate[2][NUMBER_TEXT_SIZE], effect[NUMBER_TEXT_SIZE],
        interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    const enum analysis_kind kind = metric->spec->kind;
    number_text_value(kind, metric->arms[contrast->arm].estimate.value, rate[1]);
    number_text_value(kind, metric->arms[0].estimate.value, rate[0]);
    number_text_effect(kind, contrast->fixed.effect_size, effect);
    number_text_interval(kind, contrast->fixed.ci_lower, contrast->fixed.ci_upper,
                         interval);
    number_text_p(contrast->fixed.p_value, contrast->fixed.log10_p_value, p);
    const char *verb = judgement > 0   ? "wins over"
                       : judgement < 0 ? "loses to"
                                       : "is not shown to differ from";
    result->headline = arena_printf(
        &analysis->arena, "%s %s %s on %s: %s against %s, %s (%g %% interval %s), %s.",
        treatment, verb, spec->arms[0].name, metric->spec->name, rate[1], rate[0],
        effect, 100 * (1 - spec->alpha), interval, p);
    return result->headline ? 0 : -1;
}

/* The treatment with the strongest evidence decides what the headline is about. */
static const struct contrast *pick_contrast(const struct experiment_result *result,
                                            const struct metric_result *metric)
{
    const struct contrast *best = NULL;
    int best_judgement = 0;
    for (int a = 1; a < result->spec->n_arms; a++) {
        const struct contrast *contrast = &metric->contrasts[a - 1];
        const int judgement =
            judge(metric->spec, &contrast->fixed, result->spec->alpha);
        if (!best || judgement > best_judgement ||
            (judgement == best_judgement &&
             contrast->fixed.log10_p_value < best->fixed.log10_p_value)) {
            best = contrast;
            best_judgement = judgement;
        }
    }
    return best;
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
    const struct metric_result *metric = &result->metrics[spec->primary];
    const struct contrast *contrast = pick_contrast(result, metric);
    const int judgement = judge(metric->spec, &contrast->fixed, spec->alpha);
    if (!contrast->fixed.is_testable) {
        result->verdict = VERDICT_KEEP_RUNNING;
        result->headline = arena_printf(&analysis->arena, "%s is not testable: %s.",
                                        metric->spec->name, contrast->fixed.why_not);
        result->advice = "Keep it running.";
        return result->headline ? 0 : -1;
    }
    result->winner = judgement > 0 ? contrast->arm : judgement < 0 ? 0 : -1;
    result->verdict = judgement > 0   ? VERDICT_SHIP
                      : judgement < 0 ? VERDICT_ROLL_BACK
                                      : VERDICT_KEEP_RUNNING;
    result->advice =
        judgement > 0
            ? arena_printf(&analysis->arena, "Ship %s.", spec->arms[contrast->arm].name)
        : judgement < 0
            ? arena_printf(&analysis->arena, "Roll back to %s.", spec->arms[0].name)
            : "Keep it running: this is not proof of equality either.";
    if (!result->advice ||
        write_headline(analysis, result, metric, contrast, judgement) != 0) {
        return -1;
    }
    if (metric->spec->direction == 0) {
        return add_reason(
            analysis, result,
            "%s has no direction in the config; higher is taken as better",
            metric->spec->name);
    }
    return 0;
}

int analysis_decide(struct analysis *analysis, struct experiment_result *result,
                    struct error *error)
{
    result->reasons =
        arena_zeroed(&analysis->arena, REASONS_MAX, sizeof *result->reasons);
    if (!result->reasons || decide(analysis, result) != 0) {
        return analysis_no_memory(result, error);
    }
    return 0;
}
