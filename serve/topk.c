#include "serve/topk.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "serve/topk_kernel.h"

#define USER_LEVELS 63 /* see topk_kernel.c: larger codes would saturate */
#define ITEM_LEVELS 127
#define MAX_FACTORS 4096
#define TINY        1e-30F /* all smaller: codes of 0 */
#define UNDERFLOW   1e-17F /* more than squares too small for a float can hide */
#define MAX_VALUE   1e15F  /* beyond, single precision might overflow */
#define POOL_SIZE   8192   /* candidates kept; at least twice TOPK_MAX */

/* Relative slack for the rounding of the bounds themselves, all of which are a few
 * dozen operations in single precision. */
#define SLACK 2e-5F
/* ... and for the rounding of the exact score, whose largest term may be `base`. */
#define BASE_SLACK 1e-14

struct chunk {
    float scale;     /* of its codes */
    float max_norm;  /* the longest vector */
    float max_error; /* the largest |v - v'| */
    float max_bias, min_bias;
    /* the same over this and all chunks behind it */
    float rest_norm, rest_max_bias, rest_min_bias;
};

struct topk {
    const struct model *model;
    struct topk_kernel kernel;
    bool skips_nothing;
    bool is_hopeless; /* values too large or not numbers: no bound holds */
    int32_t n_chunks, n_groups;
    int32_t *item;        /* (n_chunks * TOPK_CHUNK) item at a place */
    float *bias;          /* (n_chunks * TOPK_CHUNK) */
    uint8_t *codes;       /* (n_chunks, n_groups, TOPK_CHUNK, 4) */
    struct chunk *chunks; /* (n_chunks) */
};

/* ---- the layout ---- */

struct promise {
    float value;
    int32_t item;
};

static int compare_promises(const void *a, const void *b)
{
    const struct promise *x = a, *y = b;
    return x->value != y->value ? (x->value < y->value ? 1 : -1)
                                : (x->item > y->item) - (x->item < y->item);
}

/* Length of a vector, rounded up generously: 4096 roundings are 2.5e-4. */
static float norm(const struct topk *topk, const float *v)
{
    return sqrtf(topk->kernel.dot(v, v, topk->model->n_factors)) * (1 + 5e-4F) +
           UNDERFLOW;
}

static float average_user_norm(const struct topk *topk)
{
    const struct model *model = topk->model;
    double sum = 0;
    /* A thousand users tell enough: it only orders the chunks. */
    const int32_t step = model->n_users / 1000 + 1;
    int32_t n = 0;
    for (int32_t u = 0; u < model->n_users; u += step, n++) {
        sum += (double)norm(topk,
                            model->user_factors + (size_t)u * (size_t)model->n_factors);
    }
    return n ? (float)(sum / n) : 1;
}

/* The order of items: what an average user in the direction of the item would say. */
static int order_items(struct topk *topk)
{
    const struct model *model = topk->model;
    const float user = average_user_norm(topk);
    struct promise *order = malloc(((size_t)model->n_items + 1) * sizeof *order);
    if (!order) {
        return -1;
    }
    for (int32_t i = 0; i < model->n_items; i++) {
        const float *v = model->item_factors + (size_t)i * (size_t)model->n_factors;
        order[i] = (struct promise){user * norm(topk, v) + model->item_bias[i], i};
    }
    qsort(order, (size_t)model->n_items, sizeof *order, compare_promises);
    for (int32_t i = 0; i < topk->n_chunks * TOPK_CHUNK; i++) {
        const bool is_item = i < model->n_items;
        topk->item[i] = is_item ? order[i].item : -1;
        topk->bias[i] = is_item ? model->item_bias[order[i].item] : 0;
    }
    free(order);
    return 0;
}

static const float *vector_at(const struct topk *topk, int32_t place)
{
    return topk->model->item_factors +
           (size_t)topk->item[place] * (size_t)topk->model->n_factors;
}

/* Adding and taking off 1.5 * 2^23 rounds to a whole number, four at a time, where
 * nearbyintf would be a call. Any rounding would do: the error is measured. */
static float to_whole(float value)
{
    const float magic = 12582912;
    return (value + magic) - magic;
}

