/* analysis_parts.h - the steps of an analysis: private to stats/analysis*.c. */
#ifndef STATS_ANALYSIS_PARTS_H
#define STATS_ANALYSIS_PARTS_H

#include "stats/analysis.h"
#include "stats/multiple.h"

#define CHECKS_MAX 24
#define LISTS_MAX  32

/* Moments of every arm and the contrasts made of them. */
MUST_CHECK int analysis_metrics(struct analysis *analysis,
                                struct experiment_result *result,
                                struct unit_table *table, struct error *error);

/* The same from sums (n_metrics, n_arms). */
MUST_CHECK int analysis_metrics_of_sums(struct analysis *analysis,
                                        struct experiment_result *result,
                                        const struct ratio_sum *sums,
                                        struct error *error);

/* Fills result->checks; without a table (NULL) only the sample ratio can be checked. */
MUST_CHECK int analysis_trust(struct analysis *analysis,
                              struct experiment_result *result,
                              const struct unit_table *table, struct error *error);

/* Pulls the values of a metric that has a floor or cap to them, in every arm. */
MUST_CHECK int analysis_winsorise(const struct experiment_result *result,
                                  struct metric_result *metric,
                                  struct unit_metric *column, int n_units,
                                  struct error *error);

/* The trimmed mean of one arm, where the metric asks for it. */
MUST_CHECK int analysis_trimmed(const struct experiment_result *result,
                                const struct metric_result *metric,
                                const struct unit_table *table,
                                const struct unit_metric *column, int arm,
                                struct estimate *estimate, struct error *error);

/* Names what was compared, where that is not the mean as it is. */
MUST_CHECK int analysis_name_robust(struct analysis *analysis,
                                    struct experiment_result *result,
                                    struct metric_result *metric, struct error *error);

/* Bootstrap intervals in place of others, for metrics that ask for them. */
MUST_CHECK int analysis_bootstrap(struct analysis *analysis,
                                  struct experiment_result *result,
                                  const struct unit_table *table, struct error *error);

/* Is what is asked to be equivalent shown to be? */
MUST_CHECK int analysis_equivalence(struct experiment_result *result,
                                    struct error *error);

/* Always-valid answers, corrections for many questions, and guardrails of every
 * contrast. */
MUST_CHECK int analysis_families(struct analysis *analysis,
                                 struct experiment_result *result, struct error *error);

/* A unit, by its first exposure. */
struct arrival {
    int64_t ts_us;
    int unit; /* row of the table */
};

/* Every contrast's planned looks; `arrivals` (n_units) in the order of time. A table
 * that is NULL: from sums, which do not tell that order. */
MUST_CHECK int analysis_looks(struct analysis *analysis,
                              struct experiment_result *result,
                              const struct unit_table *table,
                              const struct arrival *arrivals, struct error *error);

/* Lets mSPRT look at an always-valid finding of n_units units of both arms. */
void mixture_look(const struct analysis_experiment *spec,
                  const struct analysis_metric *metric, const struct finding *always,
                  int64_t n_units, struct mixture *mixture);

/* The g of the confidence sequences of an experiment. */
double analysis_tuning(const struct analysis_experiment *spec);

/* The always-valid answer beside a fixed one; finding_none before it begins. */
struct finding analysis_always(const struct analysis_experiment *spec,
                               const struct finding *fixed,
                               const struct estimate *control,
                               const struct estimate *treatment, uint64_t n_control,
                               uint64_t n_treatment);

/* +1 better, -1 worse, 0 not shown. */
int analysis_judge(const struct analysis_experiment *spec,
                   const struct analysis_metric *metric,
                   const struct contrast *contrast);

/* CUPED and the Bayesian view of every contrast. */
MUST_CHECK int analysis_adjust(struct analysis *analysis,
                               struct experiment_result *result,
                               const struct unit_table *table, struct error *error);

/* What the lists were like, where they were counted: coverage, concentration, novelty,
 * repeats, clicks by position, latency. */
MUST_CHECK int analysis_lists(struct analysis *analysis,
                              struct experiment_result *result,
                              const struct unit_table *table, struct error *error);

/* The Bayesian view alone. */
MUST_CHECK int analysis_believe(struct experiment_result *result, struct error *error);

/* Post-stratification by each segmentation, added to the contrasts' adjustments. */
MUST_CHECK int analysis_stratify(struct analysis *analysis,
                                 struct experiment_result *result,
                                 const struct unit_table *table, struct error *error);

/* Room for the adjustments of every contrast. */
MUST_CHECK int analysis_adjustments_room(struct analysis *analysis,
                                         struct experiment_result *result,
                                         const struct unit_table *table,
                                         struct error *error);

