/* parse_cursor.h - the parts of a line of our own, from front to back: literals,
 * strings, numbers. Inline, because a line has some forty of them. Each returns false
 * for what it does not know, which is then the general parser's. For internal use by
 * logs/.
 */
#ifndef LOGS_PARSE_CURSOR_H
#define LOGS_PARSE_CURSOR_H

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "common/decimal.h"
#include "logs/parse_internal.h"

/* The LINE_CRC_LEN bytes behind `end` may be read, too. */
struct cursor {
    const char *at;
    const char *end; /* where `,"crc":` begins */
    struct line_parser *parser;
};

/* memcmp() == 0 for a length known at compile time, as loads that overlap: gcc calls
 * the function for lengths above a few bytes. */
__attribute__((always_inline)) static inline bool same(const char *a, const char *b,
                                                       size_t len)
{
    if (len >= 8) {
        uint64_t x, y, differ = 0;
        for (size_t i = 0; i + 8 < len; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            differ |= x ^ y;
        }
        memcpy(&x, a + len - 8, 8);
        memcpy(&y, b + len - 8, 8);
        return (differ | (x ^ y)) == 0;
    }
    if (len >= 4) {
        uint32_t x, y, last_x, last_y;
        memcpy(&x, a, 4);
        memcpy(&y, b, 4);
        memcpy(&last_x, a + len - 4, 4);
        memcpy(&last_y, b + len - 4, 4);
        return ((x ^ y) | (last_x ^ last_y)) == 0;
    }
    bool is_same = true;
    for (size_t i = 0; i < len; i++) {
        is_same &= a[i] == b[i];
    }
    return is_same;
}

__attribute__((always_inline)) static inline bool literal(struct cursor *c,
                                                          const char *text, size_t len)
{
    if (c->end - c->at < (ptrdiff_t)len || !same(c->at, text, len)) {
        return false;
    }
    c->at += len;
    return true;
}

#define LITERAL(cursor, text) literal((cursor), (text), sizeof(text) - 1)

static inline int hex4(const char *text)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The escapes that our writer makes: \" \\ \n \r \t and \u00xx below 0x20. Returns the
 * byte and moves past it, or -1 (left to the general parser). */
static inline int unescape(struct cursor *c)
{
    const ptrdiff_t left = c->end - c->at;
    if (left < 2) {
        return -1;
    }
    const char kind = c->at[1];
    if (kind == 'u') {
        const int code = left >= 6 ? hex4(c->at + 2) : -1;
        c->at += 6;
        return code < 0x80 ? code : -1;
    }
    c->at += 2;
    switch (kind) {
    case '"':
    case '\\':
        return kind;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return -1;
    }
}

/* The rest of a string that has an escape at c->at; `start` is its first byte. */
static inline bool escaped_string(struct cursor *c, const char *start,
                                  struct slice *text)
{
    struct line_parser *p = c->parser;
    char *const to =
        p->text + p->text_len; /* line_parse made room for the whole line */
    size_t len = (size_t)(c->at - start);
    memcpy(to, start, len);
    while (c->at < c->end && *c->at != '"') {
        if ((unsigned char)*c->at < 0x20) {
            return false;
        }
        if (*c->at != '\\') {
            to[len++] = *c->at++;
            continue;
        }
        const int byte = unescape(c);
        if (byte < 0) {
            return false;
        }
        to[len++] = (char)byte;
    }
    if (c->at >= c->end) {
        return false;
    }
    c->at++;
    p->text_len += len;
    *text = (struct slice){to, len};
    return true;
}

/* Moves to the first quote, backslash or control character; false when the line ends
 * before. */
static inline bool find_special(struct cursor *c)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1F);
    for (; c->at < c->end; c->at += 16) { /* at most 15 bytes behind the end are read */
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)c->at);
        const __m128i is_special =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                      _mm_cmpeq_epi8(bytes, backslash)),
                         _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
        const unsigned mask = (unsigned)_mm_movemask_epi8(is_special);
        if (mask) {
            c->at += __builtin_ctz(mask);
            return c->at < c->end;
        }
    }
    return false;
#else
    for (; c->at < c->end; c->at++) {
        const unsigned char byte = (unsigned char)*c->at;
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            return true;
        }
    }
    return false;
#endif
}

static inline bool string(struct cursor *c, struct slice *text)
{
    if (c->at >= c->end || *c->at != '"') {
        return false;
    }
    const char *start = ++c->at;
    if (!find_special(c)) {
        return false;
    }
    if (*c->at == '"') {
        *text = (struct slice){start, (size_t)(c->at - start)};
        c->at++;
        return true;
    }
    return *c->at == '\\' && escaped_string(c, start, text);
}

/* A whole number of at most 18 digits, so that it cannot overflow. */
static inline bool whole(struct cursor *c, int64_t *value)
{
    const bool is_negative = c->at < c->end && *c->at == '-';
    const char *digits = c->at + is_negative, *at = digits;
    uint64_t sum = 0;
    int n = 0;
    do {
        n = decimal_take_some(at, &sum);
        at += n;
    } while (n == 8 && at < c->end && at - digits < 18);
    if (at == digits || at - digits > 18 || at > c->end ||
        (*digits == '0' && at - digits > 1)) {
        return false;
    }
    if (at < c->end && (*at == '.' || *at == 'e' || *at == 'E')) {
        return false;
    }
    *value = is_negative ? -(int64_t)sum : (int64_t)sum;
    c->at = at;
    return true;
}

/* Most numbers are positive and have few digits: d, d.d ... d.dddddddd. Both they and
 * the power of ten are exact doubles, so their quotient is the nearest one (Clinger,
 * 1990). Everything else is decimal_read's. */
static inline bool short_number(struct cursor *c, double *value)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    const char *at = c->at;
    if (c->end - at < 12 || *at < '0' || *at > '9') {
        return false;
    }
    uint32_t digits = (uint32_t)(*at++ - '0');
    int n_fraction = 0;
    if (*at == '.') {
        const char *first = ++at;
        while (*at >= '0' && *at <= '9' && at - first < 8) {
            digits = digits * 10 + (uint32_t)(*at++ - '0');
        }
        n_fraction = (int)(at - first);
        if (n_fraction == 0) {
            return false;
        }
    }
    if (*at != ',' && *at != ']' && *at != '}') {
        return false;
    }
    *value = (double)digits / powers[n_fraction];
    c->at = at;
    return true;
}

static inline bool number(struct cursor *c, double *value)
{
    if (short_number(c, value)) {
        return true;
    }
    const char *end = decimal_read(c->at, c->end, value);
    if (!end) {
        return false;
    }
    c->at = end;
    return true;
}

static inline bool number_or_null(struct cursor *c, double *value)
{
    if (LITERAL(c, "null")) {
        *value = NAN;
        return true;
    }
    return number(c, value);
}

#endif
