/* The two threads behind a writer. */
#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "logs/compress.h"
#include "logs/writer_internal.h"

#define TICKS_PER_SECOND 20
#define TRIAL_BYTES      65536

void keeper_retire(struct log *log, struct segment *segment)
{
    pthread_mutex_lock(&log->lock);
    segment->next = log->retired;
    log->retired = segment;
    pthread_cond_signal(&log->keeper_wakes);
    pthread_mutex_unlock(&log->lock);
}

/* With the lock held. */
static void count_compressible(struct log *log, int change)
{
    log->n_compressible += change;
    atomic_store(&log->is_compressor_behind, log->n_compressible > log->n_shards);
}

static void close_segment(struct log *log, struct segment *segment)
{
    struct error error = {0};
    const bool is_empty = segment->len <= segment->head_len;
    if (!segment->is_sync_failed && !is_empty && segment_sync(segment, &error) != 0) {
        log_report(log, "%s; what was logged since the last sync may be lost",
                   error.message);
        pthread_mutex_lock(&log->lock);
        log->n_not_durable++;
        pthread_mutex_unlock(&log->lock);
    }
    if (is_empty) {
        segment_free(segment);
        return;
    }
    segment_close(segment);
    pthread_mutex_lock(&log->lock);
    segment->next = log->compressible;
    log->compressible = segment;
    count_compressible(log, 1);
    pthread_cond_signal(&log->compressor_wakes);
    pthread_mutex_unlock(&log->lock);
}

/* Syncs what a shard wrote, without holding up its commits. */
static void sync_shard(struct log_shard *shard)
{
    struct error error = {0};
    pthread_mutex_lock(&shard->lock);
    struct segment *segment = shard->segment;
    const bool is_due =
        segment && !segment->is_sync_failed && segment->synced < segment->len;
    const struct segment now = is_due ? *segment : (struct segment){0};
    pthread_mutex_unlock(&shard->lock);
    if (!is_due) {
        return;
    }
    struct segment copy = now; /* so that the shard may go on with the original */
    const int rc = shard_sync(shard, &copy, &error);
    pthread_mutex_lock(&shard->lock);
    if (rc == 0) {
        segment->synced = segment->synced < copy.synced ? copy.synced : segment->synced;
    } else {
        segment->is_sealed = true;
        segment->is_sync_failed = true;
    }
    pthread_mutex_unlock(&shard->lock);
    if (rc != 0) {
        log_report(shard->log,
                   "%s; the segment is sealed, what was logged in the last second may "
                   "be lost",
                   error.message);
    }
}

/* A second's worth written by the sync alone would hold up the core that answers, and
 * the commits behind it, for milliseconds. */
static void start_writing(struct log_shard *shard)
{
    pthread_mutex_lock(&shard->lock);
    const struct segment *segment = shard->segment;
    const int fd = segment && segment->synced < segment->len ? segment->fd : -1;
    pthread_mutex_unlock(&shard->lock);
    if (fd >= 0) {
        file_start_writing(fd);
    }
}

static void retire_if_aged(struct log_shard *shard, int64_t now_ns)
{
    pthread_mutex_lock(&shard->lock);
    struct segment *segment = shard->segment;
    if (segment && segment->len > segment->head_len &&
        now_ns - segment->opened_ns >= shard->log->segment_age_ns) {
        shard->segment = NULL;
        keeper_retire(shard->log, segment);
    }
    pthread_mutex_unlock(&shard->lock);
}

static void sync_directory_if(struct log *log, bool is_dirty)
{
    struct error error = {0};
    if (!is_dirty) {
        return;
    }
    /* Any name in the directory will do. */
    if (file_sync_directory_of(log->trial_path, &error) != 0) {
        log_report(log, "%s", error.message);
    }
}

/* Whether the disk takes as much as a batch. */
static bool is_disk_well(const struct log *log)
{
    static const char batch[TRIAL_BYTES];
    struct segment *trial = NULL;
    struct error ignored;
    bool is_well = false;
    /* A crash may have left one. */
    if (unlink(log->trial_path) != 0 && errno != ENOENT) {
        return false;
    }
    if (segment_open(log->directory, LOG_TRIAL_NAME, &trial, &ignored) == 0) {
        const struct slice bytes = {batch, sizeof batch};
        is_well = segment_write(trial, bytes, &ignored) == 0 &&
                  (log->sync != LOG_SYNC_ALWAYS || segment_sync(trial, &ignored) == 0);
        segment_unlink(trial);
        segment_free(trial);
    }
    return is_well;
}

/* While commits fail, the requests that would show that they need not may stay away: a
 * load balancer sends none to a server that is not ready. */
static void try_again(struct log *log)
{
    int first = 0;
    while (first < log->n_shards && !atomic_load(&log->shards[first].is_failing)) {
        first++;
    }
    if (first < log->n_shards && is_disk_well(log)) {
        for (int i = first; i < log->n_shards; i++) {
            atomic_store(&log->shards[i].is_failing, false);
        }
    }
}

