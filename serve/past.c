#include "serve/past.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/file.h"
#include "serve/checkpoint.h"

#define MAX_NEWCOMERS 1000000
#define DEDUP_IDS     1000000 /* ids of clients remembered, at least */
#define MAX_FILE      ((size_t)4 << 30)
#define SHARE         4 /* of what was logged since the last, a checkpoint is at most 1/4 */
#define N_SETTLINGS   60 /* seconds to wait for ids to settle, before beginning again */

struct past {
    struct past_options options;
    char *directory, *path; /* path: of the checkpoint */
    struct dedup *dedup;
    struct newcomers *newcomers;
    int64_t read_bytes; /* by past_read */
    size_t file_len;    /* of the last checkpoint */

    struct log *log;
    pthread_t thread;
    bool has_thread;
    pthread_mutex_t lock;
    pthread_cond_t wakes;
    bool is_ending; /* under the lock */
};

int past_new(const struct past_options *options, struct past **result,
             struct error *error)
{
    struct past *past = calloc(1, sizeof *past);
    pthread_condattr_t monotonic;
    if (!past || pthread_condattr_init(&monotonic) != 0) {
        free(past);
        error_set(error, ERROR_NOMEM, "no memory for what the log remembers");
        return -1;
    }
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&past->wakes, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&past->lock, NULL);
    past->options = *options;
    const size_t size = strlen(options->directory) + sizeof "/checkpoint";
    past->directory = strdup(options->directory);
    past->path = malloc(size);
    past->dedup = dedup_new(DEDUP_IDS, options->n_workers, error);
    past->newcomers = newcomers_new(MAX_NEWCOMERS, options->n_workers, error);
    if (!past->directory || !past->path || !past->dedup || !past->newcomers) {
        error_set(error, ERROR_NOMEM, "no memory for what the log remembers");
        past_free(past);
        return -1;
    }
    snprintf(past->path, size, "%s/checkpoint", options->directory);
    *result = past;
    return 0;
}

void past_free(struct past *past)
{
    if (past) {
        past_end(past);
        dedup_free(past->dedup);
        newcomers_free(past->newcomers);
        pthread_cond_destroy(&past->wakes);
        pthread_mutex_destroy(&past->lock);
        free(past->directory);
        free(past->path);
        free(past);
    }
}

struct dedup *past_dedup(struct past *past)
{
    return past->dedup;
}

struct newcomers *past_newcomers(struct past *past)
{
    return past->newcomers;
}

int64_t past_read_bytes(const struct past *past)
{
    return past->read_bytes;
}

/* ---- reading ---- */

static int take_logged(void *context, const struct event *event)
{
    struct past *past = context;
    /* What clients send, exposures that they report too; no list's id is theirs. */
    if (event->type == EVENT_CONFIG || event->model.len) {
        return 0;
    }
    /* Ids that the server gave out itself come back too; they cost memory only. */
    (void)dedup_add(past->dedup, event->id, 0);
    if (event->type == EVENT_FEEDBACK && slice_is(event->event, NEWCOMERS_EVENT) &&
        event->has_value && event->item.len) {
        newcomers_rate(past->newcomers,
                       &(struct rating_event){event->user, event->item, event->value,
                                              event->ts_us});
    }
    return 0;
}

/* Takes up the checkpoint; false when there is none that fits. *parts is what is left
 * to be read of the log then. */
static bool take_checkpoint(struct past *past, struct slice bytes,
                            struct log_parts *parts)
{
    struct checkpoint checkpoint;
    struct error ignored;
    bool fits = false;
    if (checkpoint_decode(bytes, &checkpoint, &ignored) != 0 ||
        log_marks_parts(past->directory, &checkpoint.marks, parts, &fits, &ignored) !=
            0) {
        fits = false;
    }
    if (fits) {
        fits = newcomers_decode(past->newcomers, checkpoint.newcomers, &ignored) == 0 &&
               dedup_restore(past->dedup, checkpoint.key, checkpoint.ids,
                             checkpoint.n_old, checkpoint.n_ids, &ignored) == 0;
    }
    checkpoint_free(&checkpoint);
    return fits;
}

static int read_parts(struct past *past, const struct log_parts *parts,
                      struct error *error)
{
    const struct log_visitor visitor = {
        .on_event = take_logged, .skip = LOG_SKIP_ITEMS, .context = past};
    struct log_statistics statistics = {0};
    /* One thread, for which the ids of one worker stand. */
    if (log_read_parts(past->directory, parts, &visitor, 1, &statistics, error) != 0) {
        return -1;
    }
    past->read_bytes = statistics.n_bytes;
    dedup_settle(past->dedup, 0, dedup_mark(past->dedup, 0), true);
    return 0;
}

