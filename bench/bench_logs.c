/* bench_logs.c - what logging and reading costs: ns a line to append, lines a second to
 * commit under each policy beside a probe of fdatasync on the same disk, bytes a second
 * to read back.
 *
 *     bench_logs [DIRECTORY [LINES]]     default: a new one under /tmp, 1,000,000
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "common/clock.h"
#include "common/crc32c.h"
#include "common/rng.h"
#include "logs/logs.h"

#define N_RUNS  7
#define N_USERS 1000
#define N_ITEMS 10

/* CPU time of the calling thread: other work on the machine does not count. */
static int64_t cpu_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static int compare_doubles(const void *left, const void *right)
{
    const double a = *(const double *)left, b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    return values[n / 2];
}

_Noreturn static void die(const char *what, const char *why)
{
    fprintf(stderr, "bench_logs: %s: %s\n", what, why);
    exit(1);
}

struct sample {
    char users[N_USERS][12], items[N_USERS][12];
    double scores[N_USERS];
    struct event_assignment assignments[2];
    struct event_item list[N_ITEMS];
};

/* How scores look: all 17 digits of a double, or rounded to four places, as the server
 * does. */
enum score_kind { SCORE_DOUBLE, SCORE_ROUNDED };

static void make_sample(struct sample *s, enum score_kind kind)
{
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int i = 0; i < N_USERS; i++) {
        snprintf(s->users[i], sizeof s->users[i], "%d",
                 1 + (int)rng_below(&rng, 100000));
        snprintf(s->items[i], sizeof s->items[i], "%d",
                 1 + (int)rng_below(&rng, 60000));
        s->scores[i] = 4 + rng_normal(&rng);
        if (kind == SCORE_ROUNDED) {
            s->scores[i] = nearbyint(s->scores[i] * 1e4) / 1e4;
        }
    }
    s->assignments[0] = (struct event_assignment){
        .experiment = {"item-bias", 9}, .arm = {"treatment", 9}, .probability = 0.5};
    s->assignments[1] = (struct event_assignment){
        .experiment = {"model", 5}, .arm = {"control", 7}, .probability = 0.5};
}

static struct event exposure(struct sample *s, struct slice id, int64_t i)
{
    for (int j = 0; j < N_ITEMS; j++) {
        const int64_t k = (i * 7 + j * 13) % N_USERS;
        s->list[j] =
            (struct event_item){slice_of(s->items[k]), s->scores[k], (double)NAN};
    }
    return (struct event){
        .type = EVENT_EXPOSURE,
        .ts_us = 1764000000000000 + i,
        .id = id,
        .user = slice_of(s->users[i % N_USERS]),
        .assignments = s->assignments,
        .n_assignments = 2,
        .hash_version = 2,
        .config = {"9f00000000000000", 16},
        .model = {"als:1c00000000000000", 20},
        .items = s->list,
        .n_items = N_ITEMS,
        .latency_us = 100 + i % 400,
    };
}

static struct event feedback(struct sample *s, struct slice id, int64_t i)
{
    return (struct event){
        .type = EVENT_FEEDBACK,
        .ts_us = 1764000000000000 + i,
        .id = id,
        .user = slice_of(s->users[i % N_USERS]),
        .event = {"satisfied", 9},
        .has_value = true,
        .value = 1,
        .item = slice_of(s->items[i % N_USERS]),
        .request = id,
    };
}

static struct log *open_log(const char *directory, enum log_sync sync,
                            bool has_committers)
{
    struct log *log = NULL;
    struct error error = {0};
    const struct log_options options = {
        .directory = directory,
        .sync = sync,
        .segment_size = 256LL << 20,
        .segment_age_us = 3600LL * 1000000,
        .n_shards = 1,
        .config = {.type = EVENT_CONFIG, .config = {"9f00000000000000", 16}},
        .has_committers = has_committers,
    };
    if (log_open(&options, &log, &error) != 0) {
        die(directory, error.message);
    }
    return log;
}

static void append(struct log_shard *shard, struct sample *s, int64_t i,
                   bool is_feedback)
{
    char id[EVENT_ID_SIZE];
    const int len = log_shard_next_id(shard, id);
    const struct slice id_slice = {id, (size_t)len};
    const struct event event =
        is_feedback ? feedback(s, id_slice, i) : exposure(s, id_slice, i);
    if (log_shard_append(shard, &event, NULL) != 0) {
        die("append", "no memory");
    }
}

