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

/* Bytes that do not stand for themselves: controls, quote, backslash, beyond ASCII. */
static inline bool is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The same of eight bytes at once; a byte is zero where (x - 1) & ~x has its high bit.
 */
static inline bool are_plain(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
    const uint64_t quote = word ^ ('"' * ones), backslash = word ^ ('\\' * ones);
    return ((word | ((word - 0x20 * ones) & ~word) | ((quote - ones) & ~quote) |
             ((backslash - ones) & ~backslash)) &
            highs) == 0;
}

static inline uint64_t load8(const char *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static inline uint32_t load4(const char *from)
{
    uint32_t word;
    memcpy(&word, from, sizeof word);
    return word;
}

static char *put_carefully(char *to, struct slice text)
{
    size_t i = 0;
    while (i < text.len) {
        const unsigned char c = (unsigned char)text.data[i];
        if (is_plain(c)) {
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

/* Copies fewer than eight bytes if all are plain, with loads that overlap instead of a
 * loop. */
static inline bool put_short(char *to, const char *from, size_t len)
{
    if (len >= 4) {
        const uint32_t first = load4(from), last = load4(from + len - 4);
        memcpy(to, &first, 4);
        memcpy(to + len - 4, &last, 4);
        return are_plain((uint64_t)last << 32 | first);
    }
    bool is_clean = true;
    for (size_t i = 0; i < len; i++) {
        to[i] = from[i];
        is_clean &= is_plain((unsigned char)from[i]);
    }
    return is_clean;
}

char *json_put_string(char *to, struct slice text)
{
    size_t i = 0;
    bool is_clean = true;
    *to++ = '"';
    if (text.len < 8) {
        is_clean = put_short(to, text.data, text.len);
    } else {
        for (; is_clean && i + 8 <= text.len; i += 8) {
            const uint64_t word = load8(text.data + i);
            memcpy(to + i, &word, sizeof word);
            is_clean = are_plain(word);
        }
        if (is_clean && i < text.len) {
            const uint64_t word = load8(text.data + text.len - 8);
            memcpy(to + text.len - 8, &word, sizeof word);
            is_clean = are_plain(word);
        }
    }
    to = is_clean ? to + text.len : put_carefully(to, text);
    *to++ = '"';
    return to;
}

char *json_put_double(char *to, double value)
{
    if (!isfinite(value)) {
        memcpy(to, "null", 4);
        return to + 4;
    }
    return to + decimal_write_double(to, value);
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
                (size_t)(put_carefully(to, (struct slice){text.data, part}) - to);
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
