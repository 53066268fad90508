/* id_seen.h - has this event id been seen before? In little memory, for 10^8 ids.
 *
 * Ids that a log writer makes are <node>-<number> with numbers that count up: they cost
 * about a bit each (a bitmap in pages). Any other id costs its 64-bit hash; two
 * different ids of 10^8 share one with probability 3e-4, and one event would then be
 * taken for a duplicate. Not safe to
 * share between threads.
 */
#ifndef STATS_ID_SEEN_H
#define STATS_ID_SEEN_H

#include <stdbool.h>
#include <stdint.h>

#include "common/bytes.h"
#include "common/error.h"
#include "common/slice.h"

struct id_seen;

MUST_CHECK struct id_seen *id_seen_new(void); /* NULL when memory ran out */
void id_seen_free(struct id_seen *seen);

/* Adds `id`. Returns 0 when it is new, 1 when it was there, -1 when memory ran out. */
MUST_CHECK int id_seen_add(struct id_seen *seen, struct slice id);

/* Adds all that `from` has seen; what both have seen came more than once. -1 when
 * memory ran out. */
MUST_CHECK int id_seen_merge(struct id_seen *into, const struct id_seen *from);

/* Whether `from` has an id that `seen` has seen, but once only: nobody knows any more
 * what came with it. */
bool id_seen_meets_single(const struct id_seen *seen, const struct id_seen *from);

/* As bytes of a file, and back: `into` is new. -1 when the bytes are none of ours (then
 * from->failed) or memory ran out. Repeated ids keep their indices. */
void id_seen_save(const struct id_seen *seen, struct buffer *to);
MUST_CHECK int id_seen_load(struct id_seen *into, struct bytes *from);

/* Index in [0, id_seen_n_repeated) of an id that was added more than once, or ID_NONE.
 */
int32_t id_seen_repeated(const struct id_seen *seen, struct slice id);
int32_t id_seen_n_repeated(const struct id_seen *seen);

/* What tells an id from others in 16 bytes: the hash of what precedes its number, and
 * the number, so that ids which count up have keys that do; or 0 and the hash of an id
 * without one. Ids that are the same have the same key; others do too, but as seldom as
 * two hashes are equal. */
struct id_key {
    uint64_t prefix, number;
};
struct id_key id_key_of(struct slice id);
struct id_key id_seen_last(const struct id_seen *seen); /* of what was added last */

/* The keys that repeated id `index` may have: fills `keys`, returns 1 or 2. */
int id_seen_repeated_keys(const struct id_seen *seen, int32_t index,
                          struct id_key keys[2]);

#endif
