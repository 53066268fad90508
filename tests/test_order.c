/* Sorting of numbers, against qsort. */
#include "tests/testing.h"

#include <float.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"

#include "stats/order.h"

#define N_MOST 5000

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double whole(struct rng *rng)
{
    return (double)rng_below(rng, 50);
}
static double large_whole(struct rng *rng)
{
    return (double)rng_below(rng, 1U << 30);
}
static double share(struct rng *rng)
{
    return rng_uniform(rng);
}
static double same(struct rng *rng)
{
    (void)rng;
    return -3.25;
}
static double any(struct rng *rng)
{
    double value;
    do {
        const uint64_t bits = rng_next(rng);
        memcpy(&value, &bits, sizeof value);
    } while (!isfinite(value));
    return value;
}
static double edge(struct rng *rng)
{
    static const double edges[] = {0.0,     -0.0,     DBL_MAX,      -DBL_MAX,
                                   DBL_MIN, -DBL_MIN, DBL_TRUE_MIN, -DBL_TRUE_MIN,
                                   1.0,     -1.0};
    return edges[rng_below(rng, sizeof edges / sizeof edges[0])];
}

static void order_sorts_as_qsort_does(void **state)
{
    (void)state;
    static double (*const draws[])(struct rng *) = {whole, large_whole, share,
                                                    same,  any,         edge};
    static const size_t sizes[] = {0, 1, 2, 31, 32, 33, 34, 257, 1000, N_MOST};
    static double sorted[N_MOST], expected[N_MOST];
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (size_t d = 0; d < sizeof draws / sizeof draws[0]; d++) {
        for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
            for (size_t i = 0; i < sizes[s]; i++) {
                sorted[i] = expected[i] = draws[d](&rng);
            }
            qsort(expected, sizes[s], sizeof *expected, compare);
            order_sort(sorted, sizes[s]);
            for (int twice = 0; twice < 2; twice++) {
                for (size_t i = 0; i < sizes[s]; i++) {
                    assert_true(sorted[i] == expected[i]);
                    assert_false(sorted[i] == 0 && signbit(sorted[i]));
                }
                order_sort(sorted, sizes[s]); /* what is sorted stays so */
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(order_sorts_as_qsort_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
