/* summary.h - an analysis from sums in a CSV file, for data that lives in a warehouse.
 *
 * The first line names the columns. Needed: arm, metric, units, sum. Optional:
 * experiment, weight (equal when absent), kind (proportion when absent), direction
 * (up), role (the first metric is the primary, the others are secondary), sum_squares
 * (for means and counts), denominator, denominator_squares, product (for ratios). One
 * line per experiment, arm and metric; the first arm of an experiment is its control.
 *
 * With a config file the rest comes from there: metrics with their margins, arms with
 * their weights, alpha, what decides, planned units. The columns that would say so are
 * then refused, as are sums of what does not follow from sums. Metrics of the config
 * that have none stay in the report, untestable: a guardrail of which nothing is known
 * does not hold.
 */
#ifndef ABTEST_SUMMARY_H
#define ABTEST_SUMMARY_H

#include "abtest/analysis_spec.h"
#include "common/arena.h"
#include "common/error.h"
#include "stats/stats.h"

struct summary {
    struct arena arena;
    struct analysis_source source; /* of the config; empty without one */
    struct analysis_spec spec;
    struct ratio_sum **sums; /* (n_experiments) of (n_metrics, n_arms) */
};

/* What to load. */
struct summary_request {
    const char *file;
    const char *config;     /* NULL: none */
    const char *experiment; /* only this one; NULL: all that the file has */
    double alpha;           /* without a config */
};

/* Errors name file, line, value and remedy. Release with summary_free, failed or not.
 */
MUST_CHECK int summary_load(const struct summary_request *request,
                            struct summary *summary, struct error *error);
void summary_free(struct summary *summary);

/* Analyzes what was loaded; the summary must outlive the analysis. NULL on failure. */
MUST_CHECK struct analysis *summary_analyze(const struct summary *summary,
                                            struct error *error);

#endif
