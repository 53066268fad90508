/* html_metrics.c - every metric: the forest of intervals, what holds at every look,
 * other ways to look, and each arm by itself.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/html_parts.h"
#include "report/html_plot.h"
#include "report/html_sections.h"
#include "report/html_text.h"
#include "report/report_formats.h"

static struct plot_scale forest_scale(const struct experiment_result *r)
{
    double lower = 0, upper = 0;
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct finding *fixed = &r->metrics[m].contrasts[a - 1].fixed;
            plot_stretch(fixed->rel_effect_size, &lower, &upper);
            if (isfinite(fixed->rel_ci_lower) && isfinite(fixed->rel_ci_upper)) {
                plot_stretch(fmax(fixed->rel_ci_lower, -1), &lower, &upper);
                plot_stretch(fmin(fixed->rel_ci_upper, 3), &lower, &upper);
            }
        }
    }
    return plot_scale_of(lower, upper);
}

static void forest_row(struct buffer *out, const struct experiment_result *r,
                       const struct metric_result *metric,
                       const struct contrast *contrast, struct plot_scale scale)
{
    const struct finding *fixed = &contrast->fixed;
    const enum analysis_kind kind = metric->spec->kind;
    char relative[NUMBER_TEXT_SIZE], lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE],
        text[NUMBER_TEXT_SIZE], label[4 * NUMBER_TEXT_SIZE];
    number_text_relative(fixed->rel_effect_size, relative);
    number_text_relative(fixed->rel_ci_lower, lower);
    number_text_relative(fixed->rel_ci_upper, upper);
    const bool has_interval =
        isfinite(fixed->rel_ci_lower) && isfinite(fixed->rel_ci_upper);
    if (has_interval) {
        snprintf(label, sizeof label, "relative change %s, interval %s to %s", relative,
                 lower, upper);
    } else {
        snprintf(label, sizeof label, "relative change %s, no interval", relative);
    }
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, slice_of(metric->spec->name));
    if (r->spec->n_arms > 2) {
        html_printf(out, ": %s", r->spec->arms[contrast->arm].name);
    }
    buffer_printf(out, "<br><span class=\"small soft\">%s%s</span></th>",
                  metric_role_name(metric->role),
                  metric->spec->direction > 0   ? ", higher is better"
                  : metric->spec->direction < 0 ? ", lower is better"
                                                : "");
    buffer_append_text(out, "<td class=\"plot\">");
    plot_interval(out, scale, fixed->rel_effect_size, fixed->rel_ci_lower,
                  fixed->rel_ci_upper, label);
    buffer_append_text(out, "</td>");
    snprintf(label, sizeof label, "%s to %s", lower, upper);
    html_two_lines(out, relative, has_interval ? label : "no interval");
    number_text_effect(kind, fixed->effect_size, text);
    number_text_interval(kind, fixed->ci_lower, fixed->ci_upper, relative);
    html_two_lines(out, text, relative);
    number_text_p(fixed->p_value, fixed->log10_p_value, text);
    html_cell(out, text, true);
    buffer_append_text(out, "</tr>");
}

void html_forest(struct buffer *out, const struct experiment_result *r)
{
    const struct plot_scale scale = forest_scale(r);
    buffer_append_text(out, "<h2>All metrics</h2>");
    html_table_open(
        out, "forest metrics",
        "Change relative to control with its interval; the dashed line is no "
        "change");
    buffer_append_text(out, "<thead><tr><th scope=\"col\">Metric</th>"
                            "<th scope=\"col\" class=\"plot\">Relative change");
    plot_axis(out, scale);
    buffer_append_text(out,
                       "</th><th scope=\"col\" class=\"num\">Relative</th>"
                       "<th scope=\"col\" class=\"num\">Difference</th>"
                       "<th scope=\"col\" class=\"num\">p</th></tr></thead><tbody>");
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            forest_row(out, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1], scale);
        }
    }
    html_table_close(out);
}

static void adjusted_row(struct buffer *out, const struct experiment_result *r,
                         const struct metric_result *metric, int arm,
                         const struct adjustment *one)
{
    const enum analysis_kind kind = metric->spec->kind;
    const struct finding *finding = &one->finding;
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    html_row_head(out, metric->spec->name);
    html_cell(out, r->spec->arms[arm].name, false);
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    number_text_p(finding->p_value, finding->log10_p_value, p);
    html_two_lines(out, effect, interval);
    html_cell(out, p, true);
    snprintf(p, sizeof p, "%.1f %%", 100 * one->variance_reduction);
    html_cell(out, p, true);
    html_cell(out, one->by, false);
    html_cell(out, finding->test, false);
    buffer_append_text(out, "</tr>");
}

static int adjusted_rows(struct buffer *out, const struct experiment_result *r,
                         const struct metric_result *metric,
                         const struct contrast *contrast)
{
    const struct adjustment all = {r->covariates, contrast->adjusted,
                                   contrast->variance_reduction};
    int n = 0;
    for (int i = -1; i < contrast->n_adjustments; i++) {
        const struct adjustment *one = i < 0 ? &all : &contrast->adjustments[i];
        if (one->finding.is_testable) {
            n++;
            if (out) {
                adjusted_row(out, r, metric, contrast->arm, one);
            }
        }
    }
    return n;
}

/* Rows of every contrast; counted only when `out` is NULL. */
static int for_contrasts(struct buffer *out, const struct experiment_result *r,
                         int (*rows)(struct buffer *, const struct experiment_result *,
                                     const struct metric_result *,
                                     const struct contrast *))
{
    int n = 0;
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            n += rows(out, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1]);
        }
    }
    return n;
}

