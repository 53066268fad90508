/* topk.h - the k items that a model scores highest for a user, exactly.
 *
 * The order is that of model_score() in double precision, the higher score first, ties
 * by the lower item index: a kernel may skip items only when it can prove that they
 * would not be among the k.
 */
#ifndef SERVE_TOPK_H
#define SERVE_TOPK_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/trainer.h"

#define TOPK_MAX 1000

struct topk; /* a model's items, laid out for the search; immutable, threads may share
              */

struct topk_query {
    int32_t user;        /* index of the model, in range */
    double item_bias;    /* weight of the item bias */
    int k;               /* 1..TOPK_MAX */
    const int32_t *seen; /* (n_seen) items to leave out, ascending */
    int32_t n_seen;
};

struct topk_result {
    int n; /* min(k, items that are not seen) */
    int32_t items[TOPK_MAX];
    double scores[TOPK_MAX];
};

/* `model` is borrowed and must outlive the result. */
MUST_CHECK int topk_new(const struct model *model, struct topk **topk,
                        struct error *error);
void topk_free(struct topk *topk);

/* Allocates nothing. */
void topk_find(const struct topk *topk, const struct topk_query *query,
               struct topk_result *result);

/* The same by scoring every item with model_score(): the reference. */
void topk_find_naive(const struct model *model, const struct topk_query *query,
                     struct topk_result *result);

#endif
