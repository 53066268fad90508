#include "serve/topk_layout.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/pages.h"
#include "serve/item_order.h"

#define ITEM_LEVELS 127
#define BAND_WIDTH  2.0F /* of 0.25 to 128, least work on six models and all weights */
#define CACHE_LINE  64   /* bytes; a register of codes should not lie in two */
#define UNDERFLOW   1e-17F /* more than squares too small for a float can hide */

/* Rounded up generously: 4096 roundings are 2.5e-4. */
float topk_norm(const struct topk *topk, const float *v)
{
    return sqrtf(topk->kernel.dot(v, v, topk->model->n_factors)) * (1 + 5e-4F) +
           UNDERFLOW;
}

bool topk_are_tame(const float *values, size_t n)
{
    unsigned wild = 0;
    for (size_t i = 0; i < n; i++) {
        wild |= !(fabsf(values[i]) < TOPK_MAX_VALUE); /* so is NAN */
    }
    return !wild;
}

static float average_user_norm(const struct topk *topk)
{
    const struct model *model = topk->model;
    double sum = 0;
    /* A thousand users tell enough: it only says how wide bands are. */
    const int32_t step = model->n_users / 1000 + 1;
    int32_t n = 0;
    for (int32_t u = 0; u < model->n_users; u += step, n++) {
        sum += (double)topk_norm(topk, model->user_factors +
                                           (size_t)u * (size_t)model->n_factors);
    }
    return n ? (float)(sum / n) : 1;
}

/* The largest |value|. A float without its sign is ordered as its bits are, and a loop
 * over whole numbers runs in vectors where fmaxf, which minds NAN, does not. */
static float largest_of(const float *v, int32_t n)
{
    int32_t largest = 0;
    float value = 0;
    for (int32_t f = 0; f < n; f++) {
        int32_t bits = 0;
        memcpy(&bits, &v[f], sizeof bits);
        bits &= 0x7FFFFFFF;
        largest = bits > largest ? bits : largest;
    }
    memcpy(&value, &largest, sizeof value);
    return value;
}

/* What the layout asks of each vector, found while they are read in order. */
struct promise {
    float norm, largest;
    int32_t place;
};

/* ---- the order ---- */

/* Standard deviation of the biases. */
static float bias_spread(const struct model *model)
{
    double sum = 0, squares = 0;
    for (int32_t i = 0; i < model->n_items; i++) {
        const double bias = (double)model->item_bias[i];
        sum += bias;
        squares += bias * bias;
    }
    const double mean = model->n_items ? sum / model->n_items : 0;
    const double variance = model->n_items ? squares / model->n_items - mean * mean : 0;
    return variance > 1e-12 * squares / (model->n_items + 1) ? (float)sqrt(variance)
                                                             : 0;
}

/* Cuts the chunks, long vectors first, into bands. What a chunk's bound is too high by
 * grows with the lengths in its band and with the biases in the chunk, which are the
 * closer the more chunks the band has: a band ends where the lengths' part has become
 * `width` times the other. Returns false when they are too many. */
static bool cut_bands(struct topk *topk, const struct promise *promises,
                      const struct item_order_entry *order, float width)
{
    const int32_t last_item = topk->model->n_items - 1;
    topk->n_bands = 0;
    for (int32_t c = 0, first = 0; c < topk->n_chunks; c++) {
        const int32_t next = c + 1;
        const int32_t end = next * TOPK_CHUNK + TOPK_CHUNK - 1;
        if (next < topk->n_chunks) {
            const float longest = promises[order[first * TOPK_CHUNK].item].norm;
            const float shortest =
                promises[order[end < last_item ? end : last_item].item].norm;
            if (!((longest - shortest) * (float)(next + 1 - first) > width)) {
                continue; /* the next chunk belongs to it too */
            }
        }
        if (topk->n_bands == TOPK_MAX_BANDS) {
            return false;
        }
        topk->bands[topk->n_bands++] = (struct topk_band){first, next};
        first = next;
    }
    return true;
}

/* Puts each band's items in order of bias, in `ordered`. */
static void order_bands(const struct topk *topk, struct item_order_entry *order,
                        struct item_order_entry *ordered)
{
    const struct model *model = topk->model;
    for (int32_t i = 0; i < model->n_items; i++) {
        /* -0 becomes 0, its equal */
        const float bias = model->item_bias[order[i].item] + 0.0F;
        order[i].key = item_order_falling_float(bias);
    }
    for (int32_t b = 0; b < topk->n_bands; b++) {
        const int32_t first = topk->bands[b].first * TOPK_CHUNK;
        const int32_t end = topk->bands[b].end * TOPK_CHUNK;
        item_order_sort(
            order + first, ordered + first,
            (size_t)((end < model->n_items ? end : model->n_items) - first));
    }
}