static void each_second(struct log *log)
{
    const int64_t now_ns = clock_monotonic_ns();
    for (int i = 0; i < log->n_shards; i++) {
        if (log->sync == LOG_SYNC_EVERYSEC) {
            sync_shard(&log->shards[i]);
        }
        retire_if_aged(&log->shards[i], now_ns);
    }
    try_again(log);
}

static void between_seconds(struct log *log)
{
    for (int i = 0; log->sync == LOG_SYNC_EVERYSEC && i < log->n_shards; i++) {
        start_writing(&log->shards[i]);
    }
}

static struct timespec in_a_tick(void)
{
    struct timespec at;
    clock_gettime(CLOCK_MONOTONIC, &at);
    at.tv_nsec += 1000000000 / TICKS_PER_SECOND;
    if (at.tv_nsec >= 1000000000) {
        at.tv_nsec -= 1000000000;
        at.tv_sec++;
    }
    return at;
}

static void *keep(void *context)
{
    struct log *log = context;
    struct timespec next = in_a_tick();
    int n_ticks = 0;
    pthread_mutex_lock(&log->lock);
    for (;;) {
        bool is_tick = false;
        while (!log->retired && !log->is_stopping && !is_tick) {
            is_tick = pthread_cond_timedwait(&log->keeper_wakes, &log->lock, &next) ==
                      ETIMEDOUT;
        }
        struct segment *retired = log->retired;
        const bool is_dirty = log->is_directory_dirty;
        const bool is_last = log->is_stopping && !retired;
        log->retired = NULL;
        log->is_directory_dirty = false;
        pthread_mutex_unlock(&log->lock);
        sync_directory_if(log, is_dirty);
        while (retired) {
            struct segment *segment = retired;
            retired = segment->next;
            close_segment(log, segment);
        }
        if (is_last) {
            return NULL;
        }
        if (is_tick) {
            n_ticks = (n_ticks + 1) % TICKS_PER_SECOND;
            (n_ticks == 0 ? each_second : between_seconds)(log);
            next = in_a_tick();
        }
        pthread_mutex_lock(&log->lock);
    }
}

/* With the lock held. What could not be compressed, for want of room on the disk it may
 * be, is put off until something could. */
static void end_compressing(struct log *log, struct segment *segment, bool is_done)
{
    if (!is_done) {
        segment->next = log->put_off;
        log->put_off = segment;
        return;
    }
    segment_free(segment);
    while (log->put_off) {
        struct segment *again = log->put_off;
        log->put_off = again->next;
        again->next = log->compressible;
        log->compressible = again;
        count_compressible(log, 1);
    }
}

static void *compress(void *context)
{
    struct log *log = context;
    const struct compress_manners manners = {&log->stop_compressing,
                                             &log->is_compressor_behind};
    pthread_mutex_lock(&log->lock);
    for (;;) {
        while (!log->compressible && !log->stop_compressing) {
            pthread_cond_wait(&log->compressor_wakes, &log->lock);
        }
        struct segment *segment = log->compressible;
        if (!segment || log->stop_compressing) {
            pthread_mutex_unlock(&log->lock);
            return NULL;
        }
        log->compressible = segment->next;
        count_compressible(log, -1);
        pthread_mutex_unlock(&log->lock);
        struct error error = {0};
        const int rc = compress_segment(segment->path, &manners, &error);
        const bool is_gone = rc != 0 && error.code == ERROR_NOT_FOUND;
        if (rc != 0) {
            log_report(log, "%s%s", error.message,
                       is_gone ? "" : "; it is tried again after the next");
        }
        pthread_mutex_lock(&log->lock);
        end_compressing(log, segment, rc == 0 || is_gone);
    }
}

int keeper_start(struct log *log, struct error *error)
{
    int rc = pthread_create(&log->keeper, NULL, keep, log);
    log->has_keeper = rc == 0;
    if (rc == 0) {
        rc = pthread_create(&log->compressor, NULL, compress, log);
        log->has_compressor = rc == 0;
    }
    if (rc != 0) {
        error_set(error, ERROR_NOMEM, "%s: cannot start a thread: %s", log->directory,
                  strerror(rc));
        return -1;
    }
    return 0;
}

void keeper_stop(struct log *log)
{
    pthread_mutex_lock(&log->lock);
    log->is_stopping = true;
    log->stop_compressing = true;
    pthread_cond_signal(&log->keeper_wakes);
    pthread_cond_signal(&log->compressor_wakes);
    pthread_mutex_unlock(&log->lock);
    if (log->has_keeper) {
        pthread_join(log->keeper, NULL);
        log->has_keeper = false;
    }
    if (log->has_compressor) {
        pthread_join(log->compressor, NULL);
        log->has_compressor = false;
    }
}
