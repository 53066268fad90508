#include "logs/writer.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/file.h"
#include "logs/line.h"
#include "logs/reader.h"
#include "logs/writer_internal.h"

#define N_SHARDS_MAX 1024

void log_report(struct log *log, const char *format, ...)
{
    char message[640];
    va_list args;
    if (log->report) {
        va_start(args, format);
        vsnprintf(message, sizeof message, format, args);
        va_end(args);
        log->report(log->report_context, message);
    }
}

static int check_options(const struct log_options *o, struct error *error)
{
    const char *wrong =
        !o->directory || !o->directory[0]      ? "no directory is given"
        : o->segment_size <= 0                 ? "segment size must be above 0"
        : o->segment_age_us <= 0               ? "segment age must be above 0"
        : o->segment_age_us > INT64_MAX / 1000 ? "segment age must be below 292 years"
        : o->n_shards < 1 || o->n_shards > N_SHARDS_MAX
            ? "number of shards must be between 1 and 1024"
        : o->config.type != EVENT_CONFIG ? "config is not a config event"
                                         : NULL;
    if (wrong) {
        error_set(error, ERROR_INVALID, "log: %s", wrong);
        return -1;
    }
    return 0;
}

int log_set_config(struct log *log, const struct event *config, struct error *error)
{
    buffer_clear(&log->config_body);
    line_append_config_body(&log->config_body, config);
    if (log->config_body.failed) {
        error_set(error, ERROR_NOMEM, "log: no memory for a config of %zu bytes",
                  config->text.len);
        return -1;
    }
    if (log->config_body.len > LOG_LINE_MAX - 256) {
        error_set(error, ERROR_INVALID,
                  "log: a config of %zu bytes is above the limit of "
                  "a line, %d",
                  log->config_body.len, LOG_LINE_MAX - 256);
        return -1;
    }
    return 0;
}

static int copy_options(struct log *log, const struct log_options *o,
                        struct error *error)
{
    log->sync = o->sync;
    log->segment_size = o->segment_size;
    log->segment_age_ns = o->segment_age_us * 1000;
    log->report = o->report;
    log->report_context = o->report_context;
    log->directory = strdup(o->directory);
    const size_t trial_path_size = strlen(o->directory) + sizeof "/" LOG_TRIAL_NAME;
    log->trial_path = malloc(trial_path_size);
    log->shards = calloc((size_t)o->n_shards, sizeof *log->shards);
    if (!log->directory || !log->trial_path || !log->shards) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a log writer", o->directory);
        return -1;
    }
    snprintf(log->trial_path, trial_path_size, "%s/" LOG_TRIAL_NAME, o->directory);
    log->n_shards = o->n_shards;
    return log_set_config(log, &o->config, error);
}

static int make_locks(struct log *log, struct error *error)
{
    pthread_condattr_t monotonic;
    if (pthread_condattr_init(&monotonic) != 0) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a lock", log->directory);
        return -1;
    }
    /* None of these can fail on Linux once the attribute is there. */
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&log->keeper_wakes, &monotonic);
    pthread_cond_init(&log->compressor_wakes, &monotonic);
    pthread_mutex_init(&log->lock, NULL);
    pthread_condattr_destroy(&monotonic);
    for (int i = 0; i < log->n_shards; i++) {
        log->shards[i].log = log;
        log->shards[i].index = i;
        log->shards[i].committer.done_fd = -1;
        log->shards[i].id_prefix_len =
            snprintf(log->shards[i].id_prefix, sizeof log->shards[i].id_prefix,
                     "%s-%" PRIx64 ".%x.", log->identity.node, log->identity.n_starts,
                     (unsigned)i);
        pthread_mutex_init(&log->shards[i].lock, NULL);
    }
    log->has_lock = true;
    return 0;
}

/* A segment that an earlier run left, for the compressor. */
static int queue_left_over(struct log *log, const char *path, struct error *error)
{
    struct segment *segment = calloc(1, sizeof *segment);
    if (segment) {
        segment->fd = -1;
        segment->path = strdup(path);
    }
    if (!segment || !segment->path) {
        free(segment);
        error_set(error, ERROR_NOMEM, "%s: no memory for its name", path);
        return -1;
    }
    segment->next = log->compressible;
    log->compressible = segment;
    log->n_compressible++;
    return 0;
}

