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

struct ranking_case {
    float *scores; /* (n_items), finite; those of excluded items become -INFINITY */
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

/* The best `k` of scores (n_items) into `top`, in order; -INFINITY is never among them.
 * Returns how many there are. */
int32_t ranking_top(const float *scores, int32_t n_items, int32_t k, int32_t *top);

#endif
