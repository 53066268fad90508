#include "serve/topk.h"

#include <stdbool.h>
#include <stdlib.h>

struct topk {
    const struct model *model;
};

int topk_new(const struct model *model, struct topk **result, struct error *error)
{
    struct topk *topk = calloc(1, sizeof *topk);
    if (!topk) {
        error_set(error, ERROR_NOMEM, "no memory for the layout of %d items",
                  model->n_items);
        return -1;
    }
    topk->model = model;
    *result = topk;
    return 0;
}

void topk_free(struct topk *topk)
{
    free(topk);
}

/* Whether (score, item) ranks before the other. */
static bool ranks_before(double a_score, int32_t a, double b_score, int32_t b)
{
    return a_score > b_score || (a_score == b_score && a < b);
}

/* Keeps result[0..n) a heap whose root is the worst of the list. */
static void sift_down(struct topk_result *result, int n, int at, double score,
                      int32_t item)
{
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

static void sort_heap(struct topk_result *result)
{
    for (int n = result->n - 1; n > 0; n--) {
        const double score = result->scores[n];
        const int32_t item = result->items[n];
        result->scores[n] = result->scores[0];
        result->items[n] = result->items[0];
        sift_down(result, n, 0, score, item);
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
        const double score = model_score(model, query->user, item, query->item_bias);
        if (result->n < query->k) {
            sift_up(result, result->n++, score, item);
        } else if (ranks_before(score, item, result->scores[0], result->items[0])) {
            sift_down(result, result->n, 0, score, item);
        }
    }
    sort_heap(result);
}

void topk_find(const struct topk *topk, const struct topk_query *query,
               struct topk_result *result)
{
    topk_find_naive(topk->model, query, result);
}
