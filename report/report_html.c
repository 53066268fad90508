/* report_html.c - one file that opens anywhere: no network, no script.
 *
 * Order of reading: verdict, whether to believe it, how large, then all the rest. Same
 * sentences and numbers as the other formats.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "report/html_plot.h"
#include "report/html_style.h"
#include "report/html_text.h"
#include "report/methods.h"
#include "report/report_formats.h"

static const char *verdict_class(enum verdict verdict)
{
    static const char *const classes[] = {"good", "bad", "warn", "bad", "warn"};
    return classes[verdict];
}

static const char *check_class(enum check_status status)
{
    static const char *const classes[] = {"good", "good", "warn", "bad"};
    return classes[status];
}

static void open_table(struct buffer *out, const char *class_name, const char *caption)
{
    buffer_append_text(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
                            "aria-label=\"");
    html_text(out, slice_of(caption));
    buffer_printf(out, "\"><table class=\"%s\"><caption>", class_name);
    html_text(out, slice_of(caption));
    buffer_append_text(out, "</caption>");
}

static void close_table(struct buffer *out)
{
    buffer_append_text(out, "</tbody></table></div>\n");
}

static void cell(struct buffer *out, const char *text, bool is_number)
{
    buffer_append_text(out, is_number ? "<td class=\"num\">" : "<td>");
    html_text(out, slice_of(text));
    buffer_append_text(out, "</td>");
}

static void row_head(struct buffer *out, const char *text)
{
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, slice_of(text));
    buffer_append_text(out, "</th>");
}

/* Heads of columns; a '#' before a head aligns it like numbers. */
static void column_heads(struct buffer *out, const char *const *heads, int n)
{
    buffer_append_text(out, "<thead><tr>");
    for (int i = 0; i < n; i++) {
        const bool is_number = heads[i][0] == '#';
        buffer_append_text(out, is_number ? "<th scope=\"col\" class=\"num\">"
                                          : "<th scope=\"col\">");
        html_text(out, slice_of(heads[i] + is_number));
        buffer_append_text(out, "</th>");
    }
    buffer_append_text(out, "</tr></thead><tbody>");
}

static void write_verdict(struct buffer *out, const struct experiment_result *r)
{
    buffer_printf(out, "<section class=\"verdict %s\" aria-label=\"Verdict\">",
                  verdict_class(r->verdict));
    buffer_printf(out, "<p class=\"stamp\">%s</p><p class=\"headline\">",
                  report_verdict_word(r->verdict));
    html_text(out, slice_of(r->headline));
    buffer_append_text(out, "</p><p><strong>");
    html_text(out, slice_of(r->advice));
    buffer_append_text(out, "</strong></p>");
    if (r->n_reasons) {
        buffer_append_text(out, "<ul>");
        for (int i = 0; i < r->n_reasons; i++) {
            buffer_append_text(out, "<li>");
            html_text(out, slice_of(r->reasons[i]));
            buffer_append_text(out, "</li>");
        }
        buffer_append_text(out, "</ul>");
    }
    buffer_append_text(out, "</section>\n");
}

static void card(struct buffer *out, const char *what, const char *number,
                 const char *more)
{
    buffer_append_text(out, "<li><span class=\"small soft\">");
    html_text(out, slice_of(what));
    buffer_append_text(out, "</span><b>");
    html_text(out, slice_of(number));
    buffer_append_text(out, "</b><span class=\"small\">");
    html_text(out, slice_of(more));
    buffer_append_text(out, "</span></li>");
}

