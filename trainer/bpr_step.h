/* bpr_step.h - the inner loop of bpr.h: gradient steps for one user.
 *
 * Consecutive samples share the user, whose row stays in registers.
 */
#ifndef TRAINER_BPR_STEP_H
#define TRAINER_BPR_STEP_H

#include <stdint.h>

#define BPR_LANES 8 /* floats in a vector; rows are padded to a multiple */

/* What all steps share. Per element of a row, (stride) each: a step of 0 leaves the 1
 * in a user's row, against which an item's bias stands, and the padding alone. */
struct bpr_rates {
    int stride;
    const float *user;  /* step of a user's element */
    const float *item;  /* step of an item's */
    const float *decay; /* 2 reg */
};

struct bpr_samples {
    const int32_t *i; /* (n) rows of items that the user wants */
    const int32_t *j; /* (n, n_candidates) rows of items it has not rated */
    int n;            /* at most 16: the product must not vanish */
    int n_candidates; /* >= 1 */
};

/* Takes one step for each sample (user, i, j), j the best scored of its candidates. u
 * is the user's row, Y the items' rows, both (., stride). Returns the product of
 * sigma(x) before each step; sigma is never below 9e-14. */
double bpr_steps(const struct bpr_rates *rates, const struct bpr_samples *samples,
                 float *u, float *Y);

#endif
