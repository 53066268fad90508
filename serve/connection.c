/* connection.c - bytes in, requests out; answers in, bytes out. */
#include "serve/connection.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "common/clock.h"

#define LINGER_MS 2000

/* ---- memory ---- */

/* Whether `extra` more bytes may be kept of an unfinished request or unsent answer. The
 * little that most requests in pieces take is everybody's, however many there are. */
static bool may_hold(const struct connection *connection, size_t extra)
{
    const struct http_workers *workers = connection->worker->owner;
    return connection->in.len + connection->out.len + extra <= KEPT_INPUT_BYTES ||
           atomic_load_explicit(&workers->held_bytes, memory_order_relaxed) + extra <=
               workers->options.max_held_bytes;
}

static void count_held(struct connection *connection)
{
    const size_t held = connection->in.capacity + connection->out.capacity;
    if (held != connection->held) {
        atomic_fetch_add_explicit(&connection->worker->owner->held_bytes,
                                  held - connection->held, memory_order_relaxed);
        connection->held = held;
    }
}

/* ---- phases ---- */

static void unlink_phase(struct connection *connection)
{
    struct phase_list *list = &connection->worker->phases[connection->phase];
    if (connection->prev) {
        connection->prev->next = connection->next;
    } else {
        list->head = connection->next;
    }
    if (connection->next) {
        connection->next->prev = connection->prev;
    } else {
        list->tail = connection->prev;
    }
    connection->prev = connection->next = NULL;
}

static void link_phase(struct connection *connection, enum phase phase)
{
    struct worker *worker = connection->worker;
    const struct http_timeouts *limits = &worker->owner->options.timeouts;
    const int ms[N_PHASES] = {
        [PHASE_IDLE] = limits->idle_ms, [PHASE_HEADER] = limits->header_ms,
        [PHASE_BODY] = limits->body_ms, [PHASE_WRITING] = limits->write_ms,
        [PHASE_LINGER] = LINGER_MS,
    };
    struct phase_list *list = &worker->phases[phase];
    connection->phase = phase;
    connection->deadline_ms = worker->now_ms + ms[phase];
    connection->prev = list->tail;
    connection->next = NULL;
    if (list->tail) {
        list->tail->next = connection;
    } else {
        list->head = connection;
    }
    list->tail = connection;
}

void connection_set_phase(struct connection *connection, enum phase phase)
{
    unlink_phase(connection);
    link_phase(connection, phase);
}

/* ---- life ---- */

static void on_readable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    struct connection *connection = context;
    worker_tick(connection->worker);
    worker_flush_if_full(connection->worker);
    connection_readable(connection);
}

static void on_writable(evutil_socket_t fd, short what, void *context);

struct connection *connection_new(struct worker *worker, int fd)
{
    struct connection *connection = calloc(1, sizeof *connection);
    if (!connection) {
        return NULL;
    }
    connection->worker = worker;
    connection->fd = fd;
    event_assign(&connection->read_event, worker->base, fd, EV_READ | EV_PERSIST,
                 on_readable, connection);
    event_assign(&connection->write_event, worker->base, fd, EV_WRITE | EV_PERSIST,
                 on_writable, connection);
    if (event_add(&connection->read_event, NULL) != 0) {
        free(connection);
        return NULL;
    }
    connection->is_reading = true;
    if (worker->owner->options.access_log) {
        access_log_peer(&connection->access, fd);
        connection->access_peer_len = connection->access.len;
    }
    http_parser_begin(&connection->parser, &worker->owner->options.limits);
    link_phase(connection, PHASE_HEADER);
    worker->n_connections++;
    return connection;
}

void connection_close(struct connection *connection)
{
    struct worker *worker = connection->worker;
    if (connection->is_closed) {
        return;
    }
    connection->is_closed = true;
    event_del(&connection->read_event);
    event_del(&connection->write_event);
    close(connection->fd);
    buffer_free(&connection->in);
    buffer_free(&connection->out);
    count_held(connection);
    buffer_free(&connection->access);
    if (connection->stream) {
        connection->stream->closed(connection->stream_context);
        connection->stream = NULL;
    }
    unlink_phase(connection);
    connection->next = worker->graveyard;
    worker->graveyard = connection;
    worker->n_connections--;
    atomic_fetch_sub(&worker->owner->n_connections, 1);
}

