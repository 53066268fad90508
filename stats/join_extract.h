/* join_extract.h - what the first reading keeps of every event, so that the second need
 * not go to the log again: user, time, experiments or event, value. Private to the
 * join's own files.
 *
 * Some ten bytes an event, where a line has 200 and a compressed one 20: in memory up
 * to a block a thread, then in a temporary file without a name, which goes when the
 * program does. Each thread fills a part of its own, with its own indices of users,
 * experiments and event names.
 *
 * An extract is a convenience: where it cannot be written (no room, no directory to
 * write to, more event names than anybody has) it is lost and the log is read again.
 * It does not serve those who ask for lists. Of events whose id came more than once it
 * knows where they are, near enough: those lines alone are read again.
 *
 * A block, which begins with everything 0 (and is a matter of one run, so of this
 * machine's byte order):
 *     1  flags: 1 exposure; 2 user as before; 4 user by its id; 8 experiments or event
 *        name as before; 16 has a latency, or names a request; 32 more experiments of
 *        an exposure that was counted, or has a value; 64 id is not the one after the
 *        one before; 128 begins a group
 *     v  length of the group before, in the log; v its segment; v where it begins:
 *        difference to the end of the one before; where it begins a group, which is of
 *        up to 16 lines that follow each other
 *     1  0, v difference of the number; 1, 8 hash of the prefix, v difference of the
 *        number; 2, 8 hash of the id; where the flags say so
 *     v  user: difference of indices, or v length and bytes of the id; unless as before
 *     v  time: difference in microseconds
 *     v  number of experiments, v index of each; or v event name; unless as before
 *     v  latency, or 8 value; where the flags say so
 * where v is a number of seven bits a byte, least first; differences are zigzag.
 */
#ifndef STATS_JOIN_EXTRACT_H
#define STATS_JOIN_EXTRACT_H

#include "stats/join_state.h"

struct join_extract;

/* For the parts of n_threads; NULL when memory ran out. */
MUST_CHECK struct join_extract *join_extract_new(int n_threads);
void join_extract_free(struct join_extract *extract);
struct join_extract_part *join_extract_part(struct join_extract *extract, int thread);

/* Whether all that was added is there. */
bool join_extract_is_whole(const struct join_extract *extract);

/* Index of an event's name, for fact.targets; ID_NONE when memory ran out. */
int32_t join_extract_name(struct join_extract_part *part, struct slice event);

/* Adds a fact of the first reading; `user` is its id, for when fact->user is ID_NONE.
 * -1 when memory ran out. */
MUST_CHECK int join_extract_add(struct join_extract_part *part,
                                const struct join_fact *fact, struct slice user);

/* Adds the hash of a line, for the fingerprint. */
void join_extract_add_line(struct join_extract_part *part, uint64_t line);

/* Where the users and experiments of `part` are in the join that took them in. Takes
 * user_of over; -1 when memory ran out, then it does not. */
MUST_CHECK int join_extract_map(struct join_extract_part *part, int32_t *user_of,
                                const int *experiment_of, int n_experiments);

/* Counts everything, as the second reading would (copies into join.repeats, too), with
 * as many threads as there are parts. -1 with the error in a worker or in *error. */
MUST_CHECK int join_extract_count(struct join_extract *extract,
                                  struct join_worker *workers, struct error *error);

#endif
