/* batch.c - answers that go together: committed, replaced by 503s when that fails, and
 * sent one system call a connection. */
#include <poll.h>
#include <stdlib.h>

#include "common/clock.h"
#include "serve/connection.h"

#define MAX_BATCH_BYTES 4194304
/* Answers sent together. A tick of a thousand requests would let the first wait for the
 * last, and the clients and the server for each other. */
#define MAX_BATCH_RECORDS 32

struct record *worker_record(struct worker *worker, struct connection *connection,
                             size_t start)
{
    if (worker->n_records == worker->record_capacity) {
        const size_t capacity =
            worker->record_capacity ? 2 * worker->record_capacity : 256;
        struct record *records = realloc(worker->records, capacity * sizeof *records);
        if (!records) {
            return NULL;
        }
        worker->records = records;
        worker->record_capacity = capacity;
    }
    struct record *record = &worker->records[worker->n_records++];
    *record = (struct record){
        .connection = connection, .start = start, .end = worker->out.len};
    connection->n_records++;
    return record;
}

/* What could not be logged was not done: the answer becomes a 503. */
static void replace_answer(struct worker *worker, struct record *record)
{
    struct http_exchange *x = &worker->exchange;
    x->out = &worker->replacement;
    x->extra = &worker->extra;
    x->date = worker->date;
    x->status = 0;
    x->close = record->close;
    x->request = (struct http_request){
        .method = record->is_head ? HTTP_METHOD_HEAD : HTTP_METHOD_GET,
        .minor = record->minor,
        .keep_alive = !record->close,
    };
    buffer_clear(&worker->extra);
    http_add_header(x, "Retry-After", "1");
    http_problem(x, 503, "the event log cannot be written; nothing was recorded");
    record->status = 503;
}

/* Replaces the bytes of the batch where a commit failed. */
static void replace_answers(struct worker *worker)
{
    struct buffer *to = &worker->replacement;
    buffer_clear(to);
    for (size_t i = 0; i < worker->n_records; i++) {
        struct record *record = &worker->records[i];
        const size_t start = to->len;
        if (record->needs_commit) {
            replace_answer(worker, record);
        } else {
            buffer_append(to, worker->out.data + record->start,
                          record->end - record->start);
        }
        record->start = start;
        record->end = to->len;
    }
    const struct buffer old = worker->out;
    worker->out = *to;
    *to = old;
}

static void fail_batch(struct worker *worker, const struct error *error)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    if (hooks->on_trouble) {
        hooks->on_trouble(hooks->context, "log", error);
    }
    replace_answers(worker);
}

/* Swaps the batch that is being filled with the one in flight. */
static void swap_batches(struct worker *worker)
{
    const struct batch filling = {worker->out, worker->access, worker->records,
                                  worker->n_records, worker->record_capacity};
    worker->out = worker->flying.out;
    worker->access = worker->flying.access;
    worker->records = worker->flying.records;
    worker->n_records = worker->flying.n_records;
    worker->record_capacity = worker->flying.record_capacity;
    worker->flying = filling;
}

/* True when the batch may be sent now. */
static bool commit(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    struct error error = {0};
    worker->needs_commit = false;
    const int rc = hooks->on_commit(hooks->context, worker->index, &error);
    if (rc > 0) {
        swap_batches(worker);
        worker->is_flying = true;
        return false;
    }
    if (rc < 0) {
        fail_batch(worker, &error);
    }
    return true;
}

/* Hands the batch's lines to the access log. */
static void note_records(struct worker *worker)
{
    struct access_log *log = worker->owner->options.access_log;
    const int64_t now_ns = log ? clock_monotonic_ns() : 0;
    int64_t n_lines = 0;
    for (size_t i = 0; log && !worker->access.failed && i < worker->n_records; i++) {
        const struct record *record = &worker->records[i];
        if (record->access_len) {
            const struct slice head = {worker->access.data + record->access_start,
                                       record->access_len};
            access_log_line(&worker->access_lines, head, record->status,
                            record->end - record->start,
                            (now_ns - record->start_ns) / 1000);
            n_lines++;
        }
    }
    if (n_lines && !worker->access_lines.failed) {
        access_log_add(log, buffer_slice(&worker->access_lines), n_lines);
    }
    buffer_clear(&worker->access_lines);
    buffer_clear(&worker->access);
}

static void send_records(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    const bool is_complete = !worker->out.failed;
    for (size_t i = 0; i < worker->n_records;) {
        struct connection *connection = worker->records[i].connection;
        const size_t start = worker->records[i].start;
        size_t end = start;
        /* Answers of one connection lie side by side: one system call sends them. */
        for (; i < worker->n_records && worker->records[i].connection == connection;
             i++) {
            const struct record *record = &worker->records[i];
            end = record->end;
            connection->n_records--;
            if (record->is_final && hooks->on_answer) {
                hooks->on_answer(hooks->context, worker->index, record->route,
                                 record->status, record->end - record->start);
            }
        }
        connection->pending = 0;
        if (is_complete) {
            connection_send(connection, worker->out.data + start, end - start);
        } else {
            connection_close(connection); /* no memory even for the 503s */
        }
    }
    note_records(worker);
    worker->n_records = 0;
    buffer_clear(&worker->out);
    if (worker->out.capacity > MAX_BATCH_BYTES) {
        buffer_free(&worker->out);
    }
}

/* Sends the batch in flight if its commit has ended. */
static void land(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    bool is_committed = false;
    if (!worker->is_flying ||
        !hooks->on_committed(hooks->context, worker->index, &is_committed)) {
        return;
    }
    worker->is_flying = false;
    swap_batches(worker);
    if (!is_committed) {
        struct error error;
        error_set(&error, ERROR_IO, "a batch of events could not be made durable");
        fail_batch(worker, &error);
    }
    send_records(worker);
    swap_batches(worker);
}

static void wait_for_landing(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    struct pollfd fd = {.fd = hooks->commit_fd(hooks->context, worker->index),
                        .events = POLLIN};
    while (worker->is_flying) {
        poll(&fd, 1, 100);
        land(worker);
    }
}

void worker_flush(struct worker *worker)
{
    if (worker->is_flying && worker->out.len > MAX_BATCH_BYTES) {
        wait_for_landing(worker); /* the disk does not keep up */
    }
    if (worker->is_flying) {
        return; /* all answers keep their order: these go with the next batch */
    }
    if (worker->needs_commit && !commit(worker)) {
        return;
    }
    if (worker->n_records > 0) {
        send_records(worker);
    }
}

void worker_flush_if_full(struct worker *worker)
{
    if (worker->n_records >= MAX_BATCH_RECORDS || worker->out.len > MAX_BATCH_BYTES) {
        worker_flush(worker);
    }
}

void worker_finish(struct worker *worker)
{
    while (worker->is_flying || worker->n_records > 0) {
        if (worker->is_flying) {
            wait_for_landing(worker);
        }
        worker_flush(worker);
    }
}

static void on_commit_done(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    worker_tick(context);
    land(context);
}

int worker_watch_commits(struct worker *worker)
{
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    const int fd =
        hooks->commit_fd ? hooks->commit_fd(hooks->context, worker->index) : -1;
    if (fd < 0) {
        return 0;
    }
    worker->commit_event =
        event_new(worker->base, fd, EV_READ | EV_PERSIST, on_commit_done, worker);
    return worker->commit_event ? event_add(worker->commit_event, NULL) : -1;
}
