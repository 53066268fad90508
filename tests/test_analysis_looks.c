/* What holds at several looks, over tables made by hand. */
#include "tests/testing.h"

#include "stats/sequential.h"
#include "tests/made_table.h"

static struct analysis_experiment planned_experiment(double planned_units)
{
    struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    spec.planned_units = planned_units;
    spec.n_looks = 5;
    spec.has_spending = true;
    spec.spending = SPENDING_OBRIEN_FLEMING;
    return spec;
}

static const struct planned_looks *planned_of(const struct analysis *analysis)
{
    return &analysis->experiments[0].metrics[0].contrasts[0].planned;
}

/* Bounds as of R's gsDesign and ldbounds: docs/stat.md, held there against them. */
static void looks_have_the_bounds_of_their_plan(void **state)
{
    (void)state;
    const double bounds[] = {4.8768849, 3.3570119, 2.68028, 2.2898168, 2.0310321};
    const struct analysis_experiment spec = planned_experiment(N_UNITS);

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.4, 2, 2));

    const struct planned_looks *planned = planned_of(analysis);
    assert_int_equal(planned->n_looks, 5);
    assert_int_equal(planned->n_reached, 5);
    for (int k = 0; k < 5; k++) {
        assert_close(planned->looks[k].bound, bounds[k], 1e-6);
        assert_int_equal(planned->looks[k].n_units, N_UNITS / 5 * (k + 1));
        assert_true(planned->looks[k].is_reached);
    }
    assert_close(planned->looks[4].statistic,
                 analysis->experiments[0].metrics[0].contrasts[0].fixed.statistic, 0);
    assert_close(planned->looks[4].spent, 0.05, 1e-12);
    analysis_free(analysis);
}

/* At 40 % of the plan: two looks are reached, and the second crosses. */
static void a_crossed_look_ships_before_the_plan_is_over(void **state)
{
    (void)state;
    struct analysis_experiment spec = planned_experiment(2.5 * N_UNITS);

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(planned_of(analysis)->n_reached, 2);
    assert_int_equal(planned_of(analysis)->crossed_at, 2);
    assert_int_equal(result->verdict, VERDICT_SHIP);
    assert_non_null(strstr(result->headline, "a planned look crossed its bound"));
    assert_true(made_has_reason(result, "2 of 5 looks reached"));
    analysis_free(analysis);
}

/* Between looks nothing is decided, however small p becomes. */
static void between_looks_nothing_is_decided(void **state)
{
    (void)state;
    struct analysis_experiment spec = planned_experiment(6.0 * N_UNITS);

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    const struct experiment_result *result = &analysis->experiments[0];
    assert_true(result->metrics[0].contrasts[0].fixed.p_value < 1e-6);
    assert_int_equal(planned_of(analysis)->n_reached, 0);
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(result, "none is reached yet; the next is at 4800"));
    assert_true(made_has_reason(result, "the answers disagree") == false ||
                made_has_reason(result, "their bounds decide"));
    assert_close(result->units_needed, 6.0 * N_UNITS, 0);
    analysis_free(analysis);
}

static void units_beyond_the_plan_come_too_late(void **state)
{
    (void)state;
    struct analysis_experiment spec = planned_experiment(N_UNITS / 2.0);
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    for (int i = N_UNITS / 2; i < N_UNITS; i++) {
        made.values[0][i] = i % 2; /* the treatment works, but only now */
    }

    struct analysis *analysis = run_made(&spec, table);

    const struct experiment_result *result = &analysis->experiments[0];
    assert_true(result->metrics[0].contrasts[0].fixed.p_value < 1e-6);
    assert_int_equal(planned_of(analysis)->n_reached, 5);
    assert_int_equal(planned_of(analysis)->crossed_at, 0);
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    analysis_free(analysis);
}

/* Three arms: each treatment has half of alpha, and O'Brien-Fleming's last bound of
 * five at 0.025 is 2.2982 (Lan-DeMets; `abtest stat`). */
static void treatments_share_alpha(void **state)
{
    (void)state;
    static const struct analysis_arm arms[] = {{"a", 0.5}, {"b", 0.25}, {"c", 0.25}};
    struct analysis_experiment spec = planned_experiment(N_UNITS);
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    spec.arms = arms;
    spec.n_arms = 3;
    for (int i = 1; i < N_UNITS; i += 4) {
        made.arm[i] = 2;
    }

    struct analysis *analysis = run_made(&spec, table);

    assert_close(planned_of(analysis)->alpha, 0.025, 0);
    assert_close(planned_of(analysis)->looks[4].spent, 0.025, 1e-12);
    assert_true(planned_of(analysis)->looks[4].bound > 2.25);
    analysis_free(analysis);
}

static void looks_want_a_plan(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    spec.n_looks = 5;

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.4, 2, 2));

    assert_null(planned_of(analysis)->method);
    assert_non_null(strstr(planned_of(analysis)->why_not, "planned_units"));
    analysis_free(analysis);
}

/* ratio = sqrt(V/(V+T)) exp(z^2/2 T/(V+T)) at tau = minimum_effect; without one the
 * same p as the confidence sequence, at the last look at least. */
static void msprt_is_the_smallest_so_far(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    struct unit_table *table = make_table(0.4, 0.47, 2, 2);
    struct analysis *tuned = run_made(&spec, table);
    spec.minimum_effect = 0.05;

    struct analysis *planned = run_made(&spec, table);

    const struct contrast *contrast = &planned->experiments[0].metrics[0].contrasts[0];
    const double v = pow(contrast->always.standard_error, 2), t = 0.05 * 0.05;
    const double z = contrast->always.statistic;
    const double last = sqrt((v + t) / v) * exp(-z * z / 2 * t / (v + t));
    assert_close(contrast->mixture.tau, 0.05, 0);
    assert_true(contrast->mixture.p_value <= last * (1 + 1e-12));
    const struct contrast *same = &tuned->experiments[0].metrics[0].contrasts[0];
    assert_true(same->mixture.p_value <= same->always.p_value * (1 + 1e-12));
    if (same->mixture.n_units == N_UNITS) {
        assert_close(same->mixture.p_value, same->always.p_value, 1e-12);
    }
    analysis_free(planned);
    analysis_free(tuned);
}

/* An effect of the first 1,500 units that then went away: mSPRT remembers. */
static void msprt_remembers_what_the_last_look_does_not_show(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    for (int i = 0; i < N_UNITS; i++) {
        made.values[0][i] = i < 1500 ? i % 2 : 1 - i % 2;
    }

    struct analysis *analysis = run_made(&spec, table);

    const struct contrast *contrast = &analysis->experiments[0].metrics[0].contrasts[0];
    assert_true(contrast->mixture.p_value < 1e-6);
    assert_true(contrast->mixture.n_units < N_UNITS);
    analysis_free(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_have_the_bounds_of_their_plan),
        cmocka_unit_test(a_crossed_look_ships_before_the_plan_is_over),
        cmocka_unit_test(between_looks_nothing_is_decided),
        cmocka_unit_test(units_beyond_the_plan_come_too_late),
        cmocka_unit_test(treatments_share_alpha),
        cmocka_unit_test(looks_want_a_plan),
        cmocka_unit_test(msprt_is_the_smallest_so_far),
        cmocka_unit_test(msprt_remembers_what_the_last_look_does_not_show),
    };
    return cmocka_run_group_tests_name("analysis looks", tests, NULL, NULL);
}
