/* rng.h - the one random generator: xoshiro256++ (Blackman & Vigna, ACM TOMS 47 (2021)
 * 36), seeded through splitmix64 as its authors advise.
 *
 * The state is the caller's, so that every stream is reproducible and threads share
 * none. `rng_init` with another `stream` gives an unrelated sequence for the same seed.
 * Not for secrets.
 */
#ifndef COMMON_RNG_H
#define COMMON_RNG_H

#include <stdint.h>

struct rng {
    uint64_t s[4];
};

void rng_init(struct rng *rng, uint64_t seed, uint64_t stream);

/* Uniform over all 64-bit values. In the header, because loops that draw millions of
 * times must not pay for a call. */
static inline uint64_t rng_next(struct rng *rng)
{
    uint64_t *s = rng->s;
    const uint64_t sum = s[0] + s[3];
    const uint64_t result = (sum << 23 | sum >> 41) + s[0];
    const uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = s[3] << 45 | s[3] >> 19;
    return result;
}

/* Uniform in [0, n), n > 0, without modulo bias (Lemire, ACM TOMACS 29 (2019) 3). */
uint64_t rng_below(struct rng *rng, uint64_t n);

double rng_uniform(struct rng *rng); /* uniform in [0, 1), 53 bits */

double rng_normal(struct rng *rng); /* standard normal, Box-Muller, two draws each */

#endif
