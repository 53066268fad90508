/* gibbs.h - Bayesian matrix factorisation of explicit ratings by Gibbs sampling.
 *
 * r_mn ~ N(mean + u_m.v_n + b_m + c_n, 1/precision). With z_m = [u_m, b_m] and y_n =
 * [v_n, 1] the equations are those of als.h; instead of their solution a draw is taken,
 *
 *   z_m ~ N(mu*, L*^-1),  L* = L + precision sum_n y_n y_n^T,
 *   mu* = L*^-1 (L mu + precision sum_n x_mn y_n),
 *
 * then items likewise, and mu, L of both sides from their normal-Wishart posteriors and
 * the precision from its gamma posterior: there is nothing to tune but the number of
 * factors. Predictions are averaged over the draws, which no single set of factors can
 * match.
 *
 * What is returned are `n_kept` draws side by side, scaled so that the one dot product
 * is the average of the draws' scores: exact in any program that reads the model, and
 * each draw is there to tell how sure the model is (draws.h). The biases are the
 * average over the kept draws; how far a draw's are from it takes two more columns:
 *
 *   user block: [u, b - mean b, 1] / sqrt(n_kept),
 *   item block: [v, 1, c - mean c] / sqrt(n_kept).
 *
 * Source: Salakhutdinov & Mnih, ICML 2008, equations 11-14 and figure 1 (biases as one
 * more dimension are ours); Rendle, Zhang & Koren, arXiv:1905.01395 (how far it gets).
 *
 * Same seed, same bytes at any number of threads, on one kind of processor.
 */
#ifndef TRAINER_GIBBS_H
#define TRAINER_GIBBS_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/factors.h"
#include "trainer/ratings.h"
#include "trainer/training.h"

struct gibbs_config {
    int32_t n_factors; /* of a draw; >= 1, gibbs_n_columns <= MODEL_MAX_FACTORS */
    int n_burn_in;     /* >= 0 draws that are thrown away first */
    int n_draws;       /* >= 1 draws after them */
    int n_kept;        /* [1, n_draws] of those, evenly spaced, the last among them */
    uint64_t seed;
    int n_threads; /* > 0 */
};

/* 20 factors, 20 draws thrown away, 100 taken, 20 kept. */
struct gibbs_config gibbs_config_default(void);
MUST_CHECK int gibbs_config_check(const struct gibbs_config *config,
                                  struct error *error);

/* The length of a vector in what gibbs_train returns: n_kept (n_factors + 2). */
int32_t gibbs_n_columns(const struct gibbs_config *config);

/* As als_train. The result's `noise` is the root mean square of 1 / sqrt(precision)
 * over the kept draws. A report comes after each draw: test_quality is the error of the
 * average over all draws since the burn-in, train_quality that of the last draw alone,
 * loss its squared error. In the last report `factors` is what is returned; before it
 * is NULL. */
MUST_CHECK int gibbs_train(const struct ratings *train, const struct ratings *test,
                           const struct gibbs_config *config,
                           const struct training_observer *observer,
                           struct factors **factors, struct error *error);

#endif