/* The primary metric in four numbers. */
static void write_cards(struct buffer *out, const struct experiment_result *r)
{
    if (r->spec->primary < 0 || r->spec->n_arms < 2) {
        return;
    }
    const struct metric_result *metric = &r->metrics[r->spec->primary];
    const struct contrast *contrast = &metric->contrasts[0];
    for (int a = 1; a < r->spec->n_arms; a++) {
        if (a == r->winner) {
            contrast = &metric->contrasts[a - 1];
        }
    }
    const enum analysis_kind kind = metric->spec->kind;
    char number[NUMBER_TEXT_SIZE], more[2 * REPORT_WORD_SIZE], text[NUMBER_TEXT_SIZE];
    const int arms[] = {0, contrast->arm};
    buffer_append_text(out, "<ul class=\"cards\">");
    for (int i = 0; i < 2; i++) {
        const struct metric_arm *arm = &metric->arms[arms[i]];
        number_text_value(kind, arm->estimate.value, number);
        snprintf(more, sizeof more, "%" PRId64 " units", (int64_t)arm->sum.n_units);
        card(out, r->spec->arms[arms[i]].name, number, more);
    }
    number_text_effect(kind, contrast->fixed.effect_size, number);
    number_text_interval(kind, contrast->fixed.ci_lower, contrast->fixed.ci_upper,
                         text);
    snprintf(more, sizeof more, "%g %% interval %s", 100 * (1 - r->spec->alpha), text);
    card(out, "difference", number, more);
    number_text_relative(contrast->fixed.rel_effect_size, number);
    number_text_p(contrast->fixed.p_value, contrast->fixed.log10_p_value, text);
    card(out, "relative lift", number, text);
    buffer_append_text(out, "</ul>\n");
}

static void write_checks(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Check", "Status", "What was found"};
    buffer_append_text(out, "<h2>Can it be trusted?</h2>");
    open_table(out, "checks", "Trust checks; one that failed withholds the verdict");
    column_heads(out, heads, 3);
    for (int c = 0; c < r->n_checks; c++) {
        const struct check *check = &r->checks[c];
        row_head(out, check->name);
        buffer_printf(out, "<td><span class=\"pill %s\">%s</span></td>",
                      check_class(check->status), check_status_name(check->status));
        buffer_append_text(out, "<td>");
        html_text(out, slice_of(check->detail));
        if (check->method) {
            buffer_append_text(out, " <span class=\"soft small\">(");
            html_text(out, slice_of(check->method));
            buffer_append_text(out, ")</span>");
        }
        buffer_append_text(out, "</td></tr>");
    }
    close_table(out);
}

static struct plot_scale forest_scale(const struct experiment_result *r)
{
    double lower = 0, upper = 0;
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct finding *fixed = &r->metrics[m].contrasts[a - 1].fixed;
            plot_stretch(fixed->rel_effect_size, &lower, &upper);
            plot_stretch(fmax(fixed->rel_ci_lower, -1), &lower, &upper);
            plot_stretch(fmin(fixed->rel_ci_upper, 3), &lower, &upper);
        }
    }
    return plot_scale_of(lower, upper);
}

static void two_lines(struct buffer *out, const char *first, const char *second)
{
    buffer_append_text(out, "<td class=\"num\">");
    html_text(out, slice_of(first));
    buffer_append_text(out, "<br><span class=\"small soft\">");
    html_text(out, slice_of(second));
    buffer_append_text(out, "</span></td>");
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
    snprintf(label, sizeof label, "relative change %s, interval %s to %s", relative,
             lower, upper);
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
    two_lines(out, relative, label);
    number_text_effect(kind, fixed->effect_size, text);
    number_text_interval(kind, fixed->ci_lower, fixed->ci_upper, relative);
    two_lines(out, text, relative);
    number_text_p(fixed->p_value, fixed->log10_p_value, text);
    cell(out, text, true);
    buffer_append_text(out, "</tr>");
}

