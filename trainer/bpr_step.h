/* bpr_step.h - the inner loop of bpr.h: gradient steps, four at a time.
 *
 * A step waits for its score, the sigmoid of it and the user's row of the step before,
 * and leaves most of the processor idle. So samples come in groups of four whose users
 * differ; where their items differ too the four are independent, and are done side by
 * side. Where two share an item the four are done one after the other.
 */
#ifndef TRAINER_BPR_STEP_H
#define TRAINER_BPR_STEP_H

#include <stdint.h>

#define BPR_LANES 8 /* floats in a vector; rows are padded to a multiple */
#define BPR_GROUP 4 /* samples side by side; the position in a group is a lane */

/* A product of sigmas may be multiplied by those of so many samples when it is above
 * 1e-90, and does not vanish: sigma is never below 9e-14. */
#define BPR_MAX_PRODUCT 16

/* What all steps share. Per element of a row, (stride) each: a step of 0 leaves the 1
 * in a user's row, against which an item's bias stands, and the padding alone. */
struct bpr_rates {
    int stride;
    const float *user;  /* step of a user's element */
    const float *item;  /* step of an item's */
    const float *decay; /* 2 reg */
};

struct bpr_rows {
    float *X; /* (n_users, stride) */
    float *Y; /* (n_items, stride) */
};

struct bpr_group {
    int32_t user[BPR_GROUP];
    int32_t item[2 * BPR_GROUP]; /* what each lane's user wants, then what it has not
                                    rated: filled in from the candidates if those are
                                    given */
};

struct bpr_samples {
    struct bpr_group *group;  /* (n) */
    const int32_t *candidate; /* (n, BPR_GROUP, n_candidates), or NULL */
    int n;
    int n_candidates; /* >= 1 */
};

/* Takes a step for each sample of n <= BPR_MAX_PRODUCT groups, in which the users
 * differ. Of candidates it takes the best scored before the group's steps. Multiplies
 * product (BPR_GROUP) by the lanes' sigma(x) before each step. */
void bpr_steps(const struct bpr_rates *rates, const struct bpr_rows *rows,
               const struct bpr_samples *samples, double *product);

/* The same for the samples of one lane, one after the other; the others of the groups
 * are not looked at. */
void bpr_steps_of_lane(const struct bpr_rates *rates, const struct bpr_rows *rows,
                       const struct bpr_samples *samples, int lane, double *product);

#endif
