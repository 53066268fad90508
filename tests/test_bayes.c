#include "tests/testing.h"

#include "common/error.h"
#include "stats/bayes.h"

static const struct beta_prior uniform = {1, 1}, jeffreys = {0.5, 0.5};

static struct bayes_proportions
compare(struct proportion_sample c, struct proportion_sample t, struct beta_prior prior)
{
    struct bayes_proportions r;
    assert_int_equal(bayes_proportions(&c, &t, prior, 0.95, &r, NULL), 0);
    return r;
}

/* R 4.2.2: integrate() over dbeta and pbeta, uniroot for the interval, qbeta. */
static void small_counts_match_r(void **state)
{
    (void)state;
    const struct bayes_proportions r = compare(
        (struct proportion_sample){4, 20}, (struct proportion_sample){8, 20}, uniform);

    assert_true(r.is_closed_form);
    assert_close(r.p_better, 0.90952803708508, 1e-12);
    assert_close(r.loss_if_treatment, 0.0058492386475297, 1e-10);
    assert_close(r.loss_if_control, 0.18766742046571, 1e-10);
    assert_close(r.effect_mean, 9.0 / 22 - 5.0 / 22, 1e-15);
    assert_close(r.effect.lower, -0.086684085667307, 1e-9);
    assert_close(r.effect.upper, 0.44067354368527, 1e-9);
    assert_close(r.control.lower, 0.082175875593023, 1e-12);
    assert_close(r.control.upper, 0.41906604118353, 1e-12);
}

static void als_against_bpr_matches_r(void **state)
{
    (void)state;
    const struct bayes_proportions r =
        compare((struct proportion_sample){132, 294},
                (struct proportion_sample){226, 316}, uniform);

    assert_close(1 - r.p_better, 1 - 0.9999999999895, 1e-12);
    assert_close(r.effect.lower, 0.18857001081682, 1e-9);
    assert_close(r.effect.upper, 0.33898618437515, 1e-9);
    assert_close(r.treatment.lower, 0.66301048038196, 1e-12);
    assert_close(r.treatment.upper, 0.76211492765217, 1e-12);
}

/* Fractions of a success, which the finite sum cannot take; R's integrate(). */
static void jeffreys_prior_is_integrated(void **state)
{
    (void)state;
    const struct bayes_proportions r = compare(
        (struct proportion_sample){4, 20}, (struct proportion_sample){8, 20}, jeffreys);
    assert_false(r.is_closed_form);
    assert_close(r.p_better, 0.91680089562693, 1e-9);
    assert_close(r.effect.lower, -0.081527823389165, 1e-9);
    assert_close(r.effect.upper, 0.45261390071381, 1e-9);

    const struct bayes_proportions poles = compare(
        (struct proportion_sample){0, 10}, (struct proportion_sample){0, 5}, jeffreys);
    assert_close(poles.p_better, 0.60440663373118, 1e-6);
}

static void swapping_arms_and_outcomes_is_symmetric(void **state)
{
    (void)state;
    const struct proportion_sample a = {4, 20}, b = {30, 90}, not_a = {16, 20},
                                   not_b = {60, 90};
    const struct bayes_proportions ab = compare(a, b, uniform),
                                   ba = compare(b, a, uniform),
                                   failures = compare(not_a, not_b, uniform);

    assert_close(ab.p_better + ba.p_better, 1, 1e-12);
    assert_close(ab.loss_if_treatment, ba.loss_if_control, 1e-12);
    assert_close(ab.p_better + failures.p_better, 1, 1e-12);
    assert_close(ab.effect.lower, -ba.effect.upper, 1e-8);
    assert_close(ab.loss_if_control - ab.loss_if_treatment, ab.effect_mean, 1e-12);
}

static void edges_work(void **state)
{
    (void)state;
    const struct proportion_sample none = {0, 0}, fail = {0, 50}, all = {50, 50};
    assert_close(compare(none, none, uniform).p_better, 0.5, 1e-12);
    assert_close(compare(fail, fail, uniform).p_better, 0.5, 1e-12);
    /* The smallest of Beta(51,1) against the largest of Beta(1,51): 51!51!/102!. */
    assert_close(log(compare(all, fail, uniform).p_better),
                 2 * lgamma(52) - lgamma(103), 1e-9);
}

