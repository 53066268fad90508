/* bench_reader.c - bytes a second that one core reads of a log, checksums verified.
 *
 *     bench_reader LOGS [RUNS]      LOGS as `abtest simulate --to-log` makes it
 *
 * Processor time, best and median of the runs, so that the page cache is warm; bytes of
 * JSON, also where the segments are compressed.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "logs/logs.h"

#define MAX_RUNS 99

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static int ignore(void *context, const struct event *event)
{
    int64_t *sum = context;
    *sum += event->ts_us;
    return 0;
}

/* 0, or 1 when the log cannot be read. */
static int bench(const char *logs, const char *what, unsigned skip, int n_runs)
{
    double seconds[MAX_RUNS];
    struct log_statistics found = {0};
    struct error error = {0};
    int64_t sum = 0;
    const struct log_visitor visitor = {
        .on_event = ignore, .skip = skip, .context = &sum};
    for (int run = 0; run < n_runs; run++) {
        const double start = cpu_s();
        if (log_read(logs, &visitor, &found, &error) != 0) {
            fprintf(stderr, "bench_reader: %s\n", error.message);
            return 1;
        }
        seconds[run] = cpu_s() - start;
    }
    qsort(seconds, (size_t)n_runs, sizeof *seconds, compare);
    const double gb = (double)found.n_bytes / 1e9, middle = seconds[n_runs / 2];
    printf(
        "%-10s best %5.2f, median %5.2f GB/s a core, %4.0f ns an event of %.0f bytes "
        "(%" PRId64 " events, %" PRId64 " damaged)\n",
        what, gb / seconds[0], gb / middle, middle * 1e9 / (double)found.n_events,
        (double)found.n_bytes / (double)found.n_events, found.n_events,
        found.n_damaged);
    return 0;
}

int main(int argc, char **argv)
{
    const int n_runs = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 5;
    if (argc < 2 || n_runs < 1 || n_runs > MAX_RUNS) {
        fprintf(stderr, "usage: bench_reader LOGS [RUNS]\n");
        return 2;
    }
    return bench(argv[1], "everything", 0, n_runs) ||
           bench(argv[1], "no scores", LOG_SKIP_SCORES, n_runs) ||
           bench(argv[1], "no items", LOG_SKIP_ITEMS, n_runs);
}
