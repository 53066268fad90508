/* planted.h - ratings whose factors are known, for tests of the trainer. */
#ifndef TESTS_PLANTED_H
#define TESTS_PLANTED_H

#include <stdlib.h>

#include "common/rng.h"
#include "trainer/trainer.h"

#define PLANTED_RANK 2

/* r = 3 + b_u + c_i + u . v + noise, each pair observed with probability `density`. */
static inline struct ratings *planted_ratings(int32_t n_users, int32_t n_items,
                                              double density, double noise,
                                              uint64_t seed)
{
    struct rng rng;
    rng_init(&rng, seed, 1);
    const size_t n_max = (size_t)n_users * (size_t)n_items;
    const size_t n_rows = (size_t)n_users + (size_t)n_items;
    double *row = malloc(n_rows * (PLANTED_RANK + 1) * sizeof *row);
    int32_t *user = malloc(n_max * sizeof *user), *item = malloc(n_max * sizeof *item);
    float *rating = malloc(n_max * sizeof *rating);
    struct id_map *users = id_map_new(), *items = id_map_new();
    struct ratings *ratings = NULL;
    int64_t n = 0;
    assert_true(row && user && item && rating && users && items);
    for (size_t i = 0; i < n_rows * (PLANTED_RANK + 1); i++) {
        row[i] = rng_normal(&rng) * 0.7;
    }
    for (int32_t i = 0; i < n_users || i < n_items; i++) {
        char id[16];
        snprintf(id, sizeof id, "x%d", i);
        assert_true(i >= n_users || id_map_add(users, slice_of(id)) == i);
        assert_true(i >= n_items || id_map_add(items, slice_of(id)) == i);
    }
    for (int32_t u = 0; u < n_users; u++) {
        for (int32_t i = 0; i < n_items; i++) {
            const double *p = row + (size_t)u * (PLANTED_RANK + 1);
            const double *q = row + (size_t)(n_users + i) * (PLANTED_RANK + 1);
            double r = 3 + p[PLANTED_RANK] + q[PLANTED_RANK] + noise * rng_normal(&rng);
            for (int f = 0; f < PLANTED_RANK; f++) {
                r += p[f] * q[f];
            }
            if (rng_uniform(&rng) < density) {
                user[n] = u;
                item[n] = i;
                rating[n++] = (float)r;
            }
        }
    }
    const struct rating_triples triples = {user, item, rating, n};
    assert_int_equal(ratings_build(&triples, users, items, &ratings, NULL), 0);
    free(rating);
    free(item);
    free(user);
    free(row);
    return ratings;
}

#endif
