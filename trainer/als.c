/* Letters as in als.h. Inside training a row of X or Y holds a user's or item's
 * factors, then 1 (so that a row is the y of the other side's equations), then its
 * bias, then zeros: see half_step.h. */
#include "trainer/als.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/rng.h"
#include "trainer/feature_map.h"
#include "trainer/half_step.h"
#include "trainer/normal.h"

struct als_config als_config_default(enum als_regularization regularization,
                                     int32_t n_factors)
{
    struct als_config config = {
        .n_factors = n_factors,
        .n_epochs = 15,
        .lambda = 1,
        .tau = 3 * sqrt(n_factors) / 2.5,
        .feature_ridge = 100,
        .seed = 1,
        .n_threads = 1,
    };
    if (regularization == ALS_COUNT) {
        config.tau = 1.35;
        config.tau_bias = 1.3;
        config.alpha = 0.5;
        config.has_mean = true;
    }
    return config;
}

static int check_range(const char *name, double value, bool may_be_zero,
                       struct error *error)
{
    if (!(may_be_zero ? value >= 0 : value > 0) || !isfinite(value)) {
        error_set(error, ERROR_INVALID, "%s is %g, not %s", name, value,
                  may_be_zero ? "0 or more" : "above 0");
        return -1;
    }
    return 0;
}

int als_config_check(const struct als_config *config, struct error *error)
{
    if (config->n_factors < 1 || config->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "factors is %d, not 1 to %d", config->n_factors,
                  MODEL_MAX_FACTORS);
        return -1;
    }
    if (check_range("lambda", config->lambda, false, error) != 0 ||
        check_range("tau", config->tau, false, error) != 0 ||
        check_range("tau of the biases", config->tau_bias, true, error) != 0 ||
        check_range("feature ridge", config->feature_ridge, false, error) != 0) {
        return -1;
    }
    if (config->features && !(config->tau_bias > 0)) {
        error_set(error, ERROR_INVALID,
                  "features say where a bias is expected, and a bias without a penalty "
                  "does not care: regularise by count or raise the tau of the biases "
                  "above 0");
        return -1;
    }
    if (!(config->alpha >= 0 && config->alpha <= 2)) {
        error_set(error, ERROR_INVALID, "alpha is %g, not in [0, 2]", config->alpha);
        return -1;
    }
    return training_check_effort(config->n_epochs, config->n_threads, error);
}

/* One side: its rows, and what they weigh. */
struct side {
    int32_t n_rows;
    const int64_t *start;
    float *rows;       /* (n_rows, stride) */
    float *ridge;      /* (n_rows) tau n^alpha / lambda */
    float *bias_ridge; /* (n_rows) tau_bias n^alpha / lambda */
    float *centre; /* (n_rows, k + 1) or NULL: where factors and bias are expected */
};

static int side_init(struct side *side, int32_t n_rows, const int64_t *start,
                     int stride, const struct als_config *config)
{
    side->n_rows = n_rows;
    side->start = start;
    side->rows = normal_alloc((size_t)n_rows * (size_t)stride);
    side->ridge = malloc(((size_t)n_rows + 1) * sizeof *side->ridge);
    side->bias_ridge = malloc(((size_t)n_rows + 1) * sizeof *side->bias_ridge);
    if (!side->rows || !side->ridge || !side->bias_ridge) {
        return -1;
    }
    for (int32_t row = 0; row < n_rows; row++) {
        const double scale =
            pow((double)(start[row + 1] - start[row]), config->alpha) / config->lambda;
        side->ridge[row] = (float)(config->tau * scale);
        side->bias_ridge[row] = (float)(config->tau_bias * scale);
        side->rows[(size_t)row * (size_t)stride + (size_t)config->n_factors] = 1;
    }
    return 0;
}

static void side_free(struct side *side)
{
    normal_free(side->rows);
    free(side->ridge);
    free(side->bias_ridge);
    free(side->centre);
}

