/* Covariates that take out variance, and segments: what was known of the units before.
 */
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

static void covariates_take_out_what_they_explain(void **state)
{
    (void)state;
    struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.5, 2, 2.1);
    static double skill[N_UNITS];
    const char *names[] = {"skill"};
    double *values[] = {skill};
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < N_UNITS; i++) {
        skill[i] = i % 5 ? made.values[1][i] - 0.1 * (i % 2) + 0.1 * rng_normal(&rng)
                         : (double)NAN; /* not known of every fifth */
    }
    table->covariates = (struct unit_covariates){1, names, values};

    struct analysis *analysis = run_made(&spec, table);

    const struct contrast *cost = &analysis->experiments[0].metrics[1].contrasts[0];
    assert_true(cost->adjusted.is_testable);
    assert_true(cost->variance_reduction > 0.6 && cost->variance_reduction < 0.9);
    assert_close(cost->adjusted.effect_size, 0.1, 0.04);
    assert_true(cost->adjusted.standard_error < cost->fixed.standard_error);
    assert_string_equal(analysis->experiments[0].covariates, "skill");
    analysis_free(analysis);
}

/* The other metric before the first exposure takes out what a column of the same
 * numbers would. */
static void what_other_metrics_were_before_adjusts(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();
    static double skill[N_UNITS];
    const char *names[] = {"skill"};
    double *values[] = {skill};
    struct unit_table *table = make_table(0.4, 0.5, 2, 2.1);
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int i = 0; i < N_UNITS; i++) {
        skill[i] = made.values[0][i] + 0.5 * rng_normal(&rng);
    }
    table->covariates = (struct unit_covariates){1, names, values};
    struct analysis *column = run_made(&spec, table);
    table->covariates.n = 0;
    made.metrics[1].before = skill;

    struct analysis *before = run_made(&spec, table);

    const struct contrast *expected = &column->experiments[0].metrics[0].contrasts[0],
                          *got = &before->experiments[0].metrics[0].contrasts[0];
    assert_true(got->variance_reduction > 0.4);
    assert_close(got->variance_reduction, expected->variance_reduction, 1e-12);
    assert_close(got->adjusted.effect_size, expected->adjusted.effect_size, 1e-12);
    assert_int_equal(got->n_adjustments, 0); /* none of another metric alone */
    assert_string_equal(before->experiments[0].covariates,
                        "all metrics before the first exposure");
    analysis_free(column);
    analysis_free(before);
}

static void segments_are_compared_and_their_difference_tested(void **state)
{
    (void)state;
    const struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    static int group[N_UNITS];
    const char *groups[] = {"new", "known"};
    for (int i = 0; i < N_UNITS; i++) {
        group[i] = i / 2 % 2;
        if (group[i] == 1 && i % 2 == 1 && i % 3 == 0) {
            made.values[0][i] = 1; /* the treatment works for the known only */
        }
    }
    const struct unit_segments segments = {"visits", 2, groups, group, false};
    table->segments = &segments;
    table->n_segments = 1;

    struct analysis *analysis = run_made(&spec, table);

    const struct segmentation *visits = &analysis->experiments[0].segmentations[0];
    assert_int_equal(visits->n_groups, 2);
    assert_int_equal(visits->groups[0].arm_units[0] + visits->groups[0].arm_units[1],
                     N_UNITS / 2);
    assert_true(visits->groups[1].p_adjusted[0] < 1e-6);
    assert_true(visits->groups[0].p_adjusted[0] > 0.001);
    assert_true(visits->heterogeneity[0].p_value < 0.001);
    analysis_free(analysis);
}

/* Four cells of 1,000 units, two groups in two arms, each with the values 0, 1, ...
 * 999, 1,000 more in the second group and 10 more under treatment. So a quantile is
 * shifted by 10 in both; a median's standard error is 999 sqrt(0.25 / 999) in a cell,
 * for the bounds are as many ranks apart as values. */
