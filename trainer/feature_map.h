/* feature_map.h - a linear map from what is known of an item (item_features.h) to where
 * its factors and bias are expected, learned beside them.
 *
 * Given rows z_n = [v_n, c_n] and weights w_n >= 0 minimises
 *
 *   sum_n w_n |z_n - M f_n|^2 + ridge |M|^2,
 *
 * f_n the item's features: M^T = (F^T W F + ridge I)^-1 F^T W Z. The matrix does not
 * change while rows do, so it is factorised once. An item of weight 0 teaches nothing
 * and still gets its M f_n: that is the vector of a film that nobody has rated.
 * Source: Agarwal & Chen, KDD 2009 (regression-based latent factors), without users'
 * features and with the modes of the posteriors in the place of draws.
 */
#ifndef TRAINER_FEATURE_MAP_H
#define TRAINER_FEATURE_MAP_H

#include "common/error.h"
#include "trainer/item_features.h"

struct feature_map;

/* n_outputs (factors and bias) and weights (n_items) >= 0; ridge > 0. Borrows features
 * and weights. Fails with ERROR_NOMEM or ERROR_NUMERIC. The caller frees. */
MUST_CHECK int feature_map_new(const struct item_features *features,
                               const double *weights, double ridge, int n_outputs,
                               struct feature_map **map, struct error *error);
void feature_map_free(struct feature_map *map);

/* Learns M from rows (n_items, stride): the first n_outputs - 1 numbers of a row, then
 * the one at [bias_at]. */
void feature_map_learn(struct feature_map *map, const float *rows, int stride,
                       int bias_at);

/* centre (n_items, n_outputs) := M f of every item. */
void feature_map_apply(const struct feature_map *map, float *centre);

/* Sum of the squares of the column of M that belongs to output `o`. */
double feature_map_square(const struct feature_map *map, int o);

/* rows (n_columns, n_outputs) := M^T. */
void feature_map_copy(const struct feature_map *map, float *rows);

#endif
