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
 * segment again, so service resumes by itself when the disk does.
 */
#ifndef LOGS_WRITER_H
#define LOGS_WRITER_H

#include <stdint.h>

#include "common/error.h"
#include "logs/event.h"

#define EVENT_ID_SIZE                                                                  \
    48 /* bytes that hold any id made by log_shard_next_id, with its NUL */

enum log_sync { LOG_SYNC_ALWAYS, LOG_SYNC_EVERYSEC, LOG_SYNC_NO };

struct log_options {
    const char *directory; /* created when absent */
    enum log_sync sync;
    int64_t
        segment_size; /* bytes; a segment is closed once it holds at least as many */
    int64_t segment_age_us; /* microseconds */
    int n_shards;           /* worker threads, 1..1024 */
    struct event config; /* EVENT_CONFIG; copied; the first line of every segment; its
                            ts_us and id are filled in by the writer */

    /* Told what an operator should know (a torn tail was cut, a sync failed, a segment
     * was sealed), one line without newline; NULL: not told. May be called from any
     * thread. */
    void (*report)(void *context, const char *message);
    void *report_context;
};

struct log;
struct log_shard;

/* Fails with ERROR_BUSY when another process writes here, ERROR_IO, ERROR_INVALID or
 * ERROR_NOMEM. */
MUST_CHECK int log_open(const struct log_options *options, struct log **log,
                        struct error *error);

/* Commits, syncs and closes every segment. Returns -1 when something could not be made
 * durable; the log is freed either way. All shards must be idle. */
MUST_CHECK int log_close(struct log *log, struct error *error);

struct log_shard *log_shard_get(struct log *log, int shard);

/* Writes a fresh unique id into `id` and returns its length. */
int log_shard_next_id(struct log_shard *shard, char id[EVENT_ID_SIZE]);

/* Adds an exposure or feedback event to the batch. -1 with ERROR_NOMEM; the batch is
 * then as it was. */
MUST_CHECK int log_shard_append(struct log_shard *shard, const struct event *event,
                                struct error *error);

/* Writes the batch. 0: it is in the file (and on disk under LOG_SYNC_ALWAYS). -1 with
 * ERROR_IO: nothing of it counts; the batch is dropped, and the caller must not confirm
 * any of its events. */
MUST_CHECK int log_shard_commit(struct log_shard *shard, struct error *error);

/* Cuts torn tails and compresses every plain segment of a directory that no writer
 * has: what a server does in the background. *n is the number of segments compressed.
 * Fails as log_open does; ERROR_IO when a segment cannot be compressed, which stays as
 * it is. `report` may be NULL. */
MUST_CHECK int log_compact(const char *directory,
                           void (*report)(void *context, const char *message),
                           void *report_context, int64_t *n, struct error *error);

#endif
