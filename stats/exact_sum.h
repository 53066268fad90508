/* exact_sum.h - sums of doubles that do not depend on the order of the addends.
 *
 * Fixed point in 128 bits, 64 of them after the point: each value is cut once, to a
 * multiple of 2^-64 (5e-20), and from then on every addition is exact, so the lines of
 * a log may come in any order and from any number of threads. Values are refused beyond
 * 2^40 (1e12); eight million values of that size fit in one sum.
 */
#ifndef STATS_EXACT_SUM_H
#define STATS_EXACT_SUM_H

#include <math.h>
#include <stdbool.h>

#define EXACT_SUM_LIMIT 0x1p40

__extension__ typedef __int128 exact_sum;

/* False for NAN, infinities and what is too large; *sum is then as it was. */
static inline bool exact_sum_add(exact_sum *sum, double value)
{
    if (!(fabs(value) <= EXACT_SUM_LIMIT)) {
        return false;
    }
    *sum += (exact_sum)(value * 0x1p64);
    return true;
}

static inline double exact_sum_value(exact_sum sum)
{
    return (double)sum * 0x1p-64;
}

#endif
