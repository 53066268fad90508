#include "tests/testing.h"

#include "common/error.h"
#include "stats/quantile.h"

/* 20 units with 3, 5, 2, 6 events in turn. */
static const double values[80] = {
    43.197,  10.573,  77.949, 32.291, 10.813, 60.155,  20.643, 99.165, 46.619, 18.252,
    83.74,   37.34,   20.119, 62.572, 27.318, 98.951,  50.662, 26.553, 80.152, 43.009,
    125.788, 65.611,  34.613, 99.358, 20.327, 0.474,   52.186, 14.3,   90.19,  34.27,
    7.53,    65.387,  25.612, 10.017, 49.84,  21.211,  90.214, 38.551, 16.068, 67.036,
    31.519,  111.667, 58.116, 28.744, 90.858, 43.452,  25.227, 69.307, 38.047, 111.306,
    57.012,  1.898,   57.124, 13.975, 98.38,  37.198,  10.196, 76.567, 31.53,  10.673,
    59.01,   20.119,  97.636, 40.711, 17.966, 77.448,  31.669, 20.069, 61.518, 26.884,
    97.513,  44.845,  26.357, 78.951, 42.429, 124.203, 64.647, 34.27,  98.011, 49.6};

static void fill_units(int32_t units[80])
{
    static const int sizes[] = {3, 5, 2, 6};
    int at = 0;
    for (int32_t u = 0; u < 20; u++) {
        for (int i = 0; i < sizes[u % 4]; i++) {
            units[at++] = u;
        }
    }
}

/* R 4.2.2: quantile(); the share's variance by survey 4.1 svymean with ids = unit; the
 * order-statistic interval is then survey's Woodruff interval; density by bw.nrd0. */
static void clustered_variance_matches_r_survey(void **state)
{
    (void)state;
    int32_t units[80];
    fill_units(units);
    const struct quantile_events events = {values, units, 80, 20};
    struct estimate order, kernel;

    assert_int_equal(quantile_estimate(&events, 0.8, QUANTILE_ORDER, &order, NULL), 0);
    assert_int_equal(quantile_estimate(&events, 0.8, QUANTILE_KERNEL, &kernel, NULL),
                     0);

    assert_close(order.value, 79.1912, 1e-10);
    assert_close(order.variance, 30.373161679882, 1e-9);
    assert_close(kernel.value, order.value, 0);
    assert_close(kernel.variance, 20.8767088749374707, 1e-9);
}

/* Without units each event is its own: p q / (n - 1) for the share. */
static void every_event_its_own_unit_by_default(void **state)
{
    (void)state;
    int32_t units[80];
    for (int32_t i = 0; i < 80; i++) {
        units[i] = i;
    }
    const struct quantile_events plain = {values, NULL, 80, 0},
                                 named = {values, units, 80, 80};
    struct estimate a, b;

    assert_int_equal(quantile_estimate(&plain, 0.5, QUANTILE_KERNEL, &a, NULL), 0);
    assert_int_equal(quantile_estimate(&named, 0.5, QUANTILE_KERNEL, &b, NULL), 0);

    assert_close(a.variance / b.variance, 1, 1e-12);
}

static void doubling_every_event_adds_no_evidence(void **state)
{
    (void)state;
    double twice[160];
    int32_t units[80], units_twice[160];
    fill_units(units);
    for (int i = 0; i < 160; i++) {
        twice[i] = values[i / 2];
        units_twice[i] = units[i / 2];
    }
    const struct quantile_events once = {values, units, 80, 20},
                                 doubled = {twice, units_twice, 160, 20};
    struct estimate a, b;

    assert_int_equal(quantile_estimate(&once, 0.5, QUANTILE_ORDER, &a, NULL), 0);
    assert_int_equal(quantile_estimate(&doubled, 0.5, QUANTILE_ORDER, &b, NULL), 0);

    assert_close(b.variance / a.variance, 1, 0.15); /* type 7 moves a little with n */
}

static void too_little_is_not_testable(void **state)
{
    (void)state;
    const double same[] = {5, 5, 5, 5};
    int32_t one_unit[4] = {0, 0, 0, 0};
    const struct quantile_events constant = {same, NULL, 4, 0},
                                 single = {values, one_unit, 4, 1},
                                 all = {values, NULL, 80, 0};
    struct estimate e;

    assert_int_equal(quantile_estimate(&constant, 0.5, QUANTILE_KERNEL, &e, NULL), 0);
    assert_true(isnan(e.variance) || e.variance == 0);
    assert_false(effect_compare(e, e, 0.95, ALTERNATIVE_TWO_SIDED).is_testable);
    assert_int_equal(quantile_estimate(&single, 0.5, QUANTILE_ORDER, &e, NULL), 0);
    assert_true(isnan(e.variance));
    assert_int_equal(quantile_estimate(&all, 0.999, QUANTILE_ORDER, &e, NULL), 0);
    assert_true(isnan(e.variance)); /* no event lies beyond it */
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    int32_t units[2] = {0, 2};
    const double bad[2] = {1, INFINITY};
    const struct quantile_events none = {values, NULL, 0, 0},
                                 good = {values, NULL, 80, 0},
                                 stray = {values, units, 2, 2},
                                 infinite = {bad, NULL, 2, 0};
    struct estimate e;
    struct error error = {0};

    assert_int_equal(quantile_estimate(&none, 0.5, QUANTILE_ORDER, &e, &error), -1);
    assert_int_equal(quantile_estimate(&good, 1, QUANTILE_ORDER, &e, &error), -1);
    assert_int_equal(quantile_estimate(&stray, 0.5, QUANTILE_ORDER, &e, &error), -1);
    assert_string_equal(error.message, "event 2 has unit 2; there are 2");
    assert_int_equal(quantile_estimate(&infinite, 0.5, QUANTILE_ORDER, &e, &error), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clustered_variance_matches_r_survey),
        cmocka_unit_test(every_event_its_own_unit_by_default),
        cmocka_unit_test(doubling_every_event_adds_no_evidence),
        cmocka_unit_test(too_little_is_not_testable),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("quantile", tests, NULL, NULL);
}
