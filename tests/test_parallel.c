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

/* Trains `config`, whose n_threads is *n_threads, at 1, 2 and 4 threads: one result,
 * which the caller frees. */
static struct factors *
train_alike(int (*train)(const struct ratings *, const void *, struct factors **),
            const struct ratings *r, const void *config, int *n_threads)
{
    struct factors *first = NULL;
    for (*n_threads = 1; *n_threads <= 4; *n_threads *= 2) {
        struct factors *f = NULL;
        assert_int_equal(train(r, config, &f), 0);
        if (first) {
            assert_same(first, f);
            factors_free(f);
        } else {
            first = f;
        }
    }
    *n_threads = 4;
    return first;
}

static int train_als(const struct ratings *r, const void *config, struct factors **f)
{
    return als_train(r, NULL, config, NULL, f, NULL);
}

static int train_bpr(const struct ratings *r, const void *config, struct factors **f)
{
    return bpr_train(r, NULL, config, NULL, f, NULL);
}

static int train_ials(const struct ratings *r, const void *config, struct factors **f)
{
    return ials_train(r, NULL, config, NULL, f, NULL);
}

static int train_gibbs(const struct ratings *r, const void *config, struct factors **f)
{
    return gibbs_train(r, NULL, config, NULL, f, NULL);
}

static void als_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 1);
    struct als_config config = als_config_default(ALS_CONSTANT, 20);
    config.n_epochs = 3;
    struct factors *f = train_alike(train_als, r, &config, &config.n_threads);
    struct factors *other = NULL;

    assert_close(factors_rmse(f, r, 1), factors_rmse(f, r, 4), 0);
    config.seed++;
    assert_int_equal(als_train(r, NULL, &config, NULL, &other, NULL), 0);
    assert_memory_not_equal(f->item_factors, other->item_factors, 64);
    factors_free(f);
    factors_free(other);
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

    factors_free(train_alike(train_als, r, &config, &config.n_threads));
    ratings_free(r);
}

static void bpr_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 2);
    struct bpr_config config = bpr_config_default();
    config.n_epochs = 3;
    for (int sampling = BPR_USERS; sampling <= BPR_PAIRS; sampling++) {
        config.sampling = (enum bpr_sampling)sampling;
        config.average = sampling == BPR_PAIRS ? 0.5 : 0;
        struct factors *f = train_alike(train_bpr, r, &config, &config.n_threads);

        assert_close(factors_auc(f, r, r, 3, 1000, 1), factors_auc(f, r, r, 3, 1000, 4),
                     0);
        factors_free(f);
    }
    ratings_free(r);
}

static void ials_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(300, 200, 0.2, 0.5, 3);
    struct ials_config config = ials_config_default();
    config.n_epochs = 3;

    factors_free(train_alike(train_ials, r, &config, &config.n_threads));
    ratings_free(r);
}

static void gibbs_is_the_same_at_any_number_of_threads(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(200, 100, 0.2, 0.5, 4);
    struct gibbs_config config = gibbs_config_default();
    config.n_burn_in = 2;
    config.n_draws = config.n_kept = 3;

    factors_free(train_alike(train_gibbs, r, &config, &config.n_threads));
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
