#include "serve/dashboard.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "common/clock.h"
#include "serve/dashboard_report.h"
#include "serve/dashboard_state.h"
#include "serve/server.h"

#define LOWEST_PRIORITY 19
#define LOOK_NS         INT64_C(1000000000) /* between two states */
#define STREAM_MS       500                 /* between two looks of a stream */
#define TAIL_BACK       16384               /* bytes of each segment shown at first */
#define TAIL_MAX        (1 << 18) /* bytes of a segment read in a look; more are sampled */
#define MAX_WATCHERS    256 /* a stream has no end, and its connection never gives way */
#define QUIET_MAX       15 /* looks of a stream without news before a comment is sent */

/* The newest event of one kind, for every stream to copy. */
struct bulletin {
    struct buffer text;
    uint64_t version; /* of the dashboard when it was made; 0 = never */
};

struct dashboard {
    struct server *server;
    pthread_mutex_t lock; /* of all members up to the blank line */
    pthread_cond_t wake;
    pthread_t thread;
    bool has_thread, must_stop;
    int n_watchers;
    uint64_t version; /* of the newest bulletin */
    struct bulletin state;
    struct bulletin *report_bulletins; /* (n_reports) */
    int n_reports;

    /* The thread's own. */
    struct log_tail *tail;
    char *tail_directory;
    struct observation observation;
    struct live_report *reports; /* (n_reports) */
};

/* One open stream. */
struct watcher {
    struct dashboard *dashboard;
    uint64_t version; /* of the newest bulletin it has seen */
    int n_quiet;
};

