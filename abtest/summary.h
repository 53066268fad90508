/* summary.h - an analysis from sums in a CSV file, for data that lives in a warehouse.
 *
 * The first line names the columns. Needed: arm, metric, units, sum. Optional:
 * experiment, weight (equal when absent), kind (proportion when absent), direction
 * (up), role (the first metric is the primary, the others are secondary), sum_squares
 * (for means and counts), denominator, denominator_squares, product (for ratios). One
 * line per experiment, arm and metric; the first arm of an experiment is its control.
 */
#ifndef ABTEST_SUMMARY_H
#define ABTEST_SUMMARY_H

#include "common/arena.h"
#include "common/error.h"
#include "stats/stats.h"

struct summary {
    struct arena arena;
    struct analysis_spec spec;
    struct ratio_sum **sums; /* (n_experiments) of (n_metrics, n_arms) */
};

/* Errors name file, line, value and remedy. Release with summary_free, failed or not.
 */
MUST_CHECK int summary_load(const char *file, double alpha, struct summary *summary,
                            struct error *error);
void summary_free(struct summary *summary);

/* Analyzes what was loaded; the summary must outlive the analysis. NULL on failure. */
MUST_CHECK struct analysis *summary_analyze(const struct summary *summary,
                                            struct error *error);

#endif
