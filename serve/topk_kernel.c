#include "serve/topk_kernel.h"

#include <stdbool.h>
#if defined(__x86_64__)
#include <immintrin.h>
#endif

static uint64_t scan_portable(const struct topk_scan *scan)
{
    int32_t sums[TOPK_CHUNK] = {0};
    const uint8_t *codes = scan->codes;
    for (int32_t g = 0; g < scan->n_groups; g++) {
        const int8_t *u = scan->user + 4 * (int64_t)g;
        for (int i = 0; i < TOPK_CHUNK; i++, codes += 4) {
            sums[i] +=
                codes[0] * u[0] + codes[1] * u[1] + codes[2] * u[2] + codes[3] * u[3];
        }
    }
    uint64_t mask = 0;
    for (int i = 0; i < TOPK_CHUNK; i++) {
        const float score = (float)(sums[i] - scan->offset) * scan->scale +
                            scan->bias_weight * scan->bias[i];
        mask |= (uint64_t)(score >= scan->least) << i;
    }
    return mask;
}

static float dot_portable(const float *a, const float *b, int32_t n)
{
    float sums[4] = {0, 0, 0, 0};
    int32_t i = 0;
    for (; i + 4 <= n; i += 4) {
        for (int j = 0; j < 4; j++) {
            sums[j] += a[i + j] * b[i + j];
        }
    }
    for (; i < n; i++) {
        sums[0] += a[i] * b[i];
    }
    return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

#if defined(__x86_64__)

#define AVX2 __attribute__((target("avx2,fma")))

/* Products of a code in 1..255 and a user code in -63..63: two of them stay within 16
 * bits (2 * 255 * 63 = 32130), so vpmaddubsw does not saturate. */
AVX2 static inline __m256i add_products(__m256i sum, const uint8_t *codes, __m256i user)
{
    const __m256i code = _mm256_loadu_si256((const __m256i *)(const void *)codes);
    const __m256i pairs = _mm256_maddubs_epi16(code, user);
    return _mm256_add_epi32(sum, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}

AVX2 static uint64_t scan_avx2(const struct topk_scan *scan)
{
    const __m256i offset = _mm256_set1_epi32(-scan->offset);
    __m256i sums[8];
    const uint8_t *codes = scan->codes;
    const int8_t *user = scan->user;
    for (int j = 0; j < 8; j++) {
        sums[j] = offset;
    }
    for (int32_t g = 0; g < scan->n_groups; g++, codes += 256, user += 4) {
        int32_t four;
        __builtin_memcpy(&four, user, sizeof four);
        const __m256i u = _mm256_set1_epi32(four);
        for (int j = 0; j < 8; j++) {
            sums[j] = add_products(sums[j], codes + 32 * j, u);
        }
    }
    const __m256 scale = _mm256_set1_ps(scan->scale);
    const __m256 weight = _mm256_set1_ps(scan->bias_weight);
    const __m256 least = _mm256_set1_ps(scan->least);
    /* As topk_kernel_avx512.c: rounded as the scores are, so never below. */
    __m256i most = sums[0];
    for (int j = 1; j < 8; j++) {
        most = _mm256_max_epi32(most, sums[j]);
    }
    const __m256 bound = _mm256_fmadd_ps(_mm256_cvtepi32_ps(most), scale,
                                         _mm256_set1_ps(scan->top_bias));
    if (!_mm256_movemask_ps(_mm256_cmp_ps(bound, least, _CMP_GE_OQ))) {
        return 0;
    }
    uint64_t mask = 0;
    for (int j = 0; j < 8; j++) {
        const __m256 bias = _mm256_mul_ps(_mm256_loadu_ps(scan->bias + 8 * j), weight);
        const __m256 score = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums[j]), scale, bias);
        const int bits = _mm256_movemask_ps(_mm256_cmp_ps(score, least, _CMP_GE_OQ));
        mask |= (uint64_t)(unsigned)bits << (8 * j);
    }
    return mask;
}

AVX2 static float dot_avx2(const float *a, const float *b, int32_t n)
{
    __m256 sum = _mm256_setzero_ps();
    int32_t i = 0;
    for (; i + 8 <= n; i += 8) {
        sum = _mm256_fmadd_ps(_mm256_loadu_ps(a + i), _mm256_loadu_ps(b + i), sum);
    }
    __m128 four =
        _mm_add_ps(_mm256_castps256_ps128(sum), _mm256_extractf128_ps(sum, 1));
    if (i + 4 <= n) {
        four = _mm_fmadd_ps(_mm_loadu_ps(a + i), _mm_loadu_ps(b + i), four);
        i += 4;
    }
    four = _mm_add_ps(four, _mm_movehl_ps(four, four));
    four = _mm_add_ss(four, _mm_movehdup_ps(four));
    float total = _mm_cvtss_f32(four);
    for (; i < n; i++) {
        total += a[i] * b[i];
    }
    return total;
}

struct topk_kernel topk_kernel_within(enum topk_instructions most)
{
    const bool has_avx2 =
        __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    const bool has_byte_products =
        __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vnni");
    if (!has_avx2 || most == TOPK_PORTABLE) {
        return (struct topk_kernel){scan_portable, dot_portable};
    }
    return (struct topk_kernel){
        has_byte_products && most != TOPK_AVX2 ? topk_scan_avx512 : scan_avx2,
        dot_avx2};
}

#else

struct topk_kernel topk_kernel_within(enum topk_instructions most)
{
    (void)most;
    return (struct topk_kernel){scan_portable, dot_portable};
}

#endif
