#include "serve/topk.h"

#include <math.h>
#include <string.h>

#include "serve/topk_layout.h"
#include "serve/topk_list.h"

#define USER_LEVELS 63   /* see topk_kernel.c: larger codes would saturate */
#define POOL_SIZE   8192 /* candidates kept; at least twice TOPK_MAX */

/* Relative slack for the rounding of the bounds themselves, all of which are a few
 * dozen operations in single precision. */
#define SLACK 2e-5F
/* ... and for the rounding of the exact score, whose largest term may be `base`. */
#define BASE_SLACK 1e-14

struct candidate {
    float upper; /* its score less `base` is at most this */
    int32_t item;
};

/* A band's chunks that are still to be looked at. */
struct ahead {
    float reach; /* what no score in them, less `base`, exceeds */
    int32_t chunk, end;
};

/* A search under way; lies in the caller's scratch memory. */
struct search {
    const struct topk *topk;
    const struct topk_query *query;
    struct topk_scan scan;
    float norm, code_norm, code_error; /* |u|, |u'|, |u - u'| */
    float code_scale;
    float bias_weight, base_slack;
    float mark; /* k items reach this for sure; -INFINITY until there are k */
    int n_lowest, k;
    int32_t n_pool;
    bool has_overflowed;
    struct topk_effort effort;
    int32_t n_ahead;
    struct ahead ahead[TOPK_MAX_BANDS]; /* heap, the farthest reach first */
    float lowest[TOPK_MAX]; /* heap of the k best lower ends, the least first */
    int8_t user[TOPK_MAX_FACTORS + 4];
    struct candidate pool[POOL_SIZE];
    uint64_t seen[]; /* a bit an item */
};

size_t topk_scratch_size(const struct topk *topk)
{
    return sizeof(struct search) +
           ((size_t)topk->model->n_items / 64 + 1) * sizeof(uint64_t);
}

static void encode_user(struct search *search)
{
    const struct topk_query *query = search->query;
    const int32_t n = search->topk->model->n_factors;
    float largest = 0;
    double error = 0, code_norm = 0;
    int32_t sum = 0;
    for (int32_t f = 0; f < n; f++) {
        largest = fmaxf(largest, fabsf(query->vector[f]));
    }
    search->code_scale = largest > TOPK_TINY ? largest / USER_LEVELS : 0;
    memset(search->user, 0, (size_t)n + 4);
    for (int32_t f = 0; f < n; f++) {
        const float code = largest > TOPK_TINY
                               ? topk_to_whole(query->vector[f] / search->code_scale)
                               : 0;
        const double stands_for = (double)code * (double)search->code_scale;
        const double off = (double)query->vector[f] - stands_for;
        search->user[f] = (int8_t)code;
        sum += (int32_t)code;
        error += off * off;
        code_norm += stands_for * stands_for;
    }
    search->norm = topk_norm(search->topk, query->vector);
    search->code_error = (float)sqrt(error) * (1 + 1e-6F);
    search->code_norm = (float)sqrt(code_norm) * (1 + 1e-6F);
    search->scan.offset = 128 * sum;
}

/* False when no bound can be trusted with these numbers. */
static bool begin(struct search *search, const struct topk *topk,
                  const struct topk_query *query)
{
    const int32_t n = topk->model->n_factors;
    search->topk = topk;
    search->query = query;
    search->mark = -INFINITY;
    search->k = query->k;
    search->n_lowest = 0;
    search->n_pool = 0;
    search->has_overflowed = false;
    search->effort = (struct topk_effort){0};
    search->bias_weight = (float)query->item_bias;
    search->base_slack = (float)(BASE_SLACK * fabs(query->base)) + 1e-30F;
    if (topk->is_hopeless || !topk_are_tame(query->vector, (size_t)n) ||
        !(fabs(query->item_bias) < (double)TOPK_MAX_VALUE) ||
        !(fabs(query->base) < (double)TOPK_MAX_VALUE)) {
        return false;
    }
    encode_user(search);
    search->scan.user = search->user;
    search->scan.n_groups = topk->n_groups;
    search->scan.bias_weight = search->bias_weight;
    memset(search->seen, 0, ((size_t)topk->model->n_items / 64 + 1) * sizeof(uint64_t));
    for (int32_t i = 0; i < query->n_seen; i++) {
        const uint32_t item = (uint32_t)query->seen[i]; /* a shift, not a division */
        search->seen[item / 64] |= UINT64_C(1) << (item % 64);
    }
    return true;
}

