/* The extract of a log, when its temporary file cannot hold it: the log is read again,
 * and the report is the same to the byte. So it is where ids came more than once. */
#include "tests/testing.h"

#include <errno.h>

#include "tests/analysis_testing.h"
#include "tests/failing_io.h"

#define N_UNITS  3000
#define N_TWINS  300
#define N_COPIES 400
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
    for (int i = 0; i < N_TWINS; i++) { /* one id, but not what it says */
        char id[16], user[16];
        snprintf(id, sizeof id, i % 2 ? "twin.%x" : "twin%xz", (unsigned)i);
        snprintf(user, sizeof user, "u%d", i);
        trial_add_feedback(&trial, TRIAL_START + TRIAL_HOUR + i, id, user, "spent",
                           i + 2);
        trial_add_feedback(&trial, TRIAL_START + TRIAL_DAY + i, id, user, "spent", 1);
    }
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
    trial_write_all(&trial, &directory);
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

static void copies_are_told_apart_from_the_extract_as_from_the_log(void **state)
{
    (void)state;
    static int order[100000 + N_COPIES];
    struct buffer first = {0}, extracted = {0}, read = {0};
    int n = 0;
    for (int i = 0; i < trial.n_lines; i++) {
        order[n++] = i;
        if (i % 200 == 199 && n < trial.n_lines + N_COPIES) {
            order[n++] = i / 3 + 1;
        }
    }
    for (int round = 0; round < 3; round++) {
        trial_write(&trial, &directory, order, n, 3);
        failing_io_clear();
        report_of(&extracted);
        assert_true(failing_io_count(FAILING_PWRITE) >= 2);
        failing_io_set(FAILING_PWRITE, 0, 1, ENOSPC);
        report_of(&read);
        assert_true(failing_io_clear() > 0);
        assert_string_equal(extracted.data, read.data);
        if (round == 0) {
            buffer_append(&first, read.data, read.len + 1);
            assert_non_null(strstr(read.data, "\"conflicting_duplicates\": 300"));
        }
        assert_string_equal(first.data, read.data);
        trial_shuffle(order, n, (uint64_t)round + 1);
    }
    buffer_free(&first);
    buffer_free(&extracted);
    buffer_free(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extract_that_cannot_be_written_is_not_missed),
        cmocka_unit_test(copies_are_told_apart_from_the_extract_as_from_the_log),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
