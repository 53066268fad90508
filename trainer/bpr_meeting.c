#include "trainer/bpr_meeting.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define USERS_AHEAD 6
#define ENOUGH      64 /* samples in the shortest lane for which steps are taken */

/* A user's entries within the item block that begins at `base`. */
struct meeting {
    int32_t user;
    const uint32_t *entry;
    int32_t n, n_positive; /* positives come first */
    int32_t base, block_len;
};

void bpr_workspace_release(struct bpr_workspace *w)
{
    free(w->stamp);
    free(w->group);
    free(w->candidate);
    free(w->keyed);
}

int bpr_workspace_init(struct bpr_workspace *w, const struct bpr_state *s)
{
    const size_t n_candidates = (size_t)s->config->n_candidates;
    *w = (struct bpr_workspace){0};
    w->stamp = calloc((size_t)s->item_block_len, sizeof *w->stamp);
    w->group = calloc(BPR_DRAWN, sizeof *w->group);
    w->keyed = malloc(((size_t)s->most_ratings + 1) * sizeof *w->keyed);
    if (n_candidates > 1) {
        w->candidate =
            calloc(BPR_DRAWN * BPR_GROUP * n_candidates, sizeof *w->candidate);
    }
    return w->stamp && w->group && w->keyed && (w->candidate || n_candidates == 1) ? 0
                                                                                   : -1;
}

/* How many samples the user draws in this meeting: the expected number, rounded up or
 * down at random so that it is right on average. */
static int64_t n_samples(const struct bpr_state *s, int32_t user, int32_t n_positive,
                         struct rng *rng)
{
    return (int64_t)(s->weight[user] * n_positive + rng_uniform(rng));
}

static struct bpr_samples samples_at(const struct bpr_state *s,
                                     const struct bpr_workspace *w, int at, int n)
{
    const int n_candidates = s->config->n_candidates;
    return (struct bpr_samples){
        w->group + at,
        w->candidate ? w->candidate + (ptrdiff_t)at * BPR_GROUP * n_candidates : NULL,
        n,
        n_candidates,
    };
}

/* Takes the steps of the samples [at, end) of one lane, or (-1) of all. */
static void learn(const struct bpr_state *s, struct bpr_workspace *w, int lane, int at,
                  int end)
{
    const struct bpr_rows rows = {s->X, s->Y};
    while (at < end) {
        const int n = end - at < BPR_MAX_PRODUCT ? end - at : BPR_MAX_PRODUCT;
        const struct bpr_samples samples = samples_at(s, w, at, n);
        if (lane < 0) {
            bpr_steps(&s->rates, &rows, &samples, w->product);
        } else {
            bpr_steps_of_lane(&s->rates, &rows, &samples, lane, w->product);
        }
        for (int l = 0; l < BPR_GROUP; l++) {
            if (w->product[l] < 1e-90 || !isfinite(w->product[l])) {
                w->loss -= log(w->product[l]); /* now and then, not for each sample */
                w->product[l] = 1;
            }
        }
        at += n;
    }
}

static int shortest_lane(const struct bpr_workspace *w)
{
    int lane = 0;
    for (int l = 1; l < BPR_GROUP; l++) {
        lane = w->len[l] < w->len[lane] ? l : lane;
    }
    return lane;
}

/* Moves what a lane holds from `at` on to its front. */
static void move_to_front(const struct bpr_state *s, struct bpr_workspace *w, int lane,
                          int at)
{
    const size_t n_candidates = (size_t)s->config->n_candidates;
    for (int from = at; from < w->len[lane]; from++) {
        struct bpr_group *group = w->group + (from - at);
        group->user[lane] = w->group[from].user[lane];
        group->item[lane] = w->group[from].item[lane];
        group->item[BPR_GROUP + lane] = w->group[from].item[BPR_GROUP + lane];
        if (w->candidate) {
            int32_t *first = w->candidate + (size_t)lane * n_candidates;
            const size_t size = BPR_GROUP * n_candidates;
            memcpy(first + (size_t)(from - at) * size, first + (size_t)from * size,
                   n_candidates * sizeof *first);
        }
    }
    w->len[lane] -= at;
}

/* Takes the steps for which all lanes hold samples. */
static void learn_groups(const struct bpr_state *s, struct bpr_workspace *w)
{
    const int n = w->len[shortest_lane(w)];
    learn(s, w, -1, 0, n);
    for (int lane = 0; lane < BPR_GROUP && n; lane++) {
        move_to_front(s, w, lane, n);
    }
}

static void learn_rest(const struct bpr_state *s, struct bpr_workspace *w, int lane)
{
    learn(s, w, lane, 0, w->len[lane]);
    w->len[lane] = 0;
}

/* Uniform in [0, n) from 32 random bits; n is below 2^31 and mostly below 2^12, so that
 * the bias of 2^-32 n is nothing beside the noise of the gradient. */
static int32_t scaled(uint64_t bits32, int32_t n)
{
    return (int32_t)(bits32 * (uint64_t)n >> 32);
}

