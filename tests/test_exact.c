#include "tests/testing.h"

#include "common/error.h"
#include "stats/exact.h"

struct table {
    struct proportion_sample control, treatment;
    double two_sided, greater, less;
};

static double fisher(const struct table *t, enum alternative alternative)
{
    struct tail_p p;
    assert_int_equal(exact_fisher(&t->control, &t->treatment, alternative, &p, NULL),
                     0);
    return p.p_value;
}

static struct exact_barnard barnard(const struct table *t, enum alternative alternative)
{
    struct exact_barnard b;
    assert_int_equal(exact_barnard(&t->control, &t->treatment, alternative, &b, NULL),
                     0);
    return b;
}

/* R 4.2.2 fisher.test and scipy 1.10.1 fisher_exact. */
static void fisher_matches_r_and_scipy(void **state)
{
    (void)state;
    static const struct table tables[] = {
        {{3, 10}, {9, 12}, 0.0835573095635015, 0.045606096689688, 0.995219950328309},
        {{1, 8}, {7, 9}, 0.0152200740436035, 0.0122171945701358, 0.999629781982723},
        {{0, 5}, {5, 6}, 0.0151515151515151, 0.012987012987013, 1},
        {{132, 294}, {226, 316}, 3.42505602976115e-11, 1.71842243015442e-11, 1},
        {{12, 4000},
         {31, 4100},
         0.00542904140307369,
         0.00337507600532882,
         0.998782179539955},
        {{5, 20}, {5, 20}, 1, 0.641786722431884, 0.641786722431884},
        {{2, 7}, {1, 9}, 0.55, 0.9375, 0.4},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const struct table *t = &tables[i];
        assert_close(fisher(t, ALTERNATIVE_TWO_SIDED) / t->two_sided, 1, 1e-11);
        assert_close(fisher(t, ALTERNATIVE_GREATER) / t->greater, 1, 1e-11);
        assert_close(fisher(t, ALTERNATIVE_LESS) / t->less, 1, 1e-10);
    }
}

/* scipy 1.10.1 barnard_exact(pooled = True, n = 64). */
static void barnard_matches_scipy(void **state)
{
    (void)state;
    static const struct table tables[] = {
        {{3, 10}, {9, 12}, 0.04624748229980469, 0.023182929881624924, 1},
        {{1, 8}, {7, 9}, 0.008880615234374998, 0.0044777846826051255, 1},
        {{0, 5}, {5, 6}, 0.006835937500000007, 0.0035018860605774654, 1},
        {{2, 7}, {1, 9}, 0.5572705156612614, 1, 0.2977237584273084},
        {{5, 20}, {5, 20}, 1, 1, 1},
    };
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const struct table *t = &tables[i];
        assert_close(barnard(t, ALTERNATIVE_TWO_SIDED).p.p_value, t->two_sided, 1e-8);
        assert_close(barnard(t, ALTERNATIVE_GREATER).p.p_value, t->greater, 1e-8);
        assert_close(barnard(t, ALTERNATIVE_LESS).p.p_value, t->less, 1e-8);
    }
    assert_close(barnard(&tables[0], ALTERNATIVE_TWO_SIDED).statistic,
                 2.110687091920543, 1e-13);
}

/* The definition, written out: every table, a grid of rates. */
static double barnard_by_definition(const struct table *t)
{
    const double n_c = (double)t->control.n_trials, n_t = (double)t->treatment.n_trials;
    const double z = barnard(t, ALTERNATIVE_TWO_SIDED).statistic;
    double worst = 0;
    for (int k = 1; k < 1000; k++) {
        const double rate = k / 1000.0;
        double total = 0;
        for (int i = 0; i <= (int)n_c; i++) {
            for (int j = 0; j <= (int)n_t; j++) {
                const double x = i, y = j;
                const double p = (x + y) / (n_c + n_t);
                const double variance = p * (1 - p) * (1 / n_c + 1 / n_t);
                const double here =
                    variance > 0 ? (y / n_t - x / n_c) / sqrt(variance) : 0;
                if (fabs(here) >= fabs(z) - 1e-7) {
                    total +=
                        exp(lgamma(n_c + 1) - lgamma(x + 1) - lgamma(n_c - x + 1) +
                            lgamma(n_t + 1) - lgamma(y + 1) - lgamma(n_t - y + 1) +
                            (x + y) * log(rate) + (n_c + n_t - x - y) * log(1 - rate));
                }
            }
        }
        worst = fmax(worst, total);
    }
    return worst;
}

static void barnard_is_its_definition(void **state)
{
    (void)state;
    static const struct table tables[] = {{{3, 17}, {11, 23}, 0, 0, 0},
                                          {{0, 9}, {4, 31}, 0, 0, 0},
                                          {{6, 6}, {2, 11}, 0, 0, 0}};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        const double p = barnard(&tables[i], ALTERNATIVE_TWO_SIDED).p.p_value;
        const double by_definition = barnard_by_definition(&tables[i]);
        assert_true(p >= by_definition - 1e-12);
        assert_close(p / by_definition, 1, 1e-4);
    }
}

