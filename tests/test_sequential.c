#include "tests/testing.h"

#include "common/error.h"
#include "stats/sequential.h"

static double half_width(double n, double g, double level, enum alternative alternative)
{
    const struct sequential_look look = {0, 1, n};
    struct interval i;
    assert_int_equal(sequential_interval(&look, g, level, alternative, &i, NULL), 0);
    return alternative == ALTERNATIVE_LESS ? i.upper : -i.lower;
}

/* Python 3.11, math: sqrt((t+g)/t log((t+g)/(g a^2))) and sqrt(2(t+g)/t
 * log1p(sqrt((t+g)/g)
 * /(2a))) at t = 5000, g = 800, a = 0.05. */
static void half_widths_are_the_formula(void **state)
{
    (void)state;
    assert_close(half_width(5000, 800, 0.95, ALTERNATIVE_TWO_SIDED), 3.0410624095092977,
                 1e-13);
    assert_close(half_width(5000, 800, 0.95, ALTERNATIVE_GREATER), 2.779309320659402,
                 1e-13);
    assert_close(half_width(5000, 800, 0.95, ALTERNATIVE_LESS),
                 half_width(5000, 800, 0.95, ALTERNATIVE_GREATER), 0);
}

/* scipy 1.10.1: 10000 / (-lambertw(-0.0025 / e, -1) - 1) = 1217.7349; and a search. */
static void tuned_sequence_is_narrowest_where_planned(void **state)
{
    (void)state;
    const double planned = 10000, g = sequential_tune(planned, 0.05);
    const double best = half_width(planned, g, 0.95, ALTERNATIVE_TWO_SIDED);
    assert_close(g, 1217.734886986569, 1e-8);
    for (int i = 50; i < 200; i++) {
        const double factor = i / 100.0;
        assert_true(half_width(planned, g * factor, 0.95, ALTERNATIVE_TWO_SIDED) >=
                    best - 1e-12);
    }
    assert_true(isnan(sequential_tune(planned, 0)));
    assert_true(isnan(sequential_tune(-1, 0.05)));
}

static void sequence_is_wider_than_the_fixed_interval(void **state)
{
    (void)state;
    for (int i = 1; i < 10; i++) {
        const double n = pow(10, i);
        assert_true(half_width(n, 1000, 0.95, ALTERNATIVE_TWO_SIDED) > 1.96);
        assert_true(half_width(n, 1000, 0.95, ALTERNATIVE_GREATER) > 1.645);
    }
}

/* The p-value is the level whose interval just touches 0. */
static void p_inverts_the_interval(void **state)
{
    (void)state;
    const enum alternative alternatives[] = {ALTERNATIVE_TWO_SIDED,
                                             ALTERNATIVE_GREATER};
    const struct sequential_look look = {0.08, 0.02, 5000};
    for (size_t k = 0; k < 2; k++) {
        struct tail_p p;
        struct interval i;
        assert_int_equal(sequential_p(&look, 800, alternatives[k], &p, NULL), 0);
        assert_int_equal(
            sequential_interval(&look, 800, 1 - p.p_value, alternatives[k], &i, NULL),
            0);
        assert_close(i.lower, 0, 1e-9);
    }
}

static void swapping_arms_changes_only_the_side(void **state)
{
    (void)state;
    const struct sequential_look up = {0.08, 0.02, 5000}, down = {-0.08, 0.02, 5000};
    struct tail_p a, b;
    assert_int_equal(sequential_p(&up, 800, ALTERNATIVE_GREATER, &a, NULL), 0);
    assert_int_equal(sequential_p(&down, 800, ALTERNATIVE_LESS, &b, NULL), 0);
    assert_close(a.p_value, b.p_value, 0);
    assert_int_equal(sequential_p(&up, 800, ALTERNATIVE_LESS, &b, NULL), 0);
    assert_close(b.p_value, 1, 0);
}

/* mSPRT with tau^2 = t se^2 / g is the confidence sequence (sequential.h). */
static void mixture_ratio_is_the_confidence_sequence(void **state)
{
    (void)state;
    const struct sequential_look look = {0.08, 0.02, 5000};
    const double g = 800, tau = look.standard_error * sqrt(look.n_units / g);
    struct tail_p p;
    assert_int_equal(sequential_p(&look, g, ALTERNATIVE_TWO_SIDED, &p, NULL), 0);
    assert_close(-sequential_log_mixture_ratio(&look, tau) / log(10), p.log10_p_value,
                 1e-13);
    /* The definition: the average over N(0, tau^2) of the likelihood ratio. */
    double mixture = 0;
    const double step = 0.001 * tau;
    for (int i = -10000; i <= 10000; i++) {
        const double theta = i * step, v = look.standard_error * look.standard_error;
        mixture += step * exp(-0.5 * theta * theta / (tau * tau)) /
                   (tau * 2.5066282746310002) *
                   exp((look.effect_size * theta - 0.5 * theta * theta) / v);
    }
    assert_close(sequential_log_mixture_ratio(&look, tau), log(mixture), 1e-9);
    assert_true(isnan(sequential_log_mixture_ratio(&look, 0)));
}

static void overwhelming_evidence_keeps_its_logarithm(void **state)
{
    (void)state;
    const struct sequential_look look = {1, 1e-3, 1e6};
    struct tail_p p;
    assert_int_equal(sequential_p(&look, 1000, ALTERNATIVE_GREATER, &p, NULL), 0);
    assert_close(p.p_value, 0, 0);
    assert_true(isfinite(p.log10_p_value) && p.log10_p_value < -1e5);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const struct sequential_look bad[] = {
        {1, 0, 10}, {1, -1, 10}, {(double)NAN, 1, 10}, {1, 1, 0}, {1, INFINITY, 10}};
    const struct sequential_look good = {1, 1, 10};
    struct interval i;
    struct tail_p p;
    struct error error = {0};
    for (size_t k = 0; k < sizeof bad / sizeof bad[0]; k++) {
        assert_int_equal(
            sequential_interval(&bad[k], 1, 0.95, ALTERNATIVE_LESS, &i, &error), -1);
        assert_int_equal(error.code, ERROR_INVALID);
    }
    assert_int_equal(sequential_p(&good, 0, ALTERNATIVE_LESS, &p, &error), -1);
    assert_int_equal(sequential_interval(&good, 1, 1, ALTERNATIVE_LESS, &i, &error),
                     -1);
}

/* However far the mixture is from the effect: ln ratio = z^2/2 - ln(tau/se). */
static void mixture_ratio_survives_a_tau_beyond_any_effect(void **state)
{
    (void)state;
    const struct sequential_look look = {
        .effect_size = 3e-10, .standard_error = 1e-10, .n_units = 100};

    assert_close(sequential_log_mixture_ratio(&look, 1e300), 4.5 - 310 * log(10),
                 1e-10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(mixture_ratio_survives_a_tau_beyond_any_effect),
        cmocka_unit_test(half_widths_are_the_formula),
        cmocka_unit_test(tuned_sequence_is_narrowest_where_planned),
        cmocka_unit_test(sequence_is_wider_than_the_fixed_interval),
        cmocka_unit_test(p_inverts_the_interval),
        cmocka_unit_test(swapping_arms_changes_only_the_side),
        cmocka_unit_test(mixture_ratio_is_the_confidence_sequence),
        cmocka_unit_test(overwhelming_evidence_keeps_its_logarithm),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("sequential", tests, NULL, NULL);
}