/* The primary metric by group of units. */
MUST_CHECK int analysis_segments(struct analysis *analysis,
                                 struct experiment_result *result,
                                 const struct unit_table *table, struct error *error);

/* The checks of units against configured weights: all together, at every look, by day
 * and by segment. Without a table (NULL) only the first. */
MUST_CHECK int analysis_sample_ratio(struct analysis *analysis,
                                     struct experiment_result *result,
                                     const struct unit_table *table,
                                     struct error *error);

/* Adds one check with a sentence made of `format`. */
MUST_CHECK int analysis_add_check(struct analysis *analysis,
                                  struct experiment_result *result, struct check check,
                                  const char *format, ...) PRINTF_LIKE(4, 5);

/* Checks that look at time and behaviour: days, novelty, bots, clocks. */
MUST_CHECK int analysis_trust_time(struct analysis *analysis,
                                   struct experiment_result *result,
                                   const struct unit_table *table, struct error *error);

/* Fills verdict, headline, advice and reasons. */
MUST_CHECK int analysis_decide(struct analysis *analysis,
                               struct experiment_result *result, struct error *error);

/* Room for the reasons of a verdict: one a failed check, or one a guardrail and
 * treatment and some more. */
int analysis_reasons_room(const struct analysis_experiment *spec);

/* The reasons under a verdict (analysis_reasons.c). Each returns 0, or -1 when memory
 * ran out. */
MUST_CHECK int analysis_add_reason(struct analysis *analysis,
                                   struct experiment_result *result, const char *format,
                                   ...) PRINTF_LIKE(3, 4);
MUST_CHECK int analysis_explain_peeking(struct analysis *analysis,
                                        struct experiment_result *result,
                                        const struct contrast *contrast);
MUST_CHECK int analysis_explain_family(struct analysis *analysis,
                                       struct experiment_result *result,
                                       const struct metric_result *primary,
                                       const struct contrast *contrast);
MUST_CHECK int analysis_explain_guardrails(struct analysis *analysis,
                                           struct experiment_result *result, int arm);
/* What speaks against the treatments that the verdict is not about. */
MUST_CHECK int analysis_explain_others(struct analysis *analysis,
                                       struct experiment_result *result,
                                       const struct metric_result *primary, int arm);
MUST_CHECK int analysis_explain_plan(struct analysis *analysis,
                                     struct experiment_result *result,
                                     const struct metric_result *primary,
                                     const struct contrast *contrast);

/* The effect on the primary metric that is worth finding: absolute, >= 0. */
double analysis_worth(const struct experiment_result *result,
                      const struct metric_result *primary);

/* Fills `enrolled` and every contrast's series. */
MUST_CHECK int analysis_series(struct analysis *analysis,
                               struct experiment_result *result,
                               const struct unit_table *table, struct error *error);

/* What a unit adds to a metric: 0 or 1 for proportions, its sum, count or numerator;
 * and its denominator, 1 for all but ratios. */
double analysis_x(const struct analysis_metric *metric,
                  const struct unit_metric *column, int unit);
double analysis_y(const struct unit_metric *column, int unit);

/* The single values of `column` in one arm: its quantile, n_values and sum. */
MUST_CHECK int analysis_quantile(const struct analysis_metric *metric,
                                 const struct unit_metric *column,
                                 const struct unit_table *table, int index,
                                 struct metric_arm *arm, struct error *error);

/* The library's name for the experiment's choice. */
enum correction analysis_correction(enum analysis_correction choice);

/* The estimate of one arm (any kind but quantiles), and treatment against control. */
struct estimate analysis_estimate(enum analysis_kind kind, const struct ratio_sum *sum);
MUST_CHECK int analysis_compare(enum analysis_kind kind, double level,
                                const struct metric_arm *control,
                                const struct metric_arm *treatment,
                                struct finding *finding, struct error *error);

/* A finding without numbers: every one NAN. */
struct finding finding_none(const char *why_not);

/* The numbers of an effect under the names of its methods; the relative lift by the
 * delta method. */
MUST_CHECK int finding_from_effect(struct estimate control, struct estimate treatment,
                                   double level, const char *test,
                                   struct finding *finding, struct error *error);

/* Effect and intervals of one point of a series; mSPRT looks at it, too. */
void analysis_point(const struct analysis_experiment *spec,
                    const struct analysis_metric *metric,
                    const struct ratio_sum *control, const struct ratio_sum *treatment,
                    struct series_point *point, struct mixture *mixture);

int analysis_no_memory(const struct experiment_result *result, struct error *error);

#endif
