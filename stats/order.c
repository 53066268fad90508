#include "stats/order.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "stats/radix.h"

/* A whole number that is ordered as the doubles are. */
static uint64_t key_of(const void *value)
{
    uint64_t bits;
    memcpy(&bits, value, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static void sort_by_insertion(double *values, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

/* By the first digit in which they differ, then each digit's by those behind it. */
static void sort(double *values, size_t n)
{
    size_t end[RADIX_DIGITS], count[RADIX_DIGITS];
    uint64_t differ = 0;
    if (n <= RADIX_FEW) {
        sort_by_insertion(values, n);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        differ |= key_of(&values[i]) ^ key_of(&values[0]);
    }
    if (differ) {
        const int shift = (63 - __builtin_clzll(differ)) / 8 * 8;
        radix_split(values, n, sizeof *values, shift, key_of, end, count);
        for (int digit = 0; digit < RADIX_DIGITS; digit++) {
            sort(values + end[digit] - count[digit], count[digit]);
        }
    }
}

void order_sort(double *values, uint64_t n_values)
{
    for (uint64_t i = 0; i < n_values; i++) {
        values[i] += 0.0; /* -0 is 0 */
    }
    sort(values, (size_t)n_values);
}

double order_quantile(const double *sorted, uint64_t n_values, double share)
{
    const double place = share * (double)(n_values - 1);
    const uint64_t below = (uint64_t)place;
    if (below + 1 >= n_values) {
        return sorted[n_values - 1];
    }
    const double weight = place - (double)below;
    return sorted[below] + weight * (sorted[below + 1] - sorted[below]);
}

int order_check_finite(const double *values, uint64_t n_values, struct error *error)
{
    for (uint64_t i = 0; i < n_values; i++) {
        if (!isfinite(values[i])) {
            error_set(error, ERROR_INVALID, "value %" PRIu64 " is not finite", i + 1);
            return -1;
        }
    }
    return 0;
}
