/* server.c - the server's life and its state. */
#include "serve/server.h"

#include <stdlib.h>
#include <string.h>

#include "serve/access_log.h"
#include "serve/json_arena.h"
#include "serve/server_internal.h"

/* ---- life ---- */

/* The workers note every request in it when the config names one. */
static int open_access_log(struct server *server, struct http_options *http,
                           struct error *error)
{
    const char *path = server->state->config->server.access_log;
    const struct access_log_hooks hooks = {server, server_trouble};
    if (path && access_log_open(path, &hooks, &server->access_log, error) != 0) {
        return -1;
    }
    http->access_log = server->access_log;
    return 0;
}

int server_new(const struct server_options *options, const struct config *config,
               struct server **result, struct error *error)
{
    const size_t n_workers = (size_t)options->http.n_workers;
    const struct past_options past = {.directory = config->log.directory,
                                      .n_workers = options->http.n_workers,
                                      .interval_bytes = config->log.segment_size};
    struct server *server = calloc(1, sizeof *server);
    if (!server) {
        error_set(error, ERROR_NOMEM, "no memory for the server");
        return -1;
    }
    server->options = *options;
    json_arena_install();
    pthread_mutex_init(&server->state_lock, NULL);
    pthread_mutex_init(&server->reload_lock, NULL);
    pthread_mutex_init(&server->change_lock, NULL);
    server->desks = aligned_alloc(64, n_workers * sizeof *server->desks);
    if (server->desks) {
        memset(server->desks, 0, n_workers * sizeof *server->desks);
    }
    server->metrics = metrics_new(options->http.n_workers, error);
    server->has_committers = config->log.fsync == FSYNC_ALWAYS;
    server->log_config = config;
    if (!server->desks || !server->metrics ||
        past_new(&past, &server->past, error) != 0) {
        error_set(error, ERROR_NOMEM, "no memory for %zu workers", n_workers);
        server_free(server);
        return -1;
    }
    server_begin_log(server);
    *result = server;
    return 0;
}

/* Says what came up though the state was loaded. */
static void tell_notice(struct server *server, const struct serve_state *state)
{
    if (state->notice.code != ERROR_NONE) {
        server_trouble(server, "ratings", &state->notice);
    }
}

int server_open(struct server *server, struct serve_state *state, struct error *error)
{
    struct http_options http = server->options.http;
    server->state = serve_state_ref(state);
    for (int i = 0; i < http.n_workers; i++) {
        server->desks[i].state = serve_state_ref(state);
    }
    tell_notice(server, state);
    http.hooks = server_hooks(server);
    if (open_access_log(server, &http, error) != 0 ||
        http_workers_open(&http, &server->workers, error) != 0 ||
        server_await_log(server, error) != 0 ||
        server_describe_log(server, error) != 0 ||
        past_begin(server->past, server->log, error) != 0 ||
        dashboard_new(server, &server->dashboard, error) != 0) {
        return -1;
    }
    server->log_config = NULL;
    serve_state_unref(state); /* ours holds it now */
    return 0;
}

void server_reopen_access_log(struct server *server)
{
    if (server->access_log) {
        access_log_reopen(server->access_log);
    }
}

int server_start(struct server *server, struct error *error)
{
    return http_workers_start(server->workers, error);
}

const char *server_url(const struct server *server)
{
    return http_workers_url(server->workers);
}

int server_stop(struct server *server, struct error *error)
{
    http_workers_stop(server->workers);
    dashboard_stop(server->dashboard);
    http_workers_free(server->workers);
    server->workers = NULL;
    past_end(server->past);
    struct log *log = server->log;
    struct error problem = {0};
    server->log = NULL;
    if (log_close(log, error) != 0) {
        return -1;
    }
    if (past_write(server->past, &problem) != 0) {
        server_trouble(server, "checkpoint", &problem); /* the next start reads more */
    }
    return 0;
}

void server_free(struct server *server)
{
    struct error ignored;
    if (!server) {
        return;
    }
    (void)!server_await_log(server, &ignored);
    if (server->past) {
        past_end(server->past); /* it looks at the log */
    }
    dashboard_stop(server->dashboard);
    http_workers_free(server->workers); /* closes the streams */
    access_log_close(server->access_log);
    dashboard_free(server->dashboard);
    if (server->log && log_close(server->log, &ignored) != 0) {
        server_trouble(server, "log", &ignored);
    }
    for (int i = 0; server->desks && i < server->options.http.n_workers; i++) {
        serve_state_unref(server->desks[i].state);
        free(server->desks[i].exposures);
        for (int j = 0; j < N_SCRATCH; j++) {
            free(server->desks[i].scratch[j]);
        }
    }
    free(server->desks);
    past_free(server->past);
    metrics_free(server->metrics);
    serve_state_unref(server->state);
    pthread_mutex_destroy(&server->state_lock);
    pthread_mutex_destroy(&server->change_lock);
    pthread_mutex_destroy(&server->reload_lock);
    free(server);
}

/* ---- state ---- */

void server_replace_state(struct server *server, struct serve_state *state)
{
    tell_notice(server, state);
    pthread_mutex_lock(&server->state_lock);
    struct serve_state *old = server->state;
    server->state = state;
    pthread_mutex_unlock(&server->state_lock);
    atomic_fetch_add(&server->state_version, 1);
    serve_state_unref(old);
}

struct serve_state *server_state(struct server *server)
{
    pthread_mutex_lock(&server->state_lock);
    struct serve_state *state = serve_state_ref(server->state);
    pthread_mutex_unlock(&server->state_lock);
    return state;
}

pthread_mutex_t *server_change_lock(struct server *server)
{
    return &server->change_lock;
}

pthread_mutex_t *server_reload_lock(struct server *server)
{
    return &server->reload_lock;
}

const struct server_options *server_options(const struct server *server)
{
    return &server->options;
}

struct dashboard *server_dashboard(struct server *server)
{
    return server->dashboard;
}