/* lambda times the sum that the side adds to the loss, twice. */
static double penalty(const struct side *side, int stride, int32_t k)
{
    double sum = 0;
    for (int32_t i = 0; i < side->n_rows; i++) {
        const float *row = side->rows + (size_t)i * (size_t)stride;
        const float *centre =
            side->centre ? side->centre + (size_t)i * ((size_t)k + 1) : NULL;
        double norm = 0;
        for (int32_t f = 0; f < k; f++) {
            const double off = (double)row[f] - (centre ? (double)centre[f] : 0);
            norm += off * off;
        }
        const double off = (double)row[k + 1] - (centre ? (double)centre[k] : 0);
        sum += (double)side->ridge[i] * norm + (double)side->bias_ridge[i] * off * off;
    }
    return sum;
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

struct state {
    const struct ratings *train, *test;
    const struct als_config *config;
    int stride;
    struct side users, items;
    struct feature_map *map; /* or NULL */
    double *map_weights;     /* (n_items) n^alpha */
    struct factors *factors;
};

static void unpack_all(const struct state *s)
{
    struct factors *f = s->factors;
    unpack(&s->users, s->stride, f->n_factors, f->user_factors, f->user_bias);
    unpack(&s->items, s->stride, f->n_factors, f->item_factors, f->item_bias);
    if (s->map) {
        feature_map_copy(s->map, f->feature_map);
    }
}

/* lambda times what the map from features adds to the loss, twice. */
static double map_penalty(const struct state *s)
{
    const struct als_config *config = s->config;
    double sum = 0;
    if (s->map) {
        for (int o = 0; o < config->n_factors; o++) {
            sum += config->tau * feature_map_square(s->map, o);
        }
        sum += config->tau_bias * feature_map_square(s->map, config->n_factors);
    }
    return sum * config->feature_ridge / config->lambda;
}

/* Fills the report with loss and errors. */
static int measure(const struct state *s, struct epoch_report *report,
                   struct error *error)
{
    const struct als_config *config = s->config;
    unpack_all(s);
    const double rmse = factors_rmse(s->factors, s->train, config->n_threads);
    report->train_quality = rmse;
    report->test_quality =
        s->test ? factors_rmse(s->factors, s->test, config->n_threads) : (double)NAN;
    report->loss = config->lambda / 2 *
                   (rmse * rmse * (double)s->train->n_ratings +
                    penalty(&s->users, s->stride, config->n_factors) +
                    penalty(&s->items, s->stride, config->n_factors) + map_penalty(s));
    const bool is_unmeasured =
        (isnan(rmse) && s->train->n_ratings > 0) ||
        (s->test && s->test->n_ratings > 0 && isnan(report->test_quality));
    if (is_unmeasured) {
        error_set(error, ERROR_NOMEM,
                  "als: no memory to measure an epoch, or it is no longer finite");
        return -1;
    }
    return 0;
}

/* Small random item vectors, zero biases: the first half step finds the users. */
static void start(struct state *s)
{
    struct rng rng;
    const int32_t k = s->config->n_factors;
    const double scale = 1 / sqrt(k);
    rng_init(&rng, s->config->seed, 0);
    for (int32_t i = 0; i < s->train->n_items; i++) {
        float *y = s->items.rows + (size_t)i * (size_t)s->stride;
        for (int32_t f = 0; f < k; f++) {
            y[f] = (float)(scale * rng_normal(&rng));
        }
    }
}

static int run_epoch(struct state *s, struct error *error)
{
    struct half_step step = {
        .n = s->config->n_factors + 1,
        .stride = s->stride,
        .mean = s->factors->mean,
        .has_bias = true,
    };
    half_step_by_user(&step, s->train);
    step.X = s->users.rows;
    step.Y = s->items.rows;
    step.ridge = s->users.ridge;
    step.last_ridge = s->users.bias_ridge;
    if (half_step_run(&step, "user", s->config->n_threads, error) != 0) {
        return -1;
    }
    if (s->map) {
        feature_map_learn(s->map, s->items.rows, s->stride, s->config->n_factors + 1);
        feature_map_apply(s->map, s->items.centre);
    }
    half_step_by_item(&step, s->train);
    step.X = s->items.rows;
    step.centre = s->items.centre;
    step.Y = s->users.rows;
    step.ridge = s->items.ridge;
    step.last_ridge = s->items.bias_ridge;
    return half_step_run(&step, "item", s->config->n_threads, error);
}

static int run_epochs(struct state *s, const struct training_observer *observer,
                      struct error *error)
{
    for (int epoch = 1; epoch <= s->config->n_epochs; epoch++) {
        const int64_t begin = clock_monotonic_ns();
        if (run_epoch(s, error) != 0) {
            return -1;
        }
        struct epoch_report report = {
            .epoch = epoch,
            .n_epochs = s->config->n_epochs,
            .seconds = (double)(clock_monotonic_ns() - begin) * 1e-9,
            .n_samples = s->train->n_ratings,
            .loss = (double)NAN,
            .train_quality = (double)NAN,
            .test_quality = (double)NAN,
        };
        if (!observer || !observer->epoch) {
            continue;
        }
        if (training_is_measured(observer, epoch, s->config->n_epochs)) {
            if (measure(s, &report, error) != 0) {
                return -1;
            }
            report.factors = s->factors;
        }
        if (!observer->epoch(observer->context, &report)) {
            break;
        }
    }
    return 0;
}

/* What an item weighs in the map is what its distance from the map costs. */
static int features_init(struct state *s, struct error *error)
{
    const struct als_config *config = s->config;
    const struct ratings *r = s->train;
    const size_t n_items = (size_t)r->n_items;
    if (!config->features) {
        return 0;
    }
    s->map_weights = calloc(n_items + 1, sizeof *s->map_weights);
    s->items.centre =
        calloc(n_items * ((size_t)config->n_factors + 1) + 1, sizeof(float));
    if (!s->map_weights || !s->items.centre ||
        factors_add_map(s->factors, config->features) != 0) {
        error_set(error, ERROR_NOMEM, "als: no memory for the features of %d items",
                  r->n_items);
        return -1;
    }
    for (int32_t i = 0; i < r->n_items; i++) {
        const int64_t n = r->item_start[i + 1] - r->item_start[i];
        s->map_weights[i] = n ? pow((double)n, config->alpha) : 0;
    }
    return feature_map_new(config->features, s->map_weights, config->feature_ridge,
                           config->n_factors + 1, &s->map, error);
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
    s.stride = normal_stride(config->n_factors + 2);
    s.factors = factors_new(train, config->n_factors);
    if (!s.factors ||
        side_init(&s.users, train->n_users, train->user_start, s.stride, config) != 0 ||
        side_init(&s.items, train->n_items, train->item_start, s.stride, config) != 0) {
        error_set(error, ERROR_NOMEM, "als: no memory for %d users and %d items",
                  train->n_users, train->n_items);
        goto out;
    }
    if (features_init(&s, error) != 0) {
        goto out;
    }
    s.factors->mean = config->has_mean ? (float)ratings_mean(train) : 0;
    start(&s);
    if (run_epochs(&s, observer, error) != 0) {
        goto out;
    }
    unpack_all(&s);
    *factors = s.factors;
    s.factors = NULL;
    rc = 0;

out:
    factors_free(s.factors);
    side_free(&s.users);
    side_free(&s.items);
    feature_map_free(s.map);
    free(s.map_weights);
    return rc;
}
