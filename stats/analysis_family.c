/* analysis_family.c - what is asked of every contrast besides the fixed-horizon answer:
 * would it hold at every look, would it hold among so many questions, is a guardrail
 * safe?
 *
 * Families: the treatments on the primary metric are one, all secondary contrasts
 * another, each corrected by itself. Guardrails are not corrected: to miss harm is the
 * worse mistake.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/multiple.h"
#include "stats/noninferiority.h"
#include "stats/number_text.h"
#include "stats/sequential.h"

#define ALWAYS_MIN_UNITS 100 /* in each arm; the guarantee is asymptotic */

double analysis_tuning(const struct analysis_experiment *spec)
{
    return sequential_tune(spec->planned_units > 0 ? spec->planned_units
                                                   : ANALYSIS_PLANNED_UNITS,
                           spec->alpha);
}

struct finding analysis_always(const struct analysis_experiment *spec,
                               const struct finding *fixed,
                               const struct estimate *control,
                               const struct estimate *treatment, uint64_t n_control,
                               uint64_t n_treatment)
{
    struct finding always = finding_none("always-valid answers begin at 100 units an "
                                         "arm");
    const struct sequential_look look = {fixed->effect_size,
                                         sqrt(control->variance + treatment->variance),
                                         (double)(n_control + n_treatment)};
    const double g = analysis_tuning(spec);
    struct interval interval;
    struct tail_p p;
    if (n_control < ALWAYS_MIN_UNITS || n_treatment < ALWAYS_MIN_UNITS) {
        return always;
    }
    if (!fixed->is_testable ||
        sequential_interval(&look, g, 1 - spec->alpha, ALTERNATIVE_TWO_SIDED, &interval,
                            NULL) != 0 ||
        sequential_p(&look, g, ALTERNATIVE_TWO_SIDED, &p, NULL) != 0) {
        always.why_not = fixed->why_not ? fixed->why_not : "the values do not vary";
        return always;
    }
    always.is_testable = true;
    always.why_not = NULL;
    always.test = "always-valid p of the confidence sequence";
    always.statistic_name = "z";
    always.statistic = look.effect_size / look.standard_error;
    always.p_value = p.p_value;
    always.log10_p_value = p.log10_p_value;
    always.effect_size = look.effect_size;
    always.standard_error = look.standard_error;
    always.interval = "asymptotic confidence sequence";
    always.ci_lower = interval.lower;
    always.ci_upper = interval.upper;
    always.rel_effect_size = fixed->rel_effect_size;
    return always;
}

enum decider analysis_decider(const struct analysis_experiment *spec,
                              const struct contrast *contrast)
{
    if (spec->sequential) {
        return DECIDER_ALWAYS;
    }
    if (!spec->has_spending) {
        return DECIDER_FIXED;
    }
    return contrast->planned.method ? DECIDER_LOOKS : DECIDER_ALWAYS;
}

double analysis_decisive_p(const struct analysis_experiment *spec,
                           const struct contrast *contrast)
{
    const struct planned_looks *planned = &contrast->planned;
    switch (analysis_decider(spec, contrast)) {
    case DECIDER_ALWAYS:
        return contrast->always_p_adjusted;
    case DECIDER_LOOKS:
        return planned->n_reached ? planned->looks[planned->n_reached - 1].p_value
                                  : (double)NAN;
    case DECIDER_FIXED:
        break;
    }
    return contrast->p_adjusted;
}

int analysis_judge(const struct analysis_experiment *spec,
                   const struct analysis_metric *metric,
                   const struct contrast *contrast)
{
    const struct planned_looks *planned = &contrast->planned;
    double effect = contrast->fixed.effect_size;
    if (analysis_decider(spec, contrast) == DECIDER_LOOKS) {
        if (planned->crossed_at == 0) {
            return 0;
        }
        effect = planned->looks[planned->crossed_at - 1].effect_size;
    } else if (!(analysis_decisive_p(spec, contrast) < spec->alpha)) {
        return 0;
    }
    const int sign = (effect > 0) - (effect < 0);
    return metric->direction < 0 ? -sign : sign;
}

