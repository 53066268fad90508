/* The decision rule and what it rests on, over tables made by hand. */
#include "tests/testing.h"

#include "tests/made_table.h"

static struct analysis_experiment guarded(void)
{
    static const int guardrails[] = {1};
    struct analysis_experiment spec = trial_experiment(two_metrics, 2);
    spec.guardrails = guardrails;
    spec.n_guardrails = 1;
    return spec;
}

static void a_winner_with_safe_guardrails_ships(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(result->verdict, VERDICT_SHIP);
    assert_int_equal(result->metrics[1].contrasts[0].guard.state, GUARD_HOLDS);
    assert_true(result->metrics[1].contrasts[0].guard.p_value < 0.05);
    assert_false(analysis_is_gated(analysis));
    analysis_free(analysis);
}

/* Every third unit is taken out of make_table's two arms into a third, with the given
 * rate and cost. */
static struct analysis *run_three(struct analysis_experiment *spec,
                                  struct unit_table *table, double rate, double cost)
{
    static const struct analysis_arm arms[] = {
        {"control", 1 / 3.0}, {"first", 1 / 3.0}, {"second", 1 / 3.0}};
    struct rng rng;
    rng_init(&rng, 12, 0);
    for (int i = 2; i < N_UNITS; i += 3) {
        made.arm[i] = 2;
        made.values[0][i] = rng_uniform(&rng) < rate;
        made.values[1][i] = cost + 0.5 * rng_normal(&rng);
    }
    spec->arms = arms;
    spec->n_arms = 3;
    return run_made(spec, table);
}

static void what_speaks_against_other_treatments_is_said(void **state)
{
    (void)state;
    struct analysis_experiment spec = guarded();

    struct analysis *loses = run_three(&spec, make_table(0.4, 0.4, 2, 2), 0.2, 2);
    struct analysis *costs = run_three(&spec, make_table(0.4, 0.4, 2, 2), 0.4, 3);
    struct analysis *ships = run_three(&spec, make_table(0.4, 0.6, 2, 2), 0.2, 2);
    struct analysis *fine = run_three(&spec, make_table(0.4, 0.4, 2, 2), 0.4, 2);

    const struct experiment_result *result = &loses->experiments[0];
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(result, "second loses to control on satisfied"));
    assert_true(analysis_is_gated(loses));
    assert_int_equal(costs->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    assert_true(
        made_has_reason(&costs->experiments[0], "guardrail cost of second breached"));
    assert_true(analysis_is_gated(costs));
    assert_int_equal(ships->experiments[0].verdict, VERDICT_SHIP);
    assert_true(made_has_reason(&ships->experiments[0], "second loses to control"));
    assert_false(analysis_is_gated(ships));
    assert_false(made_has_reason(&fine->experiments[0], "take it out"));
    assert_false(analysis_is_gated(fine));
    analysis_free(loses);
    analysis_free(costs);
    analysis_free(ships);
    analysis_free(fine);
}

/* Every one of 40 guardrails is named. */
static void no_reason_is_dropped(void **state)
{
    (void)state;
    enum { N = 40 };
    static struct analysis_metric metrics[N + 1];
    static struct unit_metric columns[N + 1];
    static int guardrails[N];
    static char names[N + 1][16];
    struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.5, 2, 2.5);
    for (int m = 0; m <= N; m++) {
        snprintf(names[m], sizeof names[m], "m%d", m);
        metrics[m] = two_metrics[m > 0];
        metrics[m].name = names[m];
        columns[m] = made.metrics[m > 0];
        guardrails[m > 0 ? m - 1 : 0] = m;
    }
    spec.metrics = metrics;
    spec.n_metrics = N + 1;
    spec.guardrails = guardrails;
    spec.n_guardrails = N;
    table->metrics = columns;
    table->n_metrics = N + 1;

    struct analysis *analysis = run_made(&spec, table);

    for (int m = 1; m <= N; m++) {
        char sentence[32];
        snprintf(sentence, sizeof sentence, "guardrail m%d breached", m);
        assert_true(made_has_reason(&analysis->experiments[0], sentence));
    }
    analysis_free(analysis);
}

