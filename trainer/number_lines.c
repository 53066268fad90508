#include "trainer/number_lines.h"

#include <stdbool.h>
#include <string.h>

static inline bool is_digit(char c)
{
    return (unsigned)(c - '0') < 10;
}

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the digits of a number are taken from a little-endian word"
#endif

#define DIGITS    8 /* that a word holds */
#define HIGH_BITS 0x8080808080808080U

/* The high bit of each byte that is no digit. */
static inline uint64_t no_digits(uint64_t word)
{
    word ^= 0x3030303030303030U; /* a digit is now 0 to 9, and nothing else is */
    return (((word & ~HIGH_BITS) + 0x7676767676767676U) | word) & HIGH_BITS;
}

static inline bool are_digits(uint64_t word)
{
    return no_digits(word) == 0;
}

/* The digits at p: how many, up to DIGITS, and their value. Reads DIGITS bytes. No loop
 * over digits and no branch, which lengths that change from line to line would have
 * the processor mispredict. Source: D. Lemire, "Quickly parsing eight digits", 2018. */
static inline size_t take_digits(const char *p, uint32_t *value)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    const uint64_t others = no_digits(word);
    const size_t n = others ? (size_t)__builtin_ctzll(others) / 8 : DIGITS;
    word &= 0x0F0F0F0F0F0F0F0FU;
    word = n ? word << (DIGITS - n) * 8 : 0; /* leading zeros */
    word = word * 10 + (word >> 8);
    word = ((word & 0x000000FF000000FFU) * 0x000F424000000064U +
            (word >> 16 & 0x000000FF000000FFU) * 0x0000271000000001U) >>
           32;
    *value = (uint32_t)word;
    return n;
}

/* An id of 1 to DIGITS digits without leading zeros, and the separator. Returns what
 * follows, or NULL. */
static inline const char *take_id(const char *p, char separator, struct slice *id,
                                  int32_t *number)
{
    uint32_t value;
    const size_t n = take_digits(p, &value);
    if (p[n] != separator || n == 0 || (*p == '0' && n > 1)) {
        return NULL;
    }
    *id = (struct slice){p, n};
    *number = (int32_t)value;
    return p + n + 1;
}

/* The same for a user, who is mostly the one of the line before. */
static inline const char *take_user(struct number_lines *lines, const char *p,
                                    struct rating_line *line)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    if ((word & lines->mask) == lines->word) {
        line->user = (struct slice){p, lines->len};
        line->user_number = lines->number;
        return p + lines->len + 1;
    }
    const char *next = take_id(p, lines->separator, &line->user, &line->user_number);
    *lines = (struct number_lines){.separator = lines->separator, .word = UINT64_MAX};
    if (next && line->user.len < DIGITS) {
        lines->len = line->user.len;
        lines->number = line->user_number;
        lines->mask = UINT64_MAX >> (DIGITS - 1 - lines->len) * 8;
        lines->word = word & lines->mask;
    }
    return next;
}

/* A rating with up to four digits before and behind the point. */
static inline const char *take_rating(const char *p, float *rating)
{
    static const double power_of_ten[] = {1, 1e1, 1e2, 1e3, 1e4};
    uint32_t value, decimals = 0;
    if (is_digit(p[0]) && p[1] == '.' && is_digit(p[2]) && !is_digit(p[3])) {
        *rating = (float)(((p[0] - '0') * 10 + (p[2] - '0')) / power_of_ten[1]);
        return p + 3;
    }
    const size_t n = take_digits(p, &value);
    size_t n_decimals = 0;
    if (n == 0 || n > 4) {
        return NULL;
    }
    p += n;
    if (*p == '.') {
        n_decimals = take_digits(p + 1, &decimals);
        if (n_decimals == 0 || n_decimals > 4) {
            return NULL;
        }
        p += 1 + n_decimals;
    }
    const double power = power_of_ten[n_decimals];
    *rating = (float)((value * power + decimals) / power);
    return p;
}

/* Any number of digits; seconds since 1970 have had ten since 2001. */
static inline const char *pass_digits(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    if (are_digits(word) && is_digit(p[8]) && is_digit(p[9]) && !is_digit(p[10])) {
        return p + 10;
    }
    while (is_digit(*p)) {
        p++;
    }
    return p;
}

/* Never runs past the newline, because no part here steps over one; but up to DIGITS
 * bytes behind it are read.
 *
 * Where the next field begins is guessed by a branch wherever it is the same on most
 * lines: then the processor is some lines ahead, instead of waiting for each length. */
const char *number_line(struct number_lines *lines, const char *p,
                        struct rating_line *line)
{
    p = take_user(lines, p, line);
    p = p ? take_id(p, lines->separator, &line->item, &line->item_number) : NULL;
    p = p ? take_rating(p, &line->rating) : NULL;
    if (!p) {
        return NULL;
    }
    if (*p == lines->separator) {
        p = pass_digits(p + 1);
    }
    p += *p == '\r';
    return *p == '\n' ? p : NULL;
}

static inline uint64_t word_at(const char *p)
{
    uint64_t word;
    memcpy(&word, p, sizeof word);
    return word;
}

/* What most lines are: the user of the line before, an item of up to 7 digits, a rating
 * like 3.5, ten digits. Returns what follows the newline, or NULL. */
static inline const char *most_common(const struct number_lines *lines, const char *p,
                                      int32_t *item, float *rating)
{
    const uint64_t separator = (unsigned char)lines->separator;
    const uint64_t rating_mask = '0' | '.' << 8 | '0' << 16 | separator << 24;
    if ((word_at(p) & lines->mask) != lines->word) {
        return NULL;
    }
    p += lines->len + 1;
    const uint64_t others = no_digits(word_at(p));
    if (!others || (others & 0x80)) {
        return NULL;
    }
    uint32_t value;
    const size_t n = take_digits(p, &value);
    if (p[n] != lines->separator || (*p == '0' && n > 1)) {
        return NULL;
    }
    *item = (int32_t)value;
    p += n + 1;
    const uint32_t word = (uint32_t)(word_at(p) ^ rating_mask);
    const uint32_t whole = word & 0xFF, tenths = word >> 16;
    if ((word & 0xFF00FF00) || whole > 9 || tenths > 9) {
        return NULL;
    }
    *rating = (float)((whole * 10 + tenths) * 0.1); /* a test tries all hundred */
    p += 4;
    return are_digits(word_at(p)) && is_digit(p[8]) && is_digit(p[9]) && p[10] == '\n'
               ? p + 11
               : NULL;
}

size_t number_lines_take(struct number_lines *lines, const char **at, const char *end,
                         const struct number_columns *to, size_t capacity)
{
    const char *p = *at;
    size_t n = 0;
    for (; n < capacity && p < end; n++) {
        const char *next = most_common(lines, p, to->item + n, to->rating + n);
        if (next) {
            to->user[n] = lines->number;
        } else {
            struct rating_line line;
            next = number_line(lines, p, &line);
            if (!next) {
                break;
            }
            next++;
            to->user[n] = line.user_number;
            to->item[n] = line.item_number;
            to->rating[n] = line.rating;
        }
        p = next;
    }
    *at = p;
    return n;
}
