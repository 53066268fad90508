/* A join that goes on from a state: the same report, to the byte, as of a full reading,
 * whatever happened between; and when it cannot, it says so. */
#include "tests/testing.h"

#include "logs/segment_name.h"
#include "tests/analysis_testing.h"
#include "tests/failing_alloc.h"

#include "stats/join_state.h"

static struct trial_log trial;
static struct log_directory directory;
static char state_path[128];
static bool wants_lists;     /* of report_of */
static size_t n_records_max; /* of its samples; 0: as always */

static const struct analysis_metric metrics[] = {
    {.name = "satisfied",
     .kind = ANALYSIS_PROPORTION,
     .event = "satisfied",
     .window_us = 7 * TRIAL_DAY,
     .direction = 1},
    {.name = "latency",
     .kind = ANALYSIS_QUANTILE,
     .quantile = 0.9,
     .event = "exposure.latency_us",
     .direction = -1},
    {.name = "spent", .kind = ANALYSIS_MEAN, .event = "spent", .direction = 1},
    {.name = "rate",
     .kind = ANALYSIS_RATIO,
     .event = "satisfied",
     .denominator = "exposure",
     .direction = 1},
};

static int setup(void **state)
{
    (void)state;
    trial.n_lines = trial.next_id = 0;
    wants_lists = false;
    n_records_max = 0;
    buffer_clear(&trial.text);
    log_directory_make(&directory);
    snprintf(state_path, sizeof state_path, "%s.state", directory.path);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    log_directory_remove(&directory);
    unlink(state_path);
    buffer_free(&trial.text);
    return 0;
}

/* The report in JSON; false when the state is stale (why is in `text` then). */
static bool report_of(const struct analysis_experiment *spec,
                      const struct join_state_options *options, int n_threads,
                      struct buffer *text)
{
    const struct analysis_spec all = {spec, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    struct error error = {0};
    bool is_good = true;
    if (join_open_state(directory.path, options, n_threads, &join, &error) != 0) {
        fail_msg("%s", error.message);
        abort();
    }
    if (wants_lists) {
        join_want_items(join);
    }
    if (n_records_max) {
        join->n_records_max = n_records_max;
    }
    if (join_stale(join) || join_measure(join, &all, &error) != 0) {
        is_good = false;
        buffer_clear(text);
        assert_non_null(join_stale(join));
        buffer_append_text(text, join_stale(join));
        buffer_append_char(text, '\0');
    } else {
        assert_int_equal(join_table(join, 0, &table, &error), 0);
        struct analysis_experiment served = *spec;
        served.models = join_config(join, 0)->models;
        served.n_models = join_config(join, 0)->n_models;
        assert_int_equal(served.n_models, 1);
        struct analysis *analysis = analysis_new(join_evidence(join), 1);
        assert_non_null(analysis);
        assert_int_equal(analysis_run(analysis, 0, &served, &table, &error), 0);
        trial_report(analysis, REPORT_JSON, text);
        analysis_free(analysis);
    }
    unit_table_free(&table);
    join_free(join);
    return is_good;
}

/* Goes on from the state and holds the report against a full reading's. */
static void assert_goes_on(const struct analysis_experiment *spec, int n_threads)
{
    struct buffer resumed = {0}, full = {0};
    const struct join_state_options options = {state_path, false};
    const bool goes_on = report_of(spec, &options, n_threads, &resumed);
    if (!goes_on) {
        fail_msg("stale: %s", resumed.data);
    }
    assert_true(report_of(spec, NULL, 1, &full));
    size_t at = 0;
    while (resumed.data[at] && resumed.data[at] == full.data[at]) {
        at++;
    }
    if (resumed.data[at] != full.data[at]) {
        at = at > 150 ? at - 150 : 0;
        fail_msg("it says\n%.300s\nof a full reading's\n%.300s", resumed.data + at,
                 full.data + at);
    }
    buffer_free(&resumed);
    buffer_free(&full);
}

static void assert_stale(const struct analysis_experiment *spec, const char *why)
{
    struct buffer text = {0}, full = {0};
    const struct join_state_options options = {state_path, false},
                                    fresh = {state_path, true};
    const bool goes_on = report_of(spec, &options, 2, &text);
    if (goes_on) {
        fail_msg("not stale, though %s", why);
    }
    if (!strstr(text.data, why)) {
        fail_msg("stale because %s, not %s", text.data, why);
    }
    assert_true(report_of(spec, &fresh, 2, &text));
    assert_true(report_of(spec, NULL, 1, &full));
    assert_string_equal(text.data, full.data);
    buffer_free(&text);
    buffer_free(&full);
}

/* Lines [from, to) of the trial become segment `number`, which grows by them. */
static void append_lines(int number, int from, int to)
{
    char path[256];
    snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-%d.jsonl", directory.path,
             number);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    for (int i = from; i < to; i++) {
        const struct slice line = trial_line(&trial, i);
        assert_int_equal(fwrite(line.data, 1, line.len, file), line.len);
    }
    assert_int_equal(fclose(file), 0);
}

