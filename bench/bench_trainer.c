/* bench_trainer.c - how fast the trainer is, beside the limits of the machine that it
 * runs on, measured in the same run.
 *
 * usage: bench_trainer [--threads N] [--ratings N] [--small FILE] [--quick]
 *                      [--only PART] [--load FILE] [--scaling] [--write FILE]
 *                      [--peer 'NAME=COMMAND']
 *
 * The large set has the shape of MovieLens (162,541 users, 59,047 items, power laws of
 * activity and popularity) and is made in memory. Times are the least of several
 * epochs, in processor time divided by the threads; the wall clock's stand beside them.
 * --write leaves the set for another program; --peer runs that program in a shell with
 * 1 and with 6 in place of {epochs} and prints a fifth of the difference, so that
 * reading the data does not count.
 */
#include <cblas.h>
#include <lapacke.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench/large_set.h"
#include "bench/machine.h"
#include "common/clock.h"
#include "common/rng.h"
#include "trainer/cholesky.h"
#include "trainer/normal.h"
#include "trainer/trainer.h"

struct options {
    int n_threads;
    int64_t n_ratings;
    const char *small;
    const char *load;
    bool is_quick;
    const char *only; /* part of the names of what to run, or NULL */
    bool has_scaling; /* also with fewer threads */
    const char *write;
    const char *peer;
};

/* ---- kernels ---- */

/* Useful operations of one outer product of n columns: a triangle, twice. */
static double triangle(int n)
{
    return (double)n * (n + 1);
}

#define N_KERNEL_ROWS 150

/* Eight systems of order n, each the sum of N_KERNEL_ROWS outer products. */
struct kernels {
    int n, stride, repeats;
    float *rows, *sums, *spare, *matrix, *scratch, *z;
    const float *systems[CHOLESKY_LANES];
    float ridge[CHOLESKY_LANES];
};

static void kernels_init(struct kernels *k, int n)
{
    struct rng rng;
    const int stride = normal_stride(n + 1);
    const size_t size = (size_t)stride * (size_t)stride;
    k->n = n;
    k->stride = stride;
    k->repeats = 4000000 / (n * n);
    k->rows = need(normal_alloc((size_t)N_KERNEL_ROWS * (size_t)stride));
    k->sums = need(normal_alloc(CHOLESKY_LANES * size));
    k->spare = need(normal_alloc(size));
    k->matrix = need(normal_alloc(size + (size_t)n));
    k->scratch = need(normal_alloc(cholesky_scratch(n)));
    k->z = need(normal_alloc(CHOLESKY_LANES * (size_t)n));
    rng_init(&rng, 1, 2);
    for (int i = 0; i < N_KERNEL_ROWS; i++) {
        for (int f = 0; f <= n; f++) {
            k->rows[i * stride + f] = (float)rng_normal(&rng);
        }
    }
    for (int l = 0; l < CHOLESKY_LANES; l++) {
        k->systems[l] = k->sums + (size_t)l * size;
        k->ridge[l] = 5;
        normal_add(k->rows, N_KERNEL_ROWS, n + 1, k->sums + (size_t)l * size);
    }
}

static void kernels_free(struct kernels *k)
{
    normal_free(k->z);
    normal_free(k->scratch);
    normal_free(k->matrix);
    normal_free(k->spare);
    normal_free(k->sums);
    normal_free(k->rows);
}

static void run_normal(struct kernels *k)
{
    normal_add(k->rows, N_KERNEL_ROWS, k->n + 1, k->spare);
}

static void run_ssyrk(struct kernels *k)
{
    cblas_ssyrk(CblasColMajor, CblasUpper, CblasNoTrans, k->n + 1, N_KERNEL_ROWS, 1,
                k->rows, k->stride, 1, k->spare, k->stride);
}

static void run_lanes(struct kernels *k)
{
    if (cholesky_solve(k->systems, k->n, k->ridge, k->ridge, NULL, k->scratch, k->z)) {
        die("not positive definite");
    }
}

static void run_sposv(struct kernels *k)
{
    const int n = k->n;
    for (int i = 0; i <= n; i++) {
        memcpy(k->matrix + i * n, k->sums + i * k->stride, (size_t)n * sizeof(float));
    }
    for (int i = 0; i < n; i++) {
        k->matrix[i * n + i] += 5;
    }
    if (LAPACKE_sposv(LAPACK_COL_MAJOR, 'U', n, 1, k->matrix, n, k->matrix + n * n,
                      n)) {
        die("not positive definite");
    }
}

