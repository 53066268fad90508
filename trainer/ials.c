/* Inside training a row holds its factors, then zeros: see half_step.h. */
#include "trainer/ials.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"
#include "trainer/half_step.h"
#include "trainer/normal.h"

#define AUC_USERS 1000

struct ials_config ials_config_default(void)
{
    return (struct ials_config){
        .n_factors = 20,
        .n_epochs = 15,
        .confidence = 10,
        .reg = 1.6,
        .nu = 0.45,
        .threshold = 2.5,
        .seed = 1,
        .n_threads = 1,
    };
}

int ials_config_check(const struct ials_config *config, struct error *error)
{
    if (config->n_factors < 1 || config->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "factors is %d, not 1 to %d", config->n_factors,
                  MODEL_MAX_FACTORS);
        return -1;
    }
    if (!(config->confidence > 0) || !isfinite(config->confidence)) {
        error_set(error, ERROR_INVALID, "confidence is %g, not above 0",
                  config->confidence);
        return -1;
    }
    if (!(config->reg > 0) || !isfinite(config->reg) || !isfinite(config->threshold)) {
        error_set(error, ERROR_INVALID, "regularisation is %g, not above 0",
                  config->reg);
        return -1;
    }
    if (!(config->nu >= 0 && config->nu <= 1)) {
        error_set(error, ERROR_INVALID, "nu is %g, not in [0, 1]", config->nu);
        return -1;
    }
    return training_check_effort(config->n_epochs, config->n_threads, error);
}

/* One side: its positives, its rows, and what they weigh. */
struct side {
    int32_t n_rows;
    int64_t *start; /* (n_rows + 1) */
    int32_t *col;   /* (n_positives) */
    float *rows;    /* (n_rows, stride) */
    float *ridge;   /* (n_rows) */
    float *gram;    /* (stride, stride) of the rows */
};

struct state {
    const struct ratings *train, *test;
    const struct ials_config *config;
    int stride;
    struct side users, items;
    struct factors *factors;
};

static void side_free(struct side *side)
{
    free(side->start);
    free(side->col);
    normal_free(side->rows);
    free(side->ridge);
    normal_free(side->gram);
}

/* Keeps the ratings above the threshold. `n_other`: rows of the other side. */
static int side_init(struct side *side, const struct half_step *all, int stride,
                     int32_t n_other, const struct ials_config *config)
{
    const size_t n_rows = (size_t)all->n_rows;
    side->n_rows = all->n_rows;
    side->start = malloc((n_rows + 1) * sizeof *side->start);
    side->col = malloc(((size_t)all->start[n_rows] + 1) * sizeof *side->col);
    side->rows = normal_alloc(n_rows * (size_t)stride);
    side->ridge = malloc((n_rows + 1) * sizeof *side->ridge);
    side->gram = normal_alloc((size_t)stride * (size_t)stride);
    if (!side->start || !side->col || !side->rows || !side->ridge || !side->gram) {
        return -1;
    }
    int64_t n = 0;
    for (int32_t row = 0; row < all->n_rows; row++) {
        side->start[row] = n;
        for (int64_t at = all->start[row]; at < all->start[row + 1]; at++) {
            if ((double)all->rating[at] > config->threshold) {
                side->col[n++] = all->col[at];
            }
        }
        side->ridge[row] =
            (float)(config->reg *
                    pow(config->confidence * (double)(n - side->start[row]) + n_other,
                        config->nu));
    }
    side->start[all->n_rows] = n;
    return 0;
}

static int run_half(struct state *s, const struct side *from, struct side *to,
                    const char *what, struct error *error)
{
    const float confidence = (float)s->config->confidence;
    const struct half_step step = {
        .n = s->config->n_factors,
        .stride = s->stride,
        .n_rows = to->n_rows,
        .n_cols = from->n_rows,
        .start = to->start,
        .col = to->col,
        .Y = from->rows,
        .X = to->rows,
        .prior = from->gram,
        .is_implicit = true,
        .weight = confidence,
        .target = (1 + confidence) / confidence,
        .ridge = to->ridge,
        .last_ridge = to->ridge,
    };
    if (half_step_run(&step, what, s->config->n_threads, error) != 0) {
        return -1;
    }
    return half_step_gram(to->rows, to->n_rows, step.n, s->stride, s->config->n_threads,
                          to->gram, error);
}

static void unpack(const struct side *side, int stride, int32_t k, float *factors)
{
    for (int32_t i = 0; i < side->n_rows; i++) {
        memcpy(factors + (size_t)i * (size_t)k, side->rows + (size_t)i * (size_t)stride,
               (size_t)k * sizeof *factors);
    }
}

static double penalty(const struct side *side, int stride, int32_t k)
{
    double sum = 0;
    for (int32_t i = 0; i < side->n_rows; i++) {
        const float *row = side->rows + (size_t)i * (size_t)stride;
        double norm = 0;
        for (int32_t f = 0; f < k; f++) {
            norm += (double)row[f] * (double)row[f];
        }
        sum += (double)side->ridge[i] * norm;
    }
    return sum;
}

/* The sum of all squared scores is the product of the gramians; the positives' part is
 * put right one by one. */
