/* neighbors.h - the nearest rows of every row, exactly, by blocked matrix products. */
#ifndef TRAINER_NEIGHBORS_H
#define TRAINER_NEIGHBORS_H

#include <stdint.h>

#include "common/error.h"

/* Row i's neighbours are at [i m, (i + 1) m): nearest first, ties by index. */
struct neighbors {
    int32_t *index; /* (n, m) */
    float *squared; /* (n, m) squared distances */
};

/* Fills the caller's arrays with the `m` nearest others of each of rows (n, k) by
 * Euclidean distance, 1 <= m < n. O(n^2 k). The same at any number of threads (> 0).
 * Fails with ERROR_NOMEM. */
MUST_CHECK int neighbors_find(const float *rows, int32_t n, int k, int32_t m,
                              int n_threads, const struct neighbors *found,
                              struct error *error);

#endif