/* Cuts torn tails, queues plain segments for compression, finds the next SEQ. */
static int take_over(struct log *log, struct error *error)
{
    struct segment_list list;
    uint64_t next = 1;
    int rc = -1;
    if (segment_list_read(log->directory, &list, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list.n; i++) {
        const struct segment_entry *entry = &list.items[i];
        const int64_t sequence = segment_name_sequence(entry->path);
        if (sequence >= 0 && (uint64_t)sequence >= next) {
            next = (uint64_t)sequence + 1;
        }
        if (!entry->is_plain) {
            continue;
        }
        const int64_t cut = recover_tail(entry->path, error);
        if (cut < 0 || queue_left_over(log, entry->path, error) != 0) {
            goto out;
        }
        if (cut > 0) {
            log_report(log, "%s: a torn last line of %" PRId64 " bytes was cut",
                       entry->path, cut);
        }
    }
    atomic_store(&log->next_sequence, next);
    rc = 0;

out:
    segment_list_free(&list);
    return rc;
}

static void free_segments(struct segment *segment)
{
    while (segment) {
        struct segment *next = segment->next;
        segment_free(segment);
        segment = next;
    }
}

static void log_free(struct log *log)
{
    if (!log) {
        return;
    }
    for (int i = 0; i < log->n_shards; i++) {
        if (log->shards[i].committer.is_running &&
            committer_stop(&log->shards[i], NULL) != 0) {
            continue; /* only when log_open fails: nothing was submitted */
        }
    }
    if (log->has_lock) {
        keeper_stop(log);
    }
    for (int i = 0; i < log->n_shards; i++) {
        segment_free(log->shards[i].segment);
        buffer_free(&log->shards[i].batch);
        buffer_free(&log->shards[i].head);
        buffer_free(&log->shards[i].config_body);
        if (log->has_lock) {
            committer_free(&log->shards[i].committer);
            pthread_mutex_destroy(&log->shards[i].lock);
        }
    }
    if (log->has_lock) {
        pthread_mutex_destroy(&log->lock);
        pthread_cond_destroy(&log->keeper_wakes);
        pthread_cond_destroy(&log->compressor_wakes);
    }
    free_segments(log->retired);
    free_segments(log->compressible);
    free_segments(log->put_off);
    if (log->lock_fd >= 0) {
        close(log->lock_fd);
    }
    buffer_free(&log->config_body);
    free(log->shards);
    free(log->trial_path);
    free(log->directory);
    free(log);
}

static int start_committers(struct log *log, struct error *error)
{
    for (int i = 0; i < log->n_shards; i++) {
        if (committer_start(&log->shards[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

int log_open(const struct log_options *options, struct log **log, struct error *error)
{
    struct log *l = calloc(1, sizeof *l);
    if (!l) {
        error_set(error, ERROR_NOMEM, "log: no memory for a writer");
        return -1;
    }
    l->lock_fd = -1;
    l->origin_us = options->origin ? options->origin->ts_us : 0;
    if (check_options(options, error) != 0 || copy_options(l, options, error) != 0 ||
        recover_lock(l->directory, &l->lock_fd, error) != 0 ||
        recover_identity(l->directory, options->origin ? &options->origin->node : NULL,
                         &l->identity, error) != 0 ||
        take_over(l, error) != 0 || make_locks(l, error) != 0 ||
        keeper_start(l, error) != 0 ||
        (options->has_committers && start_committers(l, error) != 0)) {
        log_free(l);
        return -1;
    }
    *log = l;
    return 0;
}

struct log_shard *log_shard_get(struct log *log, int shard)
{
    return &log->shards[shard];
}

int log_shard_next_id(struct log_shard *shard, char id[EVENT_ID_SIZE])
{
    static const char digits[] = "0123456789abcdef";
    uint64_t rest = shard->n_ids++;
    const int n_digits = rest ? (67 - __builtin_clzll(rest)) / 4 : 1;
    memcpy(id, shard->id_prefix, sizeof shard->id_prefix);
    char *end = id + shard->id_prefix_len + n_digits;
    *end = '\0';
    for (char *at = end; at > id + shard->id_prefix_len; rest >>= 4) {
        *--at = digits[rest & 0xF];
    }
    return (int)(end - id);
}

static size_t skip_digits(struct slice text, size_t at)
{
    while (at < text.len && ((text.data[at] >= '0' && text.data[at] <= '9') ||
                             (text.data[at] >= 'a' && text.data[at] <= 'f'))) {
        at++;
    }
    return at;
}

bool log_is_own_id(struct slice id)
{
    static const char separators[] = "-.."; /* NODE-START.SHARD.N */
    size_t at = skip_digits(id, 0);
    if (at != SEGMENT_NODE_LEN) {
        return false;
    }
    for (const char *separator = separators; *separator; separator++) {
        if (at == id.len || id.data[at] != *separator) {
            return false;
        }
        const size_t start = at + 1;
        at = skip_digits(id, start);
        if (at == start) {
            return false;
        }
    }
    return at == id.len;
}

int log_shard_append(struct log_shard *shard, const struct event *event,
                     struct error *error)
{
    struct buffer *batch = &shard->batch;
    const size_t before = batch->len;
    line_append(batch, event);
    const size_t len = batch->len - before;
    if (batch->failed || len > LOG_LINE_MAX) {
        if (batch->failed) {
            error_set(error, ERROR_NOMEM, "log: no memory for an event");
        } else {
            error_set(error, ERROR_INVALID,
                      "log: an event of %zu bytes is above the limit of a line, %d",
                      len, LOG_LINE_MAX);
        }
        batch->failed = false;
        batch->len = before;
        return -1;
    }
    shard->n_batch++;
    return 0;
}

struct log_batch_mark log_shard_mark(const struct log_shard *shard)
{
    return (struct log_batch_mark){shard->batch.len, shard->n_batch};
}

void log_shard_rewind(struct log_shard *shard, struct log_batch_mark mark)
{
    shard->batch.len = mark.len;
    shard->n_batch = mark.n_events;
}

int log_shard_set_config(struct log_shard *shard, const struct event *config,
                         struct error *error)
{
    struct buffer body = {0};
    struct buffer *batch = &shard->batch;
    const size_t before = batch->len;
    char id[EVENT_ID_SIZE];
    const int id_len = log_shard_next_id(shard, id);
    line_append_config_body(&body, config);
    if (!body.failed && body.len <= LOG_LINE_MAX - 256) {
        line_append_config(batch, clock_wall_us(), (struct slice){id, (size_t)id_len},
                           buffer_slice(&body));
    }
    if (body.failed || batch->failed || batch->len == before) {
        const bool is_too_long = !body.failed && !batch->failed;
        error_set(error, is_too_long ? ERROR_INVALID : ERROR_NOMEM,
                  is_too_long
                      ? "log: a config of %zu bytes is above the limit of a line"
                      : "log: no memory for a config of %zu bytes",
                  body.len);
        batch->failed = false;
        batch->len = before;
        buffer_free(&body);
        return -1;
    }
    pthread_mutex_lock(&shard->lock);
    const struct buffer old = shard->config_body;
    shard->config_body = body;
    pthread_mutex_unlock(&shard->lock);
    struct buffer dropped = old;
    buffer_free(&dropped);
    return 0;
}

/* Opens a segment with its config line. */
static int begin_segment(struct log_shard *shard, struct error *error)
{
    struct log *log = shard->log;
    struct segment *segment = NULL;
    char name[SEGMENT_NAME_SIZE], id[EVENT_ID_SIZE];

    const int64_t now_us = log->origin_us ? log->origin_us : clock_wall_us();
    const uint64_t sequence = atomic_fetch_add(&log->next_sequence, 1);
    /* The "s" keeps these ids apart from those of the shards, which are hexadecimal. */
    const int id_len = snprintf(id, sizeof id, "%s-%" PRIx64 ".s.%" PRIx64,
                                log->identity.node, log->identity.n_starts, sequence);
    buffer_clear(&shard->head);
    const struct buffer *config =
        shard->config_body.len ? &shard->config_body : &log->config_body;
    line_append_config(&shard->head, now_us, (struct slice){id, (size_t)id_len},
                       buffer_slice(config));
    if (shard->head.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a segment's first line",
                  log->directory);
        return -1;
    }
    segment_name(name, log->identity.node, now_us, sequence);
    if (segment_open(log->directory, name, &segment, error) != 0) {
        return -1;
    }
    if (segment_write(segment, buffer_slice(&shard->head), error) != 0) {
        segment_unlink(segment);
        segment_free(segment);
        return -1;
    }
    segment->head_len = segment->len;
    shard->segment = segment;
    atomic_fetch_add(&shard->counters.n_segments, 1);
    return 0;
}

static void retire(struct log_shard *shard)
{
    struct segment *segment = shard->segment;
    shard->segment = NULL;
    keeper_retire(shard->log, segment);
}

static bool is_full(const struct log *log, const struct segment *segment)
{
    return segment->is_sealed ||
           (segment->len > segment->head_len &&
            (segment->len >= log->segment_size ||
             clock_monotonic_ns() - segment->opened_ns >= log->segment_age_ns));
}

static int make_durable(struct log_shard *shard, struct segment *segment,
                        struct error *error)
{
    struct log *log = shard->log;
    if (log->sync == LOG_SYNC_ALWAYS) {
        if (shard_sync(shard, segment, error) != 0 ||
            (!segment->is_name_synced &&
             file_sync_directory_of(segment->path, error) != 0)) {
            return -1;
        }
    } else if (!segment->is_name_synced) {
        pthread_mutex_lock(&log->lock);
        log->is_directory_dirty = true;
        pthread_mutex_unlock(&log->lock);
    }
    segment->is_name_synced = true;
    return 0;
}

/* After a failed write or sync: takes away what the batch left. Returns 0 when it can
 * be tried again without being there twice. */
static int remove_traces(struct log_shard *shard, int64_t good_len)
{
    struct log *log = shard->log;
    struct segment *segment = shard->segment;
    struct error error = {0};
    int rc = 0;
    if (good_len <= segment->head_len) {
        segment_unlink(segment);
    } else {
        rc = segment_seal(segment, good_len, &error);
        if (rc == 0 && log->sync == LOG_SYNC_ALWAYS && !segment->is_sync_failed) {
            segment->synced = -1; /* the new length is to be synced */
            rc = shard_sync(shard, segment, &error);
        }
        atomic_fetch_add(&shard->counters.n_sealed, 1);
        log_report(log, "%s: sealed at %" PRId64 "%s%s", segment->path, good_len,
                   rc ? ", but " : "", error.message);
    }
    retire(shard);
    return rc;
}

static int write_locked(struct log_shard *shard, struct slice lines,
                        struct error *error)
{
    for (int attempt = 0; attempt < 2; attempt++) {
        if (shard->segment && is_full(shard->log, shard->segment)) {
            retire(shard);
        }
        if (!shard->segment && begin_segment(shard, error) != 0) {
            continue;
        }
        const int64_t good_len = shard->segment->len;
        if (segment_write(shard->segment, lines, error) == 0 &&
            make_durable(shard, shard->segment, error) == 0) {
            return 0;
        }
        if (remove_traces(shard, good_len) != 0) {
            return -1;
        }
    }
    return -1;
}

int shard_write(struct log_shard *shard, struct slice lines, int64_t n_events,
                struct error *error)
{
    pthread_mutex_lock(&shard->lock);
    const int rc = write_locked(shard, lines, error);
    atomic_store(&shard->is_failing, rc != 0);
    pthread_mutex_unlock(&shard->lock);
    if (rc == 0) {
        atomic_fetch_add(&shard->counters.n_events, n_events);
        atomic_fetch_add(&shard->counters.n_bytes, (int64_t)lines.len);
    } else {
        atomic_fetch_add(&shard->counters.n_failed_commits, 1);
    }
    return rc;
}

int log_shard_commit(struct log_shard *shard, struct error *error)
{
    if (shard->batch.len == 0) {
        return 0;
    }
    const int rc =
        shard_write(shard, buffer_slice(&shard->batch), shard->n_batch, error);
    buffer_clear(&shard->batch);
    shard->n_batch = 0;
    return rc;
}

int log_close(struct log *log, struct error *error)
{
    int rc = 0;
    /* Before the last segments are closed, or chance would say which become smaller. */
    log->stop_compressing = true;
    for (int i = 0; i < log->n_shards; i++) {
        struct log_shard *shard = &log->shards[i];
        if ((shard->committer.is_running && committer_stop(shard, error) != 0) ||
            log_shard_commit(shard, error) != 0) {
            rc = -1;
        }
        pthread_mutex_lock(&shard->lock);
        if (shard->segment) {
            retire(shard);
        }
        pthread_mutex_unlock(&shard->lock);
    }
    keeper_stop(log);
    if (rc == 0 && log->n_not_durable) {
        error_set(error, ERROR_IO, "%s: %" PRId64 " segments could not be synced",
                  log->directory, log->n_not_durable);
        rc = -1;
    }
    log_free(log);
    return rc;
}
