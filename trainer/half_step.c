#include "trainer/half_step.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "trainer/cholesky.h"
#include "trainer/heavy_rows.h"
#include "trainer/kernel.h"
#include "trainer/normal.h"

#define GROUP          CHOLESKY_LANES /* rows solved together */
#define GROUPS_A_TASK  2
#define HEAVY_A_TASK   2
#define GRAM_PART_ROWS 4096 /* rows of one partial sum of the gramian */

void half_step_by_user(struct half_step *step, const struct ratings *ratings)
{
    step->n_rows = ratings->n_users;
    step->n_cols = ratings->n_items;
    step->start = ratings->user_start;
    step->col = ratings->user_item;
    step->rating = ratings->user_rating;
}

void half_step_by_item(struct half_step *step, const struct ratings *ratings)
{
    step->n_rows = ratings->n_items;
    step->n_cols = ratings->n_users;
    step->start = ratings->item_start;
    step->col = ratings->item_user;
    step->rating = ratings->item_rating;
}

/* One thread's memory, in one piece. */
struct workspace {
    float *memory;
    float *rows;  /* (NORMAL_BATCH, stride) */
    float *sums;  /* (GROUP, stride, stride) */
    float *z;     /* (GROUP, n) */
    float *noise; /* (n, GROUP) */
    float *scratch;
};

static int workspace_init(struct workspace *w, int n, int stride)
{
    const size_t s = (size_t)stride;
    const size_t rows = NORMAL_BATCH * s, sums = GROUP * s * s, z = GROUP * s;
    w->memory = normal_alloc(rows + sums + 2 * z + cholesky_scratch(n));
    if (!w->memory) {
        return -1;
    }
    w->rows = w->memory;
    w->sums = w->rows + rows;
    w->z = w->sums + sums;
    w->noise = w->z + z;
    w->scratch = w->noise + z;
    return 0;
}

static const float *row_of(const struct half_step *step, int64_t at)
{
    return step->Y + (size_t)step->col[at] * (size_t)step->stride;
}

/* memcpy of an unknown length is a call; eight floats at a time is not. */
INLINE void copy_row(const float *from, int stride, float *to)
{
    for (int f = 0; f < stride; f += NORMAL_LANES) {
        memcpy(to + f, from + f, NORMAL_LANES * sizeof *to);
    }
}

