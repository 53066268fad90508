#include "common/json_text.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/utf8.h"

static void append_escaped(struct buffer *buffer, unsigned char c)
{
    switch (c) {
    case '"':
        buffer_append_text(buffer, "\\\"");
        break;
    case '\\':
        buffer_append_text(buffer, "\\\\");
        break;
    case '\n':
        buffer_append_text(buffer, "\\n");
        break;
    case '\r':
        buffer_append_text(buffer, "\\r");
        break;
    case '\t':
        buffer_append_text(buffer, "\\t");
        break;
    default:
        buffer_printf(buffer, "\\u%04x", c);
    }
}

void json_append_string(struct buffer *buffer, struct slice text)
{
    size_t start = 0, i = 0;
    buffer_append_char(buffer, '"');
    while (i < text.len) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c >= 0x20 && c < 0x80 && c != '"' && c != '\\') {
            i++;
            continue;
        }
        const size_t sequence =
            c < 0x80 ? 0 : utf8_sequence_len(text.data + i, text.len - i);
        if (sequence) {
            i += sequence;
            continue;
        }
        buffer_append(buffer, text.data + start, i - start);
        if (c < 0x80) {
            append_escaped(buffer, c);
        } else {
            buffer_append_text(buffer, "\xEF\xBF\xBD");
        }
        start = ++i;
    }
    buffer_append(buffer, text.data + start, text.len - start);
    buffer_append_char(buffer, '"');
}

void json_append_double(struct buffer *buffer, double value)
{
    char text[32];
    if (!isfinite(value)) {
        buffer_append_text(buffer, "null");
        return;
    }
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, value);
        if (strtod(text, NULL) == value) {
            break;
        }
    }
    buffer_append_text(buffer, text);
}