static void set_reading(struct connection *connection, bool reading)
{
    if (connection->is_reading == reading || connection->is_closed) {
        return;
    }
    connection->is_reading = reading;
    if (reading) {
        if (event_add(&connection->read_event, NULL) != 0) {
            connection_close(connection);
        }
    } else {
        event_del(&connection->read_event);
    }
}

/* ---- sending ---- */

/* Whether there is input that the parser has not looked at yet. */
static bool has_input_left(const struct connection *connection)
{
    return connection->in.len > http_parser_kept(&connection->parser);
}

/* All answers are sent: what now? */
static void sent_all(struct connection *connection)
{
    if (connection->n_records > 0) {
        return; /* more are on their way */
    }
    if (connection->close_after) {
        if (!connection->linger || connection->saw_end) {
            connection_close(connection);
            return;
        }
        /* Closing with unread input would reset the connection, and the reset may
         * overtake the answer. */
        shutdown(connection->fd, SHUT_WR);
        connection_set_phase(connection, PHASE_LINGER);
        set_reading(connection, true);
        return;
    }
    if (connection->phase == PHASE_WRITING) {
        connection_set_phase(connection, connection->stream ? PHASE_STREAM
                                         : http_parser_has_begun(&connection->parser)
                                             ? PHASE_HEADER
                                             : PHASE_IDLE);
    }
    if (connection->phase == PHASE_WAITING) {
        return;
    }
    if (has_input_left(connection)) {
        if (!connection->in_resume) {
            connection->in_resume = true;
            connection->resume_next = connection->worker->resume;
            connection->worker->resume = connection;
        }
    } else if (connection->saw_end) {
        connection_close(connection);
    } else {
        set_reading(connection, true);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *context)
{
    struct connection *connection = context;
    struct buffer *out = &connection->out;
    (void)what;
    worker_tick(connection->worker);
    const ssize_t n = send(fd, out->data + connection->out_at,
                           out->len - connection->out_at, MSG_NOSIGNAL);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            connection_close(connection);
        }
        return;
    }
    connection->out_at += (size_t)n;
    if (connection->out_at < out->len) {
        connection_set_phase(connection, PHASE_WRITING); /* progress: a new deadline */
        return;
    }
    event_del(&connection->write_event);
    buffer_free(out);
    count_held(connection);
    connection->out_at = 0;
    sent_all(connection);
}

void connection_send(struct connection *connection, const char *data, size_t len)
{
    ssize_t n = 0;
    if (connection->is_closed) {
        return;
    }
    if (connection->out.len == 0) {
        n = send(connection->fd, data, len, MSG_NOSIGNAL);
        if (n < 0 && errno != EAGAIN && errno != EINTR) {
            connection_close(connection);
            return;
        }
        n = n < 0 ? 0 : n;
        if ((size_t)n == len) {
            sent_all(connection);
            return;
        }
    }
    const bool is_first = connection->out.len == 0;
    if (!may_hold(connection, len - (size_t)n)) {
        connection_close(connection); /* who does not read gives way */
        return;
    }
    buffer_append(&connection->out, data + n, len - (size_t)n);
    count_held(connection);
    if (connection->out.failed ||
        (is_first && event_add(&connection->write_event, NULL) != 0)) {
        connection_close(connection);
        return;
    }
    if (is_first) {
        set_reading(connection, false);
        connection_set_phase(connection, PHASE_WRITING);
    }
}

/* ---- streams ---- */

static void begin_stream(struct connection *connection, const struct http_exchange *x)
{
    connection->stream = x->stream;
    connection->stream_context = x->stream_context;
    connection->stream_due_ms = 0; /* the next sweep calls it first */
    connection_set_phase(connection, PHASE_STREAM);
}

/* ---- requests ---- */

static void begin_exchange(struct connection *connection, struct http_exchange *x)
{
    struct worker *worker = connection->worker;
    const struct http_exchange *tick = &worker->tick;
    x->server = tick->server;
    x->state = tick->state;
    x->log = tick->log;
    x->worker = worker->index;
    x->date = worker->date;
    x->route = NULL;
    x->out = &worker->out;
    x->extra = &worker->extra;
    x->start_ns = clock_monotonic_ns();
    x->answer_start = worker->out.len;
    x->length_at = x->body_at = 0;
    x->status = 0;
    x->needs_commit = false;
    x->aside = NULL;
    x->stream = NULL;
    x->n_params = 0;
    x->close = worker->is_stopping ||
               connection->n_requests >= worker->owner->options.max_requests;
    buffer_clear(&worker->extra);
}