/* Copies the rows of ratings [begin, end) into `rows` as [y, x]. */
INLINE void gather_explicit(const struct half_step *step, int64_t begin, int64_t end,
                            float *rows)
{
    const int stride = step->stride, n = step->n;
    for (int64_t at = begin; at < end; at++, rows += stride) {
        const float *y = row_of(step, at);
        copy_row(y, stride, rows);
        rows[n] = step->rating[at] - step->mean - y[n];
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void
gather_avx2(const struct half_step *step, int64_t begin, int64_t end, float *rows)
{
    gather_explicit(step, begin, end, rows);
}
#endif

/* The same as [sqrt(w) y, sqrt(w) x]. */
static void gather_implicit(const struct half_step *step, int64_t begin, int64_t end,
                            float *rows)
{
    const float root = sqrtf(step->weight);
    for (int64_t at = begin; at < end; at++, rows += step->stride) {
        const float *y = row_of(step, at);
        for (int f = 0; f < step->n; f++) {
            rows[f] = root * y[f];
        }
        rows[step->n] = root * step->target;
    }
}

static void gather(const struct half_step *step, int64_t begin, int64_t end,
                   float *rows)
{
    if (step->is_implicit) {
        gather_implicit(step, begin, end, rows);
        return;
    }
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        gather_avx2(step, begin, end, rows);
        return;
    }
#endif
    gather_explicit(step, begin, end, rows);
}

static void clear_sums(const struct half_step *step, float *sums)
{
    const size_t size = (size_t)step->stride * (size_t)step->stride * sizeof *sums;
    if (step->prior) {
        memcpy(sums, step->prior, size);
    } else {
        memset(sums, 0, size);
    }
}

/* What to fetch while ratings [at, until) of [.., end) are added. */
static struct normal_ahead ahead_of(const struct half_step *step, int64_t at,
                                    int64_t until, int64_t end, int64_t next)
{
    int64_t from = at + NORMAL_BATCH, n = until - at; /* the next row's follow */
    if (next != end) {
        from = until < end ? until : next;
        n = until < end && end - until < NORMAL_BATCH ? end - until : NORMAL_BATCH;
    }
    const bool is_there = from + n <= step->start[step->n_rows];
    return (struct normal_ahead){step->Y, step->col + (is_there ? from : 0),
                                 is_there ? (int)n : 0};
}

/* Adds ratings [begin, end); the thread probably goes on at `next`. */
static void accumulate(const struct half_step *step, int64_t begin, int64_t end,
                       int64_t next, float *rows, float *sums)
{
    for (int64_t at = begin; at < end; at += NORMAL_BATCH) {
        const int64_t until = at + NORMAL_BATCH < end ? at + NORMAL_BATCH : end;
        const struct normal_ahead ahead = ahead_of(step, at, until, end, next);
        gather(step, at, until, rows);
        normal_add_ahead(rows, (int)(until - at), step->n + 1, sums, &ahead);
    }
}

/* Part p of heavy row h. */
static void accumulate_part(const struct half_step *step,
                            const struct heavy_rows *heavy, int32_t h, int p,
                            float *rows)
{
    const size_t n_bounds = (size_t)heavy->n_parts + 1;
    const int64_t *bounds = heavy->bounds + (size_t)h * n_bounds + (size_t)p;
    float *sums = heavy->sums + (size_t)h * (size_t)step->stride * (size_t)step->stride;
    const int64_t next =
        h + 1 < heavy->n ? bounds[n_bounds] : step->start[step->n_rows];
    if (p == 0) {
        clear_sums(step, sums);
    }
    accumulate(step, bounds[0], bounds[1], next, rows, sums);
}

static void draw_noise(const struct half_step *step, int32_t row, int lane,
                       float *noise)
{
    struct rng rng;
    rng_init(&rng, step->seed, step->stream + (uint64_t)row);
    for (int i = 0; i < step->n; i++) {
        noise[i * GROUP + lane] = step->draw_scale * (float)rng_normal(&rng);
    }
}

static void store(const struct half_step *step, int32_t row, const float *z)
{
    const size_t n = (size_t)step->n;
    float *x = step->X + (size_t)row * (size_t)step->stride;
    memcpy(x, z, n * sizeof *x);
    if (step->has_bias) {
        x[n] = x[n - 1];
        x[n - 1] = 1;
    }
}

/* Adds what pulls the row towards its centre to the right side. */
static void add_centre(const struct half_step *step, int32_t row, float ridge,
                       float last_ridge, float *sums)
{
    const int n = step->n;
    float *right = sums + (size_t)n * (size_t)step->stride;
    if (step->centre) {
        const float *centre = step->centre + (size_t)row * (size_t)n;
        for (int i = 0; i < n; i++) {
            right[i] += (i + 1 < n ? ridge : last_ridge) * centre[i];
        }
    }
}

/* The equations of one lane: row order[at], or none. */
static const float *prepare_lane(const struct half_step *step,
                                 const struct heavy_rows *heavy, int32_t at, int lane,
                                 float ridge[GROUP], float last_ridge[GROUP],
                                 struct workspace *w)
{
    const size_t size = (size_t)step->stride * (size_t)step->stride;
    float *sums = w->sums + (size_t)lane * size;
    const int32_t row = at < step->n_rows ? heavy->order[at] : -1;
    ridge[lane] = last_ridge[lane] = 1;
    if (row < 0 || (step->start[row] == step->start[row + 1] && !step->is_draw)) {
        memset(sums, 0, size * sizeof *sums); /* solved by zeros, or by the centre */
        if (row >= 0) {
            add_centre(step, row, 1, 1, sums);
        }
        return sums;
    }
    if (at < heavy->n) {
        sums = heavy->sums + (size_t)at * size;
    } else {
        const int64_t end = step->start[row + 1];
        clear_sums(step, sums);
        accumulate(step, step->start[row], end, end, w->rows, sums);
    }
    ridge[lane] = step->ridge[row];
    last_ridge[lane] = step->last_ridge[row];
    add_centre(step, row, ridge[lane], last_ridge[lane], sums);
    if (step->is_draw) {
        draw_noise(step, row, lane, w->noise);
    }
    return sums;
}

/* Solves rows order[first, first + GROUP), the heavy ones of which are accumulated.
 * Returns the first that cannot be, or -1. */
static int32_t solve_group(const struct half_step *step, const struct heavy_rows *heavy,
                           int32_t first, struct workspace *w)
{
    const float *sums[GROUP];
    float ridge[GROUP], last_ridge[GROUP];
    for (int lane = 0; lane < GROUP; lane++) {
        sums[lane] =
            prepare_lane(step, heavy, first + lane, lane, ridge, last_ridge, w);
    }
    const unsigned bad =
        cholesky_solve(sums, step->n, ridge, last_ridge,
                       step->is_draw ? w->noise : NULL, w->scratch, w->z);
    for (int lane = 0; lane < GROUP && first + lane < step->n_rows; lane++) {
        const int32_t row = heavy->order[first + lane];
        if (bad >> lane & 1) {
            return row;
        }
        store(step, row, w->z + (size_t)lane * (size_t)step->n);
    }
    return -1;
}

/* Returns the threads that had no memory. */
static int run_threads(const struct half_step *step, const struct heavy_rows *heavy,
                       int n_threads, int32_t *bad_row)
{
    int n_failed = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : n_failed)
    {
        struct workspace w = {0};
        n_failed = workspace_init(&w, step->n, step->stride) != 0;
        for (int p = 0; heavy->n && p < heavy->n_parts; p++) {
#pragma omp for schedule(dynamic, HEAVY_A_TASK)
            for (int32_t h = 0; h < heavy->n; h++) {
                if (!n_failed) {
                    accumulate_part(step, heavy, h, p, w.rows);
                }
            }
        }
#pragma omp for schedule(dynamic, GROUPS_A_TASK)
        for (int32_t group = 0; group < (step->n_rows - 1) / GROUP + 1; group++) {
            const int32_t bad =
                n_failed ? -1 : solve_group(step, heavy, group * GROUP, &w);
            if (bad >= 0) {
#pragma omp atomic write
                *bad_row = bad;
            }
        }
        normal_free(w.memory);
    }
    return n_failed;
}

