/* Letters as in als.h. Inside training a row of X or Y holds a user's or item's
 * factors, then 1 (so that a row is the y of the other side's equations), then its
 * bias, then zeros: y = row[0..k], c = row[k + 1]. */
#include "trainer/als.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"

#define ROWS_PER_TASK 16

struct als_config als_config_default(void)
{
    return (struct als_config){
        .n_factors = 20,
        .n_epochs = 15,
        .lambda = 1,
        .tau = als_default_tau(20),
        .seed = 1,
        .n_threads = 1,
    };
}

double als_default_tau(int32_t n_factors)
{
    return 3 * sqrt(n_factors) / 2.5;
}

int als_config_check(const struct als_config *config, struct error *error)
{
    if (config->n_factors < 1 || config->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "factors is %d, not 1 to 4096",
                  config->n_factors);
        return -1;
    }
    if (!(config->lambda > 0) || !isfinite(config->lambda)) {
        error_set(error, ERROR_INVALID, "lambda is %g, not above 0", config->lambda);
        return -1;
    }
    if (!(config->tau > 0) || !isfinite(config->tau)) {
        error_set(error, ERROR_INVALID, "tau is %g, not above 0", config->tau);
        return -1;
    }
    if (config->n_epochs < 0 || config->n_threads < 1) {
        error_set(error, ERROR_INVALID, "%d epochs on %d threads", config->n_epochs,
                  config->n_threads);
        return -1;
    }
    return 0;
}

/* One side's view of the ratings. */
struct side {
    int32_t n_rows;
    const int64_t *start;
    const int32_t *col;
    const float *rating;
};

/* Adds y y^T (lower triangle of A, row-major, n = k + 1) and x y to the sums. */
static void accumulate(const struct side *R, int32_t row, const float *Y, int stride,
                       int n, float *A, float *b)
{
    for (int64_t i = R->start[row]; i < R->start[row + 1]; i++) {
        const float *y = Y + (size_t)R->col[i] * (size_t)stride;
        const float x = R->rating[i] - y[n];
        for (int p = 0; p < n; p++) {
            for (int q = 0; q <= p; q++) {
                A[p * n + q] += y[p] * y[q];
            }
            b[p] += x * y[p];
        }
    }
}

/* Solves one row's equations into X; returns LAPACK's info. A (n, n), b (n) scratch. */
static int solve_row(const struct side *R, int32_t row, const float *Y, int stride,
                     const struct als_config *config, float *A, float *X)
{
    const int n = config->n_factors + 1;
    float *b = A + (size_t)n * (size_t)n;
    float *z = X + (size_t)row * (size_t)stride;
    memset(A, 0, ((size_t)n * (size_t)n + (size_t)n) * sizeof *A);
    if (R->start[row] == R->start[row + 1]) {
        memset(z, 0, (size_t)stride * sizeof *z);
        z[n - 1] = 1;
        return 0;
    }
    accumulate(R, row, Y, stride, n, A, b);
    const float lambda = (float)config->lambda;
    for (int p = 0; p < n; p++) {
        for (int q = 0; q <= p; q++) {
            A[p * n + q] *= lambda;
        }
        b[p] *= lambda;
        A[p * n + p] += p < n - 1 ? (float)config->tau : 0;
    }
    /* Our row-major lower triangle is LAPACK's column-major upper one. */
    const int info = LAPACKE_sposv(LAPACK_COL_MAJOR, 'U', n, 1, A, n, b, n);
    memcpy(z, b, (size_t)(n - 1) * sizeof *z);
    z[n - 1] = 1;
    z[n] = b[n - 1];
    return info;
}

static int half_step(const struct side *R, const float *Y, int stride,
                     const struct als_config *config, float *X, struct error *error)
{
    const size_t n = (size_t)config->n_factors + 1;
    int32_t bad_row = -1;
    bool is_out_of_memory = false;
#pragma omp parallel num_threads(config->n_threads)
    {
        float *A = malloc((n * n + n) * sizeof *A);
        if (!A) {
#pragma omp atomic write
            is_out_of_memory = true;
        }
#pragma omp for schedule(dynamic, ROWS_PER_TASK)
        for (int32_t row = 0; row < R->n_rows; row++) {
            if (A && solve_row(R, row, Y, stride, config, A, X) != 0) {
#pragma omp atomic write
                bad_row = row;
            }
        }
        free(A);
    }
    if (is_out_of_memory) {
        error_set(error, ERROR_NOMEM, "als: no memory for a workspace");
        return -1;
    }
    if (bad_row >= 0) {
        error_set(error, ERROR_NUMERIC, "als: cannot solve row %d; raise tau above %g",
                  bad_row, config->tau);
        return -1;
    }
    return 0;
}

