/* writer.h - appends events to a log directory, one segment a thread.
 *
 * log_open locks the directory (a second writer is refused), repairs torn tails left by
 * a crash, and hands out shards. A shard belongs to one thread: events are appended to
 * its batch in memory, and log_shard_commit writes the batch with one system call, and
 * syncs it under FSYNC_ALWAYS. An answer that depends on an event may leave only after
 * its commit returned 0. Closed segments are synced, and so is the directory when a
 * name appears.
 *
 * When a write or a sync fails, the segment is sealed at its last good byte (truncated
 * there) and the batch is tried once more on a new segment within the same commit; a
 * failed sync is never repeated on the same file, for the kernel may have dropped the
 * pages. When that fails too, the commit fails; the next commit starts with a new
 * segment again, so service resumes by itself when the disk does. Whether it does is
 * tried once a second meanwhile (log_counters.n_failing): nobody may come to commit.
 */
#ifndef LOGS_WRITER_H
#define LOGS_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"
#include "logs/event.h"

#define EVENT_ID_SIZE                                                                  \
    48 /* bytes that hold any id made by log_shard_next_id, with its NUL */

enum log_sync { LOG_SYNC_ALWAYS, LOG_SYNC_EVERYSEC, LOG_SYNC_NO };

/* Where a log that is made rather than lived begins: with the same origin, the same
 * events are the same lines, byte for byte. */
struct log_origin {
    uint32_t node; /* the node's name, where the directory has none yet */
    int64_t
        ts_us; /* of the segments' names and config lines; microseconds since 1970 */
};

struct log_options {
    const char *directory; /* created when absent */
    enum log_sync sync;
    int64_t
        segment_size; /* bytes; a segment is closed once it holds at least as many */
    int64_t segment_age_us; /* microseconds */
    int n_shards;           /* worker threads, 1..1024 */
    struct event config; /* EVENT_CONFIG; copied; the first line of every segment; its
                            ts_us and id are filled in by the writer. Without a
                            text: log_set_config comes before the first event */

    /* Told what an operator should know (a torn tail was cut, a sync failed, a segment
     * was sealed), one line without newline; NULL: not told. May be called from any
     * thread. */
    void (*report)(void *context, const char *message);
    void *report_context;

    const struct log_origin
        *origin; /* copied; NULL: a random node name and the clock */

    /* Give each shard a thread of its own that commits for it: log_shard_submit. */
    bool has_committers;
};

struct log;
struct log_shard;

/* Fails with ERROR_BUSY when another process writes here, ERROR_IO, ERROR_INVALID or
 * ERROR_NOMEM. */
MUST_CHECK int log_open(const struct log_options *options, struct log **log,
                        struct error *error);

/* The config of a log that was opened without one, or another; only before the first
 * event is appended. -1 with ERROR_NOMEM or ERROR_INVALID (too long for a line). */
MUST_CHECK int log_set_config(struct log *log, const struct event *config,
                              struct error *error);

/* Commits, syncs and closes every segment. Returns -1 when something could not be made
 * durable; the log is freed either way. All shards must be idle. */
MUST_CHECK int log_close(struct log *log, struct error *error);

struct log_shard *log_shard_get(struct log *log, int shard);

/* Writes a fresh unique id into `id` and returns its length. */
int log_shard_next_id(struct log_shard *shard, char id[EVENT_ID_SIZE]);

/* Whether an id looks like one of log_shard_next_id, of any log. Nobody else may give
 * such: the event and the one whose id it takes would count as one. */
bool log_is_own_id(struct slice id);

/* Adds an exposure or feedback event to the batch. -1 with ERROR_NOMEM; the batch is
 * then as it was. */
MUST_CHECK int log_shard_append(struct log_shard *shard, const struct event *event,
                                struct error *error);

/* How far the batch goes; log_shard_rewind takes back what was appended since, before
 * any commit. */
