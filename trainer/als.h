/* als.h - explicit ratings by alternating least squares, with user and item biases.
 *
 * Minimises
 *
 *   lambda/2 sum (r_mn - mean - u_m.v_n - b_m - c_n)^2 + tau/2 (|u|^2 + |v|^2)
 *
 * over user vectors u, item vectors v and biases b, c, which are not regularised. With
 * z = [u, b], y = [v, 1] and x = r - mean - c_n each user's part is solved exactly,
 *
 *   z_m = (lambda sum_n y_n y_n^T + tau I*)^-1 (lambda sum_n x_mn y_n),
 *
 * I* the identity whose last diagonal element is 0; then each item's likewise. The loss
 * never rises. mean is 0 here: the biases carry the level, as in the literal equations.
 * Source: Zhou, Wilkinson, Schreiber & Pan, AAIM 2008 (ALS); Koren, Bell & Volinsky,
 * Computer 42 (2009) 30, equation 5 (biases).
 *
 * Assumes that whether a rating is there says nothing about its value; for ranking what
 * nobody rated, bpr.h makes the better list. Same seed, same bytes at any number of
 * threads, on one kind of processor.
 */
#ifndef TRAINER_ALS_H
#define TRAINER_ALS_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"
#include "trainer/ratings.h"
#include "trainer/training.h"

struct als_config {
    int32_t n_factors; /* [1, MODEL_MAX_FACTORS] */
    int n_epochs;      /* >= 0; 0 leaves the random start */
    double lambda;     /* > 0, weight of a squared error */
    double tau;        /* > 0, weight of a squared factor */
    uint64_t seed;
    int n_threads; /* > 0 */
};

/* lambda = 1, tau = 3 sqrt(k) / 2.5, k = 20, 15 epochs, seed 1, 1 thread. */
struct als_config als_config_default(void);
double als_default_tau(int32_t n_factors);
MUST_CHECK int als_config_check(const struct als_config *config, struct error *error);

/* Trains on `train`; `test` (same indices) may be NULL. Returns new factors that the
 * caller frees. Fails with ERROR_INVALID, ERROR_NUMERIC or ERROR_NOMEM. */
MUST_CHECK int als_train(const struct ratings *train, const struct ratings *test,
                         const struct als_config *config,
                         const struct training_observer *observer,
                         struct factors **factors, struct error *error);

#endif
