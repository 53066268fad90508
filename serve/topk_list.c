#include "serve/topk_list.h"

#include <stdbool.h>

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

void topk_score_four(const struct model *model, const struct topk_query *query,
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

void topk_list_offer(struct topk_result *result, int k, double score, int32_t item)
{
    if (result->n < k) {
        sift_up(result, result->n++, score, item);
    } else if (ranks_before(score, item, result->scores[0], result->items[0])) {
        sift_down(result, result->n, score, item);
    }
}

void topk_list_sort(struct topk_result *result)
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
        topk_list_offer(result, query->k, topk_score(model, query, item), item);
    }
    topk_list_sort(result);
}