static void write_forest(struct buffer *out, const struct experiment_result *r)
{
    const struct plot_scale scale = forest_scale(r);
    buffer_append_text(out, "<h2>All metrics</h2>");
    open_table(out, "forest",
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
    close_table(out);
}

static void add_adjusted_row(struct buffer *out, const struct experiment_result *r,
                             const struct metric_result *metric,
                             const struct contrast *contrast)
{
    const enum analysis_kind kind = metric->spec->kind;
    const struct finding *adjusted = &contrast->adjusted;
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    row_head(out, metric->spec->name);
    cell(out, r->spec->arms[contrast->arm].name, false);
    if (adjusted->is_testable) {
        number_text_effect(kind, adjusted->effect_size, effect);
        number_text_interval(kind, adjusted->ci_lower, adjusted->ci_upper, interval);
        number_text_p(adjusted->p_value, adjusted->log10_p_value, p);
        two_lines(out, effect, interval);
        cell(out, p, true);
        snprintf(p, sizeof p, "%.1f %%", 100 * contrast->variance_reduction);
        cell(out, p, true);
    } else {
        buffer_append_text(out, "<td colspan=\"3\" class=\"soft\">");
        html_text(out, slice_of(adjusted->why_not ? adjusted->why_not : ""));
        buffer_append_text(out, "</td>");
    }
    if (contrast->belief.method) {
        snprintf(p, sizeof p, "%.4f", contrast->belief.p_better);
        number_text_effect(kind, contrast->belief.expected_loss, effect);
        cell(out, p, true);
        cell(out, effect, true);
    } else {
        buffer_append_text(out, "<td></td><td></td>");
    }
    buffer_append_text(out, "</tr>");
}

/* Adjusted effects and probabilities: other ways to look at the same data. */
static void write_adjusted(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric",
                                        "Arm",
                                        "#Adjusted difference",
                                        "#p",
                                        "#Variance reduced",
                                        "#P(better)",
                                        "#Expected loss"};
    char caption[256];
    buffer_append_text(out, "<h2>Other ways to look</h2>");
    snprintf(caption, sizeof caption,
             "CUPED adjusts for %.120s; probabilities are beta-binomial with a uniform "
             "prior",
             r->covariates ? r->covariates : "nothing, for nothing was known before");
    open_table(out, "adjusted", caption);
    column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct contrast *contrast = &r->metrics[m].contrasts[a - 1];
            if (contrast->adjusted.is_testable || contrast->belief.method) {
                add_adjusted_row(out, r, &r->metrics[m], contrast);
            }
        }
    }
    close_table(out);
}

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
    cell(out, text, true);
    two_lines(out, effect, finding->is_testable ? interval : finding->why_not);
    number_text_p(group->p_adjusted[arm - 1], log10(group->p_adjusted[arm - 1]), text);
    cell(out, text, true);
    buffer_append_text(out, "</tr>");
}

static void write_segments(struct buffer *out, const struct experiment_result *r)
{
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        double lower = 0, upper = 0;
        char caption[256];
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
        snprintf(
            caption, sizeof caption,
            "%.60s; p corrected by %s for %d groups; do the effects differ between "
            "groups? p = %.4g (Cochran's Q)",
            r->spec->metrics[r->spec->primary].name, segmentation->adjustment,
            segmentation->n_groups, segmentation->interaction_p);
        open_table(out, "forest", caption);
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
        close_table(out);
    }
}

static void write_items(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Lists",       "Arm", "#Control",
                                        "#Difference", "#p",  "Meaning"};
    char text[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE];
    if (r->n_item_metrics == 0) {
        return;
    }
    buffer_append_text(out, "<h2>What the lists were like</h2>");
    open_table(out, "items",
               "Intervals by a delete-a-group jackknife over 16 groups of units");
    column_heads(out, heads, 6);
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct finding *finding = &metric->findings[a - 1];
            row_head(out, metric->name);
            cell(out, r->spec->arms[a].name, false);
            number_text_value(ANALYSIS_MEAN, metric->arms[0].value, text);
            cell(out, text, true);
            number_text_effect(ANALYSIS_MEAN, finding->effect_size, text);
            number_text_interval(ANALYSIS_MEAN, finding->ci_lower, finding->ci_upper,
                                 interval);
            two_lines(out, text, interval);
            number_text_p(finding->p_value, finding->log10_p_value, text);
            cell(out, text, true);
            cell(out, metric->meaning, false);
            buffer_append_text(out, "</tr>");
        }
    }
    close_table(out);
}

static void write_aa(struct buffer *out, const struct experiment_result *r)
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

