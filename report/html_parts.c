#include "report/html_parts.h"

#include <string.h>

#include "report/html_text.h"
#include "report/methods.h"

enum { LONG_LINE = 30 }; /* characters: words rather than an interval */

void html_table_open(struct buffer *out, const char *class_name, const char *caption)
{
    buffer_append_text(out, "<div class=\"scroll\" role=\"region\" tabindex=\"0\" "
                            "aria-label=\"");
    html_text(out, slice_of(caption));
    buffer_printf(out, "\"><table class=\"%s\"><caption>", class_name);
    html_text(out, slice_of(caption));
    buffer_append_text(out, "</caption>");
}

void html_table_close(struct buffer *out)
{
    buffer_append_text(out, "</tbody></table></div>\n");
}

void html_cell(struct buffer *out, const char *text, bool is_number)
{
    buffer_append_text(out, is_number ? "<td class=\"num\">" : "<td>");
    html_text(out, slice_of(text));
    buffer_append_text(out, "</td>");
}

void html_row_head(struct buffer *out, const char *text)
{
    buffer_append_text(out, "<tr><th scope=\"row\">");
    html_text(out, slice_of(text));
    buffer_append_text(out, "</th>");
}

void html_column_heads(struct buffer *out, const char *const *heads, int n)
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

void html_two_lines(struct buffer *out, const char *first, const char *second)
{
    buffer_append_text(out, "<td class=\"num\">");
    html_text(out, slice_of(first));
    buffer_append_text(out, strlen(second) > LONG_LINE
                                ? "<br><span class=\"small soft words\">"
                                : "<br><span class=\"small soft\">");
    html_text(out, slice_of(second));
    buffer_append_text(out, "</span></td>");
}

void html_method(struct buffer *out, const char *name)
{
    const int at = name ? methods_find(name) : -1;
    if (at >= 0) {
        buffer_printf(out, "<a href=\"#method-%d\">", at + 1);
        html_text(out, slice_of(name));
        buffer_append_text(out, "</a>");
    } else if (name) {
        html_text(out, slice_of(name));
    }
}
