/* Compiled with -ffp-contract=fast; lanes do not meet, so which systems share a call
 * changes nothing. */
#define LANES 8
#include "trainer/cholesky_lanes.h"

size_t cholesky_scratch(int n)
{
    const size_t rows = (size_t)n + 1;
    return (rows * (size_t)normal_stride(n + 1) + (size_t)n) * CHOLESKY_LANES;
}

INLINE unsigned solve_all(const struct cholesky_job *job, const int is_wide)
{
    unsigned bad = 0;
    for (int first = 0; first < CHOLESKY_LANES; first += LANES) {
        bad |= solve(job, first, is_wide);
    }
    return bad;
}

#if defined(__x86_64__)
__attribute__((target("avx2,fma"))) unsigned
cholesky_solve_avx2(const struct cholesky_job *job)
{
    return solve_all(job, 1);
}
#endif

unsigned cholesky_solve_baseline(const struct cholesky_job *job)
{
    return solve_all(job, 0);
}

unsigned cholesky_solve(const float *const sums[CHOLESKY_LANES], int n,
                        const float ridge[CHOLESKY_LANES],
                        const float last_ridge[CHOLESKY_LANES], const float *noise,
                        float *scratch, float *z)
{
    const struct cholesky_job job = {sums, n, ridge, last_ridge, noise, scratch, z};
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx512f")) {
        return cholesky_solve_avx512(&job);
    }
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) {
        return cholesky_solve_avx2(&job);
    }
#endif
    return cholesky_solve_baseline(&job);
}