/* Writes the codes of one item; returns |v - v'|, rounded up. */
static float encode_item(const struct topk *topk, int32_t chunk, int i, float scale)
{
    const int32_t n = topk->model->n_factors;
    const float *v = vector_at(topk, chunk * TOPK_CHUNK + i);
    const float inverse = scale > 0 ? 1 / scale : 0;
    uint8_t *codes = topk->codes +
                     (size_t)chunk * (size_t)topk->n_groups * TOPK_CHUNK * 4 +
                     4 * (size_t)i;
    float error = 0;
    for (int32_t f = 0; f < n; f++) {
        const float code = to_whole(v[f] * inverse);
        const float off = v[f] - code * scale;
        codes[(size_t)(f / 4) * TOPK_CHUNK * 4 + (size_t)(f % 4)] =
            (uint8_t)((int)code + 128);
        error += off * off;
    }
    return sqrtf(error) * (1 + 5e-4F) + UNDERFLOW;
}

static void encode_chunk(struct topk *topk, int32_t at)
{
    const int32_t n_factors = topk->model->n_factors;
    struct chunk *chunk = &topk->chunks[at];
    float largest = 0;
    int n = 0;
    *chunk = (struct chunk){.max_bias = -INFINITY, .min_bias = INFINITY};
    for (; n < TOPK_CHUNK && topk->item[at * TOPK_CHUNK + n] >= 0; n++) {
        const float *v = vector_at(topk, at * TOPK_CHUNK + n);
        const float bias = topk->bias[at * TOPK_CHUNK + n];
        for (int32_t f = 0; f < n_factors; f++) {
            largest = fmaxf(largest, fabsf(v[f]));
        }
        chunk->max_norm = fmaxf(chunk->max_norm, norm(topk, v));
        chunk->max_bias = fmaxf(chunk->max_bias, bias);
        chunk->min_bias = fminf(chunk->min_bias, bias);
    }
    chunk->scale = largest > TINY ? largest / ITEM_LEVELS : 0;
    for (int i = 0; i < n; i++) {
        chunk->max_error =
            fmaxf(chunk->max_error, encode_item(topk, at, i, chunk->scale));
    }
}

static void sum_up_rest(struct topk *topk)
{
    float rest_norm = 0, max_bias = -INFINITY, min_bias = INFINITY;
    for (int32_t c = topk->n_chunks - 1; c >= 0; c--) {
        struct chunk *chunk = &topk->chunks[c];
        chunk->rest_norm = rest_norm = fmaxf(rest_norm, chunk->max_norm);
        chunk->rest_max_bias = max_bias = fmaxf(max_bias, chunk->max_bias);
        chunk->rest_min_bias = min_bias = fminf(min_bias, chunk->min_bias);
    }
}