/* Of two numbers. fmaxf, which minds NAN, is a call. */
static float larger(float a, float b)
{
    return a > b ? a : b;
}

/* The largest w b of a range of biases. */
static float top_bias(float weight, float max_bias, float min_bias)
{
    return weight >= 0 ? weight * max_bias : weight * min_bias;
}

/* No score of vectors so long and biases so large is above it. */
static float reach_of(const struct search *search, float max_norm, float bias)
{
    const float product = search->norm * max_norm;
    return product + bias + SLACK * (product + fabsf(bias)) + search->base_slack;
}

/* Raises the mark with one more item that reaches at least `lower`. */
static void note_lower(struct search *search, float lower)
{
    float *heap = search->lowest;
    if (search->n_lowest < search->k) {
        int at = search->n_lowest++;
        for (; at > 0 && heap[(at - 1) / 2] > lower; at = (at - 1) / 2) {
            heap[at] = heap[(at - 1) / 2];
        }
        heap[at] = lower;
    } else if (lower > heap[0]) {
        int at = 0;
        for (int child = 1; child < search->k; at = child, child = 2 * at + 1) {
            child += child + 1 < search->k && heap[child + 1] < heap[child];
            if (heap[child] >= lower) {
                break;
            }
            heap[at] = heap[child];
        }
        heap[at] = lower;
    }
    if (search->n_lowest == search->k) {
        search->mark = heap[0];
    }
}

static void drop_hopeless(struct search *search)
{
    int32_t kept = 0;
    for (int32_t i = 0; i < search->n_pool; i++) {
        if (search->pool[i].upper >= search->mark) {
            search->pool[kept++] = search->pool[i];
        }
    }
    search->n_pool = kept;
    search->has_overflowed = kept > POOL_SIZE - 64;
}

/* Scores the survivors of a chunk in single precision. Few chunks have any: inlined,
 * the registers that it saves would be saved for every chunk. */
__attribute__((noinline)) static void take_survivors(struct search *search, int32_t at,
                                                     uint64_t mask)
{
    const struct topk *topk = search->topk;
    const struct model *model = topk->model;
    const struct topk_chunk *chunk = &topk->chunks[at];
    const float product = search->norm * chunk->max_norm;
    const float bias_size = fabsf(search->bias_weight) *
                            larger(fabsf(chunk->max_bias), fabsf(chunk->min_bias));
    /* (n + 8) roundings of at most 2^-24 each, generously. */
    const float error =
        (float)(model->n_factors + 8) * 1.2e-7F * (product + bias_size) +
        search->base_slack;
    if (search->n_pool > POOL_SIZE - 64) {
        drop_hopeless(search);
        if (search->has_overflowed) {
            return;
        }
    }
    for (; mask; mask &= mask - 1) {
        const int32_t place = at * TOPK_CHUNK + __builtin_ctzll(mask);
        const int32_t item = topk->item[place];
        if (search->seen[item / 64] >> (item % 64) & 1) {
            continue;
        }
        const float score =
            topk->kernel.dot(search->query->vector, topk_vector_at(topk, place),
                             model->n_factors) +
            search->bias_weight * topk->bias[place];
        search->effort.n_single++;
        if (score + error >= search->mark) {
            search->pool[search->n_pool++] = (struct candidate){score + error, item};
            note_lower(search, score - error);
        }
    }
}

static uint64_t items_of(const struct topk *topk, int32_t at)
{
    const int32_t left = topk->model->n_items - at * TOPK_CHUNK;
    return left >= TOPK_CHUNK ? UINT64_MAX : (UINT64_C(1) << left) - 1;
}

static void search_chunk(struct search *search, int32_t at)
{
    const struct topk *topk = search->topk;
    const struct topk_chunk *chunk = &topk->chunks[at];
    struct topk_scan *scan = &search->scan;
    uint64_t mask = UINT64_MAX;
    if (search->mark > -INFINITY) {
        const float product = search->norm * chunk->max_norm;
        const float bias_size = fabsf(search->bias_weight) *
                                larger(fabsf(chunk->max_bias), fabsf(chunk->min_bias));
        const float error = search->code_error * chunk->max_norm +
                            search->code_norm * chunk->max_error +
                            SLACK * (product + bias_size) + search->base_slack;
        scan->codes =
            topk->codes + (size_t)at * (size_t)topk->n_groups * TOPK_CHUNK * 4;
        scan->bias = topk->bias + (size_t)at * TOPK_CHUNK;
        scan->top_bias =
            top_bias(search->bias_weight, chunk->max_bias, chunk->min_bias);
        scan->scale = search->code_scale * chunk->scale;
        scan->least = search->mark - error;
        mask = topk->kernel.scan(scan);
        search->effort.n_scanned++;
    }
    if (mask) {
        take_survivors(search, at, mask & items_of(topk, at));
    }
}

