/* Inside training an item's row holds its factors, its bias, then zeros; a user's row
 * its factors, 1, then zeros: one dot product is the score. */
#include "trainer/bpr.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"

#define LANES      8
#define MIN_BLOCKS 8 /* so that eight threads have work */
#define MAX_BLOCKS 256
#define AUC_USERS  1000

/* A block of items stays in a core's second-level cache. */
#define ITEM_BLOCK_BYTES ((size_t)192 << 10)

struct bpr_config bpr_config_default(void)
{
    return (struct bpr_config){
        .n_factors = 20,
        .n_epochs = 15,
        .learning_rate = 0.05,
        .reg = 0.0025,
        .threshold = 2.5,
        .sampling = BPR_USERS,
        .seed = 1,
        .n_threads = 1,
    };
}

int bpr_config_check(const struct bpr_config *config, struct error *error)
{
    if (config->n_factors < 1 || config->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "factors is %d, not 1 to %d", config->n_factors,
                  MODEL_MAX_FACTORS);
        return -1;
    }
    if (!(config->learning_rate > 0) || !isfinite(config->learning_rate)) {
        error_set(error, ERROR_INVALID, "learning rate is %g, not above 0",
                  config->learning_rate);
        return -1;
    }
    if (!(config->reg >= 0) || !isfinite(config->reg) || !isfinite(config->threshold)) {
        error_set(error, ERROR_INVALID, "regularisation is %g, not 0 or more",
                  config->reg);
        return -1;
    }
    if (config->n_epochs < 0 || config->n_threads < 1) {
        error_set(error, ERROR_INVALID, "%d epochs on %d threads", config->n_epochs,
                  config->n_threads);
        return -1;
    }
    return 0;
}

struct state {
    const struct ratings *train, *test;
    const struct bpr_config *config;
    int stride; /* floats in a row, a multiple of LANES */
    int32_t n_blocks;
    int32_t user_block_len, item_block_len; /* the last block may be shorter */
    float *X;                               /* (n_users, stride) */
    float *Y, *Y_next; /* (n_items, stride) in the order of item_at */
    int32_t *item_at;  /* (n_items): which item is at a position */
    int32_t *position; /* (n_items): its inverse */
    int32_t *round_of; /* (n_blocks): the round in which block 0 of users meets it */
    int32_t *entry;    /* (n_ratings): per user, in the order of rounds: 2 * position +
                          is_positive */
    int64_t *cursor;   /* (n_users): the first entry not yet met */
    int32_t *n_positive; /* (n_users) */
    int64_t n_positives;
    int32_t n_active;                     /* users that have positives */
    double *loss;                         /* (n_blocks) of the round, by user block */
    int64_t *n_done;                      /* (n_blocks) samples drawn, by user block */
    float *rate_user, *rate_item, *decay; /* (stride) steps per element */
    struct factors *factors;
};

/* One step on rows u, v_i, v_j. Returns sigma(x) before it. */
__attribute__((target_clones("arch=haswell", "default"))) static float
step(float *restrict u, float *restrict vi, float *restrict vj, const struct state *s)
{
    float lane[LANES] = {0};
    for (int f = 0; f < s->stride; f += LANES) {
        for (int l = 0; l < LANES; l++) {
            lane[l] += u[f + l] * (vi[f + l] - vj[f + l]);
        }
    }
    const float x = ((lane[0] + lane[4]) + (lane[2] + lane[6])) +
                    ((lane[1] + lane[5]) + (lane[3] + lane[7]));
    const float sigma = 1 / (1 + expf(-x));
    const float g = 1 - sigma;
    for (int f = 0; f < s->stride; f++) {
        const float uf = u[f], p = vi[f], q = vj[f];
        u[f] = uf + s->rate_user[f] * (g * (p - q) - s->decay[f] * uf);
        vi[f] = p + s->rate_item[f] * (g * uf - s->decay[f] * p);
        vj[f] = q - s->rate_item[f] * (g * uf + s->decay[f] * q);
    }
    return sigma;
}

/* A user's entries within the item block that begins at `base`. */
struct meeting {
    const int32_t *entry;
    int32_t n, n_positive; /* positives come first */
    int32_t base, block_len;
};

static float *item_row(const struct state *s, int32_t position)
{
    return s->Y + (size_t)position * (size_t)s->stride;
}

/* How many samples the user draws in this meeting: the expected number, rounded up or
 * down at random so that it is right on average. */
