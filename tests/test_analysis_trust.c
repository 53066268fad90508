/* Every trust check: a log built to trip it, and one that must not. */
#include "tests/testing.h"

#include "tests/made_table.h"

static struct trial_log trial;
static struct log_directory directory;
static struct analysis_experiment experiment;

static int setup(void **state)
{
    (void)state;
    trial.n_lines = trial.next_id = 0;
    buffer_clear(&trial.text);
    log_directory_make(&directory);
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    experiment = trial_experiment(&trial_metric, 1);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_directory_remove(&directory);
    buffer_free(&trial.text);
    return 0;
}

/* Writes the log and analyzes it; the check must have `status`, and the verdict be
 * withheld just when it failed. */
static void expect(const char *name, enum check_status status)
{
    trial_write_all(&trial, &directory);
    struct analysis *analysis = trial_analyze(directory.path, &experiment);
    const struct check *check = trial_check(analysis, name);
    assert_non_null(check);
    if (check->status != status) {
        fail_msg("%s is %s: %s", name, check_status_name(check->status), check->detail);
    }
    assert_int_equal(analysis_is_untrusted(analysis), status == CHECK_FAILED);
    if (status == CHECK_FAILED) {
        assert_non_null(strstr(analysis->experiments[0].reasons[0], name));
    }
    analysis_free(analysis);
}

/* Users PREFIX0, ... of one arm, a second apart from `start` on. */
static void add_users(const char *prefix, const char *arm, int n, int64_t start)
{
    for (int u = 0; u < n; u++) {
        char user[32];
        snprintf(user, sizeof user, "%s%d", prefix, u);
        trial_add_exposure(&trial, start + u * 1000000LL, user, "bias", arm);
    }
}

static void add_both(const char *prefix, int n_control, int n_treatment, int64_t start)
{
    char name[32];
    snprintf(name, sizeof name, "%s-c", prefix);
    add_users(name, "control", n_control, start);
    snprintf(name, sizeof name, "%s-t", prefix);
    add_users(name, "treatment", n_treatment, start + 500000);
}

static void a_gross_mismatch_fails_at_one_look(void **state)
{
    (void)state;
    add_both("a", 400, 200, TRIAL_START);
    expect("sample ratio", CHECK_FAILED);
}

/* 150 against 95: chi-square 12.3, p = 0.00044. Looked at often that happens, and the
 * always-valid p is 0.018. */
static void a_mismatch_by_peeking_only_warns(void **state)
{
    (void)state;
    add_both("a", 150, 95, TRIAL_START);
    experiment.sequential = true;
    expect("sample ratio", CHECK_WARNING);
    expect("sample ratio at every look", CHECK_OK);
}

static void a_gross_mismatch_fails_at_every_look(void **state)
{
    (void)state;
    add_both("a", 400, 200, TRIAL_START);
    experiment.sequential = true;
    trial_write_all(&trial, &directory);
    struct analysis *analysis = trial_analyze(directory.path, &experiment);
    assert_int_equal(trial_check(analysis, "sample ratio at every look")->status,
                     CHECK_FAILED);
    assert_true(trial_check(analysis, "sample ratio at every look")->p_value < 1e-10);
    assert_int_equal(analysis->experiments[0].verdict, VERDICT_DO_NOT_TRUST);
    analysis_free(analysis);
}

static void as_configured_passes_every_sample_ratio_check(void **state)
{
    (void)state;
    for (int day = 0; day < 4; day++) {
        char name[16];
        snprintf(name, sizeof name, "d%d", day);
        add_both(name, 60 + day, 63 - day, TRIAL_START + day * TRIAL_DAY);
    }
    expect("sample ratio", CHECK_OK);
    expect("sample ratio at every look", CHECK_OK);
    expect("sample ratio over time", CHECK_OK);
}

/* All units together are even; on the second day one arm's exposures were lost, on the
 * third the other's. */
