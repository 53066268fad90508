/* Compiled with -ffp-contract=fast; lanes do not meet, so which systems share a call
 * changes nothing.
 *
 * Left-looking, two columns and four rows at a time: eight sums stay in registers while
 * six vectors are loaded for eight multiplications. */
#include "trainer/cholesky.h"

#include <math.h>
#include <string.h>

#include "trainer/normal.h"

typedef float vector __attribute__((vector_size(CHOLESKY_LANES * sizeof(float))));
#define SHUFFLE __builtin_shufflevector
#define INLINE  static inline __attribute__((always_inline))

size_t cholesky_scratch(int n)
{
    const size_t rows = (size_t)n + 1;
    return (rows * (size_t)normal_stride(n + 1) + (size_t)n) * CHOLESKY_LANES;
}

/* The 8 x 8 transpose: lane l of to[q] is lane q of from[l]. */
INLINE void transpose(const vector *from, vector *to)
{
    vector pair[8], quad[8];
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
INLINE void interleave(const float *const sums[CHOLESKY_LANES], int n, vector *L)
{
    const int stride = normal_stride(n + 1);
    for (int i = 0; i <= n; i++) {
        for (int j = 0; j <= i; j += CHOLESKY_LANES) {
            vector from[CHOLESKY_LANES];
            for (int l = 0; l < CHOLESKY_LANES; l++) {
                memcpy(&from[l], sums[l] + (size_t)i * (size_t)stride + j,
                       sizeof from[l]);
            }
            transpose(from, L + (size_t)i * (size_t)stride + j);
        }
    }
}

/* Replaces the diagonal element `at` of row `row` by the reciprocal of the factor's;
 * notes in *bad the lanes where there is none. */
INLINE void take_pivot(vector *row, int at, unsigned *bad)
{
    vector d = row[at];
    for (int p = 0; p < at; p++) {
        d -= row[p] * row[p];
    }
    for (int l = 0; l < CHOLESKY_LANES; l++) {
        const int is_good = d[l] > 0; /* false for NAN */
        *bad |= (unsigned)!is_good << l;
        row[at][l] = 1 / sqrtf(is_good ? d[l] : 1);
    }
}

/* Columns j and j + 1 of rows [i, i + n_rows), whose columns before j are done. */
INLINE void finish_rows(vector *L, size_t stride, int i, int j, const int n_rows)
{
    vector sum[4] = {{0}}, next[4] = {{0}};
    vector *row = L + (size_t)i * stride;
    const vector *a = L + (size_t)j * stride, *b = a + stride;
    for (int p = 0; p < j; p++) {
#pragma GCC unroll 4
        for (int r = 0; r < n_rows; r++) {
            sum[r] += row[(size_t)r * stride + (size_t)p] * a[p];
            next[r] += row[(size_t)r * stride + (size_t)p] * b[p];
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < n_rows; r++) {
        vector *at = row + (size_t)r * stride + (size_t)j;
        at[0] = (at[0] - sum[r]) * a[j];
        at[1] = (at[1] - next[r] - at[0] * b[j]) * b[j + 1];
    }
}

/* Column j of row i alone. */
INLINE void finish_one(vector *L, size_t stride, int i, int j)
{
    vector *row = L + (size_t)i * stride;
    const vector *a = L + (size_t)j * stride;
    vector rest = row[j];
    for (int p = 0; p < j; p++) {
        rest -= row[p] * a[p];
    }
    row[j] = rest * a[j];
}

/* Factorises in place; row n, the right side, becomes L^-1 b on the way. The diagonal
 * of L is not needed again, its reciprocal is: that is what is stored there. */
INLINE unsigned factorise(vector *L, int n)
{
    const size_t stride = (size_t)normal_stride(n + 1);
    unsigned bad = 0;
    int j = 0;
    for (; j + 1 < n; j += 2) {
        take_pivot(L + (size_t)j * stride, j, &bad);
        finish_one(L, stride, j + 1, j);
        take_pivot(L + (size_t)(j + 1) * stride, j + 1, &bad);
        int i = j + 2;
        for (; i + 4 <= n + 1; i += 4) {
            finish_rows(L, stride, i, j, 4);
        }
        for (; i + 2 <= n + 1; i += 2) {
            finish_rows(L, stride, i, j, 2);
        }
        for (; i <= n; i++) {
            finish_rows(L, stride, i, j, 1);
        }
    }
    if (j < n) {
        take_pivot(L + (size_t)j * stride, j, &bad);
        finish_one(L, stride, n, j);
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

INLINE unsigned solve(const float *const sums[CHOLESKY_LANES], int n,
                      const float *ridge, const float *last_ridge, const float *noise,
                      float *scratch, float *z)
{
    vector *L = (vector *)(void *)scratch;
    const size_t stride = (size_t)normal_stride(n + 1);
    vector r;
    interleave(sums, n, L);
    memcpy(&r, ridge, sizeof r);
    for (int i = 0; i < n - 1; i++) {
        L[(size_t)i * stride + (size_t)i] += r;
    }
    memcpy(&r, last_ridge, sizeof r);
    L[(size_t)(n - 1) * (stride + 1)] += r;
    const unsigned bad = factorise(L, n);
    vector *w = L + (size_t)n * stride;
    for (int i = 0; noise && i < n; i++) {
        memcpy(&r, noise + (size_t)i * CHOLESKY_LANES, sizeof r);
        w[i] += r;
    }
    substitute_back(L, n);
    for (int i = 0; i < n; i++) {
        for (int l = 0; l < CHOLESKY_LANES; l++) {
            z[(size_t)l * (size_t)n + (size_t)i] = w[i][l];
        }
    }
    return bad;
}

#if defined(__x86_64__)

__attribute__((target("avx2,fma"))) static unsigned
solve_avx2(const float *const sums[CHOLESKY_LANES], int n, const float *ridge,
           const float *last_ridge, const float *noise, float *scratch, float *z)
{
    return solve(sums, n, ridge, last_ridge, noise, scratch, z);
}

unsigned cholesky_solve(const float *const sums[CHOLESKY_LANES], int n,
                        const float ridge[CHOLESKY_LANES],
                        const float last_ridge[CHOLESKY_LANES], const float *noise,
                        float *scratch, float *z)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")
               ? solve_avx2(sums, n, ridge, last_ridge, noise, scratch, z)
               : solve(sums, n, ridge, last_ridge, noise, scratch, z);
}

#else

unsigned cholesky_solve(const float *const sums[CHOLESKY_LANES], int n,
                        const float ridge[CHOLESKY_LANES],
                        const float last_ridge[CHOLESKY_LANES], const float *noise,
                        float *scratch, float *z)
{
    return solve(sums, n, ridge, last_ridge, noise, scratch, z);
}

#endif