/* Does the effect last? */
static void write_days(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Day since first exposure", "#Difference",
                                        "#Interval"};
    char text[NUMBER_TEXT_SIZE], caption[256];
    if (r->n_days == 0) {
        return;
    }
    snprintf(caption, sizeof caption,
             "Share of %" PRId64 " units with an event of %.60s on each day, %.60s "
             "against %.60s",
             r->n_days_units, r->spec->metrics[r->spec->primary].name,
             r->spec->arms[1].name, r->spec->arms[0].name);
    buffer_append_text(out, "<h2>Does it last?</h2>");
    open_table(out, "days", caption);
    column_heads(out, heads, 3);
    for (int d = 0; d < r->n_days; d++) {
        snprintf(text, sizeof text, "%d", d);
        row_head(out, text);
        number_text_effect(ANALYSIS_PROPORTION, r->days[d].effect_size, text);
        cell(out, text, true);
        number_text_interval(ANALYSIS_PROPORTION, r->days[d].ci_lower,
                             r->days[d].ci_upper, text);
        cell(out, text, true);
        buffer_append_text(out, "</tr>");
    }
    close_table(out);
}

static void write_series_table(struct buffer *out, const struct experiment_result *r,
                               enum analysis_kind kind, const struct contrast *contrast)
{
    static const char *const heads[] = {"Units exposed before", "#Units", "#Difference",
                                        "#Fixed interval", "#Always-valid interval"};
    char text[NUMBER_TEXT_SIZE], when[REPORT_WORD_SIZE];
    buffer_append_text(out,
                       "<details><summary>The numbers behind the picture</summary>");
    open_table(out, "series", "Effect as units came in");
    column_heads(out, heads, 5);
    for (int i = 0; i < r->n_series; i++) {
        const struct series_point *point = &contrast->series[i];
        report_time(point->ts_us, when);
        row_head(out, when);
        buffer_printf(out, "<td class=\"num\">%" PRId64 "</td>", point->n_units);
        number_text_effect(kind, point->effect_size, text);
        cell(out, text, true);
        number_text_interval(kind, point->ci_lower, point->ci_upper, text);
        cell(out, text, true);
        number_text_interval(kind, point->always_lower, point->always_upper, text);
        cell(out, text, true);
        buffer_append_text(out, "</tr>");
    }
    close_table(out);
    buffer_append_text(out, "</details>");
}

static void write_series(struct buffer *out, const struct experiment_result *r)
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

/* What decides beside the fixed-horizon answer, and how guardrails stand. */
static void write_looks(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric",         "Arm",          "#One look",
                                        "#At every look", "#Corrected p", "Correction",
                                        "Guardrail"};
    char text[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    buffer_append_text(out, "<h2>Looks, questions and guardrails</h2>");
    open_table(
        out, "looks",
        r->spec->sequential
            ? "This experiment is looked at while it runs, so the answer at every "
              "look decides"
            : "One look was planned beforehand, so the answer for one look decides");
    column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        const struct metric_result *metric = &r->metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct contrast *contrast = &metric->contrasts[a - 1];
            const enum analysis_kind kind = metric->spec->kind;
            row_head(out, metric->spec->name);
            cell(out, r->spec->arms[a].name, false);
            number_text_interval(kind, contrast->fixed.ci_lower,
                                 contrast->fixed.ci_upper, text);
            number_text_p(contrast->fixed.p_value, contrast->fixed.log10_p_value, p);
            two_lines(out, text, p);
            number_text_interval(kind, contrast->always.ci_lower,
                                 contrast->always.ci_upper, text);
            number_text_p(contrast->always.p_value, contrast->always.log10_p_value, p);
            two_lines(out, text,
                      contrast->always.is_testable ? p : contrast->always.why_not);
            number_text_p(analysis_decisive_p(r->spec, contrast),
                          log10(analysis_decisive_p(r->spec, contrast)), p);
            cell(out, p, true);
            cell(out, contrast->adjustment, false);
            buffer_append_text(out, "<td>");
            if (contrast->guard.state != GUARD_NONE) {
                buffer_printf(out, "<span class=\"pill %s\">%s</span>",
                              contrast->guard.state == GUARD_BREACHED ? "bad"
                              : contrast->guard.state == GUARD_HOLDS  ? "good"
                                                                      : "warn",
                              guard_state_name(contrast->guard.state));
            }
            buffer_append_text(out, "</td></tr>");
        }
    }
    close_table(out);
}