/* Median over runs of the ns that one line takes to become bytes in the batch. */
static void bench_append(const char *directory, const char *name, struct sample *s,
                         bool is_feedback, int64_t n)
{
    double with[N_RUNS], without[N_RUNS], bytes = 0, least = (double)INFINITY;
    struct log *log = open_log(directory, LOG_SYNC_NO, false);
    struct log_shard *shard = log_shard_get(log, 0);
    for (int run = 0; run < N_RUNS; run++) {
        int64_t spent = 0, start = 0, made = 0;
        volatile int64_t sink = 0;
        struct log_counters before, after;
        log_counters_get(log, &before);
        for (int64_t i = 0; i < n; i += 64) {
            start = cpu_ns();
            for (int64_t j = i; j < i + 64; j++) {
                append(shard, s, j, is_feedback);
            }
            const int64_t chunk = cpu_ns() - start;
            spent += chunk;
            least = fmin(least, (double)chunk / 64);
            if (log_shard_commit(shard, NULL) != 0) {
                die(directory, "cannot commit");
            }
        }
        log_counters_get(log, &after);
        bytes = (double)(after.n_bytes - before.n_bytes) / (double)n;
        for (int64_t i = 0; i < n; i += 64) { /* the same without the line itself */
            start = cpu_ns();
            for (int64_t j = i; j < i + 64; j++) {
                char id[EVENT_ID_SIZE];
                const struct slice slice = {id, (size_t)log_shard_next_id(shard, id)};
                const struct event event =
                    is_feedback ? feedback(s, slice, j) : exposure(s, slice, j);
                sink += event.latency_us + (int64_t)event.items;
            }
            made += cpu_ns() - start;
        }
        with[run] = (double)spent / (double)n;
        without[run] = (double)made / (double)n;
    }
    const double all = median(with, N_RUNS), event_only = median(without, N_RUNS);
    /* The least of many short runs is what the work costs; other work on the machine,
     * which only adds, is in the median. */
    printf("append %-28s least %5.0f, median %5.0f ns/line (%.0f of it make id and "
           "event), %.0f bytes/line\n",
           name, least, all, event_only, bytes);
    if (log_close(log, NULL) != 0) {
        die(directory, "cannot close");
    }
}

/* The same line by snprintf and by jansson, for comparison. */
static size_t line_by_snprintf(char *to, size_t size, const struct event *e)
{
    size_t n = (size_t)snprintf(
        to, size,
        "{\"type\":\"exposure\",\"ts\":%" PRId64 ",\"id\":\"%.*s\",\"user\":\"%.*s\","
        "\"assignments\":{",
        e->ts_us, (int)e->id.len, e->id.data, (int)e->user.len, e->user.data);
    for (int i = 0; i < e->n_assignments; i++) {
        const struct event_assignment *a = &e->assignments[i];
        n += (size_t)snprintf(to + n, size - n, "%s\"%.*s\":[\"%.*s\",%.15g]",
                              i ? "," : "", (int)a->experiment.len, a->experiment.data,
                              (int)a->arm.len, a->arm.data, a->probability);
    }
    n += (size_t)snprintf(
        to + n, size - n,
        "},\"hash\":2,\"config\":\"%.*s\",\"model\":\"%.*s\",\"items\":[",
        (int)e->config.len, e->config.data, (int)e->model.len, e->model.data);
    for (int i = 0; i < e->n_items; i++) {
        n += (size_t)snprintf(to + n, size - n, "%s\"%.*s\"", i ? "," : "",
                              (int)e->items[i].id.len, e->items[i].id.data);
    }
    for (int i = 0; i < e->n_items; i++) {
        n += (size_t)snprintf(to + n, size - n, "%s%.17g", i ? "," : "],\"scores\":[",
                              e->items[i].score);
    }
    n += (size_t)snprintf(to + n, size - n, "],\"latency_us\":%" PRId64, e->latency_us);
    return n +
           (size_t)snprintf(to + n, size - n, ",\"crc\":\"%08x\"}\n", crc32c(0, to, n));
}

static size_t line_by_jansson(char *to, size_t size, const struct event *e)
{
    json_t *assignments = json_object(), *items = json_array(), *scores = json_array();
    for (int i = 0; i < e->n_assignments; i++) {
        const struct event_assignment *a = &e->assignments[i];
        json_object_setn_new(
            assignments, a->experiment.data, a->experiment.len,
            json_pack("[s%f]", a->arm.data, a->arm.len, a->probability));
    }
    for (int i = 0; i < e->n_items; i++) {
        json_array_append_new(items,
                              json_stringn(e->items[i].id.data, e->items[i].id.len));
        json_array_append_new(scores, json_real(e->items[i].score));
    }
    json_t *line = json_pack("{sssIss%ss%sosiss%ss%sososI}", "type", "exposure", "ts",
                             (json_int_t)e->ts_us, "id", e->id.data, e->id.len, "user",
                             e->user.data, e->user.len, "assignments", assignments,
                             "hash", 2, "config", e->config.data, e->config.len,
                             "model", e->model.data, e->model.len, "items", items,
                             "scores", scores, "latency_us", (json_int_t)e->latency_us);
    size_t n = json_dumpb(line, to, size, JSON_COMPACT);
    json_decref(line);
    n--;
    return n +
           (size_t)snprintf(to + n, size - n, ",\"crc\":\"%08x\"}\n", crc32c(0, to, n));
}

