/* bucket.h - GrowthBook's bucketing, function by function, so that its published
 * vectors can hold each: hash, getBucketRange, chooseVariation, inNamespace,
 * getEqualWeights.
 *
 * Source: GrowthBook SDK specification 0.x, "Hashing" and "Experiments"; FNV-1a:
 * Fowler, Noll, Vo. The order of the floating-point operations is that of the
 * JavaScript SDK, so that the doubles are the same to the last bit.
 *
 * Private to experiment/ and its tests.
 */
#ifndef EXPERIMENT_BUCKET_H
#define EXPERIMENT_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"

struct bucket_range {
    double start, end; /* holds the buckets in [start, end) */
};

/* FNV-1a, 32 bits, over the UTF-16 code units of UTF-8 text, going on from `state`
 * (bucket_state(seed) for what hashes seed + unit). A byte that is not valid UTF-8
 * counts as U+FFFD. */
uint32_t bucket_hash_on(uint32_t state, struct slice text);
uint32_t bucket_state(struct slice seed);

/* Version 2: fnv(decimal(fnv(seed + unit))) mod 10000, as a number 0..9999. */
unsigned bucket_number(uint32_t seed_state, struct slice unit);

/* Version 1: fnv(unit + seed) mod 1000 / 1000. Only for namespaces: two experiments
 * under it are often correlated, which is why version 2 exists. */
double bucket_version_1(struct slice seed, struct slice unit);

/* Whether the unit is in [start, end) of a namespace (hash version 1). */
bool bucket_in_namespace(struct slice unit, struct slice name_space,
                         struct bucket_range range);

/* n equal weights; nothing when n < 1. */
void bucket_equal_weights(int n, double *weights);

/* The range of each of n arms: [start, start + coverage * weight), start cumulative in
 * the weights. As in the SDKs, a coverage outside [0, 1] is moved to the nearer bound
 * and weights that do not sum to 1 (within 0.01) are replaced by equal ones; `weights`
 * may be NULL for equal ones. (A config refuses such weights before.) */
void bucket_ranges(int n, double coverage, const double *weights,
                   struct bucket_range *ranges);

/* Index of the first range that holds the bucket, or -1. */
int bucket_choose(double bucket, int n, const struct bucket_range *ranges);

#endif
