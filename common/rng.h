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

uint64_t rng_next(struct rng *rng); /* uniform over all 64-bit values */

/* Uniform in [0, n), n > 0, without modulo bias (Lemire, ACM TOMACS 29 (2019) 3). */
uint64_t rng_below(struct rng *rng, uint64_t n);

double rng_uniform(struct rng *rng); /* uniform in [0, 1), 53 bits */

double rng_normal(struct rng *rng); /* standard normal, Box-Muller, two draws each */

#endif
