/* Compiled with -ffp-contract=fast: a fused multiply-add is twice as fast, and here it
 * cannot make the number of threads matter, for each row is one thread's. */
#define _DEFAULT_SOURCE /* madvise */

#include "trainer/normal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

typedef float vector __attribute__((vector_size(NORMAL_LANES * sizeof(float))));

/* Rows are gathered at random from tens of megabytes: with small pages each needs a
 * walk through the page tables as well. */
#define HUGE_PAGE ((size_t)2 << 20)

#define INLINE static inline __attribute__((always_inline))

/* Otherwise gcc reads each vector again for each row of the tile, as an operand of the
 * multiplication, and the loads become the limit instead of the arithmetic. */
#if defined(__x86_64__)
#define KEEP_IN_REGISTER(v) __asm__("" : "+x"(v))
#else
#define KEEP_IN_REGISTER(v) (void)(v)
#endif

float *normal_alloc(size_t n_floats)
{
    const size_t alignment =
        n_floats * sizeof(float) >= HUGE_PAGE ? HUGE_PAGE : NORMAL_ALIGNMENT;
    if (n_floats > SIZE_MAX / 4 / sizeof(float)) {
        return NULL;
    }
    const size_t bytes = (n_floats * sizeof(float) + alignment) / alignment * alignment;
    float *floats = aligned_alloc(alignment, bytes);
    if (!floats) {
        return NULL;
    }
    if (alignment == HUGE_PAGE) {
        (void)madvise(floats, bytes, MADV_HUGEPAGE); /* only a hint */
    }
    return memset(floats, 0, bytes);
}

void normal_free(float *floats)
{
    free(floats);
}

/* What a sum is made of: as the arguments of normal_add. */
struct job {
    const float *rows;
    int n_rows;
    int stride;
    float *sums;
};

/* The n_tile_rows x n_vectors tile of the sums whose corner is (row, column): all of it
 * stays in registers while the rows stream by. The two sizes are constants where this
 * is inlined, at most 12 vectors together, since AVX2 has 16 registers. is_wide: a
 * vector is one register of the target. */
INLINE void add_tile(const struct job *job, int row, int column, const int n_tile_rows,
                     const int n_vectors, const int is_wide)
{
    const size_t stride = (size_t)job->stride;
    vector sum[12] = {{0}};
    for (int n = 0; n < job->n_rows; n++) {
        const float *y = job->rows + (size_t)n * stride;
        const vector *from = (const vector *)(const void *)(y + column);
        vector yv[3];
#pragma GCC unroll 3
        for (int v = 0; v < n_vectors; v++) {
            yv[v] = from[v];
            if (is_wide) {
                KEEP_IN_REGISTER(yv[v]);
            }
        }
#pragma GCC unroll 8
        for (int r = 0; r < n_tile_rows; r++) {
#pragma GCC unroll 3
            for (int v = 0; v < n_vectors; v++) {
                sum[r * n_vectors + v] += y[row + r] * yv[v];
            }
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_tile_rows; r++) {
        vector *to =
            (vector *)(void *)(job->sums + (size_t)(row + r) * stride + column);
#pragma GCC unroll 3
        for (int v = 0; v < n_vectors; v++) {
            to[v] += sum[r * n_vectors + v];
        }
    }
}

/* Rows [row, row + n_tile_rows) of the sums, n_vectors wide. */
INLINE void add_strip(const struct job *job, int row, int n_vectors,
                      const int n_tile_rows, const int is_wide)
{
    int v = 0;
    for (; v + 3 <= n_vectors; v += 3) {
        add_tile(job, row, v * NORMAL_LANES, n_tile_rows, 3, is_wide);
    }
    if (n_vectors - v == 2) {
        add_tile(job, row, v * NORMAL_LANES, n_tile_rows, 2, is_wide);
    } else if (n_vectors - v == 1) {
        add_tile(job, row, v * NORMAL_LANES, n_tile_rows, 1, is_wide);
    }
}

INLINE void add_all(const float *rows, int n_rows, int n_columns, float *sums,
                    const int is_wide)
{
    const struct job job = {rows, n_rows, normal_stride(n_columns), sums};
    for (int row = 0; row < n_columns; row += NORMAL_LANES) {
        const int n_vectors = row / NORMAL_LANES + 1;
        const int left = n_columns - row;
        if (left >= 8 && n_vectors == 1) {
            add_tile(&job, row, 0, 8, 1, is_wide);
            continue;
        }
        if (left > 2) {
            add_strip(&job, row, n_vectors, 4, is_wide);
        } else {
            add_strip(&job, row, n_vectors, 2, is_wide);
        }
        if (left > 6) {
            add_strip(&job, row + 4, n_vectors, 4, is_wide);
        } else if (left > 4) {
            add_strip(&job, row + 4, n_vectors, 2, is_wide);
        }
    }
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static void add_avx2(const float *rows, int n_rows,
                                                         int n_columns, float *sums)
{
    add_all(rows, n_rows, n_columns, sums, 1);
}

void normal_add(const float *rows, int n_rows, int n_columns, float *sums)
{
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        add_avx2(rows, n_rows, n_columns, sums);
    } else {
        add_all(rows, n_rows, n_columns, sums, 0);
    }
}

#else

void normal_add(const float *rows, int n_rows, int n_columns, float *sums)
{
    add_all(rows, n_rows, n_columns, sums, 0);
}

#endif
