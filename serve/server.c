#define _DEFAULT_SOURCE
#include "serve/server.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "serve/dashboard.h"
#include "serve/dedup.h"
#include "serve/metrics.h"
#include "serve/newcomers.h"
#include "serve/routes.h"

/* Without traffic nothing is committed, so a failure must be forgotten some time. */
#define DEGRADED_NS   (5 * INT64_C(1000000000))
#define MAX_NEWCOMERS 1000000
#define MAX_TROUBLES  10      /* told a second */
#define DEDUP_IDS     1000000 /* feedback ids remembered, at least */

/* What one worker keeps; on cache lines of its own. */
struct desk {
    _Alignas(64) struct serve_state *state; /* a reference */
    unsigned state_version;
    unsigned logged_version; /* whose config the shard has */
    uint64_t flying_batch;   /* the log's number of the batch being committed */
    size_t n_flying_ids;
    atomic_int_fast64_t failed_ns;      /* when the last commit failed; 0: it did not */
    const struct serve_state *slots_of; /* whose arms `slots` are for; not followed */
    void *scratch[N_SCRATCH];
    size_t scratch_size[N_SCRATCH];
    struct desk_lists lists;
};

struct server {
    struct server_options options;
    struct http_workers *workers;
    struct log *log;
    struct desk *desks; /* (n_workers) */
    struct dedup *dedup;
    struct metrics *metrics;
    struct newcomers *newcomers;
    bool has_committers;
    atomic_int_fast64_t trouble_second; /* when trouble was told last */
    atomic_int n_troubles;              /* in that second */
    pthread_mutex_t reload_lock;        /* one reload at a time */
    pthread_mutex_t change_lock;        /* one change of the config file at a time */
    struct dashboard *dashboard;
    pthread_mutex_t state_lock;
    struct serve_state *state; /* under state_lock */
    atomic_uint state_version;
    bool is_open;
};

/* ---- the config in the log ---- */

/* The config event of a state; *models is for the caller to free. */
static int config_event(const struct server *server, const struct serve_state *state,
                        struct event *event, struct event_model **models,
                        struct error *error)
{
    const struct config *config = state->config;
    *models = calloc((size_t)config->n_models + 1, sizeof **models);
    if (!*models) {
        error_set(error, ERROR_NOMEM, "no memory for the log's config");
        return -1;
    }
    for (int i = 0; i < config->n_models; i++) {
        const struct slice label = slice_of(state->models[i].label);
        (*models)[i].name = slice_of(config->models[i].name);
        (*models)[i].hash =
            (struct slice){label.data + label.len - HASH_TEXT_LEN, HASH_TEXT_LEN};
    }
    *event = (struct event){.type = EVENT_CONFIG,
                            .config = slice_of(config->hash),
                            .text = {config->text, config->text_len},
                            .models = *models,
                            .n_models = config->n_models,
                            .version = slice_of(server->options.version)};
    return 0;
}

static int log_config(const struct server *server, int worker,
                      const struct serve_state *state, struct error *error)
{
    struct event_model *models = NULL;
    struct event event;
    int rc = config_event(server, state, &event, &models, error);
    if (rc == 0) {
        rc = log_shard_set_config(log_shard_get(server->log, worker), &event, error);
    }
    free(models);
    return rc;
}

/* ---- hooks ---- */

