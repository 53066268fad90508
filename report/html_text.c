#include "report/html_text.h"

#include <stdarg.h>

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
    va_list args;
    va_start(args, format);
    buffer_vprintf(&plain, format, args);
    va_end(args);
    html_text(out, (struct slice){plain.data, plain.len});
    out->failed |= plain.failed;
    buffer_free(&plain);
}