static double loss(const struct state *s)
{
    const int32_t k = s->config->n_factors;
    double sum = penalty(&s->users, s->stride, k) + penalty(&s->items, s->stride, k);
    for (int32_t i = 0; i < k; i++) {
        for (int32_t j = 0; j <= i; j++) {
            const size_t at = (size_t)i * (size_t)s->stride + (size_t)j;
            sum += (i == j ? 1 : 2) * (double)s->users.gram[at] *
                   (double)s->items.gram[at];
        }
    }
    for (int32_t u = 0; u < s->users.n_rows; u++) {
        const float *x = s->users.rows + (size_t)u * (size_t)s->stride;
        for (int64_t at = s->users.start[u]; at < s->users.start[u + 1]; at++) {
            const float *y =
                s->items.rows + (size_t)s->users.col[at] * (size_t)s->stride;
            double score = 0;
            for (int32_t f = 0; f < k; f++) {
                score += (double)x[f] * (double)y[f];
            }
            sum +=
                (1 + s->config->confidence) * (1 - score) * (1 - score) - score * score;
        }
    }
    return sum;
}

static void measure(struct state *s, struct epoch_report *report)
{
    const struct ials_config *config = s->config;
    const float threshold = (float)config->threshold;
    unpack(&s->users, s->stride, config->n_factors, s->factors->user_factors);
    unpack(&s->items, s->stride, config->n_factors, s->factors->item_factors);
    report->loss = loss(s);
    report->train_quality = factors_auc(s->factors, s->train, s->train, threshold,
                                        AUC_USERS, config->n_threads);
    if (s->test) {
        report->test_quality = factors_auc(s->factors, s->test, s->train, threshold,
                                           AUC_USERS, config->n_threads);
    }
    report->factors = s->factors;
}

static int start(struct state *s, struct error *error)
{
    struct rng rng;
    const int32_t k = s->config->n_factors;
    const double scale = 0.1 / sqrt(k);
    rng_init(&rng, s->config->seed, 0);
    for (int32_t i = 0; i < s->items.n_rows; i++) {
        for (int32_t f = 0; f < k; f++) {
            s->items.rows[(size_t)i * (size_t)s->stride + (size_t)f] =
                (float)(scale * rng_normal(&rng));
        }
    }
    return half_step_gram(s->items.rows, s->items.n_rows, k, s->stride,
                          s->config->n_threads, s->items.gram, error);
}

static int run_epochs(struct state *s, const struct training_observer *observer,
                      struct error *error)
{
    for (int epoch = 1; epoch <= s->config->n_epochs; epoch++) {
        const int64_t begin = clock_monotonic_ns();
        if (run_half(s, &s->items, &s->users, "user", error) != 0 ||
            run_half(s, &s->users, &s->items, "item", error) != 0) {
            return -1;
        }
        struct epoch_report report = {
            .epoch = epoch,
            .n_epochs = s->config->n_epochs,
            .seconds = (double)(clock_monotonic_ns() - begin) * 1e-9,
            .n_samples = s->users.start[s->users.n_rows],
            .loss = (double)NAN,
            .train_quality = (double)NAN,
            .test_quality = (double)NAN,
        };
        if (!observer || !observer->epoch) {
            continue;
        }
        if (training_is_measured(observer, epoch, s->config->n_epochs)) {
            measure(s, &report);
        }
        if (!observer->epoch(observer->context, &report)) {
            break;
        }
    }
    return 0;
}

static int allocate(struct state *s, struct error *error)
{
    const struct ratings *r = s->train;
    struct half_step by_user = {0}, by_item = {0};
    half_step_by_user(&by_user, r);
    half_step_by_item(&by_item, r);
    s->factors = factors_new(r, s->config->n_factors);
    if (!s->factors ||
        side_init(&s->users, &by_user, s->stride, r->n_items, s->config) != 0 ||
        side_init(&s->items, &by_item, s->stride, r->n_users, s->config) != 0) {
        error_set(error, ERROR_NOMEM, "ials: no memory for %d users and %d items",
                  r->n_users, r->n_items);
        return -1;
    }
    if (s->users.start[r->n_users] == 0) {
        error_set(error, ERROR_INVALID,
                  "ials: no rating is above %g, so there is nothing to prefer; lower "
                  "the threshold",
                  s->config->threshold);
        return -1;
    }
    return 0;
}

int ials_train(const struct ratings *train, const struct ratings *test,
               const struct ials_config *config,
               const struct training_observer *observer, struct factors **factors,
               struct error *error)
{
    struct state s = {.train = train, .test = test, .config = config};
    int rc = -1;
    if (ials_config_check(config, error) != 0) {
        return -1;
    }
    s.stride = normal_stride(config->n_factors + 1);
    if (allocate(&s, error) != 0 || start(&s, error) != 0 ||
        run_epochs(&s, observer, error) != 0) {
        goto out;
    }
    unpack(&s.users, s.stride, config->n_factors, s.factors->user_factors);
    unpack(&s.items, s.stride, config->n_factors, s.factors->item_factors);
    *factors = s.factors;
    s.factors = NULL;
    rc = 0;

out:
    factors_free(s.factors);
    side_free(&s.users);
    side_free(&s.items);
    return rc;
}
