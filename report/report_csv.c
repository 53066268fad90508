/* report_csv.c - one line per metric and treatment (RFC 4180), for spreadsheets. */
#include <math.h>
#include <string.h>

#include "common/json_text.h"
#include "report/report_formats.h"

static void text_field(struct buffer *out, const char *text)
{
    if (!text) {
        return;
    }
    if (!strpbrk(text, ",\"\r\n")) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"') {
            buffer_append_char(out, '"');
        }
        buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
}

/* NAN is an empty field. */
static void number_field(struct buffer *out, double value)
{
    buffer_append_char(out, ',');
    if (isfinite(value)) {
        json_append_double(out, value);
    }
}

static void write_contrast(struct buffer *out, const struct experiment_result *r,
                           const struct metric_result *metric,
                           const struct contrast *contrast)
{
    const struct metric_arm *control = &metric->arms[0];
    const struct metric_arm *treatment = &metric->arms[contrast->arm];
    const struct finding *fixed = &contrast->fixed;
    const char *const texts[] = {
        r->spec->name,
        verdict_name(r->verdict),
        metric->spec->name,
        metric_role_name(metric->role),
        analysis_kind_name(metric->spec->kind),
        r->spec->arms[0].name,
        r->spec->arms[contrast->arm].name,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (i > 0) {
            buffer_append_char(out, ',');
        }
        text_field(out, texts[i]);
    }
    const double numbers[] = {
        (double)control->sum.n_units,
        control->sum_x,
        control->estimate.value,
        (double)treatment->sum.n_units,
        treatment->sum_x,
        treatment->estimate.value,
        fixed->effect_size,
        fixed->ci_lower,
        fixed->ci_upper,
        fixed->rel_effect_size,
        fixed->rel_ci_lower,
        fixed->rel_ci_upper,
        fixed->statistic,
        fixed->p_value,
        contrast->p_adjusted,
        contrast->always.ci_lower,
        contrast->always.ci_upper,
        contrast->always_p_adjusted,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        number_field(out, numbers[i]);
    }
    buffer_append_char(out, ',');
    text_field(out, fixed->is_testable ? fixed->test : fixed->why_not);
    buffer_append_char(out, ',');
    text_field(out, fixed->interval);
    buffer_append_char(out, ',');
    text_field(out, contrast->adjustment);
    buffer_append_char(out, ',');
    text_field(out, contrast->guard.state == GUARD_NONE
                        ? NULL
                        : guard_state_name(contrast->guard.state));
    buffer_append_char(out, ',');
    text_field(out, decider_name(analysis_decider(r->spec, contrast)));
    number_field(out, contrast->mixture.p_adjusted);
    number_field(out,
                 contrast->planned.method ? contrast->planned.n_reached : (double)NAN);
    number_field(out, contrast->planned.crossed_at ? contrast->planned.crossed_at
                                                   : (double)NAN);
    buffer_append_text(out, "\r\n");
}

void report_csv(const struct analysis *analysis, struct buffer *out)
{
    buffer_append_text(
        out, "experiment,verdict,metric,role,kind,control,treatment,control_n,"
             "control_total,control_value,treatment_n,treatment_total,treatment_value,"
             "effect_size,ci_lower,ci_upper,rel_effect_size,rel_ci_lower,rel_ci_upper,"
             "statistic,p_value,p_adjusted,always_valid_lower,always_valid_upper,"
             "always_valid_p_adjusted,test,interval,correction,guardrail,"
             "decided_by,msprt_p_adjusted,looks_reached,crossed_at_look\r\n");
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *r = &analysis->experiments[e];
        for (int m = 0; m < r->spec->n_metrics; m++) {
            for (int a = 1; a < r->spec->n_arms; a++) {
                write_contrast(out, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1]);
            }
        }
    }
}