static void bench_peer(const char *name,
                       size_t (*make)(char *to, size_t size, const struct event *e),
                       struct sample *s)
{
    double ns[N_RUNS];
    char line[4096];
    size_t sink = 0;
    for (int run = 0; run < N_RUNS; run++) {
        const int64_t start = cpu_ns();
        for (int64_t i = 0; i < 10000; i++) {
            const struct event event = exposure(s, slice_of("9f3a11c2-1.0.abcd"), i);
            sink += make(line, sizeof line, &event);
        }
        ns[run] = (double)(cpu_ns() - start) / 10000;
    }
    const double middle = median(ns, N_RUNS);
    printf("append exposure, doubles, by %-9s least %6.0f, median %6.0f ns/line (%zu "
           "bytes)\n",
           name, ns[0], middle, sink / ((size_t)10000 * N_RUNS));
}

/* Median and 99th percentile of fdatasync after an append of 300 bytes. */
static void probe_fdatasync(const char *directory)
{
    char path[512], line[300];
    double us[400];
    snprintf(path, sizeof path, "%s/probe", directory);
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (fd < 0) {
        die(path, strerror(errno));
    }
    memset(line, 'x', sizeof line);
    for (int i = 0; i < 400; i++) {
        if (write(fd, line, sizeof line) != (ssize_t)sizeof line) {
            die(path, strerror(errno));
        }
        const int64_t start = clock_monotonic_ns();
        if (fdatasync(fd) != 0) {
            die(path, strerror(errno));
        }
        us[i] = (double)(clock_monotonic_ns() - start) / 1000;
    }
    close(fd);
    unlink(path);
    const double p50 = median(us, 400);
    printf("probe: append and fdatasync: p50 %.0f us, p99 %.0f us\n", p50, us[395]);
}

static void bench_commit(const char *directory, const char *name, enum log_sync sync,
                         int batch, int64_t n, struct sample *s)
{
    struct log *log = open_log(directory, sync, false);
    struct log_shard *shard = log_shard_get(log, 0);
    const int64_t start = clock_monotonic_ns();
    for (int64_t i = 0; i < n; i += batch) {
        for (int64_t j = i; j < i + batch; j++) {
            append(shard, s, j, false);
        }
        if (log_shard_commit(shard, NULL) != 0) {
            die(directory, "cannot commit");
        }
    }
    const double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    if (log_close(log, NULL) != 0) {
        die(directory, "cannot close");
    }
    printf("commit %-10s batches of %4d: %9.0f lines/s, %7.0f commits/s\n", name, batch,
           (double)n / seconds, (double)n / batch / seconds);
}

struct sums {
    int64_t n, bytes;
    double sum;
};

static int add_up(void *context, const struct event *event)
{
    struct sums *sums = context;
    sums->n++;
    sums->bytes += (int64_t)event->place->text.len;
    sums->sum += (double)event->ts_us;
    return 0;
}

static void bench_read(const char *directory, const char *name, unsigned skip)
{
    double seconds[N_RUNS];
    struct sums sums = {0};
    struct log_statistics statistics = {0};
    for (int run = 0; run < N_RUNS; run++) {
        struct error error = {0};
        const struct log_visitor visitor = {
            .on_event = add_up, .context = &sums, .skip = skip};
        const int64_t start = cpu_ns();
        if (log_read(directory, &visitor, &statistics, &error) != 0) {
            die(directory, error.message);
        }
        seconds[run] = (double)(cpu_ns() - start) / 1e9;
    }
    const double middle = median(seconds, N_RUNS); /* which sorts them */
    const double n_bytes = (double)statistics.n_bytes / 1e9;
    printf("read   %-24s best %5.2f, median %5.2f GB/s, %4.0f ns/event (%" PRId64
           " events)\n",
           name, n_bytes / seconds[0], n_bytes / middle,
           middle * 1e9 / (double)statistics.n_events, statistics.n_events);
}

