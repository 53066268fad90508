/* bpr.h - Bayesian personalised ranking: learns the order of items for each user.
 *
 * A rating above `threshold` is a positive; everything else a user has not rated is a
 * candidate negative. Stochastic gradient ascent on
 *
 *   sum over (u, i, j) of ln sigma(x_uij) - reg |Theta|^2,
 *   x_uij = u_u . (v_i - v_j) + c_i - c_j,
 *
 * u uniform over the users that have positives, i uniform over the positives of u, j
 * uniform over the items that u has not rated (of the block, see below). One step, with
 * g = sigma(-x):
 *
 *   u   += rate (g (v_i - v_j) - 2 reg u)
 *   v_i += rate (g u - 2 reg v_i),   c_i += s rate (g - 2 reg c_i)
 *   v_j += rate (-g u - 2 reg v_j),  c_j += s rate (-g - 2 reg c_j)
 *
 * s = bias_rate. Biases have a gradient in every sample and reach their place long
 * before the factors; from then on a smaller step only takes noise off them.
 *
 * Source: Rendle, Freudenthaler, Gantner & Schmidt-Thieme, UAI 2009, section 4 (whose
 * figure 4 has the regulariser's sign as if it were to grow).
 *
 * In parallel and exact: users and items are cut into B blocks each; in a round every
 * user block meets another item block, and both items of a sample come from that block,
 * so no two samples in flight share a user or an item. B rounds meet every pair once
 * and are an epoch; items are dealt to blocks anew each epoch. B depends on the data
 * alone, and every meeting has its own random stream: same seed, same bytes at any
 * number of threads. Source of the schedule: Gemulla, Nijkamp, Haas & Sismanis, KDD
 * 2011.
 *
 * Scores order items; they are not ratings.
 */
#ifndef TRAINER_BPR_H
#define TRAINER_BPR_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"
#include "trainer/ratings.h"
#include "trainer/training.h"

/* Which (user, positive) a sample starts from. */
enum bpr_sampling {
    BPR_USERS, /* a user uniformly, then one of its positives, as in the paper */
    BPR_PAIRS, /* a positive rating uniformly: active users weigh more */
};

struct bpr_config {
    int32_t n_factors; /* [1, MODEL_MAX_FACTORS] */
    int n_epochs;      /* >= 0; an epoch has as many samples as there are positives */
    double learning_rate; /* > 0 */
    double reg;           /* >= 0 */
    double bias_rate;     /* > 0: step of an item's bias in learning rates */
    double start_sd;      /* >= 0: standard deviation of the factors at the start */
    double average;       /* [0, 1]: the result is the mean over the last so many of the
                             epochs (row_average.h), at least the last one */
    double threshold;     /* ratings above it are positive */
    enum bpr_sampling sampling;
    int n_candidates; /* >= 1: j is the best scored of so many draws. 1 is the paper's;
                         more seek the negatives that stand above positives (Zhang et
                         al., SIGIR 2013), which helps the head of the list */
    uint64_t seed;
    int n_threads; /* > 0 */
};

struct bpr_config bpr_config_default(void);
MUST_CHECK int bpr_config_check(const struct bpr_config *config, struct error *error);

/* Trains on `train`; `test` (same indices) may be NULL. Returns new factors that the
 * caller frees. Fails with ERROR_INVALID (also when nothing is above the threshold),
 * ERROR_NUMERIC when it diverged, or ERROR_NOMEM. */
MUST_CHECK int bpr_train(const struct ratings *train, const struct ratings *test,
                         const struct bpr_config *config,
                         const struct training_observer *observer,
                         struct factors **factors, struct error *error);

#endif
