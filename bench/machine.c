#include "bench/machine.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "common/rng.h"
#include "trainer/normal.h"

static volatile float sink;

double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void die(const char *what)
{
    fprintf(stderr, "bench_trainer: %s\n", what);
    exit(1);
}

void *need(void *memory)
{
    return memory ? memory : (die("no memory"), NULL);
}

typedef float vector __attribute__((vector_size(32)));
typedef float wide __attribute__((vector_size(64)));

#define FMA_STEPS 20000000
#define FMA_SUMS  12 /* that do not wait for each other, and fit AVX2's registers */

#define FMA_CHAIN(type)                                                                \
    type sum[FMA_SUMS], a, b;                                                          \
    for (size_t l = 0; l < sizeof a / sizeof a[0]; l++) {                              \
        a[l] = 0.999F;                                                                 \
        b[l] = 0.001F;                                                                 \
    }                                                                                  \
    for (int i = 0; i < FMA_SUMS; i++) {                                               \
        sum[i] = a * (float)i;                                                         \
    }                                                                                  \
    for (int step = 0; step < FMA_STEPS; step++) {                                     \
        _Pragma("GCC unroll 12") for (int i = 0; i < FMA_SUMS; i++)                    \
        {                                                                              \
            sum[i] = sum[i] * a + b;                                                   \
        }                                                                              \
    }                                                                                  \
    for (int i = 1; i < FMA_SUMS; i++) {                                               \
        sum[0] += sum[i];                                                              \
    }                                                                                  \
    return sum[0][0] + sum[0][5];

#define FUSED optimize("fp-contract=fast")

#if defined(__x86_64__)
__attribute__((target("avx512f"), FUSED)) static float fma_chain_wide(void)
{
    FMA_CHAIN(wide)
}

__attribute__((target("avx2,fma"), FUSED))
#endif
static float
fma_chain(void)
{
    FMA_CHAIN(vector)
}

static double measure_flops(int n_threads)
{
    float (*chain)(void) = fma_chain;
    size_t lanes = sizeof(vector) / sizeof(float);
    double best = 0;
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        chain = fma_chain_wide;
        lanes = sizeof(wide) / sizeof(float);
    }
#endif
    for (int repeat = 0; repeat < 3; repeat++) {
        const double begin = now();
#pragma omp parallel num_threads(n_threads)
        sink = chain();
        const double rate = 2.0 * FMA_SUMS * (double)lanes * FMA_STEPS * n_threads /
                            (now() - begin) * n_threads;
        best = fmax(best, rate);
    }
    return best;
}

static double measure_bandwidth(int n_threads)
{
    const int64_t n = 64 << 20;
    float *data = need(malloc((size_t)n * sizeof *data));
    double best = 0;
#pragma omp parallel for num_threads(n_threads)
    for (int64_t i = 0; i < n; i++) {
        data[i] = (float)i;
    }
    for (int repeat = 0; repeat < 4; repeat++) {
        const double begin = now();
        float total = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : total)
        {
            vector sum[4] = {{0}};
#pragma omp for
            for (int64_t i = 0; i < n / 32; i++) {
                const vector *at = (const vector *)(const void *)(data + i * 32);
                for (int v = 0; v < 4; v++) {
                    sum[v] += at[v];
                }
            }
            total = sum[0][0] + sum[1][1] + sum[2][2] + sum[3][3];
        }
        sink = total;
        best = fmax(best, (double)n * 4 / (now() - begin) * n_threads);
    }
    free(data);
    return best;
}

static double measure_gather(int n_threads)
{
    const int32_t n_rows = 163840, n_reads = 8 << 20;
    float *rows = need(normal_alloc((size_t)n_rows * 32));
    int32_t *at = need(malloc((size_t)n_reads * sizeof *at));
    struct rng rng;
    double best = 0;
    rng_init(&rng, 1, 1);
    for (int32_t i = 0; i < n_reads; i++) {
        at[i] = (int32_t)rng_below(&rng, (uint64_t)n_rows);
    }
    for (int repeat = 0; repeat < 3; repeat++) {
        const double begin = now();
        float total = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : total)
        {
            vector sum[4] = {{0}};
#pragma omp for
            for (int32_t i = 0; i < n_reads; i++) {
                const vector *row = (const vector *)(const void *)(rows + at[i] * 32);
                if (i + 16 < n_reads) {
                    __builtin_prefetch(rows + at[i + 16] * 32);
                    __builtin_prefetch(rows + at[i + 16] * 32 + 16);
                }
                for (int v = 0; v < 4; v++) {
                    sum[v] += row[v];
                }
            }
            total = sum[0][0] + sum[1][1] + sum[2][2] + sum[3][3];
        }
        sink = total;
        best = fmax(best, (double)n_reads * 128 / (now() - begin) * n_threads);
    }
    free(at);
    normal_free(rows);
    return best;
}

struct limits measure_limits(int n_threads)
{
    return (struct limits){
        .flops = measure_flops(n_threads),
        .bandwidth = measure_bandwidth(n_threads),
        .gather = measure_gather(n_threads),
    };
}