/* A week of it, in order of time: users who come again, who answer before they are ever
 * exposed, who are never exposed, who meet a second arm; the same event twice. */
static void make_week(void)
{
    trial_add_config(&trial, TRIAL_START - 1, trial_config);
    for (int i = 0; i < 900; i++) {
        char user[32], id[32];
        const int64_t ts = TRIAL_START + i * TRIAL_HOUR / 5;
        const int u = (i * 37) % 101;
        snprintf(user, sizeof user, "u%d", u);
        snprintf(id, sizeof id, "client %d", i);
        if (i % 3 == 0 && !(u > 60 && i < 500) && u < 90) {
            trial_add_exposure(&trial, ts, user, "bias",
                               (u % 2) ^ (u == 7 && i > 700) ? "treatment" : "control");
        } else if (i % 3 == 1) {
            trial_add_feedback(&trial, ts, i % 2 ? id : "", user, "satisfied", 1);
        } else {
            trial_add_feedback(&trial, ts, "", user, "spent",
                               i % 50 == 2 ? 1e30 : 0.37 * i);
        }
        if (i == 100 || i == 101) {
            trial_add_feedback(&trial, TRIAL_START + TRIAL_HOUR + i, "twice", "u3",
                               "spent", 5 + i);
        }
    }
}

static void state_gives_the_bytes_of_a_full_reading_as_the_log_grows(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    make_week();
    const int n = trial.n_lines;
    int at = 0;
    for (int step = 0; at < n; step++) {
        const int to = at + 130 < n ? at + 130 : n;
        const int middle = (at + to) / 2;
        append_lines(1, at, middle);
        append_lines(2 + step / 3, middle, to);
        at = to;
        assert_goes_on(&spec, 1 + step % 3);
        assert_goes_on(&spec, 2); /* nothing new */
    }
}

/* A list of four to user u, or what u clicked on in the list of request `number`. */
static void add_list(int64_t ts, int number, int u, const char *arm)
{
    char user[16], id[16], texts[4][8];
    struct slice items[4];
    snprintf(user, sizeof user, "u%d", u);
    snprintf(id, sizeof id, "r%d", number);
    for (int i = 0; i < 4; i++) {
        snprintf(texts[i], sizeof texts[i], "%d", (u * 3 + number * (i + 1)) % 40);
        items[i] = slice_of(texts[i]);
    }
    trial_add_list(&trial,
                   (struct event){.ts_us = ts,
                                  .id = slice_of(id),
                                  .user = slice_of(user),
                                  .n_items = 4,
                                  .latency_us = 100 + number % 77},
                   arm, items);
}

static void add_click(int64_t ts, int number, int u, int position)
{
    char user[16], request[16], item[8];
    snprintf(user, sizeof user, "u%d", u);
    snprintf(request, sizeof request, "r%d", number);
    snprintf(item, sizeof item, "%d", (u * 3 + number * (position + 1)) % 40);
    trial_add(&trial, (struct event){.type = EVENT_FEEDBACK,
                                     .ts_us = ts,
                                     .user = slice_of(user),
                                     .event = slice_of("click"),
                                     .item = slice_of(item),
                                     .request = slice_of(request)});
}

/* Lists and clicks on them; items that only u5 and u7 are shown, who meet a second arm
 * late; clicks that come before their user's first list; the same list twice. */
static void make_week_of_lists(void)
{
    trial_add_config(&trial, TRIAL_START - 1, trial_config);
    for (int i = 0; i < 600; i++) {
        const int64_t ts = TRIAL_START + i * TRIAL_HOUR / 4;
        const int u = (i * 37) % 61;
        const bool is_second = (u == 7 && i > 300) || (u == 5 && i > 450);
        if (i % 9 == 1) {
            add_click(ts - 1, i, u, 1);
        }
        add_list(ts, i, u, (u % 2) ^ is_second ? "treatment" : "control");
        for (int p = 0; p < 3; p++) {
            if ((i * 5 + u + p) % 3 == 0) {
                add_click(ts + 1 + p, i, u, p);
            }
        }
        if (i % 100 == 50) {
            add_list(ts, i, u, u % 2 ? "treatment" : "control");
        }
    }
}