static void a_winner_that_breaks_a_guardrail_is_rolled_back(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2.5));

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(result->verdict, VERDICT_ROLL_BACK);
    assert_int_equal(result->metrics[1].contrasts[0].guard.state, GUARD_BREACHED);
    assert_true(result->is_guardrail_breached);
    assert_true(analysis_is_gated(analysis));
    assert_true(made_has_reason(result, "guardrail cost breached"));
    analysis_free(analysis);
}

/* Standard error 0.016 against a margin of 0.02 * 1: neither harm nor harmlessness. */
static void a_winner_waits_for_an_unclear_guardrail(void **state)
{
    (void)state;
    struct analysis_metric metrics[2] = {two_metrics[0], two_metrics[1]};
    metrics[1].margin = 0.005;
    struct analysis_experiment spec = guarded();
    spec.metrics = metrics;

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(result->metrics[1].contrasts[0].guard.state, GUARD_UNCLEAR);
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(result, "not every guardrail is shown to hold"));
    analysis_free(analysis);
}

/* Nobody reports a value: no number of units need make that testable. */
static void a_guardrail_that_cannot_vary_holds_nothing_back(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.5, 2, 2);
    memset(made.values[1], 0, sizeof made.values[1]);

    struct analysis *analysis = run_made(&spec, table);

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(result->metrics[1].contrasts[0].guard.state, GUARD_UNCLEAR);
    assert_false(result->metrics[1].contrasts[0].guard.holds_back);
    assert_int_equal(result->verdict, VERDICT_SHIP);
    assert_true(made_has_reason(result, "guardrail cost unclear: could not be tested: "
                                        "not one event was counted"));
    analysis_free(analysis);
}

/* A median of nine values an arm has no variance yet; more will have one. */
static void a_guardrail_with_too_little_data_holds_back(void **state)
{
    (void)state;
    static double values[18];
    static int32_t cluster[18];
    struct analysis_metric metrics[2] = {two_metrics[0], two_metrics[1]};
    struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.5, 2, 2);
    metrics[1].kind = ANALYSIS_QUANTILE;
    metrics[1].quantile = 0.99;
    spec.metrics = metrics;
    for (int i = 0; i < 18; i++) {
        cluster[i] = i;
        values[i] = i;
    }
    made.metrics[1] = (struct unit_metric){
        .cluster = cluster, .values = values, .n_values = 18, .sampled_1_in = 1};

    struct analysis *analysis = run_made(&spec, table);

    const struct experiment_result *result = &analysis->experiments[0];
    assert_int_equal(result->metrics[1].contrasts[0].guard.state, GUARD_UNCLEAR);
    assert_true(result->metrics[1].contrasts[0].guard.holds_back);
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_false(analysis_is_gated(analysis));
    analysis_free(analysis);
}

/* Nine events of ten take 2 microseconds, 3 under a slower treatment: their median has
 * no variance, and never will. */
static void expect_of_tied(double margin, double margin_absolute, bool slower_is_held)
{
    static double values[N_UNITS];
    static int32_t cluster[N_UNITS];
    struct analysis_metric metrics[2] = {two_metrics[0], two_metrics[1]};
    struct analysis_experiment spec = guarded();
    metrics[1].kind = ANALYSIS_QUANTILE;
    metrics[1].quantile = 0.5;
    metrics[1].margin = margin;
    metrics[1].margin_absolute = margin_absolute;
    spec.metrics = metrics;
    for (int slower = -1; slower <= 1; slower++) {
        struct unit_table *table = make_table(0.4, 0.5, 2, 2);
        for (int i = 0; i < N_UNITS; i++) {
            cluster[i] = i;
            values[i] = i % 10 == 0 ? 7 : 2 + (made.arm[i] ? slower : 0);
        }
        made.metrics[1] = (struct unit_metric){.cluster = cluster,
                                               .values = values,
                                               .n_values = N_UNITS,
                                               .sampled_1_in = 1};

        struct analysis *analysis = run_made(&spec, table);

        const struct experiment_result *result = &analysis->experiments[0];
        const struct guard *guard = &result->metrics[1].contrasts[0].guard;
        assert_int_equal(guard->state, GUARD_UNCLEAR);
        const bool is_held = slower > 0 && slower_is_held;
        assert_int_equal(guard->holds_back, is_held);
        assert_non_null(strstr(guard->detail, "tied at the quantile"));
        assert_int_equal(result->verdict,
                         is_held ? VERDICT_KEEP_RUNNING : VERDICT_SHIP);
        analysis_free(analysis);
    }
}

