/* Every statistic that allocates, with each of its allocations failing in turn: it says
 * so, leaks nothing (the asan preset watches) and leaves its result alone. */
#include "tests/testing.h"

#include <string.h>

#include "common/error.h"
#include "stats/bootstrap.h"
#include "stats/exact.h"
#include "stats/group_sequential.h"
#include "stats/mean.h"
#include "stats/multiple.h"
#include "stats/quantile.h"
#include "tests/failing_alloc.h"

static const double values[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3};

/* Runs `statistic` until no allocation is left to fail, and counts the failures. */
static int fail_each(int (*statistic)(struct error *error))
{
    for (int n = 0;; n++) {
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = statistic(&error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            return n;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
}

static int winsorise(struct error *error)
{
    double c[4], t[4];
    struct winsor winsor = {.lower_share = 0.1, .upper_share = 0.9, .lower = -7};
    memcpy(c, values, sizeof c);
    memcpy(t, values + 4, sizeof t);
    const int rc = mean_winsorise(c, 4, t, 4, &winsor, error);
    if (rc != 0) {
        assert_memory_equal(c, values, sizeof c);
        assert_close(winsor.lower, -7, 0);
    }
    return rc;
}

static int quantile(struct error *error)
{
    const int32_t units[8] = {0, 0, 1, 1, 2, 2, 3, 3};
    const struct quantile_events events = {values, units, 8, 4};
    struct estimate estimate = {.value = -7};
    const int rc = quantile_estimate(&events, 0.5, QUANTILE_KERNEL, &estimate, error);
    if (rc != 0) {
        assert_close(estimate.value, -7, 0);
    }
    return rc;
}

static int barnard(struct error *error)
{
    const struct proportion_sample c = {3, 10}, t = {9, 12};
    struct exact_barnard result = {.statistic = -7};
    const int rc = exact_barnard(&c, &t, ALTERNATIVE_LESS, &result, error);
    if (rc != 0) {
        assert_close(result.statistic, -7, 0);
    }
    return rc;
}

static int bootstrap(struct error *error)
{
    const struct bootstrap_units units[2] = {{values, NULL, 0.5},
                                             {values + 4, NULL, 0.5}};
    const struct bootstrap_arm c = {&units[0], 4}, t = {&units[1], 4};
    struct bootstrap_config config = bootstrap_config_default();
    struct bootstrap_result result = {.control = -7};
    config.value = bootstrap_mean;
    config.n_replicates = 100;
    const int rc = bootstrap_bca(&c, &t, &config, &result, error);
    if (rc != 0) {
        assert_close(result.control, -7, 0);
    }
    return rc;
}

static int adjust(struct error *error)
{
    const double p[3] = {0.01, 0.02, 0.03};
    double adjusted[3] = {-7, -7, -7};
    const int rc = multiple_adjust(p, 3, CORRECTION_BH, adjusted, error);
    if (rc != 0) {
        assert_close(adjusted[0], -7, 0);
    }
    return rc;
}

static int bounds(struct error *error)
{
    const double fractions[2] = {0.5, 1};
    double of_looks[2] = {-7, -7}, spent[2];
    const struct group_sequential_plan plan = {
        fractions, 2, 0.05, SPENDING_POCOCK, 0, ALTERNATIVE_TWO_SIDED};
    const int rc = group_sequential_bounds(&plan, of_looks, spent, error);
    if (rc != 0) {
        assert_close(of_looks[0], -7, 0);
    }
    return rc;
}

static void every_failed_allocation_is_reported(void **state)
{
    (void)state;
    assert_int_equal(fail_each(winsorise), 1);
    assert_int_equal(fail_each(quantile), 1);
    assert_int_equal(fail_each(barnard), 6);
    assert_int_equal(fail_each(bootstrap), 3);
    assert_int_equal(fail_each(adjust), 1);
    assert_int_equal(fail_each(bounds), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests_name("stats memory", tests, NULL, NULL);
}
