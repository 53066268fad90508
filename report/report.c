#include "report/report.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "report/report_formats.h"

int report_format_find(struct slice name)
{
    static const char *const names[] = {"text", "json", "csv", "markdown", "html"};
    for (int i = 0; i < (int)(sizeof names / sizeof names[0]); i++) {
        if (slice_is(name, names[i])) {
            return i;
        }
    }
    return -1;
}

int report_write(const struct analysis *analysis, enum report_format format,
                 const struct report_style *style, struct buffer *out,
                 struct error *error)
{
    static const struct report_style plain = {false};
    switch (format) {
    case REPORT_TEXT:
        report_text(analysis, style ? style : &plain, out);
        break;
    case REPORT_JSON:
        report_json(analysis, out);
        break;
    case REPORT_CSV:
        report_csv(analysis, out);
        break;
    case REPORT_MARKDOWN:
        report_markdown(analysis, out);
        break;
    case REPORT_HTML:
        report_html(analysis, out);
        break;
    }
    if (out->failed) {
        error_set(error, ERROR_NOMEM, "no memory for the report");
        return -1;
    }
    return 0;
}

void report_time(int64_t ts_us, char text[REPORT_WORD_SIZE])
{
    number_text_time(ts_us, text);
}

void report_window(int64_t window_us, char text[REPORT_WORD_SIZE])
{
    static const struct {
        int64_t us;
        const char *name;
    } units[] = {{INT64_C(86400000000), "d"},
                 {INT64_C(3600000000), "h"},
                 {60000000, "min"},
                 {1000000, "s"},
                 {1, "us"}};
    if (window_us <= 0) {
        snprintf(text, REPORT_WORD_SIZE, "without limit");
        return;
    }
    for (int i = 0;; i++) {
        if (window_us % units[i].us == 0) {
            snprintf(text, REPORT_WORD_SIZE, "%" PRId64 " %s", window_us / units[i].us,
                     units[i].name);
            return;
        }
    }
}

const char *report_value_word(enum analysis_kind kind)
{
    static const char *const words[] = {"rate", "mean", "mean", "ratio", "quantile"};
    return words[kind];
}

const char *report_verdict_word(enum verdict verdict)
{
    static const char *const words[] = {"SHIP", "ROLL BACK", "KEEP RUNNING",
                                        "DO NOT TRUST", "NO DATA"};
    return words[verdict];
}

const struct finding *segmentation_method(const struct segmentation *segmentation,
                                          int n_arms)
{
    for (int g = 0; g < segmentation->n_groups; g++) {
        for (int a = 1; a < n_arms; a++) {
            const struct finding *finding = &segmentation->groups[g].findings[a - 1];
            if (finding->is_testable) {
                return finding;
            }
        }
    }
    return NULL;
}

void report_metric_words(const struct analysis_metric *metric, struct buffer *out)
{
    char window[REPORT_WORD_SIZE];
    switch (metric->kind) {
    case ANALYSIS_PROPORTION:
        buffer_printf(out, "share of units with a \"%s\" event", metric->event);
        break;
    case ANALYSIS_MEAN:
        buffer_printf(out, "sum of \"%s\" values per unit", metric->event);
        break;
    case ANALYSIS_COUNT:
        buffer_printf(out, "number of \"%s\" events per unit", metric->event);
        break;
    case ANALYSIS_RATIO:
        buffer_printf(out, "\"%s\" per \"%s\"", metric->event, metric->denominator);
        break;
    case ANALYSIS_QUANTILE:
        buffer_printf(out, "%g quantile of \"%s\"", metric->quantile, metric->event);
        break;
    }
    if (metric->window_us > 0) {
        report_window(metric->window_us, window);
        buffer_printf(out, ", within %s of the first exposure", window);
    } else {
        buffer_append_text(out, ", any time after the first exposure");
    }
    if (metric->direction) {
        buffer_printf(out, ", %s is better",
                      metric->direction > 0 ? "higher" : "lower");
    }
}
