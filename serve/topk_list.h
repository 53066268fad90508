/* topk_list.h - exact scores, and the list of the k best of them. Only for topk*.c.
 *
 * While items are offered the list is a heap whose root is the worst of it; ranking is
 * by score, then by the lower item index.
 */
#ifndef SERVE_TOPK_LIST_H
#define SERVE_TOPK_LIST_H

#include "serve/topk.h"

/* Takes the item in if it is among the k best so far. result->n is 0 at first. */
void topk_list_offer(struct topk_result *result, int k, double score, int32_t item);

/* From the heap to the order of ranks. */
void topk_list_sort(struct topk_result *result);

/* topk_score() of four items: each sum in the same order as alone, but not waiting for
 * each other. */
void topk_score_four(const struct model *model, const struct topk_query *query,
                     const int32_t items[4], double scores[4]);

#endif
