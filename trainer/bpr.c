/* Inside training an item's row holds its factors, its bias, then zeros; a user's row
 * its factors, 1, then zeros: one dot product is the score. */
#include "trainer/bpr.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"
#include "trainer/bpr_step.h"
#include "trainer/normal.h"
#include "trainer/pages.h"
#include "trainer/row_average.h"

#define LANES       BPR_LANES
#define MAX_STEPS   16 /* samples that are drawn before they are learned from */
#define USERS_AHEAD 6
#define MIN_BLOCKS  8 /* so that eight threads have work */
#define MAX_BLOCKS  256
#define AUC_USERS   1000

/* A block of items stays in a core's second-level cache. */
#define ITEM_BLOCK_BYTES ((size_t)320 << 10)

/* Where an item stands this epoch; both are looked up together. */
struct place {
    int32_t position;
    int32_t block;
};

struct state {
    const struct ratings *train, *test;
    const struct bpr_config *config;
    int stride; /* floats in a row, a multiple of LANES */
    int32_t n_blocks;
    int32_t user_block_len, item_block_len; /* the last block may be shorter */
    float *X;                               /* (n_users, stride) */
    float *Y, *Y_next;   /* (n_items, stride) in the order of item_at */
    int32_t *item_at;    /* (n_items): which item is at a position */
    struct place *place; /* (n_items): its inverse */
    int32_t *round_of;   /* (n_blocks): the round in which block 0 of users meets it */
    uint32_t *entry; /* (n_ratings): per user, in the order of rounds: 2 * position +
                       is_positive */
    int64_t *cursor; /* (n_users): the first entry not yet met */
    double *weight;  /* (n_users) samples an epoch for each positive of a user */
    int64_t n_positives;
    double *loss;    /* (n_blocks) of the round, by user block */
    int64_t *n_done; /* (n_blocks) samples drawn, by user block */
    float *rate;     /* (3, stride): what `rates` points to */
    struct bpr_rates rates;
    struct row_average users, items; /* with config->average > 0 */
    struct factors *factors;
};

/* A user's entries within the item block that begins at `base`. */
struct meeting {
    const uint32_t *entry;
    int32_t n, n_positive; /* positives come first */
    int32_t base, block_len;
};

/* How many samples the user draws in this meeting: the expected number, rounded up or
 * down at random so that it is right on average. */
static int64_t n_samples(const struct state *s, int32_t user, int32_t n_positive,
                         struct rng *rng)
{
    return (int64_t)(s->weight[user] * n_positive + rng_uniform(rng));
}

/* One thread's scratch. */
struct workspace {
    bool *is_rated; /* (item_block_len), all false between users */
    int32_t i[MAX_STEPS];
    int32_t *j;     /* (MAX_STEPS, n_candidates) */
    double product; /* of sigma(x), not yet in the loss */
    double loss;
    int64_t n_done;
};

/* Uniform in [0, n) from 32 random bits; n is below 2^31 and mostly below 2^12, so that
 * the bias of 2^-32 n is nothing beside the noise of the gradient. */
static int32_t scaled(uint64_t bits32, int32_t n)
{
    return (int32_t)(bits32 * (uint64_t)n >> 32);
}

static int32_t draw_unrated(const struct meeting *m, const bool *is_rated,
                            uint64_t bits, struct rng *rng)
{
    int32_t j = scaled(bits >> 32, m->block_len);
    while (is_rated[j]) {
        j = scaled(rng_next(rng) >> 32, m->block_len);
    }
    return m->base + j;
}

static void prefetch_row(const struct state *s, int32_t position)
{
    const char *row = (const char *)(s->Y + (size_t)position * (size_t)s->stride);
    for (size_t b = 0; b < (size_t)s->stride * sizeof(float); b += 64) {
        __builtin_prefetch(row + b, 1);
    }
}