/* Before the route runs, which decodes the request in place. */
static void note_access(struct connection *connection,
                        const struct http_request *request)
{
    const struct worker *worker = connection->worker;
    if (worker->owner->options.access_log) {
        connection->access.len = connection->access_peer_len;
        access_log_request(&connection->access, worker->access_time, request);
    }
}

/* Takes the finished answer in *x into the batch. */
void connection_answered(struct connection *connection, struct http_exchange *x)
{
    struct worker *worker = connection->worker;
    if (!x->status || worker->out.failed) {
        worker->out.len = x->answer_start;
        worker->out.failed = false;
        x->needs_commit = false;
        x->stream = NULL;
        x->status = 0;
        x->close = true;
        http_problem(x, 500, "the server could not make an answer");
        if (worker->out.failed) {
            worker->out.len = x->answer_start;
            worker->out.failed = false;
            connection_close(connection);
            return;
        }
    }
    struct record *record = worker_record(worker, connection, x->answer_start);
    if (!record) {
        worker->out.len = x->answer_start;
        connection_close(connection);
        return;
    }
    record->route = x->route;
    record->status = x->status;
    record->needs_commit = x->needs_commit;
    record->is_head = http_is_head(x);
    record->minor = x->request.minor;
    record->close = x->close;
    record->is_final = true;
    record->start_ns = x->start_ns;
    record->access_start = worker->access.len;
    record->access_len = connection->access.len;
    buffer_append(&worker->access, connection->access.data, connection->access.len);
    worker->needs_commit |= x->needs_commit;
    connection->pending += record->end - record->start;
    if (x->stream && !http_is_head(x)) {
        begin_stream(connection, x);
    } else if (x->close) {
        if (x->stream) {
            x->stream->closed(x->stream_context);
        }
        connection->close_after = true;
        /* A client that did not ask for it may have sent more already. */
        connection->linger |= x->request.keep_alive;
    }
}

static void refuse(struct connection *connection, int status, const char *reason)
{
    struct http_exchange *x = &connection->worker->exchange;
    begin_exchange(connection, x);
    x->request = (struct http_request){.method = HTTP_METHOD_GET, .minor = 1};
    x->close = true;
    note_access(connection, NULL);
    if (status == 503) {
        http_add_header(x, "Retry-After", "1");
    }
    http_problem(x, status, "%s", reason);
    connection->linger = true;
    connection_answered(connection, x);
}

static void handle(struct connection *connection, const char *data, size_t len)
{
    struct worker *worker = connection->worker;
    struct http_exchange *x = &worker->exchange;
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    connection->n_requests++;
    begin_exchange(connection, x);
    http_parser_request(&connection->parser, data, x->headers, &x->request);
    note_access(connection, &x->request);
    hooks->on_request(hooks->context, x);
    if (x->aside) {
        worker->out.len = x->answer_start;
        connection_set_phase(connection, PHASE_WAITING);
        aside_give(worker->owner->aside, connection, x, data, len);
        return;
    }
    connection_answered(connection, x);
}

static bool may_go_on(const struct connection *connection)
{
    return !connection->is_closed && !connection->close_after && !connection->stream &&
           connection->phase != PHASE_WAITING && connection->phase != PHASE_WRITING &&
           connection->pending < MAX_PENDING_BYTES;
}

static void ask_to_continue(struct connection *connection)
{
    struct worker *worker = connection->worker;
    const size_t start = worker->out.len;
    buffer_append_text(&worker->out, "HTTP/1.1 100 Continue\r\n\r\n");
    if (worker->out.failed || !worker_record(worker, connection, start)) {
        worker->out.failed = false;
        worker->out.len = start;
    }
}

/* There is no memory for more of the request that is coming in. */
static void drop_input(struct connection *connection)
{
    if (may_go_on(connection)) {
        buffer_free(&connection->in);
        count_held(connection);
        refuse(connection, 503, "too many unfinished requests; try again");
        set_reading(connection, false);
    } else {
        connection_close(connection);
    }
}