static void a_broken_day_fails(void **state)
{
    (void)state;
    add_both("d0", 100, 100, TRIAL_START);
    add_both("d1", 80, 30, TRIAL_START + TRIAL_DAY);
    add_both("d2", 30, 80, TRIAL_START + 2 * TRIAL_DAY);
    expect("sample ratio over time", CHECK_FAILED);
    struct analysis *analysis = trial_analyze(directory.path, &experiment);
    assert_int_equal(trial_check(analysis, "sample ratio")->status, CHECK_OK);
    assert_non_null(strstr(trial_check(analysis, "sample ratio over time")->detail,
                           "the one from 2025-11-2"));
    analysis_free(analysis);
}

static void a_suspect_day_warns(void **state)
{
    (void)state;
    add_both("d0", 100, 100, TRIAL_START);
    add_both("d1", 80, 41, TRIAL_START + TRIAL_DAY);
    expect("sample ratio over time", CHECK_WARNING);
}

/* Known users are dealt wrongly, new ones the other way round. */
static void a_broken_segment_fails(void **state)
{
    (void)state;
    static int group[N_UNITS];
    const char *groups[] = {"new", "known"};
    struct unit_table *table = make_table(0.4, 0.4, 2, 2);
    const struct unit_segments segments = {"visits", 2, groups, group, false};
    experiment = trial_experiment(two_metrics, 1);
    table->segments = &segments;
    table->n_segments = 1;
    for (int i = 0; i < N_UNITS; i++) {
        group[i] = i / 2 % 2;
    }
    struct analysis *fine = run_made(&experiment, table);
    for (int i = 0; i < N_UNITS; i++) {
        group[i] = (i % 20 == 0) ? 1 - i % 2 : i / 2 % 2;
    }
    struct analysis *broken = run_made(&experiment, table);

    assert_int_equal(trial_check(fine, "sample ratio by segment")->status, CHECK_OK);
    assert_int_equal(trial_check(broken, "sample ratio")->status, CHECK_OK);
    assert_int_equal(trial_check(broken, "sample ratio by segment")->status,
                     CHECK_FAILED);
    assert_non_null(
        strstr(trial_check(broken, "sample ratio by segment")->detail, "visits = "));
    assert_true(broken->experiments[0].segmentations[0].groups[1].srm_p < 1e-4);
    assert_int_equal(broken->experiments[0].verdict, VERDICT_DO_NOT_TRUST);
    analysis_free(fine);
    analysis_free(broken);
}

static void crossover_units_warn_and_fail(void **state)
{
    (void)state;
    add_both("a", 100, 100, TRIAL_START);
    expect("crossover units", CHECK_OK);
    add_users("a-c", "treatment", 1, TRIAL_START + TRIAL_HOUR);
    expect("crossover units", CHECK_NOTE);
    add_users("a-c", "treatment", 6, TRIAL_START + TRIAL_HOUR);
    add_users("a-t", "control", 6, TRIAL_START + TRIAL_HOUR);
    expect("crossover units", CHECK_WARNING);
    add_users("a-c", "treatment", 15, TRIAL_START + TRIAL_HOUR);
    add_users("a-t", "control", 15, TRIAL_START + TRIAL_HOUR);
    expect("crossover units", CHECK_FAILED);
}

static void copies_pass_and_conflicts_warn(void **state)
{
    (void)state;
    add_both("a", 100, 100, TRIAL_START);
    trial_add_feedback(&trial, TRIAL_START + 5, "f1", "a-c0", "satisfied", 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "f1", "a-c0", "satisfied", 1);
    expect("duplicates", CHECK_OK);
    trial_add_feedback(&trial, TRIAL_START + 6, "f1", "a-c0", "satisfied", 2);
    expect("duplicates", CHECK_WARNING);
}