/* Draws up to MAX_STEPS samples and learns from them. */
static int64_t learn(struct state *s, int32_t user, const struct meeting *m, int64_t n,
                     struct workspace *w, struct rng *rng)
{
    const int n_candidates = s->config->n_candidates;
    const int n_now = n < MAX_STEPS ? (int)n : MAX_STEPS;
    for (int k = 0; k < n_now; k++) {
        uint64_t bits = rng_next(rng);
        w->i[k] = (int32_t)(m->entry[scaled(bits & UINT32_MAX, m->n_positive)] >> 1);
        prefetch_row(s, w->i[k]);
        for (int c = 0; c < n_candidates; c++) {
            const int32_t j = draw_unrated(m, w->is_rated, bits, rng);
            prefetch_row(s, j);
            w->j[k * n_candidates + c] = j;
            bits = c + 1 < n_candidates ? rng_next(rng) : 0;
        }
    }
    const struct bpr_samples samples = {w->i, w->j, n_now, n_candidates};
    w->product *=
        bpr_steps(&s->rates, &samples, s->X + (size_t)user * (size_t)s->stride, s->Y);
    if (w->product < 1e-100 || !isfinite(w->product)) {
        w->loss -= log(w->product); /* now and then, not for each sample */
        w->product = 1;
    }
    w->n_done += n_now;
    return n_now;
}

/* The draws of one user in one item block. */
static void meet(struct state *s, int32_t user, const struct meeting *m,
                 struct workspace *w, struct rng *rng)
{
    int64_t n = n_samples(s, user, m->n_positive, rng);
    if (n == 0 || m->n == m->block_len) {
        return;
    }
    for (int32_t e = 0; e < m->n; e++) {
        w->is_rated[(int32_t)(m->entry[e] >> 1) - m->base] = true;
    }
    while (n > 0) {
        n -= learn(s, user, m, n, w, rng);
    }
    for (int32_t e = 0; e < m->n; e++) {
        w->is_rated[(int32_t)(m->entry[e] >> 1) - m->base] = false;
    }
}

/* A user's entries of one round are a few bytes somewhere in a hundred megabytes. */
static void prefetch_user(const struct state *s, int32_t user)
{
    if (user < s->train->n_users) {
        const char *row = (const char *)(s->X + (size_t)user * (size_t)s->stride);
        __builtin_prefetch(s->entry + s->cursor[user]);
        __builtin_prefetch(row, 1);
        __builtin_prefetch(row + 64, 1);
    }
}

/* All users of a block meet the items of another. */
static void meet_blocks(struct state *s, int32_t user_block, int32_t item_block,
                        struct workspace *w, struct rng *rng)
{
    const int32_t first = user_block * s->user_block_len;
    const int32_t base = item_block * s->item_block_len;
    const int32_t left = s->train->n_items - base;
    struct meeting m = {.base = base};
    m.block_len = left < s->item_block_len ? left : s->item_block_len;
    const uint32_t low = 2 * (uint32_t)base;
    const uint32_t high = low + 2 * (uint32_t)(m.block_len > 0 ? m.block_len : 0);
    w->product = 1;
    w->loss = 0;
    w->n_done = 0;
    for (int32_t user = first;
         user < first + s->user_block_len && user < s->train->n_users; user++) {
        const int64_t end = s->train->user_start[user + 1];
        int64_t at = s->cursor[user];
        prefetch_user(s, user + USERS_AHEAD);
        m.entry = s->entry + at;
        m.n_positive = 0;
        for (; at < end && s->entry[at] >= low && s->entry[at] < high; at++) {
            m.n_positive += (int32_t)(s->entry[at] & 1);
        }
        m.n = (int32_t)(at - s->cursor[user]);
        s->cursor[user] = at;
        if (m.n_positive) {
            meet(s, user, &m, w, rng);
        }
    }
    s->loss[user_block] += w->loss - log(w->product);
    s->n_done[user_block] += w->n_done;
}

static void workspace_free(struct workspace *w)
{
    free(w->is_rated);
    free(w->j);
}

static int workspace_init(struct workspace *w, const struct state *s)
{
    w->is_rated = calloc((size_t)s->item_block_len, sizeof *w->is_rated);
    w->j = malloc(MAX_STEPS * (size_t)s->config->n_candidates * sizeof *w->j);
    return w->is_rated && w->j ? 0 : -1;
}

static void shuffle(int32_t *values, int32_t n, struct rng *rng)
{
    for (int32_t i = n - 1; i > 0; i--) {
        const int32_t j = (int32_t)rng_below(rng, (uint64_t)i + 1);
        const int32_t other = values[j];
        values[j] = values[i];
        values[i] = other;
    }
}

