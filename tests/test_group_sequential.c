#include "tests/testing.h"

#include <string.h>

#include "common/error.h"
#include "stats/group_sequential.h"

static void assert_bounds(struct group_sequential_plan plan, const double *expected,
                          double tolerance)
{
    double bounds[GROUP_SEQUENTIAL_MAX_LOOKS], spent[GROUP_SEQUENTIAL_MAX_LOOKS];
    assert_int_equal(group_sequential_bounds(&plan, bounds, spent, NULL), 0);
    for (int i = 0; i < plan.n_looks; i++) {
        assert_close(bounds[i], expected[i], tolerance);
    }
    assert_close(spent[plan.n_looks - 1],
                 plan.fractions[plan.n_looks - 1] == 1 ? plan.alpha
                                                       : spent[plan.n_looks - 1],
                 1e-12);
}

/* The published bounds (Lan & DeMets' program ld98 and R's ldbounds: 4.8769, 3.3569,
 * 2.6803, 2.2898, 2.0310; 2.4380, 2.4268, 2.4101, 2.3966, 2.3859), and R 4.2.2, mvtnorm
 * 1.1: the multivariate normal solved look by look, abseps 1e-9. */
static void five_looks_match_tables_and_mvtnorm(void **state)
{
    (void)state;
    const double fifths[] = {0.2, 0.4, 0.6, 0.8, 1};
    const double obf[] = {4.876885, 3.357012, 2.680280, 2.289817, 2.031032};
    const double pocock[] = {2.437977, 2.426814, 2.410194, 2.396645, 2.385985};
    const double square[] = {3.090232, 2.714112, 2.472777, 2.279863, 2.114027};
    struct group_sequential_plan plan = {
        fifths, 5, 0.05, SPENDING_OBRIEN_FLEMING, 0, ALTERNATIVE_TWO_SIDED};

    assert_bounds(plan, obf, 2e-5);
    plan.spending = SPENDING_POCOCK;
    assert_bounds(plan, pocock, 2e-5);
    plan.spending = SPENDING_POWER;
    plan.power = 2;
    assert_bounds(plan, square, 2e-5);
}

static void uneven_looks_and_one_side_match_mvtnorm(void **state)
{
    (void)state;
    const double uneven[] = {0.1, 0.45, 0.5, 1}, thirds[] = {1.0 / 3, 2.0 / 3, 1};
    const double square[] = {3.480756, 2.585876, 2.656215, 2.022338};
    const double pocock[] = {2.279428, 2.294911, 2.295940};
    const struct group_sequential_plan two = {uneven,         4, 0.05,
                                              SPENDING_POWER, 2, ALTERNATIVE_TWO_SIDED};
    const struct group_sequential_plan one = {thirds,          3, 0.025,
                                              SPENDING_POCOCK, 0, ALTERNATIVE_GREATER};

    assert_bounds(two, square, 2e-5);
    assert_bounds(one, pocock, 2e-5);
}

static void one_look_is_the_fixed_test(void **state)
{
    (void)state;
    const double whole[] = {1}, z[] = {1.959963984540054},
                 z_one[] = {1.6448536269514722};
    for (int s = SPENDING_OBRIEN_FLEMING; s <= SPENDING_POWER; s++) {
        struct group_sequential_plan plan = {
            whole, 1, 0.05, (enum spending)s, 3, ALTERNATIVE_TWO_SIDED};
        assert_bounds(plan, z, 1e-9);
        plan.alternative = ALTERNATIVE_LESS;
        assert_bounds(plan, z_one, 1e-9);
    }
}

static void nothing_to_spend_is_no_bound(void **state)
{
    (void)state;
    const double early[] = {0.001, 1};
    const struct group_sequential_plan plan = {
        early, 2, 0.05, SPENDING_OBRIEN_FLEMING, 0, ALTERNATIVE_TWO_SIDED};
    double bounds[2], spent[2];
    assert_int_equal(group_sequential_bounds(&plan, bounds, spent, NULL), 0);
    assert_true(isinf(bounds[0]));
    assert_close(spent[0], 0, 0);
    assert_close(bounds[1], 1.959963984540054, 1e-6);
}

/* 100 looks, Pocock-like: all bounds above the fixed one and finite. */
static void many_looks_work(void **state)
{
    (void)state;
    double fractions[100], bounds[100], spent[100];
    for (int i = 0; i < 100; i++) {
        fractions[i] = (i + 1) / 100.0;
    }
    const struct group_sequential_plan plan = {
        fractions, 100, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED};
    assert_int_equal(group_sequential_bounds(&plan, bounds, spent, NULL), 0);
    for (int i = 0; i < 100; i++) {
        assert_true(bounds[i] > 2.5 && bounds[i] < 3.5);
    }
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const double falling[] = {0.5, 0.4}, above[] = {0.5, 1.1}, zero[] = {0, 1},
                 good[] = {1};
    double bounds[2], spent[2];
    struct error error = {0};
    const struct group_sequential_plan plans[] = {
        {falling, 2, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED},
        {above, 2, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED},
        {zero, 2, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED},
        {good, 0, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED},
        {good, 1, 0.5, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED},
        {good, 1, 0.05, SPENDING_POWER, 0, ALTERNATIVE_TWO_SIDED},
    };
    for (size_t i = 0; i < sizeof plans / sizeof plans[0]; i++) {
        assert_int_equal(group_sequential_bounds(&plans[i], bounds, spent, &error), -1);
        assert_int_equal(error.code, ERROR_INVALID);
    }
}

/* The grid cannot see a step of a ten-thousandth of a standard deviation: the third
 * bound of 0.5, 0.50000001, 1 came out as 3.33 instead of 2.20. */
static void looks_that_nearly_coincide_are_refused(void **state)
{
    (void)state;
    const double close[] = {0.5, 0.50000001, 1}, near[] = {0.5, 0.5011, 1};
    double bounds[3], spent[3];
    struct group_sequential_plan plan = {close,           3, 0.05,
                                         SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED};
    struct error error = {0};

    assert_int_equal(group_sequential_bounds(&plan, bounds, spent, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_non_null(strstr(error.message, "take them as one"));

    plan.fractions = near;
    assert_int_equal(group_sequential_bounds(&plan, bounds, spent, NULL), 0);
    assert_true(bounds[2] > 2.19 && bounds[2] < 2.21);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_that_nearly_coincide_are_refused),
        cmocka_unit_test(five_looks_match_tables_and_mvtnorm),
        cmocka_unit_test(uneven_looks_and_one_side_match_mvtnorm),
        cmocka_unit_test(one_look_is_the_fixed_test),
        cmocka_unit_test(nothing_to_spend_is_no_bound),
        cmocka_unit_test(many_looks_work),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("group_sequential", tests, NULL, NULL);
}
