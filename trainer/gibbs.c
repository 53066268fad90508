/* Rows as in als.c: factors, 1, bias, zeros. */
#include "trainer/gibbs.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"
#include "trainer/half_step.h"
#include "trainer/normal.h"
#include "trainer/normal_wishart.h"

#define START_PRECISION 2.0 /* of a rating; forgotten after a few draws */

#define BIAS_COLUMNS 2 /* of a draw that is kept */

struct gibbs_config gibbs_config_default(void)
{
    return (struct gibbs_config){
        .n_factors = 20,
        .n_burn_in = 20,
        .n_draws = 100,
        .n_kept = 20,
        .seed = 1,
        .n_threads = 1,
    };
}

int gibbs_config_check(const struct gibbs_config *config, struct error *error)
{
    if (config->n_draws < 1 || config->n_burn_in < 0 || config->n_threads < 1 ||
        config->n_kept < 1 || config->n_kept > config->n_draws) {
        error_set(error, ERROR_INVALID, "%d of %d draws kept, %d before them",
                  config->n_kept, config->n_draws, config->n_burn_in);
        return -1;
    }
    if (config->n_factors < 1 ||
        config->n_factors > MODEL_MAX_FACTORS / config->n_kept - BIAS_COLUMNS) {
        error_set(error, ERROR_INVALID,
                  "%d factors and %d for the biases times %d draws kept is not 1 to "
                  "%d; keep fewer",
                  config->n_factors, BIAS_COLUMNS, config->n_kept, MODEL_MAX_FACTORS);
        return -1;
    }
    return 0;
}

int32_t gibbs_n_columns(const struct gibbs_config *config)
{
    return (config->n_factors + BIAS_COLUMNS) * config->n_kept;
}

struct side {
    int32_t n_rows;
    float *rows;  /* (n_rows, stride) */
    float *zeros; /* (n_rows): no ridge, the prior says it all */
    float *prior; /* (stride, stride), as half_step.h wants it */
    double *sum, *square, *scratch, *mean, *precision;
};

struct state {
    const struct ratings *train, *test;
    const struct gibbs_config *config;
    int stride;
    double precision; /* of a rating */
    struct side users, items;
    struct rng rng;       /* of mean, precision matrices and precision */
    struct factors *draw; /* the current one */
    struct factors *kept; /* side by side */
    double *test_sum;     /* (n_ratings of test) sums of scores since the burn-in */
};

static int side_init(struct side *side, int32_t n_rows, int stride, int dim)
{
    const size_t d = (size_t)dim, size = d * d;
    side->n_rows = n_rows;
    side->rows = normal_alloc((size_t)n_rows * (size_t)stride);
    side->zeros = calloc((size_t)n_rows + 1, sizeof *side->zeros);
    side->prior = normal_alloc((size_t)stride * (size_t)stride);
    side->sum =
        malloc((2 * d + 2 * size + NORMAL_WISHART_SCRATCH(dim)) * sizeof(double));
    if (!side->rows || !side->zeros || !side->prior || !side->sum) {
        return -1;
    }
    side->mean = side->sum + d;
    side->square = side->mean + d;
    side->precision = side->square + size;
    side->scratch = side->precision + size;
    for (int32_t i = 0; i < n_rows; i++) {
        side->rows[(size_t)i * (size_t)stride + d - 1] = 1;
    }
    return 0;
}

static void side_free(struct side *side)
{
    normal_free(side->rows);
    free(side->zeros);
    normal_free(side->prior);
    free(side->sum);
}

/* Draws the side's mean and precision matrix from its rows, and makes the prior of
 * them: precision and precision x mean, in units of a rating's precision. */
static int draw_prior(struct state *s, struct side *side)
{
    const int dim = s->config->n_factors + 1;
    const size_t stride = (size_t)s->stride;
    memset(side->sum, 0, (size_t)dim * sizeof *side->sum);
    memset(side->square, 0, (size_t)dim * (size_t)dim * sizeof *side->square);
    for (int32_t row = 0; row < side->n_rows; row++) {
        const float *x = side->rows + (size_t)row * stride;
        for (int i = 0; i < dim; i++) {
            const double xi = (double)(i < dim - 1 ? x[i] : x[dim]);
            side->sum[i] += xi;
            for (int j = 0; j < i; j++) {
                side->square[i * dim + j] += xi * (double)x[j];
            }
            side->square[i * dim + i] += xi * xi;
        }
    }
    const struct row_sums sums = {side->n_rows, dim, side->sum, side->square};
    if (normal_wishart_draw(&sums, &s->rng, side->scratch, side->mean,
                            side->precision) != 0) {
        return -1;
    }
    for (int i = 0; i < dim; i++) {
        double dot = 0;
        for (int j = 0; j < dim; j++) {
            dot += side->precision[i * dim + j] * side->mean[j];
            side->prior[(size_t)i * stride + (size_t)j] =
                (float)(side->precision[i * dim + j] / s->precision);
        }
        side->prior[(size_t)dim * stride + (size_t)i] = (float)(dot / s->precision);
    }
    return 0;
}

