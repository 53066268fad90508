#include "tests/testing.h"

#include "common/error.h"
#include "stats/lift.h"
#include "stats/mean.h"

static const struct proportion_sample als = {132, 294}, bpr = {226, 316};

static struct interval lift(struct proportion_sample control,
                            struct proportion_sample treatment, enum lift_method method,
                            enum alternative alternative)
{
    struct interval i;
    assert_int_equal(
        lift_proportions(&control, &treatment, method, 0.95, alternative, &i, NULL), 0);
    return i;
}

/* R 4.2.2: the formulas written out for delta and Katz, uniroot of Fieller's quadratic.
 */
static void proportions_match_r(void **state)
{
    (void)state;
    const struct interval katz = lift(als, bpr, LIFT_KATZ, ALTERNATIVE_TWO_SIDED);
    assert_close(katz.lower, 0.37861909949163, 1e-12);
    assert_close(katz.upper, 0.84053983142514, 1e-12);
    const struct interval delta = lift(als, bpr, LIFT_DELTA, ALTERNATIVE_TWO_SIDED);
    assert_close(delta.lower, 0.36276420226531, 1e-12);
    assert_close(delta.upper, 0.82308159750454, 1e-12);
    const struct interval fieller = lift(als, bpr, LIFT_FIELLER, ALTERNATIVE_TWO_SIDED);
    assert_close(fieller.lower, 0.38540862341510, 1e-12);
    assert_close(fieller.upper, 0.85235725927903, 1e-12);
}

/* Means with Welch's degrees of freedom; R as above. */
static void means_match_r(void **state)
{
    (void)state;
    const double c[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
    const double t[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                        7.7, 6.6, 11.3, 12.9, 55.1, 4.4};
    const struct mean_sample c_sample = mean_sample_of(c, 10),
                             t_sample = mean_sample_of(t, 12);
    struct interval i;

    assert_int_equal(lift_interval(mean_estimate(&c_sample), mean_estimate(&t_sample),
                                   LIFT_FIELLER, 0.95, ALTERNATIVE_TWO_SIDED, &i, NULL),
                     0);

    assert_close(i.lower, -0.53430677822338, 1e-11);
    assert_close(i.upper, 8.1348567772011, 1e-10);
}

/* Katz and Fieller know that "twice as much" and "half as much" are the same fact. */
static void swapping_arms_inverts_the_ratio(void **state)
{
    (void)state;
    const enum lift_method methods[] = {LIFT_KATZ, LIFT_FIELLER};
    for (size_t k = 0; k < 2; k++) {
        const struct interval a = lift(als, bpr, methods[k], ALTERNATIVE_TWO_SIDED);
        const struct interval b = lift(bpr, als, methods[k], ALTERNATIVE_TWO_SIDED);
        assert_close((1 + a.lower) * (1 + b.upper), 1, 1e-12);
        assert_close((1 + a.upper) * (1 + b.lower), 1, 1e-12);
    }
}

static void one_sided_bounds_are_the_ninety_percent_ones(void **state)
{
    (void)state;
    for (int m = LIFT_DELTA; m <= LIFT_FIELLER; m++) {
        struct interval two;
        assert_int_equal(lift_proportions(&als, &bpr, (enum lift_method)m, 0.90,
                                          ALTERNATIVE_TWO_SIDED, &two, NULL),
                         0);
        const struct interval up =
            lift(als, bpr, (enum lift_method)m, ALTERNATIVE_GREATER);
        const struct interval down =
            lift(als, bpr, (enum lift_method)m, ALTERNATIVE_LESS);
        assert_close(up.lower, two.lower, 1e-12);
        assert_true(isinf(up.upper));
        assert_close(down.upper, two.upper, 1e-12);
    }
}

static void no_answer_is_nan_and_no_end_is_infinite(void **state)
{
    (void)state;
    const struct proportion_sample none = {0, 10}, few = {1, 10}, some = {5, 10};

    assert_true(isnan(lift(none, some, LIFT_KATZ, ALTERNATIVE_TWO_SIDED).lower));
    assert_true(isnan(lift(none, some, LIFT_DELTA, ALTERNATIVE_TWO_SIDED).upper));
    assert_true(isnan(lift(none, some, LIFT_FIELLER, ALTERNATIVE_LESS).upper));
    /* 1 of 10 is not significantly above 0, so the lift may be anything. */
    assert_true(isinf(lift(few, some, LIFT_FIELLER, ALTERNATIVE_TWO_SIDED).upper));
    assert_true(isinf(lift(few, some, LIFT_FIELLER, ALTERNATIVE_TWO_SIDED).lower));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const struct proportion_sample bad = {11, 10};
    const struct estimate e = {1, 1, 10};
    struct interval i;
    struct error error = {0};

    assert_int_equal(lift_proportions(&bad, &bpr, LIFT_KATZ, 0.95,
                                      ALTERNATIVE_TWO_SIDED, &i, &error),
                     -1);
    assert_int_equal(
        lift_proportions(&als, &bpr, LIFT_KATZ, 0, ALTERNATIVE_TWO_SIDED, &i, &error),
        -1);
    assert_int_equal(
        lift_interval(e, e, LIFT_KATZ, 0.95, ALTERNATIVE_TWO_SIDED, &i, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
}

/* mpmath 1.2.1, 50 digits: roots less 1 of a quadratic whose discriminant cancels. */
static void fieller_keeps_its_digits_where_little_is_left(void **state)
{
    (void)state;
    const struct estimate c = {5.83398, 2.2e-7, INFINITY},
                          t = {5.72994, 1.9e-3, INFINITY}, far = {1e6, 1e-4, INFINITY},
                          near = {1e6 + 0.25, 2e-4, INFINITY};
    struct interval i;

    /* Half of the one-sided intervals end at the estimate itself. */
    assert_int_equal(
        lift_interval(c, t, LIFT_FIELLER, 0.5, ALTERNATIVE_GREATER, &i, NULL), 0);
    assert_close(i.lower, -0.017833451605936315, 1e-15);
    assert_int_equal(lift_interval(c, t, LIFT_FIELLER, 0.5, ALTERNATIVE_LESS, &i, NULL),
                     0);
    assert_close(i.upper, -0.017833451605936315, 1e-15);
    assert_int_equal(
        lift_interval(far, near, LIFT_FIELLER, 0.95, ALTERNATIVE_TWO_SIDED, &i, NULL),
        0);
    assert_close(i.lower / 2.1605242553289623e-07, 1, 1e-13);
    assert_close(i.upper / 2.8394757523539574e-07, 1, 1e-13);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fieller_keeps_its_digits_where_little_is_left),
        cmocka_unit_test(proportions_match_r),
        cmocka_unit_test(means_match_r),
        cmocka_unit_test(swapping_arms_inverts_the_ratio),
        cmocka_unit_test(one_sided_bounds_are_the_ninety_percent_ones),
        cmocka_unit_test(no_answer_is_nan_and_no_end_is_infinite),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("lift", tests, NULL, NULL);
}
