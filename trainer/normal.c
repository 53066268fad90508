/* Compiled with -ffp-contract=fast: a fused multiply-add is twice as fast, and here it
 * cannot make the number of threads matter, for each row is one thread's. */
#include "trainer/normal_internal.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/pages.h"
#include "trainer/kernel.h"

typedef float vector __attribute__((vector_size(NORMAL_LANES * sizeof(float))));

float *normal_alloc(size_t n_floats)
{
    if (n_floats > SIZE_MAX / 4 / sizeof(float)) {
        return NULL;
    }
    float *floats = pages_alloc(n_floats * sizeof *floats, NORMAL_ALIGNMENT);
    return floats ? memset(floats, 0, n_floats * sizeof *floats) : NULL;
}

void normal_free(float *floats)
{
    free(floats);
}

#define MAX_TILE 12 /* vectors, since AVX2 has 16 registers */

/* The part of row y in the n_tile_rows x n_vectors tile whose corner is (row, column).
 * is_wide: a vector is one register of the target. */
INLINE void add_row(const float *y, int row, int column, const int n_tile_rows,
                    const int n_vectors, const int is_wide, vector *sum)
{
    const vector *from = (const vector *)(const void *)(y + column);
    vector yv[6];
#pragma GCC unroll 6
    for (int v = 0; v < n_vectors; v++) {
        yv[v] = from[v];
        if (is_wide) {
            KEEP_IN_REGISTER(yv[v]);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_tile_rows; r++) {
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++) {
            sum[r * n_vectors + v] += y[row + r] * yv[v];
        }
    }
}

/* A tile of the sums, all of which stays in registers while the rows stream by. The two
 * sizes are constants where this is inlined, at most MAX_TILE vectors together. */
INLINE void add_tile(struct normal_job *job, int row, int column, const int n_tile_rows,
                     const int n_vectors, const int is_wide)
{
    const size_t stride = (size_t)job->stride;
    const float *y = job->rows;
    vector sum[MAX_TILE] = {{0}};
    for (int n = 0; n < job->n_rows;) {
        const int end =
            n + NORMAL_FETCH_ROWS < job->n_rows ? n + NORMAL_FETCH_ROWS : job->n_rows;
        normal_fetch(job, n_tile_rows * n_vectors * NORMAL_FETCH_ROWS);
        for (; n < end; n++, y += stride) {
            add_row(y, row, column, n_tile_rows, n_vectors, is_wide, sum);
        }
    }
#pragma GCC unroll 8
    for (int r = 0; r < n_tile_rows; r++) {
        vector *to =
            (vector *)(void *)(job->sums + (size_t)(row + r) * stride + column);
#pragma GCC unroll 6
        for (int v = 0; v < n_vectors; v++) {
            to[v] += sum[r * n_vectors + v];
        }
    }
}

#define TILE(rows, vectors)                                                            \
    case (rows)*8 + (vectors):                                                         \
        add_tile(job, row, column, rows, vectors, is_wide);                            \
        break;

INLINE void add_any_tile(struct normal_job *job, int row, int column, int n_tile_rows,
                         int n_vectors, const int is_wide)
{
    switch (n_tile_rows * 8 + n_vectors) {
        TILE(8, 1)
        TILE(4, 1)
        TILE(4, 2)
        TILE(4, 3)
        TILE(3, 1)
        TILE(3, 2)
        TILE(3, 3)
        TILE(3, 4)
        TILE(2, 1)
        TILE(2, 2)
        TILE(2, 3)
        TILE(2, 4)
        TILE(2, 5)
        TILE(2, 6)
    default:
        __builtin_unreachable();
    }
}

/* Rows of the next tile when `left` are left in a strip of 8 rows. Fewer than eight
 * sums would wait for each other: a multiplication takes four cycles, and two start in
 * each. One row alone takes a row of padding along. */
static inline int tile_height(int left, int n_vectors)
{
    if (left >= 8 && n_vectors == 1) {
        return 8;
    }
    return left >= 7 || left == 4 ? 4 : left >= 5 || left == 3 ? 3 : 2;
}

/* Rows [row, row + height) of the sums, n_vectors wide, in tiles of which none is much
 * narrower than the others. */
INLINE void add_strip(struct normal_job *job, int row, int height, int n_vectors,
                      const int is_wide)
{
    const int widest = MAX_TILE / height;
    for (int v = 0; v < n_vectors;) {
        const int left = n_vectors - v;
        const int width = left <= widest      ? left
                          : left < 2 * widest ? (left + 1) / 2
                                              : widest;
        add_any_tile(job, row, v * NORMAL_LANES, height, width, is_wide);
        v += width;
    }
}

INLINE void add_all(struct normal_job *job, const int is_wide)
{
    for (int strip = 0; strip < job->n_columns; strip += NORMAL_LANES) {
        const int n_vectors = strip / NORMAL_LANES + 1;
        const int left = job->n_columns - strip;
        const int end = left < NORMAL_LANES ? job->n_columns : strip + NORMAL_LANES;
        for (int row = strip; row < end;) {
            const int height = tile_height(end - row, n_vectors);
            add_strip(job, row, height, n_vectors, is_wide);
            row += height;
        }
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) void normal_add_avx2(struct normal_job *job)
{
    add_all(job, 1);
}
#endif

void normal_add_baseline(struct normal_job *job)
{
    add_all(job, 0);
}

static normal_kernel *best_kernel(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return normal_add_avx512;
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return normal_add_avx2;
    }
#endif
    return normal_add_baseline;
}

void normal_add_ahead(const float *rows, int n_rows, int n_columns, float *sums,
                      const struct normal_ahead *ahead)
{
    struct normal_job job = {
        .rows = rows,
        .n_rows = n_rows,
        .n_columns = n_columns,
        .stride = normal_stride(n_columns),
        .sums = sums,
        .ahead = *ahead,
    };
    const int n_vectors = job.stride / NORMAL_LANES;
    const int n_lines = job.stride * (int)sizeof(float) / NORMAL_CACHE_LINE + 1;
    const int work_a_row = NORMAL_LANES / 2 * n_vectors * (n_vectors + 1);
    job.work_a_line = work_a_row / n_lines + 1;
    best_kernel()(&job);
    while (job.ahead.n_rows > 0) {
        normal_fetch_line(&job);
    }
}

void normal_add(const float *rows, int n_rows, int n_columns, float *sums)
{
    const struct normal_ahead nothing = {0};
    normal_add_ahead(rows, n_rows, n_columns, sums, &nothing);
}