static void write_metric_arms(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric", "Arm",       "#Units",     "#Total",
                                        "#Value", "#Interval", "Interval by"};
    char text[NUMBER_TEXT_SIZE], lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE];
    buffer_append_text(out, "<h2>Every arm</h2>");
    open_table(out, "arms", "Each metric in each arm");
    column_heads(out, heads, 7);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        const struct metric_result *metric = &r->metrics[m];
        for (int a = 0; a < r->spec->n_arms; a++) {
            const struct metric_arm *arm = &metric->arms[a];
            row_head(out, metric->spec->name);
            cell(out, r->spec->arms[a].name, false);
            buffer_printf(out, "<td class=\"num\">%" PRIu64 "</td>", arm->sum.n_units);
            buffer_printf(out, "<td class=\"num\">%.10g</td>", arm->sum_x);
            number_text_value(metric->spec->kind, arm->estimate.value, text);
            cell(out, text, true);
            number_text_value(metric->spec->kind, arm->ci_lower, lower);
            number_text_value(metric->spec->kind, arm->ci_upper, upper);
            buffer_append_text(out, "<td class=\"num\">");
            html_printf(out, "%s to %s", lower, upper);
            buffer_append_text(out, "</td>");
            cell(out, arm->interval ? arm->interval : "", false);
            buffer_append_text(out, "</tr>");
        }
    }
    close_table(out);
}

static void write_units(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Arm", "#Weight", "#Units", "#Expected",
                                        "#Exposures"};
    buffer_append_text(out, "<h2>Units</h2>");
    open_table(out, "units", "Units by arm against the configured weights");
    column_heads(out, heads, 5);
    for (int a = 0; a < r->spec->n_arms; a++) {
        row_head(out, r->spec->arms[a].name);
        buffer_printf(out,
                      "<td class=\"num\">%g</td><td class=\"num\">%" PRId64
                      "</td><td class=\"num\">%.1f</td><td class=\"num\">%" PRId64
                      "</td></tr>",
                      r->spec->arms[a].weight, r->arm_units[a], r->arm_expected[a],
                      r->arm_exposures[a]);
    }
    close_table(out);
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

static void write_config(struct buffer *out, const struct experiment_result *r)
{
    char when[REPORT_WORD_SIZE];
    report_time(r->spec->config_ts_us, when);
    buffer_append_text(out, "<h2>Config</h2><p>The newest config in the log that has "
                            "this experiment: <code>");
    html_text(out, slice_of(r->spec->config_hash));
    buffer_printf(out, "</code>, first logged %s.</p>", when);
    if (r->spec->config_text) {
        buffer_append_text(out, "<details><summary>Its whole text</summary><pre "
                                "tabindex=\"0\"><code>");
        html_text(out, slice_of(r->spec->config_text));
        buffer_append_text(out, "</code></pre></details>");
    }
}

static void write_experiment(struct buffer *out, const struct experiment_result *r,
                             int index)
{
    char from[REPORT_WORD_SIZE], to[REPORT_WORD_SIZE];
    buffer_printf(out, "<article id=\"experiment-%d\"><h1>", index + 1);
    html_text(out, slice_of(r->spec->name));
    buffer_append_text(out, "</h1>");
    if (r->spec->hypothesis) {
        buffer_append_text(out, "<p class=\"soft\">");
        html_text(out, slice_of(r->spec->hypothesis));
        buffer_append_text(out, "</p>");
    }
    if (r->n_units && r->n_series) {
        report_time(r->first_ts_us, from);
        report_time(r->last_ts_us, to);
        buffer_printf(out, "<p class=\"soft\">%" PRId64 " units, %s to %s, %s</p>",
                      r->n_units, from, to, r->spec->status);
    }
    write_verdict(out, r);
    write_cards(out, r);
    write_checks(out, r);
    write_forest(out, r);
    write_looks(out, r);
    write_series(out, r);
    write_days(out, r);
    write_segments(out, r);
    write_adjusted(out, r);
    write_metric_arms(out, r);
    write_units(out, r);
    write_items(out, r);
    write_aa(out, r);
    if (r->spec->config_ts_us) {
        write_config(out, r);
    }
    buffer_append_text(out, "</article>\n");
}

