/* Inside training an item's row holds its factors, its bias, then zeros; a user's row
 * its factors, 1, then zeros: one dot product is the score. */
#include "trainer/bpr.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/pages.h"
#include "common/rng.h"
#include "trainer/bpr_meeting.h"
#include "trainer/normal.h"
#include "trainer/row_average.h"

#define MIN_BLOCKS 8 /* so that eight threads have work */
#define MAX_BLOCKS 256
#define AUC_USERS  1000

/* A block of items stays in a core's second-level cache. */
#define ITEM_BLOCK_BYTES ((size_t)320 << 10)

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
static void deal_items(struct bpr_state *s, struct rng *rng)
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
        s->place[s->item_at[p]] = (struct bpr_place){p, p / s->item_block_len};
    }
    float *moved = s->Y_next;
    s->Y_next = s->Y;
    s->Y = moved;
    shuffle(s->round_of, s->n_blocks, rng);
}

/* Sorts a user's ratings by the round in which their item's block is met, positives
 * first within a round. key (n_blocks): twice the round in which the user's block meets
 * a block of items. keyed: scratch, so that each item's place is looked up once. */
static void sort_entries(struct bpr_state *s, int32_t user, const int32_t *key,
                         uint64_t *keyed)
{
    const struct ratings *r = s->train;
    const float threshold = (float)s->config->threshold;
    const int64_t begin = r->user_start[user], n = r->user_start[user + 1] - begin;
    const int32_t *item = r->user_item + begin;
    const float *rating = r->user_rating + begin;
    int64_t start[2 * MAX_BLOCKS + 1];
    memset(start, 0, (2 * (size_t)s->n_blocks + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) {
        const struct bpr_place place = s->place[item[i]];
        const bool is_positive = rating[i] > threshold;
        const uint32_t at = (uint32_t)key[place.block] + !is_positive;
        keyed[i] = (uint64_t)at << 32 | (2 * (uint32_t)place.position + is_positive);
        start[at + 1]++;
    }
    start[0] = begin;
    for (int32_t at = 0; at < 2 * s->n_blocks; at++) {
        start[at + 1] += start[at];
    }
    for (int64_t i = 0; i < n; i++) {
        s->entry[start[keyed[i] >> 32]++] = (uint32_t)keyed[i];
    }
    s->cursor[user] = begin;
}

static void sort_block(struct bpr_state *s, int32_t user_block, uint64_t *keyed)
{
    int32_t key[MAX_BLOCKS];
    const int32_t first = user_block * s->user_block_len;
    for (int32_t b = 0; b < s->n_blocks; b++) {
        key[b] = 2 * s->round_of[(b + s->n_blocks - user_block) % s->n_blocks];
    }
    for (int32_t user = first;
         user < first + s->user_block_len && user < s->train->n_users; user++) {
        sort_entries(s, user, key, keyed);
    }
}

static int run_rounds(struct bpr_state *s, int epoch, struct error *error)
{
    int n_failed = 0;
#pragma omp parallel num_threads(s->config->n_threads) reduction(+ : n_failed)
    {
        struct bpr_workspace w;
        n_failed = bpr_workspace_init(&w, s) != 0;
#pragma omp for schedule(dynamic, 1)
        for (int32_t b = 0; b < s->n_blocks; b++) {
            if (!n_failed) {
                sort_block(s, b, w.keyed);
            }
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
                    bpr_meet(s, b, (b + offset) % s->n_blocks, &w, &rng);
                }
            }
        }
        bpr_workspace_release(&w);
    }
    if (n_failed) {
        error_set(error, ERROR_NOMEM, "bpr: no memory for a workspace");
        return -1;
    }
    return 0;
}

/* Copies the rows to where factors_* and the caller want them. */
static void unpack(const struct bpr_state *s)
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

static void start(struct bpr_state *s)
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
        s->place[i] = (struct bpr_place){i, 0};
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

static int run_epoch(struct bpr_state *s, int epoch, struct epoch_report *report,
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
static void average_epoch(struct bpr_state *s, int epoch)
{
    const struct bpr_config *c = s->config;
    if (c->average > 0 &&
        (epoch > c->n_epochs * (1 - c->average) || epoch == c->n_epochs)) {
        row_average_add(&s->users, s->X, NULL, c->n_threads);
        row_average_add(&s->items, s->Y, s->item_at, c->n_threads);
    }
}

static void measure(const struct bpr_state *s, struct epoch_report *report)
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

static int run_epochs(struct bpr_state *s, const struct training_observer *observer,
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

static void choose_blocks(struct bpr_state *s)
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

static int count_positives(struct bpr_state *s, struct error *error)
{
    const struct ratings *r = s->train;
    int32_t n_active = 0; /* users that have positives */
    for (int32_t u = 0; u < r->n_users; u++) {
        int32_t n = 0;
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            n += (double)r->user_rating[i] > s->config->threshold;
        }
        const int64_t n_ratings = r->user_start[u + 1] - r->user_start[u];
        s->most_ratings = n_ratings > s->most_ratings ? n_ratings : s->most_ratings;
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

static int allocate(struct bpr_state *s, struct error *error)
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

static void release(struct bpr_state *s)
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
    struct bpr_state s = {.train = train, .test = test, .config = config};
    int rc = -1;
    if (bpr_config_check(config, error) != 0) {
        return -1;
    }
    s.stride = (config->n_factors + 1 + BPR_LANES - 1) / BPR_LANES * BPR_LANES;
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