static void a_tied_quantile_holds_back_only_where_it_is_worse(void **state)
{
    (void)state;
    expect_of_tied(0, 0, true);
    expect_of_tied(0, 0.5, true);
    expect_of_tied(0.49, 0, true);
    expect_of_tied(0, 1000, false);
    expect_of_tied(0.5, 0, false); /* 3 is half more than 2 */
}

/* The fixed-horizon answer holds for one look, at the planned size; harm is acted on
 * at once. */
static void a_plan_ships_nothing_early_but_rolls_back_at_once(void **state)
{
    (void)state;
    struct analysis_experiment spec = guarded();
    spec.planned_units = 2.0 * N_UNITS;

    struct analysis *better = run_made(&spec, make_table(0.4, 0.5, 2, 2));
    struct analysis *worse = run_made(&spec, make_table(0.5, 0.4, 2, 2));

    const struct experiment_result *result = &better->experiments[0];
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(result, "4000 of the 8000 planned units are there"));
    assert_close(result->units_needed, 8000, 0);
    assert_close(
        result->days_needed,
        ceil(4000 / (4000 / (result->n_series * (double)result->series_step_us /
                             (double)TRIAL_DAY))),
        0);
    assert_int_equal(worse->experiments[0].verdict, VERDICT_ROLL_BACK);
    analysis_free(better);
    analysis_free(worse);
}

