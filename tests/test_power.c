#include "tests/testing.h"

#include "common/error.h"
#include "stats/power.h"

static const struct power_plan rates = {POWER_PROPORTION,      0.1, 0, 0, 0.05,
                                        ALTERNATIVE_TWO_SIDED, 1};
static const struct power_plan means = {
    POWER_MEAN, 0, 2, 2, 0.05, ALTERNATIVE_TWO_SIDED, 1};

static double power(struct power_plan plan, double effect, double n)
{
    double result = -1;
    assert_int_equal(power_of(&plan, effect, n, &result, NULL), 0);
    return result;
}

static double size(struct power_plan plan, double effect, double target)
{
    double n = -1;
    assert_int_equal(power_sample_size(&plan, effect, target, &n, NULL), 0);
    return n;
}

static double detectable(struct power_plan plan, double n, double target)
{
    double effect = -1;
    assert_int_equal(power_detectable(&plan, n, target, &effect, NULL), 0);
    return effect;
}

/* R 4.2.2 power.prop.test: n = 3840.847 and, strict, power 0.80001652861637 at 3841;
 * one-sided n = 3025.3; at n = 1000 p2 = 0.14074736. */
static void proportions_match_r(void **state)
{
    (void)state;
    struct power_plan one_sided = rates;
    one_sided.alternative = ALTERNATIVE_GREATER;

    assert_close(size(rates, 0.02, 0.8), 3841, 0);
    assert_close(power(rates, 0.02, 3841), 0.80001652861637, 1e-8);
    assert_close(size(one_sided, 0.02, 0.8), 3026, 0);
    assert_close(detectable(rates, 1000, 0.8), 0.04074736, 1e-5);
}

/* R 4.2.2 power.t.test (n = 337.2 for 90 %; strict = TRUE) and pwr 1.3 pwr.t2n.test. */
static void means_match_r(void **state)
{
    (void)state;
    struct power_plan one_sided = means, unbalanced = means;
    one_sided.alternative = ALTERNATIVE_GREATER;
    unbalanced.allocation = 2;

    assert_close(size(means, 0.5, 0.9), 338, 0);
    assert_close(power(means, 1, 20), 0.33793902892509, 1e-9);
    assert_close(power(one_sided, 1, 20), 0.46337434929645, 1e-9);
    assert_close(power(means, 4, 3), 0.46264081189143, 1e-7);
    assert_close(power(unbalanced, 1, 30), 0.59936109103631, 1e-9);
    assert_close(detectable(means, 100, 0.8), 0.79628008996373, 1e-5);
}

/* With nothing to find the power is alpha, whatever the sample. */
static void no_effect_gives_alpha(void **state)
{
    (void)state;
    struct power_plan ratio = means;
    ratio.metric = POWER_RATIO;
    ratio.sd_treatment = 3;
    assert_close(power(rates, 0, 500), 0.05, 1e-12);
    assert_close(power(means, 0, 500), 0.05, 1e-9);
    assert_close(power(ratio, 0, 500), 0.05, 1e-12);
}

static void size_and_detectable_effect_invert_power(void **state)
{
    (void)state;
    struct power_plan plan = rates;
    const double allocations[] = {0.25, 1, 3};
    for (size_t k = 0; k < 3; k++) {
        plan.allocation = allocations[k];
        const double n = size(plan, 0.013, 0.9);
        assert_true(power(plan, 0.013, n) >= 0.9);
        assert_true(power(plan, 0.013, n - 1) < 0.9);
        const double effect = detectable(plan, n, 0.9);
        assert_close(power(plan, effect, n), 0.9, 1e-10);
        assert_true(effect <= 0.013);
    }
}

static void direction_matters_one_sided(void **state)
{
    (void)state;
    struct power_plan less = rates;
    less.alternative = ALTERNATIVE_LESS;
    double n = 0;
    struct error error = {0};
    assert_true(power(less, -0.02, 4000) > 0.8);
    assert_true(power(less, 0.02, 4000) < 0.001);
    assert_true(detectable(less, 4000, 0.8) < 0);
    assert_int_equal(power_sample_size(&less, 0.02, 0.8, &n, &error), -1);
    assert_int_equal(error.code, ERROR_NUMERIC);
}

static void ratio_sd_is_the_delta_method(void **state)
{
    (void)state;
    /* A denominator that does not vary leaves the numerator's spread over its mean. */
    assert_close(power_ratio_sd(2, 3, 10, 0, 0), 0.3, 1e-15);
    /* x a fixed share of y: nothing is left. */
    assert_close(power_ratio_sd(2, 0.8, 10, 4, 1), 0, 1e-8);
    assert_close(power_ratio_sd(2, 3, 10, 4, 0.5), sqrt(9 - 0.4 * 6 + 0.64) / 10,
                 1e-15);
    assert_true(isnan(power_ratio_sd(2, 3, 0, 4, 0.5)));
}

static void days_are_whole_and_at_least_one(void **state)
{
    (void)state;
    assert_close(power_days(1001, 100), 11, 0);
    assert_close(power_days(1000, 100), 10, 0);
    assert_close(power_days(2, 1e9), 1, 0);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    struct power_plan plan = rates;
    double value = 0;
    struct error error = {0};
    assert_int_equal(power_of(&plan, 0.95, 100, &value, &error), -1);
    assert_string_equal(error.message,
                        "effect 0.95 takes the rate from 0.1 to 1.05, outside 0 to 1");
    assert_int_equal(power_of(&plan, 0.1, 1, &value, &error), -1);
    assert_int_equal(power_sample_size(&plan, 0.1, 0.01, &value, &error), -1);
    assert_int_equal(power_sample_size(&plan, 0, 0.8, &value, &error), -1);
    assert_int_equal(power_detectable(&plan, 2, 0.9999999, &value, &error), -1);
    plan.baseline = 1;
    assert_int_equal(power_of(&plan, 0, 100, &value, &error), -1);
    plan = means;
    plan.sd_control = 0;
    assert_int_equal(power_of(&plan, 1, 100, &value, &error), -1);
    plan.sd_control = 1e-300; /* its square is 0 */
    assert_int_equal(power_detectable(&plan, 100, 0.8, &value, &error), -1);
    plan = means;
    plan.alpha = 0;
    assert_int_equal(power_of(&plan, 1, 100, &value, &error), -1);
    plan = means;
    plan.allocation = 0;
    assert_int_equal(power_of(&plan, 1, 100, &value, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(proportions_match_r),
        cmocka_unit_test(means_match_r),
        cmocka_unit_test(no_effect_gives_alpha),
        cmocka_unit_test(size_and_detectable_effect_invert_power),
        cmocka_unit_test(direction_matters_one_sided),
        cmocka_unit_test(ratio_sd_is_the_delta_method),
        cmocka_unit_test(days_are_whole_and_at_least_one),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("power", tests, NULL, NULL);
}
