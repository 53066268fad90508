#include "tests/testing.h"

#include <string.h>

#include "tests/planted.h"
#include "trainer/trainer.h"

struct log {
    struct epoch_report report[64];
    int n;
    int stop_after;
};

static bool note(void *context, const struct epoch_report *report)
{
    struct log *log = context;
    log->report[log->n++] = *report;
    return log->n != log->stop_after;
}

static double predict(const struct factors *f, int32_t user, int32_t item)
{
    double sum =
        (double)f->mean + (double)f->user_bias[user] + (double)f->item_bias[item];
    for (int32_t k = 0; k < f->n_factors; k++) {
        sum += (double)f->user_factors[user * f->n_factors + k] *
               (double)f->item_factors[item * f->n_factors + k];
    }
    return sum;
}

/* The loss of als.h, term by term. */
static double naive_loss(const struct factors *f, const struct ratings *r,
                         const struct als_config *config)
{
    double loss = 0;
    for (int32_t u = 0; u < r->n_users; u++) {
        for (int64_t i = r->user_start[u]; i < r->user_start[u + 1]; i++) {
            const double e = (double)r->user_rating[i] - predict(f, u, r->user_item[i]);
            loss += config->lambda / 2 * e * e;
        }
    }
    for (int32_t i = 0; i < r->n_users * f->n_factors; i++) {
        loss +=
            config->tau / 2 * (double)f->user_factors[i] * (double)f->user_factors[i];
    }
    for (int32_t i = 0; i < r->n_items * f->n_factors; i++) {
        loss +=
            config->tau / 2 * (double)f->item_factors[i] * (double)f->item_factors[i];
    }
    return loss;
}

static struct factors *train(const struct ratings *r, const struct als_config *config,
                             struct log *log)
{
    const struct training_observer observer = {.epoch = note, .context = log};
    struct factors *f = NULL;
    struct error error = {0};
    if (als_train(r, NULL, config, &observer, &f, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return f;
}

static void loss_is_the_formula_and_never_rises(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(60, 40, 0.4, 0.5, 1);
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct log log = {.n = 0};
    config.n_factors = 5;
    config.tau = 0.7;
    config.lambda = 1.3;
    config.n_epochs = 20;

    struct factors *f = train(r, &config, &log);

    assert_int_equal(log.n, 20);
    for (int e = 1; e < log.n; e++) {
        assert_true(log.report[e].loss <= log.report[e - 1].loss * (1 + 1e-6));
    }
    const double loss = naive_loss(f, r, &config);
    assert_close(log.report[19].loss, loss, 1e-5 * loss);
    factors_free(f);
    ratings_free(r);
}

/* The last half step solved the items, so there the loss is flat: finite differences in
 * each of an item's parameters are 0, and they were not before it. */
static void items_stand_where_the_gradient_is_zero(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(50, 30, 0.5, 0.5, 2);
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct log log = {.n = 0};
    config.n_factors = 3;
    config.n_epochs = 2;

    struct factors *f = train(r, &config, &log);

    const float h = 0x1p-6F; /* the loss is quadratic: central differences are exact */
    double largest_user_slope = 0;
    for (int32_t p = 0; p < r->n_items * 4; p++) {
        float *at = p < r->n_items * 3 ? &f->item_factors[p]
                                       : &f->item_bias[p - r->n_items * 3];
        const float value = *at;
        *at = value + h;
        const double above = naive_loss(f, r, &config);
        *at = value - h;
        const double below = naive_loss(f, r, &config);
        *at = value;
        assert_close((above - below) / (2 * (double)h), 0, 2e-3);
    }
    for (int32_t p = 0; p < r->n_users * 3; p++) {
        const float value = f->user_factors[p];
        f->user_factors[p] = value + h;
        const double above = naive_loss(f, r, &config);
        f->user_factors[p] = value - h;
        const double slope = (above - naive_loss(f, r, &config)) / (2 * (double)h);
        f->user_factors[p] = value;
        largest_user_slope = fmax(largest_user_slope, fabs(slope));
    }
    assert_true(largest_user_slope > 0.1); /* the test can fail */
    factors_free(f);
    ratings_free(r);
}

static void planted_factors_are_recovered(void **state)
{
    (void)state;
    struct ratings *all = planted_ratings(200, 120, 0.4, 0, 3);
    struct ratings *train_part = NULL, *test = NULL;
    assert_int_equal(split_ratings(all, 0.2, 5, &train_part, &test, NULL), 0);
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct log log = {.n = 0};
    config.n_factors = PLANTED_RANK;
    config.tau = 0.01;
    config.n_epochs = 60;

    struct factors *f = train(train_part, &config, &log);

    /* Ratings spread with standard deviation sqrt(2 x 0.49 + 2 x 0.24) = 1.2. */
    assert_true(factors_rmse(f, test, 1) < 0.02);
    factors_free(f);
    ratings_free(all);
    ratings_free(train_part);
    ratings_free(test);
}

static void ids_without_ratings_get_zeros(void **state)
{
    (void)state;
    struct ratings *all = planted_ratings(12, 9, 0.15, 0.5, 4);
    struct ratings *train_part = NULL, *test = NULL;
    assert_int_equal(split_ratings(all, 0.6, 5, &train_part, &test, NULL), 0);
    const struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct log log = {.n = 0};

    struct factors *f = train(train_part, &config, &log);

    int n_without = 0;
    for (int32_t u = 0; u < all->n_users; u++) {
        if (train_part->user_start[u] == train_part->user_start[u + 1]) {
            n_without++;
            assert_close((double)f->user_bias[u], 0, 0);
            assert_close((double)f->user_factors[u * f->n_factors], 0, 0);
        }
    }
    assert_true(n_without > 0);
    factors_free(f);
    ratings_free(all);
    ratings_free(train_part);
    ratings_free(test);
}

static void observer_can_end_the_training(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(20, 10, 0.5, 0.5, 6);
    const struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct log log = {.stop_after = 3};

    struct factors *f = train(r, &config, &log);

    assert_int_equal(log.n, 3);
    factors_free(f);
    ratings_free(r);
}

static void config_check_refuses_what_cannot_be_solved(void **state)
{
    (void)state;
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    struct error error = {0};
    assert_int_equal(als_config_check(&config, &error), 0);
    assert_close(config.tau, 3 * sqrt(20) / 2.5, 1e-12);

    config.tau = 0;
    assert_int_equal(als_config_check(&config, &error), -1);
    assert_string_equal(error.message, "tau is 0, not above 0");
    config = als_config_default(ALS_CONSTANT, 20);
    config.lambda = (double)NAN;
    assert_int_equal(als_config_check(&config, &error), -1);
    config = als_config_default(ALS_CONSTANT, 20);
    config.n_factors = 0;
    assert_int_equal(als_config_check(&config, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_formula_and_never_rises),
        cmocka_unit_test(items_stand_where_the_gradient_is_zero),
        cmocka_unit_test(planted_factors_are_recovered),
        cmocka_unit_test(ids_without_ratings_get_zeros),
        cmocka_unit_test(observer_can_end_the_training),
        cmocka_unit_test(config_check_refuses_what_cannot_be_solved),
    };
    return cmocka_run_group_tests_name("als", tests, NULL, NULL);
}