/* Keeps what was not used: [data + at, + left). */
static void keep_input(struct connection *connection, const char *data, size_t left)
{
    struct buffer *in = &connection->in;
    if (connection->is_closed) {
        return;
    }
    if (left == 0) {
        if (in->capacity > KEPT_INPUT_BYTES) {
            buffer_free(in);
            count_held(connection);
        }
        buffer_clear(
            in); /* requests that come in pieces shall not allocate each time */
        return;
    }
    if (in->data && data >= in->data && data < in->data + in->capacity) {
        memmove(in->data, data, left);
    } else {
        in->len = 0;
        char *to = may_hold(connection, left) ? buffer_reserve(in, left) : NULL;
        if (!to) {
            drop_input(connection);
            return;
        }
        memcpy(to, data, left);
        count_held(connection);
    }
    in->len = left;
}

/* Handles the requests in the input; the first bytes of it may be parsed already. */
static void process(struct connection *connection, char *data, size_t len)
{
    size_t at = 0, left = 0;
    bool had_request = false;
    while (at < len && may_go_on(connection)) {
        size_t consumed = 0;
        const enum http_parse_result result =
            http_parser_feed(&connection->parser, data + at, len - at, &consumed);
        if (result == HTTP_PARSE_REFUSED) {
            refuse(connection, connection->parser.status, connection->parser.reason);
            at = len;
        } else if (result == HTTP_PARSE_DONE) {
            had_request = true;
            handle(connection, data + at, consumed);
            at += consumed;
            http_parser_begin(&connection->parser,
                              &connection->worker->owner->options.limits);
        } else {
            if (result == HTTP_PARSE_CONTINUE) {
                ask_to_continue(connection);
            }
            left = http_parser_kept(&connection->parser);
            break;
        }
    }
    if (left == 0 && at < len) {
        left = len - at; /* not looked at yet: resumed when the answers are sent */
    }
    keep_input(connection, data + at, left);
    if (!may_go_on(connection)) {
        set_reading(connection, connection->stream != NULL); /* notices its end */
        return;
    }
    const enum phase phase = connection->parser.header_len ? PHASE_BODY
                             : connection->in.len          ? PHASE_HEADER
                                                           : PHASE_IDLE;
    if (had_request || phase != connection->phase) {
        connection_set_phase(connection, phase);
    }
}

static bool is_quiet(const struct connection *connection)
{
    return connection->n_records == 0 && connection->out.len == 0;
}

void connection_resume(struct connection *connection)
{
    if (!may_go_on(connection) || !has_input_left(connection)) {
        return;
    }
    process(connection, connection->in.data, connection->in.len);
    if (is_quiet(connection) && !connection->is_closed) {
        if (connection->saw_end) {
            connection_close(connection); /* half a request, and no more to come */
        } else {
            set_reading(connection, true);
        }
    }
}

static void at_end_of_input(struct connection *connection)
{
    connection->saw_end = true;
    set_reading(connection, false);
    /* A client may close its side and still listen for the answers. */
    if (connection->stream || (is_quiet(connection) && !has_input_left(connection))) {
        connection_close(connection);
    }
}

void connection_readable(struct connection *connection)
{
    struct worker *worker = connection->worker;
    struct buffer *in = &connection->in;
    char *to = worker->scratch;
    size_t room = READ_SIZE;
    if (connection->is_closed) {
        return;
    }
    const bool drops = connection->phase == PHASE_LINGER || connection->stream;
    if (in->len > 0 && !drops) {
        /* Grow by what is there already, so that a long body costs few moves. */
        room = in->len < KEPT_INPUT_BYTES / 2 ? KEPT_INPUT_BYTES - in->len
               : in->len > READ_SIZE          ? READ_SIZE
                                              : in->len;
        to = in->capacity - in->len >= room || may_hold(connection, room)
                 ? buffer_reserve(in, room)
                 : NULL;
        if (!to) {
            drop_input(connection);
            return;
        }
        count_held(connection);
    }
    const ssize_t n = recv(connection->fd, to, room, 0);
    if (n < 0) {
        if (errno != EAGAIN && errno != EINTR) {
            connection_close(connection);
        }
        return;
    }
    if (n == 0) {
        at_end_of_input(connection);
        return;
    }
    if (drops) {
        return;
    }
    if (in->len > 0) {
        in->len += (size_t)n;
        if (may_go_on(connection)) {
            process(connection, in->data, in->len);
        }
    } else {
        process(connection, worker->scratch, (size_t)n);
    }
}

void connection_expire(struct connection *connection)
{
    if (connection->phase == PHASE_HEADER || connection->phase == PHASE_BODY) {
        if (connection->n_requests > 0 || http_parser_has_begun(&connection->parser)) {
            refuse(connection, 408, "the request took too long to arrive");
            return;
        }
    }
    connection_close(connection);
}
