#include "trainer/ranking.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* Above this many positives a binary search per item beats a pass per positive. */
#define MAX_PASSES 192

struct counts {
    int64_t less, equal;
};

/* Levels that are counted in one pass over the scores: enough that the comparisons, not
 * the loads, set the pace. */
#define LEVELS 4

/* Adds to n[j] how many scores are below and at level[j]. Whole numbers come out the
 * same however wide the vectors are. */
static inline __attribute__((always_inline)) void count_body(const float *scores,
                                                             int32_t n_scores,
                                                             const float level[LEVELS],
                                                             struct counts n[LEVELS])
{
    int32_t less[LEVELS] = {0}, equal[LEVELS] = {0};
    for (int32_t i = 0; i < n_scores; i++) {
        for (int j = 0; j < LEVELS; j++) {
            less[j] += scores[i] < level[j];
            equal[j] += scores[i] == level[j];
        }
    }
    for (int j = 0; j < LEVELS; j++) {
        n[j].less += less[j];
        n[j].equal += equal[j];
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void count_avx2(const float *scores,
                                                       int32_t n_scores,
                                                       const float level[LEVELS],
                                                       struct counts n[LEVELS])
{
    count_body(scores, n_scores, level, n);
}
#endif

static void count_levels(const float *scores, int32_t n_scores,
                         const float level[LEVELS], struct counts n[LEVELS])
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        count_avx2(scores, n_scores, level, n);
        return;
    }
#endif
    count_body(scores, n_scores, level, n);
}

