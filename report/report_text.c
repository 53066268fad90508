/* report_text.c - for a terminal and for mail: verdict first, then trust, then numbers.
 */
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "report/report_formats.h"
#include "report/table.h"
#include "report/text_parts.h"

void text_colour(const struct page *page, const char *code)
{
    if (page->style->is_coloured) {
        buffer_printf(page->out, "\033[%sm", code);
    }
}

void text_heading(const struct page *page, const char *format, ...)
{
    va_list arguments;
    text_colour(page, "1");
    buffer_append_char(page->out, '\n');
    va_start(arguments, format);
    buffer_vprintf(page->out, format, arguments);
    va_end(arguments);
    buffer_append_char(page->out, '\n');
    text_colour(page, "0");
}

static const char *verdict_colour(enum verdict verdict)
{
    static const char *const codes[] = {"1;32", "1;31", "1;33", "1;37;41", "1;33"};
    return codes[verdict];
}

static void write_verdict(const struct page *page, const struct experiment_result *r)
{
    struct buffer *out = page->out;
    char from[REPORT_WORD_SIZE], to[REPORT_WORD_SIZE];
    text_colour(page, verdict_colour(r->verdict));
    buffer_append_text(out, report_verdict_word(r->verdict));
    text_colour(page, "0");
    buffer_printf(out, "  experiment %s\n", r->spec->name);
    buffer_printf(out, "  %s\n", r->headline);
    buffer_printf(out, "  %s\n", r->advice);
    for (int i = 0; i < r->n_reasons; i++) {
        buffer_printf(out, "  - %s\n", r->reasons[i]);
    }
    if (r->spec->hypothesis) {
        buffer_printf(out, "  Hypothesis: %s\n", r->spec->hypothesis);
    }
    if (r->n_units && r->n_series) {
        report_time(r->first_ts_us, from);
        report_time(r->last_ts_us, to);
        buffer_printf(out, "  %" PRId64 " units, %s to %s\n", r->n_units, from, to);
    }
}

static void write_checks(const struct page *page, const struct experiment_result *r)
{
    struct table table = {.align = "lll"};
    text_heading(page, "Trust checks");
    for (int c = 0; c < r->n_checks; c++) {
        const struct check *check = &r->checks[c];
        table_cell(&table, "%s",
                   check->status == CHECK_FAILED ? "FAILED"
                                                 : check_status_name(check->status));
        table_cell(&table, "%s", check->name);
        if (check->method) {
            table_cell(&table, "%s (%s)", check->detail, check->method);
        } else {
            table_cell(&table, "%s", check->detail);
        }
    }
    table_write_text(&table, 2, page->out);
}

static void write_arms(const struct page *page, const struct experiment_result *r)
{
    struct table table = {.align = "lrrrr"};
    text_heading(page, "Arms");
    table_cell(&table, "arm");
    table_cell(&table, "weight");
    table_cell(&table, "units");
    table_cell(&table, "expected");
    table_cell(&table, "exposures");
    for (int a = 0; a < r->spec->n_arms; a++) {
        table_cell(&table, "%s%s", r->spec->arms[a].name, a == 0 ? " (control)" : "");
        table_cell(&table, "%g", r->spec->arms[a].weight);
        table_cell(&table, "%" PRId64, r->arm_units[a]);
        table_cell(&table, "%.1f", r->arm_expected[a]);
        table_cell(&table, "%" PRId64, r->arm_exposures[a]);
    }
    table_write_text(&table, 2, page->out);
}

static void write_aa(const struct page *page, const struct experiment_result *r)
{
    if (r->aa.n_splits == 0) {
        return;
    }
    text_heading(page, "A/A self-check");
    buffer_printf(
        page->out,
        "  control split at random %d times: p < %g in %.2f %% of them (95 %% "
        "interval %.2f to %.2f %%, Wilson score)\n"
        "  p-values against the uniform distribution: D = %.4f, p = %.4g "
        "(Kolmogorov-Smirnov): %s\n",
        r->aa.n_splits, r->spec->alpha, 100 * r->aa.rate, 100 * r->aa.ci_lower,
        100 * r->aa.ci_upper, r->aa.ks_statistic, r->aa.ks_p,
        r->aa.is_sound ? "sound" : "NOT SOUND");
}

static void write_config(const struct page *page, const struct experiment_result *r)
{
    char logged[REPORT_WORD_SIZE];
    if (r->spec->config_ts_us == 0) {
        return; /* from sums */
    }
    report_time(r->spec->config_ts_us, logged);
    text_heading(page, "Config");
    buffer_printf(page->out,
                  "  %s, the newest in the log that has this experiment, first logged "
                  "%s\n",
                  r->spec->config_hash, logged);
    for (int i = 0; i < r->spec->n_models; i++) {
        const struct analysis_model *model = &r->spec->models[i];
        buffer_printf(page->out, "  model %s, hash of its content %s\n", model->name,
                      model->hash);
    }
}

static void write_evidence(const struct page *page, const struct analysis *analysis)
{
    const struct evidence *e = &analysis->evidence;
    struct buffer *out = page->out;
    text_heading(page, "Evidence");
    buffer_printf(out,
                  "  %" PRId64 " events, %" PRId64 " bytes, %" PRId64
                  " segments: %" PRId64 " exposures, %" PRId64 " feedback\n",
                  e->n_events, e->n_bytes, e->n_segments, e->n_exposures,
                  e->n_feedback);
    buffer_printf(out,
                  "  %" PRId64 " duplicates counted once, %" PRId64
                  " torn last lines, %" PRId64 " damaged places\n",
                  e->n_duplicates, e->n_torn_tails, e->n_damaged);
    for (int d = 0; d < e->n_damage_listed; d++) {
        buffer_printf(out, "  damage: %s at byte %" PRId64 ", %" PRId64 " bytes: %s\n",
                      e->damage[d].file, e->damage[d].offset, e->damage[d].size,
                      e->damage[d].reason);
    }
    buffer_printf(out, "  fingerprint of the distinct events: %016" PRIx64 "\n",
                  e->fingerprint);
}

void report_text(const struct analysis *analysis, const struct report_style *style,
                 struct buffer *out)
{
    const struct page page = {out, style};
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *result = &analysis->experiments[e];
        if (e > 0) {
            buffer_append_text(out, "\n\n");
        }
        write_verdict(&page, result);
        write_checks(&page, result);
        write_arms(&page, result);
        for (int m = 0; m < result->spec->n_metrics; m++) {
            text_metric(&page, result, &result->metrics[m]);
        }
        text_segments(&page, result);
        text_items(&page, result);
        write_aa(&page, result);
        write_config(&page, result);
    }
    if (strcmp(analysis->source, "log") == 0) {
        write_evidence(&page, analysis);
    }
}