/* Gives every item its place. */
static int order_items(struct topk *topk, struct promise *promises)
{
    const struct model *model = topk->model;
    const size_t n = (size_t)model->n_items;
    struct item_order_entry *order = malloc((n + 1) * sizeof *order);
    struct item_order_entry *sorted = malloc((n + 1) * sizeof *sorted);
    int rc = -1;
    if (!order || !sorted) {
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        const float *v = model->item_factors + i * (size_t)model->n_factors;
        promises[i].norm = topk_norm(topk, v);
        promises[i].largest = largest_of(v, model->n_factors);
        topk->is_hopeless |= !(promises[i].largest < TOPK_MAX_VALUE); /* so is NAN */
        order[i] = (struct item_order_entry){item_order_falling_float(promises[i].norm),
                                             (int32_t)i};
    }
    item_order_sort(order, sorted, n);
    /* One band where biases tell nothing apart, and where users say nothing. */
    const float spread = bias_spread(model);
    float width = spread > 0
                      ? fmaxf(BAND_WIDTH * spread / average_user_norm(topk), TOPK_TINY)
                      : INFINITY;
    while (!cut_bands(topk, promises, sorted, width)) {
        width *= 2;
    }
    order_bands(topk, sorted, order);
    for (size_t i = 0; i < n; i++) {
        topk->item[i] = order[i].item;
        promises[order[i].item].place = (int32_t)i;
        topk->bias[i] = model->item_bias[order[i].item];
    }
    for (size_t i = n; i < (size_t)topk->n_chunks * TOPK_CHUNK; i++) {
        topk->item[i] = -1;
        topk->bias[i] = 0;
    }
    rc = 0;
out:
    free(order);
    free(sorted);
    return rc;
}

/* ---- the codes ---- */

typedef float four_floats __attribute__((vector_size(16)));
typedef int32_t four_ints __attribute__((vector_size(16)));

/* Writes the codes of four factors; returns the squares of what they are off. What
 * topk_to_whole() adds leaves the whole number in the lowest bits of the sum. */
static inline four_floats encode_four(four_floats v, float inverse, float scale,
                                      uint8_t *codes)
{
    const four_floats magic = v * inverse + TOPK_WHOLE;
    const four_floats off = v - (magic - TOPK_WHOLE) * scale;
    four_ints bits;
    memcpy(&bits, &magic, sizeof bits);
    for (int j = 0; j < 4; j++) {
        codes[j] = (uint8_t)(bits[j] + 128);
    }
    return off * off;
}

/* Writes the codes of one item, four side by side each TOPK_CHUNK * 4 bytes; returns
 * |v - v'|, rounded up. */
static float encode_item(const float *v, int32_t n, float scale, uint8_t *codes)
{
    const float inverse = scale > 0 ? 1 / scale : 0;
    four_floats sums = {0, 0, 0, 0}, four = {0, 0, 0, 0};
    int32_t f = 0;
    for (; f + 4 <= n; f += 4, codes += (size_t)TOPK_CHUNK * 4) {
        memcpy(&four, v + f, sizeof four);
        sums += encode_four(four, inverse, scale, codes);
    }
    if (f < n) {
        four = (four_floats){0, 0, 0, 0};
        memcpy(&four, v + f, (size_t)(n - f) * sizeof *v);
        sums += encode_four(four, inverse, scale, codes);
    }
    return sqrtf((sums[0] + sums[1]) + (sums[2] + sums[3])) * (1 + 5e-4F) + UNDERFLOW;
}

static void bound_chunk(struct topk *topk, int32_t at, const struct promise *promises)
{
    struct topk_chunk *chunk = &topk->chunks[at];
    float largest = 0;
    *chunk = (struct topk_chunk){.max_bias = -INFINITY, .min_bias = INFINITY};
    for (int32_t p = at * TOPK_CHUNK; p < (at + 1) * TOPK_CHUNK && topk->item[p] >= 0;
         p++) {
        const struct promise *promise = &promises[topk->item[p]];
        largest = fmaxf(largest, promise->largest);
        chunk->max_norm = fmaxf(chunk->max_norm, promise->norm);
        chunk->max_bias = fmaxf(chunk->max_bias, topk->bias[p]);
        chunk->min_bias = fminf(chunk->min_bias, topk->bias[p]);
    }
    chunk->scale = largest > TOPK_TINY ? largest / ITEM_LEVELS : 0;
}

