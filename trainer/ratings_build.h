/* ratings_build.h - from ratings in the order of a file to sparse matrices both ways.
 *
 * A file that is grouped by user, as MovieLens is, needs one scatter and no second
 * copy: the arrays that were read become those by user, each user's part sorted in the
 * first-level cache. Any other order takes two scatters.
 */
#ifndef TRAINER_RATINGS_BUILD_H
#define TRAINER_RATINGS_BUILD_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/ratings.h"

/* Ratings of one user in the places from `start` to the next run's. */
struct rating_run {
    int64_t start;
    int32_t user;
};

/* Ratings in file order, owned. While users ascend, which a file that is grouped by
 * user has them do, only the places are kept at which they change. */
struct ratings_triples {
    struct rating_run *run; /* (run_capacity); NULL once `user` is there */
    int64_t n_runs, run_capacity;
    int32_t *user; /* (capacity), or NULL while there are runs */
    int32_t *item; /* (capacity) */
    float *rating; /* (capacity) */
    int64_t n, capacity;
};

void ratings_triples_free(struct ratings_triples *triples);

/* Makes room for n_more ratings behind those there are. `expected`: how many there will
 * be in all, if that is known, or 0. Fails without memory. */
MUST_CHECK int ratings_triples_reserve(struct ratings_triples *triples, int64_t n_more,
                                       int64_t expected);

/* Takes in n ratings whose items and ratings stand behind those there are already, in
 * the room reserved; their users are given. Fails without memory. */
MUST_CHECK int ratings_triples_add(struct ratings_triples *triples, const int32_t *user,
                                   int64_t n);

/* Makes *ratings of n > 0 triples whose indices are within the maps; of a pair that
 * appears twice the last one stays. Takes or frees the arrays, also when it fails (n
 * stays as it was); takes the maps only when it succeeds. Fails with ERROR_NOMEM. */
MUST_CHECK int ratings_take(struct ratings_triples *triples, struct id_map *users,
                            struct id_map *items, struct ratings **ratings,
                            struct error *error);

#endif
