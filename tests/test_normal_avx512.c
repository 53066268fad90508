/* The AVX-512 sums of outer products on any processor: their source, compiled against
 * SIMD Everywhere's emulation of the instructions, and, where the processor has them,
 * the real ones. */
#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "trainer/normal_internal.h"

#if defined(__x86_64__)

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* The ones that it does not have, or does not round as the processor does. */
#define __mmask16 simde__mmask16

static simde__m512 emulated_fmadd_ps(simde__m512 a, simde__m512 b, simde__m512 c)
{
    float x[16], y[16], sum[16];
    memcpy(x, &a, sizeof x);
    memcpy(y, &b, sizeof y);
    memcpy(sum, &c, sizeof sum);
    for (int i = 0; i < 16; i++) {
        sum[i] = fmaf(x[i], y[i], sum[i]);
    }
    return simde_mm512_loadu_ps(sum);
}
#undef _mm512_fmadd_ps
#define _mm512_fmadd_ps emulated_fmadd_ps

static simde__m512 emulated_maskz_loadu_ps(__mmask16 mask, const float *from)
{
    float lanes[16];
    for (int i = 0; i < 16; i++) {
        lanes[i] = mask >> i & 1 ? from[i] : 0;
    }
    return simde_mm512_loadu_ps(lanes);
}
#define _mm512_maskz_loadu_ps emulated_maskz_loadu_ps

static void emulated_mask_storeu_ps(float *to, __mmask16 mask, simde__m512 value)
{
    float lanes[16];
    memcpy(lanes, &value, sizeof lanes);
    for (int i = 0; i < 16; i++) {
        if (mask >> i & 1) {
            to[i] = lanes[i];
        }
    }
}
#define _mm512_mask_storeu_ps emulated_mask_storeu_ps

normal_kernel add_emulated;
#define EMULATED
#define normal_add_avx512 add_emulated
#include "trainer/normal_avx512.c" /* NOLINT(bugprone-suspicious-include) */
#undef normal_add_avx512

/* By the definition in normal_internal.h: the products of an element in the order of
 * the rows, each fused, onto what was there. */
static void add_naive(struct normal_job *job)
{
    for (int i = 0; i < job->n_columns; i++) {
        for (int j = 0; j <= i; j++) {
            float sum = 0;
            for (int n = 0; n < job->n_rows; n++) {
                const float *row = job->rows + (ptrdiff_t)n * job->stride;
                sum = fmaf(row[i], row[j], sum);
            }
            job->sums[(ptrdiff_t)i * job->stride + j] += sum;
        }
    }
}

static void draw(float *values, int n_rows, int n_columns, struct rng *rng)
{
    const int stride = normal_stride(n_columns);
    for (int n = 0; n < n_rows; n++) {
        for (int f = 0; f < stride; f++) {
            values[n * stride + f] = f < n_columns ? (float)rng_normal(rng) : 0;
        }
    }
}

/* tolerance: 0 is to the bit, but for the sign of a zero. */
static void assert_kernel_is_naive(normal_kernel *kernel, double tolerance)
{
    struct rng rng;
    rng_init(&rng, 5, 1);
    for (int n_columns = 1; n_columns <= 150; n_columns++) {
        const int stride = normal_stride(n_columns), n_rows = 1 + n_columns * 11 % 64;
        const size_t size = (size_t)stride * (size_t)stride;
        float *rows = normal_alloc((size_t)n_rows * (size_t)stride);
        float *sums = normal_alloc(size), *expected = normal_alloc(size);
        assert_true(rows && sums && expected);
        draw(rows, n_rows, n_columns, &rng);
        draw(sums, stride, n_columns, &rng);
        memcpy(expected, sums, size * sizeof *sums);
        struct normal_job job = {.rows = rows,
                                 .n_rows = n_rows,
                                 .n_columns = n_columns,
                                 .stride = stride,
                                 .sums = sums,
                                 .work_a_line = 1};

        kernel(&job);
        job.sums = expected;
        add_naive(&job);

        for (int i = 0; i < n_columns; i++) {
            const float *row = sums + (ptrdiff_t)i * stride;
            const float *right = expected + (ptrdiff_t)i * stride;
            for (int j = 0; j <= i; j++) {
                assert_close((double)row[j], (double)right[j], tolerance);
            }
        }
        normal_free(rows);
        normal_free(sums);
        normal_free(expected);
    }
}

static void emulated_avx512_sums_are_the_naive_ones_to_the_bit(void **state)
{
    (void)state;
    assert_kernel_is_naive(add_emulated, 0);
}

static void avx512_sums_are_the_naive_ones_to_the_bit(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("avx512f")) {
        skip();
    }
    assert_kernel_is_naive(normal_add_avx512, 0);
}

static void avx2_sums_are_the_naive_ones_to_the_bit(void **state)
{
    (void)state;
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        skip();
    }
    assert_kernel_is_naive(normal_add_avx2, 0);
}

static void baseline_sums_are_the_naive_ones(void **state)
{
    (void)state;
    assert_kernel_is_naive(normal_add_baseline, 2e-5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(emulated_avx512_sums_are_the_naive_ones_to_the_bit),
        cmocka_unit_test(avx512_sums_are_the_naive_ones_to_the_bit),
        cmocka_unit_test(avx2_sums_are_the_naive_ones_to_the_bit),
        cmocka_unit_test(baseline_sums_are_the_naive_ones),
    };
    return cmocka_run_group_tests_name("normal_avx512", tests, NULL, NULL);
}

#else

int main(void)
{
    return 0;
}

#endif
