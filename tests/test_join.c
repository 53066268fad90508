#include "tests/testing.h"

#include "common/id_map.h"
#include "stats/exact_sum.h"
#include "stats/id_seen.h"
#include "tests/analysis_testing.h"
#include "tests/failing_alloc.h"

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

static double successes(const struct unit_table *table, int arm)
{
    double n = 0;
    for (int i = 0; i < table->n_units; i++) {
        n += table->arm[i] == arm && table->metrics[0].value[i] > 0;
    }
    return n;
}

static void join_counts_the_mock_trial(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(&trial_metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_mock(&trial);
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_int_equal(table.n_units, 610);
    assert_close(successes(&table, 0), 132, 0);
    assert_close(successes(&table, 1), 226, 0);
    assert_int_equal(table.n_exposures[0], 2);
    assert_int_equal(join_evidence(join)->n_exposures, 1220);
    assert_int_equal(join_evidence(join)->n_feedback, 358);
    assert_int_equal(join_n_configs(join), 1);
    assert_true(slice_is(join_config(join, 0)->text, trial_config));
    unit_table_free(&table);
    join_free(join);
}

/* The window is [first exposure, first exposure + 7 d). */
static void join_counts_feedback_inside_the_window_only(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(&trial_metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    const struct {
        const char *user;
        int64_t delay;
    } cases[] = {{"early", -1},
                 {"first", 0},
                 {"last", 7 * TRIAL_DAY - 1},
                 {"late", 7 * TRIAL_DAY}};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    for (int i = 0; i < 4; i++) {
        trial_add_exposure(&trial, TRIAL_START, cases[i].user, "bias", "control");
        trial_add_feedback(&trial, TRIAL_START + cases[i].delay, "", cases[i].user,
                           "satisfied", (double)NAN);
    }
    trial_add_feedback(&trial, TRIAL_START, "", "stranger", "satisfied", 1);
    trial_add_exposure(&trial, TRIAL_START, "no", "bias", "control");
    trial_add_feedback(&trial, TRIAL_START + 1, "", "no", "satisfied", 0);
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_int_equal(table.n_units, 5);
    for (int i = 0; i < 5; i++) {
        const bool counts =
            slice_is(table.id[i], "first") || slice_is(table.id[i], "last");
        assert_close(table.metrics[0].value[i], counts, 0);
        if (slice_is(table.id[i], "last")) {
            assert_int_equal(table.metrics[0].days[i], 1 << 6);
        }
        if (slice_is(table.id[i], "early")) {
            assert_close(table.metrics[0].before[i], 1, 0);
        }
    }
    assert_int_equal(table.n_feedback_early, 1);
    assert_int_equal(table.n_feedback_late, 1);
    assert_int_equal(join_evidence(join)->n_unexposed, 1);
    unit_table_free(&table);
    join_free(join);
}

/* Three metrics count clicks, one of them as its denominator; the longest window is
 * the ratio's. */
static void
join_counts_an_early_or_late_event_once_however_many_metrics_it_feeds(void **state)
{
    (void)state;
    const struct analysis_metric metrics[] = {
        {.name = "clicks",
         .kind = ANALYSIS_COUNT,
         .event = "click",
         .window_us = TRIAL_DAY},
        {.name = "clicked",
         .kind = ANALYSIS_PROPORTION,
         .event = "click",
         .window_us = 3 * TRIAL_DAY},
        {.name = "bought",
         .kind = ANALYSIS_RATIO,
         .event = "buy",
         .denominator = "click",
         .window_us = 5 * TRIAL_DAY},
        {.name = "lists", .kind = ANALYSIS_COUNT, .event = "exposure"},
    };
    const struct analysis_experiment experiment = trial_experiment(metrics, 4);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_exposure(&trial, TRIAL_START - TRIAL_DAY, "u", "other", "control");
    trial_add_exposure(&trial, TRIAL_START, "u", "bias", "control");
    trial_add_feedback(&trial, TRIAL_START - 1, "", "u", "click", 1);
    trial_add_feedback(&trial, TRIAL_START - 1, "", "u", "of no metric", 1);
    trial_add_feedback(&trial, TRIAL_START + 2 * TRIAL_DAY, "", "u", "click", 1);
    trial_add_feedback(&trial, TRIAL_START + 4 * TRIAL_DAY, "", "u", "click", 1);
    trial_add_feedback(&trial, TRIAL_START + 5 * TRIAL_DAY, "", "u", "click", 1);
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_int_equal(table.n_feedback_early, 1);
    assert_int_equal(table.n_feedback_late, 1); /* the two before still count for one */
    unit_table_free(&table);
    join_free(join);
}

/* Nobody may worsen a guardrail of the log's own by sending feedback of its name. */
static void join_takes_no_feedback_for_what_the_log_itself_says(void **state)
{
    (void)state;
    const struct analysis_metric metrics[] = {
        {.name = "lists", .kind = ANALYSIS_COUNT, .event = "exposure"},
        {.name = "latency", .kind = ANALYSIS_MEAN, .event = "exposure.latency_us"},
        {.name = "items", .kind = ANALYSIS_MEAN, .event = "exposure.items"},
    };
    const struct analysis_experiment experiment = trial_experiment(metrics, 3);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_exposure(&trial, TRIAL_START, "u", "bias", "control");
    for (int m = 0; m < 3; m++) {
        trial_add_feedback(&trial, TRIAL_START + 1, "", "u", metrics[m].event, 1e6);
    }
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_close(table.metrics[0].value[0], 1, 0);
    assert_close(table.metrics[1].value[0], 100 + TRIAL_START % 97, 0);
    assert_close(table.metrics[2].value[0], 0, 0);
    unit_table_free(&table);
    join_free(join);
}

static void join_leaves_out_units_in_two_arms_and_unknown_arms(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(&trial_metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_exposure(&trial, TRIAL_START, "both", "bias", "control");
    trial_add_exposure(&trial, TRIAL_START + 5, "both", "bias", "treatment");
    trial_add_exposure(&trial, TRIAL_START, "odd", "bias", "retired");
    trial_add_exposure(&trial, TRIAL_START, "fine", "bias", "treatment");
    trial_add_exposure(&trial, TRIAL_START, "elsewhere", "other", "control");
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_int_equal(table.n_units, 1);
    assert_true(slice_is(table.id[0], "fine"));
    assert_int_equal(table.arm[0], 1);
    assert_int_equal(table.n_crossover, 1);
    assert_int_equal(table.n_unknown_arm, 1);
    unit_table_free(&table);
    join_free(join);
}

/* Whatever else such a unit was exposed to, before or after. */
static void join_leaves_out_forced_units(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(&trial_metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    const struct event_assignment forced = {.experiment = slice_of("bias"),
                                            .arm = slice_of("treatment"),
                                            .probability = 1,
                                            .is_forced = true};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_exposure(&trial, TRIAL_START, "fine", "bias", "treatment");
    trial_add_assignment(&trial, TRIAL_START, "forced", forced);
    trial_add_exposure(&trial, TRIAL_START, "later", "bias", "treatment");
    trial_add_assignment(&trial, TRIAL_START + 1, "later", forced);
    trial_add_assignment(&trial, TRIAL_START, "earlier", forced);
    trial_add_exposure(&trial, TRIAL_START + 1, "earlier", "bias", "control");
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_int_equal(table.n_units, 1);
    assert_true(slice_is(table.id[0], "fine"));
    assert_int_equal(table.n_forced, 3);
    assert_int_equal(table.n_crossover, 0);
    unit_table_free(&table);
    join_free(join);
}

/* The retry of a request carries the same id; of two that differ the earliest counts,
 * wherever it stands. */
static void join_counts_an_id_once_and_the_earliest_of_it(void **state)
{
    (void)state;
    const struct analysis_metric metric = {
        .name = "spent", .kind = ANALYSIS_MEAN, .event = "spent", .direction = 1};
    const struct analysis_experiment experiment = trial_experiment(&metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_exposure(&trial, TRIAL_START, "u", "bias", "control");
    trial_add_feedback(&trial, TRIAL_START + 9, "client-id", "u", "spent", 100);
    trial_add_feedback(&trial, TRIAL_START + 5, "client-id", "u", "spent", 7);
    trial_add_feedback(&trial, TRIAL_START + 5, "order 2", "u", "spent", 0.25);
    trial_add_feedback(&trial, TRIAL_START + 5, "order 2", "u", "spent", 0.25);
    for (int reverse = 0; reverse < 2; reverse++) {
        struct join *join = NULL;
        struct unit_table table = {0};
        int order[6];
        for (int i = 0; i < 6; i++) {
            order[i] = reverse ? 5 - i : i;
        }
        trial_write(&trial, &directory, order, 6, 1);

        trial_join(directory.path, &spec, &join, &table);

        assert_close(table.metrics[0].value[0], 7.25, 0);
        assert_int_equal(join_evidence(join)->n_duplicates, 2);
        assert_int_equal(join_evidence(join)->n_conflicts, 1);
        assert_int_equal(join_evidence(join)->n_feedback, 2);
        unit_table_free(&table);
        join_free(join);
    }
}

static void join_sums_ratios_and_keeps_single_values_for_quantiles(void **state)
{
    (void)state;
    const struct analysis_metric metrics[] = {
        {.name = "ctr",
         .kind = ANALYSIS_RATIO,
         .event = "click",
         .denominator = "exposure"},
        {.name = "latency",
         .kind = ANALYSIS_QUANTILE,
         .quantile = 0.99,
         .event = "exposure.latency_us"},
        {.name = "clicks", .kind = ANALYSIS_COUNT, .event = "click"},
    };
    const struct analysis_experiment experiment = trial_experiment(metrics, 3);
    const struct analysis_spec spec = {&experiment, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    for (int i = 0; i < 5; i++) {
        trial_add_exposure(&trial, TRIAL_START + i, "u", "bias", "control");
    }
    trial_add_feedback(&trial, TRIAL_START + 1, "", "u", "click", 1);
    trial_add_feedback(&trial, TRIAL_START + 2, "", "u", "click", 3);
    trial_write_all(&trial, &directory);

    trial_join(directory.path, &spec, &join, &table);

    assert_close(table.metrics[0].value[0], 4, 0);
    assert_close(table.metrics[0].denominator[0], 5, 0);
    assert_close(table.metrics[2].value[0], 2, 0);
    assert_int_equal(table.metrics[1].n_values, 5);
    assert_true(table.metrics[1].values[0] <= table.metrics[1].values[4]);
    assert_int_equal(table.metrics[1].sampled_1_in, 1);
    unit_table_free(&table);
    join_free(join);
}

static void join_takes_the_newest_config_first(void **state)
{
    (void)state;
    struct join *join = NULL;
    trial_add_config(&trial, TRIAL_START + 9, "new");
    trial_add_config(&trial, TRIAL_START, "old");
    trial_add_config(&trial, TRIAL_START + 5, "new");
    trial_write_all(&trial, &directory);

    assert_int_equal(join_open(directory.path, 1, &join, NULL), 0);

    assert_int_equal(join_n_configs(join), 2);
    assert_true(slice_is(join_config(join, 0)->text, "new"));
    assert_int_equal(join_config(join, 0)->first_ts_us, TRIAL_START + 5);
    assert_int_equal(join_config(join, 0)->newest_ts_us, TRIAL_START + 9);
    assert_true(slice_is(join_config(join, 1)->text, "old"));
    join_free(join);
}

/* A retrained file is another model under the same config. */
static void join_names_each_model_of_a_config_once(void **state)
{
    (void)state;
    static const struct event_model first[] = {{{"bpr", 3}, {"2d", 2}},
                                               {{"als", 3}, {"1c", 2}}};
    static const struct event_model second[] = {{{"als", 3}, {"0b", 2}},
                                                {{"bpr", 3}, {"2d", 2}}};
    struct event event = {.type = EVENT_CONFIG,
                          .ts_us = TRIAL_START,
                          .config = slice_of("9f"),
                          .text = slice_of("text"),
                          .models = first,
                          .n_models = 2,
                          .version = slice_of("0.1.0")};
    struct join *join = NULL;
    trial_add(&trial, event);
    event.models = second;
    event.ts_us++;
    trial_add(&trial, event);
    trial_write_all(&trial, &directory);

    assert_int_equal(join_open(directory.path, 2, &join, NULL), 0);

    const struct join_config *config = join_config(join, 0);
    assert_int_equal(config->n_models, 3);
    assert_string_equal(config->models[0].name, "als");
    assert_string_equal(config->models[0].hash, "0b");
    assert_string_equal(config->models[1].hash, "1c");
    assert_string_equal(config->models[2].name, "bpr");
    join_free(join);
}

static void join_survives_every_failing_allocation(void **state)
{
    (void)state;
    const struct analysis_experiment experiment = trial_experiment(&trial_metric, 1);
    const struct analysis_spec spec = {&experiment, 1};
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    trial_add_arm(&trial, "control", 3, 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "twice", "control1", "satisfied", 1);
    trial_add_feedback(&trial, TRIAL_START + 5, "twice", "control1", "satisfied", 1);
    trial_write_all(&trial, &directory);
    for (long n = 0;; n++) {
        struct join *join = NULL;
        struct unit_table table = {0};
        struct error error = {0};

        failing_alloc_at(n);
        const int rc = join_open(directory.path, 1, &join, &error) != 0 ||
                       join_measure(join, &spec, &error) != 0 ||
                       join_table(join, 0, &table, &error) != 0;
        const bool failed = failing_alloc_stop();

        unit_table_free(&table);
        join_free(join);
        if (!failed) {
            assert_int_equal(rc, 0);
            break;
        }
        assert_int_equal(rc, 1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
}

static void id_seen_finds_repeats_of_both_kinds_of_id(void **state)
{
    (void)state;
    struct id_seen *seen = id_seen_new();
    char id[32];

    for (int i = 0; i < 20000; i++) {
        snprintf(id, sizeof id, "0a1b2c3d-1.0.%x", i * 3);
        assert_int_equal(id_seen_add(seen, slice_of(id)), 0);
        snprintf(id, sizeof id, "client %d", i);
        assert_int_equal(id_seen_add(seen, slice_of(id)), 0);
    }

    /* Spelt otherwise, or of another node, an id is another id. */
    static const char *const others[] = {"0a1b2c3d-1.0.03",
                                         "0a1b2c3d-1.1.3",
                                         "0a1b2c3d-1.0.1",
                                         "0a1b2c3d-1.0.",
                                         ".3",
                                         ""};
    for (int i = 0; i < 6; i++) {
        assert_int_equal(id_seen_add(seen, slice_of(others[i])), 0);
    }
    assert_int_equal(id_seen_add(seen, slice_of("0a1b2c3d-1.0.3")), 1);
    assert_int_equal(id_seen_add(seen, slice_of("client 19999")), 1);
    assert_int_equal(id_seen_add(seen, slice_of("client 19999")), 1);
    assert_int_equal(id_seen_n_repeated(seen), 2);
    assert_int_equal(id_seen_repeated(seen, slice_of("client 19999")), 1);
    assert_int_equal(id_seen_repeated(seen, slice_of("client 1")), ID_NONE);
    id_seen_free(seen);
}

static void exact_sum_does_not_depend_on_order(void **state)
{
    (void)state;
    static const double values[] = {0.1, 1e11, -0.3, 1e-9, -1e11, 0.2};
    exact_sum forward = 0, backward = 0;

    for (int i = 0; i < 6; i++) {
        assert_true(exact_sum_add(&forward, values[i]));
        assert_true(exact_sum_add(&backward, values[5 - i]));
    }

    assert_true(forward == backward);
    assert_close(exact_sum_value(forward), 1e-9, 1e-16); /* 0.1 - 0.3 + 0.2 is not 0 */
    assert_false(exact_sum_add(&forward, (double)NAN));
    assert_false(exact_sum_add(&forward, 1e13));
}

#define WITH_DIRECTORY(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_DIRECTORY(join_counts_the_mock_trial),
        WITH_DIRECTORY(join_counts_feedback_inside_the_window_only),
        WITH_DIRECTORY(
            join_counts_an_early_or_late_event_once_however_many_metrics_it_feeds),
        WITH_DIRECTORY(join_takes_no_feedback_for_what_the_log_itself_says),
        WITH_DIRECTORY(join_leaves_out_units_in_two_arms_and_unknown_arms),
        WITH_DIRECTORY(join_leaves_out_forced_units),
        WITH_DIRECTORY(join_counts_an_id_once_and_the_earliest_of_it),
        WITH_DIRECTORY(join_sums_ratios_and_keeps_single_values_for_quantiles),
        WITH_DIRECTORY(join_takes_the_newest_config_first),
        WITH_DIRECTORY(join_names_each_model_of_a_config_once),
        WITH_DIRECTORY(join_survives_every_failing_allocation),
        cmocka_unit_test(id_seen_finds_repeats_of_both_kinds_of_id),
        cmocka_unit_test(exact_sum_does_not_depend_on_order),
    };
    return cmocka_run_group_tests_name("join", tests, NULL, NULL);
}