static int32_t draw_unrated(const struct meeting *m, const struct bpr_workspace *w,
                            uint64_t bits, struct rng *rng)
{
    int32_t j = scaled(bits >> 32, m->block_len);
    while (w->stamp[j] == w->now) {
        j = scaled(rng_next(rng) >> 32, m->block_len);
    }
    return m->base + j;
}

/* Draws n samples of one user into a lane behind those it holds; there is room. */
static void draw(const struct bpr_state *s, const struct meeting *m, int lane, int n,
                 struct bpr_workspace *w, struct rng *rng)
{
    const int n_candidates = s->config->n_candidates, begin = w->len[lane];
    struct rng local = *rng; /* in registers, which a store could not reach */
    for (int k = begin; k < begin + n; k++) {
        struct bpr_group *group = w->group + k;
        uint64_t bits = rng_next(&local);
        group->user[lane] = m->user;
        group->item[lane] =
            (int32_t)(m->entry[scaled(bits & UINT32_MAX, m->n_positive)] >> 1);
        if (!w->candidate) {
            group->item[BPR_GROUP + lane] = draw_unrated(m, w, bits, &local);
            continue;
        }
        int32_t *j = w->candidate + ((ptrdiff_t)k * BPR_GROUP + lane) * n_candidates;
        for (int c = 0; c < n_candidates; c++) {
            j[c] = draw_unrated(m, w, bits, &local);
            bits = c + 1 < n_candidates ? rng_next(&local) : 0;
        }
    }
    *rng = local;
    w->len[lane] += n;
    w->n_done += n;
}

static void mark_rated(const struct meeting *m, int32_t n_places,
                       struct bpr_workspace *w)
{
    if (++w->now == 0) { /* all stamps have been used */
        memset(w->stamp, 0, (size_t)n_places * sizeof *w->stamp);
        w->now = 1;
    }
    for (int32_t e = 0; e < m->n; e++) {
        w->stamp[(int32_t)(m->entry[e] >> 1) - m->base] = w->now;
    }
}

/* The draws of one user in one item block, all into the shortest lane. */
static void meet_user(const struct bpr_state *s, const struct meeting *m,
                      struct bpr_workspace *w, struct rng *rng)
{
    int64_t n = n_samples(s, m->user, m->n_positive, rng);
    if (n == 0 || m->n == m->block_len) {
        return;
    }
    mark_rated(m, s->item_block_len, w);
    const int lane = shortest_lane(w);
    while (n > 0) {
        const int room = BPR_DRAWN - w->len[lane], now = n < room ? (int)n : room;
        draw(s, m, lane, now, w, rng);
        n -= now;
        if (w->len[lane] == BPR_DRAWN) {
            learn_groups(s, w);
        }
        if (w->len[lane] == BPR_DRAWN) {
            learn_rest(s, w, lane);
        }
    }
    if (w->len[shortest_lane(w)] >= ENOUGH) {
        learn_groups(s, w);
    }
}

/* A user's entries of one round are a few bytes somewhere in a hundred megabytes. */
static void prefetch_user(const struct bpr_state *s, int32_t user)
{
    if (user < s->train->n_users) {
        const char *row = (const char *)(s->X + (size_t)user * (size_t)s->stride);
        __builtin_prefetch(s->entry + s->cursor[user]);
        __builtin_prefetch(row, 1);
        __builtin_prefetch(row + 64, 1);
    }
}

void bpr_meet(struct bpr_state *s, int32_t user_block, int32_t item_block,
              struct bpr_workspace *w, struct rng *rng)
{
    const int32_t first = user_block * s->user_block_len;
    const int32_t base = item_block * s->item_block_len;
    const int32_t left = s->train->n_items - base;
    struct meeting m = {.base = base};
    m.block_len = left < s->item_block_len ? left : s->item_block_len;
    const uint32_t low = 2 * (uint32_t)base;
    const uint32_t high = low + 2 * (uint32_t)(m.block_len > 0 ? m.block_len : 0);
    w->loss = 0;
    w->n_done = 0;
    for (int lane = 0; lane < BPR_GROUP; lane++) {
        w->product[lane] = 1;
    }
    for (int32_t user = first;
         user < first + s->user_block_len && user < s->train->n_users; user++) {
        const int64_t end = s->train->user_start[user + 1];
        int64_t at = s->cursor[user];
        prefetch_user(s, user + USERS_AHEAD);
        m.user = user;
        m.entry = s->entry + at;
        m.n_positive = 0;
        for (; at < end && s->entry[at] >= low && s->entry[at] < high; at++) {
            m.n_positive += (int32_t)(s->entry[at] & 1);
        }
        m.n = (int32_t)(at - s->cursor[user]);
        s->cursor[user] = at;
        if (m.n_positive) {
            meet_user(s, &m, w, rng);
        }
    }
    learn_groups(s, w);
    for (int lane = 0; lane < BPR_GROUP; lane++) {
        learn_rest(s, w, lane);
        w->loss -= log(w->product[lane]);
    }
    s->loss[user_block] += w->loss;
    s->n_done[user_block] += w->n_done;
}
