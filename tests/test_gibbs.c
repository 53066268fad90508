#include "tests/testing.h"

#include <string.h>

#include "common/rng.h"
#include "tests/planted.h"
#include "trainer/normal_wishart.h"
#include "trainer/trainer.h"

static void gamma_variates_have_their_moments(void **state)
{
    (void)state;
    static const double shapes[] = {0.5, 1, 3.7, 40};
    enum { N_DRAWS = 40000 };
    for (size_t k = 0; k < sizeof shapes / sizeof shapes[0]; k++) {
        struct rng rng;
        double sum = 0, square = 0;
        rng_init(&rng, 5, k);

        for (int d = 0; d < N_DRAWS; d++) {
            const double x = gamma_draw(&rng, shapes[k], 2);
            assert_true(x > 0);
            sum += x;
            square += x * x;
        }

        /* Mean 2a, variance 4a, fourth central moment 16 (3a^2 + 6a); 99.9 %. */
        const double a = shapes[k], mean = sum / N_DRAWS;
        assert_close(mean, 2 * a, 3.29 * sqrt(4 * a / N_DRAWS));
        assert_close(square / N_DRAWS - mean * mean, 4 * a,
                     3.29 * sqrt(16 * (2 * a * a + 6 * a) / N_DRAWS) * 1.1);
    }
}

/* Many rows with a known mean and covariance leave little room for the posterior. */
static void normal_wishart_finds_mean_and_precision(void **state)
{
    (void)state;
    enum { dim = 2, N_ROWS = 200000, N_DRAWS = 200 };
    double sum[dim] = {0}, square[dim * dim] = {0};
    double scratch[NORMAL_WISHART_SCRATCH(dim)], mean[dim], precision[dim * dim];
    double mean_sum[dim] = {0}, precision_sum[dim * dim] = {0};
    struct rng rng;
    rng_init(&rng, 7, 7);
    /* x = (1, -2) + (e, 0.5 e + f): covariance [[1, .5], [.5, 1.25]], precision
     * [[1.25, -.5], [-.5, 1]]. */
    for (int n = 0; n < N_ROWS; n++) {
        const double e = rng_normal(&rng), f = rng_normal(&rng);
        const double x = 1 + e, y = -2 + 0.5 * e + f;
        sum[0] += x;
        sum[1] += y;
        square[0] += x * x;
        square[2] += x * y;
        square[3] += y * y;
    }

    for (int d = 0; d < N_DRAWS; d++) {
        const struct row_sums sums = {N_ROWS, dim, sum, square};
        assert_int_equal(normal_wishart_draw(&sums, &rng, scratch, mean, precision), 0);
        for (int i = 0; i < dim; i++) {
            mean_sum[i] += mean[i] / N_DRAWS;
        }
        for (int i = 0; i < dim * dim; i++) {
            precision_sum[i] += precision[i] / N_DRAWS;
        }
    }

    assert_close(mean_sum[0], 1, 3.29 / sqrt(N_ROWS));
    assert_close(mean_sum[1], -2, 3.29 * sqrt(1.25 / N_ROWS));
    assert_close(precision_sum[0], 1.25, 3.29 * 1.25 * sqrt(2.0 / N_ROWS));
    assert_close(precision_sum[1], -0.5, 3.29 * 1.3 * sqrt(1.0 / N_ROWS));
    assert_close(precision_sum[2], precision_sum[1], 1e-9);
    assert_close(precision_sum[3], 1, 3.29 * sqrt(2.0 / N_ROWS));
}

static void sums_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    double sum[1] = {0}, square[1] = {(double)NAN};
    double scratch[NORMAL_WISHART_SCRATCH(1)], mean[1], precision[1];
    struct rng rng;
    rng_init(&rng, 1, 1);

    const struct row_sums sums = {5, 1, sum, square};
    assert_int_equal(normal_wishart_draw(&sums, &rng, scratch, mean, precision), -1);
}

struct log {
    double test, first_test;
    int n;
};

static bool note(void *context, const struct epoch_report *report)
{
    struct log *log = context;
    log->test = report->test_quality;
    if (log->n++ == 0) {
        log->first_test = report->test_quality;
    }
    return true;
}

static void averages_come_close_to_the_noise(void **state)
{
    (void)state;
    struct ratings *all = planted_ratings(200, 120, 0.4, 0.3, 3);
    struct ratings *train = NULL, *test = NULL;
    assert_int_equal(split_ratings(all, 0.2, 5, &train, &test, NULL), 0);
    struct gibbs_config config = gibbs_config_default();
    struct factors *f = NULL;
    struct log log = {0};
    const struct training_observer observer = {.epoch = note, .context = &log};
    config.n_factors = 4; /* two more than there are */
    config.n_draws = config.n_kept = 40;

    assert_int_equal(gibbs_train(train, test, &config, &observer, &f, NULL), 0);

    assert_int_equal(log.n, 60);
    assert_int_equal(f->n_factors, 240); /* 4 and 2 for the biases, 40 times */
    assert_true(log.test < 0.34);        /* the planted noise is 0.3 */
    /* All draws are kept, so the model's one product is the average itself. */
    assert_close(factors_rmse(f, test, 1), log.test, 1e-4);
    factors_free(f);
    ratings_free(all);
    ratings_free(train);
    ratings_free(test);
}