/* What non-inferiority at one look shows not hold at every look. */
static void a_guardrail_asked_often_wants_the_always_valid_answer(void **state)
{
    (void)state;
    struct analysis_metric metrics[2] = {two_metrics[0], two_metrics[1]};
    struct analysis_experiment spec = guarded();
    metrics[1].margin = 0.013;
    spec.metrics = metrics;
    struct unit_table *table = make_table(0.4, 0.6, 2, 2);

    struct analysis *once = run_made(&spec, table);
    spec.sequential = true;
    struct analysis *often = run_made(&spec, table);

    const struct guard *a = &once->experiments[0].metrics[1].contrasts[0].guard;
    const struct guard *b = &often->experiments[0].metrics[1].contrasts[0].guard;
    assert_int_equal(a->state, GUARD_HOLDS);
    assert_int_equal(b->state, GUARD_UNCLEAR);
    assert_true(b->holds_back && b->p_value > a->p_value);
    assert_int_equal(once->experiments[0].verdict, VERDICT_SHIP);
    assert_int_equal(often->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    analysis_free(once);
    analysis_free(often);
}

/* Shown to worsen by about 0.5, which a margin of 1 in the metric's own unit tolerates
 * and one of 0.3 does not. */
static void what_an_absolute_margin_tolerates_is_no_breach(void **state)
{
    (void)state;
    struct analysis_metric metrics[2] = {two_metrics[0], two_metrics[1]};
    struct analysis_experiment spec = guarded();
    metrics[1].margin = 0;
    spec.metrics = metrics;
    struct unit_table *table = make_table(0.4, 0.5, 2, 2.5);

    metrics[1].margin_absolute = 1;
    struct analysis *wide = run_made(&spec, table);
    metrics[1].margin_absolute = 0.3;
    struct analysis *narrow = run_made(&spec, table);

    const struct contrast *a = &wide->experiments[0].metrics[1].contrasts[0];
    const struct contrast *b = &narrow->experiments[0].metrics[1].contrasts[0];
    assert_true(a->fixed.p_value < 0.05);
    assert_int_equal(a->guard.state, GUARD_HOLDS);
    assert_non_null(strstr(a->guard.method, "absolute margin"));
    assert_int_equal(wide->experiments[0].verdict, VERDICT_SHIP);
    assert_int_equal(b->guard.state, GUARD_BREACHED);
    assert_int_equal(narrow->experiments[0].verdict, VERDICT_ROLL_BACK);
    analysis_free(wide);
    analysis_free(narrow);
}

static void a_winner_waits_for_the_shortest_run(void **state)
{
    (void)state;
    struct analysis_experiment spec = guarded();
    spec.minimum_time_us = 30 * TRIAL_DAY;

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    assert_int_equal(analysis->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(&analysis->experiments[0], "of the 30.0 days"));
    analysis_free(analysis);
}

/* A difference that one look would show and all looks together do not. */
static void sequential_experiments_decide_by_the_always_valid_answer(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    struct unit_table *table = make_table(0.4, 0.435, 2, 2);
    table->n_metrics = 1;

    struct analysis *fixed = run_made(&spec, table);
    spec.sequential = true;
    struct analysis *always = run_made(&spec, table);

    const struct contrast *contrast = &fixed->experiments[0].metrics[0].contrasts[0];
    assert_true(contrast->fixed.p_value < 0.05);
    assert_true(contrast->always.p_value > 0.05);
    assert_true(contrast->always.ci_lower < contrast->fixed.ci_lower);
    assert_int_equal(fixed->experiments[0].verdict, VERDICT_SHIP);
    assert_int_equal(always->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    assert_true(made_has_reason(&fixed->experiments[0], "the answers disagree"));
    assert_true(made_has_reason(&always->experiments[0], "the answers disagree"));
    analysis_free(fixed);
    analysis_free(always);
}

/* n (se reach / worth)^2, reach = 1.959964 + 0.841621. */
static void keep_running_says_how_many_days(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(two_metrics, 1);
    spec.minimum_effect = 0.01;
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    table->n_metrics = 1;

    struct analysis *analysis = run_made(&spec, table);

    const struct experiment_result *result = &analysis->experiments[0];
    const double se = result->metrics[0].contrasts[0].fixed.standard_error;
    const double ratio = se * (1.9599639845400545 + 0.8416212335729143) / 0.01;
    assert_int_equal(result->verdict, VERDICT_KEEP_RUNNING);
    assert_close(result->units_needed, ceil(N_UNITS * ratio * ratio), 0);
    assert_true(result->days_needed > 0);
    assert_true(made_has_reason(result, "more day"));
    analysis_free(analysis);
}

static void the_last_point_of_the_series_is_the_answer(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();

    struct analysis *analysis = run_made(&spec, make_table(0.4, 0.5, 2, 2));

    const struct experiment_result *result = &analysis->experiments[0];
    const struct contrast *contrast = &result->metrics[0].contrasts[0];
    const struct series_point *last = &contrast->series[result->n_series - 1];
    int64_t enrolled = 0;
    for (int i = 0; i < 2 * result->n_series; i++) {
        enrolled += result->enrolled[i];
    }
    assert_int_equal(last->n_units, N_UNITS);
    assert_int_equal(enrolled, N_UNITS);
    assert_close(last->effect_size, contrast->fixed.effect_size, 0);
    assert_close(last->ci_lower, contrast->fixed.ci_lower, 0);
    assert_close(last->always_upper, contrast->always.ci_upper, 0);
    analysis_free(analysis);
}

static void control_against_itself_is_sound_and_repeatable(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.5, 2, 2);
    struct analysis *analysis = run_made(&spec, table);

    assert_int_equal(analysis_aa(analysis, 0, table, 400, 5, NULL), 0);
    const struct aa_result first = analysis->experiments[0].aa;
    assert_int_equal(analysis_aa(analysis, 0, table, 400, 5, NULL), 0);
    const struct aa_result again = analysis->experiments[0].aa;

    assert_int_equal(first.n_splits, 400);
    assert_true(first.is_sound);
    assert_true(first.ks_p > 0.001);
    assert_close(first.rate, 0.05, 0.036); /* 99.9 % band */
    assert_int_equal(first.n_rejected, again.n_rejected);
    assert_close(first.ks_statistic, again.ks_statistic, 0);
    analysis_free(analysis);
}

static void a_cap_lowers_what_lies_above_its_quantile(void **state)
{
    (void)state;
    struct analysis_metric metrics[2] = {two_metrics[1], two_metrics[0]};
    metrics[0].cap = 0.75;
    const struct analysis_experiment spec = trial_experiment(metrics, 1);
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    for (int i = 0; i < N_UNITS; i++) {
        made.values[1][i] = i;
    }
    table->metrics = &made.metrics[1];
    table->n_metrics = 1;

    struct analysis *analysis = run_made(&spec, table);

    assert_close(made.values[1][N_UNITS - 1], 0.75 * (N_UNITS - 1), 1e-9);
    assert_close(made.values[1][10], 10, 0);
    analysis_free(analysis);
}

/* From sums the same numbers as from units. */
static void sums_give_the_same_answer_as_units(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();
    struct analysis *units = run_made(&spec, make_table(0.4, 0.5, 2, 2));
    const struct metric_result *metrics = units->experiments[0].metrics;
    const struct ratio_sum sums[] = {metrics[0].arms[0].sum, metrics[0].arms[1].sum,
                                     metrics[1].arms[0].sum, metrics[1].arms[1].sum};
    const struct evidence evidence = {0};
    struct analysis *analysis = analysis_new(&evidence, 1);
    assert_non_null(analysis);

    assert_int_equal(analysis_run_sums(analysis, 0, &spec, sums, NULL), 0);

    for (int m = 0; m < 2; m++) {
        const struct contrast *a = &analysis->experiments[0].metrics[m].contrasts[0];
        const struct contrast *b = &metrics[m].contrasts[0];
        assert_close(a->fixed.p_value, b->fixed.p_value, 0);
        assert_close(a->fixed.ci_lower, b->fixed.ci_lower, 0);
        assert_close(a->always.ci_lower, b->always.ci_lower, 0);
        assert_int_equal(a->guard.state, b->guard.state);
    }
    assert_int_equal(analysis->experiments[0].verdict, VERDICT_SHIP);
    analysis_free(units);
    analysis_free(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_winner_with_safe_guardrails_ships),
        cmocka_unit_test(what_speaks_against_other_treatments_is_said),
        cmocka_unit_test(no_reason_is_dropped),
        cmocka_unit_test(a_winner_that_breaks_a_guardrail_is_rolled_back),
        cmocka_unit_test(a_winner_waits_for_an_unclear_guardrail),
        cmocka_unit_test(a_guardrail_that_cannot_vary_holds_nothing_back),
        cmocka_unit_test(a_guardrail_with_too_little_data_holds_back),
        cmocka_unit_test(a_tied_quantile_holds_back_only_where_it_is_worse),
        cmocka_unit_test(a_plan_ships_nothing_early_but_rolls_back_at_once),
        cmocka_unit_test(a_guardrail_asked_often_wants_the_always_valid_answer),
        cmocka_unit_test(what_an_absolute_margin_tolerates_is_no_breach),
        cmocka_unit_test(a_winner_waits_for_the_shortest_run),
        cmocka_unit_test(sequential_experiments_decide_by_the_always_valid_answer),
        cmocka_unit_test(keep_running_says_how_many_days),
        cmocka_unit_test(the_last_point_of_the_series_is_the_answer),
        cmocka_unit_test(control_against_itself_is_sound_and_repeatable),
        cmocka_unit_test(a_cap_lowers_what_lies_above_its_quantile),
        cmocka_unit_test(sums_give_the_same_answer_as_units),
    };
    return cmocka_run_group_tests_name("analysis rule", tests, NULL, NULL);
}
