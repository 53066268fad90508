/* ranking.h - how well one user's scores rank what the user turned out to like.
 *
 * Candidates are the items that the user has not rated in training. They are ordered by
 * score, highest first, equal scores by lower index first. Positives are candidates.
 * With P positives, N other candidates, rel(r) = 1 where rank r (from 1) is a positive:
 *
 *   AUC       share of the P N pairs in which the positive scores higher; a tie is
 * half. Exact, every pair counted, no sampling. NDCG@k    sum_{r <= k} rel(r) / log2(r
 * + 1), over the same sum for an ideal order, which has min(P, k) positives in front
 * (Jarvelin & Kekalainen 2002, binary relevance). Recall@k  positives in the first k
 * ranks, over P (not over min(P, k)). AP@k      sum_{r <= k} rel(r) precision(r) /
 * min(P, k); its mean over users is MAP. RR        1 / rank of the first positive,
 * without a cut; its mean is MRR.
 *
 * Items that the model does not know can still be candidates: they rank after all that
 * it knows, tied with each other, and are never recommended.
 */
#ifndef TRAINER_RANKING_H
#define TRAINER_RANKING_H

#include <stdint.h>

/* What can be worked out once when many users share one row of scores. */
struct ranking_order {
    const float *scores;    /* (n_items) the row */
    int32_t *by_score;      /* (n_items) items, best first, ties by index */
    int32_t *position;      /* (n_items) its inverse */
    int64_t *doubled_below; /* (n_items) 2 x items scored lower + items scored equal */
};

struct ranking_case {
    /* (n_items), finite; those of excluded items become -INFINITY, and what they were
     * again where `order` is given. */
    float *scores;
    const struct ranking_order *order; /* of `scores`; NULL: they are this user's own */
    int32_t n_items;
    const int32_t *excluded; /* (n_excluded) distinct items: not candidates */
    int32_t n_excluded;
    const int32_t *positives; /* (n_positives) distinct items, none excluded */
    int32_t n_positives;
    int32_t n_unknown;           /* further candidates that have no score */
    int32_t n_unknown_positives; /* how many of those are positive */
};

struct ranking_cutoffs {
    int32_t k;        /* of NDCG and AP; >= 1 */
    int32_t recall_k; /* >= 1 */
};

struct ranking_metrics {
    double auc; /* NAN when every candidate is a positive */
    double ndcg, recall, average_precision, reciprocal_rank;
};

/* Scratch of one thread. */
struct ranking_scratch {
    int32_t *top; /* (max(k, recall_k)): the best items in order, for the caller too */
    int32_t n_top;
    float *levels; /* (largest n_positives) */
};

/* Needs at least one positive, known or not. Allocates nothing. */
void ranking_measure(const struct ranking_case *c, const struct ranking_cutoffs *cut,
                     struct ranking_scratch *scratch, struct ranking_metrics *metrics);

struct ranking_scored {
    float score;
    int32_t item;
};

/* Fills `order`, whose arrays the caller provides, as scratch (n_items). `scores` must
 * live as long as `order`. */
void ranking_sort(const float *scores, int32_t n_items, struct ranking_scored *scratch,
                  struct ranking_order *order);

/* The best `k` of scores (n_items) into `top`, in order; -INFINITY is never among them.
 * Returns how many there are. */
int32_t ranking_top(const float *scores, int32_t n_items, int32_t k, int32_t *top);

#endif
