/* assignment.h - which arm a unit is in: GrowthBook's public hash, version 2.
 *
 * bucket = fnv1a32(decimal(fnv1a32(seed + unit))) mod 10000 / 10000, over UTF-16 code
 * units; the arm is the one whose [start, start + coverage * weight) holds the bucket.
 * So any GrowthBook SDK computes the same arm. The function is frozen by test vectors:
 * changing it would move every user. The bucket depends on seed and unit only, never on
 * process or thread; whether an experiment takes units depends on the time and, where
 * it has an audience, on the request's attributes.
 *
 * Source: GrowthBook SDK specification ("Hashing", version 2); FNV-1a: Fowler, Noll,
 * Vo. Nothing here allocates; everything may be called from several threads.
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

/* Why a unit is in its arm or in none, in the order in which they are asked. */
enum assignment_reason {
    REASON_NOT_RUNNING, /* draft, paused or stopped */
    REASON_NOT_STARTED,
    REASON_ENDED,
    REASON_NO_UNIT, /* the unit is empty */
    REASON_FORCED,  /* in an arm, by [force]; analysis leaves the unit out */
    REASON_HELD_OUT,
    REASON_AUDIENCE,   /* not in the audience */
    REASON_LAYER,      /* outside the layer's range */
    REASON_NAME_SPACE, /* outside the namespace's range */
    REASON_COVERAGE,   /* outside the coverage */
    REASON_SPLIT,      /* in an arm, by its bucket */
};

struct assignment {
    int arm;            /* index into experiment.arms, or ARM_NONE: takes no part */
    double bucket;      /* in [0, 1); 0 when the unit is empty */
    double probability; /* the arm's share among all units of the experiment's reach:
                           its weight; 1 when forced; 0 when arm is ARM_NONE */
    enum assignment_reason reason;
};

struct assignment_request {
    struct slice unit;
    int64_t now_us; /* since 1970 UTC: clock_wall_us(), or the time of a logged event */
    const struct attribute_value *attributes; /* (config.n_attributes), in their order;
                                                 NULL when none is known */
};

/* The arm of a request in every experiment; `assignments` has room for
 * config.n_experiments. */
void config_assign(const struct config *config,
                   const struct assignment_request *request,
                   struct assignment *assignments);

/* The same for the experiment at `index` alone. */
struct assignment config_assign_one(const struct config *config, int index,
                                    const struct assignment_request *request);

/* What a request of `unit` gets: `[serving]` overridden by each arm in `arms`
 * (config->n_experiments indices, ARM_NONE where it takes no part). */
struct serving config_resolve(const struct config *config, const int *arms);

/* Sets in *serving the keys that the arm overrides. */
void serving_override(struct serving *serving, const struct arm *arm);

/* "split", "forced", "not running", ... */
const char *assignment_reason_name(enum assignment_reason reason);

#endif
