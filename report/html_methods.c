#include <stdio.h>

#include "report/html_parts.h"
#include "report/html_sections.h"
#include "report/html_text.h"
#include "report/methods.h"

enum { MAX_METHODS = 64 }; /* more than methods.c defines */

static void method_cell(struct buffer *out, const char *name)
{
    buffer_append_text(out, "<td>");
    html_method(out, name);
    buffer_append_text(out, "</td>");
}

/* Which method gave which number of a metric. */
static void metric_row(struct buffer *out, const struct experiment_result *r,
                       const struct metric_result *metric,
                       const struct contrast *contrast)
{
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, slice_of(metric->spec->name));
    if (r->spec->n_arms > 2) {
        html_printf(out, ": %s", r->spec->arms[contrast->arm].name);
    }
    buffer_append_text(out, "</th>");
    method_cell(out, contrast->fixed.test);
    method_cell(out, contrast->fixed.interval);
    method_cell(out, contrast->fixed.relative);
    method_cell(out, contrast->always.is_testable ? contrast->always.interval : NULL);
    method_cell(out, contrast->guard.method);
    buffer_append_text(out, "</tr>");
}

void html_metric_methods(struct buffer *out, const struct experiment_result *r)
{
    static const char *const heads[] = {"Metric",        "Test",
                                        "Difference",    "Relative change",
                                        "At every look", "As a guardrail"};
    if (r->spec->n_arms < 2 || r->spec->n_metrics == 0) {
        return;
    }
    buffer_append_text(out, "<h2>How each number was computed</h2>");
    html_table_open(out, "by", "Methods by metric; each name leads to its definition");
    html_column_heads(out, heads, 6);
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 0; a + 1 < r->spec->n_arms; a++) {
            metric_row(out, r, &r->metrics[m], &r->metrics[m].contrasts[a]);
        }
    }
    html_table_close(out);
}

void html_methods(struct buffer *out, const struct analysis *analysis)
{
    bool used[MAX_METHODS] = {false};
    int n = 0;
    const struct method *methods = methods_all(&n);
    for (int e = 0; e < analysis->n_experiments; e++) {
        methods_mark(&analysis->experiments[e], used);
    }
    buffer_append_text(out, "<h2>Methods</h2><dl>");
    for (int i = 0; i < n && i < MAX_METHODS; i++) {
        if (used[i]) {
            buffer_printf(out, "<dt id=\"method-%d\">", i + 1);
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
