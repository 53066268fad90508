/* topk_kernel_avx512.c - the scan for processors with AVX-512 and its byte dot products
 * (VNNI), which add four products of a code and a user code in one instruction, without
 * an intermediate of 16 bits. The same scores as AVX2's, to the bit.
 *
 * tests/test_topk_avx512.c compiles this file on any processor, against an emulation of
 * the instructions; hence EMULATED.
 */
#include "serve/topk_kernel.h"

#if defined(__x86_64__)

#if !defined(EMULATED)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f,avx512vnni")))
#else
#define AVX512
#endif

#define LANES 16 /* items in a register */

AVX512 uint64_t topk_scan_avx512(const struct topk_scan *scan)
{
    __m512i sums[TOPK_CHUNK / LANES];
    const uint8_t *codes = scan->codes;
    const int8_t *user = scan->user;
    for (int j = 0; j < TOPK_CHUNK / LANES; j++) {
        sums[j] = _mm512_set1_epi32(-scan->offset);
    }
    for (int32_t g = 0; g < scan->n_groups; g++, codes += 4 * TOPK_CHUNK, user += 4) {
        int32_t four;
        __builtin_memcpy(&four, user, sizeof four);
        const __m512i u = _mm512_set1_epi32(four);
        for (int j = 0; j < TOPK_CHUNK / LANES; j++) {
            const __m512i code = _mm512_loadu_si512(codes + (ptrdiff_t)4 * LANES * j);
            sums[j] = _mm512_dpbusd_epi32(sums[j], code, u);
        }
    }
    const __m512 scale = _mm512_set1_ps(scan->scale);
    const __m512 weight = _mm512_set1_ps(scan->bias_weight);
    const __m512 least = _mm512_set1_ps(scan->least);
    uint64_t mask = 0;
    for (int j = 0; j < TOPK_CHUNK / LANES; j++) {
        const __m512 bias =
            _mm512_mul_ps(_mm512_loadu_ps(scan->bias + (ptrdiff_t)LANES * j), weight);
        const __m512 score = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sums[j]), scale, bias);
        const uint64_t bits = _mm512_cmp_ps_mask(score, least, _CMP_GE_OQ);
        mask |= bits << (LANES * j);
    }
    return mask;
}

#endif