static double squared_norm(const float *values, size_t n)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) {
        sum += (double)values[i] * (double)values[i];
    }
    return sum;
}

static void unpack(const float *rows, int32_t n, int stride, int32_t k, float *factors,
                   float *bias)
{
    for (int32_t i = 0; i < n; i++) {
        const float *row = rows + (size_t)i * (size_t)stride;
        memcpy(factors + (size_t)i * (size_t)k, row, (size_t)k * sizeof *row);
        bias[i] = row[k + 1];
    }
}

struct state {
    const struct ratings *train, *test;
    const struct als_config *config;
    int stride;
    float *X, *Y;
    struct factors *factors;
};

/* Fills the report with loss and errors. */
static void measure(const struct state *s, struct epoch_report *report)
{
    struct factors *f = s->factors;
    const struct als_config *config = s->config;
    const size_t k = (size_t)f->n_factors;
    unpack(s->X, f->n_users, s->stride, f->n_factors, f->user_factors, f->user_bias);
    unpack(s->Y, f->n_items, s->stride, f->n_factors, f->item_factors, f->item_bias);
    const double rmse = factors_rmse(f, s->train, config->n_threads);
    report->train_quality = rmse;
    report->test_quality =
        s->test ? factors_rmse(f, s->test, config->n_threads) : (double)NAN;
    report->loss = config->lambda / 2 * rmse * rmse * (double)s->train->n_ratings +
                   config->tau / 2 *
                       (squared_norm(f->user_factors, (size_t)f->n_users * k) +
                        squared_norm(f->item_factors, (size_t)f->n_items * k));
}

/* Small random item vectors, zero biases: the first half step finds the users. */
static void start(struct state *s)
{
    struct rng rng;
    const int32_t k = s->config->n_factors;
    const double scale = 1 / sqrt(k);
    rng_init(&rng, s->config->seed, 0);
    for (int32_t i = 0; i < s->train->n_items; i++) {
        float *y = s->Y + (size_t)i * (size_t)s->stride;
        for (int32_t f = 0; f < k; f++) {
            y[f] = (float)(scale * rng_normal(&rng));
        }
        y[k] = 1;
    }
    for (int32_t u = 0; u < s->train->n_users; u++) {
        s->X[(size_t)u * (size_t)s->stride + (size_t)k] = 1;
    }
}

static int run_epochs(struct state *s, const struct training_observer *observer,
                      struct error *error)
{
    const struct ratings *r = s->train;
    const struct side users = {r->n_users, r->user_start, r->user_item, r->user_rating};
    const struct side items = {r->n_items, r->item_start, r->item_user, r->item_rating};
    for (int epoch = 1; epoch <= s->config->n_epochs; epoch++) {
        const int64_t begin = clock_monotonic_ns();
        if (half_step(&users, s->Y, s->stride, s->config, s->X, error) != 0 ||
            half_step(&items, s->X, s->stride, s->config, s->Y, error) != 0) {
            return -1;
        }
        struct epoch_report report = {
            .epoch = epoch,
            .n_epochs = s->config->n_epochs,
            .seconds = (double)(clock_monotonic_ns() - begin) * 1e-9,
            .n_samples = r->n_ratings,
        };
        measure(s, &report);
        if (observer && observer->epoch &&
            !observer->epoch(observer->context, &report)) {
            break;
        }
    }
    return 0;
}

int als_train(const struct ratings *train, const struct ratings *test,
              const struct als_config *config, const struct training_observer *observer,
              struct factors **factors, struct error *error)
{
    struct state s = {.train = train, .test = test, .config = config};
    int rc = -1;
    if (als_config_check(config, error) != 0) {
        return -1;
    }
    s.stride = (config->n_factors + 2 + 7) / 8 * 8;
    s.X = calloc((size_t)train->n_users * (size_t)s.stride + 1, sizeof *s.X);
    s.Y = calloc((size_t)train->n_items * (size_t)s.stride + 1, sizeof *s.Y);
    s.factors = factors_new(train, config->n_factors);
    if (!s.X || !s.Y || !s.factors) {
        error_set(error, ERROR_NOMEM, "als: no memory for %d users and %d items",
                  train->n_users, train->n_items);
        goto out;
    }
    start(&s);
    if (run_epochs(&s, observer, error) != 0) {
        goto out;
    }
    unpack(s.X, train->n_users, s.stride, config->n_factors, s.factors->user_factors,
           s.factors->user_bias);
    unpack(s.Y, train->n_items, s.stride, config->n_factors, s.factors->item_factors,
           s.factors->item_bias);
    *factors = s.factors;
    s.factors = NULL;
    rc = 0;

out:
    factors_free(s.factors);
    free(s.X);
    free(s.Y);
    return rc;
}
