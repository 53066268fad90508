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

/* Ratings in file order; all arrays (capacity), owned. */
struct ratings_triples {
    int32_t *user;
    int32_t *item;
    float *rating;
    int64_t n, capacity;
};

void ratings_triples_free(struct ratings_triples *triples);

/* Makes *ratings of n > 0 triples whose indices are within the maps; of a pair that
 * appears twice the last one stays. Takes or frees the arrays, also when it fails (n
 * stays as it was); takes the maps only when it succeeds. Fails with ERROR_NOMEM. */
MUST_CHECK int ratings_take(struct ratings_triples *triples, struct id_map *users,
                            struct id_map *items, struct ratings **ratings,
                            struct error *error);

#endif
