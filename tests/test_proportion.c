#include "tests/testing.h"

#include "common/error.h"
#include "stats/proportion.h"
#include "stats/proportion_interval.h"

static const struct proportion_sample als = {132, 294}, bpr = {226, 316};

static struct proportion_result compare(struct proportion_sample control,
                                        struct proportion_sample treatment)
{
    struct proportion_result r;
    assert_int_equal(proportion_compare(&control, &treatment, 0.95, &r, NULL), 0);
    return r;
}

/* Newcombe (1998), table II, contrast (a): 56/70 against 48/80, method 10. */
static void compare_matches_newcombe_table(void **state)
{
    (void)state;
    const struct proportion_sample control = {48, 80}, treatment = {56, 70};
    struct proportion_result r;

    assert_int_equal(proportion_compare(&control, &treatment, 0.95, &r, NULL), 0);

    assert_close(r.effect_size, 0.2, 1e-12);
    assert_close(r.ci_lower, 0.0524, 5e-5); /* the table prints four decimals */
    assert_close(r.ci_upper, 0.3339, 5e-5);
}

/* statsmodels 0.13.5 proportions_ztest and confint_proportions_2indep(newcomb); z and p
 * also R 4.2.2 prop.test(correct = FALSE) and mpmath at 40 digits. */
static void compare_matches_statsmodels_and_r(void **state)
{
    (void)state;
    const struct proportion_result r = compare(als, bpr);

    assert_true(r.is_testable);
    assert_close(r.statistic, 6.672140225475292, 1e-13);
    assert_close(r.p_value / 2.5209950809747720e-11, 1, 1e-11);
    assert_close(r.log10_p_value, log10(2.5209950809747720e-11), 1e-12);
    assert_close(r.effect_size, 226.0 / 316 - 132.0 / 294, 1e-15);
    assert_close(r.rel_effect_size, 226.0 / 316 / (132.0 / 294) - 1, 1e-14);
    assert_close(r.ci_lower, 0.1888675618, 5e-11);
    assert_close(r.ci_upper, 0.3391565660, 5e-11);
}

static void z_test_knows_alternatives_and_unpooled(void **state)
{
    (void)state;
    struct proportion_z z;

    /* R: prop.test(..., alternative = "greater", correct = FALSE)$p.value. */
    assert_int_equal(proportion_z_test(&als, &bpr, true, ALTERNATIVE_GREATER, &z, NULL),
                     0);
    assert_close(z.p.p_value / 1.26049754048739e-11, 1, 1e-11);
    assert_int_equal(proportion_z_test(&als, &bpr, true, ALTERNATIVE_LESS, &z, NULL),
                     0);
    assert_close(z.p.p_value, 1, 1e-10);
    /* mpmath at 40 digits. */
    assert_int_equal(
        proportion_z_test(&als, &bpr, false, ALTERNATIVE_TWO_SIDED, &z, NULL), 0);
    assert_close(z.statistic, 6.9056246153732185, 1e-13);
    assert_close(z.p.p_value / 4.9983009419904986e-12, 1, 1e-11);
}

static void swapping_arms_changes_only_the_sign(void **state)
{
    (void)state;
    const struct proportion_result r = compare(als, bpr), s = compare(bpr, als);

    assert_close(s.statistic, -r.statistic, 0);
    assert_close(s.p_value, r.p_value, 0);
    assert_close(s.effect_size, -r.effect_size, 0);
    assert_close(s.ci_lower, -r.ci_upper, 1e-16);
    assert_close(s.ci_upper, -r.ci_lower, 1e-16);
}

static void counting_failures_changes_only_the_sign(void **state)
{
    (void)state;
    const struct proportion_sample c = {294 - 132, 294}, t = {316 - 226, 316};
    const struct proportion_result r = compare(als, bpr), s = compare(c, t);

    assert_close(s.statistic, -r.statistic, 1e-14);
    assert_close(s.p_value / r.p_value, 1, 1e-12);
    assert_close(s.ci_lower, -r.ci_upper, 1e-15);
    assert_close(s.ci_upper, -r.ci_lower, 1e-15);
}

/* The intervals: statsmodels 0.13.5, newcomb, at these counts. */
static void same_outcome_everywhere_is_not_testable(void **state)
{
    (void)state;
    const struct proportion_sample none_c = {0, 10}, none_t = {0, 20};
    const struct proportion_sample all_c = {10, 10}, all_t = {20, 20};

    const struct proportion_result none = compare(none_c, none_t);
    assert_false(none.is_testable);
    assert_true(isnan(none.statistic) && isnan(none.p_value));
    assert_true(isnan(none.rel_effect_size) && isnan(none.log10_p_value));
    assert_close(none.effect_size, 0, 0);
    assert_close(none.ci_lower, -0.2775327999, 5e-11);
    assert_close(none.ci_upper, 0.1611251581, 5e-11);

    const struct proportion_result all = compare(all_c, all_t);
    assert_false(all.is_testable);
    assert_close(all.ci_lower, -0.1611251581, 5e-11);
    assert_close(all.ci_upper, 0.2775327999, 5e-11);
}