static struct ahead look_ahead(const struct search *search, int32_t chunk, int32_t end)
{
    const struct topk_chunk *c = &search->topk->chunks[chunk];
    const float bias =
        top_bias(search->bias_weight, c->rest_max_bias, c->rest_min_bias);
    return (struct ahead){reach_of(search, c->rest_norm, bias), chunk, end};
}

/* Puts `ahead` where the heap is open, at `at` or below. */
static void sift_ahead(struct search *search, int32_t at, struct ahead ahead)
{
    struct ahead *heap = search->ahead;
    for (int32_t child = 2 * at + 1; child < search->n_ahead; child = 2 * at + 1) {
        child +=
            child + 1 < search->n_ahead && heap[child + 1].reach > heap[child].reach;
        if (heap[child].reach <= ahead.reach) {
            break;
        }
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = ahead;
}

static void line_up_bands(struct search *search)
{
    const struct topk *topk = search->topk;
    search->n_ahead = topk->n_bands;
    for (int32_t b = topk->n_bands - 1; b >= 0; b--) {
        sift_ahead(search, b,
                   look_ahead(search, topk->bands[b].first, topk->bands[b].end));
    }
}

/* Chunks in the order of what they could hold for this user and weight, until that is
 * nothing for all that are left. */
static void search_best_first(struct search *search)
{
    line_up_bands(search);
    while (search->n_ahead > 0 && search->ahead[0].reach >= search->mark &&
           !search->has_overflowed) {
        const struct ahead first = search->ahead[0];
        const struct topk_chunk *chunk = &search->topk->chunks[first.chunk];
        const float bias =
            top_bias(search->bias_weight, chunk->max_bias, chunk->min_bias);
        if (reach_of(search, chunk->max_norm, bias) >= search->mark) {
            search_chunk(search, first.chunk);
        }
        const bool has_more = first.chunk + 1 < first.end;
        search->n_ahead -= !has_more;
        sift_ahead(search, 0,
                   has_more ? look_ahead(search, first.chunk + 1, first.end)
                            : search->ahead[search->n_ahead]);
    }
}

static void search_everything(struct search *search)
{
    for (int32_t c = 0; c < search->topk->n_chunks && !search->has_overflowed; c++) {
        search_chunk(search, c);
    }
}

/* Scores who is left as the reference does. */
static void finish(struct search *search, struct topk_result *result)
{
    const struct model *model = search->topk->model;
    double scores[4];
    int32_t items[4];
    drop_hopeless(search);
    search->effort.n_double = search->n_pool;
    result->n = 0;
    int32_t i = 0;
    for (; i + 4 <= search->n_pool; i += 4) {
        for (int j = 0; j < 4; j++) {
            items[j] = search->pool[i + j].item;
        }
        topk_score_four(model, search->query, items, scores);
        for (int j = 0; j < 4; j++) {
            topk_list_offer(result, search->k, scores[j], items[j]);
        }
    }
    for (; i < search->n_pool; i++) {
        topk_list_offer(result, search->k,
                        topk_score(model, search->query, search->pool[i].item),
                        search->pool[i].item);
    }
    topk_list_sort(result);
}

void topk_find(const struct topk *topk, const struct topk_query *query, void *scratch,
               struct topk_result *result, struct topk_effort *effort)
{
    struct search *search = scratch;
    bool is_done = false;
    if (begin(search, topk, query)) {
        if (topk->skips_nothing) {
            search_everything(search);
        } else {
            search_best_first(search);
        }
        if (!search->has_overflowed) {
            finish(search, result);
            is_done = true;
        }
    }
    if (!is_done) {
        search->effort.was_naive = true;
        topk_find_naive(topk->model, query, result);
    }
    if (effort) {
        *effort = search->effort;
    }
}
