/* topk_reference.h - what the search of serve/topk.h is held against: every item scored
 * in single precision, items in blocks so that a vector holds eight of them, the
 * threshold of the list fused in. Only for bench_topk: not exact (the scores are
 * rounded), and a server has no eight requests at once that must not wait for each
 * other.
 */
#ifndef BENCH_TOPK_REFERENCE_H
#define BENCH_TOPK_REFERENCE_H

#include <stdbool.h>

#include "serve/topk.h"

#define REFERENCE_K     10
#define REFERENCE_USERS 8

struct reference_list {
    int n;
    int32_t items[REFERENCE_K];
    float scores[REFERENCE_K]; /* falling */
};

struct reference;

/* NULL where the processor lacks AVX2 and FMA, or memory. */
struct reference *reference_new(const struct model *model);
void reference_free(struct reference *reference);

/* The best REFERENCE_K for one user, and for REFERENCE_USERS at once. */
void reference_find(const struct reference *reference, const struct topk_query *query,
                    struct reference_list *list);
void reference_find_eight(const struct reference *reference,
                          const struct topk_query queries[REFERENCE_USERS],
                          struct reference_list lists[REFERENCE_USERS]);

#endif
