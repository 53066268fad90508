/* normal_avx512.c - sums of outer products for processors with AVX-512: twice the
 * floats a register and twice the registers of AVX2. The same sums, to the bit.
 *
 * tests/test_normal_avx512.c compiles this file on any processor, against an emulation
 * of the instructions; hence EMULATED.
 */
#include "trainer/normal_internal.h"

#if defined(__x86_64__)

#if !defined(EMULATED)
#include <immintrin.h>
#define AVX512 __attribute__((target("avx512f")))
#else
#define AVX512
#endif

#include "trainer/kernel.h"

#define LANES    16
#define MAX_TILE 24 /* vectors, of 32 registers */
#define MAX_WIDE 6  /* vectors in a row of a tile */

/* The part of the rows in the height x width tile whose corner is (row, column): height
 * rows of `width` vectors, of the last of which `last` lanes are there. All of the tile
 * stays in registers while the rows stream by. */
AVX512 INLINE void add_tile(struct normal_job *job, int row, int column,
                            const int height, const int width, const __mmask16 last)
{
    const size_t stride = (size_t)job->stride;
    const float *y = job->rows;
    __m512 sum[MAX_TILE];
#pragma GCC unroll 24
    for (int i = 0; i < height * width; i++) {
        sum[i] = _mm512_setzero_ps();
    }
    for (int n = 0; n < job->n_rows;) {
        const int end =
            n + NORMAL_FETCH_ROWS < job->n_rows ? n + NORMAL_FETCH_ROWS : job->n_rows;
        normal_fetch(job, 2 * height * width * NORMAL_FETCH_ROWS);
        for (; n < end; n++, y += stride) {
            __m512 part[MAX_WIDE];
#pragma GCC unroll 6
            for (int v = 0; v < width; v++) {
                const float *from = y + column + v * LANES;
                part[v] = v < width - 1 ? _mm512_loadu_ps(from)
                                        : _mm512_maskz_loadu_ps(last, from);
            }
#pragma GCC unroll 16
            for (int r = 0; r < height; r++) {
                const __m512 factor = _mm512_set1_ps(y[row + r]);
#pragma GCC unroll 6
                for (int v = 0; v < width; v++) {
                    sum[r * width + v] =
                        _mm512_fmadd_ps(factor, part[v], sum[r * width + v]);
                }
            }
        }
    }
#pragma GCC unroll 16
    for (int r = 0; r < height; r++) {
#pragma GCC unroll 6
        for (int v = 0; v < width; v++) {
            float *to = job->sums + (size_t)(row + r) * stride + column + v * LANES;
            const __mmask16 lanes = v < width - 1 ? (__mmask16)0xffff : last;
            const __m512 before = _mm512_maskz_loadu_ps(lanes, to);
            _mm512_mask_storeu_ps(to, lanes, _mm512_add_ps(before, sum[r * width + v]));
        }
    }
}

#define TILE(rows, vectors)                                                            \
    case (rows)*8 + (vectors):                                                         \
        add_tile(job, row, column, rows, vectors, last);                               \
        break;

/* Not inlined: the compiler would keep its variants apart in one function of thousands
 * of instructions, whose registers it then spills. */
AVX512 static void add_any_tile(struct normal_job *job, int row, int column, int height,
                                int width, __mmask16 last)
{
    switch (height * 8 + width) {
        TILE(2, 1)
        TILE(4, 1)
        TILE(6, 1)
        TILE(8, 1)
        TILE(16, 1)
        TILE(2, 2)
        TILE(4, 2)
        TILE(6, 2)
        TILE(8, 2)
        TILE(2, 3)
        TILE(4, 3)
        TILE(6, 3)
        TILE(8, 3)
        TILE(2, 4)
        TILE(4, 4)
        TILE(6, 4)
        TILE(2, 5)
        TILE(4, 5)
        TILE(2, 6)
        TILE(4, 6)
    default:
        __builtin_unreachable();
    }
}

/* Rows of the next tile when `left` are left in a strip: even, so that an odd last one
 * takes a row of padding along. */
static inline int tile_height(int left, int width)
{
    const int even = (left + 1) / 2 * 2;
    const int most = width == 1 && even >= LANES ? LANES
                     : width <= 3                ? 8
                     : width == 4                ? 6
                                                 : 4;
    if (even <= most) {
        return even;
    }
    return even < 2 * most ? (even / 2 + 1) / 2 * 2 : most;
}

AVX512 void normal_add_avx512(struct normal_job *job)
{
    for (int strip = 0; strip < job->n_columns; strip += LANES) {
        const int n_vectors = strip / LANES + 1;
        const int beyond = n_vectors * LANES - job->stride; /* the rows' end */
        const __mmask16 last = (__mmask16)(0xffff >> (beyond > 0 ? beyond : 0));
        const int end = strip + LANES < job->n_columns ? strip + LANES : job->n_columns;
        const int n_parts = (n_vectors - 1) / MAX_WIDE + 1;
        for (int p = 0; p < n_parts; p++) {
            const int first = n_vectors * p / n_parts;
            const int width = n_vectors * (p + 1) / n_parts - first;
            for (int row = strip; row < end;) {
                const int height = tile_height(end - row, width);
                add_any_tile(job, row, first * LANES, height, width,
                             p + 1 < n_parts ? (__mmask16)0xffff : last);
                row += height;
            }
        }
    }
}

#endif
