/* newcomers.h - ratings that came as feedback, of users whom a model does not know.
 *
 * Feedback with the event "rating", an item and a value is a rating. From a user's
 * ratings so far a vector is solved for (trainer/fold_in.h) when a list is asked for.
 * Kept in memory, rebuilt from the log at start. Bounded; shared by the threads.
 */
#ifndef SERVE_NEWCOMERS_H
#define SERVE_NEWCOMERS_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"
#include "trainer/trainer.h"

#define NEWCOMERS_EVENT       "rating"
#define NEWCOMERS_MAX_RATINGS 1000 /* of one user; later ones are not kept */

struct newcomers;

struct newcomers *newcomers_new(int32_t max_users, struct error *error);
void newcomers_free(struct newcomers *newcomers);

/* Notes a rating; a second one of the same item replaces the first. What does not fit
 * is dropped: the log has it. */
void newcomers_rate(struct newcomers *newcomers, struct slice user, struct slice item,
                    double value);

/* The user's ratings of items that `model` knows: item indices ascending, ratings
 * beside them, both (NEWCOMERS_MAX_RATINGS). Returns how many. */
int newcomers_ratings(struct newcomers *newcomers, struct slice user,
                      const struct model *model, int32_t *items, float *ratings);

/* Appends all ratings for a checkpoint, while others go on: those noted before the
 * call, and maybe later ones. */
void newcomers_encode(struct newcomers *newcomers, struct buffer *to);

/* Notes the ratings that newcomers_encode wrote. ERROR_DAMAGED when they cannot be
 * that; nothing is then noted. */
MUST_CHECK int newcomers_decode(struct newcomers *newcomers, struct slice from,
                                struct error *error);

#endif
