#include "bench/large_set.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "bench/machine.h"
#include "common/rng.h"

#define N_USERS 162541
#define N_ITEMS 59047

struct shape {
    double *cumulative; /* (N_ITEMS) popularity */
    int32_t *stamp;     /* (N_ITEMS) the last user that drew it */
};

static int32_t draw_item(const struct shape *shape, struct rng *rng)
{
    const double x = rng_uniform(rng) * shape->cumulative[N_ITEMS - 1];
    int32_t low = 0, high = N_ITEMS - 1;
    while (low < high) {
        const int32_t middle = (low + high) / 2;
        if (shape->cumulative[middle] < x) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct id_map *number_ids(int32_t n)
{
    struct id_map *map = need(id_map_new());
    for (int32_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i + 1);
        if (id_map_add(map, slice_of(id)) != i) {
            die("no memory");
        }
    }
    return map;
}

struct ratings *large_set_make(int64_t n_wanted)
{
    struct rng rng;
    struct shape shape = {need(malloc(N_ITEMS * sizeof(double))),
                          need(calloc(N_ITEMS, sizeof(int32_t)))};
    int32_t *user = need(malloc((size_t)n_wanted * sizeof *user));
    int32_t *item = need(malloc((size_t)n_wanted * sizeof *item));
    float *rating = need(malloc((size_t)n_wanted * sizeof *rating));
    double *activity = need(malloc(N_USERS * sizeof *activity)), total = 0, sum = 0;
    struct ratings *ratings = NULL;
    rng_init(&rng, 1, 7);
    for (int32_t i = 0; i < N_ITEMS; i++) {
        shape.cumulative[i] = sum += pow(i + 150, -1.6);
    }
    for (int32_t u = 0; u < N_USERS; u++) {
        total += activity[u] = exp(1.3 * rng_normal(&rng));
    }
    int64_t n = 0;
    for (int32_t u = 0; u < N_USERS && n < n_wanted; u++) {
        const double share =
            activity[u] / total * (double)(n_wanted - 20 * (int64_t)N_USERS);
        int64_t left = (int64_t)(share + 20 + rng_uniform(&rng));
        left = left < 9000 ? left : 9000;
        for (int64_t tries = 3 * left; left && tries && n < n_wanted; tries--) {
            const int32_t i = draw_item(&shape, &rng);
            if (shape.stamp[i] != u + 1) {
                shape.stamp[i] = u + 1;
                user[n] = u;
                item[n] = i;
                /* 17 % at or below 2.5, as in MovieLens 25M. */
                rating[n++] = rng_uniform(&rng) < 0.17
                                  ? 0.5F * (float)(1 + rng_below(&rng, 5))
                                  : 0.5F * (float)(6 + rng_below(&rng, 5));
                left--;
            }
        }
    }
    const struct rating_triples triples = {user, item, rating, n};
    if (ratings_build(&triples, number_ids(N_USERS), number_ids(N_ITEMS), &ratings,
                      NULL) != 0) {
        die("no memory");
    }
    free(activity);
    free(rating);
    free(item);
    free(user);
    free(shape.stamp);
    free(shape.cumulative);
    return ratings;
}

void large_set_write(const struct ratings *ratings, const char *path)
{
    FILE *file = fopen(path, "w");
    if (!file) {
        die("cannot write the large set");
    }
    for (int32_t u = 0; u < ratings->n_users; u++) {
        for (int64_t i = ratings->user_start[u]; i < ratings->user_start[u + 1]; i++) {
            fprintf(file, "%d %d %.1f\n", u, ratings->user_item[i],
                    (double)ratings->user_rating[i]);
        }
    }
    if (fclose(file) != 0) {
        die("cannot write the large set");
    }
}
