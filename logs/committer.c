/* The thread that commits for a shard while its owner goes on. */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "common/clock.h"
#include "logs/writer_internal.h"

/* Adds a result to those that wait to be reaped; called with the lock held. */
static void push_done(struct committer *c, struct log_done done)
{
    struct log_done *last = c->n_done ? &c->done[c->n_done - 1] : NULL;
    if (last && last->is_committed == done.is_committed) {
        *last = done;
        return;
    }
    while (c->n_done == N_DONE_MAX && !c->is_stopping) {
        pthread_cond_wait(&c->wakes, &c->lock);
    }
    if (c->n_done < N_DONE_MAX) {
        c->done[c->n_done++] = done;
    }
}

static void announce(const struct committer *c)
{
    const uint64_t one = 1;
    ssize_t put = 0;
    do {
        put = write(c->done_fd, &one, sizeof one);
    } while (put < 0 && errno == EINTR);
}

static void *commit_for(void *context)
{
    struct log_shard *shard = context;
    struct committer *c = &shard->committer;
    struct buffer taken = {0};
    void *failure = NULL;
    pthread_mutex_lock(&c->lock);
    for (;;) {
        while (c->queued.len == 0 && !c->is_stopping) {
            pthread_cond_wait(&c->wakes, &c->lock);
        }
        if (c->queued.len == 0) {
            break;
        }
        const struct buffer empty = taken;
        taken = c->queued;
        c->queued = empty;
        struct log_done done = {.batch = c->queued_batch};
        const int64_t n_events = c->n_queued;
        c->n_queued = 0;
        pthread_mutex_unlock(&c->lock);

        const int64_t start_ns = clock_monotonic_ns();
        struct error error = {0};
        done.is_committed =
            shard_write(shard, buffer_slice(&taken), n_events, &error) == 0;
        done.commit_ns = clock_monotonic_ns() - start_ns;
        atomic_fetch_sub(&shard->counters.n_waiting_bytes, (int64_t)taken.len);
        buffer_clear(&taken);
        if (!done.is_committed) {
            log_report(shard->log, "%s", error.message);
        }

        pthread_mutex_lock(&c->lock);
        if (!done.is_committed && c->is_stopping) {
            failure = shard; /* not NULL: nobody will reap this failure */
        }
        push_done(c, done);
        announce(c);
    }
    pthread_mutex_unlock(&c->lock);
    buffer_free(&taken);
    return failure;
}

int committer_start(struct log_shard *shard, struct error *error)
{
    struct committer *c = &shard->committer;
    c->done_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (c->done_fd < 0) {
        error_set(error, ERROR_IO, "%s: cannot make an eventfd: %s",
                  shard->log->directory, strerror(errno));
        return -1;
    }
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wakes, NULL);
    const int rc = pthread_create(&c->thread, NULL, commit_for, shard);
    if (rc != 0) {
        error_set(error, ERROR_NOMEM, "%s: cannot start a thread: %s",
                  shard->log->directory, strerror(rc));
        return -1;
    }
    c->is_running = true;
    return 0;
}

int committer_stop(struct log_shard *shard, struct error *error)
{
    struct committer *c = &shard->committer;
    void *failure = NULL;
    pthread_mutex_lock(&c->lock);
    c->is_stopping = true;
    pthread_cond_signal(&c->wakes);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, &failure);
    c->is_running = false;
    if (failure) {
        error_set(error, ERROR_IO, "%s: some batches could not be committed",
                  shard->log->directory);
        return -1;
    }
    return 0;
}

void committer_free(struct committer *committer)
{
    if (committer->done_fd >= 0) {
        close(committer->done_fd);
        pthread_cond_destroy(&committer->wakes);
        pthread_mutex_destroy(&committer->lock);
        buffer_free(&committer->queued);
    }
}

int log_shard_submit(struct log_shard *shard, uint64_t *batch, struct error *error)
{
    struct committer *c = &shard->committer;
    int rc = 0;
    *batch = 0;
    if (shard->batch.len == 0) {
        return 0;
    }
    const int64_t len = (int64_t)shard->batch.len;
    pthread_mutex_lock(&c->lock);
    if (c->queued.len == 0) {
        const struct buffer empty = c->queued;
        c->queued = shard->batch;
        shard->batch = empty;
        c->queued_batch++;
    } else {
        buffer_append(&c->queued, shard->batch.data, shard->batch.len);
        if (c->queued.failed) {
            c->queued.failed = false;
            rc = -1;
        }
    }
    if (rc == 0) {
        c->n_queued += shard->n_batch;
        *batch = c->queued_batch;
        atomic_fetch_add(&shard->counters.n_waiting_bytes, len);
        pthread_cond_signal(&c->wakes);
    }
    pthread_mutex_unlock(&c->lock);
    buffer_clear(&shard->batch);
    shard->n_batch = 0;
    if (rc != 0) {
        atomic_store(&shard->is_failing, true);
        error_set(error, ERROR_NOMEM, "log: no memory to queue %lld bytes",
                  (long long)len);
    }
    return rc;
}

int log_shard_done_fd(const struct log_shard *shard)
{
    return shard->committer.done_fd;
}

bool log_shard_reap(struct log_shard *shard, struct log_done *done)
{
    struct committer *c = &shard->committer;
    uint64_t ignored = 0;
    pthread_mutex_lock(&c->lock);
    const bool has_one = c->n_done > 0;
    if (has_one) {
        *done = c->done[0];
        memmove(c->done, c->done + 1, (size_t)--c->n_done * sizeof c->done[0]);
        pthread_cond_signal(&c->wakes);
    } else {
        /* Under the lock, so that no result that is announced later is forgotten. */
        while (read(c->done_fd, &ignored, sizeof ignored) < 0 && errno == EINTR) {
        }
    }
    pthread_mutex_unlock(&c->lock);
    return has_one;
}
