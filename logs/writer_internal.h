/* writer_internal.h - the state that the shards and the background threads share. */
#ifndef LOGS_WRITER_INTERNAL_H
#define LOGS_WRITER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/buffer.h"
#include "logs/recover.h"
#include "logs/segment.h"
#include "logs/writer.h"

struct log_shard {
    struct log *log;
    int index;
    struct buffer batch; /* the owner thread's alone, as is n_ids */
    uint64_t n_ids;
    pthread_mutex_t lock; /* guards `segment` against the keeper */
    struct segment *segment;
};

/* Threads: the owners of the shards; the keeper, which syncs, closes and ages; the
 * compressor. Only the keeper closes a segment, so that it may sync one without holding
 * a lock. Order of locks: a shard's, then the log's. */
struct log {
    char *directory;
    char *a_path; /* a name in the directory, for syncing the directory */
    enum log_sync sync;
    int64_t segment_size, segment_age_ns;
    void (*report)(void *context, const char *message);
    void *report_context;

    int lock_fd;
    struct node_identity identity;
    struct buffer config_body;
    atomic_uint_fast64_t next_sequence;
    struct log_shard *shards;
    int n_shards;
    int n_locks; /* shards whose lock was made */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t keeper_wakes, compressor_wakes;
    struct segment *retired;      /* for the keeper */
    struct segment *compressible; /* for the compressor; not open */
    bool is_directory_dirty;      /* a name appeared and is not synced */
    bool is_stopping;
    int64_t n_not_durable; /* segments that could not be synced at their end */

    atomic_bool stop_compressing;
    bool has_lock, has_keeper, has_compressor;
    pthread_t keeper, compressor;
};

void log_report(struct log *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* Hands a segment to the keeper, who syncs it if that is allowed, and closes it. */
void keeper_retire(struct log *log, struct segment *segment);

/* Starts both threads; `compressible` is already filled. */
MUST_CHECK int keeper_start(struct log *log, struct error *error);

/* Ends both threads: every retired segment is closed, compression is given up. */
void keeper_stop(struct log *log);

#endif