int half_step_run(const struct half_step *step, const char *what, int n_threads,
                  struct error *error)
{
    struct heavy_rows heavy;
    int32_t bad_row = -1;
    const bool has_memory = heavy_rows_init(&heavy, step) == 0 &&
                            run_threads(step, &heavy, n_threads, &bad_row) == 0;
    heavy_rows_free(&heavy);
    if (!has_memory) {
        error_set(error, ERROR_NOMEM, "no memory for the equations of a %s", what);
        return -1;
    }
    if (bad_row >= 0) {
        error_set(error, ERROR_NUMERIC,
                  "the equations of %s %d (counted from 0) cannot be solved; %s", what,
                  bad_row,
                  step->is_draw ? "divide the ratings by a constant, so that they are "
                                  "of the order of 1"
                                : "raise the regularisation");
        return -1;
    }
    return 0;
}

int half_step_gram(const float *X, int32_t n_rows, int n, int stride, int n_threads,
                   float *gram, struct error *error)
{
    const size_t size = (size_t)stride * (size_t)stride;
    const int32_t n_parts = n_rows / GRAM_PART_ROWS + 1;
    assert(stride == normal_stride(n + 1));
    float *parts = normal_alloc(size * (size_t)n_parts);
    if (!parts) {
        error_set(error, ERROR_NOMEM, "no memory for the gramian");
        return -1;
    }
#pragma omp parallel for schedule(dynamic, 1) num_threads(n_threads)
    for (int32_t p = 0; p < n_parts; p++) {
        const int32_t first = p * GRAM_PART_ROWS;
        const int32_t end =
            first + GRAM_PART_ROWS < n_rows ? first + GRAM_PART_ROWS : n_rows;
        for (int32_t at = first; at < end; at += NORMAL_BATCH) {
            const int32_t m = at + NORMAL_BATCH < end ? NORMAL_BATCH : end - at;
            normal_add(X + (size_t)at * (size_t)stride, m, n + 1,
                       parts + (size_t)p * size);
        }
    }
    memset(gram, 0, size * sizeof *gram);
    for (int32_t p = 0; p < n_parts; p++) {
        for (size_t i = 0; i < size; i++) {
            gram[i] += parts[(size_t)p * size + i];
        }
    }
    normal_free(parts);
    return 0;
}
