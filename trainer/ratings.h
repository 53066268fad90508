/* ratings.h - who rated what, as sparse matrices by user and by item.
 *
 * Ids are arbitrary strings mapped to contiguous indices in order of first appearance.
 * Reading all ratings of one user or of one item is a slice of an array. A pair that
 * appears twice keeps its last rating.
 */
#ifndef TRAINER_RATINGS_H
#define TRAINER_RATINGS_H

#include <stdbool.h>
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

/* How to read, and what was met on the way. */
struct ratings_options {
    bool skip_bad; /* count bad lines instead of failing at the first */

    /* Called about every 2^18 lines unless NULL: bytes of the file read and in all (-1
     * when unknown), ratings so far. */
    void (*progress)(void *context, int64_t position, int64_t size, int64_t n_ratings);
    void *context;

    int64_t n_bad;        /* out: lines skipped */
    int64_t n_duplicates; /* out: ratings replaced by a later one of the same pair */
    char first_bad[512];  /* out: the first of them, as file:line: reason */
};

/* Reads a CSV of userId,movieId,rating[,timestamp] with or without a header line
 * (rating_reader.h says what else). The first bad line is named as file:line. Fails
 * with ERROR_NOT_FOUND, ERROR_IO, ERROR_DAMAGED, ERROR_INVALID or ERROR_NOMEM; *ratings
 * is then untouched. */
MUST_CHECK int ratings_load(const char *path, struct ratings **ratings,
                            struct error *error);

/* The same with options; `options` may be NULL. */
MUST_CHECK int ratings_load_with(const char *path, struct ratings_options *options,
                                 struct ratings **ratings, struct error *error);

/* Reads two files into the same indices, so that index u is the same user in both. Both
 * n_users and n_items count the ids of both files: one that only the other file has
 * holds no ratings. The counts in `options` are those of both files together. */
MUST_CHECK int ratings_load_pair(const char *train_path, const char *test_path,
                                 struct ratings_options *options,
                                 struct ratings **train, struct ratings **test,
                                 struct error *error);

/* n ratings in any order, indices within the maps; n >= 0. */
struct rating_triples {
    const int32_t *user;
    const int32_t *item;
    const float *rating;
    int64_t n;
};

/* Sorts triples into *ratings, for data that was made or split, not read. Takes the
 * maps when it succeeds; fails only with ERROR_NOMEM. */
MUST_CHECK int ratings_build(const struct rating_triples *triples, struct id_map *users,
                             struct id_map *items, struct ratings **ratings,
                             struct error *error);

void ratings_free(struct ratings *ratings);

/* Adds those of the ids of `items` that `ratings` does not have, in their order, as
 * items without ratings. Fails with ERROR_NOMEM; `ratings` is then as it was or larger.
 */
MUST_CHECK int ratings_add_items(struct ratings *ratings, const struct id_map *items,
                                 struct error *error);

/* Gives the by-item arrays back, for who only looks users up: half of the memory. They
 * are NULL then. */
void ratings_drop_items(struct ratings *ratings);

/* Mean of all ratings; 0 when there are none. */
double ratings_mean(const struct ratings *ratings);

/* The rating that `user` gave `item`, or NAN. O(log of the user's ratings). */
float ratings_get(const struct ratings *ratings, int32_t user, int32_t item);

#endif