/* Least seconds of one run. */
static double time_kernel(void (*run)(struct kernels *), struct kernels *k)
{
    double best = HUGE_VAL;
    for (int round = 0; round < 5; round++) {
        const double begin = now();
        for (int r = 0; r < k->repeats; r++) {
            run(k);
        }
        best = fmin(best, (now() - begin) / k->repeats);
    }
    return best;
}

static void bench_kernels(int n_factors)
{
    struct kernels k;
    kernels_init(&k, n_factors + 1);
    const double useful = triangle(n_factors + 2) * N_KERNEL_ROWS * 1e-9;
    const double ours = useful / time_kernel(run_normal, &k);
    const double ssyrk = useful / time_kernel(run_ssyrk, &k);
    const double solve = time_kernel(run_lanes, &k) / CHOLESKY_LANES;
    printf("k=%-4d outer products of 150 rows: ours %6.1f, ssyrk %6.1f useful GFLOP/s; "
           "solve: ours %7.2f, sposv %7.2f us\n",
           n_factors, ours, ssyrk, solve * 1e6, time_kernel(run_sposv, &k) * 1e6);
    kernels_free(&k);
}

/* ---- training ---- */

struct timing {
    double best; /* seconds of an epoch: processor time divided by the threads */
    double wall; /* by the clock on the wall */
    int64_t n_samples;
    int n_threads;
    double begin;
};

static bool note_epoch(void *context, const struct epoch_report *report)
{
    struct timing *timing = context;
    const double end = now(), seconds = (end - timing->begin) / timing->n_threads;
    timing->begin = end;
    timing->wall = fmin(timing->wall, report->seconds);
    if (seconds < timing->best) {
        timing->best = seconds;
        timing->n_samples = report->n_samples;
    }
    return true;
}

static struct timing als_epoch(const struct ratings *r, int k, int n_epochs,
                               int n_threads)
{
    struct timing timing = {HUGE_VAL, HUGE_VAL, 0, n_threads, now()};
    const struct training_observer observer = {
        .epoch = note_epoch, .context = &timing, .skips_quality = true};
    struct als_config config = als_config_default(ALS_CONSTANT, k);
    struct factors *factors = NULL;
    struct error error = {0};
    config.n_threads = n_threads;
    config.n_epochs = n_epochs;
    if (als_train(r, NULL, &config, &observer, &factors, &error) != 0) {
        die(error.message);
    }
    factors_free(factors);
    return timing;
}

static struct timing bpr_epoch(const struct ratings *r, int k, int n_epochs,
                               int n_threads)
{
    struct timing timing = {HUGE_VAL, HUGE_VAL, 0, n_threads, now()};
    const struct training_observer observer = {
        .epoch = note_epoch, .context = &timing, .skips_quality = true};
    struct bpr_config config = bpr_config_default();
    struct factors *factors = NULL;
    struct error error = {0};
    config.n_factors = k;
    config.n_threads = n_threads;
    config.n_epochs = n_epochs;
    if (bpr_train(r, NULL, &config, &observer, &factors, &error) != 0) {
        die(error.message);
    }
    factors_free(factors);
    return timing;
}

/* The least time that the arithmetic and the gathering of an epoch could take. */
static double als_floor(const struct ratings *r, int k, const struct limits *limits)
{
    const double n = (double)r->n_ratings;
    const double rows = (double)r->n_users + (double)r->n_items, m = k + 1;
    const double flops = 2 * n * triangle(k + 2) + rows * (m * m * m / 3 + 2 * m * m);
    const double bytes = 2 * n * 4 * (k + 2);
    return fmax(flops / limits->flops, bytes / limits->gather);
}

/* The limits of the machine on which the marks were set, and a mark in seconds at
 * n ratings: the same share of the floor there. */
static const struct limits marks_limits = {345e9, 27e9, 30e9};

static void print_mark(double mark, double floor_there, double floor, double seconds)
{
    const double scaled = mark * floor / floor_there;
    printf("    mark %.3f s there, %.3f s at this machine's limits: %.2f of it taken\n",
           mark, scaled, seconds / scaled);
}