static bool are_tame(const float *values, size_t n)
{
    unsigned wild = 0;
    for (size_t i = 0; i < n; i++) {
        wild |= !(fabsf(values[i]) < MAX_VALUE); /* so is NAN */
    }
    return !wild;
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
    topk->kernel =
        options && options->is_portable ? topk_kernel_portable() : topk_kernel_best();
    topk->skips_nothing = options && options->skips_nothing;
    topk->n_chunks = (int32_t)n_chunks;
    topk->n_groups = (int32_t)n_groups;
    topk->is_hopeless = model->n_factors > MAX_FACTORS ||
                        !are_tame(model->item_bias, (size_t)model->n_items) ||
                        !are_tame(model->item_factors,
                                  (size_t)model->n_items * (size_t)model->n_factors);
    topk->item = calloc((n_chunks + 1) * TOPK_CHUNK, sizeof *topk->item);
    topk->bias = calloc((n_chunks + 1) * TOPK_CHUNK, sizeof *topk->bias);
    topk->codes = malloc(n_codes + 64);
    topk->chunks = malloc((n_chunks + 1) * sizeof *topk->chunks);
    if (!topk->item || !topk->bias || !topk->codes || !topk->chunks) {
        goto no_memory;
    }
    if (!topk->is_hopeless) {
        memset(topk->codes, 128, n_codes);
        if (order_items(topk) != 0) {
            goto no_memory;
        }
        for (size_t c = 0; c < n_chunks; c++) {
            encode_chunk(topk, (int32_t)c);
        }
        sum_up_rest(topk);
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

/* ---- exact scores ---- */

void topk_query_user(const struct model *model, int32_t user, struct topk_query *query)
{
    query->vector = model->user_factors + (size_t)user * (size_t)model->n_factors;
    query->base = (double)model->mean + (double)model->user_bias[user];
}

double topk_score(const struct model *model, const struct topk_query *query,
                  int32_t item)
{
    const float *v = model->item_factors + (size_t)item * (size_t)model->n_factors;
    double dot = 0;
    for (int32_t f = 0; f < model->n_factors; f++) {
        dot += (double)query->vector[f] * (double)v[f];
    }
    return query->base + dot + query->item_bias * (double)model->item_bias[item];
}

/* Four at once: each sum in the same order as alone, but not waiting for each other. */
static void score_four(const struct model *model, const struct topk_query *query,
                       const int32_t items[4], double scores[4])
{
    const size_t n = (size_t)model->n_factors;
    const float *a = model->item_factors + (size_t)items[0] * n;
    const float *b = model->item_factors + (size_t)items[1] * n;
    const float *c = model->item_factors + (size_t)items[2] * n;
    const float *d = model->item_factors + (size_t)items[3] * n;
    double sums[4] = {0, 0, 0, 0};
    for (size_t f = 0; f < n; f++) {
        const double u = (double)query->vector[f];
        sums[0] += u * (double)a[f];
        sums[1] += u * (double)b[f];
        sums[2] += u * (double)c[f];
        sums[3] += u * (double)d[f];
    }
    for (int i = 0; i < 4; i++) {
        scores[i] = query->base + sums[i] +
                    query->item_bias * (double)model->item_bias[items[i]];
    }
}

/* Whether (score, item) ranks before the other. */
static bool ranks_before(double a_score, int32_t a, double b_score, int32_t b)
{
    return a_score > b_score || (a_score == b_score && a < b);
}

/* Keeps result[0..n) a heap whose root is the worst of the list. */
static void sift_down(struct topk_result *result, int n, double score, int32_t item)
{
    int at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= n) {
            break;
        }
        if (child + 1 < n &&
            ranks_before(result->scores[child], result->items[child],
                         result->scores[child + 1], result->items[child + 1])) {
            child++;
        }
        if (!ranks_before(score, item, result->scores[child], result->items[child])) {
            break;
        }
        result->scores[at] = result->scores[child];
        result->items[at] = result->items[child];
        at = child;
    }
    result->scores[at] = score;
    result->items[at] = item;
}

static void sift_up(struct topk_result *result, int at, double score, int32_t item)
{
    while (at > 0) {
        const int parent = (at - 1) / 2;
        if (!ranks_before(result->scores[parent], result->items[parent], score, item)) {
            break;
        }
        result->scores[at] = result->scores[parent];
        result->items[at] = result->items[parent];
        at = parent;
    }
    result->scores[at] = score;
    result->items[at] = item;
}

static void offer(struct topk_result *result, int k, double score, int32_t item)
{
    if (result->n < k) {
        sift_up(result, result->n++, score, item);
    } else if (ranks_before(score, item, result->scores[0], result->items[0])) {
        sift_down(result, result->n, score, item);
    }
}

static void sort_heap(struct topk_result *result)
{
    for (int n = result->n - 1; n > 0; n--) {
        const double score = result->scores[n];
        const int32_t item = result->items[n];
        result->scores[n] = result->scores[0];
        result->items[n] = result->items[0];
        sift_down(result, n, score, item);
    }
}

void topk_find_naive(const struct model *model, const struct topk_query *query,
                     struct topk_result *result)
{
    int32_t at_seen = 0;
    result->n = 0;
    for (int32_t item = 0; item < model->n_items; item++) {
        if (at_seen < query->n_seen && query->seen[at_seen] == item) {
            at_seen++;
            continue;
        }
        offer(result, query->k, topk_score(model, query, item), item);
    }
    sort_heap(result);
}

/* ---- the search ---- */

