/* html_time.c - how the answer came about: day by day, as units came in, and against
 * itself.
 */
#include <inttypes.h>
#include <stdio.h>

#include "report/html_parts.h"
#include "report/html_plot.h"
#include "report/html_sections.h"
#include "report/html_text.h"
#include "report/report_formats.h"

void html_aa(struct buffer *out, const struct experiment_result *r)
{
    if (r->aa.n_splits == 0) {
        return;
    }
    buffer_printf(out,
                  "<h2>A/A self-check</h2><p><span class=\"pill %s\">%s</span> Control "
                  "split at random %d times: p &lt; %g in %.2f&nbsp;%% of them "
                  "(95&nbsp;%% interval %.2f to %.2f&nbsp;%%, Wilson score); p-values "
                  "against the uniform distribution: D = %.4f, p = %.4g "
                  "(Kolmogorov-Smirnov).</p>",
                  r->aa.is_sound ? "good" : "bad",
                  r->aa.is_sound ? "sound" : "not sound", r->aa.n_splits,
                  r->spec->alpha, 100 * r->aa.rate, 100 * r->aa.ci_lower,
                  100 * r->aa.ci_upper, r->aa.ks_statistic, r->aa.ks_p);
}

static void write_days(struct buffer *out, const struct experiment_result *r, int arm)
{
    static const char *const heads[] = {"Day since first exposure", "#Difference",
                                        "#Interval (Wald)"};
    const struct treatment_days *days = &r->days[arm - 1];
    char text[NUMBER_TEXT_SIZE], caption[256];
    snprintf(caption, sizeof caption,
             "Share of %" PRId64 " units with an event of %.60s on each day, %.60s "
             "against %.60s",
             days->n_units, r->spec->metrics[r->spec->primary].name,
             r->spec->arms[arm].name, r->spec->arms[0].name);
    html_table_open(out, "days", caption);
    html_column_heads(out, heads, 3);
    for (int d = 0; d < days->n_days; d++) {
        snprintf(text, sizeof text, "%d", d);
        html_row_head(out, text);
        number_text_effect(ANALYSIS_PROPORTION, days->days[d].effect_size, text);
        html_cell(out, text, true);
        number_text_interval(ANALYSIS_PROPORTION, days->days[d].ci_lower,
                             days->days[d].ci_upper, text);
        html_cell(out, text, true);
        buffer_append_text(out, "</tr>");
    }
    html_table_close(out);
}

/* Does the effect last? */
void html_days(struct buffer *out, const struct experiment_result *r)
{
    bool is_begun = false;
    for (int a = 1; a < r->spec->n_arms && r->days; a++) {
        if (r->days[a - 1].n_days == 0) {
            continue;
        }
        if (!is_begun) {
            buffer_append_text(out, "<h2>Does it last?</h2>");
        }
        is_begun = true;
        write_days(out, r, a);
    }
}

static void write_series_table(struct buffer *out, const struct experiment_result *r,
                               enum analysis_kind kind, const struct contrast *contrast)
{
    static const char *const heads[] = {"Units exposed before", "#Units", "#Difference",
                                        "#Fixed interval", "#Always-valid interval"};
    char text[NUMBER_TEXT_SIZE], when[REPORT_WORD_SIZE];
    buffer_append_text(out,
                       "<details><summary>The numbers behind the picture</summary>");
    html_table_open(out, "series", "Effect as units came in");
    html_column_heads(out, heads, 5);
    for (int i = 0; i < r->n_series; i++) {
        const struct series_point *point = &contrast->series[i];
        report_time(point->ts_us, when);
        html_row_head(out, when);
        buffer_printf(out, "<td class=\"num\">%" PRId64 "</td>", point->n_units);
        number_text_effect(kind, point->effect_size, text);
        html_cell(out, text, true);
        number_text_interval(kind, point->ci_lower, point->ci_upper, text);
        html_cell(out, text, true);
        number_text_interval(kind, point->always_lower, point->always_upper, text);
        html_cell(out, text, true);
        buffer_append_text(out, "</tr>");
    }
    html_table_close(out);
    buffer_append_text(out, "</details>");
}

void html_series(struct buffer *out, const struct experiment_result *r)
{
    if (r->spec->primary < 0 || r->n_series == 0) {
        return;
    }
    const struct metric_result *metric = &r->metrics[r->spec->primary];
    const enum analysis_kind kind = metric->spec->kind;
    char label[256], effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE];
    for (int a = 1; a < r->spec->n_arms && metric->contrasts[0].series; a++) {
        const struct contrast *contrast = &metric->contrasts[a - 1];
        number_text_effect(kind, contrast->fixed.effect_size, effect);
        number_text_interval(kind, contrast->fixed.ci_lower, contrast->fixed.ci_upper,
                             interval);
        snprintf(label, sizeof label,
                 "Difference on %.60s as units came in, ending at %s, interval %s",
                 metric->spec->name, effect, interval);
        buffer_append_text(out, "<h2>How the answer settled: ");
        html_printf(out, "%s, %s against %s", metric->spec->name, r->spec->arms[a].name,
                    r->spec->arms[0].name);
        buffer_append_text(
            out, "</h2><ul class=\"key\"><li><svg viewBox=\"0 0 28 12\" "
                 "aria-hidden=\"true\"><path class=\"line\" d=\"M0 6h28\"/></svg>"
                 "difference</li><li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\">"
                 "<path class=\"band\" d=\"M0 0h28v12h-28z\"/></svg>interval for one "
                 "look</li><li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\"><path "
                 "class=\"always\" d=\"M0 6h28\"/></svg>interval that holds at every "
                 "look</li></ul>");
        plot_series(out, r, kind, contrast, label);
        write_series_table(out, r, kind, contrast);
    }
}

void html_units(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Arm", "#Weight", "#Units", "#Expected",
                                        "#Exposures"};
    buffer_append_text(out, "<h2>Units</h2>");
    html_table_open(out, "units", "Units by arm against the configured weights");
    html_column_heads(out, heads, 5);
    for (int a = 0; a < r->spec->n_arms; a++) {
        html_row_head(out, r->spec->arms[a].name);
        buffer_printf(out,
                      "<td class=\"num\">%g</td><td class=\"num\">%" PRId64
                      "</td><td class=\"num\">%.1f</td><td class=\"num\">%" PRId64
                      "</td></tr>",
                      r->spec->arms[a].weight, r->arm_units[a], r->arm_expected[a],
                      r->arm_exposures[a]);
    }
    html_table_close(out);
    if (r->n_series > 0) {
        char step[REPORT_WORD_SIZE];
        report_window(r->series_step_us, step);
        buffer_printf(out, "<h3>First exposures, in steps of %s</h3><ul class=\"key\">",
                      step);
        for (int a = 0; a < r->spec->n_arms; a++) {
            buffer_printf(out,
                          "<li><svg viewBox=\"0 0 28 12\" aria-hidden=\"true\"><rect "
                          "class=\"arm%d\" width=\"28\" height=\"12\"/></svg>",
                          a % 6);
            html_text(out, slice_of(r->spec->arms[a].name));
            buffer_append_text(out, "</li>");
        }
        buffer_append_text(out, "</ul>");
        plot_enrolment(out, r);
    }
}