static void write_methods(struct buffer *out, const struct analysis *analysis)
{
    bool used[64] = {false};
    int n = 0;
    const struct method *methods = methods_all(&n);
    for (int e = 0; e < analysis->n_experiments; e++) {
        methods_mark(&analysis->experiments[e], used);
    }
    buffer_append_text(out, "<h2>Methods</h2><dl>");
    for (int i = 0; i < n && i < 64; i++) {
        if (used[i]) {
            buffer_append_text(out, "<dt>");
            html_text(out, slice_of(methods[i].name));
            buffer_append_text(out, "</dt><dd>");
            html_text(out, slice_of(methods[i].definition));
            buffer_append_text(out, " <a href=\"");
            html_text(out, slice_of(methods[i].url));
            buffer_append_text(out, "\">");
            html_text(out, slice_of(methods[i].source));
            buffer_append_text(out, "</a></dd>");
        }
    }
    buffer_append_text(out, "</dl>");
}

static void write_evidence(struct buffer *out, const struct evidence *e)
{
    buffer_printf(out,
                  "<h2>Evidence</h2><p>%" PRId64 " events in %" PRId64
                  " segments (%" PRId64 " bytes): %" PRId64 " exposures and %" PRId64
                  " feedback events, %" PRId64 " duplicates counted once, %" PRId64
                  " torn last lines, %" PRId64 " damaged places.</p>",
                  e->n_events, e->n_segments, e->n_bytes, e->n_exposures, e->n_feedback,
                  e->n_duplicates, e->n_torn_tails, e->n_damaged);
    if (e->n_damage_listed) {
        buffer_append_text(out, "<ul>");
        for (int d = 0; d < e->n_damage_listed; d++) {
            buffer_append_text(out, "<li><code>");
            html_text(out, slice_of(e->damage[d].file));
            buffer_printf(out, "</code> at byte %" PRId64 ", %" PRId64 " bytes: ",
                          e->damage[d].offset, e->damage[d].size);
            html_text(out, slice_of(e->damage[d].reason));
            buffer_append_text(out, "</li>");
        }
        buffer_append_text(out, "</ul>");
    }
    buffer_printf(
        out,
        "<p>Fingerprint of the distinct events: <code>%016" PRIx64
        "</code>. The same events give the same fingerprint in whatever order "
        "or files they come.</p>",
        e->fingerprint);
}

static void write_contents(struct buffer *out, const struct analysis *analysis)
{
    if (analysis->n_experiments < 2) {
        return;
    }
    buffer_append_text(out, "<nav aria-label=\"Experiments\"><ul>");
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *r = &analysis->experiments[e];
        buffer_printf(out, "<li><a href=\"#experiment-%d\">", e + 1);
        html_text(out, slice_of(r->spec->name));
        buffer_printf(out, "</a>: %s</li>", verdict_name(r->verdict));
    }
    buffer_append_text(out, "</ul></nav>");
}

void report_html(const struct analysis *analysis, struct buffer *out)
{
    buffer_append_text(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
        "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">"
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
        "style-src 'unsafe-inline'\"><title>");
    if (analysis->n_experiments == 1) {
        html_printf(out, "%s: %s", analysis->experiments[0].spec->name,
                    verdict_name(analysis->experiments[0].verdict));
    } else {
        buffer_append_text(out, "Experiments");
    }
    buffer_append_text(out, "</title><style>");
    html_style(out);
    buffer_append_text(out,
                       "</style></head>\n<body><a class=\"skip\" href=\"#main\">Skip "
                       "to the verdict</a><main id=\"main\">");
    write_contents(out, analysis);
    for (int e = 0; e < analysis->n_experiments; e++) {
        write_experiment(out, &analysis->experiments[e], e);
    }
    write_methods(out, analysis);
    if (strcmp(analysis->source, "log") == 0) {
        write_evidence(out, &analysis->evidence);
    }
    buffer_append_text(out, "</main></body></html>\n");
}
