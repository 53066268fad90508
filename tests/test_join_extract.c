/* The extract of a log, when its temporary file cannot hold it: the log is read again,
 * and the report is the same to the byte. */
#include "tests/testing.h"

#include <errno.h>

#include "tests/analysis_testing.h"
#include "tests/failing_io.h"

#define N_UNITS  3000
#define N_VISITS 20 /* with feedback, enough for several blocks of the file */

static struct trial_log trial;
static struct log_directory directory;

static const struct analysis_metric metrics[] = {
    {.name = "satisfied",
     .kind = ANALYSIS_PROPORTION,
     .event = "satisfied",
     .window_us = 7 * TRIAL_DAY,
     .direction = 1},
    {.name = "spent", .kind = ANALYSIS_MEAN, .event = "spent", .direction = 1},
    {.name = "latency",
     .kind = ANALYSIS_QUANTILE,
     .quantile = 0.9,
     .event = "exposure.latency_us",
     .direction = -1},
};

static int setup(void **state)
{
    (void)state;
    log_directory_make(&directory);
    trial_add_config(&trial, TRIAL_START - 1, trial_config);
    for (int i = 0; i < N_UNITS * N_VISITS; i++) {
        char user[16];
        const int u = (int)((unsigned)i * 7919U % N_UNITS);
        const int64_t ts = TRIAL_START + i * INT64_C(1000000);
        snprintf(user, sizeof user, "u%d", u);
        trial_add_exposure(&trial, ts, user, "bias", u % 2 ? "treatment" : "control");
        if (i % 3 == 0) {
            trial_add_feedback(&trial, ts + 9, "", user, "spent", 0.25 * (i % 41));
        } else if (i % 7 == 0) {
            trial_add_feedback(&trial, ts + 9, "", user, "satisfied", 1);
        }
    }
    trial_write_all(&trial, &directory);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_directory_remove(&directory);
    buffer_free(&trial.text);
    return 0;
}

static void report_of(struct buffer *text)
{
    const struct analysis_experiment spec = trial_experiment(metrics, 3);
    struct analysis *analysis = trial_analyze(directory.path, &spec);
    trial_report(analysis, REPORT_JSON, text);
    analysis_free(analysis);
}

static void extract_that_cannot_be_written_is_not_missed(void **state)
{
    (void)state;
    static const struct {
        int n_pass, n_fail, error_number;
    } cases[] = {{0, 1, ENOSPC}, {1, 1, EIO}, {0, 1, EINTR}, {0, 3, 0}};
    struct buffer whole = {0}, text = {0};
    failing_io_clear();
    report_of(&whole);
    assert_true(failing_io_count(FAILING_PWRITE) >= 2);
    for (size_t c = 0; c < sizeof cases / sizeof cases[0]; c++) {
        failing_io_set(FAILING_PWRITE, cases[c].n_pass, cases[c].n_fail,
                       cases[c].error_number);
        report_of(&text);
        assert_true(failing_io_clear() > 0);
        assert_string_equal(text.data, whole.data);
    }
    buffer_free(&whole);
    buffer_free(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extract_that_cannot_be_written_is_not_missed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
