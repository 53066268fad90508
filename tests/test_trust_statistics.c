/* Uniformity of p-values, heterogeneity of effects, trend of an effect. Expected values
 * are R 4.2.2's and scipy 1.10.1's, run once; which, stands beside each. */
#include "tests/testing.h"

#include <string.h>

#include "common/error.h"
#include "stats/heterogeneity.h"
#include "stats/trend.h"
#include "stats/uniformity.h"

static double p_of_distance(uint64_t n_values, double distance)
{
    /* All values pushed up to the distance from the diagonal's lower side. */
    double values[1000];
    struct uniformity r;
    for (uint64_t i = 0; i < n_values; i++) {
        values[i] = fmin(1, (double)i / (double)n_values + distance);
    }
    assert_int_equal(uniformity_test(values, n_values, &r, NULL), 0);
    assert_close(r.statistic, distance, 1e-15);
    assert_close(r.below, distance, 1e-15);
    return r.p_value;
}

/* R ks.test(p, "punif", exact = TRUE) where p > 1e-3 (it subtracts from 1), scipy
 * kstwo.sf throughout. */
static void uniformity_matches_the_exact_distribution(void **state)
{
    (void)state;
    double values[] = {0.02, 0.01, 0.04, 0.17, 0.11, 0.08,
                       0.13, 0.29, 0.05, 0.25, 0.17, 0.06};
    struct uniformity r;

    assert_int_equal(uniformity_test(values, 12, &r, NULL), 0);
    assert_close(r.statistic, 0.71, 1e-15);
    assert_close(r.above, 0.71, 1e-15);
    assert_close(r.below, 0.01, 1e-15);
    assert_close(r.p_value, 1.27515846131955e-06, 1e-12 * 1.3e-6);
    assert_close(r.log10_p_value, log10(1.27515846131955e-06), 1e-12);

    /* Twice the one-sided probability, off by exp(-6 n D^2) of itself. */
    assert_close(p_of_distance(10, 0.4), 0.05898924519999926,
                 1e-4 * 0.05898924519999926);
    assert_close(p_of_distance(100, 0.2), 0.0005551927327988775,
                 1e-9 * 0.0005551927327988775);
    assert_close(p_of_distance(1000, 0.05), 0.013012074781090332,
                 4e-7 * 0.013012074781090332);
    /* Beyond what the asymptotic one can say: it is 12 times too large here. */
    assert_close(p_of_distance(1000, 0.3), 2.590715705736845e-80,
                 1e-9 * 2.590715705736845e-80);
    /* The asymptotic one, from either series. */
    assert_close(p_of_distance(100, 0.08), 0.5182193645480672,
                 0.03 * 0.5182193645480672);
    assert_close(p_of_distance(100, 0.05), 0.9532159710635725,
                 0.03 * 0.9532159710635725);
}

/* Stephens' form itself: scipy kstwobign.sf(10.131 D) of 100 values. */
static void uniformity_sums_both_series(void **state)
{
    (void)state;

    assert_close(p_of_distance(100, 0.0995), 0.261486550926829, 1e-12);
    assert_close(p_of_distance(100, 0.098), 0.27775626455540053, 1e-12);
    assert_close(p_of_distance(100, 0.05), 0.9596004458626863, 1e-12);
    assert_close(p_of_distance(100, 0.01), 1, 1e-12);
}

static void uniformity_says_how_small_a_p_is_that_no_double_holds(void **state)
{
    (void)state;
    double values[1000] = {0};
    struct uniformity r;

    assert_int_equal(uniformity_test(values, 1000, &r, NULL), 0);

    /* All of them 0: D = 1, P(D >= 1) = 0 for a continuous distribution. */
    assert_close(r.statistic, 1, 0);
    assert_close(r.p_value, 0, 0);
    for (int i = 0; i < 1000; i++) {
        values[i] = 0.3;
    }
    assert_int_equal(uniformity_test(values, 1000, &r, NULL), 0);
    /* D = 0.7; Python's fractions, term by term. */
    assert_close(r.log10_p_value, -490.9395714550874, 1e-9);
}

static void uniformity_refuses_what_is_no_probability(void **state)
{
    (void)state;
    double values[] = {0.5, 1.5}, none[] = {0.5, NAN};
    struct uniformity r = {.statistic = -7};
    struct error error = {0};

    assert_int_equal(uniformity_test(values, 2, &r, &error), -1);
    assert_string_equal(error.message, "value 2 is 1.5, not within 0 to 1");
    assert_int_equal(uniformity_test(none, 2, &r, NULL), -1);
    assert_int_equal(uniformity_test(values, 0, &r, NULL), -1);
    assert_close(r.statistic, -7, 0);
}

