/* dedup.h - which ids of clients have been seen, so that a retry counts once.
 *
 * Bounded: two generations of up to `capacity` ids each; when the younger is full the
 * older is forgotten. Ids are kept as 128-bit keyed hashes, no collision to be
 * expected, in tables of 24 bytes a slot that are at most half full. Shared by the
 * threads.
 *
 * An id counts from when it is logged: dedup_add marks it as pending for the batch of
 * `worker`, and dedup_settle makes it final, or forgets it when the commit failed.
 */
#ifndef SERVE_DEDUP_H
#define SERVE_DEDUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

struct dedup;

enum dedup_result {
    DEDUP_NEW,
    DEDUP_SEEN, /* logged, or in the batch that this worker is filling */
    DEDUP_BUSY, /* in another batch: not known yet whether it counts */
    DEDUP_NO_MEMORY,
};

struct dedup *dedup_new(size_t capacity, int n_workers, struct error *error);
void dedup_free(struct dedup *dedup);

enum dedup_result dedup_add(struct dedup *dedup, struct slice id, int worker);

/* The first `n` that the worker has added and not settled are logged, or are not. */
void dedup_settle(struct dedup *dedup, int worker, size_t n, bool is_logged);

/* How many the worker has added and not settled. dedup_undo takes back what was added
 * since then, because the request is refused after all. */
size_t dedup_mark(const struct dedup *dedup, int worker);

/* The batch that the worker was filling is being committed; what is added from now on
 * belongs to the next. Returns dedup_mark. */
size_t dedup_seal(struct dedup *dedup, int worker);
void dedup_undo(struct dedup *dedup, int worker, size_t mark);

/* ---- for a checkpoint ---- */

struct dedup_id {
    uint64_t low, high; /* the keyed hash */
};

struct dedup_copy {
    uint64_t key;
    /* (n) the older generation first, in the order of its table */
    struct dedup_id *ids;
    size_t n_old, n;
    size_t *pending; /* (n_pending) indices of ids that were not settled */
    size_t n_pending, pending_capacity;
};

/* Copies what is remembered, while others go on: every id that was added before the
 * call and not forgotten, and maybe later ones. ERROR_NOMEM, or ERROR_BUSY when a
 * generation ended meanwhile. The caller frees *copy, failed or not. */
MUST_CHECK int dedup_copy_make(struct dedup *dedup, struct dedup_copy *copy,
                               struct error *error);
void dedup_copy_free(struct dedup_copy *copy); /* leaves nothing */

/* Takes out of the copy what was pending and has not been logged. False when some are
 * pending still: ask again later. */
bool dedup_copy_settle(struct dedup *dedup, struct dedup_copy *copy);

/* Remembers what a copy held, in a dedup that is empty yet. `ids` are n pairs of
 * uint64_t, in any alignment. ERROR_INVALID when they do not fit. */
MUST_CHECK int dedup_restore(struct dedup *dedup, uint64_t key, const char *ids,
                             size_t n_old, size_t n, struct error *error);

#endif
