/* cholesky_internal.h - the kernels of cholesky.h for each kind of processor. Private
 * to trainer/cholesky*.c and their tests. AVX2's solutions and AVX-512's are the same
 * bytes.
 */
#ifndef TRAINER_CHOLESKY_INTERNAL_H
#define TRAINER_CHOLESKY_INTERNAL_H

#include "trainer/cholesky.h"

/* The arguments of cholesky_solve. */
struct cholesky_job {
    const float *const *sums;
    int n;
    const float *ridge, *last_ridge, *noise;
    float *scratch, *z;
};

/* As cholesky_solve. */
typedef unsigned cholesky_kernel(const struct cholesky_job *job);

cholesky_kernel cholesky_solve_baseline;
#if defined(__x86_64__)
cholesky_kernel cholesky_solve_avx2, cholesky_solve_avx512;
#endif

#endif
