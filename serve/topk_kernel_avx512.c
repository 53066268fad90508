/* topk_kernel_avx512.c - the scan for processors with AVX-512 and its byte dot products
 * (VNNI), which add four products of a code and a user code in one instruction, without
 * an intermediate of 16 bits. The same scores as AVX2's, to the bit.
 *
 * tests/test_topk_avx512.c compiles this file on any processor, against an emulation of
 * the instructions; hence EMULATED.
 */
#include "serve/topk_kernel.h"

#if defined(__x86_64__)

#include <stdbool.h>

#if !defined(EMULATED)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512vnni")))
#else
#define AVX512
#endif

#define LANES 16               /* items in a register */
#define GROUP (4 * TOPK_CHUNK) /* bytes of codes */

/* Sums of the four quarters of a chunk: not an array, which gcc keeps in memory. */
struct sums {
    __m512i a, b, c, d;
};

AVX512 static inline __attribute__((always_inline)) struct sums
add_group(struct sums sums, const uint8_t *codes, const int8_t *user)
{
    int32_t four;
    __builtin_memcpy(&four, user, sizeof four);
    const __m512i u = _mm512_set1_epi32(four);
    /* Without it codes from beyond the cache come at three quarters of the speed. */
    for (int line = 0; line < GROUP; line += 64) {
        __builtin_prefetch(codes + TOPK_LOOK_AHEAD + line);
    }
    sums.a = _mm512_dpbusd_epi32(sums.a, _mm512_loadu_si512(codes), u);
    sums.b = _mm512_dpbusd_epi32(sums.b, _mm512_loadu_si512(codes + GROUP / 4), u);
    sums.c = _mm512_dpbusd_epi32(sums.c, _mm512_loadu_si512(codes + GROUP / 2), u);
    sums.d = _mm512_dpbusd_epi32(sums.d, _mm512_loadu_si512(codes + GROUP / 4 * 3), u);
    return sums;
}

/* Bit i: item i of a quarter is not out. */
AVX512 static inline __attribute__((always_inline)) uint64_t
compare(__m512i sums, const struct topk_scan *scan, int quarter)
{
    const __m512 bias = _mm512_mul_ps(_mm512_loadu_ps(scan->bias + LANES * quarter),
                                      _mm512_set1_ps(scan->bias_weight));
    const __m512 score =
        _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums), _mm512_set1_ps(scan->scale), bias);
    const uint64_t bits =
        _mm512_cmp_ps_mask(score, _mm512_set1_ps(scan->least), _CMP_GE_OQ);
    return bits << (LANES * quarter);
}

/* Whether one of the items could be in, had each the largest bias. Score and bound are
 * rounded alike, so the bound is not below: 0 here is 0 there. */
AVX512 static inline __attribute__((always_inline)) bool
is_in_reach(struct sums sums, const struct topk_scan *scan)
{
    const __m512i most = _mm512_max_epi32(_mm512_max_epi32(sums.a, sums.b),
                                          _mm512_max_epi32(sums.c, sums.d));
    const __m512 bound =
        _mm512_fmadd_ps(_mm512_cvtepi32_ps(most), _mm512_set1_ps(scan->scale),
                        _mm512_set1_ps(scan->top_bias));
    return _mm512_cmp_ps_mask(bound, _mm512_set1_ps(scan->least), _CMP_GE_OQ) != 0;
}

/* Two sums of each item, of even and of odd groups: four alone keep the unit waiting,
 * for a product is added some cycles after it began. A group without a partner comes
 * first: behind the loop it makes gcc copy the sums to and fro inside. */
AVX512 uint64_t topk_scan_avx512(const struct topk_scan *scan)
{
    const __m512i zero = _mm512_setzero_si512();
    const __m512i offset = _mm512_set1_epi32(-scan->offset);
    struct sums even = {offset, offset, offset, offset}, odd = {zero, zero, zero, zero};
    const uint8_t *codes = scan->codes;
    const int8_t *user = scan->user;
    if (scan->n_groups % 2) {
        odd = add_group(odd, codes, user);
        codes += GROUP;
        user += 4;
    }
    for (int32_t pairs = scan->n_groups / 2; pairs > 0; pairs--) {
        even = add_group(even, codes, user);
        odd = add_group(odd, codes + GROUP, user + 4);
        codes += 2 * GROUP;
        user += 8;
    }
    const struct sums sums = {
        _mm512_add_epi32(even.a, odd.a), _mm512_add_epi32(even.b, odd.b),
        _mm512_add_epi32(even.c, odd.c), _mm512_add_epi32(even.d, odd.d)};
    if (!is_in_reach(sums, scan)) {
        return 0;
    }
    return compare(sums.a, scan, 0) | compare(sums.b, scan, 1) |
           compare(sums.c, scan, 2) | compare(sums.d, scan, 3);
}

#endif
