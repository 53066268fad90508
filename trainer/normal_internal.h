/* normal_internal.h - what the kernels of normal.h share: the job, and the fetching of
 * rows that come next. Private to trainer/normal*.c and their tests.
 *
 * Every kernel adds the products of an element in the order of the rows, each by a
 * fused multiply-add, so AVX2's sums and AVX-512's are the same bytes.
 */
#ifndef TRAINER_NORMAL_INTERNAL_H
#define TRAINER_NORMAL_INTERNAL_H

#include <stddef.h>

#include "trainer/normal.h"

#define NORMAL_CACHE_LINE 64
#define NORMAL_FETCH_ROWS                                                              \
    16 /* rows that are added between two looks at what to fetch */

/* What a sum is made of: as the arguments of normal_add_ahead. */
struct normal_job {
    const float *rows;
    int n_rows;
    int n_columns;
    int stride;
    float *sums;
    struct normal_ahead ahead; /* what is still to fetch */
    size_t ahead_byte;         /* of its first row, likewise */
    int work;                  /* products of eight floats since the last line */
    int work_a_line;           /* so many go by until the next */
};

static inline void normal_fetch_line(struct normal_job *job)
{
    const size_t row_bytes = (size_t)job->stride * sizeof(float);
    const char *table = (const char *)job->ahead.table;
    __builtin_prefetch(table + (size_t)*job->ahead.row * row_bytes + job->ahead_byte);
    job->ahead_byte += NORMAL_CACHE_LINE;
    if (job->ahead_byte >= row_bytes) {
        job->ahead_byte = 0;
        job->ahead.row++;
        job->ahead.n_rows--;
    }
}

/* A core waits for some twenty lines at a time and then stands still; spread over the
 * work, the lines come while it multiplies. */
static inline void normal_fetch(struct normal_job *job, int work)
{
    for (job->work += work; job->work >= job->work_a_line && job->ahead.n_rows > 0;
         job->work -= job->work_a_line) {
        normal_fetch_line(job);
    }
}

/* The sums of a job whose rows are aligned and padded as normal.h says; leaves in
 * job->ahead what is still to fetch. */
typedef void normal_kernel(struct normal_job *job);

normal_kernel normal_add_baseline; /* fuses only where the target can */
#if defined(__x86_64__)
normal_kernel normal_add_avx2, normal_add_avx512;
#endif

#endif