static void feedback_without_exposure_is_said_and_warns(void **state)
{
    (void)state;
    add_both("a", 100, 100, TRIAL_START);
    for (int u = 0; u < 40; u++) {
        char user[16];
        snprintf(user, sizeof user, "a-c%d", u);
        trial_add_feedback(&trial, TRIAL_START + 60000000, "", user, "satisfied", 1);
    }
    expect("feedback without exposure", CHECK_OK);
    trial_add_feedback(&trial, TRIAL_START, "", "stranger", "satisfied", 1);
    expect("feedback without exposure", CHECK_NOTE);
    for (int i = 0; i < 9; i++) {
        trial_add_feedback(&trial, TRIAL_START + i, "", "stranger", "satisfied", 1);
    }
    expect("feedback without exposure", CHECK_WARNING);
}

static void add_answer(int64_t ts_us, const char *user)
{
    trial_add(&trial, (struct event){.type = EVENT_FEEDBACK,
                                     .ts_us = ts_us,
                                     .user = slice_of(user),
                                     .event = slice_of("satisfied"),
                                     .has_value = true,
                                     .value = 1,
                                     .request = slice_of("0a1b2c3d-1")});
}

static void clocks_that_disagree_warn_and_fail(void **state)
{
    (void)state;
    add_both("a", 100, 100, TRIAL_START);
    for (int u = 0; u < 100; u++) {
        char user[16];
        snprintf(user, sizeof user, "a-c%d", u);
        add_answer(TRIAL_START + TRIAL_HOUR, user);
    }
    expect("clocks", CHECK_OK);
    add_answer(TRIAL_START - TRIAL_HOUR, "a-t0");
    expect("clocks", CHECK_WARNING);
    for (int u = 0; u < 15; u++) {
        add_answer(TRIAL_START - TRIAL_HOUR - u, "a-t0");
    }
    expect("clocks", CHECK_FAILED);
}

/* A log is older than its experiments: what was shown before was answered, too. */
static void answers_before_the_experiment_are_no_skew(void **state)
{
    (void)state;
    add_both("a", 100, 100, TRIAL_START);
    for (int u = 0; u < 40; u++) {
        char user[16];
        snprintf(user, sizeof user, "a-c%d", u);
        if (u % 2) {
            trial_add_exposure(&trial, TRIAL_START - TRIAL_DAY, user, "older",
                               "control");
        } else {
            trial_add(&trial, (struct event){.type = EVENT_EXPOSURE,
                                             .ts_us = TRIAL_START - TRIAL_DAY,
                                             .user = slice_of(user),
                                             .config = slice_of(trial.hash),
                                             .latency_us = 100});
        }
        add_answer(TRIAL_START - TRIAL_HOUR, user);
    }
    expect("clocks", CHECK_OK);
    add_answer(TRIAL_START - 2 * TRIAL_DAY, "a-c0");
    expect("clocks", CHECK_WARNING);
}

static void bots_are_noted_and_warned_of(void **state)
{
    (void)state;
    add_both("a", 1000, 1000, TRIAL_START);
    expect("bot-like units", CHECK_OK);
    for (int i = 0; i < 120; i++) {
        trial_add_exposure(&trial, TRIAL_START + TRIAL_HOUR + i, "a-c0", "bias",
                           "control");
    }
    expect("bot-like units", CHECK_NOTE);
    for (int i = 0; i < 400; i++) {
        trial_add_exposure(&trial, TRIAL_START + 2 * TRIAL_HOUR + i, "a-c0", "bias",
                           "control");
    }
    expect("bot-like units", CHECK_WARNING);
}

/* Users of each arm in turn, exposed at once, who act on each of five days with the
 * probability from[arm] + a_day[arm] * day. */
static void add_days(int n_arms, const char *const *names, const double *from,
                     const double *a_day)
{
    for (int u = 0; u < 300 * n_arms; u++) {
        char user[16];
        struct rng rng;
        const int arm = u % n_arms;
        rng_init(&rng, 5, (uint64_t)u);
        snprintf(user, sizeof user, "u%d", u);
        trial_add_exposure(&trial, TRIAL_START + u, user, "bias", names[arm]);
        for (int day = 0; day < 5; day++) {
            if (rng_uniform(&rng) < from[arm] + a_day[arm] * day) {
                trial_add_feedback(&trial, TRIAL_START + day * TRIAL_DAY + TRIAL_HOUR,
                                   "", user, "satisfied", 1);
            }
        }
    }
    trial_add_exposure(&trial, TRIAL_START + 6 * TRIAL_DAY, "u0", "bias", names[0]);
}

