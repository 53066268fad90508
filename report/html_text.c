#include "report/html_text.h"

#include <stdarg.h>
#include <stdio.h>

#include "common/utf8.h"

void html_text(struct buffer *out, struct slice text)
{
    for (size_t i = 0; i < text.len;) {
        const unsigned char c = (unsigned char)text.data[i];
        const size_t sequence = utf8_sequence_len(text.data + i, text.len - i);
        if (sequence == 0) {
            buffer_append_text(out, "\xEF\xBF\xBD");
            i++;
            continue;
        }
        if (c == '&') {
            buffer_append_text(out, "&amp;");
        } else if (c == '<') {
            buffer_append_text(out, "&lt;");
        } else if (c == '>') {
            buffer_append_text(out, "&gt;");
        } else if (c == '"') {
            buffer_append_text(out, "&quot;");
        } else if (c == '\'') {
            buffer_append_text(out, "&#39;");
        } else if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t') {
            buffer_append(out, text.data + i, sequence);
        }
        i += sequence;
    }
}

void html_printf(struct buffer *out, const char *format, ...)
{
    struct buffer plain = {0};
    char text[1024];
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (len < (int)sizeof text) {
        html_text(out, slice_of(text));
        return;
    }
    va_start(args, format);
    char *long_text = buffer_reserve(&plain, (size_t)len + 1);
    if (long_text) {
        vsnprintf(long_text, (size_t)len + 1, format, args);
        html_text(out, (struct slice){long_text, (size_t)len});
    } else {
        out->failed = true;
    }
    va_end(args);
    buffer_free(&plain);
}