static void bench_als(const char *name, const struct ratings *r, int k,
                      const struct options *options, const struct limits *limits)
{
    const int n_epochs = r->n_ratings > 1000000 ? options->is_quick ? 2 : 4 : 50;
    char what[16];
    snprintf(what, sizeof what, "als%d", k);
    if (options->only && !strstr(what, options->only)) {
        return;
    }
    const struct timing t = als_epoch(r, k, n_epochs, options->n_threads);
    const double floor = als_floor(r, k, limits);
    printf(
        "ALS epoch, %-16s k=%-3d %9.4f s (wall %.4f), %6.1f M ratings/s, floor %.4f s: "
        "%2.0f %% reached\n",
        name, k, t.best, t.wall, (double)t.n_samples / t.best * 1e-6, floor,
        100 * floor / t.best);
    if (r->n_ratings > 20000000 && (k == 20 || k == 64)) {
        print_mark(k == 20 ? 0.35 : 1.3, als_floor(r, k, &marks_limits), floor, t.best);
    }
    fflush(stdout);
}

static void bench_bpr(const char *name, const struct ratings *r, int k,
                      const struct options *options, const struct limits *limits)
{
    const int n_epochs = r->n_ratings > 1000000 ? options->is_quick ? 1 : 3 : 50;
    if (options->only && !strstr("bpr", options->only)) {
        return;
    }
    const struct timing t = bpr_epoch(r, k, n_epochs, options->n_threads);
    const double rate = (double)t.n_samples / t.best;
    /* Three rows are read for a sample, two of them at random. */
    const double limit = limits->gather / (2.0 * 4 * (k + 1));
    printf(
        "BPR epoch, %-16s k=%-3d %9.4f s (wall %.4f), %6.1f M samples/s, gather alone "
        "%.1f M/s: %2.0f %% reached\n",
        name, k, t.best, t.wall, rate * 1e-6, limit * 1e-6, 100 * rate / limit);
    if (r->n_ratings > 20000000) {
        const double n = (double)t.n_samples;
        print_mark(n / 40e6, 1 / marks_limits.gather, 1 / limits->gather, t.best);
    }
    fflush(stdout);
}

/* One core; the file should be in the page cache, so the first run does not count. */
static void bench_load(const char *path)
{
    double best = HUGE_VAL;
    struct stat status;
    struct rusage usage;
    struct error error = {0};
    double arrays = 0;
    if (stat(path, &status) != 0) {
        die("cannot open the file to load");
    }
    for (int repeat = 0; repeat < 3; repeat++) {
        struct ratings *r = NULL;
        const double begin = now();
        if (ratings_load(path, &r, &error) != 0) {
            die(error.message);
        }
        best = fmin(best, now() - begin);
        arrays = 16.0 * (double)r->n_ratings + 8.0 * (r->n_users + r->n_items);
        ratings_free(r);
    }
    getrusage(RUSAGE_SELF, &usage);
    printf("load %.0f MB: %.0f MB/s a core, peak memory %.2f x the arrays\n",
           (double)status.st_size * 1e-6, (double)status.st_size / best * 1e-6,
           (double)usage.ru_maxrss * 1024 / arrays);
    fflush(stdout);
}

struct spent {
    double wall, cpu;
};

static struct spent run_command(const char *command, int n_epochs)
{
    char text[4096];
    struct rusage before, after;
    const char *at = strstr(command, "{epochs}");
    if (!at) {
        die("the peer's command has no {epochs}");
    }
    snprintf(text, sizeof text, "(%.*s%d%s) > /dev/null", (int)(at - command), command,
             n_epochs, at + strlen("{epochs}"));
    getrusage(RUSAGE_CHILDREN, &before);
    const int64_t begin = clock_monotonic_ns();
    if (system(text) != 0) { /* NOLINT(cert-env33-c): the user's own command line */
        die("the peer failed");
    }
    getrusage(RUSAGE_CHILDREN, &after);
    return (struct spent){
        (double)(clock_monotonic_ns() - begin) * 1e-9,
        (double)(after.ru_utime.tv_sec - before.ru_utime.tv_sec) +
            (double)(after.ru_utime.tv_usec - before.ru_utime.tv_usec) * 1e-6,
    };
}