static void one_unit_an_arm_works(void **state)
{
    (void)state;
    const struct proportion_sample yes = {1, 1}, no = {0, 1};
    const struct proportion_result r = compare(yes, no);

    assert_close(r.statistic, -sqrt(2), 1e-15);
    assert_close(r.p_value, 0.15729920705028516, 1e-15); /* statsmodels */
    assert_close(r.ci_lower, -1, 0);
    assert_close(r.ci_upper, 0.1221087207, 5e-11);
}

static void huge_counts_keep_their_digits(void **state)
{
    (void)state;
    const uint64_t n = 1000000000000000; /* 1e15 */
    const struct proportion_sample control = {n / 2, n},
                                   treatment = {n / 2 + 100000000, n};
    const struct proportion_result r = compare(control, treatment);

    /* effect 1e-7, se sqrt(0.25 * 2 / 1e15): z = 1e-7 / 2.2360679775e-8. */
    assert_close(r.statistic, 1e-7 / sqrt(0.5e-15), 1e-7);
    assert_close(r.effect_size, 1e-7, 1e-16);

    const struct proportion_result far =
        compare((struct proportion_sample){n / 4, n}, treatment);
    assert_close(far.p_value, 0, 0);
    assert_true(isfinite(far.log10_p_value) && far.log10_p_value < -1e13);
}

static void compare_rejects_more_successes_than_trials(void **state)
{
    (void)state;
    const struct proportion_sample bad = {11, 10}, good = {1, 10};
    struct proportion_result r = {.p_value = -7};
    struct error error = {0};

    assert_int_equal(proportion_compare(&bad, &good, 0.95, &r, &error), -1);

    assert_int_equal(error.code, ERROR_INVALID);
    assert_string_equal(error.message, "control arm has 11 successes in 10 trials");
    assert_close(r.p_value, -7, 0); /* *result untouched on failure */
}

static void compare_rejects_empty_arms_and_levels(void **state)
{
    (void)state;
    const struct proportion_sample empty = {0, 0}, good = {1, 10};
    const double levels[] = {0, 1, -0.1, 95, (double)NAN};
    struct proportion_result r;
    struct error error = {0};

    assert_int_equal(proportion_compare(&good, &empty, 0.95, &r, &error), -1);
    assert_string_equal(error.message, "treatment arm has no trials");
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++) {
        assert_int_equal(proportion_compare(&good, &good, levels[i], &r, &error), -1);
    }
}

static void assert_interval(struct proportion_sample control,
                            struct proportion_sample treatment,
                            enum proportion_interval_method method, double lower,
                            double upper)
{
    struct interval i;
    assert_int_equal(proportion_interval(&control, &treatment, method, 0.95,
                                         ALTERNATIVE_TWO_SIDED, &i, NULL),
                     0);
    assert_close(i.lower, lower, 2e-9);
    assert_close(i.upper, upper, 2e-9);
}

/* statsmodels 0.13.5 confint_proportions_2indep, methods wald, agresti-caffo, newcomb.
 */
static void intervals_match_statsmodels(void **state)
{
    (void)state;
    const struct proportion_sample c = {48, 80}, t = {56, 70};
    const struct proportion_sample rare_c = {12, 4000}, rare_t = {31, 4100};

    assert_interval(als, bpr, INTERVAL_WALD, 0.1906541091, 0.3417664540);
    assert_interval(als, bpr, INTERVAL_AGRESTI_CAFFO, 0.1891544113, 0.3398698960);
    assert_interval(c, t, INTERVAL_WALD, 0.0575048991, 0.3424951009);
    assert_interval(c, t, INTERVAL_AGRESTI_CAFFO, 0.0524529266, 0.3357584555);
    assert_interval(rare_c, rare_t, INTERVAL_NEWCOMBE, 0.0014031607, 0.0079631982);
}

/* R 4.2.2: uniroot on the score with the constrained likelihood maximised by
 * optimize(). (statsmodels 0.13.5's "score" interval is not theirs: at its bounds the
 * statistic is 1.972, not 1.960.) The first two are also in Newcombe (1998), table II,
 * method 6: 0.0528 to 0.3382 and, with the arms the other way round, 0.1700 to 0.8406.
 */
