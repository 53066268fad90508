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
#include "stats/order.h"
#include "stats/sequential.h"

#define ALWAYS_MIN_UNITS 100 /* in each arm; the guarantee is asymptotic */

int analysis_cap(struct experiment_result *result, struct unit_table *table,
                 struct error *error)
{
    for (int m = 0; m < result->spec->n_metrics; m++) {
        const struct analysis_metric *metric = &result->spec->metrics[m];
        double *values = table->metrics[m].value;
        if (!(metric->cap > 0 && metric->cap < 1) || table->n_units == 0 ||
            (metric->kind != ANALYSIS_MEAN && metric->kind != ANALYSIS_COUNT)) {
            continue;
        }
        double *sorted = malloc((size_t)table->n_units * sizeof *sorted);
        if (!sorted) {
            return analysis_no_memory(result, error);
        }
        for (int i = 0; i < table->n_units; i++) {
            sorted[i] = values[i];
        }
        order_sort(sorted, (uint64_t)table->n_units);
        const double cap =
            order_quantile(sorted, (uint64_t)table->n_units, metric->cap);
        free(sorted);
        for (int i = 0; i < table->n_units; i++) {
            values[i] = fmin(values[i], cap);
        }
    }
    return 0;
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
    const double planned =
        spec->planned_units > 0 ? spec->planned_units : ANALYSIS_PLANNED_UNITS;
    const double g = sequential_tune(planned, spec->alpha);
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

double analysis_decisive_p(const struct analysis_experiment *spec,
                           const struct contrast *contrast)
{
    return spec->sequential ? contrast->always_p_adjusted : contrast->p_adjusted;
}

int analysis_judge(const struct analysis_experiment *spec,
                   const struct analysis_metric *metric,
                   const struct contrast *contrast)
{
    if (!(analysis_decisive_p(spec, contrast) < spec->alpha)) {
        return 0;
    }
    const double effect = contrast->fixed.effect_size;
    const int sign = (effect > 0) - (effect < 0);
    return metric->direction < 0 ? -sign : sign;
}

/* Corrects the p-values of the contrasts in `family` for their number. */
static int correct(struct contrast **family, int n, enum correction correction,
                   bool is_always, struct error *error)
{
    double *p = calloc((size_t)n + 1, sizeof *p);
    if (!p) {
        error_set(error, ERROR_NOMEM, "no memory to correct %d p-values", n);
        return -1;
    }
    for (int i = 0; i < n; i++) {
        p[i] = is_always ? family[i]->always.p_value : family[i]->fixed.p_value;
    }
    const int rc = multiple_adjust(p, (size_t)n, correction, p, error);
    for (int i = 0; rc == 0 && i < n; i++) {
        *(is_always ? &family[i]->always_p_adjusted : &family[i]->p_adjusted) = p[i];
        family[i]->adjustment =
            n > 1 ? correction_name(correction) : "none: one question";
        family[i]->n_family = n;
    }
    free(p);
    return rc;
}

static enum correction correction_of(const struct analysis_experiment *spec,
                                     enum metric_role role)
{
    static const enum correction corrections[] = {
        [ANALYSIS_HOLM] = CORRECTION_HOLM,
        [ANALYSIS_HOCHBERG] = CORRECTION_HOCHBERG,
        [ANALYSIS_BONFERRONI] = CORRECTION_BONFERRONI,
        [ANALYSIS_BH] = CORRECTION_BH,
        [ANALYSIS_BY] = CORRECTION_BY,
        [ANALYSIS_UNCORRECTED] = CORRECTION_NONE,
    };
    return role == ROLE_GUARDRAIL ? CORRECTION_NONE : corrections[spec->correction];
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
    const enum correction correction = correction_of(result->spec, role);
    const int rc = correct(family, n, correction, false, error) != 0 ||
                   correct(family, n, correction, true, error) != 0;
    free(family);
    return rc ? -1 : 0;
}

/* Non-inferiority with a relative margin: of estimates, for score intervals want an
 * absolute one. */
static int test_margin(struct analysis *analysis, struct experiment_result *result,
                       const struct metric_result *metric, struct contrast *contrast,
                       struct error *error)
{
    const struct margin margin = {metric->spec->margin, true,
                                  metric->spec->direction < 0 ? BETTER_DOWN
                                                              : BETTER_UP};
    struct noninferiority answer;
    char bound[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    if (noninferiority_test(metric->arms[0].estimate,
                            metric->arms[contrast->arm].estimate, margin,
                            1 - result->spec->alpha, &answer, error) != 0) {
        return -1;
    }
    contrast->guard.p_value = answer.p_value;
    contrast->guard.method = "non-inferiority test, one-sided, relative margin";
    number_text_relative(answer.bound, bound);
    number_text_p(answer.p_value, answer.log10_p_value, p);
    if (contrast->guard.state != GUARD_BREACHED) {
        contrast->guard.state = answer.holds ? GUARD_HOLDS : GUARD_UNCLEAR;
    }
    contrast->guard.detail =
        arena_printf(&analysis->arena, "%s its margin of %g %%: one-sided bound %s, %s",
                     answer.holds ? "stays within" : "not shown to stay within",
                     100 * metric->spec->margin, bound, p);
    return contrast->guard.detail ? 0 : analysis_no_memory(result, error);
}

static int guard(struct analysis *analysis, struct experiment_result *result,
                 const struct metric_result *metric, struct contrast *contrast,
                 struct error *error)
{
    const int judgement = analysis_judge(result->spec, metric->spec, contrast);
    contrast->guard = (struct guard){
        .state = judgement < 0                 ? GUARD_BREACHED
                 : contrast->fixed.is_testable ? GUARD_HOLDS
                                               : GUARD_UNCLEAR,
        .margin = metric->spec->margin,
        .p_value = NAN,
        .detail =
            judgement < 0 ? "shown to worsen"
            : contrast->fixed.is_testable
                ? "not shown to worsen (no margin is set, so harmlessness is not "
                  "shown either)"
                : "could not be tested: too few units, or values that do not vary",
    };
    if (metric->spec->direction == 0) {
        contrast->guard.state = GUARD_UNCLEAR;
        contrast->guard.detail = "has no direction in the config: harm is not defined";
    } else if (metric->spec->margin > 0 && contrast->fixed.is_testable) {
        if (test_margin(analysis, result, metric, contrast, error) != 0) {
            return -1;
        }
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
        }
    }
    if (correct_role(result, ROLE_PRIMARY, error) != 0 ||
        correct_role(result, ROLE_SECONDARY, error) != 0 ||
        correct_role(result, ROLE_GUARDRAIL, error) != 0) {
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
