#include "tests/testing.h"

#include "common/error.h"
#include "stats/multiple.h"

static const double p_values[] = {0.01, 0.02, 0.03, 0.04, 0.05, 0.2, 0.8, 0.001};

/* R 4.2.2 p.adjust. */
static void matches_r_p_adjust(void **state)
{
    (void)state;
    static const struct {
        enum correction correction;
        double adjusted[8];
    } cases[] = {
        {CORRECTION_NONE, {0.01, 0.02, 0.03, 0.04, 0.05, 0.2, 0.8, 0.001}},
        {CORRECTION_BONFERRONI, {0.08, 0.16, 0.24, 0.32, 0.4, 1, 1, 0.008}},
        {CORRECTION_HOLM, {0.07, 0.12, 0.15, 0.16, 0.16, 0.4, 0.8, 0.008}},
        {CORRECTION_HOCHBERG, {0.07, 0.12, 0.15, 0.15, 0.15, 0.4, 0.8, 0.008}},
        {CORRECTION_BH,
         {0.04, 0.053333333333333, 0.06, 0.064, 0.066666666666667, 0.22857142857143,
          0.8, 0.008}},
        {CORRECTION_BY,
         {0.10871428571429, 0.14495238095238, 0.16307142857143, 0.17394285714286,
          0.18119047619048, 0.62122448979592, 1, 0.021742857142857}},
    };
    for (size_t k = 0; k < sizeof cases / sizeof cases[0]; k++) {
        double adjusted[8];
        assert_int_equal(
            multiple_adjust(p_values, 8, cases[k].correction, adjusted, NULL), 0);
        for (int i = 0; i < 8; i++) {
            assert_close(adjusted[i], cases[k].adjusted[i], 1e-13);
        }
    }
}

static void untestable_ones_are_not_counted(void **state)
{
    (void)state;
    double with[] = {0.01, (double)NAN, 0.04}, without[] = {0.01, 0.04};
    for (int c = CORRECTION_NONE; c <= CORRECTION_BY; c++) {
        double a[3], b[2];
        assert_int_equal(multiple_adjust(with, 3, (enum correction)c, a, NULL), 0);
        assert_int_equal(multiple_adjust(without, 2, (enum correction)c, b, NULL), 0);
        assert_close(a[0], b[0], 0);
        assert_true(isnan(a[1]));
        assert_close(a[2], b[1], 0);
    }
}

static void one_question_needs_no_correction(void **state)
{
    (void)state;
    for (int c = CORRECTION_NONE; c <= CORRECTION_BY; c++) {
        double p = 0.03;
        assert_int_equal(multiple_adjust(&p, 1, (enum correction)c, &p, NULL), 0);
        assert_close(p, 0.03, 1e-17);
    }
    assert_int_equal(multiple_adjust(NULL, 0, CORRECTION_BH, NULL, NULL), 0);
}

static void values_outside_are_refused(void **state)
{
    (void)state;
    double bad[] = {0.1, 1.5}, adjusted[2];
    struct error error = {0};
    assert_int_equal(multiple_adjust(bad, 2, CORRECTION_HOLM, adjusted, &error), -1);
    assert_string_equal(error.message, "p-value 2 is 1.5, not between 0 and 1");
    assert_string_equal(correction_name(CORRECTION_BY), "Benjamini-Yekutieli");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(matches_r_p_adjust),
        cmocka_unit_test(untestable_ones_are_not_counted),
        cmocka_unit_test(one_question_needs_no_correction),
        cmocka_unit_test(values_outside_are_refused),
    };
    return cmocka_run_group_tests_name("multiple", tests, NULL, NULL);
}
