/* draws.h - how sure a model is: the draws that one of gibbs.h holds side by side.
 *
 * A draw of the factors and biases is a block of the model's columns; draw d scores
 *
 *   score_d(u, i) = mean + b_u + c_i + n_draws x_u[block d] . y_i[block d],
 *
 * and the model's score is their average. Their spread says how well the model knows
 * the expected rating; a rating itself is spread around that by the noise that the
 * draws found too:
 *
 *   rating(u, i) ~ N(score(u, i), sd(score_d)^2 + noise^2).
 *
 * Source: Salakhutdinov & Mnih, ICML 2008, equation 10 (the predictive distribution);
 * normal instead of the mixture of the draws' normals, which have one width and means
 * closer together than that.
 */
#ifndef TRAINER_DRAWS_H
#define TRAINER_DRAWS_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/model.h"

/* Borrows the model; may be shared by threads. */
struct draws {
    const struct model *model;
    int32_t n_draws;   /* >= 2 */
    int32_t n_columns; /* of a draw */
    double noise;      /* standard deviation of a rating around its mean; > 0 */
};

/* Fails with ERROR_INVALID when the model holds no draws (it was not trained with
 * --gibbs, or keeps one). */
MUST_CHECK int draws_of(const struct model *model, struct draws *draws,
                        struct error *error);

/* The standard deviation of score_d over the draws, in the units of a rating; >= 0. */
double draws_score_sd(const struct draws *draws, int32_t user, int32_t item);

#endif