int dashboard_new(struct server *server, struct dashboard **result, struct error *error)
{
    struct dashboard *dashboard = calloc(1, sizeof *dashboard);
    pthread_condattr_t attributes;
    if (!dashboard) {
        error_set(error, ERROR_NOMEM, "no memory for the dashboard");
        return -1;
    }
    dashboard->server = server;
    pthread_mutex_init(&dashboard->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&dashboard->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    *result = dashboard;
    return 0;
}

void dashboard_stop(struct dashboard *dashboard)
{
    if (!dashboard) {
        return;
    }
    pthread_mutex_lock(&dashboard->lock);
    const bool has_thread = dashboard->has_thread;
    dashboard->must_stop = true;
    dashboard->has_thread = false;
    pthread_cond_signal(&dashboard->wake);
    pthread_mutex_unlock(&dashboard->lock);
    if (has_thread) {
        pthread_join(dashboard->thread, NULL);
    }
}

void dashboard_free(struct dashboard *dashboard)
{
    if (!dashboard) {
        return;
    }
    dashboard_stop(dashboard);
    for (int i = 0; i < dashboard->n_reports; i++) {
        buffer_free(&dashboard->report_bulletins[i].text);
        live_report_free(&dashboard->reports[i]);
    }
    free(dashboard->report_bulletins);
    free(dashboard->reports);
    buffer_free(&dashboard->state.text);
    log_tail_free(dashboard->tail);
    free(dashboard->tail_directory);
    pthread_cond_destroy(&dashboard->wake);
    pthread_mutex_destroy(&dashboard->lock);
    free(dashboard);
}

/* ---- the thread ---- */

/* Puts `text` in the place of a bulletin's, which it takes in exchange. */
static void publish(struct dashboard *dashboard, struct bulletin *bulletin,
                    struct buffer *text)
{
    pthread_mutex_lock(&dashboard->lock);
    const struct buffer old = bulletin->text;
    bulletin->text = *text;
    bulletin->version = ++dashboard->version;
    pthread_mutex_unlock(&dashboard->lock);
    *text = old;
}

static void on_event(void *context, const struct event *event)
{
    observe(context, event);
}

/* Follows the log of the config, which a reload may have moved. */
static void look_at_log(struct dashboard *dashboard, const struct config *config)
{
    struct error ignored;
    const char *directory = config->log.directory;
    if (dashboard->tail && strcmp(dashboard->tail_directory, directory) != 0) {
        log_tail_free(dashboard->tail);
        free(dashboard->tail_directory);
        dashboard->tail = NULL;
        dashboard->tail_directory = NULL;
    }
    if (!dashboard->tail) {
        dashboard->tail_directory = strdup(directory);
        if (!dashboard->tail_directory ||
            log_tail_open(directory, TAIL_BACK, TAIL_MAX, &dashboard->tail, &ignored) !=
                0) {
            free(dashboard->tail_directory);
            dashboard->tail_directory = NULL;
            dashboard->tail = NULL;
            return;
        }
    }
    /* What cannot be read now is read at the next look. */
    if (log_tail_read(dashboard->tail, on_event, &dashboard->observation, &ignored)) {
        return;
    }
}

static void publish_state(struct dashboard *dashboard, const struct config *config)
{
    struct buffer text = {0};
    buffer_append_text(&text, "event: state\ndata: ");
    dashboard_append_state(&text, dashboard->server, config, &dashboard->observation);
    buffer_append_text(&text, "\n\n");
    if (!text.failed) {
        publish(dashboard, &dashboard->state, &text);
    }
    buffer_free(&text);
}

/* The place of an experiment's report, made when it is new; NULL without memory. */
static struct live_report *find_report(struct dashboard *dashboard, const char *name,
                                       struct bulletin **bulletin)
{
    const size_t n = (size_t)dashboard->n_reports;
    for (size_t i = 0; i < n; i++) {
        if (strcmp(dashboard->reports[i].experiment, name) == 0) {
            *bulletin = &dashboard->report_bulletins[i];
            return &dashboard->reports[i];
        }
    }
    struct live_report *reports = calloc(n + 1, sizeof *reports);
    struct bulletin *bulletins = calloc(n + 1, sizeof *bulletins);
    char *copy = strdup(name);
    if (!reports || !bulletins || !copy) {
        free(reports);
        free(bulletins);
        free(copy);
        return NULL;
    }
    if (n > 0) {
        memcpy(reports, dashboard->reports, n * sizeof *reports);
        memcpy(bulletins, dashboard->report_bulletins, n * sizeof *bulletins);
    }
    reports[n].experiment = copy;
    free(dashboard->reports);
    dashboard->reports = reports;
    pthread_mutex_lock(&dashboard->lock);
    free(dashboard->report_bulletins);
    dashboard->report_bulletins = bulletins;
    dashboard->n_reports++;
    pthread_mutex_unlock(&dashboard->lock);
    *bulletin = &bulletins[n];
    return &reports[n];
}

static void publish_reports(struct dashboard *dashboard, const struct config *config)
{
    for (int i = 0; i < config->n_experiments; i++) {
        struct bulletin *bulletin = NULL;
        struct live_report *report =
            find_report(dashboard, config->experiments[i].name, &bulletin);
        if (!report || clock_monotonic_ns() < report->due_ns) {
            continue;
        }
        struct buffer text = {0};
        if (live_report_refresh(report, dashboard->server, config, &text)) {
            publish(dashboard, bulletin, &text);
        }
        buffer_free(&text);
    }
}

static void look(struct dashboard *dashboard)
{
    struct serve_state *state = server_state(dashboard->server);
    look_at_log(dashboard, state->config);
    publish_state(dashboard, state->config);
    publish_reports(dashboard, state->config);
    serve_state_unref(state);
}

static void *run(void *context)
{
    struct dashboard *dashboard = context;
    /* Linux gives every thread a priority of its own: where a request and a picture of
     * it want the same core, the request goes first. Without it all works as well. */
    (void)setpriority(PRIO_PROCESS, 0, LOWEST_PRIORITY);
    pthread_mutex_lock(&dashboard->lock);
    while (!dashboard->must_stop) {
        if (dashboard->n_watchers == 0) {
            pthread_cond_wait(&dashboard->wake, &dashboard->lock);
            continue;
        }
        pthread_mutex_unlock(&dashboard->lock);
        const int64_t next_ns = clock_monotonic_ns() + LOOK_NS;
        look(dashboard);
        const struct timespec until = {next_ns / 1000000000, next_ns % 1000000000};
        pthread_mutex_lock(&dashboard->lock);
        int rc = 0;
        while (!dashboard->must_stop && rc == 0) {
            rc = pthread_cond_timedwait(&dashboard->wake, &dashboard->lock, &until);
        }
    }
    pthread_mutex_unlock(&dashboard->lock);
    return NULL;
}

/* ---- streams ---- */

static void copy_news(const struct watcher *watcher, const struct bulletin *bulletin,
                      struct buffer *out)
{
    if (bulletin->version > watcher->version) {
        buffer_append(out, bulletin->text.data, bulletin->text.len);
    }
}

static int produce(struct server *server, void *context, struct buffer *out)
{
    (void)server;
    struct watcher *watcher = context;
    struct dashboard *dashboard = watcher->dashboard;
    pthread_mutex_lock(&dashboard->lock);
    const bool is_new = dashboard->version > watcher->version;
    copy_news(watcher, &dashboard->state, out);
    for (int i = 0; i < dashboard->n_reports; i++) {
        copy_news(watcher, &dashboard->report_bulletins[i], out);
    }
    watcher->version = dashboard->version;
    pthread_mutex_unlock(&dashboard->lock);
    if (!is_new && ++watcher->n_quiet == QUIET_MAX) {
        buffer_append_text(out, ": still here\n\n"); /* a dead client is noticed */
    }
    watcher->n_quiet = is_new || watcher->n_quiet == QUIET_MAX ? 0 : watcher->n_quiet;
    return 0;
}

static void closed(void *context)
{
    struct watcher *watcher = context;
    pthread_mutex_lock(&watcher->dashboard->lock);
    watcher->dashboard->n_watchers--;
    pthread_mutex_unlock(&watcher->dashboard->lock);
    free(watcher);
}

/* Counts a watcher in; the first one starts the thread. */
static int begin_watching(struct dashboard *dashboard)
{
    int rc = -1;
    pthread_mutex_lock(&dashboard->lock);
    if (!dashboard->must_stop && dashboard->n_watchers < MAX_WATCHERS) {
        if (!dashboard->has_thread) {
            dashboard->has_thread =
                pthread_create(&dashboard->thread, NULL, run, dashboard) == 0;
        }
        rc = dashboard->has_thread ? 0 : -1;
        dashboard->n_watchers += rc == 0;
        pthread_cond_signal(&dashboard->wake);
    }
    pthread_mutex_unlock(&dashboard->lock);
    return rc;
}

void route_dashboard_stream(struct http_exchange *x)
{
    static const struct http_stream stream = {
        .content_type = "text/event-stream",
        .interval_ms = STREAM_MS,
        .produce = produce,
        .closed = closed,
    };
    struct dashboard *dashboard = server_dashboard(x->server);
    struct watcher *watcher = calloc(1, sizeof *watcher);
    if (!watcher || begin_watching(dashboard) != 0) {
        free(watcher);
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "the server cannot show more dashboards now");
        return;
    }
    watcher->dashboard = dashboard;
    http_stream(x, &stream, watcher);
}