/* The answers that are corrected, each by itself. */
enum answer { ANSWER_FIXED, ANSWER_ALWAYS, ANSWER_MIXTURE, N_ANSWERS };

static double p_of(const struct contrast *contrast, enum answer answer)
{
    return answer == ANSWER_FIXED    ? contrast->fixed.p_value
           : answer == ANSWER_ALWAYS ? contrast->always.p_value
                                     : contrast->mixture.p_value;
}

static double *adjusted_of(struct contrast *contrast, enum answer answer)
{
    return answer == ANSWER_FIXED    ? &contrast->p_adjusted
           : answer == ANSWER_ALWAYS ? &contrast->always_p_adjusted
                                     : &contrast->mixture.p_adjusted;
}

/* Corrects the p-values of the contrasts in `family` for their number. */
static int correct(struct contrast **family, int n, enum correction correction,
                   enum answer answer, struct error *error)
{
    double *p = calloc((size_t)n + 1, sizeof *p);
    if (!p) {
        error_set(error, ERROR_NOMEM, "no memory to correct %d p-values", n);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        p[i] = p_of(family[i], answer);
    }
    const int n_tested = multiple_count(p, (size_t)n);
    const int rc = multiple_adjust(p, (size_t)n, correction, p, error);
    for (int i = 0; rc == 0 && i < n; i++) {
        *adjusted_of(family[i], answer) = p[i];
        if (answer == ANSWER_FIXED) {
            family[i]->adjustment =
                n_tested > 1 ? correction_name(correction) : "none: one question";
            family[i]->n_family = n_tested;
        }
    }
    free(p);
    return rc;
}

enum correction analysis_correction(enum analysis_correction choice)
{
    static const enum correction corrections[] = {
        [ANALYSIS_HOLM] = CORRECTION_HOLM,
        [ANALYSIS_HOCHBERG] = CORRECTION_HOCHBERG,
        [ANALYSIS_BONFERRONI] = CORRECTION_BONFERRONI,
        [ANALYSIS_BH] = CORRECTION_BH,
        [ANALYSIS_BY] = CORRECTION_BY,
        [ANALYSIS_UNCORRECTED] = CORRECTION_NONE,
    };
    return corrections[choice];
}

static int correct_role(struct experiment_result *result, enum metric_role role,
                        struct error *error)
{
    const int n_treatments = result->spec->n_arms - 1;
    int n = 0;
    struct contrast **family =
        malloc((size_t)(result->spec->n_metrics * n_treatments + 1) *
               sizeof(struct contrast *));
    if (!family) {
        return analysis_no_memory(result, error);
    }
    for (int m = 0; m < result->spec->n_metrics; m++) {
        for (int a = 0; a < n_treatments && result->metrics[m].role == role; a++) {
            family[n++] = &result->metrics[m].contrasts[a];
        }
    }
    const enum correction correction =
        role == ROLE_GUARDRAIL ? CORRECTION_NONE
                               : analysis_correction(result->spec->correction);
    int rc = 0;
    for (int answer = 0; rc == 0 && answer < N_ANSWERS; answer++) {
        rc = correct(family, n, correction, (enum answer)answer, error);
    }
    free(family);
    return rc;
}

/* "its margin of 2 %: one-sided bound +1.3 %", or in the metric's own unit. */
static char *margin_text(struct analysis *analysis, const struct analysis_metric *spec,
                         double bound)
{
    char margin[NUMBER_TEXT_SIZE], reached[NUMBER_TEXT_SIZE];
    if (spec->margin_absolute > 0) {
        number_text_effect(spec->kind, spec->direction * -spec->margin_absolute,
                           margin);
        number_text_effect(spec->kind, bound, reached);
        return arena_printf(&analysis->arena, "its margin of %s: one-sided bound %s",
                            margin, reached);
    }
    number_text_relative(bound, reached);
    return arena_printf(&analysis->arena, "its margin of %g %%: one-sided bound %s",
                        100 * spec->margin, reached);
}

/* Non-inferiority of estimates: one way for every kind of metric. Where the experiment
 * is looked at more than once, the one-sided always-valid p of the same statistic: a
 * guardrail that is asked often enough would hold by chance, too. */
