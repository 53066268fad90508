/* bench_reader.c - bytes a second that one core reads of a log, checksums verified.
 *
 *     bench_reader LOGS [RUNS]      LOGS as `abtest simulate --to-log` makes it
 *
 * Processor time, best and median of the runs, so that the page cache is warm; bytes of
 * JSON, also where the segments are compressed. Before each run the same core takes the
 * CRC-32C of bytes in its cache: the speed of a shared machine changes from one second
 * to the next, the ratio of the two less so.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/crc32c.h"
#include "logs/logs.h"

#define MAX_RUNS   99
#define CRC_SIZE   ((size_t)64 << 10)
#define CRC_ROUNDS 4000

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

/* GB/s of CRC-32C, by lines of 190 bytes as the log has them. */
static double crc_speed(void)
{
    enum { LINE = 190 };
    static char bytes[CRC_SIZE];
    static volatile uint32_t sink;
    uint32_t sum = 0;
    const double start = cpu_s();
    for (int round = 0; round < CRC_ROUNDS; round++) {
        for (size_t at = 0; at + LINE <= CRC_SIZE; at += LINE) {
            sum ^= crc32c((uint32_t)round, bytes + at, LINE);
        }
    }
    sink = sum;
    (void)sink;
    const size_t size = CRC_SIZE / LINE * LINE;
    return (double)size * CRC_ROUNDS / (cpu_s() - start) / 1e9;
}

/* 0, or 1 when the log cannot be read. */
static int bench(const char *logs, const char *what, unsigned skip, int n_runs)
{
    double seconds[MAX_RUNS], crc[MAX_RUNS], share[MAX_RUNS];
    struct log_statistics found = {0};
    struct error error = {0};
    int64_t sum = 0;
    const struct log_visitor visitor = {
        .on_event = ignore, .skip = skip, .context = &sum};
    for (int run = 0; run < n_runs; run++) {
        crc[run] = crc_speed();
        const double start = cpu_s();
        if (log_read(logs, &visitor, &found, &error) != 0) {
            fprintf(stderr, "bench_reader: %s\n", error.message);
            return 1;
        }
        seconds[run] = cpu_s() - start;
        share[run] = (double)found.n_bytes / 1e9 / seconds[run] / crc[run];
    }
    qsort(seconds, (size_t)n_runs, sizeof *seconds, compare);
    qsort(crc, (size_t)n_runs, sizeof *crc, compare);
    qsort(share, (size_t)n_runs, sizeof *share, compare);
    const double gb = (double)found.n_bytes / 1e9, middle = seconds[n_runs / 2];
    printf(
        "%-10s best %5.2f, median %5.2f GB/s a core, %4.0f ns an event of %.0f bytes "
        "(%" PRId64 " events, %" PRId64 " damaged); CRC-32C alone %.1f to %.1f, "
        "median ratio %.3f\n",
        what, gb / seconds[0], gb / middle, middle * 1e9 / (double)found.n_events,
        (double)found.n_bytes / (double)found.n_events, found.n_events, found.n_damaged,
        crc[0], crc[n_runs - 1], share[n_runs / 2]);
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
