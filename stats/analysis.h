/* analysis.h - the answers about every experiment of a log, each with its method's
 * name.
 *
 * What a report prints stands here, sentences included, so that text, JSON and HTML say
 * the same. Results are plain structs in the arena of their `struct analysis`.
 *
 * Order of judgement: trust checks first. When one of them fails, the verdict is
 * withheld (VERDICT_DO_NOT_TRUST), however small the p-values are.
 */
#ifndef STATS_ANALYSIS_H
#define STATS_ANALYSIS_H

#include <stdbool.h>
#include <stdint.h>

#include "common/arena.h"
#include "common/error.h"
#include "stats/analysis_spec.h"
#include "stats/effect.h"
#include "stats/evidence.h"
#include "stats/heterogeneity.h"
#include "stats/ratio.h"
#include "stats/unit_table.h"

enum verdict {
    VERDICT_SHIP,         /* the treatment named is better on the primary metric */
    VERDICT_ROLL_BACK,    /* it is worse, or it breaks a guardrail */
    VERDICT_KEEP_RUNNING, /* no difference shown yet */
    VERDICT_DO_NOT_TRUST, /* a trust check failed */
    VERDICT_NO_DATA,      /* no arm, or only one, has units; or no primary metric */
};

enum check_status { CHECK_OK, CHECK_NOTE, CHECK_WARNING, CHECK_FAILED };

/* One trust check. */
struct check {
    const char *name; /* "sample ratio", "log integrity", ... */
    enum check_status status;
    const char *method; /* NULL for plain counts */
    double p_value;     /* NAN when the check is no test */
    const char *detail; /* a sentence with the numbers */
};

/* Treatment against control by one method. NAN where a number does not exist. */
struct finding {
    bool is_testable;
    const char *why_not;           /* when not testable */
    const char *test;              /* name of the test's method */
    const char *statistic_name;    /* "z", "t" */
    double statistic, df;          /* df NAN for z */
    double p_value, log10_p_value; /* two-sided */
    double effect_size;            /* treatment - control, in the metric's unit */
    double standard_error;
    const char *interval; /* name of the interval's method */
    double ci_lower, ci_upper;
    const char *relative; /* name of the relative interval's method, NULL for none */
    double rel_effect_size, rel_ci_lower, rel_ci_upper; /* of control */
};

struct metric_arm {
    struct ratio_sum sum;      /* over units: x the value, y the denominator or 1 */
    double sum_x, sum_y;       /* exact totals */
    struct estimate estimate;  /* rate, mean, ratio or quantile; value NAN when empty */
    double ci_lower, ci_upper; /* of the estimate */
    const char *interval;      /* name of its method; NULL when there is none */
    int64_t n_values;          /* for quantiles: single values */
};

/* Treatment against control on one day after the first exposure: share of units with an
 * event of the metric on that day, among those observed on all of the days told apart.
 */
struct day_effect {
    double effect_size, ci_lower, ci_upper; /* Wald */
};
struct treatment_days {
    struct day_effect *days; /* (n_days) on the primary metric */
    int n_days;              /* 0 when the log is too short to tell days apart */
    int64_t n_units;         /* units of both arms that were observed on all of them */
};

/* Treatment against control among the units first exposed before ts_us, with all that
 * they did since: how the answer settled as units came in. */
struct series_point {
    int64_t ts_us;
    int64_t n_units; /* of both arms */
    double effect_size, ci_lower, ci_upper;
    double always_lower, always_upper; /* always-valid; NAN before it begins */
};

enum guard_state {
    GUARD_NONE,     /* not a guardrail */
    GUARD_HOLDS,    /* shown to worsen by less than its margin; without a margin: not
                       shown to worsen */
    GUARD_UNCLEAR,  /* neither harm nor harmlessness is shown */
    GUARD_BREACHED, /* shown to worsen, and not shown to stay within its margin */
};

/* A guardrail as a non-inferiority question. */
struct guard {
    enum guard_state state;
    double margin; /* tolerated worsening, share of control's value; 0: none was set */
    double margin_absolute; /* or in the metric's own unit */
    double p_value; /* of H0: it worsened by the margin or more; NAN without a margin */
    const char *method; /* NULL when there is no test */
    const char *detail; /* a sentence */
    bool holds_back;    /* unclear, and more units may tell: nothing is shipped yet */
};

/* Two one-sided tests: is the difference smaller than what matters, either way? */
struct equivalence_result {
    const char *method;        /* NULL: not asked */
    double margin;             /* share of control's value */
    double p_value;            /* the larger of the two; NAN: not testable */
    double ci_lower, ci_upper; /* of the relative difference, at level 1 - 2 alpha: it
                                  decides the same */
    bool holds;
};

/* Probabilities about the effect, from a prior. NAN when there are none. */
struct belief {
    const char *method;
    double p_better;      /* that the treatment is better, in the metric's direction */
    double expected_loss; /* of choosing the treatment if it is worse, metric's unit */
    double ci_lower, ci_upper; /* credible interval of the effect */
};

