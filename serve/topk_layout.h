/* topk_layout.h - a model's items as the search (topk.c) reads them. Only for topk*.c.
 *
 * Items stand in places, TOPK_CHUNK of them a chunk. What can be said of a chunk before
 * its codes are read is |u| max|v| + w max(b), and w, the weight of the bias b, differs
 * from arm to arm. So an order by |u| |v| + b for some average |u| will not do: for
 * w = 0 every one of its chunks has a long vector in it. Instead vectors are cut by
 * length into bands, the longest first, and a band's items ordered by bias: a chunk's
 * vectors are of one length, nearly, and so are its biases, and whatever w is, the
 * chunks in reach are the first of some of the bands. Making the layout is part of
 * every start of a server, so it is linear: radix sorts, and one pass that turns
 * factors into codes.
 */
#ifndef SERVE_TOPK_LAYOUT_H
#define SERVE_TOPK_LAYOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "serve/topk.h"
#include "serve/topk_kernel.h"

#define TOPK_MAX_FACTORS 4096
#define TOPK_MAX_BANDS   64
#define TOPK_TINY        1e-30F /* all smaller: codes of 0 */
#define TOPK_MAX_VALUE   1e15F  /* beyond, single precision might overflow */

struct topk_chunk {
    float scale;     /* of its codes */
    float max_norm;  /* the longest vector */
    float max_error; /* the largest |v - v'| */
    float max_bias, min_bias;
    /* the same over this and the chunks of its band behind it */
    float rest_norm, rest_max_bias, rest_min_bias;
};

/* Chunks [first, end), their biases falling; never empty. */
struct topk_band {
    int32_t first, end;
};

struct topk {
    const struct model *model;
    struct topk_kernel kernel;
    bool skips_nothing;
    bool is_hopeless; /* values too large or not numbers: no bound holds */
    int32_t n_chunks, n_groups;
    int32_t *item;             /* (n_chunks * TOPK_CHUNK) item at a place; -1: none */
    float *bias;               /* (n_chunks * TOPK_CHUNK) */
    uint8_t *codes;            /* (n_chunks, n_groups, TOPK_CHUNK, 4) */
    struct topk_chunk *chunks; /* (n_chunks) */
    int32_t n_bands;
    struct topk_band bands[TOPK_MAX_BANDS];
};

/* Length of a vector of the model's width, rounded up. */
float topk_norm(const struct topk *topk, const float *v);

/* Adding and taking off 1.5 * 2^23 rounds to a whole number, several at a time, where
 * nearbyintf would be a call. Any rounding would do: the error is measured. */
#define TOPK_WHOLE 12582912.0F

static inline float topk_to_whole(float value)
{
    return (value + TOPK_WHOLE) - TOPK_WHOLE;
}

/* Whether all are numbers that the bounds can be trusted with. */
bool topk_are_tame(const float *values, size_t n);

static inline const float *topk_vector_at(const struct topk *topk, int32_t place)
{
    return topk->model->item_factors +
           (size_t)topk->item[place] * (size_t)topk->model->n_factors;
}

#endif
