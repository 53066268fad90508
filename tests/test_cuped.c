#include "tests/testing.h"

#include "common/error.h"
#include "common/rng.h"
#include "stats/cuped.h"

static const double y_c[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
static const double x_c[][2] = {{2, 1}, {4, 0}, {1, 2}, {8, 5}, {11, 1},
                                {5, 3}, {5, 2}, {8, 2}, {3, 4}, {30, 1}};
static const double y_t[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                             7.7, 6.6, 11.3, 12.9, 55.1, 4.4};
static const double x_t[][2] = {{4, 2}, {7, 3}, {1, 1}, {12, 0}, {8, 4},  {22, 2},
                                {6, 5}, {7, 1}, {9, 3}, {10, 2}, {41, 2}, {3, 6}};

static struct cuped_sum sum_of(const double *y, const double (*x)[2], int n, int k)
{
    struct cuped_sum sum = {.n_covariates = k};
    for (int i = 0; i < n; i++) {
        cuped_sum_add(&sum, y[i], x[i]);
    }
    return sum;
}

static struct cuped_result compare(const struct cuped_sum *c, const struct cuped_sum *t)
{
    struct cuped_result r;
    assert_int_equal(cuped_compare(c, t, 0.95, ALTERNATIVE_TWO_SIDED, &r, NULL), 0);
    return r;
}

/* R 4.2.2: lm(y ~ arm + x1 + x2) for effect and theta, then t.test of the residuals. */
static void two_covariates_match_r(void **state)
{
    (void)state;
    const struct cuped_sum c = sum_of(y_c, x_c, 10, 2), t = sum_of(y_t, x_t, 12, 2);

    const struct cuped_result r = compare(&c, &t);

    assert_close(r.adjusted.effect_size, 0.31492283738873, 1e-12);
    assert_close(r.theta[0], 1.37419763953122, 1e-12);
    assert_close(r.theta[1], 0.12949908706232, 1e-12);
    assert_close(r.adjusted.statistic, 0.70855622633318, 1e-11);
    assert_close(r.adjusted.df, 15.10632254195684, 1e-9);
    assert_close(r.adjusted.p_value, 0.48939055222842, 1e-11);
    assert_close(r.adjusted.ci_lower, -0.63183462163593, 1e-11);
    assert_close(r.adjusted.ci_upper, 1.26168029641338, 1e-11);
    assert_close(r.variance_reduction, 0.99384455377686, 1e-12);
    assert_close(r.raw.statistic, 0.826713449854192, 1e-12);
    assert_int_equal(r.n_left_out, 0);
}

/* R 4.2.2: lm(y ~ arm + x1). */
static void one_covariate_matches_r(void **state)
{
    (void)state;
    const struct cuped_sum c = sum_of(y_c, x_c, 10, 1), t = sum_of(y_t, x_t, 12, 1);
    const struct cuped_result r = compare(&c, &t);

    assert_close(r.adjusted.effect_size, 0.3920441865655, 1e-12);
    assert_close(r.theta[0], 1.3695603659897, 1e-12);
}

static void no_covariate_is_the_raw_comparison(void **state)
{
    (void)state;
    const struct cuped_sum c = sum_of(y_c, x_c, 10, 0), t = sum_of(y_t, x_t, 12, 0);
    const struct cuped_result r = compare(&c, &t);

    assert_close(r.adjusted.effect_size, r.raw.effect_size, 1e-14);
    assert_close(r.adjusted.p_value, r.raw.p_value, 1e-14);
    assert_close(r.variance_reduction, 0, 1e-14);
}

/* A covariate twice, or a constant, changes nothing but the count. */
static void useless_covariates_are_left_out(void **state)
{
    (void)state;
    struct cuped_sum c = {.n_covariates = 4}, t = {.n_covariates = 4};
    for (int i = 0; i < 10; i++) {
        const double x[4] = {x_c[i][0], 3 * x_c[i][0] + 1, 7, x_c[i][1]};
        cuped_sum_add(&c, y_c[i], x);
    }
    for (int i = 0; i < 12; i++) {
        const double x[4] = {x_t[i][0], 3 * x_t[i][0] + 1, 7, x_t[i][1]};
        cuped_sum_add(&t, y_t[i], x);
    }
    const struct cuped_result r = compare(&c, &t);

    assert_int_equal(r.n_left_out, 2);
    assert_close(r.adjusted.effect_size, 0.31492283738873, 1e-11);
    assert_close(r.theta[1], 0, 0);
    assert_close(r.theta[2], 0, 0);
}

static void moving_a_covariate_changes_nothing(void **state)
{
    (void)state;
    struct cuped_sum c = {.n_covariates = 1}, t = {.n_covariates = 1};
    for (int i = 0; i < 10; i++) {
        const double x = 1e6 + 10 * x_c[i][0];
        cuped_sum_add(&c, y_c[i], &x);
    }
    for (int i = 0; i < 12; i++) {
        const double x = 1e6 + 10 * x_t[i][0];
        cuped_sum_add(&t, y_t[i], &x);
    }
    assert_close(compare(&c, &t).adjusted.effect_size, 0.3920441865655, 1e-8);
}

static void sums_can_be_added_in_parts(void **state)
{
    (void)state;
    const struct cuped_sum whole = sum_of(y_c, x_c, 10, 2),
                           left = sum_of(y_c, x_c, 4, 2),
                           right = sum_of(y_c + 4, x_c + 4, 6, 2),
                           t = sum_of(y_t, x_t, 12, 2);
    struct cuped_sum parts = {.n_covariates = 2}, none = {.n_covariates = 2};
    cuped_sum_merge(&parts, &left);
    cuped_sum_merge(&parts, &none);
    cuped_sum_merge(&parts, &right);

    assert_close(compare(&parts, &t).adjusted.statistic,
                 compare(&whole, &t).adjusted.statistic, 1e-11);
}

/* A covariate that explains rho^2 of the variance removes that share: 0.75^2. */
static void reduction_is_the_squared_correlation(void **state)
{
    (void)state;
    struct cuped_sum c = {.n_covariates = 1}, t = {.n_covariates = 1};
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < 40000; i++) {
        const double x = rng_normal(&rng);
        const double y = 0.75 * x + sqrt(1 - 0.5625) * rng_normal(&rng);
        cuped_sum_add(i % 2 ? &c : &t, y, &x);
    }
    assert_close(compare(&c, &t).variance_reduction, 0.5625, 0.02);
}

