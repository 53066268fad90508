#include "stats/order.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define DIGIT_BITS 8
#define N_DIGITS   (1 << DIGIT_BITS)
#define TOP_SHIFT  (64 - DIGIT_BITS)
#define SMALL      32 /* so many are sorted by insertion */

/* A digit of the whole number that is ordered as the doubles are. */
static size_t digit_of(double value, int shift)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bits = bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
    return (size_t)(bits >> shift & (N_DIGITS - 1));
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

/* Moves each value to where its digit's begin: start[d] of the caller goes to end[d].
 */
static void permute(double *values, int shift, size_t *start, const size_t *end)
{
    for (size_t d = 0; d < N_DIGITS; d++) {
        while (start[d] < end[d]) {
            double value = values[start[d]];
            for (size_t own = digit_of(value, shift); own != d;
                 own = digit_of(value, shift)) {
                const double moved = values[start[own]];
                values[start[own]++] = value;
                value = moved;
            }
            values[start[d]++] = value;
        }
    }
}

/* In place, by the digit at `shift` and those below: "American flag sort", McIlroy,
 * Bostic & McIlroy, Computing Systems 6 (1993) 5. Digits that all share are passed
 * over, which are most of them when the values are whole numbers. */
static void sort_by_digits(double *values, size_t n, int shift)
{
    for (; n > SMALL && shift >= 0; shift -= DIGIT_BITS) {
        size_t start[N_DIGITS], end[N_DIGITS] = {0};
        for (size_t i = 0; i < n; i++) {
            end[digit_of(values[i], shift)]++;
        }
        if (end[digit_of(values[0], shift)] == n) {
            continue;
        }
        for (size_t d = 0, sum = 0; d < N_DIGITS; d++) {
            start[d] = sum;
            sum += end[d];
            end[d] = sum;
        }
        permute(values, shift, start, end);
        for (size_t d = 0, from = 0; d < N_DIGITS; from = end[d++]) {
            sort_by_digits(values + from, end[d] - from, shift - DIGIT_BITS);
        }
        return;
    }
    if (n <= SMALL) { /* else all are the same */
        sort_by_insertion(values, n);
    }
}

void order_sort(double *values, uint64_t n_values)
{
    for (uint64_t i = 0; i < n_values; i++) {
        values[i] += 0.0; /* -0 is 0 */
    }
    sort_by_digits(values, (size_t)n_values, TOP_SHIFT);
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