static int draw_side(struct state *s, struct half_step *step, const struct side *from,
                     struct side *to, const char *what, struct error *error)
{
    if (draw_prior(s, to) != 0) {
        error_set(error, ERROR_NUMERIC,
                  "gibbs: the %ss' factors are no longer finite numbers", what);
        return -1;
    }
    step->n = s->config->n_factors + 1;
    step->stride = s->stride;
    step->Y = from->rows;
    step->X = to->rows;
    step->prior = to->prior;
    step->mean = s->draw->mean;
    step->ridge = step->last_ridge = to->zeros;
    step->has_bias = true;
    step->is_draw = true;
    step->draw_scale = (float)(1 / sqrt(s->precision));
    step->seed = rng_next(&s->rng);
    return half_step_run(step, what, s->config->n_threads, error);
}

static void unpack(const struct side *side, int stride, int32_t k, float *factors,
                   float *bias)
{
    for (int32_t i = 0; i < side->n_rows; i++) {
        const float *row = side->rows + (size_t)i * (size_t)stride;
        memcpy(factors + (size_t)i * (size_t)k, row, (size_t)k * sizeof *row);
        bias[i] = row[k + 1];
    }
}

/* One draw of everything; *rmse is its error on the training ratings, 0 without any. */
static int draw_all(struct state *s, double *rmse, struct error *error)
{
    struct half_step by_user = {0}, by_item = {0};
    struct factors *f = s->draw;
    const double n = (double)s->train->n_ratings;
    half_step_by_user(&by_user, s->train);
    half_step_by_item(&by_item, s->train);
    if (draw_side(s, &by_user, &s->items, &s->users, "user", error) != 0 ||
        draw_side(s, &by_item, &s->users, &s->items, "item", error) != 0) {
        return -1;
    }
    unpack(&s->users, s->stride, f->n_factors, f->user_factors, f->user_bias);
    unpack(&s->items, s->stride, f->n_factors, f->item_factors, f->item_bias);
    *rmse = n > 0 ? factors_rmse(f, s->train, s->config->n_threads) : 0;
    if (isnan(*rmse)) {
        error_set(error, ERROR_NOMEM,
                  "gibbs: no memory to measure a draw, or it is no longer "
                  "finite");
        return -1;
    }
    s->precision = gamma_draw(&s->rng, 1 + n / 2, 1 / (1 + n * *rmse * *rmse / 2));
    return 0;
}

static double score(const struct factors *f, int32_t user, int32_t item)
{
    const float *u = f->user_factors + (size_t)user * (size_t)f->n_factors;
    const float *v = f->item_factors + (size_t)item * (size_t)f->n_factors;
    double sum =
        (double)f->mean + (double)f->user_bias[user] + (double)f->item_bias[item];
    for (int32_t i = 0; i < f->n_factors; i++) {
        sum += (double)u[i] * (double)v[i];
    }
    return sum;
}

/* Adds the current draw's scores; returns the error of the average over n_draws. */
static double test_error(struct state *s, int n_draws)
{
    const struct ratings *r = s->test;
    double sum = 0;
#pragma omp parallel for schedule(dynamic, 64) num_threads(s->config->n_threads)
    for (int32_t u = 0; u < r->n_users; u++) {
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            s->test_sum[i] += score(s->draw, u, r->user_item[i]);
        }
    }
    for (int64_t i = 0; i < r->n_ratings; i++) {
        const double e = (double)r->user_rating[i] - s->test_sum[i] / n_draws;
        sum += e * e;
    }
    return sqrt(sum / (double)r->n_ratings);
}

/* Puts n_rows of k factors into their block of `to`, and 1 and the bias behind them in
 * the columns that are the side's; adds the bias to the sum. */
static void keep_rows(const struct state *s, int slot, const struct side *side,
                      int bias_column, float *to, float *bias_sum)
{
    const int32_t k = s->config->n_factors;
    const int n_kept = s->config->n_kept;
    const size_t block = (size_t)k + BIAS_COLUMNS;
    const float scale = 1 / sqrtf((float)n_kept);
    for (int32_t i = 0; i < side->n_rows; i++) {
        const float *from = side->rows + (size_t)i * (size_t)s->stride;
        float *row = to + ((size_t)i * (size_t)n_kept + (size_t)slot) * block;
        for (int32_t f = 0; f < k; f++) {
            row[f] = scale * from[f];
        }
        row[k + bias_column] = scale * from[k + 1];
        row[k + 1 - bias_column] = scale;
        bias_sum[i] += from[k + 1] / (float)n_kept;
    }
}