static void bench_peer(const struct options *options)
{
    const char *equals = strchr(options->peer, '=');
    if (!equals) {
        die("--peer wants NAME=COMMAND");
    }
    const struct spent one = run_command(equals + 1, 1);
    const struct spent six = run_command(equals + 1, 6);
    printf("peer epoch, %.*s: %.4f s (wall %.4f)\n", (int)(equals - options->peer),
           options->peer, (six.cpu - one.cpu) / 5 / options->n_threads,
           (six.wall - one.wall) / 5);
    fflush(stdout);
}

static void bench_large(const struct ratings *large, const struct options *options,
                        const struct limits *limits)
{
    char name[32];
    snprintf(name, sizeof name, "%.1f M ratings", (double)large->n_ratings * 1e-6);
    bench_als(name, large, 20, options, limits);
    bench_als(name, large, 64, options, limits);
    bench_bpr(name, large, 20, options, limits);
}

/* The same with 1, 2, 4, ... threads, each against the limits at that number. */
static void bench_scaling(const struct ratings *large, const struct options *options)
{
    for (int n = 1; n < options->n_threads; n *= 2) {
        struct options fewer = *options;
        fewer.n_threads = n;
        const struct limits limits = measure_limits(n);
        printf("%d thread%s:\n", n, n == 1 ? "" : "s");
        bench_large(large, &fewer, &limits);
    }
}

/* Both libraries read their variables before main: set them and start again, once. */
static void prepare(char **argv)
{
    if (!getenv("OMP_WAIT_POLICY")) {
        setenv("OMP_WAIT_POLICY", "passive", 1);
#if defined(__x86_64__)
        if (!getenv("OPENBLAS_CORETYPE") && __builtin_cpu_supports("avx2") &&
            !__builtin_cpu_supports("avx512f")) {
            setenv("OPENBLAS_CORETYPE", "HASWELL", 1);
        }
#endif
        execv("/proc/self/exe", argv);
    }
}

static struct options parse(int argc, char **argv)
{
    struct options o = {.n_threads = omp_get_num_procs(), .n_ratings = 22500000};
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--quick") == 0) {
            o.is_quick = true;
        } else if (strcmp(argv[i], "--scaling") == 0) {
            o.has_scaling = true;
        } else if (i + 1 == argc) {
            die("usage: bench_trainer [--threads N] [--ratings N] [--small FILE] "
                "[--quick] [--only als20|als64|bpr] [--load FILE] [--scaling] "
                "[--write FILE] [--peer NAME=COMMAND]");
        } else if (strcmp(argv[i], "--threads") == 0) {
            o.n_threads = (int)strtol(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--ratings") == 0) {
            o.n_ratings = strtoll(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--only") == 0) {
            o.only = argv[++i];
        } else if (strcmp(argv[i], "--load") == 0) {
            o.load = argv[++i];
        } else if (strcmp(argv[i], "--small") == 0) {
            o.small = argv[++i];
        } else if (strcmp(argv[i], "--write") == 0) {
            o.write = argv[++i];
        } else if (strcmp(argv[i], "--peer") == 0) {
            o.peer = argv[++i];
        }
    }
    return o;
}

int main(int argc, char **argv)
{
    prepare(argv);
    const struct options options = parse(argc, argv);
    struct limits limits;
    struct error error = {0};
    if (options.load) {
        bench_load(options.load); /* first, so that the peak memory is its own */
    }
    limits = measure_limits(options.n_threads);
    printf("%d threads; limits: FMA %.0f GFLOP/s, memory %.1f GB/s, random gather of "
           "128-byte rows %.1f GB/s; OpenBLAS kernels: %s\n",
           options.n_threads, limits.flops * 1e-9, limits.bandwidth * 1e-9,
           limits.gather * 1e-9, openblas_get_corename());
    for (int k = 20; k <= 128 && !options.only; k = k == 20 ? 64 : 2 * k) {
        bench_kernels(k);
    }
    fflush(stdout);
    if (options.small) {
        struct ratings *small = NULL;
        if (ratings_load(options.small, &small, &error) != 0) {
            die(error.message);
        }
        bench_als("small", small, 20, &options, &limits);
        bench_bpr("small", small, 20, &options, &limits);
        ratings_free(small);
    }
    if (options.n_ratings) {
        struct ratings *large = large_set_make(options.n_ratings);
        if (options.write) {
            large_set_write(large, options.write);
        }
        bench_large(large, &options, &limits);
        if (options.has_scaling) {
            bench_scaling(large, &options);
        }
        ratings_free(large);
    }
    if (options.peer) {
        bench_peer(&options);
    }
    return 0;
}
