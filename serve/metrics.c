#include "serve/metrics.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"
#include "serve/routes.h"

#define MAX_ROUTES 64

static const int statuses[] = {200, 204, 304, 400, 401, 403, 404, 405, 408, 409,
                               412, 413, 414, 415, 417, 422, 429, 431, 500, 503};
#define N_STATUSES ((int)(sizeof statuses / sizeof statuses[0]) + 1) /* + other */

static const int64_t bounds_us[] = {10,   25,   50,    100,   250,   500,    1000,
                                    2500, 5000, 10000, 25000, 50000, 100000, 1000000};
#define N_BUCKETS ((int)(sizeof bounds_us / sizeof bounds_us[0]) + 1) /* + Inf */

struct arm_counts {
    atomic_uint_fast64_t exposures;
    atomic_uint_fast64_t buckets[N_BUCKETS];
    atomic_uint_fast64_t sum_us;
};

/* Written by one thread, on cache lines of its own. */
struct counts {
    _Alignas(64) atomic_uint_fast64_t answers[MAX_ROUTES + 1][N_STATUSES];
    atomic_uint_fast64_t bytes;
    struct arm_counts arms[METRICS_MAX_ARMS];
};

struct arm_name {
    char *experiment, *arm;
};

struct metrics {
    struct counts *counts; /* (n_workers) */
    int n_workers;
    pthread_mutex_t lock;
    struct arm_name names[METRICS_MAX_ARMS];
    int n_names;
};

struct metrics *metrics_new(int n_workers, struct error *error)
{
    struct metrics *metrics = calloc(1, sizeof *metrics);
    const size_t size = (size_t)n_workers * sizeof(struct counts);
    if (metrics) {
        pthread_mutex_init(&metrics->lock, NULL);
        metrics->n_workers = n_workers;
        metrics->counts = aligned_alloc(64, size);
    }
    if (!metrics || !metrics->counts) {
        metrics_free(metrics);
        error_set(error, ERROR_NOMEM, "no memory for the metrics");
        return NULL;
    }
    memset(metrics->counts, 0, size);
    return metrics;
}

void metrics_free(struct metrics *metrics)
{
    if (!metrics) {
        return;
    }
    for (int i = 0; i < metrics->n_names; i++) {
        free(metrics->names[i].experiment);
        free(metrics->names[i].arm);
    }
    pthread_mutex_destroy(&metrics->lock);
    free(metrics->counts);
    free(metrics);
}

/* One writer: no locked instruction is needed. */
static void add(atomic_uint_fast64_t *counter, uint64_t n)
{
    atomic_store_explicit(counter,
                          atomic_load_explicit(counter, memory_order_relaxed) + n,
                          memory_order_relaxed);
}

static uint64_t value_of(const atomic_uint_fast64_t *counter)
{
    return atomic_load_explicit(counter, memory_order_relaxed);
}

void metrics_answer(struct metrics *metrics, int worker, int route, int status,
                    size_t bytes)
{
    struct counts *counts = &metrics->counts[worker];
    int s = 0;
    while (s < N_STATUSES - 1 && statuses[s] != status) {
        s++;
    }
    add(&counts->answers[route < 0 || route >= MAX_ROUTES ? MAX_ROUTES : route][s], 1);
    add(&counts->bytes, bytes);
}

int metrics_slot(struct metrics *metrics, struct slice experiment, struct slice arm)
{
    int slot = 0;
    pthread_mutex_lock(&metrics->lock);
    while (slot < metrics->n_names &&
           !(slice_is(experiment, metrics->names[slot].experiment) &&
             slice_is(arm, metrics->names[slot].arm))) {
        slot++;
    }
    if (slot == metrics->n_names) {
        struct arm_name name = {NULL, NULL};
        if (slot < METRICS_MAX_ARMS) {
            name.experiment = strndup(experiment.data, experiment.len);
            name.arm = strndup(arm.data, arm.len);
        }
        if (name.experiment && name.arm) {
            metrics->names[metrics->n_names++] = name;
        } else {
            free(name.experiment);
            free(name.arm);
            slot = METRICS_NO_SLOT;
        }
    }
    pthread_mutex_unlock(&metrics->lock);
    return slot;
}

void metrics_exposure(struct metrics *metrics, int worker, int slot, int64_t latency_us)
{
    struct arm_counts *arm = &metrics->counts[worker].arms[slot];
    int bucket = 0;
    add(&arm->exposures, 1);
    if (latency_us < 0) {
        return;
    }
    while (bucket < N_BUCKETS - 1 && latency_us > bounds_us[bucket]) {
        bucket++;
    }
    add(&arm->buckets[bucket], 1);
    add(&arm->sum_us, (uint64_t)latency_us);
}

