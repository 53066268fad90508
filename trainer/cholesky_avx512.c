/* Sixteen systems at once, for processors with AVX-512. Compiled with
 * -ffp-contract=fast, as cholesky.c. */
#define LANES 16
#include "trainer/cholesky_lanes.h"

#if defined(__x86_64__)
__attribute__((target("avx512f,avx512vl"))) unsigned
cholesky_solve_avx512(const struct cholesky_job *job)
{
    return solve(job, 0, 1);
}
#endif
