/* cholesky_lanes.h - the kernel of cholesky.h for LANES systems side by side (8 or 16,
 * a register of the target), which a .c file defines before it includes this. Private
 * to trainer/cholesky*.c and their tests.
 *
 * Left-looking, four columns and PANEL_ROWS rows at a time, whose sums stay in
 * registers while four columns and the rows are loaded. By blocks of rows, which stay
 * in the first-level cache while the finished columns pass by. The sums of an element
 * do not depend on how many rows or lanes go along, so every width gives the same bytes
 * where the target can fuse a multiplication and an addition.
 */
#ifndef TRAINER_CHOLESKY_LANES_H
#define TRAINER_CHOLESKY_LANES_H

#include <math.h>
#include <string.h>

#include "trainer/cholesky_internal.h"
#include "trainer/kernel.h"
#include "trainer/normal.h"

#if !defined(LANES)
#define LANES 8 /* when it is compiled alone, to be checked */
#endif

#if LANES == 16
#define PANEL_ROWS 6  /* 24 sums, of 32 registers */
#define BLOCK      12 /* rows; a multiple of both */
#else
#define PANEL_ROWS 3 /* 12 sums, of 16 registers */
#define BLOCK      12
#endif
#define PANEL 4 /* columns */

typedef float vector __attribute__((vector_size(LANES * sizeof(float))));
typedef int32_t mask __attribute__((vector_size(LANES * sizeof(int32_t))));
typedef float eight __attribute__((vector_size(8 * sizeof(float))));
#define SHUFFLE __builtin_shufflevector

