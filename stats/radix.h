/* radix.h - one step of sorting records in place by the digits of a key from its upper
 * end (P. McIlroy, K. Bostic, M. McIlroy, "Engineering radix sort", Computing Systems 6
 * (1993) 5). Not stable. The caller goes on within each digit, and sorts few records by
 * insertion. Private to stats/.
 */
#ifndef STATS_RADIX_H
#define STATS_RADIX_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define RADIX_DIGITS 256
#define RADIX_FEW    16 /* records that are better sorted by insertion */
#define RADIX_SIZE   16 /* bytes of a record at most */

/* Brings `n` records of `size` bytes in order of the eight bits of their keys above
 * `shift`: those of digit d are then the count[d] before end[d]. Inline, so that size
 * and key are known to the compiler. */
__attribute__((always_inline)) static inline void
radix_split(void *records, size_t n, size_t size, int shift,
            uint64_t (*key)(const void *record), size_t end[RADIX_DIGITS],
            size_t count[RADIX_DIGITS])
{
    char *const at = records;
    size_t next[RADIX_DIGITS];
    memset(count, 0, RADIX_DIGITS * sizeof *count);
    for (size_t i = 0; i < n; i++) {
        count[key(at + i * size) >> shift & (RADIX_DIGITS - 1)]++;
    }
    for (size_t digit = 0, sum = 0; digit < RADIX_DIGITS; digit++) {
        next[digit] = sum;
        sum += count[digit];
        end[digit] = sum;
    }
    for (size_t digit = 0; digit < RADIX_DIGITS; digit++) {
        while (next[digit] < end[digit]) {
            char record[RADIX_SIZE];
            char *const from = at + next[digit] * size;
            memcpy(record, from, size);
            char *const to =
                at + next[key(record) >> shift & (RADIX_DIGITS - 1)]++ * size;
            memmove(from, to, size);
            memcpy(to, record, size);
        }
    }
}

#endif