/* Wall time here: two threads are two cores only where two are free. */
static void bench_parallel(const char *directory, int n_threads)
{
    double seconds[N_RUNS];
    struct sums sums[8] = {{0}};
    struct log_visitor visitors[8];
    struct log_statistics statistics = {0};
    for (int t = 0; t < n_threads; t++) {
        visitors[t] = (struct log_visitor){
            .on_event = add_up, .context = &sums[t], .skip = LOG_SKIP_ITEMS};
    }
    for (int run = 0; run < N_RUNS; run++) {
        struct error error = {0};
        const int64_t start = clock_monotonic_ns();
        if (log_read_parallel(directory, visitors, n_threads, &statistics, &error) !=
            0) {
            die(directory, error.message);
        }
        seconds[run] = (double)(clock_monotonic_ns() - start) / 1e9;
    }
    printf("read   no items, %d threads      %6.2f GB/s of wall time\n", n_threads,
           (double)statistics.n_bytes / median(seconds, N_RUNS) / 1e9);
}

static void bench_crc(void)
{
    static char data[400];
    double seconds[N_RUNS];
    uint32_t crc = 0;
    memset(data, 'x', sizeof data);
    for (int run = 0; run < N_RUNS; run++) {
        const int64_t start = cpu_ns();
        for (int i = 0; i < 200000; i++) {
            data[0] = (char)i;
            crc ^= crc32c(0, data, sizeof data);
        }
        seconds[run] = (double)(cpu_ns() - start) / 1e9;
    }
    printf("crc32c of 400 bytes: %.1f GB/s (%08x)\n",
           200000.0 * sizeof data / median(seconds, N_RUNS) / 1e9, crc);
}

static void clear(const char *directory)
{
    char command[600];
    snprintf(command, sizeof command, "rm -f '%s'/*.jsonl '%s'/*.zst", directory,
             directory);
    if (system(command) != 0) { /* NOLINT(cert-env33-c): our own directory */
        die(directory, "cannot clear");
    }
}

int main(int argc, char **argv)
{
    char made[] = "/tmp/bench-logs-XXXXXX";
    const char *directory = argc > 1 ? argv[1] : mkdtemp(made);
    const int64_t n =
        argc > 2 ? strtoll(argv[2], NULL, 10) / 64 * 64 : 1000000 / 64 * 64;
    static struct sample doubles, rounded;
    if (!directory || n <= 0) {
        die("usage", "bench_logs [DIRECTORY [LINES]]");
    }
    make_sample(&doubles, SCORE_DOUBLE);
    make_sample(&rounded, SCORE_ROUNDED);

    bench_crc();
    bench_append(directory, "exposure, 10 doubles", &doubles, false, n / 10 / 64 * 64);
    bench_append(directory, "exposure, 10 rounded to 1e-4", &rounded, false,
                 n / 10 / 64 * 64);
    bench_append(directory, "feedback", &rounded, true, n / 10 / 64 * 64);
    bench_peer("snprintf", line_by_snprintf, &doubles);
    bench_peer("jansson", line_by_jansson, &doubles);
    clear(directory);
    probe_fdatasync(directory);
    bench_commit(directory, "no", LOG_SYNC_NO, 1, n / 10, &rounded);
    bench_commit(directory, "no", LOG_SYNC_NO, 64, n, &rounded);
    bench_commit(directory, "everysec", LOG_SYNC_EVERYSEC, 64, n, &rounded);
    bench_commit(directory, "always", LOG_SYNC_ALWAYS, 1, 500, &rounded);
    bench_commit(directory, "always", LOG_SYNC_ALWAYS, 256, 256 * 200, &rounded);
    clear(directory);
    bench_commit(directory, "no", LOG_SYNC_NO, 64, n, &doubles);
    bench_read(directory, "plain, doubles", 0);
    bench_read(directory, "the same, no scores", LOG_SKIP_SCORES);
    bench_read(directory, "the same, no items", LOG_SKIP_ITEMS);
    clear(directory);
    bench_commit(directory, "no", LOG_SYNC_NO, 64, n, &rounded);
    bench_read(directory, "plain, rounded", 0);
    bench_read(directory, "the same, no scores", LOG_SKIP_SCORES);
    bench_read(directory, "the same, no items", LOG_SKIP_ITEMS);
    bench_parallel(directory, 1);
    bench_parallel(directory, 2);
    int64_t n_compressed = 0;
    if (log_compact(directory, NULL, NULL, &n_compressed, NULL) != 0) {
        die(directory, "cannot compress");
    }
    bench_read(directory, "compressed, no items", LOG_SKIP_ITEMS);
    clear(directory);
    return 0;
}
