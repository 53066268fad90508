/* html_groups.c - the primary metric by groups of units, and what the lists were like.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/html_parts.h"
#include "report/html_plot.h"
#include "report/html_sections.h"
#include "report/html_text.h"
#include "report/report_formats.h"

static void add_group_row(struct buffer *out, const struct experiment_result *r,
                          const struct segment_result *group, int arm,
                          struct plot_scale scale)
{
    const enum analysis_kind kind = r->spec->metrics[r->spec->primary].kind;
    const struct finding *finding = &group->findings[arm - 1];
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], text[NUMBER_TEXT_SIZE],
        label[3 * NUMBER_TEXT_SIZE];
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    snprintf(label, sizeof label, "difference %s, interval %s", effect, interval);
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, slice_of(group->group));
    if (r->spec->n_arms > 2) {
        html_printf(out, ": %s", r->spec->arms[arm].name);
    }
    buffer_append_text(out, "</th><td class=\"plot\">");
    plot_interval(out, scale, finding->effect_size, finding->ci_lower,
                  finding->ci_upper, label);
    buffer_printf(out, "</td><td class=\"num\">%" PRId64 "</td>",
                  group->arm_units[0] + group->arm_units[arm]);
    number_text_value(kind, group->arm_value[0], text);
    html_cell(out, text, true);
    html_two_lines(out, effect, finding->is_testable ? interval : finding->why_not);
    number_text_p(group->p_adjusted[arm - 1], log10(group->p_adjusted[arm - 1]), text);
    html_cell(out, text, true);
    buffer_append_text(out, "</tr>");
}

/* Whether the effects of each treatment differ between groups at all. */
static void add_heterogeneity(struct buffer *out, const struct experiment_result *r,
                              const struct segmentation *segmentation)
{
    char p[NUMBER_TEXT_SIZE];
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct heterogeneity *all = &segmentation->heterogeneity[a - 1];
        if (!all->is_testable) {
            continue;
        }
        number_text_p(all->p_value, all->log10_p_value, p);
        buffer_append_text(out, "<li>");
        html_printf(out,
                    "%s: do the effects differ between groups? %s, corrected p = %.4g "
                    "(Cochran's Q; %s)",
                    r->spec->arms[a].name, p, segmentation->p_heterogeneity[a - 1],
                    segmentation->adjustment);
        buffer_append_text(out, "</li>");
    }
}

/* How each later group's effect differs from the first's. */
static void add_differences(struct buffer *out, const struct experiment_result *r,
                            const struct segmentation *segmentation)
{
    const int n_treatments = r->spec->n_arms - 1;
    const enum analysis_kind kind = r->spec->metrics[r->spec->primary].kind;
    buffer_append_text(out, "<ul class=\"small\">");
    for (int i = 0; i < (segmentation->n_groups - 1) * n_treatments; i++) {
        const struct finding *finding = &segmentation->differences[i];
        char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE];
        if (!finding->is_testable) {
            continue;
        }
        number_text_effect(kind, finding->effect_size, effect);
        number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
        buffer_append_text(out, "<li>");
        html_printf(out, "%s, %s less %s: %s, interval %s, corrected p = %.4g (%s; %s)",
                    r->spec->arms[i % n_treatments + 1].name,
                    segmentation->groups[i / n_treatments + 1].group,
                    segmentation->groups[0].group, effect, interval,
                    segmentation->p_differences[i],
                    segmentation->is_experiment ? "interaction of the experiments"
                                                : finding->test,
                    segmentation->adjustment);
        buffer_append_text(out, "</li>");
    }
    add_heterogeneity(out, r, segmentation);
    buffer_append_text(out, "</ul>");
}

void html_segments(struct buffer *out, const struct experiment_result *r)
{
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        double lower = 0, upper = 0;
        char caption[400];
        for (int g = 0; g < segmentation->n_groups; g++) {
            for (int a = 1; a < r->spec->n_arms; a++) {
                plot_stretch(segmentation->groups[g].findings[a - 1].ci_lower, &lower,
                             &upper);
                plot_stretch(segmentation->groups[g].findings[a - 1].ci_upper, &lower,
                             &upper);
            }
        }
        const struct plot_scale scale = plot_scale_of(lower, upper);
        buffer_append_text(out, "<h2>By segment: ");
        html_text(out, slice_of(segmentation->name));
        buffer_append_text(out, "</h2>");
        const struct finding *by = segmentation_method(segmentation, r->spec->n_arms);
        snprintf(caption, sizeof caption,
                 "%.60s%s%.120s%s%.80s; p corrected by %s for %d questions",
                 r->spec->metrics[r->spec->primary].name, by ? "; " : "",
                 by ? by->test : "", by ? "; interval: " : "", by ? by->interval : "",
                 segmentation->adjustment, segmentation->n_questions);
        html_table_open(out, "forest groups", caption);
        buffer_append_text(out, "<thead><tr><th scope=\"col\">Group</th><th "
                                "scope=\"col\" class=\"plot\">Difference</th><th "
                                "scope=\"col\" class=\"num\">Units</th><th "
                                "scope=\"col\" class=\"num\">Control</th><th "
                                "scope=\"col\" class=\"num\">Difference</th><th "
                                "scope=\"col\" class=\"num\">Corrected p</th></tr>"
                                "</thead><tbody>");
        for (int g = 0; g < segmentation->n_groups; g++) {
            for (int a = 1; a < r->spec->n_arms; a++) {
                add_group_row(out, r, &segmentation->groups[g], a, scale);
            }
        }
        html_table_close(out);
        add_differences(out, r, segmentation);
    }
}

static void add_item_row(struct buffer *out, const struct experiment_result *r,
                         const struct item_metric *metric, int arm)
{
    const struct finding *finding = &metric->findings[arm - 1];
    char text[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], correction[80];
    html_row_head(out, metric->name);
    html_cell(out, r->spec->arms[arm].name, false);
    number_text_value(ANALYSIS_MEAN, metric->arms[0].value, text);
    html_cell(out, text, true);
    number_text_effect(ANALYSIS_MEAN, finding->effect_size, text);
    number_text_interval(ANALYSIS_MEAN, finding->ci_lower, finding->ci_upper, interval);
    html_two_lines(out, text, finding->is_testable ? interval : finding->why_not);
    number_text_p(metric->p_adjusted[arm - 1], log10(metric->p_adjusted[arm - 1]),
                  text);
    snprintf(correction, sizeof correction, "%.40s, %d question%s", metric->adjustment,
             metric->n_family, metric->n_family == 1 ? "" : "s");
    html_two_lines(out, text, correction);
    buffer_append_text(out, "<td>");
    html_text(out, slice_of(metric->meaning));
    buffer_append_text(out, "<br><span class=\"small\">");
    html_method(out, finding->test);
    buffer_append_text(out, "</span></td></tr>");
}

void html_items(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Lists",       "Arm",          "#Control",
                                        "#Difference", "#Corrected p", "Meaning"};
    if (r->n_item_metrics == 0) {
        return;
    }
    buffer_append_text(out, "<h2>What the lists were like</h2>");
    html_table_open(out, "items",
                    "Guardrails that no single metric of the config shows");
    html_column_heads(out, heads, 6);
    for (int m = 0; m < r->n_item_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            add_item_row(out, r, &r->item_metrics[m], a);
        }
    }
    html_table_close(out);
}