static void swapping_arms_swaps_the_sides(void **state)
{
    (void)state;
    static const struct table forth = {{3, 10}, {9, 12}, 0, 0, 0},
                              back = {{9, 12}, {3, 10}, 0, 0, 0};

    assert_close(fisher(&forth, ALTERNATIVE_TWO_SIDED),
                 fisher(&back, ALTERNATIVE_TWO_SIDED), 1e-13);
    assert_close(fisher(&forth, ALTERNATIVE_GREATER), fisher(&back, ALTERNATIVE_LESS),
                 1e-13);
    assert_close(barnard(&forth, ALTERNATIVE_GREATER).p.p_value,
                 barnard(&back, ALTERNATIVE_LESS).p.p_value, 1e-9);
    assert_close(barnard(&forth, ALTERNATIVE_TWO_SIDED).p.p_value,
                 barnard(&back, ALTERNATIVE_TWO_SIDED).p.p_value, 1e-9);
}

static void edges_have_answers(void **state)
{
    (void)state;
    static const struct table none = {{0, 10}, {0, 20}, 0, 0, 0},
                              all = {{10, 10}, {20, 20}, 0, 0, 0},
                              one = {{1, 1}, {0, 1}, 0, 0, 0},
                              far = {{0, 5000}, {5000, 5000}, 0, 0, 0};

    assert_true(isnan(fisher(&none, ALTERNATIVE_TWO_SIDED)));
    assert_true(isnan(fisher(&all, ALTERNATIVE_LESS)));
    assert_close(fisher(&one, ALTERNATIVE_TWO_SIDED), 1, 1e-12);
    assert_true(isnan(barnard(&none, ALTERNATIVE_TWO_SIDED).p.p_value));
    assert_close(barnard(&one, ALTERNATIVE_TWO_SIDED).p.p_value, 0.5, 1e-9);
    struct tail_p p;
    assert_int_equal(
        exact_fisher(&far.control, &far.treatment, ALTERNATIVE_GREATER, &p, NULL), 0);
    /* The single table out of choose(10000, 5000): lgamma in Python 3.11. */
    assert_close(p.log10_p_value, -3008.2018858439283, 1e-9);
}

static void too_many_units_are_refused(void **state)
{
    (void)state;
    const struct proportion_sample huge = {1, 1000000000000000}, good = {1, 10},
                                   bad = {2, 1};
    struct tail_p p;
    struct exact_barnard b;
    struct error error = {0};

    assert_int_equal(exact_fisher(&good, &huge, ALTERNATIVE_LESS, &p, &error), -1);
    assert_int_equal(exact_barnard(&huge, &good, ALTERNATIVE_LESS, &b, &error), -1);
    assert_int_equal(exact_fisher(&bad, &good, ALTERNATIVE_LESS, &p, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
}

/* Fractions and mpmath 1.2.1 at 40 digits over a grid of 2,000 rates, then golden
 * section; the first two also scipy 1.10.1 barnard_exact(n = 512). The far table of
 * 600 units an arm is certain to be the farthest: p = 2 max q^600 (1 - q)^600. */
static void barnard_keeps_its_digits_far_in_the_tail(void **state)
{
    (void)state;
    const struct {
        struct proportion_sample control, treatment;
        double p;
    } tables[] = {{{49, 55}, {0, 55}, 2.8714226181989003e-25},
                  {{0, 200}, {108, 180}, 1.2070600907788996e-41},
                  {{0, 37}, {34, 36}, 2.9010878443459787e-19}};
    struct exact_barnard r;
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        assert_int_equal(exact_barnard(&tables[i].control, &tables[i].treatment,
                                       ALTERNATIVE_TWO_SIDED, &r, NULL),
                         0);
        assert_close(r.p.p_value / tables[i].p, 1, 1e-11);
    }
    const struct proportion_sample none = {0, 600}, all = {600, 600};
    assert_int_equal(exact_barnard(&none, &all, ALTERNATIVE_TWO_SIDED, &r, NULL), 0);
    assert_close(r.p.p_value, 0, 0);
    assert_close(r.p.log10_p_value, log10(2) - 1200 * log10(2), 1e-9);
    assert_int_equal(exact_barnard(&none, &all, ALTERNATIVE_GREATER, &r, NULL), 0);
    assert_close(r.p.log10_p_value, -1200 * log10(2), 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(barnard_keeps_its_digits_far_in_the_tail),
        cmocka_unit_test(fisher_matches_r_and_scipy),
        cmocka_unit_test(barnard_matches_scipy),
        cmocka_unit_test(barnard_is_its_definition),
        cmocka_unit_test(swapping_arms_swaps_the_sides),
        cmocka_unit_test(edges_have_answers),
        cmocka_unit_test(too_many_units_are_refused),
    };
    return cmocka_run_group_tests_name("exact", tests, NULL, NULL);
}