/* Deals the items to blocks anew and moves their rows there. */
static void deal_items(struct state *s, struct rng *rng)
{
    const int32_t n = s->train->n_items;
    const size_t row = (size_t)s->stride;
    shuffle(s->item_at, n, rng);
    for (int32_t p = 0; p < n; p++) {
        memcpy(s->Y_next + (size_t)p * row,
               s->Y + (size_t)s->place[s->item_at[p]].position * row,
               row * sizeof *s->Y);
    }
    for (int32_t p = 0; p < n; p++) {
        s->place[s->item_at[p]] = (struct place){p, p / s->item_block_len};
    }
    float *moved = s->Y_next;
    s->Y_next = s->Y;
    s->Y = moved;
    shuffle(s->round_of, s->n_blocks, rng);
}

/* Sorts a user's ratings by the round in which their item's block is met, positives
 * first within a round. key (n_blocks): twice the round in which the user's block meets
 * a block of items. */
static void sort_entries(struct state *s, int32_t user, const int32_t *key)
{
    const struct ratings *r = s->train;
    const float threshold = (float)s->config->threshold;
    const int64_t begin = r->user_start[user], end = r->user_start[user + 1];
    int64_t start[2 * MAX_BLOCKS + 1];
    memset(start, 0, (2 * (size_t)s->n_blocks + 1) * sizeof *start);
    for (int64_t i = begin; i < end; i++) {
        const struct place place = s->place[r->user_item[i]];
        start[key[place.block] + !(r->user_rating[i] > threshold) + 1]++;
    }
    start[0] = begin;
    for (int32_t at = 0; at < 2 * s->n_blocks; at++) {
        start[at + 1] += start[at];
    }
    for (int64_t i = begin; i < end; i++) {
        const struct place place = s->place[r->user_item[i]];
        const bool is_positive = r->user_rating[i] > threshold;
        s->entry[start[key[place.block] + !is_positive]++] =
            2 * (uint32_t)place.position + is_positive;
    }
    s->cursor[user] = begin;
}

static void sort_block(struct state *s, int32_t user_block)
{
    int32_t key[MAX_BLOCKS];
    const int32_t first = user_block * s->user_block_len;
    for (int32_t b = 0; b < s->n_blocks; b++) {
        key[b] = 2 * s->round_of[(b + s->n_blocks - user_block) % s->n_blocks];
    }
    for (int32_t user = first;
         user < first + s->user_block_len && user < s->train->n_users; user++) {
        sort_entries(s, user, key);
    }
}

static int run_rounds(struct state *s, int epoch, struct error *error)
{
    int n_failed = 0;
#pragma omp parallel num_threads(s->config->n_threads) reduction(+ : n_failed)
    {
        struct workspace w = {0};
        n_failed = workspace_init(&w, s) != 0;
#pragma omp for schedule(dynamic, 1)
        for (int32_t b = 0; b < s->n_blocks; b++) {
            sort_block(s, b);
        }
        for (int32_t round = 0; round < s->n_blocks; round++) {
            int32_t offset = 0;
            while (s->round_of[offset] != round) {
                offset++;
            }
#pragma omp for schedule(dynamic, 1)
            for (int32_t b = 0; b < s->n_blocks; b++) {
                struct rng rng;
                rng_init(&rng, s->config->seed + (uint64_t)epoch * 0x9E3779B97F4A7C15U,
                         (uint64_t)(round * s->n_blocks + b) + 1);
                if (!n_failed) {
                    meet_blocks(s, b, (b + offset) % s->n_blocks, &w, &rng);
                }
            }
        }
        workspace_free(&w);
    }
    if (n_failed) {
        error_set(error, ERROR_NOMEM, "bpr: no memory for a workspace");
        return -1;
    }
    return 0;
}

/* Copies the rows to where factors_* and the caller want them. */
static void unpack(const struct state *s)
{
    struct factors *f = s->factors;
    const size_t k = (size_t)f->n_factors, stride = (size_t)s->stride;
    const bool is_mean = s->items.n > 0;
    const float *X = is_mean ? s->users.mean : s->X;
    for (int32_t u = 0; u < f->n_users; u++) {
        memcpy(f->user_factors + (size_t)u * k, X + (size_t)u * stride,
               k * sizeof(float));
    }
    for (int32_t i = 0; i < f->n_items; i++) {
        const float *row = is_mean ? s->items.mean + (size_t)i * stride
                                   : s->Y + (size_t)s->place[i].position * stride;
        memcpy(f->item_factors + (size_t)i * k, row, k * sizeof(float));
        f->item_bias[i] = row[k];
    }
}