/* Control: 30 % of users on each of five days. Treatment: 60, 50, 40, 30, 20 %. */
static void an_effect_that_wears_off_is_noted(void **state)
{
    (void)state;
    static const char *const names[] = {"control", "treatment"};
    static const double steady[] = {0.3, 0.4}, high[] = {0.3, 0.6}, none[] = {0, 0},
                        down[] = {0, -0.1};
    add_days(2, names, steady, none);
    expect("novelty and primacy", CHECK_OK);
    teardown(NULL);
    setup(NULL);
    add_days(2, names, high, down);
    expect("novelty and primacy", CHECK_NOTE);
}

/* The first treatment is steady; the second wears off. */
static void an_effect_that_wears_off_is_noted_of_any_treatment(void **state)
{
    (void)state;
    static const char *const names[] = {"control", "mild", "bold"};
    static const struct analysis_arm arms[] = {
        {"control", 0.4}, {"mild", 0.3}, {"bold", 0.3}};
    static const double from[] = {0.3, 0.4, 0.6}, a_day[] = {0, 0, -0.1};
    experiment.arms = arms;
    experiment.n_arms = 3;
    add_days(3, names, from, a_day);
    trial_write_all(&trial, &directory);

    struct analysis *analysis = trial_analyze(directory.path, &experiment);

    const struct check *check = trial_check(analysis, "novelty and primacy");
    const struct treatment_days *days = analysis->experiments[0].days;
    assert_int_equal(check->status, CHECK_NOTE);
    assert_non_null(strstr(check->detail, "the ratio of bold to control changes by -"));
    assert_non_null(strstr(check->detail, "corrected for 2 treatments"));
    assert_int_equal(days[0].n_days, 5);
    assert_int_equal(days[1].n_days, 5);
    assert_int_equal(days[1].n_units, 600);
    assert_true(days[1].days[0].effect_size > 0.2);
    assert_true(days[1].days[4].effect_size < 0);
    analysis_free(analysis);
}

/* One user of thirty spends a million: every split finds the same p. */
static void a_test_that_fails_on_control_itself_withholds_the_verdict(void **state)
{
    (void)state;
    static struct analysis_metric spent;
    spent = (struct analysis_metric){
        .name = "spent", .kind = ANALYSIS_MEAN, .event = "s", .direction = 1};
    experiment = trial_experiment(&spent, 1);
    for (int is_heavy = 0; is_heavy <= 1; is_heavy++) {
        struct unit_table *table = make_table(0.4, 0.4, 2, 2);
        struct rng rng;
        rng_init(&rng, 8, 0);
        for (int i = 0; i < N_UNITS; i++) {
            made.values[0][i] = 10 + rng_normal(&rng);
        }
        if (is_heavy) {
            made.values[0][0] = 1e6;
        }
        table->n_metrics = 1;
        struct analysis *analysis = run_made(&experiment, table);
        assert_int_equal(analysis_aa(analysis, 0, table, 500, 1, NULL), 0);

        const struct check *check = trial_check(analysis, "A/A self-check");
        assert_non_null(check);
        assert_int_equal(check->status, is_heavy ? CHECK_FAILED : CHECK_OK);
        assert_int_equal(strstr(check->detail, "they crowd") != NULL, is_heavy);
        assert_int_equal(analysis->experiments[0].aa.is_sound, !is_heavy);
        assert_int_equal(analysis_is_untrusted(analysis), is_heavy);
        analysis_free(analysis);
    }
}