static void nonsense_is_refused_and_nothing_is_not_testable(void **state)
{
    (void)state;
    const struct cuped_sum c = sum_of(y_c, x_c, 10, 1), two = sum_of(y_t, x_t, 12, 2),
                           one_unit = sum_of(y_t, x_t, 1, 1),
                           none = {.n_covariates = 1};
    struct cuped_result r;
    struct error error = {0};

    assert_int_equal(cuped_compare(&c, &two, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
    assert_int_equal(cuped_compare(&c, &none, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
    assert_string_equal(error.message, "cuped: treatment arm has no units");
    assert_int_equal(cuped_compare(&c, &c, 0, ALTERNATIVE_LESS, &r, &error), -1);
    assert_int_equal(cuped_compare(&c, &one_unit, 0.95, ALTERNATIVE_LESS, &r, NULL), 0);
    assert_false(r.adjusted.is_testable);
    assert_true(isnan(r.variance_reduction));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_covariates_match_r),
        cmocka_unit_test(one_covariate_matches_r),
        cmocka_unit_test(no_covariate_is_the_raw_comparison),
        cmocka_unit_test(useless_covariates_are_left_out),
        cmocka_unit_test(moving_a_covariate_changes_nothing),
        cmocka_unit_test(sums_can_be_added_in_parts),
        cmocka_unit_test(reduction_is_the_squared_correlation),
        cmocka_unit_test(nonsense_is_refused_and_nothing_is_not_testable),
    };
    return cmocka_run_group_tests_name("cuped", tests, NULL, NULL);
}
