/* neighbors.h - the nearest rows of every row, exactly, by blocked matrix products. */
#ifndef TRAINER_NEIGHBORS_H
#define TRAINER_NEIGHBORS_H

#include <stdint.h>

#include "common/error.h"

/* For each of rows (n, k) its `m` nearest others by Euclidean distance, 1 <= m < n:
 * index (n, m) and squared distance (n, m), nearest first, ties by index. O(n^2 k). The
 * same at any number of threads (> 0). Fails with ERROR_NOMEM. */
MUST_CHECK int neighbors_find(const float *rows, int32_t n, int k, int32_t m,
                              int n_threads, int32_t *index, float *squared,
                              struct error *error);

#endif
