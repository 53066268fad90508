/* server.h - the whole server: workers, log, state, and what routes need of them. */
#ifndef SERVE_SERVER_H
#define SERVE_SERVER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"
#include "logs/logs.h"
#include "serve/http.h"
#include "serve/ranking.h"
#include "serve/state.h"
#include "serve/worker.h"

struct server;

struct server_options {
    struct http_options http; /* hooks are filled in by the server */
    const char *version;      /* of the program, for the log */
    const char *config_path;  /* read again by a reload; NULL: it cannot be */

    /* Makes the live report of one experiment: the same JSON as `abtest analyze`.
     * Called on a side thread with what is being served. Appends to *json. NULL: there
     * is none. ERROR_NOT_FOUND is answered 404, ERROR_INVALID 409, others 503. */
    int (*report)(void *context, const struct config *config, struct slice experiment,
                  struct buffer *json, struct error *error);
    void *report_context;

    /* Told what an operator should know. Any thread. NULL: not told. */
    void (*trouble)(void *context, const char *event, const struct error *error);
    void *trouble_context;
};

/* Makes a server and begins to open and read the log of `config`, on a thread of its
 * own, so that the models can be loaded meanwhile. `config` is borrowed until
 * server_open or server_free returns. */
MUST_CHECK int server_new(const struct server_options *options,
                          const struct config *config, struct server **server,
                          struct error *error);

/* Takes over one reference of `state`, whose config is that of server_new. Binds the
 * port and waits for the log; answers nothing yet. On failure the reference is still
 * the caller's, and the server is good for server_free alone. */
MUST_CHECK int server_open(struct server *server, struct serve_state *state,
                           struct error *error);

MUST_CHECK int server_start(struct server *server, struct error *error);

const char *server_url(const struct server *server);

/* Stops accepting, answers what is in flight, commits and closes the log. Returns -1
 * when something logged could not be made durable. */
MUST_CHECK int server_stop(struct server *server, struct error *error);

void server_free(struct server *server); /* after server_stop, or instead of a start */

/* Opens the access log's path again, for whoever has renamed the file. Any thread. */
void server_reopen_access_log(struct server *server);

/* Serves `state` from the next tick of each worker on; takes over one reference. Any
 * thread. */
void server_replace_state(struct server *server, struct serve_state *state);

/* A reference to what is being served now; the caller gives it back with
 * serve_state_unref. Any thread. */
struct serve_state *server_state(struct server *server);

/* Held by the reload that is under way. */
pthread_mutex_t *server_reload_lock(struct server *server);

/* Held by whoever changes the config file and then reloads it; taken before the other.
 */
pthread_mutex_t *server_change_lock(struct server *server);

const struct server_options *server_options(const struct server *server);

/* ---- for routes ---- */

/* Whether the request carries the config's admin_token ("Authorization: Bearer ...");
 * compared in constant time. When it does not, 401 (or 403 when the config has no
 * token) is answered already. Everything that changes state besides feedback asks this
 * first. */
bool server_is_admin(struct http_exchange *x);

/* Appends the event to this thread's log; the answer then waits for the commit. Answers
 * 503 and returns -1 when it cannot. */
MUST_CHECK int server_log(struct http_exchange *x, const struct event *event);

/* What a request has logged and noted since a mark, taken back because the request is
 * refused after all. */
struct server_mark {
    struct log_batch_mark log;
    size_t n_ids, ratings, n_exposures;
    bool needs_commit;
};
struct server_mark server_mark(struct http_exchange *x);
void server_rewind(struct http_exchange *x, const struct server_mark *mark);

/* Memory of this thread that lives until the route returns; `what` are the uses that
 * must not disturb each other. Answers 503 and returns NULL when there is none. */
enum server_scratch {
    SCRATCH_ARMS,
    SCRATCH_ASSIGNMENTS,
    SCRATCH_ITEMS,
    SCRATCH_TOPK,
    SCRATCH_RATINGS,
    SCRATCH_JSON,
    SCRATCH_SLOTS, /* the server's own */
    N_SCRATCH
};
void *server_scratch(struct http_exchange *x, enum server_scratch what, size_t size);

/* This thread's room for making lists. */
struct ranking *server_ranking(struct http_exchange *x);

struct newcomers *server_newcomers(struct http_exchange *x);

/* Counts an exposure for the arms in it, once it is logged; `all` (n_experiments) as
 * config_assign left it. */
void server_count_exposure(struct http_exchange *x, const struct assignment *all,
                           int64_t latency_us);

/* The same of one that a client reports. */
void server_count_reported(struct http_exchange *x, int experiment, int arm);

/* Whether the last commit of any worker failed, and the disk takes nothing since. */
bool server_is_degraded(const struct server *server);

/* Appends what GET /metrics answers. */
void server_write_metrics(const struct server *server, struct buffer *out);

struct dedup *server_dedup(struct http_exchange *x);

/* ---- for the dashboard; any thread, while the server runs ---- */

struct dashboard *server_dashboard(struct server *server);
void server_log_counters(struct server *server, struct log_counters *counters);
int server_connections(const struct server *server);

#endif
