/* decimal.h - numbers as decimal text and back, for hot paths: the shortest text that
 * reads back as the same number, and the nearest double of a text.
 *
 * Writing: R. Giulietti, "The Schubfach way to render doubles" (2021). Reading: the
 * digits times a 128-bit power of ten, as in D. Lemire, "Number parsing at a gigabyte
 * per second", Software: Practice and Experience 51 (2021) 1700; the few texts that
 * this cannot decide go to strtod. Depends on no locale. Nothing here allocates or
 * fails.
 */
#ifndef COMMON_DECIMAL_H
#define COMMON_DECIMAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define DECIMAL_SIZE 32 /* bytes that hold whatever is written here */

/* These write no NUL and return the length. */

size_t decimal_write_int(char to[DECIMAL_SIZE], int64_t value);

/* A finite double or float, as printf's %.Ng with the smallest N >= 15 (for a float: 6)
 * that reads back the same would, but with fewer digits where fewer do. */
size_t decimal_write_double(char to[DECIMAL_SIZE], double value);
size_t decimal_write_float(char to[DECIMAL_SIZE], float value);

/* The number of eight digits 0 to 9, the first in the lowest byte: pairs, then fours,
 * then all eight are joined by multiplying, as in Lemire's fast_double_parser. */
static inline uint32_t decimal_join_eight(uint64_t word)
{
    const uint64_t mask = 0x000000FF000000FF;
    word = word * 10 + (word >> 8);
    word = ((word & mask) * 0x000F424000000064 +
            ((word >> 16) & mask) * 0x0000271000000001) >>
           32;
    return (uint32_t)word;
}

/* When the eight bytes at `at` are all digits, appends them to *digits and returns
 * true: *digits = *digits * 10^8 + them. False elsewhere than on
 * little-endian machines, where a caller's loop over single digits then does the work.
 */
static inline bool decimal_take_eight(const char *at, uint64_t *digits)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, at, sizeof word);
    if ((word & 0xF0F0F0F0F0F0F0F0) != 0x3030303030303030 ||
        ((word + 0x0606060606060606) & 0xF0F0F0F0F0F0F0F0) != 0x3030303030303030) {
        return false;
    }
    *digits = *digits * 100000000 + decimal_join_eight(word - 0x3030303030303030);
    return true;
#else
    (void)at;
    (void)digits;
    return false;
#endif
}

/* Appends the digits that begin at `at`, of which eight bytes can be read, to *digits:
 * all up to the first other byte, at most eight. Returns how many they are. Without a
 * branch, for nobody can foresee how many. */
static inline int decimal_take_some(const char *at, uint64_t *digits)
{
    static const uint32_t powers[] = {1,      10,      100,      1000,     10000,
                                      100000, 1000000, 10000000, 100000000};
    int n = 0;
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    uint64_t word;
    memcpy(&word, at, sizeof word);
    word ^= 0x3030303030303030;
    /* The highest bit of bytes above 9; what carries over only touches later ones. */
    const uint64_t others = ((word + 0x7676767676767676) | word) & 0x8080808080808080;
    n = others ? __builtin_ctzll(others) / 8 : 8;
    word = n ? word << (64 - 8 * n) : 0;
    *digits = *digits * powers[n] + decimal_join_eight(word);
#else
    uint64_t sum = 0;
    while (n < 8 && at[n] >= '0' && at[n] <= '9') {
        sum = sum * 10 + (uint64_t)(at[n++] - '0');
    }
    *digits = *digits * powers[n] + sum;
#endif
    return n;
}

/* Reads the JSON number that begins at `at` and stops at or before `end`. Returns where
 * it ended and the nearest double in *value, or NULL when there is no JSON number, it
 * is longer than 1,000 bytes, or its double would be infinite. */
const char *decimal_read(const char *at, const char *end, double *value);

#endif
