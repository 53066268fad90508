/* half_step.h - one half step of alternating least squares: every row of one side
 * solved exactly while the other side stands still. Explicit, implicit and sampled
 * models differ only in what they put in here.
 *
 * A row of X or Y has `stride` = normal_stride(n + 1) floats: the n unknowns of that
 * side's equations, an offset at [n], zeros. The y of an equation is row[0..n) of the
 * other side. For row m over its ratings n:
 *
 *   z_m = (P + sum_n w y_n y_n^T + R_m)^-1 (p + sum_n w x_mn y_n + R_m centre_m),
 *   R_m = diag(ridge_m, .., ridge_m, last_ridge_m)
 *
 * P, p: nothing, or the gramian over all rows of Y (implicit), or a prior (sampled).
 * centre_m: zero, or what a row is expected to be before its ratings are seen.
 * Source: Hu, Koren & Volinsky, ICDM 2008, equation 4 (the gramian makes the cost
 * that of the ratings there are); Zhou et al., AAIM 2008 (explicit).
 */
#ifndef TRAINER_HALF_STEP_H
#define TRAINER_HALF_STEP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "trainer/ratings.h"

struct half_step {
    int n;      /* unknowns of a row */
    int stride; /* floats of a row of X and Y */

    int32_t n_rows;       /* of X */
    int32_t n_cols;       /* rows of Y; the ratings by row of X: */
    const int64_t *start; /* (n_rows + 1) */
    const int32_t *col;   /* row of Y, ascending within a row */
    const float *rating;

    const float *Y;
    float *X; /* written: unknowns, see `layout` */

    /* (stride, stride) or NULL: lower triangle of P in columns [0, n), p in row n. */
    const float *prior;

    /* Explicit: w = 1, x = rating - mean - Y's offset. Implicit: w = weight, x =
     * target, whatever the rating is. */
    bool is_implicit;
    float mean;
    float weight, target;

    const float *ridge;      /* (n_rows) > 0 or >= 0 */
    const float *last_ridge; /* (n_rows) for the last unknown */
    const float *centre;     /* (n_rows, n) or NULL: zeros */

    /* Where the last unknown goes: a bias moves to [n] of the row, the offset of the
     * other side's equations, and 1 takes its place. */
    bool has_bias;

    /* Draw from the normal distribution with this precision times 1 / draw_scale^2 and
     * this mean instead of taking the mean. */
    bool is_draw;
    float draw_scale;
    uint64_t seed, stream; /* of the draws: row m takes stream + m */
};

/* By user: rows are users. By item: rows are items. */
void half_step_by_user(struct half_step *step, const struct ratings *ratings);
void half_step_by_item(struct half_step *step, const struct ratings *ratings);

/* Solves all rows on n_threads > 0 threads; the same bytes at any number. A row without
 * ratings becomes its centre when there is no prior to draw it from. Fails with
 * ERROR_NOMEM, or ERROR_NUMERIC naming `what` ("user", "item") and the row that cannot
 * be solved. */
MUST_CHECK int half_step_run(const struct half_step *step, const char *what,
                             int n_threads, struct error *error);

/* sums (stride, stride) := sum of row row^T over all rows of X, lower triangle, columns
 * [0, n]; X's offsets at [n] must be 0. Splits the rows in fixed parts: the same bytes
 * at any number of threads. */
MUST_CHECK int half_step_gram(const float *X, int32_t n_rows, int n, int stride,
                              int n_threads, float *gram, struct error *error);

#endif