/* `step` lines at a time. */
static void assert_lists_go_on(int step)
{
    struct analysis_experiment spec = trial_experiment(metrics, 4);
    const int n = trial.n_lines;
    spec.click = "click";
    for (int at = 0, k = 0; at < n; at += step, k++) {
        append_lines(1 + k / 3, at, at + step < n ? at + step : n);
        assert_goes_on(&spec, 1 + k % 3);
        assert_goes_on(&spec, 2);
    }
}

static void state_keeps_lists_and_takes_back_those_of_crossovers(void **state)
{
    (void)state;
    wants_lists = true;
    make_week_of_lists();
    assert_lists_go_on(170);

    struct analysis_experiment spec = trial_experiment(metrics, 4);
    assert_stale(&spec, "other experiments or metrics"); /* no clicks are asked for */
    spec.click = "click";
    assert_stale(&spec, "other experiments or metrics");
    wants_lists = false;
    assert_stale(&spec, "other experiments or metrics");
}

/* Thinned as a full reading thins; a unit that leaves cannot be taken back then. */
static void state_thins_lists_as_a_full_reading_does(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(metrics, 4);
    spec.click = "click";
    wants_lists = true;
    n_records_max = 700;
    trial_add_config(&trial, TRIAL_START - 1, trial_config);
    for (int i = 0; i < 600; i++) {
        const int u = (i * 37) % 61;
        add_list(TRIAL_START + i * 1000, i, u, u % 2 ? "treatment" : "control");
        if (i % 3 == 0) {
            add_click(TRIAL_START + i * 1000 + 1, i, u, i % 4);
        }
    }
    assert_lists_go_on(170);
    add_list(TRIAL_START + TRIAL_DAY, 1000, 8, "treatment");
    append_lines(90, trial.n_lines - 1, trial.n_lines);
    assert_stale(&spec, "seen in a second arm");
}

/* Another copy of an event that came twice before changes nothing but the counts. */
static void state_takes_in_more_copies_of_what_came_twice(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    make_week();
    const int n = trial.n_lines;
    append_lines(1, 0, n);
    assert_goes_on(&spec, 1);
    trial_add_feedback(&trial, TRIAL_START + 5 * TRIAL_HOUR, "twice", "u3", "spent", 9);
    trial_add_feedback(&trial, TRIAL_START + TRIAL_HOUR / 2, "twice", "u3", "spent", 1);
    append_lines(2, n, n + 1);
    assert_goes_on(&spec, 1);
    append_lines(2, n + 1, n + 2);
    assert_goes_on(&spec, 1);
}