static void start(struct state *s)
{
    struct rng rng;
    const int32_t k = s->config->n_factors;
    rng_init(&rng, s->config->seed, 0);
    for (int32_t u = 0; u < s->train->n_users; u++) {
        float *row = s->X + (size_t)u * (size_t)s->stride;
        for (int32_t f = 0; f < k; f++) {
            row[f] = (float)(s->config->start_sd * rng_normal(&rng));
        }
        row[k] = 1;
    }
    for (int32_t i = 0; i < s->train->n_items; i++) {
        float *row = s->Y + (size_t)i * (size_t)s->stride;
        for (int32_t f = 0; f < k; f++) {
            row[f] = (float)(s->config->start_sd * rng_normal(&rng));
        }
        s->item_at[i] = i;
        s->place[i] = (struct place){i, 0};
    }
    for (int32_t b = 0; b < s->n_blocks; b++) {
        s->round_of[b] = b;
    }
    for (int32_t f = 0; f <= k; f++) {
        s->rate[f] = f < k ? (float)s->config->learning_rate : 0;
        s->rate[s->stride + f] =
            (float)(s->config->learning_rate * (f < k ? 1 : s->config->bias_rate));
        s->rate[2 * s->stride + f] = (float)(2 * s->config->reg);
    }
}

static int run_epoch(struct state *s, int epoch, struct epoch_report *report,
                     struct error *error)
{
    struct rng rng;
    double loss = 0;
    const int64_t begin = clock_monotonic_ns();
    rng_init(&rng, s->config->seed + (uint64_t)epoch * 0x9E3779B97F4A7C15U, 0);
    deal_items(s, &rng);
    for (int32_t b = 0; b < s->n_blocks; b++) {
        s->loss[b] = 0;
        s->n_done[b] = 0;
    }
    if (run_rounds(s, epoch, error) != 0) {
        return -1;
    }
    for (int32_t b = 0; b < s->n_blocks; b++) {
        loss += s->loss[b];
        report->n_samples += s->n_done[b];
    }
    report->loss = report->n_samples ? loss / (double)report->n_samples : 0;
    report->seconds = (double)(clock_monotonic_ns() - begin) * 1e-9;
    if (!isfinite(report->loss)) {
        error_set(error, ERROR_NUMERIC,
                  "bpr: diverged in epoch %d; lower the learning rate below %g", epoch,
                  s->config->learning_rate);
        return -1;
    }
    return 0;
}

/* Of the last share of the epochs, the last one always. */
static void average_epoch(struct state *s, int epoch)
{
    const struct bpr_config *c = s->config;
    if (c->average > 0 &&
        (epoch > c->n_epochs * (1 - c->average) || epoch == c->n_epochs)) {
        row_average_add(&s->users, s->X, NULL, c->n_threads);
        row_average_add(&s->items, s->Y, s->item_at, c->n_threads);
    }
}

static void measure(const struct state *s, struct epoch_report *report)
{
    const struct bpr_config *config = s->config;
    const float threshold = (float)config->threshold;
    unpack(s);
    report->train_quality = factors_auc(s->factors, s->train, s->train, threshold,
                                        AUC_USERS, config->n_threads);
    if (s->test) {
        report->test_quality = factors_auc(s->factors, s->test, s->train, threshold,
                                           AUC_USERS, config->n_threads);
    }
}

static int run_epochs(struct state *s, const struct training_observer *observer,
                      struct error *error)
{
    for (int epoch = 1; epoch <= s->config->n_epochs; epoch++) {
        struct epoch_report report = {
            .epoch = epoch,
            .n_epochs = s->config->n_epochs,
            .train_quality = (double)NAN,
            .test_quality = (double)NAN,
        };
        if (run_epoch(s, epoch, &report, error) != 0) {
            return -1;
        }
        average_epoch(s, epoch);
        if (!observer || !observer->epoch) {
            continue;
        }
        if (training_is_measured(observer, epoch, s->config->n_epochs)) {
            measure(s, &report);
            report.factors = s->factors;
        }
        if (!observer->epoch(observer->context, &report)) {
            break;
        }
    }
    return 0;
}

static void choose_blocks(struct state *s)
{
    const struct ratings *r = s->train;
    const size_t bytes = (size_t)r->n_items * (size_t)s->stride * sizeof(float);
    size_t n = (bytes + ITEM_BLOCK_BYTES - 1) / ITEM_BLOCK_BYTES;
    n = n < MIN_BLOCKS ? MIN_BLOCKS : n > MAX_BLOCKS ? MAX_BLOCKS : n;
    while (n > 1 && (n > (size_t)r->n_users || 4 * n > (size_t)r->n_items)) {
        n--; /* a block of one or two items leaves nothing to compare with */
    }
    s->n_blocks = (int32_t)n;
    s->user_block_len = (r->n_users + s->n_blocks - 1) / s->n_blocks;
    s->item_block_len = (r->n_items + s->n_blocks - 1) / s->n_blocks;
}

