/* worker.c - what the thread of a worker does: ticks, deadlines, stopping. */
#include "serve/worker.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <time.h>

#include "common/clock.h"
#include "serve/connection.h"

#define SWEEP_MS 250

void worker_trouble(struct worker *worker, const char *event, enum error_code code,
                    const char *message)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    struct error error;
    if (hooks->on_trouble) {
        error_set(&error, code, "%s", message);
        hooks->on_trouble(hooks->context, event, &error);
    }
}

/* ---- ticks ---- */

void worker_bury(struct worker *worker)
{
    struct connection **at = &worker->graveyard;
    while (*at) {
        struct connection *connection = *at;
        if (connection->n_records > 0 || connection->in_resume) {
            at = &connection->next;
            continue;
        }
        *at = connection->next;
        free(connection);
    }
}

static void resume_connections(struct worker *worker)
{
    struct connection *list = worker->resume;
    worker->resume = NULL;
    if (list) {
        worker_tick(worker);
    }
    while (list) {
        struct connection *connection = list;
        list = connection->resume_next;
        connection->in_resume = false;
        worker_flush_if_full(worker);
        connection_resume(connection);
    }
}

static void look_at_clock(struct worker *worker)
{
    const time_t second = time(NULL);
    worker->now_ms = clock_monotonic_ns() / 1000000;
    if (second != worker->date_second) {
        static const char *const days[] = {"Sun", "Mon", "Tue", "Wed",
                                           "Thu", "Fri", "Sat"};
        static const char *const months[] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                             "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
        struct tm t;
        worker->date_second = second;
        access_log_time(second, worker->access_time);
        gmtime_r(&second, &t); /* not strftime: its names follow the locale */
        snprintf(worker->date, sizeof worker->date,
                 "%s, %02d %s %04d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
                 months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    }
}

/* libevent 2.1 does not say when it has waited, so every callback says it here. */
void worker_tick(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    if (!worker->is_in_tick) {
        worker->is_in_tick = true;
        look_at_clock(worker);
        worker->tick.worker = worker->index;
        hooks->on_tick(hooks->context, &worker->tick);
    }
}

/* ---- deadlines ---- */

/* Lets the stream produce, now and whenever it is due. */
static void run_stream(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct buffer chunk = {0};
    if (connection->is_closed || connection->phase != PHASE_STREAM) {
        return;
    }
    connection->stream_due_ms = worker->now_ms + connection->stream->interval_ms;
    const int rc = connection->stream->produce(worker->tick.server,
                                               connection->stream_context, &chunk);
    if (rc != 0 || chunk.failed) {
        connection_close(connection);
    } else if (chunk.len > 0) {
        connection_send(connection, chunk.data, chunk.len);
    }
    buffer_free(&chunk);
}

static void run_streams(struct worker *worker)
{
    struct connection *next = NULL;
    for (struct connection *c = worker->phases[PHASE_STREAM].head; c; c = next) {
        next = c->next;
        if (c->stream_due_ms <= worker->now_ms && c->n_records == 0) {
            run_stream(c);
        }
    }
}

static void on_sweep(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    static const enum phase limited[] = {PHASE_IDLE, PHASE_HEADER, PHASE_BODY,
                                         PHASE_WRITING, PHASE_LINGER};
    (void)fd;
    (void)what;
    worker_tick(worker);
    for (size_t i = 0; i < sizeof limited / sizeof limited[0]; i++) {
        struct connection *next = NULL;
        for (struct connection *c = worker->phases[limited[i]].head;
             c && c->deadline_ms <= worker->now_ms; c = next) {
            next = c->next;
            if (c->n_records == 0) {
                connection_expire(c);
            }
        }
    }
    run_streams(worker);
    listener_make_room(worker);
    listener_resume(worker);
}

/* ---- stopping ---- */

static void begin_stopping(struct worker *worker)
{
    worker->is_stopping = true;
    worker->drain_deadline_ms =
        worker->now_ms + worker->owner->options.timeouts.drain_ms;
    /* Who is in the queue has been promised an answer by the kernel already. */
    while (!worker->listener_is_shared && listener_accept(worker) > 0) {
    }
    listener_close(worker);
    struct connection *next = NULL;
    for (struct connection *c = worker->phases[PHASE_STREAM].head; c; c = next) {
        next = c->next;
        connection_close(c);
    }
    /* A request may have arrived that was not read yet. */
    for (int i = PHASE_IDLE; i <= PHASE_HEADER; i++) {
        for (struct connection *c = worker->phases[i].head; c; c = next) {
            next = c->next;
            connection_readable(c);
        }
    }
}

/* Closes who has nothing under way; true when nobody is left or time is up. */
static bool has_drained(struct worker *worker)
{
    static const enum phase quiet[] = {PHASE_IDLE, PHASE_HEADER, PHASE_LINGER};
    for (size_t i = 0; i < sizeof quiet / sizeof quiet[0]; i++) {
        struct connection *next = NULL;
        for (struct connection *c = worker->phases[quiet[i]].head; c; c = next) {
            next = c->next;
            if (c->n_records == 0 && c->in.len == 0 && c->phase != PHASE_LINGER) {
                connection_close(c);
            }
        }
    }
    return worker->n_connections == 0 || worker->now_ms >= worker->drain_deadline_ms;
}

static void on_wake(evutil_socket_t fd, short what, void *context)
{
    struct worker *worker = context;
    eventfd_t count = 0;
    (void)what;
    eventfd_read(fd, &count);
    worker_tick(worker);
    if (atomic_load(&worker->owner->stop) && !worker->is_stopping) {
        begin_stopping(worker);
    }
    aside_collect(worker);
}

static void close_all(struct worker *worker)
{
    for (int i = 0; i < N_PHASES; i++) {
        while (worker->phases[i].head) {
            connection_close(worker->phases[i].head);
        }
    }
}

int worker_watch(struct worker *worker)
{
    const struct timeval sweep = {0, SWEEP_MS * 1000};
    worker->wake_event =
        event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->sweep_event = event_new(worker->base, -1, EV_PERSIST, on_sweep, worker);
    return worker->wake_event && worker->sweep_event &&
                   event_add(worker->wake_event, NULL) == 0 &&
                   event_add(worker->sweep_event, &sweep) == 0
               ? 0
               : -1;
}

void *worker_run(void *context)
{
    struct worker *worker = context;
    for (;;) {
        const int flags = EVLOOP_ONCE | (worker->resume ? EVLOOP_NONBLOCK : 0);
        if (event_base_loop(worker->base, flags) < 0) {
            worker_trouble(worker, "loop", ERROR_IO, "waiting for events failed");
            break;
        }
        resume_connections(worker);
        worker_flush(worker);
        worker_bury(worker);
        worker->is_in_tick = false;
        if (worker->is_stopping && has_drained(worker)) {
            break;
        }
    }
    worker_finish(worker);
    close_all(worker);
    worker_bury(worker);
    return NULL;
}
