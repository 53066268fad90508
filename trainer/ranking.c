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

/* Integer counts come out the same however wide the vectors are. */
static inline __attribute__((always_inline)) struct counts
count_body(const float *scores, int32_t n, float level)
{
    int32_t less = 0, equal = 0;
    for (int32_t i = 0; i < n; i++) {
        less += scores[i] < level;
        equal += scores[i] == level;
    }
    return (struct counts){less, equal};
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static struct counts count_avx2(const float *scores,
                                                                int32_t n, float level)
{
    return count_body(scores, n, level);
}
#endif

static struct counts count(const float *scores, int32_t n, float level)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        return count_avx2(scores, n, level);
    }
#endif
    return count_body(scores, n, level);
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
 * items counted, excluded ones and positives too. */
static int64_t doubled_wins(const struct ranking_case *c, const float *levels)
{
    int64_t doubled = 0;
    if (c->n_positives <= MAX_PASSES) {
        for (int32_t j = 0; j < c->n_positives; j++) {
            const struct counts n = count(c->scores, c->n_items, levels[j]);
            doubled += 2 * n.less + n.equal;
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
    int64_t doubled =
        doubled_wins(c, levels) - 2 * known * c->n_excluded - known * known;
    doubled += 2 * known * unknown_negatives;
    doubled += c->n_unknown_positives * unknown_negatives;
    return (double)doubled / 2 / ((double)positives * (double)negatives);
}

static double measure_reciprocal_rank(const struct ranking_case *c)
{
    if (c->n_positives == 0) {
        return 0;
    }
    int32_t best = c->positives[0];
    for (int32_t j = 1; j < c->n_positives; j++) {
        const int32_t p = c->positives[j];
        if (c->scores[p] > c->scores[best] ||
            (c->scores[p] == c->scores[best] && p < best)) {
            best = p;
        }
    }
    const struct counts n = count(c->scores, c->n_items, c->scores[best]);
    const struct counts before = count(c->scores, best, c->scores[best]);
    return 1 / (double)(1 + c->n_items - n.less - n.equal + before.equal);
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
    scratch->n_top = ranking_top(c->scores, c->n_items, k, scratch->top);
    metrics->auc = measure_auc(c, scratch->levels);
    metrics->reciprocal_rank = measure_reciprocal_rank(c);
    measure_top(c, cut, scratch, metrics);
}
