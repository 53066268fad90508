/* worker.h - threads that accept connections, read requests, and send answers.
 *
 * Each worker has a listener of its own (SO_REUSEPORT, so the kernel spreads new
 * connections) and a libevent base that no other thread touches. It works in ticks:
 * read whatever is readable, let the routes write their answers into a batch, commit
 * what they logged, then send, one system call a connection; so too whenever a batch
 * has some tens of answers. So an answer that says "accepted" leaves after the commit,
 * and tens of requests cost one write to the log.
 *
 * Everything a client may do without end has a bound here: header and body sizes (see
 * http_parser.h), time for the whole header, for the whole body, for reading an answer,
 * between requests, requests and unsent bytes of a connection, connections, memory for
 * what all of them have begun. When connections or file descriptors run out, the
 * longest idle connection gives way, or else accepting pauses.
 */
#ifndef SERVE_WORKER_H
#define SERVE_WORKER_H

#include "common/error.h"
#include "serve/http.h"

struct access_log;

struct http_timeouts {
    int header_ms; /* first byte (or accept) to end of header */
    int body_ms;   /* end of header to end of body */
    int idle_ms;   /* between requests */
    int write_ms;  /* without progress in sending */
    int drain_ms;  /* at shutdown, for requests in flight */
};

/* What the workers call. All but on_aside_* run on the worker's thread. */
struct http_hooks {
    void *context;
    /* A tick begins: the exchange fields server, state, log are set up in *x, which all
     * exchanges of the tick start from. */
    void (*on_tick)(void *context, struct http_exchange *x);
    void (*on_request)(void *context, struct http_exchange *x);
    /* Makes durable what the exchanges marked needs_commit logged. Returns 0 when that
     * is done, -1 when it failed, 1 when it is under way: on_committed will tell. */
    int (*on_commit)(void *context, int worker, struct error *error);
    /* A descriptor that is readable when a commit under way may have ended; -1: commits
     * are never under way. Asked once, when the workers start. */
    int (*commit_fd)(void *context, int worker);
    /* False while the commit is under way still. */
    bool (*on_committed)(void *context, int worker, bool *is_committed);
    /* An answer is on its way, with this status; route NULL: refused before routing. */
    void (*on_answer)(void *context, int worker, const struct route *route, int status,
                      size_t bytes);
    /* An exchange leaves for a side thread, or has come back: x->state is retained. */
    void (*on_aside_begin)(void *context, struct http_exchange *x);
    void (*on_aside_end)(void *context, struct http_exchange *x);
    /* Something the operator should know; at most a few a second. */
    void (*on_trouble)(void *context, const char *event, const struct error *error);
};

struct http_options {
    const char *host; /* numeric IPv4 or IPv6 address, or a name */
    int port;         /* 0 picks a free one */
    int inherited_fd; /* listening socket from systemd, or -1 */
    int n_workers;
    int max_connections; /* over all workers */
    int max_requests;    /* of one connection, then it is closed */
    size_t
        max_held_bytes; /* unfinished requests and unsent answers, over all workers */
    struct http_limits limits;
    struct http_timeouts timeouts;
    struct access_log *access_log; /* NULL: none */
    struct http_hooks hooks;
};

struct http_options http_options_default(void);

struct http_workers;

/* Binds the listeners; nothing is accepted yet. Fails with ERROR_BUSY (the address is
 * in use), ERROR_INVALID (not an address) or ERROR_IO. */
MUST_CHECK int http_workers_open(const struct http_options *options,
                                 struct http_workers **workers, struct error *error);

#define HTTP_URL_SIZE 256
/* Where the workers listen: "http://127.0.0.1:8080", "unix:/run/abtest.sock". */
const char *http_workers_url(const struct http_workers *workers);

/* Starts the threads. */
MUST_CHECK int http_workers_start(struct http_workers *workers, struct error *error);

/* Ends it cleanly: listeners close, requests that have begun are answered, connections
 * close, threads end. Returns when all that is done, after drain_ms at the latest. */
void http_workers_stop(struct http_workers *workers);

void http_workers_free(struct http_workers *workers);

/* Connections open now, over all workers. Safe from any thread. */
int http_workers_connections(const struct http_workers *workers);

#endif
