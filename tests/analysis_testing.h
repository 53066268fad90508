/* analysis_testing.h - from a trial log to its report, without a config parser. */
#ifndef TESTS_ANALYSIS_TESTING_H
#define TESTS_ANALYSIS_TESTING_H

#include "tests/trial_log.h"

#include "report/report.h"
#include "stats/stats.h"

static const struct analysis_metric trial_metric = {
    .name = "satisfied",
    .kind = ANALYSIS_PROPORTION,
    .event = "satisfied",
    .window_us = 7 * TRIAL_DAY,
    .direction = 1,
};
static const struct analysis_arm trial_arms[] = {{"control", 0.5}, {"treatment", 0.5}};

static inline struct analysis_experiment
trial_experiment(const struct analysis_metric *metrics, int n_metrics)
{
    return (struct analysis_experiment){
        .name = "bias",
        .status = "running",
        .config_hash = "0123456789abcdef",
        .config_ts_us = TRIAL_START - 1,
        .alpha = 0.05,
        .arms = trial_arms,
        .n_arms = 2,
        .metrics = metrics,
        .n_metrics = n_metrics,
        .primary = 0,
    };
}

/* Reads and measures `path`; the caller frees *join and *table. */
static inline void trial_join(const char *path, const struct analysis_spec *spec,
                              struct join **join, struct unit_table *table)
{
    struct error error = {0};
    if (join_open(path, 1, join, &error) != 0 ||
        join_measure(*join, spec, &error) != 0 ||
        join_table(*join, 0, table, &error) != 0) {
        fail_msg("%s", error.message);
        abort(); /* tells the analyzer that fail_msg does not return */
    }
}

/* Analysis of `path`; free it with analysis_free. */
static inline struct analysis *trial_analyze(const char *path,
                                             const struct analysis_experiment *spec)
{
    const struct analysis_spec all = {spec, 1};
    struct join *join = NULL;
    struct unit_table table = {0};
    struct error error = {0};
    trial_join(path, &all, &join, &table);
    struct analysis *analysis = analysis_new(join_evidence(join), 1);
    assert_non_null(analysis);
    if (analysis_run(analysis, 0, spec, &table, &error) != 0) {
        fail_msg("%s", error.message);
    }
    unit_table_free(&table);
    join_free(join);
    return analysis;
}

/* The report as a NUL-terminated text in *out. */
static inline const char *trial_report(const struct analysis *analysis,
                                       enum report_format format, struct buffer *out)
{
    struct error error = {0};
    buffer_clear(out);
    if (report_write(analysis, format, NULL, out, &error) != 0) {
        fail_msg("%s", error.message);
    }
    buffer_append_char(out, '\0');
    return out->data;
}

static inline const struct check *trial_check(const struct analysis *analysis,
                                              const char *name)
{
    const struct experiment_result *result = &analysis->experiments[0];
    for (int c = 0; c < result->n_checks; c++) {
        if (strcmp(result->checks[c].name, name) == 0) {
            return &result->checks[c];
        }
    }
    return NULL;
}

#endif
