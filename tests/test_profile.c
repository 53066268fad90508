#include "tests/testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/failing_alloc.h"
#include "trainer/trainer.h"

/* Expected: scipy 1.10.1, scipy.special.zeta and scipy.optimize.minimize_scalar over
 * every x_min, Kolmogorov-Smirnov distance over every whole number of the tail. */
static void power_law_matches_scipy(void **state)
{
    (void)state;
    int32_t counts[200];
    struct power_law fit;
    struct error error = {0};
    for (int j = 0; j < 200; j++) {
        counts[j] = (int32_t)(100 / pow(j + 1, 0.8)) + 1;
    }

    assert_int_equal(power_law_fit(counts, 200, &fit, &error), 0);

    assert_close(fit.alpha, 2.466105236, 1e-6);
    assert_close(fit.se, 0.12923302, 1e-5);
    assert_close(fit.ks, 0.012361375, 1e-6);
    assert_int_equal(fit.x_min, 3);
    assert_int_equal(fit.n_tail, 132);
}

static int compare_descending(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x < y) - (x > y);
}

static void power_law_recovers_a_planted_exponent(void **state)
{
    (void)state;
    enum { N = 20000 };
    static int32_t counts[N];
    struct power_law fit;
    struct error error = {0};
    struct rng rng;
    rng_init(&rng, 5, 0);
    /* The rounded continuous law of Clauset et al., appendix D, good above about 6. */
    for (int j = 0; j < N; j++) {
        const double x = 9.5 * pow(1 - rng_uniform(&rng), -1 / (2.5 - 1)) + 0.5;
        counts[j] = x < 1e9 ? (int32_t)x : 1000000000;
    }
    qsort(counts, N, sizeof counts[0], compare_descending);

    assert_int_equal(power_law_fit(counts, N, &fit, &error), 0);

    assert_close(fit.alpha, 2.5, 3.3 * fit.se + 0.01);
    assert_true(fit.ks < 0.02);
}

static void power_law_needs_a_tail(void **state)
{
    (void)state;
    const int32_t equal[] = {3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3}, few[] = {9, 3, 2, 1};
    struct power_law fit;
    struct error error = {0};

    assert_int_equal(power_law_fit(equal, 12, &fit, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_int_equal(power_law_fit(few, 4, &fit, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_int_equal(power_law_fit(few, 0, &fit, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
}

/* Three users rate four items: 3, 2 and 1 ratings; 3, 1, 1 and 1 by item. */
static struct ratings *small_ratings(void)
{
    static const int32_t user[] = {0, 0, 0, 1, 1, 2}, item[] = {0, 1, 2, 0, 3, 0};
    static const float rating[] = {5, 4, 4, 1, 3, 4};
    struct id_map *users = id_map_new(), *items = id_map_new();
    struct ratings *ratings = NULL;
    assert_true(users && items);
    assert_int_equal(id_map_add(users, slice_of("a")), 0);
    assert_int_equal(id_map_add(users, slice_of("b")), 1);
    assert_int_equal(id_map_add(users, slice_of("c")), 2);
    assert_int_equal(id_map_add(items, slice_of("w")), 0);
    assert_int_equal(id_map_add(items, slice_of("x")), 1);
    assert_int_equal(id_map_add(items, slice_of("y")), 2);
    assert_int_equal(id_map_add(items, slice_of("z")), 3);
    const struct rating_triples triples = {user, item, rating, 6};
    assert_int_equal(ratings_build(&triples, users, items, &ratings, NULL), 0);
    return ratings;
}

static void profile_of_a_small_set_matches_hand_calculation(void **state)
{
    (void)state;
    struct ratings *ratings = small_ratings();
    struct profile p;
    struct error error = {0};

    assert_int_equal(profile_make(ratings, &p, &error), 0);

    assert_int_equal(p.n_ratings, 6);
    assert_close(p.density, 0.5, 1e-15);
    assert_close(p.mean, 3.5, 1e-12);
    assert_close(p.sd, sqrt((2.25 + 3 * 0.25 + 6.25 + 0.25) / 5), 1e-12);
    assert_int_equal(p.n_levels, 4);
    assert_close(p.level[2].rating, 4, 0);
    assert_int_equal(p.level[2].n, 3);
    assert_int_equal(p.users.ranked[0], 3);
    assert_int_equal(p.users.ranked[2], 1);
    assert_close(p.users.median, 2, 0);
    assert_int_equal(p.users.n_for_80_percent, 2); /* 3 + 2 >= 4.8 */
    assert_close(p.users.gini, (2 * 3 + 0 - 2 * 1) / (3.0 * 6), 1e-12);
    assert_close(p.items.median, 1, 0);
    assert_false(p.users.has_power_law);
    profile_release(&p);
    ratings_free(ratings);
}

static void profile_reports_lack_of_memory(void **state)
{
    (void)state;
    struct ratings *ratings = small_ratings();
    for (long n = 0;; n++) {
        struct profile p;
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = profile_make(ratings, &p, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            profile_release(&p);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
    ratings_free(ratings);
}

/* As the README of ml-latest-small states, and the exponents by scipy as above. */
static void profile_of_movielens_matches_what_is_known(void **state)
{
    (void)state;
    struct ratings *ratings = NULL;
    struct profile p;
    struct error error = {0};
    if (access(SHARED_DATA "/ml-latest-small/ratings.csv", R_OK) != 0) {
        skip();
    }
    assert_int_equal(
        ratings_load(SHARED_DATA "/ml-latest-small/ratings.csv", &ratings, &error), 0);

    assert_int_equal(profile_make(ratings, &p, &error), 0);

    assert_int_equal(p.n_ratings, 100836);
    assert_int_equal(p.users.n, 610);
    assert_int_equal(p.items.n, 9724);
    assert_int_equal(p.n_levels, 10);
    assert_int_equal(p.users.ranked[609], 20);
    assert_close(p.users.power_law.alpha, 2.065799348, 1e-5);
    assert_int_equal(p.users.power_law.x_min, 93);
    assert_close(p.items.power_law.alpha, 2.786042831, 1e-5);
    assert_int_equal(p.items.power_law.x_min, 39);
    profile_release(&p);
    ratings_free(ratings);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(power_law_matches_scipy),
        cmocka_unit_test(power_law_recovers_a_planted_exponent),
        cmocka_unit_test(power_law_needs_a_tail),
        cmocka_unit_test(profile_of_a_small_set_matches_hand_calculation),
        cmocka_unit_test(profile_reports_lack_of_memory),
        cmocka_unit_test(profile_of_movielens_matches_what_is_known),
    };
    return cmocka_run_group_tests_name("profile", tests, NULL, NULL);
}