/* A full disk fails every batch: the first few of a second say all. */
static void on_trouble(void *context, const char *event, const struct error *error)
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
        if (log_config(server, worker, state, &error) != 0) {
            serve_state_unref(state);
            on_trouble(server, "reload", &error);
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

/* Notes how a commit ended, for /readyz and for the ids that it held. */
static void settle(struct server *server, int worker, size_t n_ids, bool is_logged)
{
    dedup_settle(server->dedup, worker, n_ids, is_logged);
    atomic_store(&server->desks[worker].failed_ns,
                 is_logged ? 0 : clock_monotonic_ns());
}

static int on_commit(void *context, int worker, struct error *error)
{
    struct server *server = context;
    struct desk *desk = &server->desks[worker];
    struct log_shard *shard = log_shard_get(server->log, worker);
    const size_t n_ids = dedup_mark(server->dedup, worker);
    if (!server->has_committers) {
        const int rc = log_shard_commit(shard, error);
        settle(server, worker, n_ids, rc == 0);
        return rc;
    }
    const int rc = log_shard_submit(shard, &desk->flying_batch, error);
    if (rc != 0 || desk->flying_batch == 0) {
        settle(server, worker, n_ids, rc == 0);
        return rc;
    }
    desk->n_flying_ids = n_ids;
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
        settle(server, worker, desk->n_flying_ids, *is_committed);
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

static void on_log_report(void *context, const char *message)
{
    struct error error;
    error_set(&error, ERROR_IO, "%s", message);
    on_trouble(context, "log", &error);
}

/* ---- life ---- */

static enum log_sync sync_of(enum fsync_policy policy)
{
    return policy == FSYNC_ALWAYS     ? LOG_SYNC_ALWAYS
           : policy == FSYNC_EVERYSEC ? LOG_SYNC_EVERYSEC
                                      : LOG_SYNC_NO;
}

static int take_logged(void *context, const struct event *event)
{
    struct server *server = context;
    if (event->type != EVENT_FEEDBACK) {
        return 0;
    }
    /* Ids that the server gave out itself come back too; they cost memory only. */
    (void)dedup_add(server->dedup, event->id, 0);
    if (slice_is(event->event, NEWCOMERS_EVENT) && event->has_value &&
        event->item.len) {
        newcomers_rate(server->newcomers, event->user, event->item, event->value);
    }
    return 0;
}

/* What a restart must not forget: ids that were counted, ratings of new users. */
static int read_log(struct server *server, struct error *error)
{
    const struct log_visitor visitor = {.on_event = take_logged, .context = server};
    struct log_statistics statistics;
    struct error why = {0};
    const char *directory = server->state->config->log.directory;
    if (log_read(directory, &visitor, &statistics, &why) != 0 &&
        why.code != ERROR_NOT_FOUND) {
        *error = why;
        return -1;
    }
    dedup_settle(server->dedup, 0, dedup_mark(server->dedup, 0), true);
    return 0;
}

static int open_log(struct server *server, struct error *error)
{
    const struct config *config = server->state->config;
    struct event_model *models = NULL;
    struct log_options options = {
        .directory = config->log.directory,
        .sync = sync_of(config->log.fsync),
        .segment_size = config->log.segment_size,
        .segment_age_us = config->log.segment_age_us,
        .n_shards = server->options.http.n_workers,
        .report = on_log_report,
        .report_context = server,
        .has_committers = server->has_committers,
    };
    int rc = config_event(server, server->state, &options.config, &models, error);
    if (rc == 0) {
        rc = log_open(&options, &server->log, error);
    }
    free(models);
    return rc;
}

int server_open(const struct server_options *options, struct serve_state *state,
                struct server **result, struct error *error)
{
    const size_t n_workers = (size_t)options->http.n_workers;
    struct server *server = calloc(1, sizeof *server);
    struct http_options http = options->http;
    if (!server) {
        error_set(error, ERROR_NOMEM, "no memory for the server");
        return -1;
    }
    server->options = *options;
    pthread_mutex_init(&server->state_lock, NULL);
    pthread_mutex_init(&server->reload_lock, NULL);
    pthread_mutex_init(&server->change_lock, NULL);
    server->state = serve_state_ref(state);
    server->desks = aligned_alloc(64, n_workers * sizeof *server->desks);
    if (server->desks) {
        memset(server->desks, 0, n_workers * sizeof *server->desks);
    }
    server->dedup = dedup_new(DEDUP_IDS, options->http.n_workers, error);
    server->metrics = metrics_new(options->http.n_workers, error);
    server->newcomers = newcomers_new(MAX_NEWCOMERS, error);
    server->has_committers = state->config->log.fsync == FSYNC_ALWAYS;
    if (!server->desks || !server->dedup || !server->metrics || !server->newcomers) {
        error_set(error, ERROR_NOMEM, "no memory for %zu workers", n_workers);
        goto fail;
    }
    for (size_t i = 0; i < n_workers; i++) {
        server->desks[i].state = serve_state_ref(state);
    }
    http.hooks = (struct http_hooks){
        .context = server,
        .on_tick = on_tick,
        .on_request = on_request,
        .on_commit = on_commit,
        .commit_fd = commit_fd,
        .on_committed = on_committed,
        .on_answer = on_answer,
        .on_aside_begin = on_aside_begin,
        .on_aside_end = on_aside_end,
        .on_trouble = on_trouble,
    };
    if (http_workers_open(&http, &server->workers, error) != 0 ||
        open_log(server, error) != 0 || read_log(server, error) != 0 ||
        dashboard_new(server, &server->dashboard, error) != 0) {
        goto fail;
    }
    serve_state_unref(state); /* ours holds it now */
    *result = server;
    return 0;
fail:
    server_free(server);
    return -1;
}

int server_start(struct server *server, struct error *error)
{
    return http_workers_start(server->workers, error);
}

int server_port(const struct server *server)
{
    return http_workers_port(server->workers);
}

int server_stop(struct server *server, struct error *error)
{
    http_workers_stop(server->workers);
    dashboard_stop(server->dashboard);
    http_workers_free(server->workers);
    server->workers = NULL;
    struct log *log = server->log;
    server->log = NULL;
    return log_close(log, error);
}

void server_free(struct server *server)
{
    struct error ignored;
    if (!server) {
        return;
    }
    dashboard_stop(server->dashboard);
    http_workers_free(server->workers); /* closes the streams */
    dashboard_free(server->dashboard);
    if (server->log && log_close(server->log, &ignored) != 0) {
        on_trouble(server, "log", &ignored);
    }
    for (int i = 0; server->desks && i < server->options.http.n_workers; i++) {
        serve_state_unref(server->desks[i].state);
        for (int j = 0; j < N_SCRATCH; j++) {
            free(server->desks[i].scratch[j]);
        }
    }
    free(server->desks);
    dedup_free(server->dedup);
    metrics_free(server->metrics);
    newcomers_free(server->newcomers);
    serve_state_unref(server->state);
    pthread_mutex_destroy(&server->state_lock);
    pthread_mutex_destroy(&server->change_lock);
    pthread_mutex_destroy(&server->reload_lock);
    free(server);
}

/* ---- state ---- */

void server_replace_state(struct server *server, struct serve_state *state)
{
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

/* ---- for routes ---- */

/* Takes the same time wherever the two differ. */
static bool same_secret(struct slice given, struct slice secret)
{
    unsigned difference = given.len != secret.len;
    for (size_t i = 0; i < given.len; i++) {
        const char expected = secret.len ? secret.data[i % secret.len] : 0;
        difference |= (unsigned char)(given.data[i] ^ expected);
    }
    return difference == 0;
}

bool server_is_admin(struct http_exchange *x)
{
    const char *token = x->state->config->server.admin_token;
    struct slice given = http_header(x, "Authorization");
    if (!token || !*token) {
        http_problem(x, 403,
                     "this needs an admin_token in the [server] section of the "
                     "config, and there is none");
        return false;
    }
    if (given.len > 7 && strncasecmp(given.data, "Bearer ", 7) == 0 &&
        same_secret((struct slice){given.data + 7, given.len - 7}, slice_of(token))) {
        return true;
    }
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_problem(x, 401,
                 "this needs the header \"Authorization: Bearer <admin_token>\"");
    return false;
}

int server_log(struct http_exchange *x, const struct event *event)
{
    struct error error;
    if (log_shard_append(x->log, event, &error) != 0) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "%s", error.message);
        return -1;
    }
    x->needs_commit = true;
    return 0;
}

void *server_scratch(struct http_exchange *x, enum server_scratch what, size_t size)
{
    struct desk *desk = &x->server->desks[x->worker];
    if (desk->scratch_size[what] < size) {
        void *memory = realloc(desk->scratch[what], size);
        if (!memory) {
            http_add_header(x, "Retry-After", "1");
            http_problem(x, 503, "no memory for this request");
            return NULL;
        }
        desk->scratch[what] = memory;
        desk->scratch_size[what] = size;
    }
    return desk->scratch[what];
}

struct desk_lists *server_lists(struct http_exchange *x)
{
    return &x->server->desks[x->worker].lists;
}

struct newcomers *server_newcomers(struct http_exchange *x)
{
    return x->server->newcomers;
}

struct dedup *server_dedup(struct http_exchange *x)
{
    return x->server->dedup;
}

/* Slots of the arms, flat: experiment by experiment. Made anew for another state. */
static const int *arm_slots(struct http_exchange *x)
{
    struct desk *desk = &x->server->desks[x->worker];
    const struct config *config = x->state->config;
    size_t n = 1;
    for (int i = 0; i < config->n_experiments; i++) {
        n += (size_t)config->experiments[i].n_arms;
    }
    if (desk->slots_of == x->state && desk->scratch[SCRATCH_SLOTS]) {
        return desk->scratch[SCRATCH_SLOTS];
    }
    int *slots = realloc(desk->scratch[SCRATCH_SLOTS], n * sizeof *slots);
    if (!slots) {
        return NULL;
    }
    desk->scratch[SCRATCH_SLOTS] = slots;
    desk->slots_of = x->state;
    int at = 0;
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        for (int j = 0; j < experiment->n_arms; j++) {
            slots[at++] = metrics_slot(x->server->metrics, slice_of(experiment->name),
                                       slice_of(experiment->arms[j].name));
        }
    }
    return slots;
}

