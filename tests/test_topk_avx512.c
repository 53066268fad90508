/* The AVX-512 scan on any processor: its source, compiled against SIMD Everywhere's
 * emulation of the instructions, and, where the processor has them, the real one and
 * AVX2's, whose scores are the same. */
#include "tests/testing.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/rng.h"
#include "serve/topk_kernel.h"

#if defined(__x86_64__)

#define SIMDE_ENABLE_NATIVE_ALIASES
#include <simde/x86/avx512.h>

/* The one that it does not have. */
static simde__m512 emulated_cvtepi32_ps(simde__m512i whole)
{
    int32_t from[16];
    float to[16];
    memcpy(from, &whole, sizeof from);
    for (int i = 0; i < 16; i++) {
        to[i] = (float)from[i];
    }
    return simde_mm512_loadu_ps(to);
}
#undef _mm512_cvtepi32_ps
#define _mm512_cvtepi32_ps emulated_cvtepi32_ps

topk_scan_function scan_emulated;
#define EMULATED
#define topk_scan_avx512 scan_emulated
#include "serve/topk_kernel_avx512.c" /* NOLINT(bugprone-suspicious-include) */
#undef topk_scan_avx512

#define MOST_GROUPS 33

/* A score as the header of the layout defines it, rounded as a fused multiply-add. */
static float score_naive(const struct topk_scan *scan, int i)
{
    int32_t sum = -scan->offset;
    for (int32_t f = 0; f < 4 * scan->n_groups; f++) {
        const int64_t group = f / 4;
        sum += scan->codes[(group * TOPK_CHUNK + i) * 4 + f % 4] * scan->user[f];
    }
    return fmaf((float)sum, scan->scale, scan->bias[i] * scan->bias_weight);
}

static uint64_t scan_naive(const struct topk_scan *scan)
{
    uint64_t mask = 0;
    for (int i = 0; i < TOPK_CHUNK; i++) {
        mask |= (uint64_t)(score_naive(scan, i) >= scan->least) << i;
    }
    return mask;
}

static uint8_t codes[MOST_GROUPS * TOPK_CHUNK * 4 + TOPK_LOOK_AHEAD];
static int8_t user[MOST_GROUPS * 4];
static float bias[TOPK_CHUNK];

/* `extreme`: every code and user code at an end of its range. */
static void draw(struct rng *rng, struct topk_scan *scan, bool extreme)
{
    scan->n_groups = (int32_t)rng_below(rng, MOST_GROUPS + 1);
    int32_t sum = 0;
    for (int32_t f = 0; f < 4 * scan->n_groups; f++) {
        user[f] = (int8_t)(extreme ? (rng_below(rng, 2) ? 63 : -63)
                                   : (int)rng_below(rng, 127) - 63);
        sum += user[f];
    }
    for (size_t i = 0; i < sizeof codes; i++) {
        codes[i] = (uint8_t)(extreme ? (rng_below(rng, 2) ? 255 : 1)
                                     : 1 + (int)rng_below(rng, 255));
    }
    const bool is_level = rng_below(rng, 4) == 0;
    for (int i = 0; i < TOPK_CHUNK; i++) {
        bias[i] = is_level && i > 0 ? bias[0] : (float)rng_normal(rng);
    }
    scan->offset = 128 * sum;
    scan->scale = (float)(1e-4 * (1 + rng_uniform(rng)));
    scan->bias_weight = (float)rng_below(rng, 4) / 2 - 0.5F;
    scan->top_bias = -INFINITY;
    for (int i = 0; i < TOPK_CHUNK; i++) {
        scan->top_bias = fmaxf(scan->top_bias, bias[i] * scan->bias_weight);
    }
    scan->least = (float)rng_normal(rng);
    if (is_level) { /* the best score: all are out but for its own, which is just in */
        scan->scale = 0x1p-13F; /* exact: the emulation rounds product and sum */
        scan->least = score_naive(scan, 0);
        for (int i = 1; i < TOPK_CHUNK; i++) {
            scan->least = fmaxf(scan->least, score_naive(scan, i));
        }
    } else if (rng_below(rng, 4) == 0) { /* a score of its own: "or more" */
        const int32_t item = (int32_t)rng_below(rng, TOPK_CHUNK);
        scan->scale = 0;
        scan->least = bias[item] * scan->bias_weight;
    }
}

static void vector_scans_are_the_naive_one(void **state)
{
    (void)state;
    struct rng rng;
    int n_neither = 0;
    rng_init(&rng, 5, 0);
    const bool is_native =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
    const bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    topk_scan_function *scan_avx2 = topk_kernel_within(TOPK_AVX2).scan;
    for (int i = 0; i < 4000; i++) {
        struct topk_scan scan = {.codes = codes, .user = user, .bias = bias};
        draw(&rng, &scan, i % 5 == 0);
        if (i % 100 == 1) {
            scan.least = i % 200 == 1 ? -INFINITY : INFINITY;
        }
        const uint64_t expected = scan_naive(&scan);
        n_neither += expected != 0 && expected != UINT64_MAX;
        assert_int_equal(scan_emulated(&scan), expected);
        if (is_native) {
            assert_int_equal(topk_scan_avx512(&scan), expected);
        }
        if (has_avx2) {
            assert_int_equal(scan_avx2(&scan), expected);
        }
    }
    assert_true(n_neither > 2000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(vector_scans_are_the_naive_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

int main(void)
{
    return 0; /* no such processor, no such scan */
}

#endif
