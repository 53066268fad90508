#include "bench/topk_reference.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK 64 /* items */
#define LANES 8

#if defined(__x86_64__)

#include <immintrin.h>

#define AVX2 __attribute__((target("avx2,fma")))

struct reference {
    const struct model *model;
    size_t n_blocks, n_factors;
    float *values; /* (n_blocks, n_factors, BLOCK) */
    float *bias;   /* (n_blocks, BLOCK); -INFINITY behind the last item */
};

struct reference *reference_new(const struct model *model)
{
    struct reference *r = calloc(1, sizeof *r);
    if (!r || !__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) {
        free(r);
        return NULL;
    }
    r->model = model;
    r->n_factors = (size_t)model->n_factors;
    r->n_blocks = ((size_t)model->n_items + BLOCK - 1) / BLOCK;
    r->values = calloc(r->n_blocks * r->n_factors * BLOCK, sizeof *r->values);
    r->bias = malloc(r->n_blocks * BLOCK * sizeof *r->bias);
    if (!r->values || !r->bias) {
        reference_free(r);
        return NULL;
    }
    for (size_t i = 0; i < r->n_blocks * BLOCK; i++) {
        const bool is_item = i < (size_t)model->n_items;
        r->bias[i] = is_item ? model->item_bias[i] : -INFINITY;
        for (size_t f = 0; f < r->n_factors && is_item; f++) {
            r->values[((i / BLOCK) * r->n_factors + f) * BLOCK + i % BLOCK] =
                model->item_factors[i * r->n_factors + f];
        }
    }
    return r;
}

void reference_free(struct reference *reference)
{
    if (reference) {
        free(reference->values);
        free(reference->bias);
        free(reference);
    }
}

static bool has_seen(const struct topk_query *query, int32_t item)
{
    int32_t low = 0, high = query->n_seen;
    while (low < high) {
        const int32_t middle = low + (high - low) / 2;
        if (query->seen[middle] < item) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < query->n_seen && query->seen[low] == item;
}

static void offer(struct reference_list *list, const struct topk_query *query,
                  float score, int32_t item)
{
    if (has_seen(query, item)) {
        return;
    }
    int at = list->n < REFERENCE_K ? list->n++ : REFERENCE_K - 1;
    for (; at > 0 && list->scores[at - 1] < score; at--) {
        list->scores[at] = list->scores[at - 1];
        list->items[at] = list->items[at - 1];
    }
    list->scores[at] = score;
    list->items[at] = item;
}

/* Offers those of eight items that reach the list. Items without a bias of their own
 * (behind the last) have -INFINITY or, at weight 0, NAN: neither is greater. */
AVX2 static void offer_lanes(struct reference_list *list,
                             const struct topk_query *query, __m256 scores,
                             int32_t first)
{
    const float least =
        list->n == REFERENCE_K ? list->scores[REFERENCE_K - 1] : -INFINITY;
    int mask =
        _mm256_movemask_ps(_mm256_cmp_ps(scores, _mm256_set1_ps(least), _CMP_GT_OQ));
    if (mask) {
        float values[LANES];
        _mm256_storeu_ps(values, scores);
        for (; mask; mask &= mask - 1) {
            const int lane = __builtin_ctz((unsigned)mask);
            if (list->n < REFERENCE_K || values[lane] > list->scores[REFERENCE_K - 1]) {
                offer(list, query, values[lane], first + lane);
            }
        }
    }
}

AVX2 void reference_find(const struct reference *reference,
                         const struct topk_query *query, struct reference_list *list)
{
    const __m256 weight = _mm256_set1_ps((float)query->item_bias);
    list->n = 0;
    for (size_t b = 0; b < reference->n_blocks; b++) {
        const float *values = reference->values + b * reference->n_factors * BLOCK;
        const float *bias = reference->bias + b * BLOCK;
        __m256 sums[BLOCK / LANES];
        for (int l = 0; l < BLOCK / LANES; l++) {
            sums[l] = _mm256_mul_ps(weight, _mm256_loadu_ps(bias + LANES * l));
        }
        for (size_t f = 0; f < reference->n_factors; f++, values += BLOCK) {
            const __m256 u = _mm256_set1_ps(query->vector[f]);
            for (int l = 0; l < BLOCK / LANES; l++) {
                sums[l] =
                    _mm256_fmadd_ps(u, _mm256_loadu_ps(values + LANES * l), sums[l]);
            }
        }
        for (int l = 0; l < BLOCK / LANES; l++) {
            offer_lanes(list, query, sums[l], (int32_t)(b * BLOCK) + LANES * l);
        }
    }
}

/* Four users, sixteen items: eight sums, which stay in registers. */
AVX2 static void find_four(const struct reference *reference, size_t block, int lane,
                           const struct topk_query *queries,
                           struct reference_list *lists)
{
    const float *values = reference->values + block * reference->n_factors * BLOCK;
    const float *bias = reference->bias + block * BLOCK + lane;
    __m256 left[4], right[4];
    for (int u = 0; u < 4; u++) {
        const __m256 weight = _mm256_set1_ps((float)queries[u].item_bias);
        left[u] = _mm256_mul_ps(weight, _mm256_loadu_ps(bias));
        right[u] = _mm256_mul_ps(weight, _mm256_loadu_ps(bias + LANES));
    }
    for (size_t f = 0; f < reference->n_factors; f++, values += BLOCK) {
        const __m256 a = _mm256_loadu_ps(values + lane);
        const __m256 b = _mm256_loadu_ps(values + lane + LANES);
        for (int u = 0; u < 4; u++) {
            const __m256 factor = _mm256_set1_ps(queries[u].vector[f]);
            left[u] = _mm256_fmadd_ps(factor, a, left[u]);
            right[u] = _mm256_fmadd_ps(factor, b, right[u]);
        }
    }
    const int32_t first = (int32_t)(block * BLOCK) + lane;
    for (int u = 0; u < 4; u++) {
        offer_lanes(&lists[u], &queries[u], left[u], first);
        offer_lanes(&lists[u], &queries[u], right[u], first + LANES);
    }
}

void reference_find_eight(const struct reference *reference,
                          const struct topk_query queries[REFERENCE_USERS],
                          struct reference_list lists[REFERENCE_USERS])
{
    for (int u = 0; u < REFERENCE_USERS; u++) {
        lists[u].n = 0;
    }
    for (size_t b = 0; b < reference->n_blocks; b++) {
        for (int lane = 0; lane < BLOCK; lane += 2 * LANES) {
            find_four(reference, b, lane, queries, lists);
            find_four(reference, b, lane, queries + 4, lists + 4);
        }
    }
}

#else

struct reference *reference_new(const struct model *model)
{
    (void)model;
    return NULL;
}

void reference_free(struct reference *reference)
{
    (void)reference;
}

void reference_find(const struct reference *reference, const struct topk_query *query,
                    struct reference_list *list)
{
    (void)reference;
    (void)query;
    list->n = 0;
}

void reference_find_eight(const struct reference *reference,
                          const struct topk_query queries[REFERENCE_USERS],
                          struct reference_list lists[REFERENCE_USERS])
{
    (void)reference;
    (void)queries;
    lists[0].n = 0;
}

#endif
