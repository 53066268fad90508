/* topk.h - the k items that a model scores highest for a user, exactly and fast.
 *
 * The order is that of model_score() in double precision, the higher score first, ties
 * by the lower item index. Nothing is approximate: an item is passed over only where a
 * bound proves that it cannot be among the k.
 *
 * Items are laid out in chunks of 64, of about as long vectors and as high biases. Each
 * chunk keeps its vectors as 8-bit codes. A search goes through the chunks, the ones
 * with the highest |u| max|v| + max(w b) first:
 *
 *   1. It ends when that is below the k-th score so far (Cauchy-Schwarz).
 *   2. Otherwise the codes give 64 approximate scores. With u' and v' what the codes
 *      stand for, |u.v - u'.v'| <= |u - u'| |v| + |u'| |v - v'|, so whoever stays below
 *      the k-th score even with that added is out.
 *   3. Survivors that the user has not seen are scored in single precision, again with
 *      a bound of the rounding error; the k-th best lower end is the new mark.
 *   4. Who is still in reach at the end (k and a few more) is scored as model_score()
 *      does, and sorted.
 *
 * Every bound has slack for its own rounding. One layout serves any weight of the item
 * bias, so arms that differ in it share it. Kernels: AVX-512 with byte dot
 * products (VNNI), AVX2, and portable C; they give the same lists.
 */
#ifndef SERVE_TOPK_H
#define SERVE_TOPK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/trainer.h"

#define TOPK_MAX 1000

struct topk; /* a model's items, laid out for the search; immutable, threads may share
              */

enum topk_instructions { TOPK_ALL, TOPK_AVX2, TOPK_PORTABLE };

/* For tests and benchmarks; NULL is all zero. */
struct topk_options {
    enum topk_instructions most; /* none beyond these, whatever the processor has */
    bool skips_nothing;          /* step 1 is left out */
};

struct topk_query {
    const float *vector; /* (n_factors) the user's, of the model or folded in */
    double base;         /* what every score begins with: mean + user bias */
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

/* What the search did, for benchmarks and tests. */
struct topk_effort {
    int32_t n_scanned; /* chunks of 64 whose codes were read */
    int32_t n_single;  /* items scored in single precision */
    int32_t n_double;  /* ... in double precision */
    bool was_naive;    /* the bounds could not tell the items apart */
};

/* `model` is borrowed and must outlive the result. */
MUST_CHECK int topk_new(const struct model *model, const struct topk_options *options,
                        struct topk **topk, struct error *error);
void topk_free(struct topk *topk);

/* Fills in vector and base for a user of the model. */
void topk_query_user(const struct model *model, int32_t user, struct topk_query *query);

/* Bytes of scratch memory that a search needs; 16-byte aligned, any contents. */
size_t topk_scratch_size(const struct topk *topk);

/* Allocates nothing. `effort` may be NULL. */
void topk_find(const struct topk *topk, const struct topk_query *query, void *scratch,
               struct topk_result *result, struct topk_effort *effort);

/* The same by scoring every item: the reference. */
void topk_find_naive(const struct model *model, const struct topk_query *query,
                     struct topk_result *result);

/* The score of one item, operation by operation as model_score() computes it. */
double topk_score(const struct model *model, const struct topk_query *query,
                  int32_t item);

#endif