static void torn_and_damaged_bytes_are_counted_once(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    char path[256];
    make_week();
    append_lines(1, 0, 300);
    append_lines(3, 300, 400);
    snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-1.jsonl", directory.path);
    FILE *file = fopen(path, "ab");
    assert_non_null(file);
    assert_true(fputs("no line of ours\n{\"type\":\"torn", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_goes_on(&spec, 1);
    assert_goes_on(&spec, 1);

    /* The writer cuts the torn tail; others write on. */
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(truncate(path, status.st_size - 13), 0);
    append_lines(2, 400, 500);
    assert_goes_on(&spec, 2);
    file = fopen(path, "ab");
    assert_non_null(file);
    assert_true(fputs("damage behind what was read\n", file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_goes_on(&spec, 2);
}

static void compressed_segments_are_known_again(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    struct error error = {0};
    make_week();
    append_lines(1, 0, 300);
    assert_goes_on(&spec, 1);
    int64_t n = 0;
    if (log_compact(directory.path, NULL, NULL, &n, &error) != 0) {
        fail_msg("%s", error.message);
    }
    append_lines(2, 300, 500);
    assert_goes_on(&spec, 1);
    append_lines(2, 500, 600);
    assert_goes_on(&spec, 2);
}

static void state_that_does_not_fit_is_not_gone_on_from(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    const struct analysis_experiment other = trial_experiment(metrics, 3);
    char path[256];
    make_week();
    const int n = trial.n_lines;
    append_lines(1, 0, 500);
    assert_goes_on(&spec, 1);
    assert_stale(&other, "other experiments or metrics");
    assert_stale(&spec, "other experiments or metrics");

    append_lines(2, 400, 401); /* counted before */
    assert_stale(&spec, "came in again");
    trial_add_exposure(&trial, TRIAL_START - 500, "u2", "bias", "control");
    append_lines(3, n, n + 1);
    assert_stale(&spec, "earlier than its unit's first one");
    trial_add_feedback(&trial, TRIAL_START + 9 * TRIAL_DAY, "", "new", "spent", 1);
    append_lines(3, n + 1, n + 2);
    assert_goes_on(&spec, 1);
    trial_add_exposure(&trial, TRIAL_START + TRIAL_DAY, "new", "bias", "control");
    append_lines(3, n + 2, n + 3);
    assert_stale(&spec, "earlier than events of its unit");

    snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-2.jsonl", directory.path);
    assert_int_equal(unlink(path), 0);
    assert_stale(&spec, "lost 1 of the segments");
    snprintf(path, sizeof path, "%s/0a1b2c3d-20251124T160000-1.jsonl", directory.path);
    assert_int_equal(truncate(path, 5000), 0);
    assert_stale(&spec, "not any more what was read");
    FILE *file = fopen(path, "r+b");
    assert_non_null(file);
    assert_int_equal(fseek(file, 4500, SEEK_SET), 0);
    assert_int_equal(fputc('~', file), '~');
    assert_int_equal(fclose(file), 0);
    assert_stale(&spec, "not any more what was read");
}

/* Every byte of the file, changed: the report is never another one. */
static void no_changed_byte_of_the_state_changes_the_report(void **state)
{
    (void)state;
    const struct analysis_experiment spec = trial_experiment(metrics, 4);
    const struct join_state_options options = {state_path, false};
    struct buffer kept = {0}, text = {0}, full = {0};
    struct error error = {0};
    trial_add_config(&trial, TRIAL_START - 1, trial_config);
    trial_add_arm(&trial, "control", 4, 2);
    trial_add_arm(&trial, "treatment", 3, 1);
    append_lines(1, 0, trial.n_lines);
    assert_goes_on(&spec, 1);
    assert_true(report_of(&spec, NULL, 1, &full));
    assert_int_equal(file_read(state_path, 1 << 20, &kept, &error), 0);

    for (size_t i = 0; i < kept.len; i++) {
        kept.data[i] = (char)(kept.data[i] ^ (1 + (int)(i % 255)));
        FILE *file = fopen(state_path, "wb");
        assert_non_null(file);
        assert_int_equal(fwrite(kept.data, 1, kept.len, file), kept.len);
        assert_int_equal(fclose(file), 0);
        if (i < 8) { /* not a state: refused, not overwritten */
            struct join *join = NULL;
            assert_int_equal(
                join_open_state(directory.path, &options, 1, &join, &error), -1);
            assert_int_equal(error.code, ERROR_INVALID);
        } else {
            assert_false(report_of(&spec, &options, 1, &text));
            assert_non_null(strstr(text.data, "damaged"));
        }
        kept.data[i] = (char)(kept.data[i] ^ (1 + (int)(i % 255)));
    }
    assert_int_equal(truncate(state_path, (off_t)kept.len / 2), 0);
    assert_false(report_of(&spec, &options, 1, &text));
    buffer_free(&kept);
    buffer_free(&text);
    buffer_free(&full);
}

static void every_failing_allocation_is_told(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(metrics, 4);
    const struct analysis_spec spec = {&experiment, 1};
    const struct join_state_options options = {state_path, false};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_arm(&trial, "control", 3, 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "twice", "control1", "satisfied", 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "twice", "control1", "satisfied", 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "other", "nobody", "satisfied", 1);
    append_lines(1, 0, trial.n_lines - 1);
    assert_goes_on(&experiment, 1);
    append_lines(2, trial.n_lines - 1, trial.n_lines);
    for (long n = 0;; n++) {
        struct join *join = NULL;
        struct error error = {0};
        assert_int_equal(n < 100000, 1);

        failing_alloc_at(n);
        const int rc =
            join_open_state(directory.path, &options, 1, &join, &error) != 0 ||
            join_measure(join, &spec, &error) != 0;
        const bool failed = failing_alloc_stop();

        const bool is_stale = join && join_stale(join); /* then all is read anew */
        join_free(join);
        if (!failed) {
            assert_int_equal(rc, 0);
            break;
        }
        if (rc == 0) {
            fail_msg("allocation %ld failed unnoticed", n);
        }
        if (!is_stale) {
            assert_int_equal(error.code, ERROR_NOMEM);
        }
    }
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(state_gives_the_bytes_of_a_full_reading_as_the_log_grows),
        WITH_DIRECTORY(state_keeps_lists_and_takes_back_those_of_crossovers),
        WITH_DIRECTORY(state_thins_lists_as_a_full_reading_does),
        WITH_DIRECTORY(state_takes_in_more_copies_of_what_came_twice),
        WITH_DIRECTORY(torn_and_damaged_bytes_are_counted_once),
        WITH_DIRECTORY(compressed_segments_are_known_again),
        WITH_DIRECTORY(state_that_does_not_fit_is_not_gone_on_from),
        WITH_DIRECTORY(no_changed_byte_of_the_state_changes_the_report),
        WITH_DIRECTORY(every_failing_allocation_is_told),
    };
    return cmocka_run_group_tests_name("join resume", tests, NULL, NULL);
}
