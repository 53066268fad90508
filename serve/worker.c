/* worker.c - listeners, ticks, deadlines, start and stop. */
#define _GNU_SOURCE /* accept4 */
#include "serve/worker.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "serve/connection.h"

#define SWEEP_MS        250
#define MAX_ACCEPTS     64   /* in one go, so that open connections get their turn */
#define EVICT_AFTER_MS  1000 /* a connection idle for so long gives way to a new one */
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
        .limits = {.max_header_bytes = 16384, .max_body_bytes = 1 << 20},
        .timeouts = {.header_ms = 10000,
                     .body_ms = 30000,
                     .idle_ms = 75000,
                     .write_ms = 30000,
                     .drain_ms = 10000},
    };
}

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

/* ---- the batch ---- */

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
    const struct batch filling = {worker->out, worker->records, worker->n_records,
                                  worker->record_capacity};
    worker->out = worker->flying.out;
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

static void on_commit_done(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    worker_tick(context);
    land(context);
}

/* ---- ticks ---- */

static void bury(struct worker *worker)
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
        if (worker->out.len > MAX_BATCH_BYTES) {
            worker_flush(worker);
        }
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

/* ---- accepting ---- */

static void pause_accepting(struct worker *worker)
{
    if (!worker->accept_paused && worker->listen_event) {
        event_del(worker->listen_event);
        worker->accept_paused = true;
    }
}

static void resume_accepting(struct worker *worker)
{
    if (worker->accept_paused && worker->listen_event &&
        atomic_load(&worker->n_connections) < worker->max_connections &&
        event_add(worker->listen_event, NULL) == 0) {
        worker->accept_paused = false;
    }
}

/* Makes room for one more connection, or says that there is none. */
static bool make_room(struct worker *worker)
{
    const int idle_ms = worker->owner->options.timeouts.idle_ms;
    if (atomic_load(&worker->n_connections) < worker->max_connections) {
        return true;
    }
    struct connection *idle = worker->phases[PHASE_IDLE].head;
    if (idle && idle->n_records == 0 &&
        worker->now_ms - (idle->deadline_ms - idle_ms) >= EVICT_AFTER_MS) {
        connection_close(idle);
        return true;
    }
    return false;
}

/* Returns how many were accepted, or -1 when there is nothing more to accept now. */
static int accept_some(struct worker *worker)
{
    for (int i = 0; i < MAX_ACCEPTS; i++) {
        if (!worker->is_stopping && !make_room(worker)) {
            pause_accepting(worker);
            return -1;
        }
        const int fd =
            accept4(worker->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
                errno == ENOMEM) {
                worker_trouble(worker, "accept", ERROR_IO,
                               "out of file descriptors or memory; accepting pauses "
                               "(raise the limit: ulimit -n, LimitNOFILE=)");
                pause_accepting(worker);
                return -1;
            }
            if (errno == EAGAIN || errno == EINTR) {
                return -1;
            }
            continue; /* that connection has failed already; the next may be well */
        }
        if (!connection_new(worker, fd)) {
            close(fd);
        }
    }
    return MAX_ACCEPTS;
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    worker_tick(context);
    accept_some(context);
}

/* ---- deadlines ---- */

static void run_streams(struct worker *worker)
{
    struct connection *next = NULL;
    for (struct connection *c = worker->phases[PHASE_STREAM].head; c; c = next) {
        next = c->next;
        if (c->stream_due_ms <= worker->now_ms && c->n_records == 0) {
            connection_stream(c);
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
    resume_accepting(worker);
}

/* ---- stopping ---- */

static void close_listener(struct worker *worker)
{
    if (worker->listen_event) {
        event_free(worker->listen_event);
        worker->listen_event = NULL;
    }
    if (worker->listener >= 0) {
        close(worker->listener);
        worker->listener = -1;
    }
}

static void begin_stopping(struct worker *worker)
{
    worker->is_stopping = true;
    worker->drain_deadline_ms =
        worker->now_ms + worker->owner->options.timeouts.drain_ms;
    /* Who is in the queue has been promised an answer by the kernel already. */
    while (!worker->listener_is_shared && accept_some(worker) > 0) {
    }
    close_listener(worker);
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
    return atomic_load(&worker->n_connections) == 0 ||
           worker->now_ms >= worker->drain_deadline_ms;
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

static void *run(void *context)
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
        bury(worker);
        worker->is_in_tick = false;
        if (worker->is_stopping && has_drained(worker)) {
            break;
        }
    }
    while (worker->is_flying || worker->n_records > 0) {
        if (worker->is_flying) {
            wait_for_landing(worker);
        }
        worker_flush(worker);
    }
    close_all(worker);
    bury(worker);
    return NULL;
}

/* ---- setting up ---- */

static int bind_socket(const struct addrinfo *address, bool reuse_port)
{
    const int on = 1;
    const int fd =
        socket(address->ai_family, address->ai_socktype | SOCK_NONBLOCK | SOCK_CLOEXEC,
               address->ai_protocol);
    if (fd < 0) {
        return -1;
    }
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &on, sizeof on) != 0) ||
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) != 0 ||
        bind(fd, address->ai_addr, address->ai_addrlen) != 0 ||
        listen(fd, SOMAXCONN) != 0) {
        const int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* Binds to the first address that `host` stands for. */
static int bind_host(const char *host, int port, bool reuse_port, struct error *error)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC,
                                   .ai_socktype = SOCK_STREAM,
                                   .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    struct addrinfo *addresses = NULL;
    char service[16];
    int fd = -1;
    snprintf(service, sizeof service, "%d", port);
    const int rc = getaddrinfo(host, service, &hints, &addresses);
    if (rc != 0) {
        error_set(error, ERROR_INVALID, "cannot listen on \"%s\": %s", host,
                  gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *a = addresses; a && fd < 0; a = a->ai_next) {
        fd = bind_socket(a, reuse_port);
    }
    if (fd < 0) {
        error_set(error, errno == EADDRINUSE ? ERROR_BUSY : ERROR_IO,
                  "cannot listen on %s:%d: %s", host, port, strerror(errno));
    }
    freeaddrinfo(addresses);
    return fd;
}

static int port_of(int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return 0;
    }
    if (address.ss_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, &address, sizeof in6);
        return ntohs(in6.sin6_port);
    }
    struct sockaddr_in in4;
    memcpy(&in4, &address, sizeof in4);
    return ntohs(in4.sin_port);
}

