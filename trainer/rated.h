/* rated.h - who rated what, by user, from a file beside the ratings that is mapped.
 *
 * Ratings are text: reading millions takes most of a second, and what a server needs of
 * them 8 bytes each. So the first load leaves `RATINGS.seen` (rated_format.h) beside a
 * large ratings file, and later ones map that: nothing is parsed, and its pages are the
 * page cache's, which the kernel may take back. It holds nothing else and may be
 * removed at any time.
 *
 * It counts only for the very file it was made of: the same size, and the same device,
 * inode, time of writing and time of change; where those differ (a copy, a restore), or
 * were too young to tell a later change, the content's hash decides. A stale or damaged
 * file is made anew; where none can be written the same bytes are kept in memory.
 */
#ifndef TRAINER_RATED_H
#define TRAINER_RATED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/id_index.h"
#include "trainer/ratings.h"

/* Users and items are numbered in the order of their first appearance in the ratings
 * file, as by ratings_load. Immutable; threads may share it. */
struct rated {
    int32_t n_users;
    int32_t n_items;
    int64_t n_ratings;
    const int64_t *start; /* (n_users + 1) */
    const int32_t *item;  /* (n_ratings) ascending within a user */
    struct id_index users, items;

    const uint8_t *code; /* (n_ratings) indices into `value`, or NULL */
    const float *value;  /* (at most 256), or (n_ratings) where code is NULL */
    void *bytes;         /* what all of these point into */
    size_t len;
    bool is_mapped;
};

#define RATED_SUFFIX ".seen"

struct rated_options {
    size_t least_bytes; /* smaller ratings files are just read */
};

struct rated_options rated_options_default(void); /* 4 MiB */

/* Loads `path` by way of the file beside it. `options` may be NULL. *note becomes what
 * an operator should know though all is well ("cannot write ..."), code 0 for nothing.
 * Fails as ratings_load. The caller frees with rated_free. */
MUST_CHECK int rated_load(const char *path, const struct rated_options *options,
                          struct rated **rated, struct error *note,
                          struct error *error);
void rated_free(struct rated *rated); /* NULL is allowed */

/* The i-th rating, i in [0, n_ratings). */
static inline float rated_rating(const struct rated *rated, int64_t i)
{
    return rated->value[rated->code ? rated->code[i] : i];
}

#endif
