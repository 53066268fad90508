#include "tests/testing.h"

#include "tests/analysis_testing.h"

static struct trial_log trial;
static struct log_directory directory;

static int setup(void **state)
{
    (void)state;
    trial.n_lines = trial.next_id = 0;
    buffer_clear(&trial.text);
    log_directory_make(&directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_directory_remove(&directory);
    buffer_free(&trial.text);
    return 0;
}

static struct analysis *analyze_arms(int control, int control_yes, int treatment,
                                     int treatment_yes)
{
    const struct analysis_experiment *spec = NULL;
    static struct analysis_experiment experiment;
    experiment = trial_experiment(&trial_metric, 1);
    spec = &experiment;
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_arm(&trial, "control", control, control_yes);
    trial_add_arm(&trial, "treatment", treatment, treatment_yes);
    trial_write_all(&trial, &directory);
    return trial_analyze(directory.path, spec);
}

/* 132 of 294 against 226 of 316: the figures of docs/statistics.md; z and p agree with
 * R's prop.test(c(226, 132), c(316, 294), correct = FALSE). */
static void analysis_knows_the_mock_trial(void **state)
{
    (void)state;

    struct analysis *analysis = analyze_arms(294, 132, 316, 226);

    const struct experiment_result *result = &analysis->experiments[0];
    const struct finding *fixed = &result->metrics[0].contrasts[0].fixed;
    assert_int_equal(result->verdict, VERDICT_SHIP);
    assert_int_equal(result->winner, 1);
    assert_close(fixed->statistic, 6.672140, 5e-7);
    assert_close(fixed->p_value, 2.521e-11, 5e-15);
    assert_close(fixed->effect_size, 226.0 / 316 - 132.0 / 294, 1e-15);
    assert_non_null(strstr(result->headline, "treatment wins over control"));
    assert_false(analysis_is_untrusted(analysis));
    assert_false(analysis_is_gated(analysis));
    analysis_free(analysis);
}

static void analysis_rolls_back_what_is_worse(void **state)
{
    (void)state;

    struct analysis *analysis = analyze_arms(300, 200, 300, 120);

    assert_int_equal(analysis->experiments[0].verdict, VERDICT_ROLL_BACK);
    assert_int_equal(analysis->experiments[0].winner, 0);
    assert_true(analysis_is_gated(analysis));
    analysis_free(analysis);
}

static void analysis_keeps_running_without_a_difference(void **state)
{
    (void)state;

    struct analysis *analysis = analyze_arms(300, 150, 300, 155);

    assert_int_equal(analysis->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    assert_int_equal(analysis->experiments[0].winner, -1);
    analysis_free(analysis);
}

static void analysis_says_not_testable_when_nobody_succeeded(void **state)
{
    (void)state;
    struct buffer text = {0};

    struct analysis *analysis = analyze_arms(20, 0, 20, 0);

    const struct finding *fixed =
        &analysis->experiments[0].metrics[0].contrasts[0].fixed;
    assert_false(fixed->is_testable);
    assert_int_equal(analysis->experiments[0].verdict, VERDICT_KEEP_RUNNING);
    for (int format = REPORT_TEXT; format <= REPORT_MARKDOWN; format++) {
        const char *report = trial_report(analysis, (enum report_format)format, &text);
        assert_null(strstr(report, "nan"));
        assert_null(strstr(report, "inf "));
    }
    assert_non_null(strstr(trial_report(analysis, REPORT_TEXT, &text), "not testable"));
    buffer_free(&text);
    analysis_free(analysis);
}

/* 400 against 200 units where equal shares were configured: chi-square 66.7. */
static void analysis_withholds_the_verdict_on_a_sample_ratio_mismatch(void **state)
{
    (void)state;

    struct analysis *analysis = analyze_arms(400, 100, 200, 150);

    assert_int_equal(analysis->experiments[0].verdict, VERDICT_DO_NOT_TRUST);
    assert_int_equal(trial_check(analysis, "sample ratio")->status, CHECK_FAILED);
    assert_close(trial_check(analysis, "sample ratio")->p_value, 3.2e-16, 1e-17);
    assert_true(analysis_is_untrusted(analysis));
    analysis_free(analysis);
}

static void analysis_expects_the_weights_of_the_time(void **state)
{
    (void)state;
    static const double then[] = {0.8, 0.2}, now[] = {0.5, 0.5};
    struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    char first[HASH_TEXT_LEN + 1], second[HASH_TEXT_LEN + 1];
    trial_add_config(&trial, TRIAL_START - 9, "one");
    memcpy(first, trial.hash, sizeof first);
    for (int u = 0; u < 400; u++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", u);
        trial_add_exposure(&trial, TRIAL_START + u, user, "bias",
                           u < 320 ? "control" : "treatment");
    }
    trial_add_config(&trial, TRIAL_START + 500, "two");
    memcpy(second, trial.hash, sizeof second);
    for (int u = 0; u < 100; u++) {
        char user[16];
        snprintf(user, sizeof user, "v%d", u);
        trial_add_exposure(&trial, TRIAL_START + 1000 + u, user, "bias",
                           u % 2 ? "control" : "treatment");
    }
    trial_write_all(&trial, &directory);
    const struct analysis_weights weights[] = {{slice_of(first), then},
                                               {slice_of(second), now}};
    spec.weights = weights;
    spec.n_weights = 2;

    struct analysis *analysis = trial_analyze(directory.path, &spec);

    assert_close(analysis->experiments[0].arm_expected[0], 370, 1e-9);
    assert_int_equal(trial_check(analysis, "sample ratio")->status, CHECK_OK);
    analysis_free(analysis);
}

static void analysis_withholds_the_verdict_on_a_damaged_log(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    trial_add_mock(&trial);
    trial.text.data[trial.start[700] + 30] ^= 1;
    trial_write_all(&trial, &directory);

    struct analysis *analysis = trial_analyze(directory.path, &spec);

    assert_int_equal(analysis->experiments[0].verdict, VERDICT_DO_NOT_TRUST);
    assert_int_equal(analysis->evidence.n_damaged, 1);
    assert_int_equal(analysis->evidence.damage[0].offset, (int64_t)trial.start[700]);
    assert_string_equal(analysis->evidence.damage[0].file,
                        "0a1b2c3d-20251124T160000-1.jsonl");
    analysis_free(analysis);
}

/* Control shows a and b, treatment a to d, each unit all of them: coverage 1/2 and 1;
 * Gini 1/2 and 0; novelty log2 3 and (log2 3 + log2 6) / 2. A list written twice counts
 * once.
 */
static void analysis_compares_what_the_lists_were_like(void **state)
{
    (void)state;
    const struct slice ids[] = {slice_of("a"), slice_of("b"), slice_of("c"),
                                slice_of("d")};
    const struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    const struct analysis_spec all = {&spec, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    static int order[2 * 101];
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    for (int u = 0; u < 100; u++) {
        char user[16];
        snprintf(user, sizeof user, "u%d", u);
        trial_add_list(&trial,
                       (struct event){.ts_us = TRIAL_START + u,
                                      .user = slice_of(user),
                                      .n_items = u % 2 ? 4 : 2,
                                      .latency_us = 9},
                       u % 2 ? "treatment" : "control", ids);
    }
    for (int i = 0; i < 202; i++) {
        order[i] = i % 101;
    }
    trial_write(&trial, &directory, order, 202, 2);
    assert_int_equal(join_open(directory.path, 2, &join, NULL), 0);
    join_want_items(join);
    assert_int_equal(join_measure(join, &all, NULL), 0);
    assert_int_equal(join_table(join, 0, &table, NULL), 0);
    struct analysis *analysis = analysis_new(join_evidence(join), 1);
    assert_non_null(analysis);

    assert_int_equal(analysis_run(analysis, 0, &spec, &table, NULL), 0);

    const struct experiment_result *result = &analysis->experiments[0];
    const double expected[3][2] = {
        {0.5, 1}, {0.5, 0}, {log2(3), (log2(3) + log2(6)) / 2}};
    assert_int_equal(result->n_items, 4);
    assert_int_equal(result->n_item_metrics, 7); /* and repeats, three percentiles */
    for (int m = 0; m < 3; m++) {
        for (int a = 0; a < 2; a++) {
            assert_close(result->item_metrics[m].arms[a].value, expected[m][a], 1e-12);
        }
    }
    analysis_free(analysis);
    unit_table_free(&table);
    join_free(join);
}

/* The report up to its section on the evidence, which tells how the events came. */
static char *findings(const struct analysis *analysis)
{
    struct buffer text = {0};
    trial_report(analysis, REPORT_JSON, &text);
    char *end = strstr(text.data, "\"evidence\"");
    assert_non_null(end);
    *end = '\0';
    return text.data;
}

static void analysis_gives_the_same_bytes_for_shuffled_doubled_torn_logs(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    static int order[2 * 1600];
    trial_add_mock(&trial);
    const int n = trial.n_lines;
    assert_true(n <= 1600);
    trial_write_all(&trial, &directory);
    struct analysis *plain = trial_analyze(directory.path, &spec);
    char *expected = findings(plain);
    for (uint64_t seed = 1; seed <= 6; seed++) {
        const bool doubled = seed > 3;
        const int n_order = doubled ? 2 * n : n;
        for (int i = 0; i < n_order; i++) {
            order[i] = i % n;
        }
        trial_shuffle(order, n_order, seed);
        trial_write(&trial, &directory, order, n_order, (int)seed);
        char path[256];
        snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-%d.jsonl",
                 directory.path, (int)seed);
        FILE *file = fopen(path, "a");
        assert_non_null(file);
        fputs("{\"type\":\"feedback\",\"ts\":17640", file);
        fclose(file);

        struct analysis *analysis = trial_analyze(directory.path, &spec);

        char *actual = findings(analysis);
        assert_string_equal(actual, expected);
        assert_true(analysis->evidence.fingerprint == plain->evidence.fingerprint);
        assert_int_equal(analysis->evidence.n_torn_tails, 1);
        assert_int_equal(analysis->evidence.n_duplicates, doubled ? n - 1 : 0);
        free(actual);
        analysis_free(analysis);
    }
    free(expected);
    analysis_free(plain);
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(analysis_knows_the_mock_trial),
        WITH_DIRECTORY(analysis_rolls_back_what_is_worse),
        WITH_DIRECTORY(analysis_keeps_running_without_a_difference),
        WITH_DIRECTORY(analysis_says_not_testable_when_nobody_succeeded),
        WITH_DIRECTORY(analysis_withholds_the_verdict_on_a_sample_ratio_mismatch),
        WITH_DIRECTORY(analysis_expects_the_weights_of_the_time),
        WITH_DIRECTORY(analysis_withholds_the_verdict_on_a_damaged_log),
        WITH_DIRECTORY(analysis_compares_what_the_lists_were_like),
        WITH_DIRECTORY(analysis_gives_the_same_bytes_for_shuffled_doubled_torn_logs),
    };
    return cmocka_run_group_tests_name("analysis", tests, NULL, NULL);
}