static int64_t n_samples(const struct state *s, int32_t user, int32_t n_positive,
                         struct rng *rng)
{
    double expected = n_positive;
    if (s->config->sampling == BPR_USERS) {
        expected *= (double)s->n_positives /
                    ((double)s->n_active * (double)s->n_positive[user]);
    }
    return (int64_t)(expected + rng_uniform(rng));
}

/* The draws of one user in one item block. is_rated (block_len) is all false before and
 * after. */
static void meet(struct state *s, int32_t user, const struct meeting *m, bool *is_rated,
                 struct rng *rng, int32_t block)
{
    float *u = s->X + (size_t)user * (size_t)s->stride;
    const int64_t n = n_samples(s, user, m->n_positive, rng);
    double product = 1, loss = 0;
    if (n == 0 || m->n == m->block_len) {
        return;
    }
    for (int32_t e = 0; e < m->n; e++) {
        is_rated[m->entry[e] / 2 - m->base] = true;
    }
    for (int64_t k = 0; k < n; k++) {
        const int32_t i = m->entry[rng_below(rng, (uint64_t)m->n_positive)] / 2;
        int32_t j = 0;
        do {
            j = (int32_t)rng_below(rng, (uint64_t)m->block_len);
        } while (is_rated[j]);
        product *= (double)step(u, item_row(s, i), item_row(s, m->base + j), s);
        if (product < 1e-200) { /* a logarithm now and then, not one a sample */
            loss -= log(product + 1e-300);
            product = 1;
        }
    }
    for (int32_t e = 0; e < m->n; e++) {
        is_rated[m->entry[e] / 2 - m->base] = false;
    }
    s->loss[block] += loss - log(product + 1e-300);
    s->n_done[block] += n;
}

/* All users of a block meet the items of another. */
static void meet_blocks(struct state *s, int32_t user_block, int32_t item_block,
                        bool *is_rated, struct rng *rng)
{
    const int32_t first = user_block * s->user_block_len;
    const int32_t base = item_block * s->item_block_len;
    const int32_t left = s->train->n_items - base;
    struct meeting m = {.base = base};
    m.block_len = left < s->item_block_len ? left : s->item_block_len;
    for (int32_t user = first;
         user < first + s->user_block_len && user < s->train->n_users; user++) {
        const int64_t end = s->train->user_start[user + 1];
        int64_t at = s->cursor[user];
        m.entry = s->entry + at;
        m.n = m.n_positive = 0;
        for (; at < end && s->entry[at] / 2 >= base &&
               s->entry[at] / 2 < base + m.block_len;
             at++) {
            m.n++;
            m.n_positive += s->entry[at] & 1;
        }
        s->cursor[user] = at;
        if (m.n_positive) {
            meet(s, user, &m, is_rated, rng, user_block);
        }
    }
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
               s->Y + (size_t)s->position[s->item_at[p]] * row, row * sizeof *s->Y);
    }
    for (int32_t p = 0; p < n; p++) {
        s->position[s->item_at[p]] = p;
    }
    float *moved = s->Y_next;
    s->Y_next = s->Y;
    s->Y = moved;
    shuffle(s->round_of, s->n_blocks, rng);
}

/* Sorts a user's ratings by the round in which their item's block is met, positives
 * first within a round. */
static void sort_entries(struct state *s, int32_t user)
{
    const struct ratings *r = s->train;
    const float threshold = (float)s->config->threshold;
    const int32_t block = user / s->user_block_len;
    int64_t start[2 * MAX_BLOCKS + 1] = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = r->user_start[user]; i < r->user_start[user + 1]; i++) {
            const int32_t p = s->position[r->user_item[i]];
            const int32_t met =
                (p / s->item_block_len + s->n_blocks - block) % s->n_blocks;
            const bool is_positive = r->user_rating[i] > threshold;
            const int32_t key = 2 * s->round_of[met] + !is_positive;
            if (pass == 0) {
                start[key + 1]++;
            } else {
                s->entry[start[key]++] = 2 * p + is_positive;
            }
        }
        if (pass == 0) {
            start[0] = r->user_start[user];
            for (int32_t key = 0; key < 2 * s->n_blocks; key++) {
                start[key + 1] += start[key];
            }
        }
    }
    s->cursor[user] = r->user_start[user];
}

