#include "stats/order.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

#define RADIX_BITS 11
#define RADIX_SIZE (1 << RADIX_BITS)
#define N_PASSES   6 /* of RADIX_BITS: 64 */
#define RADIX_MIN  512

/* Whole numbers that are ordered as the doubles are. */
static uint64_t key_of(double value)
{
    uint64_t bits;
    value += 0.0; /* -0 is 0 */
    memcpy(&bits, &value, sizeof bits);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

static double value_of(uint64_t key)
{
    const uint64_t bits = key >> 63 ? key & ~((uint64_t)1 << 63) : ~key;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static uint64_t get_key(const char *keys, size_t i)
{
    uint64_t key;
    memcpy(&key, keys + i * sizeof key, sizeof key);
    return key;
}

static void put_key(char *keys, size_t i, uint64_t key)
{
    memcpy(keys + i * sizeof key, &key, sizeof key);
}

/* Radix sort from the least digit on; digits that all keys share are passed over, which
 * are most of them when the values are whole numbers. The keys take the place of the
 * values meanwhile. False when there is no memory. */
static bool sort_by_radix(double *values, size_t n)
{
    void *const room = malloc(n * sizeof(uint64_t));
    char *from = (char *)values, *to = room;
    const bool has_room = room != NULL;
    for (size_t i = 0; has_room && i < n; i++) {
        put_key(from, i, key_of(values[i]));
    }
    for (int pass = 0; has_room && pass < N_PASSES; pass++) {
        size_t start[RADIX_SIZE] = {0};
        const int shift = pass * RADIX_BITS;
        for (size_t i = 0; i < n; i++) {
            start[get_key(from, i) >> shift & (RADIX_SIZE - 1)]++;
        }
        if (start[get_key(from, 0) >> shift & (RADIX_SIZE - 1)] == n) {
            continue;
        }
        size_t sum = 0;
        for (int digit = 0; digit < RADIX_SIZE; digit++) {
            const size_t count = start[digit];
            start[digit] = sum;
            sum += count;
        }
        for (size_t i = 0; i < n; i++) {
            const uint64_t key = get_key(from, i);
            put_key(to, start[key >> shift & (RADIX_SIZE - 1)]++, key);
        }
        char *const sorted = to;
        to = from;
        from = sorted;
    }
    for (size_t i = 0; has_room && i < n; i++) {
        values[i] = value_of(get_key(from, i));
    }
    free(room);
    return has_room;
}

void order_sort(double *values, uint64_t n_values)
{
    if (n_values > 1 &&
        (n_values < RADIX_MIN || !sort_by_radix(values, (size_t)n_values))) {
        qsort(values, (size_t)n_values, sizeof *values, compare);
    }
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
