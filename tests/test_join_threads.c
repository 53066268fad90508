/* The join by several threads: the same table, evidence and report with any number. */
#include "tests/testing.h"

#include "common/id_map.h"
#include "stats/id_seen.h"
#include "tests/analysis_testing.h"

static struct trial_log trial;
static struct log_directory directory;

static void report_of(int n_threads, const struct analysis_experiment *spec,
                      struct buffer *text)
{
    const struct analysis_spec all = {spec, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    struct error error = {0};
    if (join_open(directory.path, n_threads, &join, &error) != 0 ||
        join_measure(join, &all, &error) != 0 ||
        join_table(join, 0, &table, &error) != 0) {
        fail_msg("%s", error.message);
        abort();
    }
    struct analysis *analysis = analysis_new(join_evidence(join), 1);
    assert_non_null(analysis);
    assert_int_equal(analysis_run(analysis, 0, spec, &table, &error), 0);
    trial_report(analysis, REPORT_JSON, text);
    analysis_free(analysis);
    unit_table_free(&table);
    join_free(join);
}

/* Copies of lines, retries and client ids, in seven files: everything that threads
 * could count twice or not at all. */
static void report_is_the_same_with_any_number_of_threads(void **state)
{
    (void)state;
    const struct analysis_metric metrics[] = {
        trial_metric,
        {.name = "latency",
         .kind = ANALYSIS_QUANTILE,
         .quantile = 0.9,
         .event = "exposure.latency_us",
         .direction = -1},
        {.name = "rate",
         .kind = ANALYSIS_RATIO,
         .event = "satisfied",
         .denominator = "exposure",
         .direction = 1},
    };
    const struct analysis_experiment spec = trial_experiment(metrics, 3);
    static int order[8000];
    struct buffer one = {0}, many = {0};
    trial_add_mock(&trial);
    for (int i = 0; i < 50; i++) {
        char id[32];
        snprintf(id, sizeof id, "client/%d", i);
        trial_add_feedback(&trial, TRIAL_START + i * 60000000LL + 5, id, "control1",
                           "satisfied", 0.1 * i);
    }
    const int n = trial.n_lines;
    for (int i = 0; i < 2 * n; i++) {
        order[i] = i % n;
    }
    trial_shuffle(order, 2 * n, 1);
    log_directory_make(&directory);
    trial_write(&trial, &directory, order, 2 * n, 7);

    report_of(1, &spec, &one);

    for (int n_threads = 2; n_threads <= 5; n_threads++) {
        report_of(n_threads, &spec, &many);
        assert_string_equal(many.data, one.data);
    }
    log_directory_remove(&directory);
    buffer_free(&one);
    buffer_free(&many);
    buffer_free(&trial.text);
}

static void merged_ids_know_what_both_had_seen(void **state)
{
    (void)state;
    static const char *const ids[] = {"0a1b2c3d-1.0.5", "client", "0a1b2c3d-1.0.200"};
    struct id_seen *a = id_seen_new(), *b = id_seen_new();

    for (int i = 0; i < 2; i++) {
        assert_int_equal(id_seen_add(a, slice_of(ids[i])), 0);
        assert_int_equal(id_seen_add(b, slice_of(ids[i])), 0);
    }
    assert_int_equal(id_seen_add(b, slice_of(ids[2])), 0);
    assert_int_equal(id_seen_merge(a, b), 0);

    assert_int_equal(id_seen_n_repeated(a), 2);
    assert_true(id_seen_repeated(a, slice_of(ids[0])) >= 0);
    assert_true(id_seen_repeated(a, slice_of(ids[1])) >= 0);
    assert_int_equal(id_seen_repeated(a, slice_of(ids[2])), ID_NONE);
    assert_int_equal(id_seen_add(a, slice_of(ids[2])), 1);
    id_seen_free(a);
    id_seen_free(b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report_is_the_same_with_any_number_of_threads),
        cmocka_unit_test(merged_ids_know_what_both_had_seen),
    };
    return cmocka_run_group_tests_name("join threads", tests, NULL, NULL);
}