static int run_rounds(struct state *s, int epoch, struct error *error)
{
    int n_failed = 0;
#pragma omp parallel num_threads(s->config->n_threads) reduction(+ : n_failed)
    {
        bool *is_rated = calloc((size_t)s->item_block_len, sizeof *is_rated);
        n_failed = !is_rated;
#pragma omp for schedule(static)
        for (int32_t user = 0; user < s->train->n_users; user++) {
            sort_entries(s, user);
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
                if (is_rated) {
                    meet_blocks(s, b, (b + offset) % s->n_blocks, is_rated, &rng);
                }
            }
        }
        free(is_rated);
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
    for (int32_t u = 0; u < f->n_users; u++) {
        memcpy(f->user_factors + (size_t)u * k, s->X + (size_t)u * stride,
               k * sizeof(float));
    }
    for (int32_t i = 0; i < f->n_items; i++) {
        const float *row = item_row(s, s->position[i]);
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
            row[f] = (float)(0.1 * rng_normal(&rng));
        }
        row[k] = 1;
    }
    for (int32_t i = 0; i < s->train->n_items; i++) {
        float *row = item_row(s, i);
        for (int32_t f = 0; f < k; f++) {
            row[f] = (float)(0.1 * rng_normal(&rng));
        }
        s->item_at[i] = s->position[i] = i;
    }
    for (int32_t b = 0; b < s->n_blocks; b++) {
        s->round_of[b] = b;
    }
    for (int32_t f = 0; f <= k; f++) {
        s->rate_user[f] = f < k ? (float)s->config->learning_rate : 0;
        s->rate_item[f] = (float)s->config->learning_rate;
        s->decay[f] = (float)(2 * s->config->reg);
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
        if (!observer || !observer->epoch) {
            continue;
        }
        if (!observer->skips_quality) {
            measure(s, &report);
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
    for (int32_t u = 0; u < r->n_users; u++) {
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            s->n_positive[u] += (double)r->user_rating[i] > s->config->threshold;
        }
        s->n_positives += s->n_positive[u];
        s->n_active += s->n_positive[u] > 0;
    }
    if (s->n_positives == 0) {
        error_set(
            error, ERROR_INVALID,
            "bpr: no rating is above %g, so there is nothing to prefer; lower the "
            "threshold",
            s->config->threshold);
        return -1;
    }
    return 0;
}

static int allocate(struct state *s, struct error *error)
{
    const struct ratings *r = s->train;
    const size_t n_users = (size_t)r->n_users, n_items = (size_t)r->n_items;
    const size_t stride = (size_t)s->stride, n_blocks = (size_t)s->n_blocks;
    s->X = calloc(n_users * stride + 1, sizeof *s->X);
    s->Y = calloc(n_items * stride + 1, sizeof *s->Y);
    s->Y_next = calloc(n_items * stride + 1, sizeof *s->Y_next);
    s->item_at = malloc((n_items + 1) * sizeof *s->item_at);
    s->position = malloc((n_items + 1) * sizeof *s->position);
    s->round_of = malloc(n_blocks * sizeof *s->round_of);
    s->entry = malloc(((size_t)r->n_ratings + 1) * sizeof *s->entry);
    s->cursor = malloc((n_users + 1) * sizeof *s->cursor);
    s->n_positive = calloc(n_users + 1, sizeof *s->n_positive);
    s->loss = calloc(n_blocks, sizeof *s->loss);
    s->n_done = calloc(n_blocks, sizeof *s->n_done);
    s->rate_user = calloc(3 * stride, sizeof *s->rate_user);
    s->factors = factors_new(r, s->config->n_factors);
    if (!s->X || !s->Y || !s->Y_next || !s->item_at || !s->position || !s->round_of ||
        !s->entry || !s->cursor || !s->n_positive || !s->loss || !s->n_done ||
        !s->rate_user || !s->factors) {
        error_set(error, ERROR_NOMEM, "bpr: no memory for %d users and %d items",
                  r->n_users, r->n_items);
        return -1;
    }
    s->rate_item = s->rate_user + stride;
    s->decay = s->rate_item + stride;
    return 0;
}

static void release(struct state *s)
{
    factors_free(s->factors);
    free(s->rate_user);
    free(s->n_done);
    free(s->loss);
    free(s->n_positive);
    free(s->cursor);
    free(s->entry);
    free(s->round_of);
    free(s->position);
    free(s->item_at);
    free(s->Y_next);
    free(s->Y);
    free(s->X);
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
