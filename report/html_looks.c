/* html_looks.c - what decides beside the fixed-horizon answer, in the HTML report. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/html_parts.h"
#include "report/html_sections.h"
#include "report/html_text.h"
#include "report/report_formats.h"

static void add_looks_row(struct buffer *out, const struct experiment_result *r,
                          const struct metric_result *metric,
                          const struct contrast *contrast)
{
    char text[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    const enum analysis_kind kind = metric->spec->kind;
    html_row_head(out, metric->spec->name);
    html_cell(out, r->spec->arms[contrast->arm].name, false);
    number_text_interval(kind, contrast->fixed.ci_lower, contrast->fixed.ci_upper,
                         text);
    number_text_p(contrast->fixed.p_value, contrast->fixed.log10_p_value, p);
    html_two_lines(out, text, p);
    number_text_interval(kind, contrast->always.ci_lower, contrast->always.ci_upper,
                         text);
    number_text_p(contrast->always.p_value, contrast->always.log10_p_value, p);
    html_two_lines(out, text,
                   contrast->always.is_testable ? p : contrast->always.why_not);
    number_text_p(contrast->mixture.p_value, contrast->mixture.log10_p_value, p);
    html_cell(out, contrast->mixture.method ? p : "", true);
    number_text_p(analysis_decisive_p(r->spec, contrast),
                  log10(analysis_decisive_p(r->spec, contrast)), p);
    buffer_append_text(out, "<td><span class=\"p\">");
    html_text(out, slice_of(p));
    buffer_append_text(out, "</span><br><span class=\"small soft\">");
    html_printf(out, "%s; ", decider_name(analysis_decider(r->spec, contrast)));
    html_method(out, contrast->adjustment);
    buffer_append_text(out, "</span></td><td>");
    if (contrast->guard.state != GUARD_NONE) {
        buffer_printf(out, "<span class=\"pill %s\">%s</span>",
                      contrast->guard.state == GUARD_BREACHED ? "bad"
                      : contrast->guard.state == GUARD_HOLDS  ? "good"
                                                              : "warn",
                      guard_state_name(contrast->guard.state));
    }
    buffer_append_text(out, "</td></tr>");
}

/* What decides beside the fixed-horizon answer, and how guardrails stand. */
void html_looks(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric",         "Arm",      "#One look",
                                        "#At every look", "#mSPRT p", "Decides",
                                        "Guardrail"};
    buffer_append_text(out, "<h2>Looks, questions and guardrails</h2>");
    html_table_open(
        out, "looks",
        r->spec->sequential
            ? "This experiment is looked at while it runs, so the answer at every "
              "look decides"
        : r->spec->has_spending
            ? "Looks were planned beforehand, so the bounds of their plan decide"
            : "One look was planned beforehand, so the answer for one look decides");
    html_column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        const struct metric_result *metric = &r->metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            add_looks_row(out, r, metric, &metric->contrasts[a - 1]);
        }
    }
    html_table_close(out);
}

static void add_planned_rows(struct buffer *out, const char *what,
                             const struct planned_looks *planned)
{
    for (int k = 0; k < planned->n_looks; k++) {
        const struct planned_look *look = &planned->looks[k];
        char text[NUMBER_TEXT_SIZE];
        html_row_head(out, what);
        buffer_printf(out,
                      "<td class=\"num\">%d</td><td class=\"num\">%" PRId64 "</td>",
                      k + 1, look->n_units);
        snprintf(text, sizeof text, isinf(look->bound) ? "none yet" : "%.4f",
                 look->bound);
        html_cell(out, text, true);
        snprintf(text, sizeof text, "%.4g", look->spent);
        html_cell(out, text, true);
        snprintf(text, sizeof text, isnan(look->statistic) ? "" : "%.4f",
                 look->statistic);
        html_cell(out, text, true);
        html_cell(out,
                  !look->is_reached  ? "not reached yet"
                  : look->is_crossed ? "crossed"
                                     : "not crossed",
                  false);
        buffer_append_text(out, "</tr>");
    }
}

void html_planned(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {
        "Metric", "#Look", "#Units", "#Bound", "#Alpha spent", "#Statistic", "State"};
    const struct planned_looks *planned = NULL;
    char caption[256], what[160];
    for (int m = 0; m < r->spec->n_metrics && r->spec->n_arms > 1 && !planned; m++) {
        if (r->metrics[m].contrasts[0].planned.method) {
            planned = &r->metrics[m].contrasts[0].planned;
        }
    }
    if (!planned) {
        return;
    }
    snprintf(caption, sizeof caption, "%s, %s spending, %.12g units planned",
             planned->method, planned->spending, r->spec->planned_units);
    buffer_append_text(out, "<h2>Planned looks</h2>");
    html_table_open(out, "planned", caption);
    html_column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            snprintf(what, sizeof what, "%.70s, %.70s", r->metrics[m].spec->name,
                     r->spec->arms[a].name);
            add_planned_rows(out, what, &r->metrics[m].contrasts[a - 1].planned);
        }
    }
    html_table_close(out);
}
