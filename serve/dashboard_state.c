#include "serve/dashboard_state.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "common/utf8.h"

/* Upper bounds of the latency buckets, microseconds; the last bucket has none. */
static const int latency_bounds[LATENCY_BUCKETS - 1] = {
    1, 2, 3, 5, 10, 20, 30, 50, 100, 200, 500, 1000, 2000, 5000, 10000, 30000, 100000};

/* Copies what fits, whole characters only. */
static void copy_text(char *to, size_t size, struct slice text)
{
    size_t len = 0;
    while (len < text.len) {
        size_t step = utf8_sequence_len(text.data + len, text.len - len);
        step = step ? step : 1;
        if (len + step >= size) {
            break;
        }
        len += step;
    }
    if (len > 0) {
        memcpy(to, text.data, len);
    }
    to[len] = '\0';
}

static void describe_exposure(struct recent_event *recent, const struct event *event)
{
    size_t len = 0;
    for (int i = 0; i < event->n_assignments && len < sizeof recent->what; i++) {
        const struct event_assignment *a = &event->assignments[i];
        const int n = snprintf(recent->what + len, sizeof recent->what - len,
                               "%s%.*s: %.*s", i ? ", " : "", (int)a->experiment.len,
                               a->experiment.data, (int)a->arm.len, a->arm.data);
        len += n > 0 ? (size_t)n : 0;
    }
    if (len < sizeof recent->what && event->latency_us >= 0) {
        snprintf(recent->what + len, sizeof recent->what - len,
                 "%s%d items in %lld \xC2\xB5s", len ? "; " : "", event->n_items,
                 (long long)event->latency_us);
    }
}

static void describe_feedback(struct recent_event *recent, const struct event *event)
{
    char value[32] = "";
    if (event->has_value) {
        snprintf(value, sizeof value, " = %.10g", event->value);
    }
    snprintf(recent->what, sizeof recent->what, "%.*s%s%s%.*s", (int)event->event.len,
             event->event.data, value, event->item.len ? ", item " : "",
             (int)event->item.len, event->item.len ? event->item.data : "");
}

void observe(struct observation *observation, const struct event *event)
{
    if (event->type == EVENT_EXPOSURE && event->latency_us >= 0) {
        int bucket = 0;
        while (bucket < LATENCY_BUCKETS - 1 &&
               event->latency_us > latency_bounds[bucket]) {
            bucket++;
        }
        observation->latency[bucket]++;
    }
    if (event->ts_us > observation->last_ts_us) {
        observation->last_ts_us = event->ts_us;
    }
    struct recent_event *recent =
        &observation->recent[observation->n_events++ % RECENT_EVENTS];
    memset(recent, 0, sizeof *recent);
    recent->ts_us = event->ts_us;
    recent->type = event->type;
    copy_text(recent->user, sizeof recent->user, event->user);
    if (event->type == EVENT_EXPOSURE) {
        describe_exposure(recent, event);
    } else if (event->type == EVENT_FEEDBACK) {
        describe_feedback(recent, event);
    } else {
        snprintf(recent->what, sizeof recent->what, "config %.*s",
                 (int)event->config.len, event->config.data);
    }
}

static void append_key(struct buffer *out, const char *name)
{
    buffer_append_text(out, ",\"");
    buffer_append_text(out, name);
    buffer_append_text(out, "\":");
}

static void append_int(struct buffer *out, const char *name, int64_t value)
{
    append_key(out, name);
    buffer_append_int(out, value);
}

/* NULL becomes null. */
static void append_text(struct buffer *out, const char *name, const char *value)
{
    append_key(out, name);
    if (value) {
        json_append_string(out, slice_of(value));
    } else {
        buffer_append_text(out, "null");
    }
}

static const char *fsync_name(enum fsync_policy policy)
{
    return policy == FSYNC_ALWAYS     ? "always"
           : policy == FSYNC_EVERYSEC ? "everysec"
                                      : "no";
}