int past_read(struct past *past, struct error *error)
{
    struct buffer bytes = {0};
    struct log_parts parts = {0};
    struct error ignored;
    int rc = 0;
    if (file_read(past->path, MAX_FILE, &bytes, &ignored) == 0 &&
        take_checkpoint(past, buffer_slice(&bytes), &parts)) {
        past->file_len = bytes.len;
    } else {
        log_parts_free(&parts);
        rc = log_parts_list(past->directory, &parts, error);
    }
    buffer_free(&bytes);
    if (rc == 0) {
        rc = read_parts(past, &parts, error);
    }
    log_parts_free(&parts);
    return rc;
}

/* ---- writing ---- */

static int replace(struct past *past, const struct log_marks *marks,
                   const struct dedup_copy *copy, const struct buffer *newcomers,
                   struct error *error)
{
    struct buffer bytes = {0};
    const struct checkpoint checkpoint = {
        .marks = *marks,
        .key = copy->key,
        .ids = (const char *)copy->ids,
        .n_old = copy->n_old,
        .n_ids = copy->n,
        .newcomers = buffer_slice(newcomers),
    };
    int rc = -1;
    checkpoint_encode(&checkpoint, &bytes);
    if (bytes.failed || newcomers->failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory to write it", past->path);
    } else if (log_marks_sync(past->directory, error) == 0 &&
               file_replace(past->path, buffer_slice(&bytes), error) == 0) {
        past->file_len = bytes.len;
        rc = 0;
    }
    buffer_free(&bytes);
    return rc;
}

/* Waits a second; true when it is time to end. */
static bool wait_a_second(struct past *past)
{
    struct timespec until;
    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_sec++;
    pthread_mutex_lock(&past->lock);
    while (!past->is_ending &&
           pthread_cond_timedwait(&past->wakes, &past->lock, &until) != ETIMEDOUT) {
    }
    const bool is_ending = past->is_ending;
    pthread_mutex_unlock(&past->lock);
    return is_ending;
}

/* As past.h says, step by step. */
static int write_checkpoint(struct past *past, struct error *error)
{
    struct log_marks marks;
    struct dedup_copy copy = {0};
    struct buffer newcomers = {0};
    uint64_t *pending = calloc((size_t)past->options.n_workers, sizeof *pending);
    int rc = -1;
    if (log_marks_take(past->directory, &marks, error) != 0 ||
        dedup_copy_make(past->dedup, &copy, error) != 0) {
        goto out;
    }
    if (!pending) {
        error_set(error, ERROR_NOMEM, "%s: no memory to write it", past->path);
        goto out;
    }
    newcomers_pending(past->newcomers, pending);
    for (int i = 0; !dedup_copy_settle(past->dedup, &copy) ||
                    !newcomers_are_settled(past->newcomers, pending);
         i++) {
        if (i == N_SETTLINGS || wait_a_second(past)) {
            error_set(error, ERROR_BUSY, "%s: feedback is not settled", past->path);
            goto out;
        }
    }
    newcomers_encode(past->newcomers, &newcomers);
    rc = replace(past, &marks, &copy, &newcomers, error);
out:
    free(pending);
    log_marks_free(&marks);
    dedup_copy_free(&copy);
    buffer_free(&newcomers);
    return rc;
}

int past_write(struct past *past, struct error *error)
{
    return write_checkpoint(past, error);
}

static int64_t logged_bytes(const struct past *past)
{
    struct log_counters counters;
    log_counters_get(past->log, &counters);
    return counters.n_bytes;
}

/* A checkpoint that cannot be written is tried again after as much log as before. */
static void *keep(void *context)
{
    struct past *past = context;
    struct error ignored;
    int64_t written_at = -past->read_bytes; /* what was logged when the last was */
    while (!wait_a_second(past)) {
        const int64_t logged = logged_bytes(past);
        const int64_t least = SHARE * (int64_t)past->file_len;
        if (logged - written_at >= (past->options.interval_bytes > least
                                        ? past->options.interval_bytes
                                        : least)) {
            (void)!write_checkpoint(past, &ignored);
            written_at = logged;
        }
    }
    return NULL;
}

int past_begin(struct past *past, struct log *log, struct error *error)
{
    past->log = log;
    const int rc = pthread_create(&past->thread, NULL, keep, past);
    if (rc != 0) {
        error_set(error, ERROR_NOMEM, "cannot start a thread: %s", strerror(rc));
        return -1;
    }
    past->has_thread = true;
    return 0;
}

void past_end(struct past *past)
{
    if (past->has_thread) {
        pthread_mutex_lock(&past->lock);
        past->is_ending = true;
        pthread_cond_signal(&past->wakes);
        pthread_mutex_unlock(&past->lock);
        pthread_join(past->thread, NULL);
        past->has_thread = false;
    }
}
