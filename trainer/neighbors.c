#include "trainer/neighbors.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>

/* Rows of one matrix product; fixed, so that threads do not change the result. */
#define BLOCK 32

struct search {
    const float *rows;
    int32_t n, m;
    int k;
    float *norm; /* (n) squared lengths */
    int32_t *index;
    float *squared;
};

/* Puts (i, distance) among the m best of a row, worst last. */
static void keep(const struct search *s, int32_t *index, float *squared,
                 int32_t *n_kept, int32_t i, float distance)
{
    int32_t at = *n_kept < s->m ? (*n_kept)++ : s->m - 1;
    for (; at > 0 && squared[at - 1] > distance; at--) {
        squared[at] = squared[at - 1];
        index[at] = index[at - 1];
    }
    squared[at] = distance;
    index[at] = i;
}

static void search_block(const struct search *s, int32_t first, float *products)
{
    const int32_t left = s->n - first, n_rows = left < BLOCK ? left : BLOCK;
    const size_t k = (size_t)s->k, m = (size_t)s->m;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n_rows, s->n, s->k, 1,
                s->rows + (size_t)first * k, s->k, s->rows, s->k, 0, products, s->n);
    for (int32_t j = 0; j < n_rows; j++) {
        const int32_t row = first + j;
        const float *product = products + (size_t)j * (size_t)s->n;
        int32_t *index = s->index + (size_t)row * m;
        float *squared = s->squared + (size_t)row * m;
        int32_t n_kept = 0;
        for (int32_t i = 0; i < s->n; i++) {
            const float d = s->norm[row] + s->norm[i] - 2 * product[i];
            if (i != row && (n_kept < s->m || d < squared[s->m - 1])) {
                keep(s, index, squared, &n_kept, i, d > 0 ? d : 0);
            }
        }
    }
}

static void search_all(const struct search *s, float *products, int n_threads)
{
    const int32_t n_blocks = (s->n + BLOCK - 1) / BLOCK;
    const int blas_threads = openblas_get_num_threads();
    openblas_set_num_threads(1); /* the threads are ours */
#pragma omp parallel for num_threads(n_threads) schedule(dynamic)
    for (int32_t block = 0; block < n_blocks; block++) {
        search_block(s, block * BLOCK,
                     products + (size_t)omp_get_thread_num() * BLOCK * (size_t)s->n);
    }
    openblas_set_num_threads(blas_threads);
}

int neighbors_find(const float *rows, int32_t n, int k, int32_t m, int n_threads,
                   const struct neighbors *found, struct error *error)
{
    struct search s = {.rows = rows,
                       .n = n,
                       .m = m,
                       .k = k,
                       .index = found->index,
                       .squared = found->squared};
    const size_t block_size = BLOCK * (size_t)n;
    float *products = malloc((size_t)n_threads * block_size * sizeof *products);
    s.norm = malloc((size_t)n * sizeof *s.norm);
    int rc = -1;
    if (!products || !s.norm) {
        error_set(error, ERROR_NOMEM, "neighbors: no memory for %d rows", n);
        goto out;
    }
    for (int32_t i = 0; i < n; i++) {
        double sum = 0;
        for (int p = 0; p < k; p++) {
            const double x = (double)rows[(size_t)i * (size_t)k + (size_t)p];
            sum += x * x;
        }
        s.norm[i] = (float)sum;
    }
    search_all(&s, products, n_threads);
    rc = 0;
out:
    free(s.norm);
    free(products);
    return rc;
}
