/* synth.h - a MovieLens-shaped set of ratings whose structure is known, because it was
 * planted.
 *
 * For machines without real data, for tests that must recover what was planted, and for
 * sizes that nobody publishes. The same config gives the same bytes; memory grows with
 * users and items, never with ratings, which are written as they are drawn.
 *
 * What is planted, with k = n_factors:
 *   - genres: 18 vectors m_g ~ N(0, I_k); item i has one to three of them and the
 * vector q_i = 0.7 sum m_g / sqrt(count) + 0.7 N(0, I_k), so genres tell half of it;
 *   - users: p_u ~ N(0, I_k / k); taste t = p_u . q_i has variance about 1;
 *   - activity: ratings per user follow a Lomax law with tail exponent 1.68 above a
 *     floor of 20 (or the mean when that is lower), as in ml-latest-small (median 70,
 *     mean 165, maximum 2,698), cut at a third of the catalogue;
 *   - popularity: the weight of the r-th item falls as (r + 100)^-1.3; every item is
 *     rated at least once when there are two ratings an item or more;
 *   - choice: people rate what they like: an item that comes up is rated with
 *     probability 1 / (1 + exp(1 - 1.5 (t + quality_i)));
 *   - rating: 3.15 + 0.45 N_u + 0.35 quality_i + 0.45 t + noise N, rounded to half
 * stars (whole ones for 40 % of the users) and held within 0.5 and 5.
 *
 * It is not real: no trends over time, no series, no tags. Quality reached on it says
 * that the trainer works, not how good it is on people.
 */
#ifndef TRAINER_SYNTH_H
#define TRAINER_SYNTH_H

#include <stdint.h>

#include "common/error.h"

struct synth_config {
    int64_t n_users;   /* in [1, 2^31) */
    int64_t n_items;   /* in [1, 2^31) */
    int64_t n_ratings; /* exact; at least n_users, at most half of users x items */
    int64_t n_factors; /* in [1, 256] */
    double noise;      /* standard deviation of a rating around its mean, in stars */
    uint64_t seed;
};

/* The shape of ml-latest-small: 610 users, 9,742 items, 100,836 ratings. */
struct synth_config synth_config_default(void);

/* Fails with ERROR_INVALID and says which number to change. */
MUST_CHECK int synth_config_check(const struct synth_config *config,
                                  struct error *error);

/* Writes userId,movieId,rating,timestamp to `ratings_path`, by user and item, and
 * movieId,title,genres to `titles_path`. Each file is written to PATH.part and renamed
 * when it is whole. Fails with ERROR_INVALID, ERROR_IO or ERROR_NOMEM. */
MUST_CHECK int synth_write(const struct synth_config *config, const char *ratings_path,
                           const char *titles_path, struct error *error);

#endif
