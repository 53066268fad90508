/* fold_in.h - a vector for a user or an item that came after training, without
 * retraining: everything else stays as it is, only the new vector is solved for.
 *
 * ALS: the half step of training for one row, with the model's own regularisation,
 *
 *   z = (lambda sum_n y_n y_n^T + n^alpha diag(tau, .., tau, tau_bias))^-1
 *       (lambda sum_n x_n y_n),
 *
 * letters as in als.h: z = [vector, bias], y = [vector, 1] of the other side, x =
 * rating
 * - mean - bias of the other side. So a user who was in training and is folded in with
 * the same ratings gets what another half epoch would give.
 *
 * With features of items (als.h) a new item is drawn not towards zero but towards M f
 * of the model's map: n^alpha diag(tau, .., tau, tau_bias) M f is added to the right
 * side, and an item without ratings becomes M f. An item whose features nobody told is
 * drawn towards zero.
 *
 * Implicit ALS: likewise, x = (G + confidence sum_n y_n y_n^T + ridge I)^-1 (1 +
 * confidence) sum_n y_n over the ratings above the model's threshold, G the gramian of
 * the other side, ridge as in ials.h; there are no biases.
 *
 * BPR: the new vector alone climbs the training's objective, by stochastic gradient
 * with the model's own learning rate, regulariser and threshold: FOLD_IN_PASSES samples
 * for each positive, negatives uniform over the other items, the mean of the second
 * half of the way. The draws are seeded by the ratings' content alone: same ratings,
 * same vector.
 *
 * Items that nobody rated and of which no features are told, and users without a known
 * item, cannot be placed.
 */
#ifndef TRAINER_FOLD_IN_H
#define TRAINER_FOLD_IN_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/item_features.h"
#include "trainer/model.h"
#include "trainer/ratings.h"

#define FOLD_IN_PASSES 60

/* How a model's new vectors are solved for; read from its settings. Immutable, may be
 * shared by threads; borrows the model. */
struct fold_in;

/* Fails with ERROR_INVALID when the model's settings do not hold what is needed (a
 * model that was not trained by abtest, or one of Gibbs draws), or ERROR_NOMEM. */
MUST_CHECK int fold_in_new(const struct model *model, struct fold_in **fold_in,
                           struct error *error);
void fold_in_free(struct fold_in *fold_in);

/* What one user rated (item indices of the model), or who rated one item (user
 * indices), distinct, in any order. */
struct fold_in_ratings {
    const int32_t *index;
    const float *rating;
    int64_t n;
};

/* Solves for a user's vector (n_factors) and bias: score(u, i) = mean + bias + vector .
 * item_factors[i] + item_bias[i]. O(n k^2 + k^3); allocates O(k^2). Safe to call from
 * several threads. Fails with ERROR_INVALID (no rating; but for explicit ALS, none
 * above the threshold), ERROR_NUMERIC or ERROR_NOMEM; the outputs are then untouched.
 */
MUST_CHECK int fold_in_user(const struct fold_in *fold_in,
                            const struct fold_in_ratings *ratings, float *vector,
                            float *bias, struct error *error);

/* Likewise an item's vector and bias, from the users who rated it. */
MUST_CHECK int fold_in_item(const struct fold_in *fold_in,
                            const struct fold_in_ratings *ratings, float *vector,
                            float *bias, struct error *error);

/* Likewise in a model of explicit ratings (ALS) for an item whose vector and then bias
 * are expected at centre (n_factors + 1): the sum of the rows of model->feature_map
 * that belong to its features. It may have no ratings. */
MUST_CHECK int fold_in_item_near(const struct fold_in *fold_in,
                                 const struct fold_in_ratings *ratings,
                                 const float *centre, float *vector, float *bias,
                                 struct error *error);

struct fold_in_summary {
    int32_t n_new_users;
    int32_t n_solved_again; /* users of the model that the ratings name too */
    int32_t n_new_items;
    int32_t n_new_unrated;    /* of them: without ratings, placed by their features */
    int32_t n_unplaced_users; /* left out: no rating that says anything */
    int32_t n_unplaced_items;
};

/* Writes a model with the users and items of `ratings` added: first every user of
 * `ratings` is solved from the ratings of known items, then every new item from those
 * users. A user whom the model knows is solved again from `ratings` alone, which must
 * therefore hold everything the user ever rated. `features` are of the items of
 * `ratings`, loaded with model->feature_names; NULL: none are told. n_threads > 0; any
 * number gives the same bytes. Fails as fold_in_new and model_save. */
MUST_CHECK int fold_in_extend(const struct model *model, const struct ratings *ratings,
                              const struct item_features *features, int n_threads,
                              const char *path, struct fold_in_summary *summary,
                              struct error *error);

#endif
