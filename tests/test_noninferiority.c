#include "tests/testing.h"

#include "common/error.h"
#include "stats/mean.h"
#include "stats/noninferiority.h"
#include "stats/proportion_interval.h"

static const double x_c[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
static const double x_t[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                             7.7, 6.6, 11.3, 12.9, 55.1, 4.4};

static struct estimate arm(const double *values, uint64_t n)
{
    const struct mean_sample sample = mean_sample_of(values, n);
    return mean_estimate(&sample);
}

static struct noninferiority test(struct estimate c, struct estimate t,
                                  struct margin margin)
{
    struct noninferiority r;
    assert_int_equal(noninferiority_test(c, t, margin, 0.95, &r, NULL), 0);
    return r;
}

/* R 4.2.2: t.test(t, c, mu = -3, alternative = "greater"), mu = 20 with "less", and
 * t.test(t, 0.8 * c, alternative = "greater") for the relative margin. */
static void means_match_r(void **state)
{
    (void)state;
    const struct estimate c = arm(x_c, 10), t = arm(x_t, 12);

    const struct noninferiority up = test(c, t, (struct margin){3, false, BETTER_UP});
    assert_close(up.statistic, 1.35628078428036, 1e-13);
    assert_close(up.p_value, 0.09508098061712, 1e-12);
    assert_close(up.bound, -5.08837384722815, 1e-11);
    assert_false(up.holds);

    const struct noninferiority down =
        test(c, t, (struct margin){20, false, BETTER_DOWN});
    assert_close(down.statistic, -2.7037354463202932, 1e-12);
    assert_close(down.p_value, 0.0068424910396094, 1e-13);
    assert_close(down.bound, 14.45504051389482, 1e-11);
    assert_true(down.holds);

    const struct noninferiority relative =
        test(c, t, (struct margin){0.2, true, BETTER_UP});
    assert_close(relative.statistic, 1.25510116581985, 1e-12);
    assert_close(relative.p_value, 0.11243175057759, 1e-12);
    assert_close(relative.margin, 0.2 * 9.3, 1e-12);
}

/* The verdict is the bound's: p < 1 - level exactly where the bound passes the margin.
 */
static void verdict_and_bound_agree(void **state)
{
    (void)state;
    const struct estimate c = arm(x_c, 10), t = arm(x_t, 12);
    for (int i = 0; i <= 60; i++) {
        const double size = i / 5.0;
        const struct noninferiority up =
            test(c, t, (struct margin){size, false, BETTER_UP});
        assert_int_equal(up.holds, up.bound > -size);
        const struct noninferiority down =
            test(c, t, (struct margin){size, false, BETTER_DOWN});
        assert_int_equal(down.holds, down.bound < size);
    }
    for (int i = 0; i < 20; i++) {
        const struct estimate close_c = {10, 0.04, 100}, close_t = {9.5, 0.05, 90};
        const double share = i / 100.0;
        const struct noninferiority r =
            test(close_c, close_t, (struct margin){share, true, BETTER_UP});
        assert_int_equal(r.holds, r.bound > -share);
    }
}

/* R 4.2.2: the score with the constrained likelihood maximised by optimize(). */
static void proportions_match_r(void **state)
{
    (void)state;
    const struct proportion_sample c = {80, 100}, t = {78, 100}, fail_c = {5, 100},
                                   fail_t = {7, 100}, als = {132, 294},
                                   bpr = {226, 316};
    struct noninferiority r;

    assert_int_equal(noninferiority_proportions(&c, &t,
                                                (struct margin){0.1, false, BETTER_UP},
                                                0.95, &r, NULL),
                     0);
    assert_close(r.statistic, 1.37962710976, 2e-8);
    assert_close(r.bound, -0.115536385718, 2e-8);
    assert_false(r.holds);
    assert_int_equal(noninferiority_proportions(
                         &fail_c, &fail_t, (struct margin){0.05, false, BETTER_DOWN},
                         0.95, &r, NULL),
                     0);
    assert_close(r.statistic, -0.860365133865, 2e-8);
    assert_close(r.bound, 0.0808265300423, 2e-8);
    assert_int_equal(noninferiority_proportions(&als, &bpr,
                                                (struct margin){0.05, false, BETTER_UP},
                                                0.95, &r, NULL),
                     0);
    assert_close(r.statistic, 7.92627841513, 2e-8);
    assert_true(r.holds);
}

static void one_outcome_everywhere_can_still_be_noninferior(void **state)
{
    (void)state;
    const struct proportion_sample c = {0, 500}, t = {0, 500};
    struct noninferiority r;
    assert_int_equal(
        noninferiority_proportions(&c, &t, (struct margin){0.05, false, BETTER_DOWN},
                                   0.95, &r, NULL),
        0);
    assert_true(r.is_testable && r.holds);
    assert_int_equal(noninferiority_proportions(&c, &t,
                                                (struct margin){0, false, BETTER_DOWN},
                                                0.95, &r, NULL),
                     0);
    assert_false(r.is_testable);
    assert_false(r.holds);
}

/* R 4.2.2: the two one-sided t.tests at mu = -20 and 20; the 90 % interval. */
static void equivalence_matches_r(void **state)
{
    (void)state;
    struct equivalence r;
    assert_int_equal(equivalence_test(arm(x_c, 10), arm(x_t, 12), 20, 0.95, &r, NULL),
                     0);
    assert_close(r.p_lower, 0.00015340496191171, 1e-15);
    assert_close(r.p_upper, 0.0068424910396094, 1e-13);
    assert_close(r.p_value, 0.0068424910396094, 1e-13);
    assert_close(r.ci_lower, -5.08837384722815, 1e-11);
    assert_close(r.ci_upper, 14.45504051389482, 1e-11);
    assert_true(r.holds);
    assert_int_equal(equivalence_test(arm(x_c, 10), arm(x_t, 12), 14, 0.95, &r, NULL),
                     0);
    assert_false(r.holds);
}

static void nonsense_is_refused_and_nothing_is_not_testable(void **state)
{
    (void)state;
    const struct estimate flat = {1, 0, 10}, zero = {0, 1, 10}, good = {1, 1, 10};
    const struct proportion_sample p = {1, 10};
    struct noninferiority r;
    struct equivalence e;
    struct error error = {0};

    assert_false(test(flat, flat, (struct margin){0.1, false, BETTER_UP}).is_testable);
    assert_false(test(zero, good, (struct margin){0.1, true, BETTER_UP}).is_testable);
    assert_int_equal(noninferiority_test(good, good,
                                         (struct margin){-1, false, BETTER_UP}, 0.95,
                                         &r, &error),
                     -1);
    assert_int_equal(noninferiority_test(good, good,
                                         (struct margin){1, true, BETTER_UP}, 0.95, &r,
                                         &error),
                     -1);
    assert_int_equal(noninferiority_proportions(&p, &p,
                                                (struct margin){0.1, true, BETTER_UP},
                                                0.95, &r, &error),
                     -1);
    assert_int_equal(equivalence_test(good, good, 0, 0.95, &e, &error), -1);
    assert_int_equal(equivalence_test(good, good, 1, 0.4, &e, &error), -1);
    assert_int_equal(equivalence_test(flat, flat, 1, 0.95, &e, &error), 0);
    assert_false(e.is_testable || e.holds);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_match_r),
        cmocka_unit_test(verdict_and_bound_agree),
        cmocka_unit_test(proportions_match_r),
        cmocka_unit_test(one_outcome_everywhere_can_still_be_noninferior),
        cmocka_unit_test(equivalence_matches_r),
        cmocka_unit_test(nonsense_is_refused_and_nothing_is_not_testable),
    };
    return cmocka_run_group_tests_name("noninferiority", tests, NULL, NULL);
}
