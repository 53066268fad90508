#include "tests/testing.h"

#include <string.h>

#include "common/error.h"
#include "common/rng.h"
#include "stats/mean.h"
#include "stats/order.h"

static const double control[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
static const double treatment[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                                   7.7, 6.6, 11.3, 12.9, 55.1, 4.4};
#define N_C 10
#define N_T 12

static struct effect compare(struct mean_sample c, struct mean_sample t,
                             enum alternative alternative)
{
    struct effect e;
    assert_int_equal(mean_compare(&c, &t, 0.95, alternative, &e, NULL), 0);
    return e;
}

/* R 4.2.2 t.test(t, c) and scipy 1.10.1 ttest_ind(equal_var = False); the interval also
 * statsmodels 0.13.5 CompareMeans. */
static void welch_matches_r_and_scipy(void **state)
{
    (void)state;
    const struct mean_sample c = mean_sample_of(control, N_C);
    const struct mean_sample t = mean_sample_of(treatment, N_T);

    const struct effect e = compare(c, t, ALTERNATIVE_TWO_SIDED);
    assert_close(e.statistic, 0.826713449854192, 1e-13);
    assert_close(e.df, 19.9505525361235, 1e-11);
    assert_close(e.p_value, 0.41817776837622, 1e-13);
    assert_close(e.ci_lower, -7.13553161487335, 1e-12);
    assert_close(e.ci_upper, 16.50219828154001, 1e-12);

    const struct effect greater = compare(c, t, ALTERNATIVE_GREATER);
    assert_close(greater.p_value, 0.20908888418810995, 1e-13);
    assert_close(greater.ci_lower, -5.088373847228146, 1e-11);
    assert_true(isinf(greater.ci_upper));
}

/* mpmath 1.2.1, 40 digits: t = 20 with 60 degrees of freedom, and ln P(T > 40; 100). */
static void far_tail_keeps_its_digits(void **state)
{
    (void)state;
    /* n = 51 a arm and equal variances give df = 100; se = sqrt(2 * 51 / 51) = sqrt 2.
     */
    const struct mean_sample c = {51, 0, 51}, t = {51, 40 * sqrt(2), 51};
    const struct effect e = compare(c, t, ALTERNATIVE_GREATER);

    assert_close(e.df, 100, 1e-11);
    assert_close(e.log10_p_value * log(10), -144.85499030720292, 1e-10);
}

static void swapping_arms_changes_only_the_sign(void **state)
{
    (void)state;
    const struct mean_sample c = mean_sample_of(control, N_C);
    const struct mean_sample t = mean_sample_of(treatment, N_T);
    const struct effect a = compare(c, t, ALTERNATIVE_TWO_SIDED);
    const struct effect b = compare(t, c, ALTERNATIVE_TWO_SIDED);

    assert_close(a.statistic, -b.statistic, 1e-15);
    assert_close(a.p_value, b.p_value, 1e-15);
    assert_close(a.ci_lower, -b.ci_upper, 1e-14);
    assert_close(compare(c, t, ALTERNATIVE_LESS).p_value,
                 compare(t, c, ALTERNATIVE_GREATER).p_value, 1e-15);
}

static void what_cannot_be_tested_says_so(void **state)
{
    (void)state;
    const struct mean_sample one = {1, 5, 0}, same = {10, 5, 0}, more = {10, 6, 1};
    const struct mean_sample none = {0, (double)NAN, 0}, bad = {10, 1, -1};
    struct effect e;
    struct error error = {0};

    assert_false(compare(one, more, ALTERNATIVE_TWO_SIDED).is_testable);
    assert_false(compare(same, same, ALTERNATIVE_TWO_SIDED).is_testable);
    assert_true(isnan(compare(same, same, ALTERNATIVE_TWO_SIDED).p_value));
    /* One arm that varies is enough; its degrees of freedom are then all there are. */
    assert_close(compare(same, more, ALTERNATIVE_TWO_SIDED).df, 9, 1e-12);
    assert_int_equal(
        mean_compare(&none, &more, 0.95, ALTERNATIVE_TWO_SIDED, &e, &error), -1);
    assert_string_equal(error.message, "control arm has no units");
    assert_int_equal(mean_compare(&more, &bad, 0.95, ALTERNATIVE_TWO_SIDED, &e, &error),
                     -1);
    assert_int_equal(mean_compare(&more, &more, 1.5, ALTERNATIVE_TWO_SIDED, &e, &error),
                     -1);
}

static void huge_counts_stay_finite(void **state)
{
    (void)state;
    const struct mean_sample c = {1000000000000000, 1, 4},
                             t = {1000000000000000, 1.0000001, 4};
    const struct effect e = compare(c, t, ALTERNATIVE_TWO_SIDED);

    assert_close(e.standard_error / sqrt(8e-15), 1, 1e-14);
    assert_close(e.statistic, 1.0000001 - 1 > 0 ? e.effect_size / sqrt(8e-15) : 0,
                 1e-12);
    assert_close(e.p_value, tail_p_normal(e.statistic, ALTERNATIVE_TWO_SIDED).p_value,
                 1e-14);
}

static void sums_can_be_added_in_parts(void **state)
{
    (void)state;
    struct mean_sum whole = {0}, parts = {0}, left = {0}, right = {0}, none = {0};
    struct rng rng;
    rng_init(&rng, 7, 0);

    for (int i = 0; i < 1000; i++) {
        const double value = 1e6 + rng_normal(&rng); /* a large mean, a small spread */
        mean_sum_add(&whole, value);
        mean_sum_add(i < 300 ? &left : &right, value);
    }
    mean_sum_merge(&parts, &left);
    mean_sum_merge(&parts, &right);
    mean_sum_merge(&parts, &none);

    assert_int_equal(parts.n_units, 1000);
    assert_close(parts.mean, whole.mean, 1e-8);
    assert_close(parts.squares / whole.squares, 1, 1e-9);
}

/* scipy 1.10.1 ttest_ind(trim = 0.1 and 0.2, equal_var = False), stats.trim_mean. */
static void trimmed_matches_scipy_yuen(void **state)
{
    (void)state;
    static const struct {
        double share, control, treatment, statistic, p_value;
    } cases[] = {
        {0.1, 6.475, 11.16, 1.3433294477842421, 0.202732951295435},
        {0.2, 6.1, 9.625, 1.5284827927556024, 0.1525359592419526},
    };
    for (size_t k = 0; k < 2; k++) {
        double c[N_C], t[N_T];
        struct estimate c_trimmed, t_trimmed;
        memcpy(c, control, sizeof c);
        memcpy(t, treatment, sizeof t);
        assert_int_equal(mean_trimmed(c, N_C, cases[k].share, &c_trimmed, NULL), 0);
        assert_int_equal(mean_trimmed(t, N_T, cases[k].share, &t_trimmed, NULL), 0);
        const struct effect e =
            effect_compare(c_trimmed, t_trimmed, 0.95, ALTERNATIVE_TWO_SIDED);

        assert_close(e.control, cases[k].control, 1e-12);
        assert_close(e.treatment, cases[k].treatment, 1e-12);
        assert_close(e.statistic, cases[k].statistic, 1e-12);
        assert_close(e.p_value, cases[k].p_value, 1e-12);
    }
}

/* numpy 1.24 percentile and clip, then scipy ttest_ind; the caps also R's quantile. */
static void winsorised_matches_numpy(void **state)
{
    (void)state;
    double c[N_C], t[N_T];
    struct winsor caps = {.lower_share = 0.05, .upper_share = 0.95};
    memcpy(c, control, sizeof c);
    memcpy(t, treatment, sizeof t);

    assert_int_equal(mean_winsorise(c, N_C, t, N_T, &caps, NULL), 0);

    assert_close(caps.lower, 1.185, 1e-12);
    assert_close(caps.upper, 40.46, 1e-12);
    const struct effect e =
        compare(mean_sample_of(c, N_C), mean_sample_of(t, N_T), ALTERNATIVE_TWO_SIDED);
    assert_close(e.statistic, 0.70107504636913, 1e-12);
    assert_close(e.p_value, 0.49164228396287535, 1e-12);
}

static void wrong_shares_and_values_are_refused(void **state)
{
    (void)state;
    double c[] = {1, 2, (double)NAN}, t[] = {1};
    struct winsor caps = {.lower_share = 0.05, .upper_share = 0.95};
    struct winsor reversed = {.lower_share = 0.5, .upper_share = 0.5};
    struct estimate e;
    struct error error = {0};

    assert_int_equal(mean_winsorise(c, 3, t, 1, &caps, &error), -1);
    assert_string_equal(error.message, "value 3 is not finite");
    assert_int_equal(mean_winsorise(c, 2, t, 1, &reversed, &error), -1);
    assert_int_equal(mean_winsorise(c, 0, t, 0, &caps, &error), -1);
    assert_int_equal(mean_trimmed(c, 2, 0.5, &e, &error), -1);
    assert_int_equal(mean_trimmed(c, 0, 0.1, &e, &error), -1);
    assert_int_equal(mean_trimmed(c, 3, 0.1, &e, &error), -1);
    assert_int_equal(mean_trimmed(c, 1, 0.4, &e, &error), 0);
    assert_true(isnan(e.variance));
}

/* numpy 1.24 percentile of both arms together. */
static void quantiles_are_type_seven(void **state)
{
    (void)state;
    double all[N_C + N_T];
    memcpy(all, control, sizeof control);
    memcpy(all + N_C, treatment, sizeof treatment);
    order_sort(all, N_C + N_T);

    assert_close(order_quantile(all, N_C + N_T, 0), 0.2, 0);
    assert_close(order_quantile(all, N_C + N_T, 0.1), 2.83, 1e-14);
    assert_close(order_quantile(all, N_C + N_T, 0.5), 7.5, 1e-14);
    assert_close(order_quantile(all, N_C + N_T, 0.99), 52.139, 1e-12);
    assert_close(order_quantile(all, N_C + N_T, 1), 55.1, 0);
}

/* Shifted by a power of two, values lose no digits here, and neither may the variance.
 */
static void trimmed_variance_does_not_depend_on_where_zero_is(void **state)
{
    (void)state;
    const double shift = 1099511627776.0;
    double near[] = {0.5, 1.25, 3, 2, 7.75, 1, 9, 4.5, 2.25, 6};
    double far[sizeof near / sizeof near[0]];
    const uint64_t n = sizeof near / sizeof near[0];
    struct estimate of_near, of_far;
    for (uint64_t i = 0; i < n; i++) {
        far[i] = near[i] + shift;
    }

    assert_int_equal(mean_trimmed(near, n, 0.2, &of_near, NULL), 0);
    assert_int_equal(mean_trimmed(far, n, 0.2, &of_far, NULL), 0);

    assert_close(of_far.variance / of_near.variance, 1, 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(trimmed_variance_does_not_depend_on_where_zero_is),
        cmocka_unit_test(welch_matches_r_and_scipy),
        cmocka_unit_test(far_tail_keeps_its_digits),
        cmocka_unit_test(swapping_arms_changes_only_the_sign),
        cmocka_unit_test(what_cannot_be_tested_says_so),
        cmocka_unit_test(huge_counts_stay_finite),
        cmocka_unit_test(sums_can_be_added_in_parts),
        cmocka_unit_test(trimmed_matches_scipy_yuen),
        cmocka_unit_test(winsorised_matches_numpy),
        cmocka_unit_test(wrong_shares_and_values_are_refused),
        cmocka_unit_test(quantiles_are_type_seven),
    };
    return cmocka_run_group_tests_name("mean", tests, NULL, NULL);
}