static void write_head(struct buffer *out, const char *name, const char *type,
                       const char *help)
{
    buffer_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void metrics_write_one(struct buffer *out, const char *name, const char *type,
                       const char *help, double value)
{
    write_head(out, name, type, help);
    buffer_printf(out, "%s ", name);
    json_append_double(out, value);
    buffer_append_char(out, '\n');
}

/* A label's value: backslash, quote and newline are escaped, as in JSON. */
static void write_label(struct buffer *out, const char *name, const char *value)
{
    buffer_printf(out, "%s=\"", name);
    for (; *value; value++) {
        if (*value == '\\' || *value == '"') {
            buffer_append_char(out, '\\');
        }
        if (*value == '\n') {
            buffer_append(out, "\\n", 2);
        } else {
            buffer_append_char(out, *value);
        }
    }
    buffer_append_char(out, '"');
}

static void write_answers(struct metrics *metrics, struct buffer *out)
{
    write_head(out, "abtest_http_requests_total", "counter",
               "Answers sent, by route and status.");
    for (int r = 0; r <= MAX_ROUTES; r++) {
        for (int s = 0; s < N_STATUSES; s++) {
            uint64_t n = 0;
            for (int w = 0; w < metrics->n_workers; w++) {
                n += value_of(&metrics->counts[w].answers[r][s]);
            }
            if (n == 0) {
                continue;
            }
            buffer_append_text(out, "abtest_http_requests_total{");
            write_label(out, "route",
                        r < routes_count() ? routes_get(r)->pattern : "none");
            buffer_append_char(out, ',');
            if (s < N_STATUSES - 1) {
                buffer_printf(out, "status=\"%d\"", statuses[s]);
            } else {
                buffer_append_text(out, "status=\"other\"");
            }
            buffer_append_text(out, "} ");
            buffer_append_int(out, (int64_t)n);
            buffer_append_char(out, '\n');
        }
    }
}

static void write_arm_labels(struct metrics *metrics, int slot, struct buffer *out)
{
    write_label(out, "experiment", metrics->names[slot].experiment);
    buffer_append_char(out, ',');
    write_label(out, "arm", metrics->names[slot].arm);
}

static uint64_t write_buckets(struct metrics *metrics, int slot, struct buffer *out)
{
    uint64_t so_far = 0;
    for (int b = 0; b < N_BUCKETS; b++) {
        for (int w = 0; w < metrics->n_workers; w++) {
            so_far += value_of(&metrics->counts[w].arms[slot].buckets[b]);
        }
        buffer_append_text(out, "abtest_recommend_latency_seconds_bucket{");
        write_arm_labels(metrics, slot, out);
        buffer_append_text(out, ",le=\"");
        if (b < N_BUCKETS - 1) {
            json_append_double(out, (double)bounds_us[b] / 1e6);
        } else {
            buffer_append_text(out, "+Inf");
        }
        buffer_append_text(out, "\"} ");
        buffer_append_int(out, (int64_t)so_far);
        buffer_append_char(out, '\n');
    }
    return so_far;
}

static void write_arms(struct metrics *metrics, struct buffer *out)
{
    write_head(out, "abtest_recommend_latency_seconds", "histogram",
               "From the whole request to its exposure in the batch, by arm, of those "
               "logged.");
    for (int slot = 0; slot < metrics->n_names; slot++) {
        uint64_t sum = 0;
        const uint64_t n_timed = write_buckets(metrics, slot, out);
        for (int w = 0; w < metrics->n_workers; w++) {
            sum += value_of(&metrics->counts[w].arms[slot].sum_us);
        }
        buffer_append_text(out, "abtest_recommend_latency_seconds_sum{");
        write_arm_labels(metrics, slot, out);
        buffer_append_text(out, "} ");
        json_append_double(out, (double)sum / 1e6);
        buffer_append_text(out, "\nabtest_recommend_latency_seconds_count{");
        write_arm_labels(metrics, slot, out);
        buffer_append_text(out, "} ");
        buffer_append_int(out, (int64_t)n_timed);
        buffer_append_char(out, '\n');
    }
    write_head(out, "abtest_exposures_total", "counter",
               "Exposures logged, by arm; those that clients report, too.");
    for (int slot = 0; slot < metrics->n_names; slot++) {
        uint64_t n = 0;
        for (int w = 0; w < metrics->n_workers; w++) {
            n += value_of(&metrics->counts[w].arms[slot].exposures);
        }
        buffer_append_text(out, "abtest_exposures_total{");
        write_arm_labels(metrics, slot, out);
        buffer_append_text(out, "} ");
        buffer_append_int(out, (int64_t)n);
        buffer_append_char(out, '\n');
    }
}

void metrics_write(struct metrics *metrics, struct buffer *out)
{
    uint64_t bytes = 0;
    write_answers(metrics, out);
    for (int w = 0; w < metrics->n_workers; w++) {
        bytes += value_of(&metrics->counts[w].bytes);
    }
    metrics_write_one(out, "abtest_http_sent_bytes_total", "counter",
                      "Bytes of answers.", (double)bytes);
    pthread_mutex_lock(&metrics->lock);
    write_arms(metrics, out);
    pthread_mutex_unlock(&metrics->lock);
}
