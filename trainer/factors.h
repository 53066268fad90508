/* factors.h - what training produces: factors and biases in memory, ready to save.
 *
 * score(u, i) = mean + user_bias[u] + user_factors[u] . item_factors[i] + item_bias[i],
 * as in model.h. A user or item without training ratings has zeros.
 */
#ifndef TRAINER_FACTORS_H
#define TRAINER_FACTORS_H

#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"
#include "trainer/item_features.h"
#include "trainer/model.h"
#include "trainer/ratings.h"

struct factors {
    int32_t n_users;
    int32_t n_items;
    int32_t n_factors;
    float mean;
    double noise; /* standard deviation of a rating around its score; 0: not known */
    float *user_factors; /* (n_users, n_factors) row-major; all arrays owned */
    float *item_factors; /* (n_items, n_factors) row-major */
    float *user_bias;    /* (n_users) */
    float *item_bias;    /* (n_items) */
    const struct item_features *features; /* borrowed until saved; NULL: no map */
    float *feature_map; /* (features->n_columns, n_factors + 1), as in model.h */
};

/* All zeros, of the size of `ratings`; n_factors in [1, MODEL_MAX_FACTORS]. NULL when
 * memory ran out. */
MUST_CHECK struct factors *factors_new(const struct ratings *ratings,
                                       int32_t n_factors);
/* Makes room for the map from `features`, all zeros; NULL: nothing to do. Returns -1
 * when memory ran out. */
MUST_CHECK int factors_add_map(struct factors *factors,
                               const struct item_features *features);
void factors_free(struct factors *factors);

/* Copies all numbers between factors of the same sizes, both with a map or both
 * without. */
void factors_copy(struct factors *to, const struct factors *from);

/* Saves them as a model whose ids and item counts are those of `train`. Fails as
 * model_save. */
MUST_CHECK int factors_save(const struct factors *factors, enum model_kind kind,
                            const struct ratings *train, struct slice settings,
                            const char *path, uint64_t *hash, struct error *error);

/* Root mean squared error of the score on `ratings`, whose indices are the factors'.
 * NAN when it holds none. The same at any number of threads (> 0). */
double factors_rmse(const struct factors *factors, const struct ratings *ratings,
                    int n_threads);

/* Mean over users of the area under the ROC curve: the share of pairs (a positive, an
 * item the user never rated) that the score puts in the right order, ties half.
 *
 * Positives are the ratings of `of` above `threshold`; items rated in `seen` or in `of`
 * are no negatives. Every user counts once; of more than `max_users` users that have
 * positives, every so-manieth is taken. `seen` may equal `of`. Allocates per thread;
 * NAN when no user has both kinds, or when memory ran out. The same at any number of
 * threads. */
double factors_auc(const struct factors *factors, const struct ratings *of,
                   const struct ratings *seen, float threshold, int32_t max_users,
                   int n_threads);

#endif