static int belief_rows(struct buffer *out, const struct experiment_result *r,
                       const struct metric_result *metric,
                       const struct contrast *contrast)
{
    char text[NUMBER_TEXT_SIZE];
    if (contrast->belief.method && out) {
        html_row_head(out, metric->spec->name);
        html_cell(out, r->spec->arms[contrast->arm].name, false);
        snprintf(text, sizeof text, "%.4f", contrast->belief.p_better);
        html_cell(out, text, true);
        number_text_effect(metric->spec->kind, contrast->belief.expected_loss, text);
        html_cell(out, text, true);
        html_cell(out, contrast->belief.method, false);
        buffer_append_text(out, "</tr>");
    }
    return contrast->belief.method != NULL;
}

static int equivalence_rows(struct buffer *out, const struct experiment_result *r,
                            const struct metric_result *metric,
                            const struct contrast *contrast)
{
    const struct equivalence_result *equivalence = &contrast->equivalence;
    char lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE], text[3 * NUMBER_TEXT_SIZE];
    if (equivalence->method && out) {
        html_row_head(out, metric->spec->name);
        html_cell(out, r->spec->arms[contrast->arm].name, false);
        html_cell(out, equivalence->holds ? "shown" : "not shown", false);
        snprintf(text, sizeof text, "\302\261%g %%", 100 * equivalence->margin);
        html_cell(out, text, true);
        number_text_relative(equivalence->ci_lower, lower);
        number_text_relative(equivalence->ci_upper, upper);
        snprintf(text, sizeof text, "%s to %s", lower, upper);
        html_cell(out, text, true);
        number_text_p(equivalence->p_value, log10(equivalence->p_value), lower);
        html_cell(out, lower, true);
        html_cell(out, equivalence->method, false);
        buffer_append_text(out, "</tr>");
    }
    return equivalence->method != NULL;
}

/* Adjusted effects and probabilities: other ways to look at the same data. */
void html_adjusted(struct buffer *out, const struct experiment_result *r)
{
    static const char *const adjusted[] = {
        "Metric", "Arm",   "#Adjusted difference", "#p", "#Variance reduced",
        "For",    "Method"};
    static const char *const beliefs[] = {"Metric", "Arm", "#P(better)",
                                          "#Expected loss", "Method"};
    static const char *const equivalent[] = {
        "Metric", "Arm",   "Equivalent", "#Margin", "#Relative difference",
        "#p",     "Method"};
    buffer_append_text(out, "<h2>Other ways to look</h2>");
    if (for_contrasts(NULL, r, adjusted_rows) > 0) {
        html_table_open(out, "adjusted",
                        "Adjusted for what was known of the units "
                        "before their first exposure");
        html_column_heads(out, adjusted, 7);
        for_contrasts(out, r, adjusted_rows);
        html_table_close(out);
    } else {
        buffer_append_text(out, "<p class=\"soft\">Nothing was known of the units "
                                "before, so nothing could be adjusted for.</p>");
    }
    if (for_contrasts(NULL, r, belief_rows) > 0) {
        html_table_open(out, "adjusted", "As probabilities");
        html_column_heads(out, beliefs, 5);
        for_contrasts(out, r, belief_rows);
        html_table_close(out);
    }
    if (for_contrasts(NULL, r, equivalence_rows) > 0) {
        html_table_open(out, "adjusted",
                        "Does it differ by less than what matters, either way?");
        html_column_heads(out, equivalent, 7);
        for_contrasts(out, r, equivalence_rows);
        html_table_close(out);
    }
}

void html_metric_arms(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric", "Arm",       "#Units",     "#Total",
                                        "#Value", "#Interval", "Interval by"};
    char text[NUMBER_TEXT_SIZE], lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE];
    buffer_append_text(out, "<h2>Every arm</h2>");
    html_table_open(out, "arms", "Each metric in each arm");
    html_column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        const struct metric_result *metric = &r->metrics[m];
        for (int a = 0; a < r->spec->n_arms; a++) {
            const struct metric_arm *arm = &metric->arms[a];
            html_row_head(out, metric->spec->name);
            html_cell(out, r->spec->arms[a].name, false);
            buffer_printf(out, "<td class=\"num\">%" PRIu64 "</td>", arm->sum.n_units);
            buffer_printf(out, "<td class=\"num\">%.10g</td>", arm->sum_x);
            number_text_value(metric->spec->kind, arm->estimate.value, text);
            html_cell(out, text, true);
            number_text_value(metric->spec->kind, arm->ci_lower, lower);
            number_text_value(metric->spec->kind, arm->ci_upper, upper);
            buffer_append_text(out, "<td class=\"num\">");
            if (isfinite(arm->ci_lower) && isfinite(arm->ci_upper)) {
                html_printf(out, "%s to %s", lower, upper);
            }
            buffer_append_text(out, "</td>");
            buffer_append_text(out, "<td>");
            html_method(out, arm->interval);
            buffer_append_text(out, "</td></tr>");
        }
    }
    html_table_close(out);
}
