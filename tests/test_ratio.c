#include "tests/testing.h"

#include "common/error.h"
#include "stats/ratio.h"

static const double x_c[] = {1, 0, 3, 2, 5, 0, 1, 4},
                    y_c[] = {10, 4, 12, 9, 20, 3, 8, 11};
static const double x_t[] = {2, 1, 4, 4, 6, 0, 3, 5, 2},
                    y_t[] = {11, 3, 12, 10, 18, 5, 9, 12, 7};

static struct ratio_sum sum_of(const double *x, const double *y, int n)
{
    struct ratio_sum sum = {0};
    for (int i = 0; i < n; i++) {
        ratio_sum_add(&sum, x[i], y[i]);
    }
    return sum;
}

/* R 4.2.2, survey 4.1: svyratio(~x, ~y, svydesign(ids = ~1, weights = ~1)); numpy with
 * the linearised residuals x - R y gives the same digits. */
static void variance_matches_r_survey(void **state)
{
    (void)state;
    const struct ratio_sum c = sum_of(x_c, y_c, 8), t = sum_of(x_t, y_t, 9);

    assert_close(ratio_estimate(&c).value, 0.2077922077922078, 1e-15);
    assert_close(ratio_estimate(&c).variance, 0.0012731270024202, 1e-15);
    assert_close(ratio_estimate(&t).value, 0.3103448275862069, 1e-15);
    assert_close(ratio_estimate(&t).variance, 0.0010646405035622, 1e-15);

    struct effect e;
    assert_int_equal(ratio_compare(&c, &t, 0.95, ALTERNATIVE_TWO_SIDED, &e, NULL), 0);
    assert_close(e.statistic,
                 (0.3103448275862069 - 0.2077922077922078) /
                     sqrt(0.0012731270024202 + 0.0010646405035622),
                 1e-11);
}

/* With every denominator 1 a ratio is a mean, and with each unit's events repeated k
 * times nothing changes: the unit is what counts. */
static void ratio_of_ones_is_the_mean(void **state)
{
    (void)state;
    struct ratio_sum ones = {0}, repeated = {0};
    for (int i = 0; i < 8; i++) {
        ratio_sum_add(&ones, x_c[i], 1);
        ratio_sum_add(&repeated, 5 * x_c[i], 5);
    }

    assert_close(ratio_estimate(&ones).variance, ones.squares_x / 7 / 8, 1e-15);
    assert_close(ratio_estimate(&repeated).value, ratio_estimate(&ones).value, 1e-15);
    assert_close(ratio_estimate(&repeated).variance, ratio_estimate(&ones).variance,
                 1e-14);
}

static void sums_can_be_added_in_parts(void **state)
{
    (void)state;
    const struct ratio_sum whole = sum_of(x_c, y_c, 8), left = sum_of(x_c, y_c, 3),
                           right = sum_of(x_c + 3, y_c + 3, 5);
    struct ratio_sum parts = {0}, none = {0};

    ratio_sum_merge(&parts, &left);
    ratio_sum_merge(&parts, &none);
    ratio_sum_merge(&parts, &right);

    assert_close(ratio_estimate(&parts).value, ratio_estimate(&whole).value, 1e-14);
    assert_close(ratio_estimate(&parts).variance, ratio_estimate(&whole).variance,
                 1e-14);
}

static void edges_are_refused_or_not_testable(void **state)
{
    (void)state;
    const struct ratio_sum none = {0}, one = sum_of(x_c, y_c, 1),
                           good = sum_of(x_c, y_c, 8);
    struct ratio_sum zero = {0};
    struct effect e;
    struct error error = {0};
    ratio_sum_add(&zero, 0, 0);
    ratio_sum_add(&zero, 0, 0);

    assert_int_equal(
        ratio_compare(&none, &good, 0.95, ALTERNATIVE_TWO_SIDED, &e, &error), -1);
    assert_string_equal(error.message, "control arm has no units");
    assert_int_equal(
        ratio_compare(&good, &zero, 0.95, ALTERNATIVE_TWO_SIDED, &e, &error), -1);
    assert_string_equal(error.message,
                        "treatment arm's denominators have mean 0; it must be above 0");
    assert_int_equal(ratio_compare(&one, &good, 0.95, ALTERNATIVE_TWO_SIDED, &e, NULL),
                     0);
    assert_false(e.is_testable);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(variance_matches_r_survey),
        cmocka_unit_test(ratio_of_ones_is_the_mean),
        cmocka_unit_test(sums_can_be_added_in_parts),
        cmocka_unit_test(edges_are_refused_or_not_testable),
    };
    return cmocka_run_group_tests_name("ratio", tests, NULL, NULL);
}
