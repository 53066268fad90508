#include "abtest/analyze.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "report/report.h"

static int analyze_table(const struct analyze_request *request,
                         const struct unit_columns *columns,
                         struct analyze_result *result, int index, size_t *n_matched,
                         struct error *error)
{
    const struct analysis_spec *spec = &result->source.spec;
    struct unit_table table = {0};
    struct table_columns room = {.n_matched = 0};
    int rc = -1;
    if (join_table(result->join, index, &table, error) != 0 ||
        unit_columns_attach(columns, result->join, spec, index, &table, &room, error) !=
            0 ||
        analysis_run(result->analysis, index, &spec->experiments[index], &table,
                     error) != 0) {
        goto out;
    }
    if (request->n_aa > 0 && analysis_aa(result->analysis, index, &table, request->n_aa,
                                         request->seed, error) != 0) {
        goto out;
    }
    *n_matched += table.n_units == 0 ? 1 : room.n_matched; /* of nobody, nobody lacks */
    rc = 0;

out:
    unit_table_free(&table);
    arena_free(&room.arena);
    return rc;
}

static int analyze_summary(const struct analyze_request *request,
                           struct analyze_result *result, struct error *error)
{
    const struct summary_request summary = {request->summary, request->config,
                                            request->experiment, 0.05};
    if (summary_load(&summary, &result->summary, error) != 0) {
        return -1;
    }
    result->analysis = summary_analyze(&result->summary, error);
    return result->analysis ? 0 : -1;
}

/* Both readings of the log, going on from the state where there is one. */
static int read_log(const struct analyze_request *request, bool is_fresh,
                    struct analyze_result *result, struct error *error)
{
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    const int n_threads = request->n_threads > 0 ? request->n_threads
                          : n_cores > 1          ? (int)(n_cores < 64 ? n_cores : 64)
                                                 : 1;
    const struct join_state_options state = {request->state, is_fresh};
    if (join_open_state(request->logs, request->state ? &state : NULL, n_threads,
                        &result->join, error) != 0 ||
        join_stale(result->join) ||
        analysis_source_build(result->join, request->logs, request->experiment,
                              &result->source, error) != 0) {
        return -1;
    }
    if (request->wants_items) {
        join_want_items(result->join);
    }
    return join_measure(result->join, &result->source.spec, error);
}

/* A state that cannot be gone on from is no failure: the log holds all of it. */
static int read_log_anyhow(const struct analyze_request *request,
                           struct analyze_result *result, struct error *error)
{
    struct error first = {0};
    if (read_log(request, false, result, &first) == 0) {
        return 0;
    }
    if (!result->join || !join_stale(result->join)) {
        *error = first;
        return -1;
    }
    char note[sizeof result->note];
    snprintf(note, sizeof note, "%s: %s; the log was read whole", request->state,
             join_stale(result->join));
    analyze_free(result);
    memcpy(result->note, note, sizeof note);
    return read_log(request, true, result, error);
}

int analyze_logs(const struct analyze_request *request, struct analyze_result *result,
                 struct error *error)
{
    if (request->summary) {
        return analyze_summary(request, result, error);
    }
    result->source.seed = request->seed;
    if (unit_columns_load(request->covariates, request->cupac, &result->columns,
                          error) != 0 ||
        read_log_anyhow(request, result, error) != 0) {
        return -1;
    }
    result->analysis =
        analysis_new(join_evidence(result->join), result->source.spec.n_experiments);
    if (!result->analysis) {
        error_set(error, ERROR_NOMEM, "%s: no memory to analyze it", request->logs);
        return -1;
    }
    size_t n_matched = 0;
    for (int e = 0; e < result->source.spec.n_experiments; e++) {
        if (analyze_table(request, &result->columns, result, e, &n_matched, error) !=
            0) {
            return -1;
        }
    }
    if (request->covariates && n_matched == 0) {
        error_set(error, ERROR_INVALID,
                  "%s: none of its users was exposed; is \"%s\" the column of users, "
                  "and are they named as in the log?",
                  request->covariates,
                  result->columns.names[result->columns.user_column]);
        return -1;
    }
    return 0;
}

void analyze_free(struct analyze_result *result)
{
    analysis_free(result->analysis);
    join_free(result->join); /* its tables point into the source */
    analysis_source_free(&result->source);
    summary_free(&result->summary);
    unit_columns_free(&result->columns);
    *result = (struct analyze_result){0};
}

int analyze_json(const char *logs, const char *experiment, struct buffer *json,
                 struct error *error)
{
    const struct analyze_request request = {
        .logs = logs, .experiment = experiment, .n_threads = 1};
    struct analyze_result result = {0};
    int rc = -1;
    if (analyze_logs(&request, &result, error) == 0) {
        rc = report_write(result.analysis, REPORT_JSON, NULL, json, error);
    }
    analyze_free(&result);
    return rc;
}