/* mSPRT's always-valid p-value, the smallest at any step of the series. */
struct mixture {
    const char *method; /* NULL before it begins */
    double tau;         /* prior standard deviation of the effect, metric's unit */
    double log_ratio;   /* of the mixture likelihood ratio; p = exp(-log_ratio) */
    double p_value;     /* NAN before it begins */
    double log10_p_value;
    double p_adjusted; /* for the number of questions of the family */
    int64_t n_units;   /* of both arms, where it was smallest */
};

/* A look planned in the config: the first n_units units to come, of all arms, with all
 * that they did since. */
struct planned_look {
    double fraction; /* of the planned units */
    int64_t n_units;
    bool is_reached;
    double
        statistic; /* z or t of the contrast then; NAN when not reached or testable */
    double p_value;
    double effect_size;
    double bound;     /* on |z|; INFINITY: nothing to spend yet */
    double nominal_p; /* two-sided p at the bound: the look is crossed at or below it */
    double spent;     /* of `alpha` up to this look */
    bool is_crossed;
};

/* Group-sequential answer of a contrast. */
struct planned_looks {
    const char *method; /* NULL: not planned, see why_not */
    const char *why_not;
    const char *spending; /* name of the spending function */
    const char *detail;   /* a sentence */
    double alpha;         /* of this contrast: the experiment's over the treatments */
    struct planned_look *looks; /* (n_looks) */
    int n_looks, n_reached;
    int crossed_at; /* first look that crossed, from 1; 0: none */
};

/* The effect after taking out one thing that was known of the units before. */
struct adjustment {
    const char *by; /* name of the covariate or segmentation */
    struct finding finding;
    double variance_reduction; /* 1 - variance of the adjusted effect / of the raw */
};

struct contrast {
    int arm;               /* index of the treatment */
    struct finding fixed;  /* valid for one look, planned beforehand */
    struct finding always; /* valid at every look; not testable before it begins */
    struct mixture mixture;
    struct planned_looks planned;
    double p_adjusted; /* fixed.p_value for the number of questions of its family */
    double always_p_adjusted; /* always.p_value likewise */
    const char *adjustment;   /* name of the correction */
    int n_family;             /* questions in the family */
    struct guard guard;
    struct equivalence_result equivalence;
    struct finding adjusted;   /* for what was known before the experiment (CUPED) */
    double variance_reduction; /* that it reached; NAN without */
    struct adjustment *adjustments; /* (n_adjustments): by each covariate alone, where
                                       there are several, and by strata */
    int n_adjustments;
    struct belief belief;
    struct series_point *series; /* (n_series of the experiment); NULL for quantiles */
};

enum metric_role { ROLE_PRIMARY, ROLE_GUARDRAIL, ROLE_SECONDARY };

struct metric_result {
    const struct analysis_metric *spec;
    enum metric_role role;
    struct metric_arm *arms;    /* (n_arms) */
    struct contrast *contrasts; /* (n_arms - 1), treatments in order */
    int sampled_1_in; /* > 1: values of one unit in so many were used (quantiles) */
    double floor_value, cap_value; /* where values of every arm were pulled to; NAN:
                                      they were not */
    const char *robust_test;       /* what the test of such values is called, and of
                                      trimmed means; NULL for others */
};

/* One metric in one group of units. */
struct segment_result {
    const char *group;
    int64_t *arm_units; /* (n_arms) */
    double *arm_value;  /* (n_arms) of the primary metric */
    double srm_p; /* of the group's units against the weights, exact; NAN untested */
    struct finding *findings; /* (n_arms - 1) on the primary metric */
    double *p_adjusted;       /* (n_arms - 1) for all groups of the segment */
};
struct segmentation {
    const char *name;
    struct segment_result *groups; /* (n_groups) */
    int n_groups;
    const char *adjustment;
    int n_questions; /* groups and treatments that could be tested */
    /* (n_arms - 1): does the effect of a treatment differ between the groups at all? */
    struct heterogeneity *heterogeneity;
    double *p_heterogeneity; /* corrected for the treatments, by `adjustment` too */
    bool is_experiment;      /* groups are the arms of another experiment */
    /* (n_groups - 1, n_arms - 1): effect in each later group less that in the first:
     * of two experiments that ran at once, their interaction */
    struct finding *differences;
    double *p_differences; /* corrected for their number, by `adjustment` too */
};

/* Control against itself, split at random again and again: what the machinery finds
 * where there is nothing to find. */
struct aa_result {
    int n_splits;
    int n_rejected; /* p < alpha */
    int n_smeared;  /* the same once each statistic is spread over a step of the sums */
    double rate, ci_lower, ci_upper; /* of n_rejected; Wilson score, 95 % */
    double ks_statistic, ks_p; /* of the spread ones against the uniform distribution */
    bool is_sound; /* the check is ok: alpha is inside the 99.9 % interval of
                      n_smeared's share, and ks_p >= 0.001 */
};

