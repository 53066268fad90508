/* cholesky.h - solves sixteen small positive definite systems at once, one in each
 * lane.
 *
 * A factorisation of order 21 is 3,000 multiplications in short dependent loops; LAPACK
 * spends longer getting started. Eight or sixteen of them side by side fill the vectors
 * at any order. bench_trainer shows both.
 *
 * A system is given with its right side as one more row: the (n + 1, n + 1) lower
 * triangle of [A, b; b^T, .], as normal.h accumulates it from rows [y, x].
 */
#ifndef TRAINER_CHOLESKY_H
#define TRAINER_CHOLESKY_H

#include <stddef.h>
#include <stdint.h>

#define CHOLESKY_LANES 16

/* Floats of scratch for order n; allocate with normal_alloc. */
size_t cholesky_scratch(int n);

/* Solves (A_l + diag(ridge_l, ..., ridge_l, last_ridge_l)) z_l = b_l for lanes l in
 * [0, CHOLESKY_LANES).
 *
 * sums[l] is system l as normal_add leaves it for n + 1 columns. noise is NULL, or
 * (n, CHOLESKY_LANES): then z_l is a draw from the normal distribution with the
 * solution as mean and the inverse matrix as covariance, if noise is standard normal.
 * z (CHOLESKY_LANES, n) row-major. A lane whose matrix is not positive definite sets
 * its bit in the result and has no meaning in z. */
unsigned cholesky_solve(const float *const sums[CHOLESKY_LANES], int n,
                        const float ridge[CHOLESKY_LANES],
                        const float last_ridge[CHOLESKY_LANES], const float *noise,
                        float *scratch, float *z);

#endif