/* R: deviance(lm(d ~ 1, weights = 1/v)), pchisq(lower.tail = FALSE); groups of 120/1000
 * against 150/1010, 118/990 against 205/1000, 40/310 against 41/300. */
static void heterogeneity_matches_weighted_regression(void **state)
{
    (void)state;
    const double counts[3][4] = {
        {120, 1000, 150, 1010}, {118, 990, 205, 1000}, {40, 310, 41, 300}};
    struct heterogeneity_sum sum = {0};
    for (int g = 0; g < 3; g++) {
        const double c = counts[g][0] / counts[g][1], t = counts[g][2] / counts[g][3];
        assert_true(heterogeneity_add(
            &sum, t - c, c * (1 - c) / counts[g][1] + t * (1 - t) / counts[g][3]));
    }

    const struct heterogeneity r = heterogeneity_test(&sum);

    assert_true(r.is_testable);
    assert_int_equal(r.df, 2);
    assert_close(r.statistic, 9.11350344357042, 1e-12);
    assert_close(r.p_value, 0.0104960978756059, 1e-14);
    assert_close(r.effect, 0.0482892730564057, 1e-15);
    assert_close(r.standard_error, 0.0103291179146101, 1e-15);
}

static void heterogeneity_keeps_digits_of_effects_far_from_zero(void **state)
{
    (void)state;
    struct heterogeneity_sum sum = {0};
    /* Shifted by 1e9, which doubles hold with these effects: Q is 2 exactly. */
    assert_true(heterogeneity_add(&sum, 1e9 - 1, 1));
    assert_true(heterogeneity_add(&sum, 1e9, 1));
    assert_true(heterogeneity_add(&sum, 1e9 + 1, 1));

    assert_close(heterogeneity_test(&sum).statistic, 2, 1e-12);
}

static void heterogeneity_leaves_out_what_does_not_vary(void **state)
{
    (void)state;
    struct heterogeneity_sum sum = {0};

    assert_false(heterogeneity_add(&sum, 0.1, 0));
    assert_false(heterogeneity_add(&sum, NAN, 1));
    assert_false(heterogeneity_add(&sum, 0.1, NAN));
    assert_false(heterogeneity_add(&sum, 0.1, INFINITY));
    assert_false(heterogeneity_test(&sum).is_testable);
    assert_true(isnan(heterogeneity_test(&sum).effect));
    assert_true(heterogeneity_add(&sum, 0.1, 0.01));
    const struct heterogeneity one = heterogeneity_test(&sum);

    assert_false(one.is_testable);
    assert_true(isnan(one.p_value));
    assert_close(one.effect, 0.1, 0);
}

/* A unit a text, a day a character: '1' where it acted. */
static struct trend_sum arm_of(const char *const *units)
{
    struct trend_sum sum = {0};
    for (; *units; units++) {
        uint32_t days = 0;
        for (size_t d = 0; (*units)[d]; d++) {
            days |= (uint32_t)((*units)[d] == '1') << d;
        }
        trend_add(&sum, days);
    }
    return sum;
}

static const char *const control_days[] = {"1101", "1000", "1111", "0100",
                                           "1010", "0011", "1100", "0000",
                                           "0110", "1001", NULL};
static const char *const treatment_days[] = {"1100", "1000", "1111", "1100",
                                             "1010", "1010", "1100", "1000",
                                             "0111", "1101", "1100", NULL};

/* R: b = coef(lm(log(colMeans(X)) ~ days))[2], its variance var(X %*% (w / share)) / n,
 * Welch's t of the two slopes. */
static void trend_matches_regression_of_log_shares(void **state)
{
    (void)state;
    const struct trend_sum c = arm_of(control_days), t = arm_of(treatment_days);

    const struct trend r = trend_test(&c, &t, 4, 0.95, ALTERNATIVE_TWO_SIDED);

    assert_true(r.slopes.is_testable);
    assert_close(r.slopes.statistic, -1.14480116195489, 1e-12);
    assert_close(r.slopes.df, 18.4832880614898, 1e-11);
    assert_close(r.slopes.p_value, 0.26689999311216, 1e-11);
    assert_close(r.slopes.control, -0.14395388756387, 1e-13);
    assert_close(r.slopes.treatment, -0.417153420091323, 1e-13);
    assert_close(r.slopes.standard_error, 0.238643654118004, 1e-13);
    assert_close(r.slopes.ci_lower, -0.77363321090705, 1e-11);
    assert_close(r.slopes.ci_upper, 0.227234145852145, 1e-11);
    assert_close(r.change, -0.239059059988834, 1e-13);
}