/* SO_REUSEPORT would let a second server of the same user take half of our connections
 * without a word, so the address must be free for a socket that does not share. */
static int check_free(const struct http_options *options, struct error *error)
{
    const int fd = bind_host(options->host, options->port, false, error);
    if (fd < 0) {
        return -1;
    }
    close(fd);
    return 0;
}

static int open_listener(struct http_workers *workers, struct worker *worker,
                         struct error *error)
{
    const struct http_options *options = &workers->options;
    if (options->inherited_fd >= 0) {
        worker->listener = dup(options->inherited_fd);
        worker->listener_is_shared = true;
        if (worker->listener < 0 ||
            evutil_make_socket_nonblocking(worker->listener) != 0 ||
            evutil_make_socket_closeonexec(worker->listener) != 0) {
            error_set(error, ERROR_IO, "cannot use the socket that was passed: %s",
                      strerror(errno));
            return -1;
        }
    } else {
        const int port = worker->index ? workers->port : options->port;
        worker->listener = bind_host(options->host, port, true, error);
        if (worker->listener < 0) {
            return -1;
        }
    }
    if (worker->index == 0) {
        workers->port = port_of(worker->listener);
    }
    return 0;
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

static int add_events(struct worker *worker)
{
    const struct timeval sweep = {0, SWEEP_MS * 1000};
    worker->listen_event = event_new(worker->base, worker->listener,
                                     EV_READ | EV_PERSIST, on_acceptable, worker);
    worker->wake_event =
        event_new(worker->base, worker->wake_fd, EV_READ | EV_PERSIST, on_wake, worker);
    worker->sweep_event = event_new(worker->base, -1, EV_PERSIST, on_sweep, worker);
    return worker->listen_event && worker->wake_event && worker->sweep_event &&
                   event_add(worker->listen_event, NULL) == 0 &&
                   event_add(worker->wake_event, NULL) == 0 &&
                   event_add(worker->sweep_event, &sweep) == 0
               ? 0
               : -1;
}

static int open_worker(struct http_workers *workers, int index, struct error *error)
{
    struct worker *worker = &workers->workers[index];
    const int n = workers->options.n_workers;
    worker->owner = workers;
    worker->index = index;
    worker->listener = worker->wake_fd = -1;
    worker->max_connections = (workers->options.max_connections + n - 1) / n;
    pthread_mutex_init(&worker->done_lock, NULL);
    workers->n_workers = index + 1;
    if (open_listener(workers, worker, error) != 0) {
        return -1;
    }
    worker->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    worker->scratch = malloc(READ_SIZE);
    worker->base = new_base();
    if (worker->wake_fd < 0 || !worker->scratch || !worker->base ||
        add_events(worker) != 0) {
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
    if (options->inherited_fd < 0 && check_free(options, error) != 0) {
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

int http_workers_port(const struct http_workers *workers)
{
    return workers->port;
}

static int watch_commits(struct worker *worker)
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

int http_workers_start(struct http_workers *workers, struct error *error)
{
    workers->aside = aside_new(N_ASIDE_THREADS, error);
    if (!workers->aside) {
        return -1;
    }
    for (int i = 0; i < workers->n_workers; i++) {
        struct worker *worker = &workers->workers[i];
        if (watch_commits(worker) != 0 ||
            pthread_create(&worker->thread, NULL, run, worker) != 0) {
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
    bury(worker);
    if (worker->commit_event) {
        event_free(worker->commit_event);
    }
    if (worker->sweep_event) {
        event_free(worker->sweep_event);
    }
    if (worker->wake_event) {
        event_free(worker->wake_event);
    }
    close_listener(worker);
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
    int n = 0;
    for (int i = 0; i < workers->n_workers; i++) {
        n += atomic_load(&workers->workers[i].n_connections);
    }
    return n;
}
