/* What the lists were like, out of a log: each number against a direct count over what
 * the test itself wrote, and its standard error against the linearised ratio estimator
 * (Cochran, Sampling Techniques, 1977, 2.11) written out. */
#include "tests/analysis_testing.h"

#include <math.h>
#include <stdlib.h>

#include "common/hash.h"
#include "tests/failing_alloc.h"

#define N_UNITS    90
#define N_VISITS   3
#define N_SHOWN    4
#define N_ANSWERED 3 /* positions 1 to 3 are ever answered to */

static struct trial_log trial;
static struct log_directory directory;

static int item_at(int unit, int visit, int position)
{
    return position * 5 + (unit % 2 ? visit : unit * visit) % 4;
}

static bool is_answered(int unit, int visit, int position)
{
    return position < N_ANSWERED && (unit * 7 + visit * 3 + position * 5) % 4 == 0;
}

static void add_visit(int unit, int visit, int n_items)
{
    char user[16], request[24], ids[N_SHOWN][8];
    struct slice items[N_SHOWN];
    snprintf(user, sizeof user, "u%d", unit);
    snprintf(request, sizeof request, "r-%d-%d", unit, visit);
    for (int i = 0; i < n_items; i++) {
        snprintf(ids[i], sizeof ids[i], "%d", item_at(unit, visit, i));
        items[i] = slice_of(ids[i]);
    }
    trial_add_list(&trial,
                   (struct event){.ts_us = TRIAL_START + unit * 100 + visit,
                                  .id = slice_of(request),
                                  .user = slice_of(user),
                                  .n_items = n_items,
                                  .latency_us = 100 + unit * N_VISITS + visit},
                   unit % 2 ? "treatment" : "control", items);
    for (int i = 0; i < n_items; i++) {
        if (is_answered(unit, visit, i)) {
            for (int twice = 0; twice < 2; twice++) { /* two clicks are one answer */
                trial_add(&trial,
                          (struct event){.type = EVENT_FEEDBACK,
                                         .ts_us = TRIAL_START + unit * 100 + visit + 9,
                                         .user = slice_of(user),
                                         .event = slice_of("click"),
                                         .item = slice_of(ids[i]),
                                         .request = slice_of(request)});
            }
        }
    }
}

/* Some lists are shorter, so that positions differ in how often they were shown. */
static int list_length(int unit, int visit)
{
    return (unit + visit) % 3 ? N_SHOWN : 2;
}

