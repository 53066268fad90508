/* writer_internal.h - the state that the shards and the background threads share. */
#ifndef LOGS_WRITER_INTERNAL_H
#define LOGS_WRITER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "common/buffer.h"
#include "logs/recover.h"
#include "logs/segment.h"
#include "logs/writer.h"

/* Results not reaped yet. Neighbours that went the same way are one, so that this many
 * are enough; should they not be, the committer waits. */
#define N_DONE_MAX 32

/* A file that is written, and removed again, to see whether that can be done. */
#define LOG_TRIAL_NAME "trial"

struct committer {
    pthread_t thread;
    bool is_running;
    int done_fd;
    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t wakes;
    struct buffer queued;  /* submitted, not taken by the thread */
    int64_t n_queued;      /* events in it */
    uint64_t queued_batch; /* its number: the last that was given out */
    bool is_stopping;
    struct log_done done[N_DONE_MAX];
    int n_done;
};

/* Written by whoever commits, read by anybody. */
struct shard_counters {
    atomic_int_fast64_t n_events, n_bytes, n_failed_commits, n_sealed, n_segments;
    atomic_int_fast64_t n_syncs, sync_ns, sync_count[LOG_N_SYNC_BUCKETS];
    atomic_int_fast64_t n_waiting_bytes;
};

struct log_shard {
    struct log *log;
    int index;
    struct buffer batch; /* these are the owner thread's alone */
    int64_t n_batch;     /* events in it */
    uint64_t n_ids;
    char id_prefix[24]; /* NODE-START.SHARD., as short as 32-bit starts make it */
    int id_prefix_len;
    pthread_mutex_t lock; /* guards `segment` against the keeper, and `config_body` */
    struct segment *segment;
    struct buffer config_body; /* set since log_open; empty: the log's */
    struct buffer head;        /* scratch of whoever commits */
    atomic_bool is_failing;    /* the last commit failed, as did all trials since */
    struct committer committer;
    struct shard_counters counters;
};

/* Threads: the owners of the shards; the keeper, which syncs, closes and ages; the
 * compressor. Only the keeper closes a segment, so that it may sync one without holding
 * a lock. Order of locks: a shard's, then the log's. */
struct log {
    char *directory;
    char *
        trial_path; /* DIRECTORY/LOG_TRIAL_NAME; and a name, to sync the directory by */
    enum log_sync sync;
    int64_t segment_size, segment_age_ns;
    void (*report)(void *context, const char *message);
    void *report_context;

    int lock_fd;
    struct node_identity identity;
    int64_t origin_us; /* 0: the clock */
    struct buffer config_body;
    atomic_uint_fast64_t next_sequence;
    struct log_shard *shards;
    int n_shards;
    int n_locks; /* shards whose lock was made */

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t keeper_wakes, compressor_wakes;
    struct segment *retired;      /* for the keeper */
    struct segment *compressible; /* for the compressor; not open */
    struct segment *put_off;      /* which it could not compress */
    int n_compressible;
    bool is_directory_dirty; /* a name appeared and is not synced */
    bool is_stopping;
    int64_t n_not_durable; /* segments that could not be synced at their end */

    atomic_bool stop_compressing;
    atomic_bool is_compressor_behind; /* more wait for it than shards close at once */
    bool has_lock, has_keeper, has_compressor;
    pthread_t keeper, compressor;
};

void log_report(struct log *log, const char *format, ...) PRINTF_LIKE(2, 3);

/* Writes `n_events` lines to the shard's segment and makes them durable as the policy
 * says: log_shard_commit without its batch. */
MUST_CHECK int shard_write(struct log_shard *shard, struct slice lines,
                           int64_t n_events, struct error *error);

/* segment_sync, counted for the shard. */
MUST_CHECK int shard_sync(struct log_shard *shard, struct segment *segment,
                          struct error *error);

MUST_CHECK int committer_start(struct log_shard *shard, struct error *error);

/* Commits what is queued and ends the thread. Returns -1 when it could not be
 * committed. */
MUST_CHECK int committer_stop(struct log_shard *shard, struct error *error);

/* Releases what committer_start made. The thread must have ended. */
void committer_free(struct committer *committer);

/* Hands a segment to the keeper, who syncs it if that is allowed, and closes it. */
void keeper_retire(struct log *log, struct segment *segment);

/* Starts both threads; `compressible` is already filled. */
MUST_CHECK int keeper_start(struct log *log, struct error *error);

/* Ends both threads: every retired segment is closed, compression is given up. */
void keeper_stop(struct log *log);

#endif
