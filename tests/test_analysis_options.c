/* What a metric's config may ask for beyond its mean, and adjustments, over a table
 * made by hand. Expected values: R 4.2, t.test on clipped values; Yuen's test, the
 * two one-sided tests, strata and differences of effects written out from their
 * formulas; boot 1.3, boot.ci type "bca" with 50,000 stratified replicates. */
#include "tests/testing.h"

#include "stats/bootstrap.h"
#include "stats/order.h"
#include "tests/made_table.h"

static const double control[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
static const double treatment[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                                   7.7, 6.6, 11.3, 12.9, 55.1, 4.4};
#define N_C 10
#define N_T 12

static struct unit_table *small_table(void)
{
    struct unit_table *table = make_table(0, 0, 0, 0);
    table->n_units = N_C + N_T;
    for (int i = 0; i < N_C + N_T; i++) {
        made.arm[i] = i >= N_C;
        made.values[0][i] = i < N_C ? control[i] : treatment[i - N_C];
    }
    table->n_metrics = 1;
    return table;
}

static struct analysis_metric plain(void)
{
    return (struct analysis_metric){
        .name = "minutes", .kind = ANALYSIS_MEAN, .event = "m", .direction = 1};
}

static const struct contrast *first_contrast(const struct analysis *analysis)
{
    return &analysis->experiments[0].metrics[0].contrasts[0];
}

static void winsorised_means_are_capped_over_both_arms(void **state)
{
    (void)state;
    struct analysis_metric metric = plain();
    metric.floor = 0.05;
    metric.cap = 0.95;
    const struct analysis_experiment spec = trial_experiment(&metric, 1);

    struct analysis *analysis = run_made(&spec, small_table());

    const struct metric_result *result = &analysis->experiments[0].metrics[0];
    const struct finding *fixed = &first_contrast(analysis)->fixed;
    assert_close(result->floor_value, 1.185, 1e-12);
    assert_close(result->cap_value, 40.46, 1e-12);
    assert_close(fixed->statistic, 0.701075, 1e-6);
    assert_close(fixed->p_value, 0.4916423, 1e-7);
    assert_close(fixed->ci_lower, -6.792788, 1e-6);
    assert_close(fixed->ci_upper, 13.64462, 1e-5);
    assert_string_equal(fixed->test, "Welch t-test of winsorised means (values pulled "
                                     "to at least 1.185 and at most 40.46), two-sided");
    analysis_free(analysis);
}

static void trimmed_means_are_yuens(void **state)
{
    (void)state;
    struct analysis_metric metric = plain();
    metric.trim = 0.2;
    const struct analysis_experiment spec = trial_experiment(&metric, 1);

    struct analysis *analysis = run_made(&spec, small_table());

    const struct metric_result *result = &analysis->experiments[0].metrics[0];
    const struct finding *fixed = &first_contrast(analysis)->fixed;
    assert_close(result->arms[0].estimate.value, 6.1, 1e-12);
    assert_close(result->arms[1].estimate.value, 9.625, 1e-12);
    assert_close(fixed->statistic, 1.5284827928, 1e-9);
    assert_close(fixed->p_value, 0.1525359592, 1e-9);
    assert_close(fixed->ci_lower, -1.5046551430, 1e-9);
    assert_close(fixed->ci_upper, 8.5546551430, 1e-9);
    assert_string_equal(fixed->test, "Yuen t-test of trimmed means (20 % of an arm's "
                                     "units left out at each end), two-sided");
    assert_null(first_contrast(analysis)->series); /* no sum would tell it */
    analysis_free(analysis);
}

static void bootstrap_takes_the_place_of_the_interval_only(void **state)
{
    (void)state;
    struct analysis_metric metric = plain();
    metric.replicates = 20000;
    struct analysis_experiment spec = trial_experiment(&metric, 1);
    spec.seed = 1;

    struct analysis *analysis = run_made(&spec, small_table());
    struct analysis *again = run_made(&spec, small_table());
    spec.seed = 2;
    struct analysis *other = run_made(&spec, small_table());

    const struct finding *fixed = &first_contrast(analysis)->fixed;
    assert_close(fixed->ci_lower, -5.123, 0.3);
    assert_close(fixed->ci_upper, 16.314, 0.5);
    assert_string_equal(fixed->interval, "BCa bootstrap over units, 20000 replicates");
    assert_string_equal(fixed->test, "Welch t-test, two-sided");
    assert_close(fixed->ci_lower, first_contrast(again)->fixed.ci_lower, 0);
    assert_true(fixed->ci_lower != first_contrast(other)->fixed.ci_lower);
    analysis_free(analysis);
    analysis_free(again);
    analysis_free(other);
}

/* Each event its own unit: the clustered bootstrap of a quantile is the plain one. */
static void bootstrap_quantiles_draw_units_whole(void **state)
{
    (void)state;
    static int32_t cluster[N_C + N_T];
    struct analysis_metric metric = {.name = "latency",
                                     .kind = ANALYSIS_QUANTILE,
                                     .quantile = 0.5,
                                     .event = "exposure.latency_us",
                                     .replicates = 2000};
    struct analysis_experiment spec = trial_experiment(&metric, 1);
    spec.seed = 1;
    struct unit_table *table = small_table();
    for (int i = 0; i < N_C + N_T; i++) {
        cluster[i] = i;
    }
    made.metrics[0] = (struct unit_metric){.cluster = cluster,
                                           .values = made.values[0],
                                           .n_values = N_C + N_T,
                                           .sampled_1_in = 1};
    struct bootstrap_config config = bootstrap_config_default();
    struct bootstrap_result expected;
    double c[N_C], t[N_T];
    memcpy(c, control, sizeof c);
    memcpy(t, treatment, sizeof t);
    order_sort(c, N_C);
    order_sort(t, N_T);
    const struct bootstrap_units c_units = {c, NULL, 0.5}, t_units = {t, NULL, 0.5};
    const struct bootstrap_arm c_arm = {&c_units, N_C}, t_arm = {&t_units, N_T};
    config.value = bootstrap_quantile;
    config.n_replicates = 2000;
    assert_int_equal(bootstrap_bca(&c_arm, &t_arm, &config, &expected, NULL), 0);

    struct analysis *analysis = run_made(&spec, table);

    const struct finding *fixed = &first_contrast(analysis)->fixed;
    assert_close(fixed->effect_size, expected.effect_size, 1e-12);
    assert_close(fixed->ci_lower, expected.ci_lower, 2); /* other draws, 22 units */
    assert_close(fixed->ci_upper, expected.ci_upper, 2);
    assert_string_equal(fixed->interval, "BCa bootstrap over units, 2000 replicates");
    analysis_free(analysis);
}

static void equivalence_is_the_larger_of_two_one_sided_tests(void **state)
{
    (void)state;
    struct analysis_metric metric = plain();
    metric.equivalence = 0.9;
    const struct analysis_experiment spec = trial_experiment(&metric, 1);

    struct analysis *analysis = run_made(&spec, small_table());

    const struct equivalence_result *result = &first_contrast(analysis)->equivalence;
    assert_close(result->p_value, 0.330215016156, 1e-9);
    assert_false(result->holds);
    assert_true(result->ci_upper > 0.9); /* the interval says the same */
    assert_string_equal(result->method, "TOST, two one-sided tests, relative margin");
    analysis_free(analysis);

    metric = two_metrics[1];
    metric.equivalence = 0.05;
    struct unit_table *table = make_table(0.5, 0.5, 2, 2);
    table->metrics = &made.metrics[1];
    table->n_metrics = 1;
    analysis = run_made(&spec, table);
    result = &first_contrast(analysis)->equivalence;
    assert_true(result->holds);
    assert_true(result->ci_lower > -0.05 && result->ci_upper < 0.05);
    analysis_free(analysis);
}

static void strata_and_differences_of_effects(void **state)
{
    (void)state;
    static const char *groups[] = {"even", "odd"};
    static int group[N_C + N_T];
    const struct analysis_metric metric = plain();
    struct analysis_experiment spec = trial_experiment(&metric, 1);
    spec.correction = ANALYSIS_BY;
    struct unit_table *table = small_table();
    for (int i = 0; i < N_C + N_T; i++) {
        group[i] = i < N_C ? i % 2 : (i - N_C) % 3 == 2;
    }
    const struct unit_segments segments = {"parity", 2, groups, group, false};
    table->segments = &segments;
    table->n_segments = 1;

    struct analysis *analysis = run_made(&spec, table);

    const struct contrast *contrast = first_contrast(analysis);
    assert_int_equal(contrast->n_adjustments, 1);
    const struct adjustment *strata = &contrast->adjustments[0];
    assert_string_equal(strata->by, "parity");
    assert_close(strata->finding.effect_size, 5.2259090909, 1e-9);
    assert_close(strata->finding.standard_error, sqrt(28.3794517414), 1e-9);
    assert_close(strata->variance_reduction, 0.1156913593, 1e-9);
    assert_string_equal(strata->finding.test, "post-stratification, z-test, two-sided");
    const struct segmentation *parity = &analysis->experiments[0].segmentations[0];
    assert_close(parity->differences[0].effect_size, -12.11, 1e-9);
    assert_close(parity->differences[0].standard_error, 11.3149212484, 1e-9);
    assert_close(parity->differences[0].p_value, 0.2844986197, 1e-9);
    /* With two groups, Cochran's Q is the square of that z. */
    assert_close(parity->heterogeneity[0].p_value, 0.2844986197, 1e-9);
    assert_string_equal(parity->adjustment, "Benjamini-Yekutieli");
    analysis_free(analysis);
}

/* Two columns: each alone, and both together; the one that is the metric itself takes
 * nearly all its variance out. */
static void each_covariate_says_what_it_saves(void **state)
{
    (void)state;
    static double nearly[N_UNITS], noise[N_UNITS];
    static const char *names[] = {"nearly", "noise"};
    static double *values[] = {nearly, noise};
    const struct analysis_metric metric = two_metrics[1];
    const struct analysis_experiment spec = trial_experiment(&metric, 1);
    struct unit_table *table = make_table(0.5, 0.5, 2, 2.02);
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (int i = 0; i < N_UNITS; i++) {
        nearly[i] = made.values[1][i] - (i % 2 ? 2.02 : 2) + 0.25 * rng_normal(&rng);
        noise[i] = rng_normal(&rng);
    }
    table->metrics = &made.metrics[1];
    table->n_metrics = 1;
    table->covariates = (struct unit_covariates){2, names, values};

    struct analysis *analysis = run_made(&spec, table);

    const struct contrast *contrast = first_contrast(analysis);
    assert_int_equal(contrast->n_adjustments, 2);
    assert_string_equal(contrast->adjustments[0].by, "nearly");
    /* correlation^2 = 0.25 / (0.25 + 0.0625) */
    assert_close(contrast->adjustments[0].variance_reduction, 0.8, 0.02);
    assert_close(contrast->adjustments[1].variance_reduction, 0, 0.005);
    assert_close(contrast->variance_reduction, 0.8, 0.02);
    analysis_free(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(winsorised_means_are_capped_over_both_arms),
        cmocka_unit_test(trimmed_means_are_yuens),
        cmocka_unit_test(bootstrap_takes_the_place_of_the_interval_only),
        cmocka_unit_test(bootstrap_quantiles_draw_units_whole),
        cmocka_unit_test(equivalence_is_the_larger_of_two_one_sided_tests),
        cmocka_unit_test(strata_and_differences_of_effects),
        cmocka_unit_test(each_covariate_says_what_it_saves),
    };
    return cmocka_run_group_tests_name("analysis options", tests, NULL, NULL);
}
