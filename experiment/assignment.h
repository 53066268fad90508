/* assignment.h - which arm a unit is in: GrowthBook's public hash, version 2.
 *
 * bucket = fnv1a32(decimal(fnv1a32(seed + unit))) mod 10000 / 10000, over UTF-16 code
 * units; the arm is the one whose [start, start + coverage * weight) holds the bucket.
 * So any GrowthBook SDK computes the same arm. The function is frozen by test vectors:
 * changing it would move every user. It depends on seed and unit only, never on time,
 * process or thread.
 *
 * Source: GrowthBook SDK specification ("Hashing", version 2); FNV-1a: Fowler, Noll,
 * Vo.
 */
#ifndef EXPERIMENT_ASSIGNMENT_H
#define EXPERIMENT_ASSIGNMENT_H

#include <stdint.h>

#include "common/slice.h"
#include "experiment/config.h"

#define ASSIGNMENT_HASH_VERSION 2
#define ARM_NONE                (-1)

/* Bucket of a unit under a seed, one of 0.0000, 0.0001, ... 0.9999. Both are UTF-8; a
 * byte that is not valid UTF-8 counts as U+FFFD, as a decoder in any SDK would make of
 * it. */
double assignment_bucket(struct slice seed, struct slice unit);

/* The hash after `seed`, to go on from with units; what assignment_bucket_from takes.
 * An experiment keeps it, so that its seed is hashed once and not for every unit. */
uint32_t assignment_seed_state(struct slice seed);
double assignment_bucket_from(uint32_t seed_state, struct slice unit);

struct assignment {
    int arm;            /* index into experiment.arms, or ARM_NONE: takes no part */
    double bucket;      /* in [0, 1); 0 when the unit is empty */
    double probability; /* the arm's share among all units of the experiment's reach:
                           its weight; 0 when arm is ARM_NONE */
};

/* The arm of `unit` in a running experiment; ARM_NONE when the experiment is not
 * running, the unit is empty, outside the layer's range, or outside the coverage. */
struct assignment experiment_assign(const struct experiment *experiment,
                                    struct slice unit);

/* What a request of `unit` gets: `[serving]` overridden by each arm in `arms`
 * (config->n_experiments indices, ARM_NONE where it takes no part). */
struct serving config_resolve(const struct config *config, const int *arms);

#endif