static int test_margin(struct analysis *analysis, struct experiment_result *result,
                       const struct metric_result *metric, struct contrast *contrast,
                       struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const bool is_down = metric->spec->direction < 0;
    const bool is_relative = metric->spec->margin > 0;
    const struct margin margin = {is_relative ? metric->spec->margin
                                              : metric->spec->margin_absolute,
                                  is_relative, is_down ? BETTER_DOWN : BETTER_UP};
    const uint64_t n_control = metric->arms[0].sum.n_units,
                   n_treatment = metric->arms[contrast->arm].sum.n_units;
    struct guard *guard = &contrast->guard;
    struct noninferiority answer;
    char p[NUMBER_TEXT_SIZE];
    if (noninferiority_test(metric->arms[0].estimate,
                            metric->arms[contrast->arm].estimate, margin,
                            1 - spec->alpha, &answer, error) != 0) {
        return -1;
    }
    struct tail_p often = {answer.p_value, answer.log10_p_value};
    guard->method = is_relative ? "non-inferiority test, one-sided, relative margin"
                                : "non-inferiority test, one-sided, absolute margin";
    if (analysis_decider(spec, contrast) != DECIDER_FIXED && answer.is_testable) {
        const struct sequential_look look = {answer.statistic, 1,
                                             (double)(n_control + n_treatment)};
        guard->method =
            is_relative
                ? "non-inferiority test, one-sided, relative margin, always-valid"
                : "non-inferiority test, one-sided, absolute margin, always-valid";
        if (n_control < ALWAYS_MIN_UNITS || n_treatment < ALWAYS_MIN_UNITS) {
            often = (struct tail_p){1, 0};
        } else if (sequential_p(&look, analysis_tuning(spec),
                                is_down ? ALTERNATIVE_LESS : ALTERNATIVE_GREATER,
                                &often, error) != 0) {
            return -1;
        }
    }
    const bool holds = often.p_value < spec->alpha;
    guard->p_value = often.p_value;
    number_text_p(often.p_value, often.log10_p_value, p);
    /* What the margin tolerates may be shown beyond doubt: it is tolerated. */
    if (holds || guard->state != GUARD_BREACHED) {
        guard->state = holds ? GUARD_HOLDS : GUARD_UNCLEAR;
        guard->holds_back = !holds;
    }
    const char *within = margin_text(analysis, metric->spec, answer.bound);
    guard->detail =
        within ? arena_printf(&analysis->arena, "%s %s, %s",
                              holds ? "stays within" : "not shown to stay within",
                              within, p)
               : NULL;
    return guard->detail ? 0 : analysis_no_memory(result, error);
}

/* Every unit of both arms has the same value, so that no number of further units need
 * make a difference testable. */
static bool is_constant(const struct metric_arm *control,
                        const struct metric_arm *treatment)
{
    return control->sum.n_units > 1 && treatment->sum.n_units > 1 &&
           control->estimate.variance == 0 && treatment->estimate.variance == 0 &&
           control->estimate.value == treatment->estimate.value;
}

/* So many events have one value that each arm's quantile has no variance, however many
 * more there will be: of a latency in whole microseconds, say. */
static bool is_tied(const struct metric_result *metric,
                    const struct metric_arm *control,
                    const struct metric_arm *treatment)
{
    return metric->spec->kind == ANALYSIS_QUANTILE && control->estimate.variance == 0 &&
           treatment->estimate.variance == 0;
}

/* How much worse the treatment may be: 0 without a margin. */
static double tolerated(const struct analysis_metric *spec, double control)
{
    return spec->margin > 0 ? spec->margin * fabs(control) : spec->margin_absolute;
}

#define TIED "could not be tested, for events are tied at the quantile; it is "

