#include "tests/testing.h"

#include "stats/tail.h"

/* Relative closeness of a probability given as a logarithm. */
#define TAIL_TOLERANCE 1e-11

/* Expected values: mpmath 1.2.1 (python3-mpmath) at 40 digits: erfc, betainc, gammainc;
 * Student beyond 1e4 degrees of freedom by quadrature of the density there. */
static void normal_tail_matches_mpmath(void **state)
{
    (void)state;
    assert_close(tail_log_normal_upper(1.96), -3.6889636517296386, 1e-14);
    assert_close(tail_log_normal_upper(-3), -0.0013508099647481938, 1e-15);
    assert_close(tail_log_normal_upper(30), -454.32124395634320, 1e-12);
    assert_close(tail_log_normal_upper(40), -804.60844201375379, 1e-12);
    assert_close(tail_log_normal_upper(100), -5005.5242086942051, 1e-11);
    assert_close(tail_log_normal_upper(1e8) / -5000000000000019.3396, 1, 1e-15);
}

static void student_tail_matches_mpmath(void **state)
{
    (void)state;
    static const struct {
        double t, df, log_upper;
    } cases[] = {
        {2, 10, -3.3051415512324532},       {6.672140, 608, -24.284771837625615},
        {40, 100, -144.85499030720292},     {1e10, 5, -112.87899841388881},
        {0.001, 3, -0.69388255591267225},   {2.5, 1e4, -5.0803697265854242},
        {38, 99999, -721.38680392716694},   {38, 100001, -721.38690635108447},
        {25, 100000, -315.66378273335253},  {3, 0.5, -1.6947013017194774},
        {2, 100001, -3.7831250053651652},   {1e200, 2, -921.72718437817822},
        {37, 1000000, -688.56178872603977},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_close(tail_log_student_upper(cases[i].t, cases[i].df),
                     cases[i].log_upper, TAIL_TOLERANCE);
        assert_close(exp(tail_log_student_upper(-cases[i].t, cases[i].df)),
                     1 - exp(cases[i].log_upper), 1e-14);
    }
    assert_close(tail_log_student_upper(3, INFINITY), tail_log_normal_upper(3), 0);
}

static void chi_square_tail_matches_mpmath(void **state)
{
    (void)state;
    assert_close(tail_log_chi_square_upper(2000, 1), -1004.0267419589519, 1e-11);
    assert_close(tail_log_chi_square_upper(3.841458820694124, 1), -2.9957322735539899,
                 TAIL_TOLERANCE);
    assert_close(tail_log_chi_square_upper(5000, 7), -2481.6398584753530, 1e-11);
    assert_close(tail_log_chi_square_upper(120, 30), -27.610948079953930, 1e-11);
    assert_close(tail_log_chi_square_upper(150, 30), -39.543386995384149, 1e-11);
    assert_close(tail_log_chi_square_upper(0.001, 3), -8.4079544047957312e-6, 1e-15);
}

static void beta_matches_mpmath(void **state)
{
    (void)state;
    assert_close(exp(tail_log_beta(2, 3, 0.3, 0.7)), 0.3483, 1e-14);
    assert_close(tail_log_beta(2000, 3000, 0.3, 0.7), -116.50481995817106, 1e-10);
    assert_close(tail_log_beta(2000, 3000, 0.45, 0.55), -4.7172311417829992e-13, 1e-16);
    assert_true(isinf(tail_log_beta(2, 3, 0, 1)));
    assert_close(tail_log_beta(2, 3, 1, 0), 0, 0);
    assert_true(isnan(tail_log_beta(0, 3, 0.5, 0.5)));
}

/* mpmath 1.2.1 by root search, and R 4.2.2 qt. (scipy 1.10.1 gives 2.2281388519649385,
 * wrong in the eleventh digit.) */
static void quantiles_match_mpmath_and_r(void **state)
{
    (void)state;
    assert_close(tail_student_quantile_upper(0.025, 10), 2.2281388519862744, 1e-13);
    assert_close(tail_student_quantile_upper(0.975, 10), -2.2281388519862744, 1e-12);
    assert_close(tail_student_quantile_upper(1e-10, 7.5), 45.36104424133951, 1e-10);
    assert_close(tail_student_quantile_upper(0.3, 1), tan(0.2 * acos(-1)), 1e-14);
    assert_close(tail_student_quantile_upper(0.5, 7), 0, 0);
    /* Far out a tail of 0.3 degrees of freedom falls with t^-0.3; R's qt is off by
     * 2e-4. */
    assert_close(tail_student_quantile_upper(1e-12, 0.3) /
                     tail_student_quantile_upper(1e-6, 0.3),
                 1e20, 1e8);
    assert_close(tail_normal_quantile_upper(0.025), 1.9599639845400545, 1e-14);
    assert_close(tail_chi_square_quantile_upper(0.05, 1), 3.841458820694124, 1e-12);
    assert_close(tail_student_critical(0.95, 10, ALTERNATIVE_TWO_SIDED),
                 2.2281388519862744, 1e-13);
    assert_close(tail_normal_critical(0.975, ALTERNATIVE_GREATER), 1.9599639845400545,
                 1e-13);
}

