/* ratings.h - who rated what, as sparse matrices by user and by item.
 *
 * Ids are arbitrary strings mapped to contiguous indices in order of first appearance.
 * Reading all ratings of one user or of one item is a slice of an array. A pair that
 * appears twice keeps its last rating.
 */
#ifndef TRAINER_RATINGS_H
#define TRAINER_RATINGS_H

#include <stdint.h>

#include "common/error.h"
#include "common/id_map.h"

struct ratings {
    int32_t n_users;
    int32_t n_items;
    int64_t n_ratings;

    int64_t *user_start; /* (n_users + 1): user u's ratings are [user_start[u],
                            user_start[u+1]) */
    int32_t *user_item;  /* (n_ratings): item index, ascending within a user */
    float *user_rating;  /* (n_ratings) */

    int64_t *item_start; /* (n_items + 1) */
    int32_t *item_user;  /* (n_ratings): user index, ascending within an item */
    float *item_rating;  /* (n_ratings) */

    struct id_map *users; /* owned; n_users ids */
    struct id_map *items; /* owned; n_items ids */
};

/* Reads a CSV of userId,movieId,rating[,timestamp] with or without a header line. The
 * first bad line is named as file:line. Fails with ERROR_NOT_FOUND, ERROR_IO,
 * ERROR_INVALID or ERROR_NOMEM; *ratings is then untouched. */
MUST_CHECK int ratings_load(const char *path, struct ratings **ratings,
                            struct error *error);

void ratings_free(struct ratings *ratings);

#endif