/* Few events among many units: p takes few values, which is no fault of the test. With
 * 9 purchases at one price they are hardly more than the five ways to part nine; of 26
 * events either half has at most 8 in 7.6 % of the splits (R: 2 * pbinom(8, 26, 0.5) =
 * 0.0755). */
static void a_test_of_few_events_passes_on_control_itself(void **state)
{
    (void)state;
    static const struct {
        enum analysis_kind kind;
        int n_events;
        double value;
        int n_splits;
    } cases[] = {{ANALYSIS_COUNT, 26, 1, 10000},
                 {ANALYSIS_MEAN, 9, 19.99, 1000},
                 {ANALYSIS_PROPORTION, 26, 1, 10000}};
    static struct analysis_metric metric;
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        metric = (struct analysis_metric){
            .name = "m", .kind = cases[c].kind, .event = "s", .direction = 1};
        experiment = trial_experiment(&metric, 1);
        struct unit_table *table = make_table(0.4, 0.4, 2, 2);
        int n_left[] = {cases[c].n_events, cases[c].n_events};
        for (int i = 0; i < N_UNITS; i++) {
            made.values[0][i] = n_left[table->arm[i]]-- > 0 ? cases[c].value : 0;
        }
        table->n_metrics = 1;
        struct analysis *analysis = run_made(&experiment, table);
        assert_int_equal(analysis_aa(analysis, 0, table, cases[c].n_splits, 1, NULL),
                         0);

        const struct aa_result *aa = &analysis->experiments[0].aa;
        assert_int_equal(trial_check(analysis, "A/A self-check")->status, CHECK_OK);
        assert_true(aa->is_sound);
        assert_int_not_equal(aa->n_smeared, aa->n_rejected);
        analysis_free(analysis);
    }
}

/* An arm that no config in the log has given any weight yet. */
static void an_arm_without_weight_is_left_out_or_fails(void **state)
{
    (void)state;
    static const double then[] = {0.5, 0.5, 0};
    static const struct analysis_arm arms[] = {
        {"control", 0.4}, {"treatment", 0.4}, {"new", 0.2}};
    const struct analysis_weights weights = {slice_of(trial.hash), then};
    experiment.arms = arms;
    experiment.n_arms = 3;
    experiment.weights = &weights;
    experiment.n_weights = 1;
    add_both("a", 100, 100, TRIAL_START);
    expect("sample ratio", CHECK_OK);
    add_users("b", "new", 3, TRIAL_START);
    expect("sample ratio", CHECK_FAILED);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(a_gross_mismatch_fails_at_one_look),
        WITH_DIRECTORY(a_mismatch_by_peeking_only_warns),
        WITH_DIRECTORY(a_gross_mismatch_fails_at_every_look),
        WITH_DIRECTORY(as_configured_passes_every_sample_ratio_check),
        WITH_DIRECTORY(a_broken_day_fails),
        WITH_DIRECTORY(a_suspect_day_warns),
        WITH_DIRECTORY(a_broken_segment_fails),
        WITH_DIRECTORY(crossover_units_warn_and_fail),
        WITH_DIRECTORY(copies_pass_and_conflicts_warn),
        WITH_DIRECTORY(feedback_without_exposure_is_said_and_warns),
        WITH_DIRECTORY(clocks_that_disagree_warn_and_fail),
        WITH_DIRECTORY(answers_before_the_experiment_are_no_skew),
        WITH_DIRECTORY(bots_are_noted_and_warned_of),
        WITH_DIRECTORY(an_effect_that_wears_off_is_noted),
        WITH_DIRECTORY(an_effect_that_wears_off_is_noted_of_any_treatment),
        WITH_DIRECTORY(a_test_that_fails_on_control_itself_withholds_the_verdict),
        WITH_DIRECTORY(a_test_of_few_events_passes_on_control_itself),
        WITH_DIRECTORY(an_arm_without_weight_is_left_out_or_fails),
    };
    return cmocka_run_group_tests_name("analysis trust", tests, NULL, NULL);
}