static int setup(void **state)
{
    (void)state;
    trial_add_config(&trial, TRIAL_START - 9, trial_config);
    for (int u = 0; u < N_UNITS; u++) {
        for (int v = 0; v < N_VISITS; v++) {
            add_visit(u, v, list_length(u, v));
        }
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    buffer_free(&trial.text);
    return 0;
}

/* Numerator and denominator of unit u: of clicks at `position`, or of repeats (-1). */
static void count(int unit, int position, double *x, double *y)
{
    *x = *y = 0;
    for (int v = 0; v < N_VISITS; v++) {
        for (int p = 0; p < list_length(unit, v); p++) {
            if (position >= 0) {
                *y += p == position;
                *x += p == position && is_answered(unit, v, p);
                continue;
            }
            bool is_repeat = false;
            for (int w = 0; w < v; w++) {
                for (int q = 0; q < list_length(unit, w); q++) {
                    is_repeat |= item_at(unit, w, q) == item_at(unit, v, p);
                }
            }
            *y += 1;
            *x += is_repeat;
        }
    }
}

/* Showings of each item to the units of `arm`, of both when it is 2, but not to those
 * of group `without`; items are numbered, of which N_ITEMS are never reached. */
#define N_ITEMS 32
static void count_items(int arm, int without, double counts[N_ITEMS])
{
    memset(counts, 0, N_ITEMS * sizeof *counts);
    for (int u = 0; u < N_UNITS; u++) {
        char user[16];
        const int len = snprintf(user, sizeof user, "u%d", u);
        const bool is_left_out = (int)(hash_bytes(user, (size_t)len) % 16) == without;
        for (int v = 0; v < N_VISITS; v++) {
            for (int p = 0; p < list_length(u, v); p++) {
                counts[item_at(u, v, p)] += !is_left_out && (arm == 2 || u % 2 == arm);
            }
        }
    }
}

/* Coverage, Gini (as the mean absolute difference of all pairs over twice the mean) or
 * novelty, straight from their definitions. */
static double describe_items(char what, int arm, int without)
{
    double counts[N_ITEMS], all[N_ITEMS], total = 0, sum = 0, n = 0, value = 0;
    count_items(arm, without, counts);
    count_items(2, -1, all);
    for (int i = 0; i < N_ITEMS; i++) {
        n += all[i] > 0;
        total += all[i];
        sum += counts[i];
    }
    for (int i = 0; i < N_ITEMS; i++) {
        if (what == 'c') {
            value += counts[i] > 0 ? 1 / n : 0;
        } else if (what == 'n' && counts[i] > 0) {
            value -= counts[i] / sum * log2(all[i] / total);
        }
        for (int j = 0; j < N_ITEMS && what == 'g'; j++) {
            value += all[i] > 0 && all[j] > 0
                         ? fabs(counts[i] - counts[j]) / (2 * n * sum)
                         : 0;
        }
    }
    return value;
}

/* Wolter (2007), 4.3: groups of equal chance, deviations from the groups' mean. */
static void expect_items(const struct item_metric *metric, char what)
{
    for (int a = 0; a < 2; a++) {
        double parts[16], mean = 0, squares = 0;
        for (int g = 0; g < 16; g++) {
            parts[g] = describe_items(what, a, g);
            mean += parts[g] / 16;
        }
        for (int g = 0; g < 16; g++) {
            squares += (parts[g] - mean) * (parts[g] - mean);
        }
        assert_close(metric->arms[a].value, describe_items(what, a, -1), 1e-12);
        assert_close(metric->arms[a].variance, squares * 15 / 16, 1e-12);
        assert_close(metric->arms[a].df, 15, 0);
    }
}

static void expect_ratio(const struct item_metric *metric, int position)
{
    for (int a = 0; a < 2; a++) {
        double sum_x = 0, sum_y = 0, squares = 0;
        int n = 0;
        for (int u = a; u < N_UNITS; u += 2) {
            double x, y;
            count(u, position, &x, &y);
            sum_x += x;
            sum_y += y;
            n += y > 0;
        }
        const double rate = sum_x / sum_y;
        for (int u = a; u < N_UNITS; u += 2) {
            double x, y;
            count(u, position, &x, &y);
            squares += (x - rate * y) * (x - rate * y);
        }
        assert_close(metric->arms[a].value, rate, 1e-12);
        assert_close(metric->arms[a].variance,
                     squares * n / (n - 1.0) / (sum_y * sum_y), 1e-14);
    }
    assert_true(metric->findings[0].is_testable);
    assert_close(metric->findings[0].effect_size,
                 metric->arms[1].value - metric->arms[0].value, 1e-12);
    assert_true(metric->findings[0].ci_lower < metric->findings[0].effect_size);
    assert_true(metric->findings[0].ci_upper > metric->findings[0].effect_size);
    assert_string_equal(metric->findings[0].test,
                        "delta method with units as clusters, t-test, two-sided");
}

static const struct item_metric *find(const struct experiment_result *result,
                                      const char *name)
{
    for (int m = 0; m < result->n_item_metrics; m++) {
        if (strcmp(result->item_metrics[m].name, name) == 0) {
            return &result->item_metrics[m];
        }
    }
    return NULL;
}

/* Type 7 quantile of the latencies of one arm, which are an arithmetic progression per
 * unit. */
static double latency_quantile(int arm, double share)
{
    double values[N_UNITS * N_VISITS];
    int n = 0;
    for (int u = arm; u < N_UNITS; u += 2) {
        for (int v = 0; v < N_VISITS; v++) {
            values[n++] = 100 + u * N_VISITS + v;
        }
    }
    const double at = share * (n - 1);
    const int below = (int)at;
    return values[below] + (at - below) * (values[below + 1] - values[below]);
}

static void lists_tell_repeats_clicks_and_latency(void **state)
{
    (void)state;
    struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    const struct analysis_spec all = {&spec, 1};
    static int order[2000];
    for (int n_threads = 1; n_threads <= 2; n_threads++) {
        struct join *join = NULL;
        struct unit_table table = {0};
        struct error error = {0};
        for (int i = 0; i < trial.n_lines; i++) {
            order[i] = n_threads == 1 ? i : trial.n_lines - 1 - i;
        }
        spec.click = "click";
        log_directory_make(&directory);
        trial_write(&trial, &directory, order, trial.n_lines, n_threads);
        assert_int_equal(join_open(directory.path, n_threads, &join, &error), 0);
        join_want_items(join);
        assert_int_equal(join_measure(join, &all, &error), 0);
        assert_int_equal(join_table(join, 0, &table, &error), 0);
        struct analysis *analysis = analysis_new(join_evidence(join), 1);
        assert_non_null(analysis);

        assert_int_equal(analysis_run(analysis, 0, &spec, &table, &error), 0);

        const struct experiment_result *result = &analysis->experiments[0];
        expect_items(find(result, "coverage"), 'c');
        expect_items(find(result, "concentration"), 'g');
        expect_items(find(result, "novelty"), 'n');
        expect_ratio(find(result, "repeat rate"), -1);
        expect_ratio(find(result, "click rate, position 1"), 0);
        expect_ratio(find(result, "click rate, position 3"), 2);
        const struct item_metric *last = find(result, "click rate, position 4");
        assert_close(last->arms[0].value, 0, 0);
        assert_false(last->findings[0].is_testable);
        assert_int_equal(last->n_family, 3); /* Holm counts what could be tested */
        assert_null(find(result, "click rate, position 5"));
        const struct item_metric *p50 = find(result, "latency p50");
        const struct item_metric *p95 = find(result, "latency p95");
        for (int a = 0; a < 2; a++) {
            assert_close(p95->arms[a].value, latency_quantile(a, 0.95), 1e-9);
            assert_close(p50->arms[a].value, latency_quantile(a, 0.5), 1e-9);
            assert_true(p50->arms[a].variance > 0);
        }
        assert_true(p50->findings[0].is_testable);
        assert_string_equal(
            p50->findings[0].test,
            "delta method, order statistics, units as clusters, z-test, two-sided");
        assert_int_equal(p95->n_family, 1); /* the tails hold too few values */
        analysis_free(analysis);
        unit_table_free(&table);
        join_free(join);
        log_directory_remove(&directory);
    }
}

/* From the log's first byte to the report's last, lists and all. */
static int report_lists(struct buffer *report, struct error *error)
{
    struct analysis_experiment spec = trial_experiment(&trial_metric, 1);
    spec.click = "click";
    const struct analysis_spec all = {&spec, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    struct analysis *analysis = NULL;
    int rc = -1;
    buffer_clear(report);
    if (join_open(directory.path, 1, &join, error) != 0) {
        goto out;
    }
    join_want_items(join);
    if (join_measure(join, &all, error) != 0 ||
        join_table(join, 0, &table, error) != 0) {
        goto out;
    }
    analysis = analysis_new(join_evidence(join), 1);
    if (!analysis) {
        error_set(error, ERROR_NOMEM, "no memory for an analysis");
        goto out;
    }
    rc = analysis_run(analysis, 0, &spec, &table, error) == 0
             ? report_write(analysis, REPORT_JSON, NULL, report, error)
             : -1;

out:
    analysis_free(analysis);
    unit_table_free(&table);
    join_free(join);
    return rc;
}

/* Where less memory only costs time the report is the same, byte for byte. */
static void lists_survive_every_failing_allocation(void **state)
{
    (void)state;
    struct buffer whole = {0}, report = {0};
    long n_failures = 0;
    log_directory_make(&directory);
    trial_write_all(&trial, &directory);
    assert_int_equal(report_lists(&whole, NULL), 0);
    for (long n = 0;; n++) {
        struct error error = {0};
        buffer_free(&report);
        report = (struct buffer){0};
        failing_alloc_at(n);
        const int rc = report_lists(&report, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            break;
        }
        n_failures++;
        if (rc == 0 && !report.failed) {
            assert_int_equal(report.len, whole.len);
            assert_memory_equal(report.data, whole.data, whole.len);
        } else if (rc != 0) {
            assert_int_equal(error.code, ERROR_NOMEM);
            assert_non_null(strstr(error.message, "memory"));
        }
    }
    assert_true(n_failures > 100);
    buffer_free(&report);
    buffer_free(&whole);
    log_directory_remove(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lists_tell_repeats_clicks_and_latency),
        cmocka_unit_test(lists_survive_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("lists", tests, setup, teardown);
}
