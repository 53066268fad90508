/* server_hooks.c - what the workers call: state of a tick, commits, answers, trouble.
 */
#include <string.h>

#include "common/clock.h"
#include "serve/routes.h"
#include "serve/server_internal.h"

#define MAX_TROUBLES 10 /* told a second */

/* A full disk fails every batch: the first few of a second say all. */
void server_trouble(void *context, const char *event, const struct error *error)
{
    struct server *server = context;
    const int64_t second = clock_monotonic_ns() / 1000000000;
    if (atomic_exchange(&server->trouble_second, second) != second) {
        atomic_store(&server->n_troubles, 0);
    }
    if (server->options.trouble &&
        atomic_fetch_add(&server->n_troubles, 1) < MAX_TROUBLES) {
        server->options.trouble(server->options.trouble_context, event, error);
    }
}

/* Takes up the state that a reload left. What it logs from then on refers to the new
 * config, which is therefore put into the log first; when that cannot be, the worker
 * stays with the old state and tries again at its next tick. */
static void change_state(struct server *server, int worker, unsigned version)
{
    struct desk *desk = &server->desks[worker];
    struct serve_state *state = server_state(server);
    struct error error = {0};
    if (desk->logged_version != version) {
        if (server_log_config(server, worker, state, &error) != 0) {
            serve_state_unref(state);
            server_trouble(server, "reload", &error);
            return;
        }
        desk->logged_version = version;
    }
    serve_state_unref(desk->state);
    desk->state = state;
    desk->state_version = version;
    desk->slots_of = NULL;
}

static void on_tick(void *context, struct http_exchange *x)
{
    struct server *server = context;
    struct desk *desk = &server->desks[x->worker];
    const unsigned version = atomic_load(&server->state_version);
    if (desk->state_version != version) {
        change_state(server, x->worker, version);
    }
    x->server = server;
    x->state = desk->state;
    x->log = log_shard_get(server->log, x->worker);
}

static void on_request(void *context, struct http_exchange *x)
{
    (void)context;
    routes_dispatch(x);
}

/* Notes how a commit ended for the ids, ratings and exposures that count now or do not.
 */
static void settle(struct server *server, int worker, struct pending batch,
                   bool is_logged)
{
    struct desk *desk = &server->desks[worker];
    dedup_settle(past_dedup(server->past), worker, batch.n_ids, is_logged);
    newcomers_settle(past_newcomers(server->past), worker, batch.ratings, is_logged);
    for (size_t i = 0; is_logged && i < batch.n_exposures; i++) {
        metrics_exposure(server->metrics, worker, desk->exposures[i].slot,
                         desk->exposures[i].latency_us);
    }
    desk->n_exposures -= batch.n_exposures;
    if (desk->n_exposures > 0) {
        memmove(desk->exposures, desk->exposures + batch.n_exposures,
                desk->n_exposures * sizeof *desk->exposures);
    }
}

static int on_commit(void *context, int worker, struct error *error)
{
    struct server *server = context;
    struct desk *desk = &server->desks[worker];
    struct log_shard *shard = log_shard_get(server->log, worker);
    if (log_shard_mark(shard).len == 0) {
        return 0; /* repetitions of what is logged: says nothing of the disk */
    }
    const struct pending batch = {
        .n_ids = dedup_seal(past_dedup(server->past), worker),
        .ratings = newcomers_mark(past_newcomers(server->past), worker),
        .n_exposures = desk->n_exposures,
    };
    const int rc = server->has_committers
                       ? log_shard_submit(shard, &desk->flying_batch, error)
                       : log_shard_commit(shard, error);
    if (rc != 0 || !server->has_committers) {
        settle(server, worker, batch, rc == 0);
        return rc;
    }
    desk->flying = batch;
    return 1;
}

static int commit_fd(void *context, int worker)
{
    const struct server *server = context;
    return server->has_committers
               ? log_shard_done_fd(log_shard_get(server->log, worker))
               : -1;
}

static bool on_committed(void *context, int worker, bool *is_committed)
{
    struct server *server = context;
    struct desk *desk = &server->desks[worker];
    struct log_done done;
    bool has_landed = false;
    while (log_shard_reap(log_shard_get(server->log, worker), &done)) {
        if (done.batch >= desk->flying_batch) {
            has_landed = true;
            *is_committed = done.is_committed;
        }
    }
    if (has_landed) {
        settle(server, worker, desk->flying, *is_committed);
    }
    return has_landed;
}

static void on_answer(void *context, int worker, const struct route *route, int status,
                      size_t bytes)
{
    const struct server *server = context;
    metrics_answer(server->metrics, worker, routes_index(route), status, bytes);
}

static void on_aside_begin(void *context, struct http_exchange *x)
{
    x->retained = server_state(context);
    x->state = x->retained;
}

static void on_aside_end(void *context, struct http_exchange *x)
{
    (void)context;
    serve_state_unref(x->retained);
    x->state = x->retained = NULL;
}

struct http_hooks server_hooks(struct server *server)
{
    return (struct http_hooks){
        .context = server,
        .on_tick = on_tick,
        .on_request = on_request,
        .on_commit = on_commit,
        .commit_fd = commit_fd,
        .on_committed = on_committed,
        .on_answer = on_answer,
        .on_aside_begin = on_aside_begin,
        .on_aside_end = on_aside_end,
        .on_trouble = server_trouble,
    };
}