/* Around the switch to the Gaussian the numbers must not jump. */
static void large_counts_are_gaussian_without_a_jump(void **state)
{
    (void)state;
    const struct bayes_proportions below =
        compare((struct proportion_sample){999000, 4000000},
                (struct proportion_sample){1000000, 4000000}, uniform);
    const struct bayes_proportions above =
        compare((struct proportion_sample){1000000, 4000000},
                (struct proportion_sample){1001000, 4000000}, uniform);
    assert_true(below.is_closed_form);
    assert_false(above.is_closed_form);
    assert_close(below.p_better, above.p_better, 2e-4);
    assert_close(below.loss_if_treatment / above.loss_if_treatment, 1, 5e-3);
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const struct proportion_sample good = {1, 2}, bad = {3, 2}, odd = {1, 0},
                                   huge = {1, 2000000000000};
    const struct beta_prior wrong = {0, 1};
    struct bayes_proportions r;
    struct bayes_effect e;
    struct error error = {0};
    assert_int_equal(bayes_proportions(&bad, &good, uniform, 0.95, &r, &error), -1);
    assert_int_equal(bayes_proportions(&odd, &good, uniform, 0.95, &r, &error), -1);
    assert_int_equal(bayes_proportions(&good, &good, wrong, 0.95, &r, &error), -1);
    assert_int_equal(bayes_proportions(&good, &good, uniform, 1, &r, &error), -1);
    assert_int_equal(bayes_proportions(&good, &huge, uniform, 0.95, &r, &error), -1);
    assert_int_equal(error.code, ERROR_NUMERIC);
    assert_int_equal(bayes_effect(1, 0, 0, 1, 0.95, &e, &error), -1);
    assert_int_equal(bayes_effect(1, 1, 0, 0, 0.95, &e, &error), -1);
}

/* Conjugacy: precisions add up. E[max(D, 0)] of N(0, 1) is 1 / sqrt(2 pi). */
static void gaussian_posterior_is_conjugate(void **state)
{
    (void)state;
    struct bayes_effect flat, half, centred;
    assert_int_equal(bayes_effect(0.2, 0.1, 0, INFINITY, 0.95, &flat, NULL), 0);
    assert_close(flat.mean, 0.2, 1e-15);
    assert_close(flat.sd, 0.1, 1e-15);
    assert_close(flat.p_better, 0.97724986805182079, 1e-14); /* R pnorm(2) */
    assert_close(flat.effect.lower, 0.2 - 0.1 * 1.959963984540054, 1e-13);

    assert_int_equal(bayes_effect(0.2, 0.1, 0.1, 0.1, 0.95, &half, NULL), 0);
    assert_close(half.mean, 0.15, 1e-15);
    assert_close(half.sd, 0.1 / sqrt(2), 1e-15);

    assert_int_equal(bayes_effect(0, 1, 0, INFINITY, 0.95, &centred, NULL), 0);
    assert_close(centred.loss_if_treatment, 0.3989422804014327, 1e-15);
    assert_close(centred.loss_if_control, 0.3989422804014327, 1e-15);
}

/* mpmath 1.2.1: the control's density times min(1, x + d)^(n + 1), adaptively with the
 * kink as a break. A treatment that always succeeds rises within 1/n of it. */
static void credible_difference_holds_when_every_unit_succeeded(void **state)
{
    (void)state;
    const struct {
        struct proportion_sample control, treatment;
        double level, lower, upper;
    } cases[] = {
        {{62, 229}, {419, 419}, 0.999, 0.6227338408246474, 0.8142819561887916},
        {{258, 832}, {773, 773}, 0.95, 0.6562463110059761, 0.7191992902943398}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct bayes_proportions r, mirror;
        const struct proportion_sample *c = &cases[i].control, *t = &cases[i].treatment;
        assert_int_equal(bayes_proportions(c, t, uniform, cases[i].level, &r, NULL), 0);
        assert_close(r.effect.lower, cases[i].lower, 1e-10);
        assert_close(r.effect.upper, cases[i].upper, 1e-10);
        assert_int_equal(
            bayes_proportions(t, c, uniform, cases[i].level, &mirror, NULL), 0);
        assert_close(mirror.effect.lower, -r.effect.upper, 1e-10);
        assert_close(mirror.effect.upper, -r.effect.lower, 1e-10);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(credible_difference_holds_when_every_unit_succeeded),
        cmocka_unit_test(small_counts_match_r),
        cmocka_unit_test(als_against_bpr_matches_r),
        cmocka_unit_test(jeffreys_prior_is_integrated),
        cmocka_unit_test(swapping_arms_and_outcomes_is_symmetric),
        cmocka_unit_test(edges_work),
        cmocka_unit_test(large_counts_are_gaussian_without_a_jump),
        cmocka_unit_test(nonsense_is_refused),
        cmocka_unit_test(gaussian_posterior_is_conjugate),
    };
    return cmocka_run_group_tests_name("bayes", tests, NULL, NULL);
}
