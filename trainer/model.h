/* model.h - a trained model: factors, biases, ids; saved, checked, mapped, scored.
 *
 * score(u, i) = mean + user_bias[u] + user_factors[u] . item_factors[i] + w *
 * item_bias[i] where w is the weight of the item bias at inference (1 = as trained, 0 =
 * left out). BPR has no mean and no user bias: both are 0 there.
 *
 * The file is versioned, little-endian and checksummed (trainer/format.h); loading maps
 * it and verifies header, lengths and checksum before any field is used. A loaded model
 * is immutable and may be shared by threads.
 */
#ifndef TRAINER_MODEL_H
#define TRAINER_MODEL_H

#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

#define MODEL_MAX_FACTORS 4096

enum model_kind {
    MODEL_ALS = 1,  /* explicit ratings with biases */
    MODEL_BPR = 2,  /* pairwise ranking */
    MODEL_IALS = 3, /* implicit feedback */
};

struct model {
    enum model_kind kind;
    int32_t n_users;
    int32_t n_items;
    int32_t n_factors;
    float mean;
    const float *user_factors; /* (n_users, n_factors) row-major */
    const float *item_factors; /* (n_items, n_factors) row-major */
    const float *user_bias;    /* (n_users) */
    const float *item_bias;    /* (n_items) */
    const int32_t *item_count; /* (n_items) ratings each item had in training */
    struct slice settings; /* JSON object: hyperparameters, seed, quality; for people */
    int32_t n_features;    /* 0: no map from features */
    struct slice feature_names; /* each with \n behind it, as in format.h */
    /* (n_features, n_factors + 1) row-major: the sum of an item's rows is where its
     * factors and then its bias are expected. NULL when n_features is 0. */
    const float *feature_map;
    uint64_t hash; /* content hash of the whole file */
};

/* What model_save needs besides the arrays: id i of users and of items. */
struct model_ids {
    struct slice (*user_id)(const void *context, int32_t user);
    struct slice (*item_id)(const void *context, int32_t item);
    const void *context;
};

/* Replaces `path` atomically. The same model gives the same bytes. `model->hash` is not
 * read; the hash of what was written is stored in *hash unless it is NULL. */
MUST_CHECK int model_save(const struct model *model, const struct model_ids *ids,
                          const char *path, uint64_t *hash, struct error *error);

/* Maps and checks `path`. Fails with ERROR_NOT_FOUND, ERROR_IO, ERROR_DAMAGED (with the
 * offset of what is wrong) or ERROR_NOMEM. The caller frees with model_free. */
MUST_CHECK int model_load(const char *path, struct model **model, struct error *error);
void model_free(struct model *model);

/* Index of an id, or -1. Thread-safe. Only for loaded models. */
int32_t model_find_user(const struct model *model, struct slice id);
int32_t model_find_item(const struct model *model, struct slice id);

/* The id of an index in range; valid while the model lives. Only for loaded models. */
struct slice model_user_id(const struct model *model, int32_t user);
struct slice model_item_id(const struct model *model, int32_t item);

/* The reference score, in double precision, one dot product in index order. Kernels
 * that are faster must rank the same. */
double model_score(const struct model *model, int32_t user, int32_t item,
                   double item_bias_weight);

const char *model_kind_name(enum model_kind kind); /* "als", "bpr", "ials" */

#endif
