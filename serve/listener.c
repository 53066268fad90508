/* listener.c - the listening socket of a worker: bound, accepting, pausing, closed. */
#define _GNU_SOURCE /* accept4 */
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "serve/connection.h"

#define MAX_ACCEPTS    64   /* in one go, so that open connections get their turn */
#define EVICT_AFTER_MS 1000 /* a connection idle for so long gives way to a new one */

/* ---- binding ---- */

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

static void write_url(char url[HTTP_URL_SIZE], const char *host, const char *service)
{
    const bool is_ipv6 = strchr(host, ':') != NULL;
    snprintf(url, HTTP_URL_SIZE, "http://%s%.200s%s:%.31s", is_ipv6 ? "[" : "", host,
             is_ipv6 ? "]" : "", service);
}

/* Where a passed socket listens: what the config says of an address is not about it. */
static void describe_passed(int fd, char url[HTTP_URL_SIZE])
{
    struct sockaddr_storage address = {0};
    struct sockaddr_un un;
    socklen_t len = sizeof address;
    char host[NI_MAXHOST], service[NI_MAXSERV];
    snprintf(url, HTTP_URL_SIZE, "a passed socket");
    if (getsockname(fd, (struct sockaddr *)&address, &len) != 0) {
        return;
    }
    if (address.ss_family == AF_UNIX) {
        memcpy(&un, &address, sizeof un);
        snprintf(url, HTTP_URL_SIZE, "unix:%s%.*s", un.sun_path[0] ? "" : "@",
                 (int)sizeof un.sun_path - 1, un.sun_path + !un.sun_path[0]);
    } else if (getnameinfo((struct sockaddr *)&address, len, host, sizeof host, service,
                           sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
        write_url(url, host, service);
    }
}

static void describe(struct http_workers *workers, int fd)
{
    char service[16];
    if (workers->options.inherited_fd >= 0) {
        describe_passed(fd, workers->url);
    } else {
        snprintf(service, sizeof service, "%d", workers->port);
        write_url(workers->url, workers->options.host, service);
    }
}

/* SO_REUSEPORT would let a second server of the same user take half of our connections
 * without a word, so the address must be free for a socket that does not share. */
int listener_check_free(const struct http_options *options, struct error *error)
{
    const int fd = bind_host(options->host, options->port, false, error);
    if (fd < 0) {
        return -1;
    }
    close(fd);
    return 0;
}

int listener_open(struct worker *worker, struct error *error)
{
    struct http_workers *workers = worker->owner;
    const struct http_options *options = &workers->options;
    if (options->inherited_fd >= 0) {
        int is_listening = 0;
        socklen_t len = sizeof is_listening;
        if (getsockopt(options->inherited_fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening,
                       &len) != 0 ||
            !is_listening) {
            error_set(
                error, ERROR_INVALID,
                "descriptor %d, which LISTEN_FDS promises, is no listening socket",
                options->inherited_fd);
            return -1;
        }
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
        describe(workers, worker->listener);
    }
    return 0;
}

/* ---- accepting ---- */

static void pause_accepting(struct worker *worker)
{
    if (!worker->accept_paused && worker->listen_event) {
        event_del(worker->listen_event);
        worker->accept_paused = true;
    }
}

/* The connection that has been idle for longest, if it has been for a while. */
static struct connection *find_idle(const struct worker *worker)
{
    const int idle_ms = worker->owner->options.timeouts.idle_ms;
    struct connection *idle = worker->phases[PHASE_IDLE].head;
    return idle && idle->n_records == 0 &&
                   worker->now_ms - (idle->deadline_ms - idle_ms) >= EVICT_AFTER_MS
               ? idle
               : NULL;
}

static bool evict_idle(struct worker *worker)
{
    struct connection *idle = find_idle(worker);
    if (idle) {
        connection_close(idle);
    }
    return idle != NULL;
}

static bool is_full(const struct worker *worker)
{
    const struct http_workers *workers = worker->owner;
    return atomic_load(&workers->n_connections) >= workers->options.max_connections;
}

/* Counts a connection to come, if there is a place for it. Whoever the kernel has
 * queued when the server stops has one. */
static bool take_place(struct worker *worker)
{
    struct http_workers *workers = worker->owner;
    const int n_before = atomic_fetch_add(&workers->n_connections, 1);
    if (n_before < workers->options.max_connections || worker->is_stopping) {
        return true;
    }
    atomic_fetch_sub(&workers->n_connections, 1);
    return false;
}

static void give_place_back(struct worker *worker)
{
    atomic_fetch_sub(&worker->owner->n_connections, 1);
}

void listener_make_room(struct worker *worker)
{
    atomic_bool *wants_room = &worker->owner->wants_room;
    if (atomic_load(wants_room) && (!is_full(worker) || evict_idle(worker))) {
        atomic_store(wants_room, false);
    }
}

void listener_resume(struct worker *worker)
{
    if (!worker->accept_paused || !worker->listen_event) {
        return;
    }
    if (is_full(worker) && !find_idle(worker)) {
        atomic_store(&worker->owner->wants_room, true);
    } else if (event_add(worker->listen_event, NULL) == 0) {
        worker->accept_paused = false;
    }
}

static bool is_out_of_descriptors(int code)
{
    return code == EMFILE || code == ENFILE || code == ENOBUFS || code == ENOMEM;
}

int listener_accept(struct worker *worker)
{
    for (int i = 0; i < MAX_ACCEPTS; i++) {
        if (!take_place(worker)) {
            if (i > 0) {
                return i; /* whether anybody waits still, the next event says */
            }
            if (!evict_idle(worker)) {
                pause_accepting(worker);
                return -1;
            }
            continue;
        }
        const int fd =
            accept4(worker->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        const int code = errno;
        if (fd >= 0 && connection_new(worker, fd)) {
            continue;
        }
        give_place_back(worker);
        if (fd >= 0) {
            close(fd);
        } else if (is_out_of_descriptors(code) && !evict_idle(worker)) {
            worker_trouble(worker, "accept", ERROR_IO,
                           "out of file descriptors or memory; accepting pauses "
                           "(raise the limit: ulimit -n, LimitNOFILE=)");
            pause_accepting(worker);
            return -1;
        } else if (code == EAGAIN || code == EINTR) {
            return -1;
        }
        /* else that connection has failed already; the next may be well */
    }
    return MAX_ACCEPTS;
}

static void on_acceptable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    worker_tick(context);
    listener_accept(context);
}

int listener_watch(struct worker *worker)
{
    worker->listen_event = event_new(worker->base, worker->listener,
                                     EV_READ | EV_PERSIST, on_acceptable, worker);
    return worker->listen_event ? event_add(worker->listen_event, NULL) : -1;
}

void listener_close(struct worker *worker)
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