static void describe_tied(const struct metric_result *metric,
                          const struct metric_arm *control,
                          const struct metric_arm *treatment, struct guard *guard)
{
    const double better =
        metric->spec->direction * (treatment->estimate.value - control->estimate.value);
    guard->holds_back = -better > tolerated(metric->spec, control->estimate.value);
    guard->detail = guard->holds_back ? TIED "worse in the treatment"
                    : better < 0      ? TIED
                        "worse in the treatment by no more than its margin and "
                        "holds nothing back"
                    : better > 0 ? TIED "better in the treatment and holds nothing back"
                                 : TIED "the same in both arms and holds nothing back";
}

static struct guard untestable_guard(const struct metric_result *metric,
                                     const struct contrast *contrast)
{
    const struct metric_arm *control = &metric->arms[0],
                            *treatment = &metric->arms[contrast->arm];
    struct guard guard = {.state = GUARD_UNCLEAR,
                          .margin = metric->spec->margin,
                          .margin_absolute = metric->spec->margin_absolute,
                          .p_value = NAN};
    if (is_tied(metric, control, treatment)) {
        describe_tied(metric, control, treatment, &guard);
    } else if (!is_constant(control, treatment)) {
        guard.holds_back = true;
        guard.detail = "could not be tested: too few units or values yet";
    } else if (control->estimate.value == 0) {
        guard.detail = "could not be tested: not one event was counted in either arm "
                       "(is its name right?); it holds nothing back";
    } else {
        guard.detail = "could not be tested: every unit of both arms has the same "
                       "value; it holds nothing back";
    }
    return guard;
}

static int guard(struct analysis *analysis, struct experiment_result *result,
                 const struct metric_result *metric, struct contrast *contrast,
                 struct error *error)
{
    const int judgement = analysis_judge(result->spec, metric->spec, contrast);
    if (metric->spec->direction == 0) {
        contrast->guard = (struct guard){
            .state = GUARD_UNCLEAR,
            .margin = metric->spec->margin,
            .margin_absolute = metric->spec->margin_absolute,
            .p_value = NAN,
            .detail = "has no direction in the config: harm is not defined",
        };
        return 0;
    }
    if (!contrast->fixed.is_testable) {
        contrast->guard = untestable_guard(metric, contrast);
        return 0;
    }
    contrast->guard = (struct guard){
        .state = judgement < 0 ? GUARD_BREACHED : GUARD_HOLDS,
        .margin = metric->spec->margin,
        .margin_absolute = metric->spec->margin_absolute,
        .p_value = NAN,
        .detail = judgement < 0
                      ? "shown to worsen"
                      : "not shown to worsen (no margin is set, so harmlessness is not "
                        "shown either)",
    };
    if ((metric->spec->margin > 0 || metric->spec->margin_absolute > 0) &&
        test_margin(analysis, result, metric, contrast, error) != 0) {
        return -1;
    }
    result->is_guardrail_breached |= contrast->guard.state == GUARD_BREACHED;
    return 0;
}

int analysis_families(struct analysis *analysis, struct experiment_result *result,
                      struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    for (int m = 0; m < spec->n_metrics; m++) {
        struct metric_result *metric = &result->metrics[m];
        for (int a = 1; a < spec->n_arms; a++) {
            struct contrast *contrast = &metric->contrasts[a - 1];
            contrast->always =
                analysis_always(spec, &contrast->fixed, &metric->arms[0].estimate,
                                &metric->arms[a].estimate, metric->arms[0].sum.n_units,
                                metric->arms[a].sum.n_units);
            mixture_look(
                spec, metric->spec, &contrast->always,
                (int64_t)(metric->arms[0].sum.n_units + metric->arms[a].sum.n_units),
                &contrast->mixture);
        }
    }
    if (correct_role(result, ROLE_PRIMARY, error) != 0 ||
        correct_role(result, ROLE_SECONDARY, error) != 0 ||
        correct_role(result, ROLE_GUARDRAIL, error) != 0) {
        return -1;
    }
    if (analysis_equivalence(result, error) != 0) {
        return -1;
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        struct metric_result *metric = &result->metrics[m];
        for (int a = 1; a < spec->n_arms && metric->role == ROLE_GUARDRAIL; a++) {
            if (guard(analysis, result, metric, &metric->contrasts[a - 1], error) !=
                0) {
                return -1;
            }
        }
    }
    return 0;
}
