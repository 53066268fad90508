/* normal.h - normal equations of many small least-squares problems: sums of outer
 * products, accumulated in registers.
 *
 * Alternating least squares spends its time in sum_n y_n y_n^T with some ten to a
 * hundred columns. A BLAS call per row of ratings costs more than its arithmetic there,
 * and ssyrk's kernels want larger matrices: bench_trainer shows both.
 */
#ifndef TRAINER_NORMAL_H
#define TRAINER_NORMAL_H

#include <stddef.h>
#include <stdint.h>

#define NORMAL_LANES     8  /* floats in a vector; rows are padded to a multiple */
#define NORMAL_BATCH     64 /* rows that are gathered before they are multiplied */
#define NORMAL_ALIGNMENT 64 /* bytes; rows and sums begin at a multiple */

/* Floats from one row to the next for rows of n_columns. */
static inline int normal_stride(int n_columns)
{
    return (n_columns + NORMAL_LANES - 1) / NORMAL_LANES * NORMAL_LANES;
}

/* sums += rows^T rows, lower triangle (and some of what stands above it, which means
 * nothing).
 *
 * rows (n_rows, stride) row-major with stride = normal_stride(n_columns), zeros behind
 * the columns; sums (stride, stride) row-major. Both aligned to NORMAL_ALIGNMENT.
 * Allocates nothing; the same result wherever it runs on one kind of processor. */
void normal_add(const float *rows, int n_rows, int n_columns, float *sums);

/* Rows that the caller gathers next: n_rows (>= 0) rows of `table`, which has the same
 * stride, by index. */
struct normal_ahead {
    const float *table;
    const int32_t *row; /* (n_rows) */
    int n_rows;
};

/* The same, and brings the rows `ahead` into the cache on the way, for a row gathered
 * from tens of megabytes costs more than its multiplications when it is waited for. */
void normal_add_ahead(const float *rows, int n_rows, int n_columns, float *sums,
                      const struct normal_ahead *ahead);

/* As malloc and free, aligned, zeroed. NULL when memory ran out. */
float *normal_alloc(size_t n_floats);
void normal_free(float *floats);

#endif