struct log_batch_mark {
    size_t len; /* bytes: 0 when there is nothing to commit */
    int64_t n_events;
};
struct log_batch_mark log_shard_mark(const struct log_shard *shard);
void log_shard_rewind(struct log_shard *shard, struct log_batch_mark mark);

/* From now on the shard's segments begin with this config, and the open one gets it as
 * a line before the events appended after this: a reload. Only from the shard's own
 * thread; waits for a commit of the shard that is under way. -1 with ERROR_NOMEM or
 * ERROR_INVALID (too long for a line); the shard is then as it was. */
MUST_CHECK int log_shard_set_config(struct log_shard *shard, const struct event *config,
                                    struct error *error);

/* Writes the batch. 0: it is in the file (and on disk under LOG_SYNC_ALWAYS). -1 with
 * ERROR_IO: nothing of it counts; the batch is dropped, and the caller must not confirm
 * any of its events. */
MUST_CHECK int log_shard_commit(struct log_shard *shard, struct error *error);

/* Committing off the loop, for LOG_SYNC_ALWAYS in an event loop that may not wait for
 * the disk. Once a tick the loop submits; the events are numbered as a batch, and the
 * answers that depend on them wait for that number. When log_shard_done_fd becomes
 * readable the loop reaps: every batch up to the number it is told is then done, in one
 * way. What is submitted while the disk is busy forms one batch: group commit.
 *
 *     tick:      log_shard_append(...); ...; log_shard_submit(shard, &batch, &error);
 *     readable:  while (log_shard_reap(shard, &done)) {
 *                    release the answers with batch <= done.batch, with what they say
 * if done.is_committed and with 503 otherwise }
 *
 * Only with options.has_committers, and only from the shard's own thread. A shard uses
 * submit or commit, not both. */

/* Hands over what was appended and returns at once. *batch is its number (from 1, never
 * falling), or 0 when nothing was appended since the last submit. -1 with ERROR_NOMEM:
 * nothing was handed over, the events are dropped and must not be confirmed. */
MUST_CHECK int log_shard_submit(struct log_shard *shard, uint64_t *batch,
                                struct error *error);

/* An eventfd, readable while there is something to reap; owned by the log. */
int log_shard_done_fd(const struct log_shard *shard);

struct log_done {
    uint64_t batch;    /* this one and all before it that were not reaped yet */
    bool is_committed; /* as if log_shard_commit had returned 0; else nothing counts */
    int64_t commit_ns; /* how long the last of them took to write and sync */
};

/* False when nothing is left to reap; the fd is then not readable any more. */
bool log_shard_reap(struct log_shard *shard, struct log_done *done);

/* What the log did since log_open, all shards together. May be asked from any thread;
 * the numbers may then be some commits apart. */
#define LOG_N_SYNC_BUCKETS 24
struct log_counters {
    int64_t n_events;         /* committed, config lines not counted */
    int64_t n_bytes;          /* committed */
    int64_t n_failed_commits; /* the caller was told -1 */
    int64_t n_sealed;         /* segments given up after a failed write or sync */
    int64_t n_segments;       /* opened */
    int64_t n_syncs;          /* of data, failed ones too */
    int64_t sync_ns;          /* all of them together */
    int64_t sync_count[LOG_N_SYNC_BUCKETS]; /* [i]: those that took less than 2^i us and
                                               not less than half; the last: the rest */
    int64_t n_waiting_bytes;                /* submitted and not committed yet */
    int n_failing; /* shards whose last commit failed, as did all trials since */
};
void log_counters_get(struct log *log, struct log_counters *counters);

/* Cuts torn tails and compresses every plain segment of a directory that no writer
 * has: what a server does in the background. *n is the number of segments compressed.
 * Fails as log_open does; ERROR_IO when a segment cannot be compressed, which stays as
 * it is. `report` may be NULL. */
MUST_CHECK int log_compact(const char *directory,
                           void (*report)(void *context, const char *message),
                           void *report_context, int64_t *n, struct error *error);

#endif
