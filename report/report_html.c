/* report_html.c - one file that opens anywhere: no network, no script.
 *
 * Order of reading: verdict, whether to believe it, how large, then all the rest. Same
 * sentences and numbers as the other formats.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/html_parts.h"
#include "report/html_sections.h"
#include "report/html_style.h"
#include "report/html_text.h"
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
    html_table_open(out, "checks",
                    "Trust checks; one that failed withholds the verdict");
    html_column_heads(out, heads, 3);
    for (int c = 0; c < r->n_checks; c++) {
        const struct check *check = &r->checks[c];
        html_row_head(out, check->name);
        buffer_printf(out, "<td><span class=\"pill %s\">%s</span></td>",
                      check_class(check->status), check_status_name(check->status));
        buffer_append_text(out, "<td>");
        html_text(out, slice_of(check->detail));
        if (check->method) {
            buffer_append_text(out, " <span class=\"soft small\">(");
            html_method(out, check->method);
            buffer_append_text(out, ")</span>");
        }
        buffer_append_text(out, "</td></tr>");
    }
    html_table_close(out);
}

static void write_config(struct buffer *out, const struct experiment_result *r)
{
    char when[REPORT_WORD_SIZE];
    report_time(r->spec->config_ts_us, when);
    buffer_append_text(out, "<h2>Config</h2><p>The newest config in the log that has "
                            "this experiment: <code>");
    html_text(out, slice_of(r->spec->config_hash));
    buffer_printf(out, "</code>, first logged %s.</p>", when);
    if (r->spec->n_models) {
        static const char *const heads[] = {"Model", "Hash of the file's content"};
        html_table_open(out, "models", "Models that were served under it");
        html_column_heads(out, heads, 2);
        for (int i = 0; i < r->spec->n_models; i++) {
            html_row_head(out, r->spec->models[i].name);
            buffer_append_text(out, "<td><code>");
            html_text(out, slice_of(r->spec->models[i].hash));
            buffer_append_text(out, "</code></td></tr>");
        }
        html_table_close(out);
    }
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
    html_forest(out, r);
    html_looks(out, r);
    html_planned(out, r);
    html_series(out, r);
    html_days(out, r);
    html_segments(out, r);
    html_adjusted(out, r);
    html_metric_arms(out, r);
    html_metric_methods(out, r);
    html_units(out, r);
    html_items(out, r);
    html_aa(out, r);
    if (r->spec->config_ts_us) {
        write_config(out, r);
    }
    buffer_append_text(out, "</article>\n");
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
    html_methods(out, analysis);
    if (strcmp(analysis->source, "log") == 0) {
        write_evidence(out, &analysis->evidence);
    }
    buffer_append_text(out, "</main></body></html>\n");
}
