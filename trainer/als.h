/* als.h - explicit ratings by alternating least squares, with user and item biases.
 *
 * Minimises over user vectors u, item vectors v and biases b, c
 *
 *   lambda/2 sum (r_mn - mean - u_m.v_n - b_m - c_n)^2
 *     + 1/2 sum_m n_m^alpha (tau |u_m|^2 + tau_bias b_m^2)
 *     + 1/2 sum_n n_n^alpha (tau |v_n|^2 + tau_bias c_n^2),
 *
 * n_m the number of ratings of user m. The default is the literal model: mean = 0,
 * alpha = 0, tau_bias = 0. ALS_COUNT regularises by the count, also the biases, around
 * the global mean. With z = [u, b], y = [v, 1] and x = r - mean - c_n each user's part
 * is solved exactly,
 *
 *   z_m = (lambda sum_n y_n y_n^T + n_m^alpha diag(tau, .., tau, tau_bias))^-1
 *         (lambda sum_n x_mn y_n),
 *
 * then each item's likewise. The loss never rises.
 *
 * With features f_n of items (genres, tags; item_features.h) an item's [v_n, c_n] is
 * drawn not towards zero but towards M f_n, M learned beside it: v_n and c_n in the
 * second line of penalties become v_n - (M f_n)_v and c_n - (M f_n)_c, and
 *
 *     + feature_ridge/2 (tau |M_v|^2 + tau_bias |M_c|^2)
 *
 * is added. An epoch solves users, then M (feature_map.h), then items: each exactly, so
 * the loss still never rises. An item that nobody has rated becomes M f_n.
 * Source: Zhou, Wilkinson, Schreiber & Pan, AAIM 2008 (ALS, regularised by count);
 * Koren, Bell & Volinsky, Computer 42 (2009) 30, equation 5 (biases);
 * Agarwal & Chen, KDD 2009 (features as the prior's mean).
 *
 * Assumes that whether a rating is there says nothing about its value; for ranking what
 * nobody rated, bpr.h and ials.h make the better list. Same seed, same bytes at any
 * number of threads, on one kind of processor.
 */
#ifndef TRAINER_ALS_H
#define TRAINER_ALS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"
#include "trainer/item_features.h"
#include "trainer/ratings.h"
#include "trainer/training.h"

enum als_regularization { ALS_CONSTANT, ALS_COUNT };

struct als_config {
    int32_t n_factors; /* [1, MODEL_MAX_FACTORS] */
    int n_epochs;      /* >= 0; 0 leaves the random start */
    double lambda;     /* > 0, weight of a squared error */
    double tau;        /* > 0, weight of a squared factor */
    double tau_bias;   /* >= 0, weight of a squared bias; > 0 under ALS_COUNT */
    double alpha;      /* [0, 2], power of the count */
    bool has_mean;     /* subtract the global mean */
    const struct item_features *features; /* of the items of `train`; NULL: none */
    double feature_ridge;                 /* > 0; tau_bias must be > 0 with features */
    uint64_t seed;
    int n_threads; /* > 0 */
};

/* k factors, 15 epochs, lambda = 1, seed 1, 1 thread. ALS_CONSTANT: tau = 3 sqrt(k) /
 * 2.5, tau_bias = 0, no mean. ALS_COUNT: tau = 1.35, tau_bias = 1.3, alpha = 0.5.
 * No features, feature_ridge = 100. */
struct als_config als_config_default(enum als_regularization regularization,
                                     int32_t n_factors);
MUST_CHECK int als_config_check(const struct als_config *config, struct error *error);

/* Trains on `train`; `test` (same indices) may be NULL. Returns new factors that the
 * caller frees. Fails with ERROR_INVALID, ERROR_NUMERIC or ERROR_NOMEM. */
MUST_CHECK int als_train(const struct ratings *train, const struct ratings *test,
                         const struct als_config *config,
                         const struct training_observer *observer,
                         struct factors **factors, struct error *error);

#endif
