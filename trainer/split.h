/* split.h - which ratings are held out for testing.
 *
 * A rating is held out when a hash of the seed, the user's id and the item's id falls
 * below the fraction. So the same ratings are held out whatever the order of the file's
 * lines, whatever lines are added, and whether `abtest split` writes two files or
 * `abtest train` splits in memory; and a pair that appears twice is never on both
 * sides. The share held out is the fraction up to chance (binomial).
 */
#ifndef TRAINER_SPLIT_H
#define TRAINER_SPLIT_H

#include <stdbool.h>

#include "common/slice.h"
#include "trainer/ratings.h"

/* What to say when nothing is held out. */
#define SPLIT_HINT                                                                     \
    "; where a split with the same seed has been, nothing is left: take another seed"

/* `fraction` in [0, 1]. */
bool split_is_held_out(struct slice user, struct slice item, uint64_t seed,
                       double fraction);

/* Splits `all` into *train and *test, which have the same indices as `all` (a user or
 * item may be without ratings in one of them). Fails with ERROR_NOMEM, or
 * ERROR_INVALID when one side would be empty. */
MUST_CHECK int split_ratings(const struct ratings *all, double fraction, uint64_t seed,
                             struct ratings **train, struct ratings **test,
                             struct error *error);

#endif