static void score_interval_matches_r_and_newcombe_table(void **state)
{
    (void)state;
    const struct proportion_sample a_c = {48, 80}, a_t = {56, 70};
    const struct proportion_sample b_c = {9, 10}, b_t = {3, 10};
    const struct proportion_sample e_c = {0, 20}, e_t = {5, 20};
    const enum proportion_interval_method method = INTERVAL_MIETTINEN_NURMINEN;

    assert_interval(a_c, a_t, method, 0.0528297132, 0.3381729400);
    assert_interval(b_c, b_t, method, -0.8406495442, -0.1700250174);
    assert_interval(e_c, e_t, method, 0.0655982965, 0.4715630097);
    assert_interval(als, bpr, method, 0.1892876182, 0.3401149102);
    assert_close(proportion_score(&als, &bpr, 0), 6.66666901498, 1e-9);
}

/* A bound of the score interval is where the score reaches the critical value. */
static void score_interval_inverts_the_score(void **state)
{
    (void)state;
    const struct proportion_sample cases[][2] = {
        {{9, 10}, {3, 10}}, {{0, 20}, {5, 20}}, {{1, 7}, {6, 9}}, {{20, 20}, {13, 30}}};
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        struct interval i;
        assert_int_equal(proportion_interval(&cases[k][0], &cases[k][1],
                                             INTERVAL_MIETTINEN_NURMINEN, 0.95,
                                             ALTERNATIVE_TWO_SIDED, &i, NULL),
                         0);
        assert_close(proportion_score(&cases[k][0], &cases[k][1], i.lower),
                     1.9599639845400545, 1e-6);
        assert_close(proportion_score(&cases[k][0], &cases[k][1], i.upper),
                     -1.9599639845400545, 1e-6);
    }
}

static void one_sided_intervals_spend_all_on_one_side(void **state)
{
    (void)state;
    struct interval two, one;
    for (int m = INTERVAL_NEWCOMBE; m <= INTERVAL_MIETTINEN_NURMINEN; m++) {
        const enum proportion_interval_method method =
            (enum proportion_interval_method)m;
        assert_int_equal(proportion_interval(&als, &bpr, method, 0.90,
                                             ALTERNATIVE_TWO_SIDED, &two, NULL),
                         0);
        assert_int_equal(proportion_interval(&als, &bpr, method, 0.95,
                                             ALTERNATIVE_GREATER, &one, NULL),
                         0);
        assert_close(one.lower, two.lower, 1e-12);
        assert_close(one.upper, 1, 0);
        assert_int_equal(
            proportion_interval(&als, &bpr, method, 0.95, ALTERNATIVE_LESS, &one, NULL),
            0);
        assert_close(one.upper, two.upper, 1e-12);
        assert_close(one.lower, -1, 0);
    }
}

/* mpmath 1.2.1, 60 digits: the pooled rate 1 - 5e-13 must not be taken from 1. */
static void score_keeps_its_digits_in_huge_arms(void **state)
{
    (void)state;
    const struct proportion_sample c = {3000000000000, 3000000000000}, t = {0, 2000000};
    const struct proportion_sample half = {1000122, 2000000},
                                   all = {6000000000000, 6000000000000};

    assert_close(proportion_score(&c, &t, 0) / -1732051.3849187617, 1, 1e-14);
    assert_close(proportion_score(&half, &all, 0) / 1731945.2935579184, 1, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(score_keeps_its_digits_in_huge_arms),
        cmocka_unit_test(compare_matches_newcombe_table),
        cmocka_unit_test(compare_matches_statsmodels_and_r),
        cmocka_unit_test(z_test_knows_alternatives_and_unpooled),
        cmocka_unit_test(swapping_arms_changes_only_the_sign),
        cmocka_unit_test(counting_failures_changes_only_the_sign),
        cmocka_unit_test(same_outcome_everywhere_is_not_testable),
        cmocka_unit_test(one_unit_an_arm_works),
        cmocka_unit_test(huge_counts_keep_their_digits),
        cmocka_unit_test(compare_rejects_more_successes_than_trials),
        cmocka_unit_test(compare_rejects_empty_arms_and_levels),
        cmocka_unit_test(intervals_match_statsmodels),
        cmocka_unit_test(score_interval_matches_r_and_newcombe_table),
        cmocka_unit_test(score_interval_inverts_the_score),
        cmocka_unit_test(one_sided_intervals_spend_all_on_one_side),
    };
    return cmocka_run_group_tests_name("proportion", tests, NULL, NULL);
}