static int count_positives(struct state *s, struct error *error)
{
    const struct ratings *r = s->train;
    int32_t n_active = 0; /* users that have positives */
    for (int32_t u = 0; u < r->n_users; u++) {
        int32_t n = 0;
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            n += (double)r->user_rating[i] > s->config->threshold;
        }
        s->n_positives += n;
        s->weight[u] = n;
        n_active += n > 0;
    }
    if (s->n_positives == 0) {
        error_set(
            error, ERROR_INVALID,
            "bpr: no rating is above %g, so there is nothing to prefer; lower the "
            "threshold",
            s->config->threshold);
        return -1;
    }
    for (int32_t u = 0; u < r->n_users; u++) {
        s->weight[u] = s->config->sampling == BPR_PAIRS || s->weight[u] == 0
                           ? 1
                           : (double)s->n_positives / (n_active * s->weight[u]);
    }
    return 0;
}

static int allocate(struct state *s, struct error *error)
{
    const struct ratings *r = s->train;
    const size_t n_users = (size_t)r->n_users, n_items = (size_t)r->n_items;
    const size_t stride = (size_t)s->stride, n_blocks = (size_t)s->n_blocks;
    s->X = normal_alloc(n_users * stride);
    s->Y = normal_alloc(n_items * stride);
    s->Y_next = normal_alloc(n_items * stride);
    s->item_at = malloc((n_items + 1) * sizeof *s->item_at);
    s->place = malloc((n_items + 1) * sizeof *s->place);
    s->round_of = malloc(n_blocks * sizeof *s->round_of);
    s->entry = pages_alloc(((size_t)r->n_ratings + 1) * sizeof *s->entry, 0);
    s->cursor = malloc((n_users + 1) * sizeof *s->cursor);
    s->weight = calloc(n_users + 1, sizeof *s->weight);
    s->loss = calloc(n_blocks, sizeof *s->loss);
    s->n_done = calloc(n_blocks, sizeof *s->n_done);
    s->rate = normal_alloc(3 * stride);
    s->factors = factors_new(r, s->config->n_factors);
    if (!s->X || !s->Y || !s->Y_next || !s->item_at || !s->place || !s->round_of ||
        !s->entry || !s->cursor || !s->weight || !s->loss || !s->n_done || !s->rate ||
        !s->factors ||
        (s->config->average > 0 &&
         (row_average_init(&s->users, r->n_users, s->stride) != 0 ||
          row_average_init(&s->items, r->n_items, s->stride) != 0))) {
        error_set(error, ERROR_NOMEM, "bpr: no memory for %d users and %d items",
                  r->n_users, r->n_items);
        return -1;
    }
    s->rates =
        (struct bpr_rates){s->stride, s->rate, s->rate + stride, s->rate + 2 * stride};
    return 0;
}

static void release(struct state *s)
{
    factors_free(s->factors);
    row_average_release(&s->items);
    row_average_release(&s->users);
    normal_free(s->rate);
    free(s->n_done);
    free(s->loss);
    free(s->weight);
    free(s->cursor);
    free(s->entry);
    free(s->round_of);
    free(s->place);
    free(s->item_at);
    normal_free(s->Y_next);
    normal_free(s->Y);
    normal_free(s->X);
}

int bpr_train(const struct ratings *train, const struct ratings *test,
              const struct bpr_config *config, const struct training_observer *observer,
              struct factors **factors, struct error *error)
{
    struct state s = {.train = train, .test = test, .config = config};
    int rc = -1;
    if (bpr_config_check(config, error) != 0) {
        return -1;
    }
    s.stride = (config->n_factors + 1 + LANES - 1) / LANES * LANES;
    choose_blocks(&s);
    if (allocate(&s, error) != 0 || count_positives(&s, error) != 0) {
        goto out;
    }
    start(&s);
    if (run_epochs(&s, observer, error) != 0) {
        goto out;
    }
    unpack(&s);
    *factors = s.factors;
    s.factors = NULL;
    rc = 0;

out:
    release(&s);
    return rc;
}
