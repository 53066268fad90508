/* The trainers give the same bytes at any number of threads. Not named for the thread
 * sanitizer: gcc's OpenMP runtime is not instrumented, so it reports its barriers. */
#include "tests/testing.h"

#include <string.h>

#include "tests/planted.h"
#include "trainer/trainer.h"

static void assert_same(const struct factors *a, const struct factors *b)
{
    const size_t k = (size_t)a->n_factors;
    assert_memory_equal(a->user_factors, b->user_factors,
                        (size_t)a->n_users * k * sizeof(float));
    assert_memory_equal(a->item_factors, b->item_factors,
                        (size_t)a->n_items * k * sizeof(float));
    assert_memory_equal(a->user_bias, b->user_bias, (size_t)a->n_users * sizeof(float));
    assert_memory_equal(a->item_bias, b->item_bias, (size_t)a->n_items * sizeof(float));
}

static void als_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 1);
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    config.n_epochs = 3;
    struct factors *f[3] = {NULL, NULL, NULL};

    for (int i = 0; i < 3; i++) {
        config.n_threads = 1 << i;
        assert_int_equal(als_train(r, NULL, &config, NULL, &f[i], NULL), 0);
    }

    assert_same(f[0], f[1]);
    assert_same(f[0], f[2]);
    assert_close(factors_rmse(f[0], r, 1), factors_rmse(f[0], r, 4), 0);
    config.seed++;
    factors_free(f[1]);
    assert_int_equal(als_train(r, NULL, &config, NULL, &f[1], NULL), 0);
    assert_memory_not_equal(f[0]->item_factors, f[1]->item_factors, 64);
    for (int i = 0; i < 3; i++) {
        factors_free(f[i]);
    }
    ratings_free(r);
}

static void als_with_features_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 1);
    struct als_config config = als_config_default(ALS_COUNT, 20);
    int64_t start[201];
    int32_t column[400];
    for (int32_t i = 0; i <= 200; i++) {
        start[i] = 2 * i;
    }
    for (int32_t i = 0; i < 200; i++) {
        column[2 * i] = 0;
        column[2 * i + 1] = 1 + i % 5;
    }
    const struct item_features features = {.n_items = 200,
                                           .n_genres = 5,
                                           .n_columns = 6,
                                           .start = start,
                                           .column = column};
    config.features = &features;
    config.n_epochs = 3;
    struct factors *f[3] = {NULL, NULL, NULL};

    for (int i = 0; i < 3; i++) {
        config.n_threads = 1 << i;
        assert_int_equal(als_train(r, NULL, &config, NULL, &f[i], NULL), 0);
    }

    assert_same(f[0], f[1]);
    assert_same(f[0], f[2]);
    for (int i = 0; i < 3; i++) {
        factors_free(f[i]);
    }
    ratings_free(r);
}

static void bpr_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 2);
    struct bpr_config config = bpr_config_default();
    config.n_epochs = 3;
    for (int sampling = BPR_USERS; sampling <= BPR_PAIRS; sampling++) {
        struct factors *f[3] = {NULL, NULL, NULL};
        config.sampling = (enum bpr_sampling)sampling;
        config.average = sampling == BPR_PAIRS ? 0.5 : 0;

        for (int i = 0; i < 3; i++) {
            config.n_threads = 1 << i;
            assert_int_equal(bpr_train(r, NULL, &config, NULL, &f[i], NULL), 0);
        }

        assert_same(f[0], f[1]);
        assert_same(f[0], f[2]);
        assert_close(factors_auc(f[0], r, r, 3, 1000, 1),
                     factors_auc(f[0], r, r, 3, 1000, 4), 0);
        for (int i = 0; i < 3; i++) {
            factors_free(f[i]);
        }
    }
    ratings_free(r);
}

static void ials_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 3);
    struct ials_config config = ials_config_default();
    config.n_epochs = 3;
    struct factors *f[3] = {NULL, NULL, NULL};

    for (int i = 0; i < 3; i++) {
        config.n_threads = 1 << i;
        assert_int_equal(ials_train(r, NULL, &config, NULL, &f[i], NULL), 0);
    }

    assert_same(f[0], f[1]);
    assert_same(f[0], f[2]);
    for (int i = 0; i < 3; i++) {
        factors_free(f[i]);
    }
    ratings_free(r);
}

static void gibbs_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(200, 100, 0.2, 0.5, 4);
    struct gibbs_config config = gibbs_config_default();
    config.n_burn_in = 2;
    config.n_draws = config.n_kept = 3;
    struct factors *f[3] = {NULL, NULL, NULL};

    for (int i = 0; i < 3; i++) {
        config.n_threads = 1 << i;
        assert_int_equal(gibbs_train(r, NULL, &config, NULL, &f[i], NULL), 0);
    }

    assert_same(f[0], f[1]);
    assert_same(f[0], f[2]);
    for (int i = 0; i < 3; i++) {
        factors_free(f[i]);
    }
    ratings_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(als_is_the_same_at_any_number_of_threads),
        cmocka_unit_test(als_with_features_is_the_same_at_any_number_of_threads),
        cmocka_unit_test(bpr_is_the_same_at_any_number_of_threads),
        cmocka_unit_test(ials_is_the_same_at_any_number_of_threads),
        cmocka_unit_test(gibbs_is_the_same_at_any_number_of_threads),
    };
    return cmocka_run_group_tests_name("parallel", tests, NULL, NULL);
}