/* What the lists were like: one number an arm, and its difference from control's. */
struct item_metric {
    const char *name;
    const char *meaning;
    struct estimate *arms;    /* (n_arms) */
    struct finding *findings; /* (n_arms - 1) */
    double *p_adjusted;       /* (n_arms - 1) for the questions of its family */
    const char *adjustment;   /* name of the correction */
    int family, n_family;     /* which family, and its number of questions */
    int64_t sampled_1_in;     /* > 1: lists of one unit in so many were used */
};

struct experiment_result {
    const struct analysis_experiment *spec;
    int64_t n_units;
    int64_t *arm_units;     /* (n_arms) */
    double *arm_expected;   /* (n_arms) by the configured weights */
    int64_t *arm_exposures; /* (n_arms) */
    int64_t n_crossover, n_forced, n_unknown_arm, n_feedback_early, n_feedback_late;
    int64_t first_ts_us, last_ts_us;
    struct check *checks;
    int n_checks;
    struct metric_result *metrics; /* (n_metrics), in the order of the spec */
    int64_t series_step_us;        /* width of a step of the series */
    int n_series;
    int64_t *enrolled;         /* (n_series, n_arms) units first exposed in each step */
    double *enrolled_expected; /* (n_series, n_arms) by the weights of their time */
    struct treatment_days *days; /* (n_arms - 1) of each treatment; NULL: not asked */
    const char *covariates;      /* names, for `adjusted`; NULL without */
    struct segmentation *segmentations; /* (n_segmentations) */
    int n_segmentations;
    struct item_metric *item_metrics; /* (n_item_metrics) */
    int n_item_metrics, n_items;
    struct aa_result aa; /* n_splits = 0: not asked for */
    enum verdict verdict;
    int winner;           /* arm the verdict is about, or -1 */
    const char *headline; /* one sentence: who, by how much, how sure */
    const char *advice;   /* what to do */
    const char **reasons; /* (n_reasons) */
    int n_reasons;
    bool is_guardrail_breached; /* of any treatment */
    bool is_treatment_worse;    /* any treatment, on the primary metric */
    double
        units_needed; /* of all arms, for the power and effect planned; NAN: unknown */
    double days_needed; /* more days at the pace so far; NAN: unknown */
};

struct analysis {
    struct arena arena;
    struct evidence evidence;
    const char *source; /* "log" or "summary" */
    struct experiment_result *experiments;
    int n_experiments;
};

/* An empty analysis with room for `n_experiments`; NULL when memory ran out. Freed with
 * analysis_free, which frees every result too. */
MUST_CHECK struct analysis *analysis_new(const struct evidence *evidence,
                                         int n_experiments);
void analysis_free(struct analysis *analysis);

/* Analyzes one experiment into analysis->experiments[index]. `table` may be freed
 * afterwards, and its values may have been capped where a metric says so; `spec` must
 * outlive the analysis. Fails with ERROR_NOMEM or ERROR_INVALID. */
MUST_CHECK int analysis_run(struct analysis *analysis, int index,
                            const struct analysis_experiment *spec,
                            struct unit_table *table, struct error *error);

/* The same from sums alone, for those whose events are elsewhere: sums (n_metrics,
 * n_arms) hold one value a unit each (not for quantiles). What needs single units or
 * times is left out: series, CUPED, segments, novelty, bots. */
MUST_CHECK int analysis_run_sums(struct analysis *analysis, int index,
                                 const struct analysis_experiment *spec,
                                 const struct ratio_sum *sums, struct error *error);

/* Adds the A/A self-check of `n_splits` re-randomisations, one pass over control's
 * units each, as a trust check, and decides again. Same seed, same numbers. `table` as
 * for analysis_run, which must have run before. */
MUST_CHECK int analysis_aa(struct analysis *analysis, int index,
                           const struct unit_table *table, int n_splits, uint64_t seed,
                           struct error *error);

/* Which of the answers side by side decides. */
enum decider {
    DECIDER_FIXED,  /* one look, planned beforehand */
    DECIDER_ALWAYS, /* the confidence sequence: looked at while it runs */
    DECIDER_LOOKS,  /* the bounds of planned looks */
};

/* By the config; always-valid where looks were planned but bounds do not exist (a
 * quantile). */
enum decider analysis_decider(const struct analysis_experiment *spec,
                              const struct contrast *contrast);
const char *decider_name(enum decider decider);

/* The p-value that decides, already corrected; of planned looks that of the last one
 * reached (crossed or not: see planned.crossed_at). NAN when there is none. */
double analysis_decisive_p(const struct analysis_experiment *spec,
                           const struct contrast *contrast);

/* True when some verdict is VERDICT_DO_NOT_TRUST. */
bool analysis_is_untrusted(const struct analysis *analysis);

/* True when some verdict is roll back, some guardrail is breached, or some treatment is
 * worse on the primary metric and no other ships. */
bool analysis_is_gated(const struct analysis *analysis);

const char *guard_state_name(enum guard_state state);
const char *verdict_name(enum verdict verdict);
const char *check_status_name(enum check_status status);
const char *metric_role_name(enum metric_role role);

#endif