static void p_beyond_a_double_keeps_its_logarithm(void **state)
{
    (void)state;
    const struct tail_p p = tail_p_normal(100, ALTERNATIVE_TWO_SIDED);

    assert_close(p.p_value, 0, 0);
    assert_close(p.log10_p_value, (-5005.5242086942051 + log(2)) / log(10), 1e-11);
}

static void alternatives_share_one_statistic(void **state)
{
    (void)state;
    for (int i = -20; i <= 20; i++) {
        const double z = i / 4.0;
        const double greater = tail_p_normal(z, ALTERNATIVE_GREATER).p_value;
        const double less = tail_p_normal(z, ALTERNATIVE_LESS).p_value;
        const double both = tail_p_normal(z, ALTERNATIVE_TWO_SIDED).p_value;
        assert_close(greater + less, 1, 1e-15);
        assert_close(both, 2 * fmin(greater, less), 1e-15);
        assert_close(tail_p_student(z, 7, ALTERNATIVE_GREATER).p_value,
                     tail_p_student(-z, 7, ALTERNATIVE_LESS).p_value, 1e-15);
    }
    assert_string_equal(alternative_name(ALTERNATIVE_LESS), "less");
}

/* GSL's handler would abort the program; NAN is the answer here. */
static void nonsense_gives_nan_and_no_abort(void **state)
{
    (void)state;
    assert_true(isnan(tail_p_normal((double)NAN, ALTERNATIVE_GREATER).p_value));
    assert_true(isnan(tail_p_student(1, -1, ALTERNATIVE_GREATER).log10_p_value));
    assert_true(isnan(tail_p_chi_square(-1, 1).p_value));
    assert_true(isnan(tail_p_chi_square(1, 0).p_value));
    assert_true(isnan(tail_normal_quantile_upper(0)));
    assert_true(isnan(tail_student_quantile_upper(1, 3)));
    assert_true(isnan(tail_chi_square_quantile_upper(2, 3)));
    assert_true(isinf(tail_log_chi_square_upper(INFINITY, 2)));
    assert_true(isinf(tail_log_student_upper(INFINITY, 2)));
    assert_close(tail_log_student_upper(-INFINITY, 2), 0, 0);
}

/* mpmath 1.2.1, 60 digits, by the hypergeometric series. Where t^2 is not small against
 * many degrees of freedom the normalising expansion is off by 1e-3 of p. */
static void student_tail_of_many_degrees_is_exact_far_out(void **state)
{
    (void)state;
    const struct {
        double t, df, log_p;
    } cases[] = {
        {99.9499874937461, 100000.0, -4766.4394304554935},
        {100.0499875062461, 100000.0, -4775.531248462792},
        {244.94897427831782, 300000.0, -27354.5623642678},
        {316.22776601683796, 100000.0, -34663.68786817223},
        {3162.2776601683795, 100000.0, -230762.69627076323},
        {10000.0, 100000000.0, -34657368.81070259},
        {100000.0, 100000000.0, -230756035.9663667},
        {3162277660.1683793, 1e15, -4605220183488276.0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_close(tail_log_student_upper(cases[i].t, cases[i].df) / cases[i].log_p,
                     1, 1e-14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(student_tail_of_many_degrees_is_exact_far_out),
        cmocka_unit_test(normal_tail_matches_mpmath),
        cmocka_unit_test(student_tail_matches_mpmath),
        cmocka_unit_test(chi_square_tail_matches_mpmath),
        cmocka_unit_test(beta_matches_mpmath),
        cmocka_unit_test(quantiles_match_mpmath_and_r),
        cmocka_unit_test(p_beyond_a_double_keeps_its_logarithm),
        cmocka_unit_test(alternatives_share_one_statistic),
        cmocka_unit_test(nonsense_gives_nan_and_no_abort),
    };
    return cmocka_run_group_tests_name("tail", tests, NULL, NULL);
}