static void append_log(struct buffer *out, struct server *server,
                       const struct config *config, struct observation *observation)
{
    struct log_counters counters;
    server_log_counters(server, &counters);
    const int64_t failed = counters.n_failed_commits - observation->n_failed_commits;
    observation->n_failed_commits = counters.n_failed_commits;
    buffer_append_text(out, ",\"log\":{\"is_healthy\":");
    buffer_append_text(out,
                       failed > 0 || server_is_degraded(server) ? "false" : "true");
    append_text(out, "directory", config->log.directory);
    append_text(out, "fsync", fsync_name(config->log.fsync));
    append_int(out, "bytes", counters.n_bytes);
    append_int(out, "events", counters.n_events);
    append_int(out, "segments", counters.n_segments);
    append_int(out, "failed_commits", counters.n_failed_commits);
    append_int(out, "failed_now", failed);
    append_int(out, "sealed_segments", counters.n_sealed);
    append_int(out, "waiting_bytes", counters.n_waiting_bytes);
    append_int(out, "syncs", counters.n_syncs);
    append_key(out, "mean_sync_us");
    if (counters.n_syncs > 0) {
        buffer_append_int(out, counters.sync_ns / counters.n_syncs / 1000);
    } else {
        buffer_append_text(out, "null");
    }
    append_key(out, "last_event_us");
    if (observation->last_ts_us > 0) {
        buffer_append_int(out, observation->last_ts_us);
    } else {
        buffer_append_text(out, "null");
    }
    buffer_append_char(out, '}');
}

static void append_latency(struct buffer *out, const struct observation *observation)
{
    buffer_append_text(out, ",\"latency\":{\"bounds_us\":[");
    for (int i = 0; i < LATENCY_BUCKETS - 1; i++) {
        buffer_append_int(out, latency_bounds[i]);
        buffer_append_char(out, ',');
    }
    buffer_append_text(out, "null],\"counts\":[");
    for (int i = 0; i < LATENCY_BUCKETS; i++) {
        buffer_append_text(out, i ? "," : "");
        buffer_append_int(out, observation->latency[i]);
    }
    buffer_append_text(out, "]}");
}

static void append_events(struct buffer *out, const struct observation *observation)
{
    const int64_t n = observation->n_events;
    buffer_append_text(out, ",\"events\":[");
    for (int64_t i = n - 1; i >= 0 && i >= n - RECENT_EVENTS; i--) {
        const struct recent_event *recent = &observation->recent[i % RECENT_EVENTS];
        buffer_append_text(out, i < n - 1 ? ",{\"ts_us\":" : "{\"ts_us\":");
        buffer_append_int(out, recent->ts_us);
        append_text(out, "type", event_type_name(recent->type));
        append_text(out, "user", recent->user);
        append_text(out, "what", recent->what);
        buffer_append_char(out, '}');
    }
    buffer_append_char(out, ']');
}

static void append_experiment(struct buffer *out, const struct config *config,
                              const struct experiment *experiment)
{
    buffer_append_text(out, "{\"name\":");
    json_append_string(out, slice_of(experiment->name));
    append_text(out, "status", experiment_status_name(experiment->status));
    append_text(out, "hypothesis", experiment->hypothesis);
    append_text(out, "primary",
                experiment->primary >= 0 ? config->metrics[experiment->primary].name
                                         : NULL);
    append_key(out, "coverage");
    json_append_double(out, experiment->coverage);
    buffer_append_text(out, ",\"arms\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        buffer_append_text(out, i ? ",{\"name\":" : "{\"name\":");
        json_append_string(out, slice_of(experiment->arms[i].name));
        append_key(out, "weight");
        json_append_double(out, experiment->arms[i].weight);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "]}");
}

void dashboard_append_state(struct buffer *out, struct server *server,
                            const struct config *config,
                            struct observation *observation)
{
    buffer_append_text(out, "{\"ts_us\":");
    buffer_append_int(out, clock_wall_us());
    append_text(out, "version", server_options(server)->version);
    append_text(out, "config", config->hash);
    append_int(out, "connections", server_connections(server));
    append_log(out, server, config, observation);
    append_latency(out, observation);
    buffer_append_text(out, ",\"experiments\":[");
    for (int i = 0; i < config->n_experiments; i++) {
        buffer_append_text(out, i ? "," : "");
        append_experiment(out, config, &config->experiments[i]);
    }
    buffer_append_char(out, ']');
    append_events(out, observation);
    buffer_append_char(out, '}');
}