static void segments_compare_what_does_not_follow_from_sums(void **state)
{
    (void)state;
    static const char *const names[] = {"delta method, order statistics",
                                        "Yuen t-test of trimmed means",
                                        "Welch t-test of winsorised means"};
    const struct analysis_metric metrics[] = {
        {.name = "x", .kind = ANALYSIS_QUANTILE, .quantile = 0.5, .direction = 1},
        {.name = "x", .kind = ANALYSIS_MEAN, .trim = 0.1, .direction = 1},
        {.name = "x", .kind = ANALYSIS_MEAN, .cap = 0.999, .direction = 1}};
    static int group[N_UNITS];
    static int32_t cluster[N_UNITS];
    static const char *groups[] = {"new", "known"};
    const struct unit_segments segments = {"visits", 2, groups, group, false};
    for (int m = 0; m < 3; m++) {
        struct analysis_experiment spec = trial_experiment(&metrics[m], 1);
        struct unit_table *table = make_table(0.4, 0.4, 2, 2);
        for (int i = 0; i < N_UNITS; i++) {
            group[i] = i / 2 % 2;
            cluster[i] = i;
            const int turn = i / 4;
            made.values[0][i] = turn + 1000 * group[i] + 10 * made.arm[i];
        }
        made.metrics[0].cluster = cluster;
        made.metrics[0].values = made.values[0];
        made.metrics[0].n_values = N_UNITS;
        table->n_metrics = 1;
        table->segments = &segments;
        table->n_segments = 1;

        struct analysis *analysis = run_made(&spec, table);

        const struct experiment_result *result = &analysis->experiments[0];
        assert_int_equal(result->n_segmentations, 1);
        for (int g = 0; g < 2; g++) {
            const struct segment_result *one = &result->segmentations[0].groups[g];
            assert_int_equal(one->arm_units[1], 1000);
            assert_memory_equal(one->findings[0].test, names[m], strlen(names[m]));
            if (m < 2) { /* the cap reaches into the second group */
                assert_close(one->arm_value[0], 499.5 + 1000 * g, 1e-9);
                assert_close(one->findings[0].effect_size, 10, 1e-9);
            }
            if (m == 0) {
                assert_close(one->findings[0].standard_error,
                             sqrt(2) * 999 * sqrt(0.25 / 999), 1e-9);
            }
        }
        analysis_free(analysis);
    }
}

/* The second of two treatments works for the known only, the first for nobody. */
static void each_treatment_may_differ_between_groups(void **state)
{
    (void)state;
    static const struct analysis_arm arms[] = {{"a", 0.5}, {"b", 0.25}, {"c", 0.25}};
    struct analysis_experiment spec = guarded();
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    static int group[N_UNITS];
    const char *groups[] = {"new", "known"};
    spec.arms = arms;
    spec.n_arms = 3;
    for (int i = 0; i < N_UNITS; i++) {
        group[i] = i / 2 % 2;
        if (i % 2 == 1 && i / 4 % 2 == 1) {
            made.arm[i] = 2;
            made.values[0][i] = group[i] == 1 && i % 3 == 0 ? 1 : made.values[0][i];
        }
    }
    const struct unit_segments segments = {"visits", 2, groups, group, false};
    table->segments = &segments;
    table->n_segments = 1;

    struct analysis *analysis = run_made(&spec, table);

    const struct segmentation *visits = &analysis->experiments[0].segmentations[0];
    assert_int_equal(visits->n_questions, 4);
    assert_true(visits->heterogeneity[0].p_value > 0.01);
    assert_true(visits->heterogeneity[1].p_value < 0.001);
    /* Holm over the two treatments: the smaller p counts twice. */
    assert_close(visits->p_heterogeneity[1], 2 * visits->heterogeneity[1].p_value, 0);
    analysis_free(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(covariates_take_out_what_they_explain),
        cmocka_unit_test(what_other_metrics_were_before_adjusts),
        cmocka_unit_test(segments_are_compared_and_their_difference_tested),
        cmocka_unit_test(segments_compare_what_does_not_follow_from_sums),
        cmocka_unit_test(each_treatment_may_differ_between_groups),
    };
    return cmocka_run_group_tests_name("analysis groups", tests, NULL, NULL);
}