struct candidate {
    float upper; /* its score less `base` is at most this */
    int32_t item;
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
    float lowest[TOPK_MAX]; /* heap of the k best lower ends, the least first */
    int8_t user[MAX_FACTORS + 4];
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
    search->code_scale = largest > TINY ? largest / USER_LEVELS : 0;
    memset(search->user, 0, (size_t)n + 4);
    for (int32_t f = 0; f < n; f++) {
        const float code =
            largest > TINY ? to_whole(query->vector[f] / search->code_scale) : 0;
        const double stands_for = (double)code * (double)search->code_scale;
        const double off = (double)query->vector[f] - stands_for;
        search->user[f] = (int8_t)code;
        sum += (int32_t)code;
        error += off * off;
        code_norm += stands_for * stands_for;
    }
    search->norm = norm(search->topk, query->vector);
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
    if (topk->is_hopeless || !are_tame(query->vector, (size_t)n) ||
        !(fabs(query->item_bias) < (double)MAX_VALUE) ||
        !(fabs(query->base) < (double)MAX_VALUE)) {
        return false;
    }
    encode_user(search);
    search->scan.user = search->user;
    search->scan.n_groups = topk->n_groups;
    search->scan.bias_weight = search->bias_weight;
    memset(search->seen, 0, ((size_t)topk->model->n_items / 64 + 1) * sizeof(uint64_t));
    for (int32_t i = 0; i < query->n_seen; i++) {
        const int32_t item = query->seen[i];
        search->seen[item / 64] |= UINT64_C(1) << (item % 64);
    }
    return true;
}

/* The largest w b of a range of biases. */
static float top_bias(float weight, float max_bias, float min_bias)
{
    return weight >= 0 ? weight * max_bias : weight * min_bias;
}

static bool is_in_reach(const struct search *search, float max_norm, float bias)
{
    const float product = search->norm * max_norm;
    return product + bias + SLACK * (product + fabsf(bias)) + search->base_slack >=
           search->mark;
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

/* Scores the survivors of a chunk in single precision. */
static void take_survivors(struct search *search, int32_t at, uint64_t mask)
{
    const struct topk *topk = search->topk;
    const struct model *model = topk->model;
    const struct chunk *chunk = &topk->chunks[at];
    const float product = search->norm * chunk->max_norm;
    const float bias_size = fabsf(search->bias_weight) *
                            fmaxf(fabsf(chunk->max_bias), fabsf(chunk->min_bias));
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
        const float score = topk->kernel.dot(search->query->vector,
                                             vector_at(topk, place), model->n_factors) +
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
    const struct chunk *chunk = &topk->chunks[at];
    struct topk_scan *scan = &search->scan;
    uint64_t mask = items_of(topk, at);
    if (search->mark > -INFINITY) {
        const float product = search->norm * chunk->max_norm;
        const float bias_size = fabsf(search->bias_weight) *
                                fmaxf(fabsf(chunk->max_bias), fabsf(chunk->min_bias));
        const float error = search->code_error * chunk->max_norm +
                            search->code_norm * chunk->max_error +
                            SLACK * (product + bias_size) + search->base_slack;
        scan->codes =
            topk->codes + (size_t)at * (size_t)topk->n_groups * TOPK_CHUNK * 4;
        scan->bias = topk->bias + (size_t)at * TOPK_CHUNK;
        scan->scale = search->code_scale * chunk->scale;
        scan->least = search->mark - error;
        mask &= topk->kernel.scan(scan);
        search->effort.n_scanned++;
    }
    if (mask) {
        take_survivors(search, at, mask);
    }
}

static void search_all(struct search *search)
{
    const struct topk *topk = search->topk;
    const float w = search->bias_weight;
    for (int32_t c = 0; c < topk->n_chunks && !search->has_overflowed; c++) {
        const struct chunk *chunk = &topk->chunks[c];
        if (!topk->skips_nothing) {
            if (!is_in_reach(search, chunk->rest_norm,
                             top_bias(w, chunk->rest_max_bias, chunk->rest_min_bias))) {
                break;
            }
            if (!is_in_reach(search, chunk->max_norm,
                             top_bias(w, chunk->max_bias, chunk->min_bias))) {
                continue;
            }
        }
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
        score_four(model, search->query, items, scores);
        for (int j = 0; j < 4; j++) {
            offer(result, search->k, scores[j], items[j]);
        }
    }
    for (; i < search->n_pool; i++) {
        offer(result, search->k, topk_score(model, search->query, search->pool[i].item),
              search->pool[i].item);
    }
    sort_heap(result);
}

void topk_find(const struct topk *topk, const struct topk_query *query, void *scratch,
               struct topk_result *result, struct topk_effort *effort)
{
    struct search *search = scratch;
    bool is_done = false;
    if (begin(search, topk, query)) {
        search_all(search);
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
