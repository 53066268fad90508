/* analyze.h - the analysis of a log directory as one call: behind `abtest analyze` and
 * behind the server's GET /v1/experiments/{e}/report, so that both say the same.
 */
#ifndef ABTEST_ANALYZE_H
#define ABTEST_ANALYZE_H

#include "abtest/analysis_spec.h"
#include "abtest/summary.h"
#include "abtest/unit_columns.h"
#include "common/buffer.h"
#include "common/error.h"
#include "stats/stats.h"

struct analyze_request {
    const char *logs;    /* NULL when there is a summary */
    const char *summary; /* CSV file of sums instead of a log; NULL: none */
    const char *config;  /* file that says what the sums are; NULL: their columns do */
    const char *experiment; /* NULL: all */
    const char *covariates; /* CSV file; NULL: none */
    const char *cupac;      /* model file; NULL: none */
    const char *state;      /* file to go on from and to keep; NULL: none */
    bool wants_items;       /* compare what the lists were like, too */
    int n_aa;               /* splits of the A/A self-check; 0: none */
    uint64_t seed;          /* of them and of bootstrap intervals; 0: 1 */
    int n_threads;          /* 0: one per core */
};

struct analyze_result {
    struct join *join;
    char note[320]; /* why the state was not gone on from, or empty */
    struct summary summary;
    struct unit_columns columns; /* their names stand in the report */
    struct analysis_source source;
    struct analysis *analysis;
};

/* Reads and analyzes what is asked for. Fails with ERROR_NOT_FOUND (no such directory,
 * file or experiment), ERROR_INVALID, ERROR_IO or ERROR_NOMEM. The
 * caller releases *result with analyze_free, failed or not. */
MUST_CHECK int analyze_logs(const struct analyze_request *request,
                            struct analyze_result *result, struct error *error);
void analyze_free(struct analyze_result *result);

/* The same as JSON text (docs/report.schema.json), appended to *json. By one thread: it
 * runs beside a server that has requests to answer. */
MUST_CHECK int analyze_json(const char *logs, const char *experiment,
                            struct buffer *json, struct error *error);

#endif
