#include "tests/testing.h"

#include "common/error.h"
#include "stats/poststratification.h"

static struct poststratification_result compare(const struct stratum *strata, size_t n)
{
    struct poststratification_result r;
    assert_int_equal(
        poststratification_compare(strata, n, 0.95, ALTERNATIVE_TWO_SIDED, &r, NULL),
        0);
    return r;
}

/* R 4.2.2, by hand from per-stratum means and variances of
 * c1 = 1,2,4,3  t1 = 3,5,4,4,6  c2 = 11,13,12  t2 = 15,12,14,16:
 * w = 9/16, 7/16; see the numbers below. */
static const struct stratum two[] = {
    {{4, 2.5, 5.0 / 3}, {5, 4.4, 1.3}, 0},
    {{3, 12, 1}, {4, 14.25, 35.0 / 12}, 0},
};

static void two_strata_match_the_formula_in_r(void **state)
{
    (void)state;
    const struct poststratification_result r = compare(two, 2);
    const double w1 = 9.0 / 16, w2 = 7.0 / 16;

    assert_close(r.adjusted.effect_size, 2.053125, 1e-13); /* R: 2.053125 */
    assert_close(
        r.adjusted.standard_error,
        sqrt(w1 * w1 * (5.0 / 3 / 4 + 1.3 / 5) + w2 * w2 * (1.0 / 3 + 35.0 / 48)),
        1e-13);
    assert_close(r.adjusted.statistic, 3.1776231408821, 1e-12); /* R */
    assert_close(r.raw.effect_size, 79.0 / 9 - 46.0 / 7, 1e-13);
    assert_close(r.variance_reduction, 0.9406884882293, 1e-12); /* R */
    assert_int_equal(r.n_left_out, 0);
}

static void one_stratum_is_the_raw_comparison(void **state)
{
    (void)state;
    const struct poststratification_result r = compare(two, 1);
    assert_close(r.adjusted.effect_size, 1.9, 1e-14);
    assert_close(r.adjusted.statistic, r.raw.statistic, 1e-12);
    assert_close(r.variance_reduction, 0, 1e-12);
}

static void given_weights_change_the_population(void **state)
{
    (void)state;
    struct stratum strata[2] = {two[0], two[1]};
    strata[0].weight = 3;
    strata[1].weight = 1;
    assert_close(compare(strata, 2).adjusted.effect_size, 0.75 * 1.9 + 0.25 * 2.25,
                 1e-13);
}

static void strata_that_cannot_be_compared_are_counted(void **state)
{
    (void)state;
    const struct stratum strata[] = {two[0], two[1], {{1, 100, 0}, {7, 3, 1}, 0}};
    const struct poststratification_result r = compare(strata, 3);
    assert_int_equal(r.n_left_out, 8);
    assert_int_equal(r.n_strata_left_out, 1);
    assert_close(r.adjusted.effect_size, 2.053125, 1e-13);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct stratum strata[2] = {two[0], two[1]};
    const struct stratum lonely[] = {{{1, 1, 0}, {5, 1, 1}, 0}};
    struct poststratification_result r;
    struct error error = {0};
    strata[0].weight = 1;
    assert_int_equal(
        poststratification_compare(strata, 2, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
    assert_string_equal(error.message, "1 of 2 strata have a weight; give all or none");
    strata[1].weight = -1;
    assert_int_equal(
        poststratification_compare(strata, 2, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
    assert_int_equal(
        poststratification_compare(lonely, 1, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
    assert_int_equal(
        poststratification_compare(lonely, 0, 0.95, ALTERNATIVE_LESS, &r, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_strata_match_the_formula_in_r),
        cmocka_unit_test(one_stratum_is_the_raw_comparison),
        cmocka_unit_test(given_weights_change_the_population),
        cmocka_unit_test(strata_that_cannot_be_compared_are_counted),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("poststratification", tests, NULL, NULL);
}
