/* bpr_meeting.h - inside bpr.h: what a training holds, and what happens when a block of
 * users meets a block of items.
 *
 * A meeting is one thread's. Its samples are drawn ahead, user by user, into four
 * lanes: a user's samples are one lane's and stay in their order, so the four samples
 * of a group (bpr_step.h) have four users.
 */
#ifndef TRAINER_BPR_MEETING_H
#define TRAINER_BPR_MEETING_H

#include <stdint.h>

#include "common/error.h"
#include "common/rng.h"
#include "trainer/bpr.h"
#include "trainer/bpr_step.h"
#include "trainer/row_average.h"

/* Where an item stands this epoch; both are looked up together. */
struct bpr_place {
    int32_t position;
    int32_t block;
};

struct bpr_state {
    const struct ratings *train, *test;
    const struct bpr_config *config;
    int stride; /* floats in a row, a multiple of BPR_LANES */
    int32_t n_blocks;
    int32_t user_block_len, item_block_len; /* the last block may be shorter */
    float *X;                               /* (n_users, stride) */
    float *Y, *Y_next;       /* (n_items, stride) in the order of item_at */
    int32_t *item_at;        /* (n_items): which item is at a position */
    struct bpr_place *place; /* (n_items): its inverse */
    int32_t *round_of; /* (n_blocks): the round in which block 0 of users meets it */
    uint32_t *entry;   /* (n_ratings): per user, in the order of rounds: 2 * position +
                         is_positive */
    int64_t *cursor;   /* (n_users): the first entry not yet met */
    double *weight;    /* (n_users) samples an epoch for each positive of a user */
    int64_t n_positives;
    int64_t most_ratings; /* of a user */
    double *loss;         /* (n_blocks) of the round, by user block */
    int64_t *n_done;      /* (n_blocks) samples drawn, by user block */
    float *rate;          /* (3, stride): what `rates` points to */
    struct bpr_rates rates;
    struct row_average users, items; /* with config->average > 0 */
    struct factors *factors;
};

/* One thread's scratch: the lanes, and what was drawn for them. */
struct bpr_workspace {
    uint16_t *stamp; /* (item_block_len): `now` where the user has rated the item */
    uint16_t now;    /* another for each user that is met */
    struct bpr_group *group;   /* (BPR_DRAWN) */
    int32_t *candidate;        /* (BPR_DRAWN, BPR_GROUP, n_candidates), or NULL for 1 */
    int len[BPR_GROUP];        /* samples in each lane */
    double product[BPR_GROUP]; /* of the lanes' sigma(x), not yet in the loss */
    double loss;
    int64_t n_done;
    uint64_t *keyed; /* (most ratings of a user): for the sort of entries */
};

#define BPR_DRAWN 256 /* samples that a lane holds */

/* Fails without memory; the workspace is then to be released all the same. */
MUST_CHECK int bpr_workspace_init(struct bpr_workspace *w, const struct bpr_state *s);
void bpr_workspace_release(struct bpr_workspace *w);

/* All users of a block meet the items of another: draws their samples and takes the
 * steps. */
void bpr_meet(struct bpr_state *s, int32_t user_block, int32_t item_block,
              struct bpr_workspace *w, struct rng *rng);

#endif
