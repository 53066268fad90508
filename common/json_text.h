/* json_text.h - the two JSON tokens that need care when written by hand.
 *
 * Hot paths (answers, log lines) and reports write JSON straight into a buffer; jansson
 * stays for reading bodies. Numbers round-trip: a reader gets the same double back.
 */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "common/buffer.h"
#include "common/decimal.h"

/* Appends `text` as a quoted JSON string. Control characters, quote and backslash are
 * escaped; other bytes are copied, so valid UTF-8 stays valid UTF-8. A byte that is not
 * part of valid UTF-8 is written as U+FFFD, so that the output is always valid JSON. */
void json_append_string(struct buffer *buffer, struct slice text);

/* Appends the shortest decimal that reads back as the same double or float
 * (decimal.h); NAN and infinities, which JSON has no word for, as null. */
void json_append_double(struct buffer *buffer, double value);
void json_append_float(struct buffer *buffer, float value);

/* The same two into memory that the caller has made large enough, for lines that are
 * written many thousand times a second. They return where the text ends. */
#define JSON_STRING_MAX(len) (6 * (len) + 2)
#define JSON_NUMBER_MAX      32
static inline char *json_put_string(char *to, struct slice text);
static inline char *json_put_double(char *to, double value);

/* The rest is how json_put_string is made: inline, since most strings are ids of a few
 * plain bytes, and a call costs as much as they do. */

/* Bytes that do not stand for themselves: controls, quote, backslash, beyond ASCII. */
static inline bool json_is_plain(unsigned char c)
{
    return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

/* The same of eight bytes at once. Where no byte has its high bit, taking n off each
 * sets a high bit exactly if some byte is below n. */
static inline bool json_are_plain(uint64_t word)
{
    const uint64_t ones = 0x0101010101010101, highs = 0x80 * ones;
    const uint64_t quote = word ^ ('"' * ones), backslash = word ^ ('\\' * ones);
    return ((word | (word - 0x20 * ones) | (quote - ones) | (backslash - ones)) &
            highs) == 0;
}

/* A string's inside, escaped where it must be. */
char *json_put_escaped(char *to, struct slice text);

/* Copies `len` bytes and tells whether all are plain; with loads that overlap instead
 * of a loop over single bytes. */
static inline bool json_copy_plain(char *to, const char *from, size_t len)
{
    if (len >= 8) {
        uint64_t word, last;
        bool is_clean = true;
        for (size_t i = 0; i + 8 < len && is_clean; i += 8) {
            memcpy(&word, from + i, sizeof word);
            memcpy(to + i, &word, sizeof word);
            is_clean = json_are_plain(word);
        }
        memcpy(&last, from + len - 8, sizeof last);
        memcpy(to + len - 8, &last, sizeof last);
        return is_clean && json_are_plain(last);
    }
    if (len >= 4) {
        uint32_t first, last;
        memcpy(&first, from, sizeof first);
        memcpy(&last, from + len - 4, sizeof last);
        memcpy(to, &first, sizeof first);
        memcpy(to + len - 4, &last, sizeof last);
        return json_are_plain((uint64_t)last << 32 | first);
    }
    if (len == 0) {
        return true;
    }
    const unsigned char first = (unsigned char)from[0],
                        middle = (unsigned char)from[len / 2],
                        last = (unsigned char)from[len - 1];
    to[0] = (char)first;
    to[len / 2] = (char)middle;
    to[len - 1] = (char)last;
    return json_is_plain(first) && json_is_plain(middle) && json_is_plain(last);
}

static inline char *json_put_string(char *to, struct slice text)
{
    *to++ = '"';
    to = json_copy_plain(to, text.data, text.len) ? to + text.len
                                                  : json_put_escaped(to, text);
    *to++ = '"';
    return to;
}

static inline char *json_put_double(char *to, double value)
{
    if (!isfinite(value)) {
        memcpy(to, "null", 4);
        return to + 4;
    }
    return to + decimal_write_double(to, value);
}

#endif