/* Two draws of one factor by hand: the blocks are [u, b - mean, 1] / sqrt(2) and [v, 1,
 * c - mean] / sqrt(2). Draw 1: u 1, b 0.2, v 2, c 0: 2.2; draw 2: u 3, b 0.4, v 1, c
 * 0.6: 4. With mean 3 the scores are 5.2 and 7. */
static void draws_tell_the_spread_of_the_score(void **state)
{
    (void)state;
    const float s = sqrtf(0.5F);
    const float x[] = {s * 1, s * -0.1F, s, s * 3, s * 0.1F, s};
    const float y[] = {s * 2, s, s * -0.3F, s * 1, s, s * 0.3F};
    const float user_bias[] = {0.3F}, item_bias[] = {0.3F};
    struct model model = {.kind = MODEL_ALS,
                          .n_users = 1,
                          .n_items = 1,
                          .n_factors = 6,
                          .mean = 3,
                          .user_factors = x,
                          .item_factors = y,
                          .user_bias = user_bias,
                          .item_bias = item_bias,
                          .settings =
                              slice_of("{\"gibbs_kept\":2,\"gibbs_noise\":0.8}")};
    struct draws draws;
    struct error error = {0};

    assert_int_equal(draws_of(&model, &draws, &error), 0);

    assert_close(model_score(&model, 0, 0, 1), 6.1, 1e-6);
    assert_close(draws_score_sd(&draws, 0, 0), 1.8 / sqrt(2), 1e-6);
    assert_close(draws.noise, 0.8, 0);
    model.settings = slice_of("{\"gibbs_kept\":4,\"gibbs_noise\":0.8}");
    assert_int_equal(draws_of(&model, &draws, &error), -1);
    assert_non_null(strstr(error.message, "--gibbs N"));
    model.settings = (struct slice){0};
    assert_int_equal(draws_of(&model, &draws, &error), -1);
}

/* The spread of each kept draw about the average, from the factors that training
 * returns: scores of draws average to the score, noise comes out as planted. */
static void kept_draws_hold_biases_and_noise(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(150, 80, 0.4, 0.3, 3);
    struct gibbs_config config = gibbs_config_default();
    struct factors *f = NULL;
    config.n_factors = 2;
    config.n_draws = 60;
    config.n_kept = 3;
    assert_int_equal(gibbs_train(r, NULL, &config, NULL, &f, NULL), 0);

    assert_int_equal(f->n_factors, 12);
    assert_close(f->noise, 0.3, 0.03);
    for (int d = 0; d < 3; d++) {
        assert_close((double)f->user_factors[4 * d + 3], 1 / sqrt(3), 1e-6);
        assert_close((double)f->item_factors[4 * d + 2], 1 / sqrt(3), 1e-6);
    }
    double spread = 0;
    for (int32_t u = 0; u < r->n_users; u++) {
        const float *x = f->user_factors + (size_t)u * 12;
        assert_close((double)(x[2] + x[6] + x[10]), 0, 1e-5);
        spread += (double)(x[2] * x[2] + x[6] * x[6] + x[10] * x[10]);
    }
    assert_true(spread / r->n_users > 1e-4); /* biases differ from draw to draw */
    factors_free(f);
    ratings_free(r);
}

static void config_check_limits_what_is_kept(void **state)
{
    (void)state;
    struct gibbs_config config = gibbs_config_default();
    struct error error = {0};
    assert_int_equal(gibbs_config_check(&config, &error), 0);

    config.n_kept = config.n_draws + 1;
    assert_int_equal(gibbs_config_check(&config, &error), -1);
    config = gibbs_config_default();
    config.n_factors = 4096;
    assert_int_equal(gibbs_config_check(&config, &error), -1);
    assert_non_null(strstr(error.message, "keep fewer"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gamma_variates_have_their_moments),
        cmocka_unit_test(normal_wishart_finds_mean_and_precision),
        cmocka_unit_test(sums_that_are_not_finite_are_refused),
        cmocka_unit_test(averages_come_close_to_the_noise),
        cmocka_unit_test(draws_tell_the_spread_of_the_score),
        cmocka_unit_test(kept_draws_hold_biases_and_noise),
        cmocka_unit_test(config_check_limits_what_is_kept),
    };
    return cmocka_run_group_tests_name("gibbs", tests, NULL, NULL);
}
