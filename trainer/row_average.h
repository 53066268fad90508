/* row_average.h - the mean of rows over the last epochs of a stochastic descent.
 *
 * Iterates wander around the optimum as long as the step is not small; their mean lies
 * closer to it than any of them. Source: Polyak & Juditsky, SIAM J. Control Optim. 30
 * (1992) 838.
 */
#ifndef TRAINER_ROW_AVERAGE_H
#define TRAINER_ROW_AVERAGE_H

#include <stdint.h>

#include "common/error.h"

struct row_average {
    float *mean; /* (n_rows, stride), owned; NULL before row_average_init */
    int32_t n_rows;
    int stride;
    int n; /* how many were added */
};

/* Returns -1 when memory ran out; release in any case. */
MUST_CHECK int row_average_init(struct row_average *average, int32_t n_rows,
                                int stride);
void row_average_release(struct row_average *average);

/* Adds rows (n_rows, stride), the p-th of which is row row_at[p]; NULL: row p. The same
 * at any number of threads (> 0). */
void row_average_add(struct row_average *average, const float *rows,
                     const int32_t *row_at, int n_threads);

#endif