void server_count_exposure(struct http_exchange *x, const struct assignment *all,
                           int64_t latency_us)
{
    const struct config *config = x->state->config;
    const int *slots = arm_slots(x);
    int at = 0;
    for (int i = 0; slots && i < config->n_experiments; i++) {
        const int arm = all[i].arm;
        if (arm != ARM_NONE && slots[at + arm] != METRICS_NO_SLOT) {
            metrics_exposure(x->server->metrics, x->worker, slots[at + arm],
                             latency_us);
        }
        at += config->experiments[i].n_arms;
    }
}

bool server_is_degraded(const struct server *server)
{
    bool is_degraded = false;
    for (int i = 0; i < server->options.http.n_workers; i++) {
        const int64_t failed_ns = atomic_load(&server->desks[i].failed_ns);
        is_degraded = is_degraded ||
                      (failed_ns && clock_monotonic_ns() - failed_ns < DEGRADED_NS);
    }
    return is_degraded;
}

void server_write_metrics(const struct server *server, struct buffer *out)
{
    struct log_counters log;
    uint64_t n_syncs = 0;
    log_counters_get(server->log, &log);
    metrics_write(server->metrics, out);
    metrics_write_one(out, "abtest_http_connections", "gauge", "Open connections.",
                      http_workers_connections(server->workers));
    metrics_write_one(out, "abtest_degraded", "gauge",
                      "1 while the log cannot be written.", server_is_degraded(server));
    metrics_write_one(out, "abtest_log_events_total", "counter",
                      "Events in the log since the start.", (double)log.n_events);
    metrics_write_one(out, "abtest_log_bytes_total", "counter",
                      "Bytes in the log since the start.", (double)log.n_bytes);
    metrics_write_one(out, "abtest_log_failed_commits_total", "counter",
                      "Batches that could not be logged.",
                      (double)log.n_failed_commits);
    metrics_write_one(out, "abtest_log_segments_total", "counter",
                      "Log files begun since the start.", (double)log.n_segments);
    metrics_write_one(out, "abtest_log_waiting_bytes", "gauge",
                      "Bytes handed to the log and not durable yet: queue depth.",
                      (double)log.n_waiting_bytes);
    buffer_append_text(out, "# HELP abtest_log_sync_seconds How long a sync took.\n"
                            "# TYPE abtest_log_sync_seconds histogram\n");
    for (int i = 0; i < LOG_N_SYNC_BUCKETS; i++) {
        n_syncs += (uint64_t)log.sync_count[i];
        buffer_append_text(out, "abtest_log_sync_seconds_bucket{le=\"");
        if (i < LOG_N_SYNC_BUCKETS - 1) {
            json_append_double(out, (double)(INT64_C(1) << i) / 1e6);
        } else {
            buffer_append_text(out, "+Inf");
        }
        buffer_printf(out, "\"} %" PRIu64 "\n", n_syncs);
    }
    buffer_append_text(out, "abtest_log_sync_seconds_sum ");
    json_append_double(out, (double)log.sync_ns / 1e9);
    buffer_printf(out, "\nabtest_log_sync_seconds_count %" PRIu64 "\n", n_syncs);
}

/* ---- for the dashboard ---- */

struct dashboard *server_dashboard(struct server *server)
{
    return server->dashboard;
}

void server_log_counters(struct server *server, struct log_counters *counters)
{
    log_counters_get(server->log, counters);
}

int server_connections(const struct server *server)
{
    return http_workers_connections(server->workers);
}