int32_t ranking_top(const float *scores, int32_t n_items, int32_t k, int32_t *top)
{
    float worst = -INFINITY;
    int32_t n = 0;
    for (int32_t i = 0; i < n_items; i++) {
        if (!(scores[i] > worst)) {
            continue;
        }
        int32_t at = n < k ? n++ : k - 1;
        for (; at > 0 && scores[top[at - 1]] < scores[i]; at--) {
            top[at] = top[at - 1];
        }
        top[at] = i;
        if (n == k) {
            worst = scores[top[k - 1]];
        }
    }
    return n;
}

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* How many of levels (n, ascending) are below x. */
static int32_t levels_below(const float *levels, int32_t n, float x)
{
    int32_t low = 0;
    while (n > 0) {
        const int32_t half = n / 2;
        if (levels[low + half] < x) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

/* Twice the sum over positives of (items below + half the items level with it), all
 * items counted: positives too, and excluded ones as below everything. */
static int64_t doubled_wins(const struct ranking_case *c, const float *levels)
{
    int64_t doubled = 0;
    if (c->n_positives <= MAX_PASSES) {
        for (int32_t first = 0; first < c->n_positives; first += LEVELS) {
            const int32_t left = c->n_positives - first;
            const int32_t n_levels = left < LEVELS ? left : LEVELS;
            struct counts n[LEVELS] = {{0}};
            float level[LEVELS];
            for (int32_t j = 0; j < LEVELS; j++) {
                level[j] = levels[first + (j < n_levels ? j : 0)];
            }
            count_levels(c->scores, c->n_items, level, n);
            for (int32_t j = 0; j < n_levels; j++) {
                doubled += 2 * n[j].less + n[j].equal;
            }
        }
        return doubled;
    }
    for (int32_t i = 0; i < c->n_items; i++) {
        const int32_t below = levels_below(levels, c->n_positives, c->scores[i]);
        int32_t equal = 0;
        while (below + equal < c->n_positives &&
               levels[below + equal] == c->scores[i]) {
            equal++;
        }
        doubled += 2 * (int64_t)(c->n_positives - below - equal) + equal;
    }
    return doubled;
}

/* The same from the order: excluded items leave their place and go below. */
static int64_t doubled_wins_in_order(const struct ranking_case *c)
{
    const float *scores = c->order->scores;
    int64_t doubled = 0;
    for (int32_t j = 0; j < c->n_positives; j++) {
        const int32_t p = c->positives[j];
        doubled += c->order->doubled_below[p];
        for (int32_t e = 0; e < c->n_excluded; e++) {
            const float s = scores[c->excluded[e]];
            doubled += 2 - 2 * (s < scores[p]) - (s == scores[p]);
        }
    }
    return doubled;
}

static double measure_auc(const struct ranking_case *c, const float *levels)
{
    const int64_t known = c->n_positives, positives = known + c->n_unknown_positives;
    const int64_t negatives =
        (int64_t)c->n_items - c->n_excluded + c->n_unknown - positives;
    const int64_t unknown_negatives = c->n_unknown - c->n_unknown_positives;
    if (negatives <= 0) {
        return NAN;
    }
    /* Excluded items are below every positive; among themselves the positives make
     * known^2 / 2 wins, whatever their order. */
    int64_t doubled = c->order ? doubled_wins_in_order(c) : doubled_wins(c, levels);
    doubled -= 2 * known * c->n_excluded + known * known;
    doubled += 2 * known * unknown_negatives;
    doubled += c->n_unknown_positives * unknown_negatives;
    return (double)doubled / 2 / ((double)positives * (double)negatives);
}

/* The rank of the best positive, from 1. */
static int64_t rank_of_best(const struct ranking_case *c)
{
    const float nothing = -INFINITY;
    int32_t best = c->positives[0];
    for (int32_t j = 1; j < c->n_positives; j++) {
        const int32_t p = c->positives[j];
        if (c->scores[p] > c->scores[best] ||
            (c->scores[p] == c->scores[best] && p < best)) {
            best = p;
        }
    }
    if (c->order) {
        const int32_t *position = c->order->position;
        int64_t rank = 1 + position[best];
        for (int32_t e = 0; e < c->n_excluded; e++) {
            rank -= position[c->excluded[e]] < position[best];
        }
        return rank;
    }
    const float level[LEVELS] = {c->scores[best], nothing, nothing, nothing};
    struct counts all[LEVELS] = {{0}}, before[LEVELS] = {{0}};
    count_levels(c->scores, c->n_items, level, all);
    count_levels(c->scores, best, level, before);
    return 1 + c->n_items - all[0].less - all[0].equal + before[0].equal;
}

static bool is_positive(const struct ranking_case *c, int32_t item)
{
    for (int32_t j = 0; j < c->n_positives; j++) {
        if (c->positives[j] == item) {
            return true;
        }
    }
    return false;
}

static void measure_top(const struct ranking_case *c, const struct ranking_cutoffs *cut,
                        const struct ranking_scratch *scratch,
                        struct ranking_metrics *metrics)
{
    const int32_t positives = c->n_positives + c->n_unknown_positives;
    const int32_t reachable = positives < cut->k ? positives : cut->k;
    double gain = 0, ideal = 0, precision = 0;
    int32_t hits = 0, recalled = 0;
    for (int32_t r = 0; r < scratch->n_top; r++) {
        if (!is_positive(c, scratch->top[r])) {
            continue;
        }
        recalled += r < cut->recall_k;
        if (r < cut->k) {
            hits++;
            gain += 1 / log2(r + 2);
            precision += (double)hits / (r + 1);
        }
    }
    for (int32_t r = 0; r < reachable; r++) {
        ideal += 1 / log2(r + 2);
    }
    metrics->ndcg = gain / ideal;
    metrics->average_precision = precision / reachable;
    metrics->recall = (double)recalled / positives;
}

static int32_t top_in_order(const struct ranking_case *c, int32_t k, int32_t *top)
{
    int32_t n = 0;
    for (int32_t r = 0; r < c->n_items && n < k; r++) {
        const int32_t i = c->order->by_score[r];
        if (c->scores[i] > -INFINITY) {
            top[n++] = i;
        }
    }
    return n;
}

void ranking_measure(const struct ranking_case *c, const struct ranking_cutoffs *cut,
                     struct ranking_scratch *scratch, struct ranking_metrics *metrics)
{
    const int32_t k = cut->k > cut->recall_k ? cut->k : cut->recall_k;
    for (int32_t j = 0; j < c->n_excluded; j++) {
        c->scores[c->excluded[j]] = -INFINITY;
    }
    for (int32_t j = 0; j < c->n_positives; j++) {
        scratch->levels[j] = c->scores[c->positives[j]];
    }
    qsort(scratch->levels, (size_t)c->n_positives, sizeof *scratch->levels,
          compare_floats);
    scratch->n_top = c->order ? top_in_order(c, k, scratch->top)
                              : ranking_top(c->scores, c->n_items, k, scratch->top);
    metrics->auc = measure_auc(c, scratch->levels);
    metrics->reciprocal_rank = c->n_positives ? 1 / (double)rank_of_best(c) : 0;
    measure_top(c, cut, scratch, metrics);
    for (int32_t j = 0; c->order && j < c->n_excluded; j++) {
        c->scores[c->excluded[j]] = c->order->scores[c->excluded[j]];
    }
}

static int compare_scored(const void *a, const void *b)
{
    const struct ranking_scored *x = a, *y = b;
    if (x->score != y->score) {
        return x->score < y->score ? 1 : -1;
    }
    return (x->item > y->item) - (x->item < y->item);
}

void ranking_sort(const float *scores, int32_t n_items, struct ranking_scored *scratch,
                  struct ranking_order *order)
{
    for (int32_t i = 0; i < n_items; i++) {
        scratch[i] = (struct ranking_scored){scores[i], i};
    }
    qsort(scratch, (size_t)n_items, sizeof *scratch, compare_scored);
    for (int32_t r = 0, end = 0; r < n_items; r++) {
        const int32_t i = scratch[r].item;
        const int32_t first =
            r == 0 || scratch[r].score != scratch[r - 1].score ? r : -1;
        order->by_score[r] = i;
        order->position[i] = r;
        if (first >= 0) { /* of a run of equal scores, [r, end) */
            for (end = r; end < n_items && scratch[end].score == scratch[r].score;
                 end++) {
            }
            for (int32_t t = r; t < end; t++) {
                order->doubled_below[scratch[t].item] =
                    2 * (int64_t)(n_items - end) + end - r;
            }
        }
    }
    order->scores = scores;
}
