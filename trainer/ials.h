/* ials.h - implicit feedback by alternating least squares.
 *
 * A rating above `threshold` says that the user wants the item, p = 1; every other pair
 * says p = 0, with less confidence. Minimises over all pairs
 *
 *   sum_ui c_ui (p_ui - u_u.v_i)^2 + sum_u ridge_u |u_u|^2 + sum_i ridge_i |v_i|^2,
 *
 * c = 1 + confidence where p = 1, else 1; ridge_u = reg (confidence n_u + n_items)^nu,
 * ridge_i likewise with n_users. Each side is solved exactly; the sum over all pairs
 * enters through the gramian, so an epoch costs what the positives cost. The loss never
 * rises.
 * Source: Hu, Koren & Volinsky, ICDM 2008, equations 3 and 4; Rendle, Krichene, Zhang &
 * Koren, RecSys 2022 (the ridge's power of the frequency).
 *
 * Assumes that what a user did not rate above the threshold is, on the whole, less
 * wanted. Scores order items; they are not ratings. Same seed, same bytes at any number
 * of threads, on one kind of processor.
 */
#ifndef TRAINER_IALS_H
#define TRAINER_IALS_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"
#include "trainer/ratings.h"
#include "trainer/training.h"

struct ials_config {
    int32_t n_factors; /* [1, MODEL_MAX_FACTORS] */
    int n_epochs;      /* >= 0 */
    double confidence; /* > 0 */
    double reg;        /* > 0 */
    double nu;         /* [0, 1] */
    double threshold;  /* ratings above it are positive */
    uint64_t seed;
    int n_threads; /* > 0 */
};

struct ials_config ials_config_default(void);
MUST_CHECK int ials_config_check(const struct ials_config *config, struct error *error);

/* Trains on `train`; `test` (same indices) may be NULL. Returns new factors that the
 * caller frees; biases and mean are 0. Fails with ERROR_INVALID (also when nothing is
 * above the threshold), ERROR_NUMERIC or ERROR_NOMEM. */
MUST_CHECK int ials_train(const struct ratings *train, const struct ratings *test,
                          const struct ials_config *config,
                          const struct training_observer *observer,
                          struct factors **factors, struct error *error);

#endif