/* In the order of the model's vectors, not of the places: codes written anywhere cost
 * less than vectors, four times as long, read from anywhere. */
static void encode_items(struct topk *topk, const struct promise *promises)
{
    const struct model *model = topk->model;
    for (size_t i = 0; i < (size_t)model->n_items; i++) {
        const size_t place = (size_t)promises[i].place;
        const size_t at = place / TOPK_CHUNK;
        struct topk_chunk *chunk = &topk->chunks[at];
        uint8_t *codes =
            topk->codes +
            (at * (size_t)topk->n_groups * TOPK_CHUNK + place % TOPK_CHUNK) * 4;
        const float error =
            encode_item(model->item_factors + i * (size_t)model->n_factors,
                        model->n_factors, chunk->scale, codes);
        chunk->max_error = fmaxf(chunk->max_error, error);
    }
}

static void sum_up_rest(struct topk *topk, struct topk_band band)
{
    float rest_norm = 0, max_bias = -INFINITY, min_bias = INFINITY;
    for (int32_t c = band.end - 1; c >= band.first; c--) {
        struct topk_chunk *chunk = &topk->chunks[c];
        chunk->rest_norm = rest_norm = fmaxf(rest_norm, chunk->max_norm);
        chunk->rest_max_bias = max_bias = fmaxf(max_bias, chunk->max_bias);
        chunk->rest_min_bias = min_bias = fminf(min_bias, chunk->min_bias);
    }
}

static int lay_out(struct topk *topk)
{
    struct promise *promises =
        calloc((size_t)topk->model->n_items + 1, sizeof *promises);
    if (!promises || order_items(topk, promises) != 0) {
        free(promises);
        return -1;
    }
    for (int32_t c = 0; c < topk->n_chunks; c++) {
        bound_chunk(topk, c, promises);
    }
    encode_items(topk, promises);
    for (int32_t b = 0; b < topk->n_bands; b++) {
        sum_up_rest(topk, topk->bands[b]);
    }
    free(promises);
    return 0;
}

int topk_new(const struct model *model, const struct topk_options *options,
             struct topk **result, struct error *error)
{
    const size_t n_chunks = ((size_t)model->n_items + TOPK_CHUNK - 1) / TOPK_CHUNK;
    const size_t n_groups = ((size_t)model->n_factors + 3) / 4;
    const size_t n_codes = n_chunks * n_groups * TOPK_CHUNK * 4;
    struct topk *topk = calloc(1, sizeof *topk);
    if (!topk) {
        goto no_memory;
    }
    topk->model = model;
    topk->kernel = topk_kernel_within(options ? options->most : TOPK_ALL);
    topk->skips_nothing = options && options->skips_nothing;
    topk->n_chunks = (int32_t)n_chunks;
    topk->n_groups = (int32_t)n_groups;
    topk->is_hopeless = model->n_factors > TOPK_MAX_FACTORS ||
                        !topk_are_tame(model->item_bias, (size_t)model->n_items);
    topk->item = calloc((n_chunks + 1) * TOPK_CHUNK, sizeof *topk->item);
    topk->bias = calloc((n_chunks + 1) * TOPK_CHUNK, sizeof *topk->bias);
    topk->codes = pages_alloc(n_codes + TOPK_LOOK_AHEAD, CACHE_LINE);
    topk->chunks = calloc(n_chunks + 1, sizeof *topk->chunks);
    if (!topk->item || !topk->bias || !topk->codes || !topk->chunks) {
        goto no_memory;
    }
    if (!topk->is_hopeless) {
        memset(topk->codes, 128, n_codes);
        if (lay_out(topk) != 0) {
            goto no_memory;
        }
    }
    *result = topk;
    return 0;
no_memory:
    topk_free(topk);
    error_set(error, ERROR_NOMEM, "no memory for the layout of %d items",
              model->n_items);
    return -1;
}

void topk_free(struct topk *topk)
{
    if (topk) {
        free(topk->item);
        free(topk->bias);
        free(topk->codes);
        free(topk->chunks);
        free(topk);
    }
}