/* Puts the current draw beside those kept before. */
static void keep(struct state *s, int slot)
{
    struct factors *f = s->kept;
    keep_rows(s, slot, &s->users, 0, f->user_factors, f->user_bias);
    keep_rows(s, slot, &s->items, 1, f->item_factors, f->item_bias);
    f->noise += 1 / (s->precision * s->config->n_kept);
}

/* Takes the average bias, which has its own place, out of the draws' columns. */
static void centre_biases(const struct state *s, int32_t n_rows, int bias_column,
                          const float *bias, float *rows)
{
    const int n_kept = s->config->n_kept;
    const size_t block = (size_t)s->config->n_factors + BIAS_COLUMNS;
    const float scale = 1 / sqrtf((float)n_kept);
    float *at = rows + s->config->n_factors + bias_column;
    for (int32_t i = 0; i < n_rows; i++) {
        for (int d = 0; d < n_kept; d++, at += block) {
            *at -= scale * bias[i];
        }
    }
}

static void finish(struct state *s)
{
    struct factors *f = s->kept;
    centre_biases(s, f->n_users, 0, f->user_bias, f->user_factors);
    centre_biases(s, f->n_items, 1, f->item_bias, f->item_factors);
    f->noise = sqrt(f->noise);
}

static int run(struct state *s, const struct training_observer *observer,
               struct error *error)
{
    const struct gibbs_config *config = s->config;
    const int n_all = config->n_burn_in + config->n_draws;
    for (int at = 0; at < n_all; at++) {
        const int draw = at - config->n_burn_in; /* from 0, negative before */
        const int64_t begin = clock_monotonic_ns();
        struct epoch_report report = {
            .epoch = at + 1,
            .n_epochs = n_all,
            .test_quality = (double)NAN,
            .n_samples = s->train->n_ratings,
        };
        if (draw_all(s, &report.train_quality, error) != 0) {
            return -1;
        }
        const int64_t slot = (int64_t)draw * config->n_kept / config->n_draws;
        if (draw >= 0 &&
            ((int64_t)draw + 1) * config->n_kept / config->n_draws > slot) {
            keep(s, (int)slot);
        }
        report.seconds = (double)(clock_monotonic_ns() - begin) * 1e-9;
        report.loss =
            report.train_quality * report.train_quality * (double)s->train->n_ratings;
        if (s->test) {
            if (draw == 0) {
                memset(s->test_sum, 0,
                       (size_t)s->test->n_ratings * sizeof *s->test_sum);
            }
            report.test_quality = test_error(s, draw < 0 ? at + 1 : draw + 1);
        }
        if (at + 1 == n_all) {
            finish(s);
            report.factors = s->kept;
        }
        if (observer && observer->epoch &&
            !observer->epoch(observer->context, &report) && at + 1 < n_all) {
            error_set(error, ERROR_INVALID, "gibbs: stopped before the last draw");
            return -1;
        }
    }
    return 0;
}

static int allocate(struct state *s, struct error *error)
{
    const struct ratings *r = s->train;
    const int32_t k = s->config->n_factors;
    s->draw = factors_new(r, k);
    s->kept = factors_new(r, gibbs_n_columns(s->config));
    s->test_sum =
        calloc((size_t)(s->test ? s->test->n_ratings : 0) + 1, sizeof *s->test_sum);
    if (!s->draw || !s->kept || !s->test_sum ||
        side_init(&s->users, r->n_users, s->stride, k + 1) != 0 ||
        side_init(&s->items, r->n_items, s->stride, k + 1) != 0) {
        error_set(error, ERROR_NOMEM, "gibbs: no memory for %d users and %d items",
                  r->n_users, r->n_items);
        return -1;
    }
    return 0;
}

static void start(struct state *s)
{
    const int32_t k = s->config->n_factors;
    rng_init(&s->rng, s->config->seed, 0);
    for (int32_t i = 0; i < s->items.n_rows; i++) {
        for (int32_t f = 0; f < k; f++) {
            s->items.rows[(size_t)i * (size_t)s->stride + (size_t)f] =
                (float)(rng_normal(&s->rng) / sqrt(k));
        }
    }
    s->precision = START_PRECISION;
    s->draw->mean = s->kept->mean = (float)ratings_mean(s->train);
}

int gibbs_train(const struct ratings *train, const struct ratings *test,
                const struct gibbs_config *config,
                const struct training_observer *observer, struct factors **factors,
                struct error *error)
{
    struct state s = {.train = train, .test = test, .config = config};
    int rc = -1;
    if (gibbs_config_check(config, error) != 0) {
        return -1;
    }
    s.stride = normal_stride(config->n_factors + 2);
    if (allocate(&s, error) != 0) {
        goto out;
    }
    start(&s);
    if (run(&s, observer, error) != 0) {
        goto out;
    }
    *factors = s.kept;
    s.kept = NULL;
    rc = 0;

out:
    factors_free(s.draw);
    factors_free(s.kept);
    free(s.test_sum);
    side_free(&s.users);
    side_free(&s.items);
    return rc;
}
