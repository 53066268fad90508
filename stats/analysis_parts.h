/* analysis_parts.h - the steps of an analysis: private to stats/analysis*.c. */
#ifndef STATS_ANALYSIS_PARTS_H
#define STATS_ANALYSIS_PARTS_H

#include "stats/analysis.h"

#define CHECKS_MAX  24
#define REASONS_MAX 16

/* Moments of every arm and the contrasts made of them. */
MUST_CHECK int analysis_metrics(struct analysis *analysis,
                                struct experiment_result *result,
                                const struct unit_table *table, struct error *error);

/* Fills result->checks. */
MUST_CHECK int analysis_trust(struct analysis *analysis,
                              struct experiment_result *result,
                              const struct unit_table *table, struct error *error);

/* Fills verdict, headline, advice and reasons. */
MUST_CHECK int analysis_decide(struct analysis *analysis,
                               struct experiment_result *result, struct error *error);

int analysis_no_memory(const struct experiment_result *result, struct error *error);

#endif
