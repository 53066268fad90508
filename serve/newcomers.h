/* newcomers.h - ratings that came as feedback, of users whom a model does not know.
 *
 * Feedback with the event "rating", an item and a value is a rating. From a user's
 * ratings so far a vector is solved for (trainer/fold_in.h) when a list is asked for.
 * Kept in memory, rebuilt from the log at start. Bounded; shared by the threads.
 *
 * Of two ratings of one item the one with the later time holds, and of two at the same
 * time the higher, in whatever order they come: the segments of several workers are not
 * read in the order in which they were written.
 *
 * A rating counts from when it is logged: newcomers_note keeps it for the batch of
 * `worker`, and newcomers_settle notes it, or forgets it when the commit failed.
 */
#ifndef SERVE_NEWCOMERS_H
#define SERVE_NEWCOMERS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"
#include "trainer/trainer.h"

#define NEWCOMERS_EVENT       "rating"
#define NEWCOMERS_MAX_RATINGS 1000    /* of one user; later ones are not kept */
#define NEWCOMERS_MAX_ITEMS   1000000 /* of all users; ratings of others are not kept */

/* Values beyond are no ratings, whoever sends them: with 1e300 no vector can be solved
 * for. They are dropped. */
#define NEWCOMERS_MAX_VALUE 1e6

struct newcomers;

struct newcomers *newcomers_new(int32_t max_users, int n_workers, struct error *error);
void newcomers_free(struct newcomers *newcomers);

struct rating_event {
    struct slice user, item;
    double value;
    int64_t ts_us;
};

/* Takes a rating that is logged. What does not fit is dropped: the log has it. */
void newcomers_rate(struct newcomers *newcomers, const struct rating_event *rating);

/* Keeps a rating that is being logged. */
void newcomers_note(struct newcomers *newcomers, int worker,
                    const struct rating_event *rating);

/* How much the worker has noted and not settled: in bytes, which mean nothing to
 * others. newcomers_undo takes back what was noted since then; newcomers_settle takes
 * up, or forgets, what was noted until then. */
size_t newcomers_mark(const struct newcomers *newcomers, int worker);
void newcomers_undo(struct newcomers *newcomers, int worker, size_t mark);
void newcomers_settle(struct newcomers *newcomers, int worker, size_t mark,
                      bool is_logged);

/* The user's ratings of items that `model` knows: item indices ascending, ratings
 * beside them, both (NEWCOMERS_MAX_RATINGS). Returns how many. */
int newcomers_ratings(struct newcomers *newcomers, struct slice user,
                      const struct model *model, int32_t *items, float *ratings);

/* What is noted and not settled now: (n_workers) numbers for newcomers_are_settled,
 * which says whether all that is, whatever has come since. */
void newcomers_pending(struct newcomers *newcomers, uint64_t *pending);
bool newcomers_are_settled(struct newcomers *newcomers, const uint64_t *pending);

/* Appends all ratings for a checkpoint, while others go on: those settled before the
 * call, and maybe later ones. */
void newcomers_encode(struct newcomers *newcomers, struct buffer *to);

/* Notes the ratings that newcomers_encode wrote. ERROR_DAMAGED when they cannot be
 * that; nothing is then noted. */
MUST_CHECK int newcomers_decode(struct newcomers *newcomers, struct slice from,
                                struct error *error);

#endif
