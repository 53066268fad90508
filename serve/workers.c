/* workers.c - setting up the workers, starting, stopping and freeing them. */
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "serve/connection.h"

#define N_ASIDE_THREADS 2

struct http_options http_options_default(void)
{
    return (struct http_options){
        .host = "127.0.0.1",
        .port = 8080,
        .inherited_fd = -1,
        .n_workers = 1,
        .max_connections = 10000,
        .max_requests = 1000000,
        .max_held_bytes = (size_t)256 << 20,
        .limits = {.max_header_bytes = 16384, .max_body_bytes = 1 << 20},
        .timeouts = {.header_ms = 10000,
                     .body_ms = 30000,
                     .idle_ms = 75000,
                     .write_ms = 30000,
                     .drain_ms = 10000},
    };
}

/* Without EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST: it puts off removing a descriptor until
 * the next wait, when its number may be another thread's connection already. */
static struct event_base *new_base(void)
{
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;
    if (config) {
        event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
        base = event_base_new_with_config(config);
        event_config_free(config);
    }
    return base;
}

static int open_worker(struct http_workers *workers, int index, struct error *error)
{
    struct worker *worker = &workers->workers[index];
    worker->owner = workers;
    worker->index = index;
    worker->listener = worker->wake_fd = -1;
    pthread_mutex_init(&worker->done_lock, NULL);
    workers->n_workers = index + 1;
    if (listener_open(worker, error) != 0) {
        return -1;
    }
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->scratch = malloc(READ_SIZE);
    worker->base = new_base();
    if (worker->wake_fd < 0 || !worker->scratch || !worker->base ||
        listener_watch(worker) != 0 || worker_watch(worker) != 0) {
        error_set(error, ERROR_NOMEM, "no memory or file descriptors for worker %d",
                  index);
        return -1;
    }
    return 0;
}

int http_workers_open(const struct http_options *options, struct http_workers **result,
                      struct error *error)
{
    struct http_workers *workers = calloc(1, sizeof *workers);
    int rc = -1;
    if (workers) {
        workers->options = *options;
        workers->workers = calloc((size_t)options->n_workers, sizeof(struct worker));
    }
    if (!workers || !workers->workers) {
        error_set(error, ERROR_NOMEM, "no memory for %d workers", options->n_workers);
        goto out;
    }
    if (options->inherited_fd < 0 && listener_check_free(options, error) != 0) {
        goto out;
    }
    for (int i = 0; i < options->n_workers; i++) {
        if (open_worker(workers, i, error) != 0) {
            goto out;
        }
    }
    *result = workers;
    workers = NULL;
    rc = 0;
out:
    http_workers_free(workers);
    return rc;
}

const char *http_workers_url(const struct http_workers *workers)
{
    return workers->url;
}

int http_workers_start(struct http_workers *workers, struct error *error)
{
    workers->aside = aside_new(N_ASIDE_THREADS, error);
    if (!workers->aside) {
        return -1;
    }
    for (int i = 0; i < workers->n_workers; i++) {
        struct worker *worker = &workers->workers[i];
        if (worker_watch_commits(worker) != 0 ||
            pthread_create(&worker->thread, NULL, worker_run, worker) != 0) {
            error_set(error, ERROR_IO, "cannot start thread %d of %d", i + 1,
                      workers->n_workers);
            http_workers_stop(workers);
            return -1;
        }
        worker->has_thread = true;
    }
    return 0;
}

void http_workers_stop(struct http_workers *workers)
{
    atomic_store(&workers->stop, true);
    for (int i = 0; i < workers->n_workers; i++) {
        eventfd_write(workers->workers[i].wake_fd, 1);
    }
    for (int i = 0; i < workers->n_workers; i++) {
        if (workers->workers[i].has_thread) {
            pthread_join(workers->workers[i].thread, NULL);
            workers->workers[i].has_thread = false;
        }
    }
}

static void free_worker(struct worker *worker)
{
    aside_collect(worker); /* jobs that came back after the thread had ended */
    worker_flush(worker);
    worker_bury(worker);
    if (worker->commit_event) {
        event_free(worker->commit_event);
    }
    if (worker->sweep_event) {
        event_free(worker->sweep_event);
    }
    if (worker->wake_event) {
        event_free(worker->wake_event);
    }
    listener_close(worker);
    if (worker->base) {
        event_base_free(worker->base);
    }
    if (worker->wake_fd >= 0) {
        close(worker->wake_fd);
    }
    pthread_mutex_destroy(&worker->done_lock);
    free(worker->scratch);
    free(worker->records);
    free(worker->flying.records);
    buffer_free(&worker->flying.out);
    buffer_free(&worker->out);
    buffer_free(&worker->access);
    buffer_free(&worker->access_lines);
    buffer_free(&worker->flying.access);
    buffer_free(&worker->extra);
    buffer_free(&worker->replacement);
}

void http_workers_free(struct http_workers *workers)
{
    if (!workers) {
        return;
    }
    aside_free(workers->aside);
    for (int i = 0; workers->workers && i < workers->n_workers; i++) {
        free_worker(&workers->workers[i]);
    }
    free(workers->workers);
    free(workers);
}

int http_workers_connections(const struct http_workers *workers)
{
    return atomic_load(&workers->n_connections);
}
