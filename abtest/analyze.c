#include "abtest/analyze.h"

#include "report/report.h"

static int analyze_tables(struct analyze_result *result, struct error *error)
{
    const struct analysis_spec *spec = &result->source.spec;
    for (int e = 0; e < spec->n_experiments; e++) {
        struct unit_table table = {0};
        if (join_table(result->join, e, &table, error) != 0) {
            return -1;
        }
        const int rc =
            analysis_run(result->analysis, e, &spec->experiments[e], &table, error);
        unit_table_free(&table);
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

int analyze_logs(const char *logs, const char *experiment,
                 struct analyze_result *result, struct error *error)
{
    if (join_open(logs, &result->join, error) != 0 ||
        analysis_source_build(result->join, logs, experiment, &result->source, error) !=
            0 ||
        join_measure(result->join, &result->source.spec, error) != 0) {
        return -1;
    }
    result->analysis =
        analysis_new(join_evidence(result->join), result->source.spec.n_experiments);
    if (!result->analysis) {
        error_set(error, ERROR_NOMEM, "%s: no memory to analyze it", logs);
        return -1;
    }
    return analyze_tables(result, error);
}

void analyze_free(struct analyze_result *result)
{
    analysis_free(result->analysis);
    join_free(result->join); /* its tables point into the source */
    analysis_source_free(&result->source);
    *result = (struct analyze_result){0};
}

int analyze_json(const char *logs, const char *experiment, struct buffer *json,
                 struct error *error)
{
    struct analyze_result result = {0};
    int rc = -1;
    if (analyze_logs(logs, experiment, &result, error) == 0) {
        rc = report_write(result.analysis, REPORT_JSON, NULL, json, error);
    }
    analyze_free(&result);
    return rc;
}
