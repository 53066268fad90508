#include "trainer/row_average.h"

#include <stdlib.h>

int row_average_init(struct row_average *average, int32_t n_rows, int stride)
{
    *average = (struct row_average){.n_rows = n_rows, .stride = stride};
    average->mean = calloc((size_t)n_rows * (size_t)stride + 1, sizeof *average->mean);
    return average->mean ? 0 : -1;
}

void row_average_release(struct row_average *average)
{
    free(average->mean);
}

void row_average_add(struct row_average *average, const float *rows,
                     const int32_t *row_at, int n_threads)
{
    const size_t stride = (size_t)average->stride;
    const float share = 1 / (float)++average->n;
#pragma omp parallel for schedule(static) num_threads(n_threads)
    for (int32_t p = 0; p < average->n_rows; p++) {
        const float *row = rows + (size_t)p * stride;
        float *mean = average->mean + (size_t)(row_at ? row_at[p] : p) * stride;
        for (size_t f = 0; f < stride; f++) {
            mean[f] += share * (row[f] - mean[f]);
        }
    }
}