/* The 8 x 8 transpose: lane l of to[q] is lane q of from[l]. */
INLINE void transpose(const eight *from, eight *to)
{
    eight pair[8], quad[8];
    for (int i = 0; i < 8; i += 2) {
        pair[i] = SHUFFLE(from[i], from[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
        pair[i + 1] = SHUFFLE(from[i], from[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
    }
    for (int i = 0; i < 8; i += 4) {
        quad[i] = SHUFFLE(pair[i], pair[i + 2], 0, 1, 8, 9, 4, 5, 12, 13);
        quad[i + 1] = SHUFFLE(pair[i], pair[i + 2], 2, 3, 10, 11, 6, 7, 14, 15);
        quad[i + 2] = SHUFFLE(pair[i + 1], pair[i + 3], 0, 1, 8, 9, 4, 5, 12, 13);
        quad[i + 3] = SHUFFLE(pair[i + 1], pair[i + 3], 2, 3, 10, 11, 6, 7, 14, 15);
    }
    for (int i = 0; i < 4; i++) {
        to[i] = SHUFFLE(quad[i], quad[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
        to[i + 4] = SHUFFLE(quad[i], quad[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
    }
}

/* Interleaves the lower triangles: L[i * stride + j] holds element (i, j) of all. */
INLINE void interleave(const float *const *sums, int n, vector *L)
{
    const size_t stride = (size_t)normal_stride(n + 1);
    for (size_t i = 0; i <= (size_t)n; i++) {
        for (size_t j = 0; j <= i; j += 8) {
            for (int first = 0; first < LANES; first += 8) {
                eight from[8], to[8];
                for (int l = 0; l < 8; l++) {
                    memcpy(from + l, sums[first + l] + i * stride + j, sizeof *from);
                }
                transpose(from, to);
                for (size_t q = 0; q < 8; q++) {
                    memcpy((float *)(L + i * stride + j + q) + first, to + q,
                           sizeof *to);
                }
            }
        }
    }
}

/* Columns [j, j + width) of rows [i, i + n_rows) lose what the columns before j
 * explain. */
INLINE void update(vector *L, size_t stride, int i, int j, const int n_rows,
                   const int width, const int is_wide)
{
    vector sum[PANEL_ROWS * PANEL] = {{0}};
    vector *row = L + (size_t)i * stride;
    const vector *column = L + (size_t)j * stride;
    for (int p = 0; p < j; p++) {
        vector a[PANEL];
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) {
            a[c] = column[(size_t)c * stride + (size_t)p];
            if (is_wide) {
                KEEP_IN_REGISTER(a[c]);
            }
        }
#pragma GCC unroll 6
        for (int r = 0; r < n_rows; r++) {
#pragma GCC unroll 4
            for (int c = 0; c < width; c++) {
                sum[r * width + c] += row[(size_t)r * stride + (size_t)p] * a[c];
            }
        }
    }
#pragma GCC unroll 6
    for (int r = 0; r < n_rows; r++) {
#pragma GCC unroll 4
        for (int c = 0; c < width; c++) {
            row[(size_t)r * stride + (size_t)(j + c)] -= sum[r * width + c];
        }
    }
}

/* Solves columns [j, j + width) of a row that was updated, against the rows of the
 * panel's diagonal block, whose diagonal holds reciprocals. */
INLINE void finish(vector *L, size_t stride, int i, int j, const int width)
{
    vector *at = L + (size_t)i * stride + (size_t)j;
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) {
        const vector *row = L + (size_t)(j + c) * stride + (size_t)j;
        vector rest = at[c];
#pragma GCC unroll 4
        for (int d = 0; d < c; d++) {
            rest -= at[d] * row[d];
        }
        at[c] = rest * row[c];
    }
}

/* Replaces the pivot by the reciprocal of its root; notes in *good the lanes where
 * there is one. */
INLINE void take_root(vector *pivot, mask *good)
{
    const mask is_good = *pivot > 0; /* false for NAN */
    const vector one = (vector){0} + 1;
    const vector d = (vector)(((mask)*pivot & is_good) | ((mask)one & ~is_good));
    vector root;
    for (int l = 0; l < LANES; l++) {
        root[l] = sqrtf(d[l]);
    }
    *pivot = one / root;
    *good &= is_good;
}

/* The diagonal block [j, j + width) of a panel. */
INLINE void finish_block(vector *L, size_t stride, int j, const int width, mask *good)
{
#pragma GCC unroll 4
    for (int c = 0; c < width; c++) {
        vector *row = L + (size_t)(j + c) * stride + (size_t)j;
        finish(L, stride, j + c, j, c);
#pragma GCC unroll 4
        for (int d = 0; d < c; d++) {
            row[c] -= row[d] * row[d];
        }
        take_root(row + c, good);
    }
}

/* Columns [j, j + width) of rows [first, end), which all lie at or below row j. */
INLINE void factorise_rows(vector *L, size_t stride, int first, int end, int j,
                           const int width, const int is_wide)
{
    int i = first;
    for (; i + PANEL_ROWS <= end; i += PANEL_ROWS) {
        update(L, stride, i, j, PANEL_ROWS, width, is_wide);
    }
    for (; i < end; i++) {
        update(L, stride, i, j, 1, width, is_wide);
    }
}

/* Rows [first, end) of the columns of a panel. */
struct part {
    int first, end;
    int panel; /* its first column, at most `first` */
};

INLINE void factorise_part(vector *L, size_t stride, struct part part, const int width,
                           const int is_wide, mask *good)
{
    const int j = part.panel;
    factorise_rows(L, stride, part.first, part.end, j, width, is_wide);
    if (part.first == j) {
        finish_block(L, stride, j, width, good);
        part.first += width;
    }
    for (int i = part.first; i < part.end; i++) {
        finish(L, stride, i, j, width);
    }
}

/* Factorises in place; row n, the right side, becomes L^-1 b on the way. The diagonal
 * of L is not needed again, its reciprocal is: that is what is stored there. Returns
 * the lanes that failed. */
INLINE unsigned factorise(vector *L, int n, const int is_wide)
{
    const size_t stride = (size_t)normal_stride(n + 1);
    mask good = ~(mask){0};
    unsigned bad = 0;
    for (int first = 0; first <= n; first += BLOCK) {
        const int end = first + BLOCK < n + 1 ? first + BLOCK : n + 1;
        for (int j = 0; j < n && j < end;) {
            const struct part part = {j < first ? first : j, end, j};
            if (j + PANEL <= n) {
                factorise_part(L, stride, part, PANEL, is_wide, &good);
                j += PANEL;
            } else {
                factorise_part(L, stride, part, 1, is_wide, &good);
                j++;
            }
        }
    }
    for (int l = 0; l < LANES; l++) {
        bad |= (unsigned)(good[l] == 0) << l;
    }
    return bad;
}

/* z = L^-T w, column by column: w is row n. */
INLINE void substitute_back(vector *L, int n)
{
    const size_t stride = (size_t)normal_stride(n + 1);
    vector *w = L + (size_t)n * stride;
    for (int i = n - 1; i >= 0; i--) {
        const vector *row = L + (size_t)i * stride;
        const vector z = w[i] * row[i];
        w[i] = z;
        for (int p = 0; p < i; p++) {
            w[p] -= row[p] * z;
        }
    }
}

/* Systems [first, first + LANES) of the job. */
INLINE unsigned solve(const struct cholesky_job *job, int first, const int is_wide)
{
    const int n = job->n;
    vector *L = (vector *)(void *)job->scratch;
    const size_t stride = (size_t)normal_stride(n + 1);
    vector r;
    interleave(job->sums + first, n, L);
    memcpy(&r, job->ridge + first, sizeof r);
    for (int i = 0; i < n - 1; i++) {
        L[(size_t)i * (stride + 1)] += r;
    }
    memcpy(&r, job->last_ridge + first, sizeof r);
    L[(size_t)(n - 1) * (stride + 1)] += r;
    const unsigned bad = factorise(L, n, is_wide);
    vector *w = L + (size_t)n * stride;
    for (int i = 0; job->noise && i < n; i++) {
        memcpy(&r, job->noise + (size_t)i * CHOLESKY_LANES + first, sizeof r);
        w[i] += r;
    }
    substitute_back(L, n);
    for (int i = 0; i < n; i++) {
        for (int l = 0; l < LANES; l++) {
            job->z[(size_t)(first + l) * (size_t)n + (size_t)i] = w[i][l];
        }
    }
    return bad << first;
}

#endif
