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

/* Takes one step for each of n samples (user, i[s], j), j the best scored of the
 * n_candidates >= 1 at j[s * n_candidates]. u is the user's row, Y the items' rows,
 * both
 * (., stride); i and j are rows of Y. Returns the product of sigma(x) before each step;
 * n is at most 16, so that the product cannot vanish: sigma is never below 9e-14. */
double bpr_steps(const struct bpr_rates *rates, float *u, float *Y, const int32_t *i,
                 const int32_t *j, int n, int n_candidates);

#endif
