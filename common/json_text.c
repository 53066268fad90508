#include "common/json_text.h"

#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/decimal.h"
#include "common/utf8.h"

static char *put_escaped(char *to, unsigned char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *short_form = c == '"'    ? "\\\""
                             : c == '\\' ? "\\\\"
                             : c == '\n' ? "\\n"
                             : c == '\r' ? "\\r"
                             : c == '\t' ? "\\t"
                                         : NULL;
    if (short_form) {
        memcpy(to, short_form, 2);
        return to + 2;
    }
    memcpy(to, "\\u00", 4);
    to[4] = digits[c >> 4];
    to[5] = digits[c & 0xF];
    return to + 6;
}

char *json_put_escaped(char *to, struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        const unsigned char c = (unsigned char)text.data[i];
        if (json_is_plain(c)) {
            *to++ = (char)c;
            i++;
            continue;
        }
        const size_t sequence =
            c < 0x80 ? 0 : utf8_sequence_len(text.data + i, text.len - i);
        if (sequence) {
            memcpy(to, text.data + i, sequence);
            to += sequence;
            i += sequence;
            continue;
        }
        if (c < 0x80) {
            to = put_escaped(to, c);
        } else {
            memcpy(to, "\xEF\xBF\xBD", 3);
            to += 3;
        }
        i++;
    }
    return to;
}

void json_append_string(struct buffer *buffer, struct slice text)
{
    if (text.len > SIZE_MAX / 8) {
        buffer->failed = true;
        return;
    }
    /* Most strings need no escape: room for the worst is asked for only where one does,
     * so that a long text does not take six times its memory. */
    char *to = buffer_reserve(buffer, text.len <= 4096 ? JSON_STRING_MAX(text.len) : 2);
    if (text.len <= 4096) {
        if (to) {
            buffer->len += (size_t)(json_put_string(to, text) - to);
        }
        return;
    }
    buffer_append_char(buffer, '"');
    while (text.len && !buffer->failed) {
        size_t part = text.len < 4096 ? text.len : 4096;
        /* Not through a UTF-8 sequence: up to three continuation bytes are left over.
         */
        for (int i = 0; i < 3 && part < text.len && (text.data[part] & 0xC0) == 0x80;
             i++) {
            part--;
        }
        to = buffer_reserve(buffer, JSON_STRING_MAX(part));
        if (to) {
            buffer->len +=
                (size_t)(json_put_escaped(to, (struct slice){text.data, part}) - to);
        }
        text.data += part;
        text.len -= part;
    }
    buffer_append_char(buffer, '"');
}

void json_append_double(struct buffer *buffer, double value)
{
    char *to = buffer_reserve(buffer, JSON_NUMBER_MAX);
    if (to) {
        buffer->len += (size_t)(json_put_double(to, value) - to);
    }
}

void json_append_float(struct buffer *buffer, float value)
{
    char *to = buffer_reserve(buffer, JSON_NUMBER_MAX);
    if (!to) {
        return;
    }
    if (isfinite(value)) {
        buffer->len += decimal_write_float(to, value);
    } else {
        memcpy(to, "null", 4);
        buffer->len += 4;
    }
}
