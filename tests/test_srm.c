#include "tests/testing.h"

#include "common/error.h"
#include "stats/srm.h"

static struct srm_result test(const uint64_t *counts, const double *weights, int n_arms)
{
    struct srm_result r;
    assert_int_equal(srm_test(counts, weights, n_arms, SRM_DEFAULT_LIMIT, &r, NULL), 0);
    return r;
}

/* scipy 1.10.1 stats.chisquare and R 4.2.2 chisq.test, at these counts. */
static void matches_scipy_and_r(void **state)
{
    (void)state;
    const uint64_t two[] = {5000, 5200}, three[] = {821, 1588, 2610};
    const double even[] = {0.5, 0.5}, uneven[] = {0.2, 0.3, 0.5};

    const struct srm_result a = test(two, even, 2);
    assert_close(a.statistic, 3.9215686274509802, 1e-12);
    assert_close(a.p_value, 0.0476703806561615, 1e-12);
    assert_false(a.is_mismatch);
    assert_true(a.is_approximate_ok);

    const struct srm_result b = test(three, uneven, 3);
    assert_close(b.statistic, 41.81257886697219, 1e-10);
    assert_close(b.p_value / 8.327485055220966e-10, 1, 1e-9);
    assert_close(b.df, 2, 0);
    assert_true(b.is_mismatch);
    assert_int_equal(b.worst_arm, 0); /* 182.8 short of 1003.8: 33.3 of the 41.8 */
    assert_close(b.worst_expected, 1003.8, 1e-9);
}

static void only_the_ratio_of_weights_matters(void **state)
{
    (void)state;
    const uint64_t counts[] = {821, 1588, 2610};
    const double shares[] = {0.2, 0.3, 0.5}, relative[] = {2, 3, 5};

    assert_close(test(counts, shares, 3).statistic, test(counts, relative, 3).statistic,
                 1e-10);
}

static void order_of_arms_does_not_matter(void **state)
{
    (void)state;
    const uint64_t forth[] = {821, 1588, 2610}, back[] = {2610, 1588, 821};
    const double w_forth[] = {0.2, 0.3, 0.5}, w_back[] = {0.5, 0.3, 0.2};

    assert_close(test(forth, w_forth, 3).statistic, test(back, w_back, 3).statistic,
                 1e-10);
}

static void exact_shares_give_p_one(void **state)
{
    (void)state;
    const uint64_t counts[] = {200, 300, 500}, none[] = {0, 0, 0}, one[] = {0, 1, 0};
    const double weights[] = {0.2, 0.3, 0.5};

    assert_close(test(counts, weights, 3).statistic, 0, 1e-20);
    assert_close(test(counts, weights, 3).p_value, 1, 1e-12);
    assert_close(test(none, weights, 3).p_value, 1, 0);
    assert_false(test(one, weights, 3).is_approximate_ok);
}

static void huge_mismatch_keeps_its_logarithm(void **state)
{
    (void)state;
    const uint64_t counts[] = {1000000000000000, 999000000000000};
    const double even[] = {1, 1};
    const struct srm_result r = test(counts, even, 2);

    assert_close(r.p_value, 0, 0);
    assert_true(isfinite(r.log10_p_value) && r.log10_p_value < -1e7);
    assert_true(r.is_mismatch);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const uint64_t counts[] = {10, 10};
    const double bad[][2] = {{0, 1}, {-1, 2}, {(double)NAN, 1}, {1, INFINITY}};
    const double good[] = {1, 1};
    struct srm_result r;
    struct error error = {0};

    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(srm_test(counts, bad[i], 2, 0.001, &r, &error), -1);
        assert_int_equal(error.code, ERROR_INVALID);
    }
    assert_int_equal(srm_test(counts, good, 1, 0.001, &r, &error), -1);
    assert_int_equal(srm_test(counts, good, SRM_MAX_ARMS + 1, 0.001, &r, &error), -1);
    assert_int_equal(srm_test(counts, good, 2, 1, &r, &error), -1);
    assert_string_equal(error.message, "srm: limit 1 is not between 0 and 1");
}

/* mpmath 1.2.1, 40 digits, loggamma, at these counts. */
static void sequential_matches_mpmath(void **state)
{
    (void)state;
    const uint64_t two[] = {5000, 5200}, three[] = {821, 1588, 2610}, none[] = {0, 0};
    const double even[] = {1, 1}, uneven[] = {0.2, 0.3, 0.5};
    struct srm_result r;

    assert_int_equal(srm_sequential(two, even, 2, 10000, 0.001, &r, NULL), 0);
    assert_close(r.statistic, 0.63860282639179007, 1e-9);
    assert_false(r.is_mismatch);
    assert_int_equal(srm_sequential(three, uneven, 3, 10000, 0.001, &r, NULL), 0);
    assert_close(r.statistic, 6.70421670265832, 1e-9);
    assert_close(r.p_value, exp(-6.70421670265832), 1e-9);
    assert_int_equal(srm_sequential(none, even, 2, 10000, 0.001, &r, NULL), 0);
    assert_close(r.p_value, 1, 0);
    assert_int_equal(srm_sequential(two, even, 2, 0, 0.001, &r, NULL), -1);
}

/* R 4.2.2: 2 * min(pbinom(k, n, p), pbinom(k - 1, n, p, lower.tail = FALSE)). */
static void exact_matches_r(void **state)
{
    (void)state;
    static const struct {
        uint64_t counts[3];
        double weights[3];
        int n_arms;
        double p_value;
    } cases[] = {
        {{30, 12}, {0.6, 0.4}, 2, 0.17190967426104103},
        {{0, 12}, {1, 1}, 2, 0.00048828125},
        {{5000000, 5010000}, {0.5, 0.5}, 2, 0.0015756248126426297},
        {{7, 3}, {0.9, 0.1}, 2, 0.14038165280000003},
        {{10, 20, 30}, {0.3, 0.3, 0.4}, 3, 0.083267101093935203},
        {{0, 0}, {1, 1}, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct tail_p p = {-1, -1};

        assert_int_equal(
            srm_exact(cases[i].counts, cases[i].weights, cases[i].n_arms, &p, NULL), 0);

        assert_close(p.p_value / cases[i].p_value, 1, 1e-9);
    }
    /* 2 * 0.5^4000, which no double holds. */
    const uint64_t gross[] = {0, 4000};
    const double even[] = {1, 1};
    struct tail_p p;
    assert_int_equal(srm_exact(gross, even, 2, &p, NULL), 0);
    assert_close(p.p_value, 0, 0);
    assert_close(p.log10_p_value / (-3999 * log10(2)), 1, 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exact_matches_r),
        cmocka_unit_test(matches_scipy_and_r),
        cmocka_unit_test(only_the_ratio_of_weights_matters),
        cmocka_unit_test(order_of_arms_does_not_matter),
        cmocka_unit_test(exact_shares_give_p_one),
        cmocka_unit_test(huge_mismatch_keeps_its_logarithm),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(sequential_matches_mpmath),
    };
    return cmocka_run_group_tests_name("srm", tests, NULL, NULL);
}