static void trend_is_the_same_the_other_way_round(void **state)
{
    (void)state;
    const struct trend_sum c = arm_of(control_days), t = arm_of(treatment_days);

    const struct trend there = trend_test(&c, &t, 4, 0.95, ALTERNATIVE_GREATER);
    const struct trend back = trend_test(&t, &c, 4, 0.95, ALTERNATIVE_LESS);

    assert_close(there.slopes.statistic, -back.slopes.statistic, 1e-15);
    assert_close(there.slopes.p_value, back.slopes.p_value, 1e-15);
    assert_close((1 + there.change) * (1 + back.change), 1, 1e-14);
}

static void trend_stops_before_a_day_with_few_events(void **state)
{
    (void)state;
    const struct trend_sum c = arm_of(control_days), t = arm_of(treatment_days);

    /* Events by day: control 6 5 4 4, treatment 10 7 4 3. */
    assert_int_equal(trend_busy_days(&c, &t, 4, 1), 4);
    assert_int_equal(trend_busy_days(&c, &t, 4, 4), 3);
    assert_int_equal(trend_busy_days(&c, &t, 2, 4), 2);
    assert_int_equal(trend_busy_days(&c, &t, 4, TREND_MIN_EVENTS), 0);
    for (int n_days = 0; n_days < 2; n_days++) {
        const struct trend r = trend_test(&c, &t, n_days, 0.95, ALTERNATIVE_TWO_SIDED);
        assert_false(r.slopes.is_testable);
        assert_true(isnan(r.change));
    }
}

static void trend_of_units_that_always_act_cannot_be_tested(void **state)
{
    (void)state;
    static const char *const always[] = {"11", "11", "11", NULL};
    static const char *const one[] = {"11", NULL};
    const struct trend_sum c = arm_of(always), t = arm_of(always), lone = arm_of(one);

    assert_false(trend_test(&c, &t, 2, 0.95, ALTERNATIVE_TWO_SIDED).slopes.is_testable);
    assert_false(
        trend_test(&c, &lone, 2, 0.95, ALTERNATIVE_TWO_SIDED).slopes.is_testable);
}

/* A day's effect is Wald's of two proportions: 6/10 against 10/11. */
static void trend_day_is_the_difference_of_shares(void **state)
{
    (void)state;
    const struct trend_sum c = arm_of(control_days), t = arm_of(treatment_days);
    const double se = sqrt(0.6 * 0.4 / 10 + 10. / 11 * (1. / 11) / 11);

    const struct effect r = trend_day(&c, &t, 0, 0.95, ALTERNATIVE_TWO_SIDED);

    assert_close(r.effect_size, 10. / 11 - 0.6, 1e-15);
    assert_close(r.ci_lower, r.effect_size - 1.959963984540054 * se, 1e-14);
    assert_close(r.ci_upper, r.effect_size + 1.959963984540054 * se, 1e-14);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(uniformity_matches_the_exact_distribution),
        cmocka_unit_test(uniformity_sums_both_series),
        cmocka_unit_test(uniformity_says_how_small_a_p_is_that_no_double_holds),
        cmocka_unit_test(uniformity_refuses_what_is_no_probability),
        cmocka_unit_test(heterogeneity_matches_weighted_regression),
        cmocka_unit_test(heterogeneity_keeps_digits_of_effects_far_from_zero),
        cmocka_unit_test(heterogeneity_leaves_out_what_does_not_vary),
        cmocka_unit_test(trend_matches_regression_of_log_shares),
        cmocka_unit_test(trend_is_the_same_the_other_way_round),
        cmocka_unit_test(trend_stops_before_a_day_with_few_events),
        cmocka_unit_test(trend_of_units_that_always_act_cannot_be_tested),
        cmocka_unit_test(trend_day_is_the_difference_of_shares),
    };
    return cmocka_run_group_tests_name("trust statistics", tests, NULL, NULL);
}
