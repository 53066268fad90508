/* analysis_spec.h - what to analyze: experiments, arms and metrics in the words of
 * statistics, whoever configured them.
 *
 * Filled by the command line from the config that the log holds. Plain input: every
 * pointer is borrowed and must outlive the analysis made from it.
 */
#ifndef STATS_ANALYSIS_SPEC_H
#define STATS_ANALYSIS_SPEC_H

#include <stdbool.h>
#include <stdint.h>

#include "common/slice.h"
#include "stats/group_sequential.h"

enum analysis_kind {
    ANALYSIS_PROPORTION, /* share of units with at least one event that counts */
    ANALYSIS_MEAN,       /* sum of the event's values per unit, averaged over units */
    ANALYSIS_COUNT,      /* number of events per unit, averaged over units */
    ANALYSIS_RATIO,      /* sum of the event's values over sum of the denominator's */
    ANALYSIS_QUANTILE,   /* quantile of the event's values; units are clusters */
};

/* Where always-valid intervals are narrowest when the config plans no number. */
#define ANALYSIS_PLANNED_UNITS 10000
#define ANALYSIS_POWER         0.8 /* for "how many more days" */

/* A feedback event's value is its `value`, or 1 when it has none. Three names mean the
 * exposures themselves: "exposure" (value 1 each), "exposure.latency_us" and
 * "exposure.items" (length of the list). A proportion counts events whose value is not
 * 0. */
struct analysis_metric {
    const char *name;
    enum analysis_kind kind;
    double quantile; /* in (0, 1) for ANALYSIS_QUANTILE */
    const char *event;
    const char *denominator; /* for ANALYSIS_RATIO, else NULL */
    int64_t window_us; /* counted in [first exposure, first exposure + window); 0 = no
                          limit */
    int direction;     /* +1: higher is better; -1: lower is better; 0: not said */
    double cap;   /* quantile of all units above which values are lowered to it; 0 or
                     1: none */
    double floor; /* and below which they are raised to it; 0: none */
    double trim;  /* share of an arm's units left out at each end, in [0, 0.5); 0: none
                   */
    int replicates; /* of a bootstrap interval; 0: the interval of the test's method */
    double equivalence; /* largest difference that does not matter, either way, share
                           of control; 0: not asked */
    double margin; /* as a guardrail: tolerated worsening relative to control, > 0 */
    double margin_absolute; /* or in the metric's own unit, > 0; 0: not so */
};

/* How p-values of one family are corrected for its size. */
enum analysis_correction {
    ANALYSIS_HOLM,
    ANALYSIS_HOCHBERG,
    ANALYSIS_BONFERRONI,
    ANALYSIS_BH,
    ANALYSIS_BY,
    ANALYSIS_UNCORRECTED,
};

struct analysis_arm {
    const char *name;
    double weight; /* configured share, in (0, 1] */
};

/* A model file as the log names it. */
struct analysis_model {
    const char *name; /* as in the config */
    const char *hash; /* of the file's content, 16 hexadecimal digits */
};

/* One config under which units were exposed: its weights, for the sample-ratio check.
 */
struct analysis_weights {
    struct slice config;   /* hash, as in the exposures */
    const double *weights; /* (n_arms), in the order of the experiment's arms; 0 for an
                              arm that config does not have */
};

/* What requests say of their user, by which the report tells groups apart. */
enum analysis_attribute_kind {
    ANALYSIS_ATTRIBUTE_STRING,
    ANALYSIS_ATTRIBUTE_NUMBER,
    ANALYSIS_ATTRIBUTE_BOOLEAN,
};
struct analysis_attribute {
    const char *name;
    enum analysis_attribute_kind kind;
    const double *cuts; /* (n_cuts) of a number, ascending: groups begin there */
    int n_cuts;         /* 0: at quartiles */
};

struct analysis_experiment {
    const char *name;
    const char *hypothesis;  /* NULL when none was written */
    const char *status;      /* as configured: "running", ... */
    const char *config_hash; /* the newest config in the log that has the experiment */
    int64_t config_ts_us;    /* when that config was first logged */
    const char *config_text; /* of that config; NULL when not at hand */
    const struct analysis_model *models; /* (n_models) that were served under that
                                            config, by name and hash */
    int n_models;
    double alpha; /* in (0, 1) */
    enum analysis_correction correction;
    int64_t minimum_time_us; /* do not ship before; 0 = none */
    double
        minimum_effect; /* absolute difference of the primary worth finding; 0: none */
    double planned_units; /* of all arms; where always-valid intervals are narrowest; 0:
                             ANALYSIS_PLANNED_UNITS */
    bool sequential;      /* the plan is to look while it runs */
    bool has_spending;    /* planned looks decide, unless `sequential` */
    enum spending spending; /* with has_spending */
    int n_looks; /* planned, evenly spaced up to planned_units; 0: none are shown */
    const struct analysis_arm *arms; /* (n_arms), the first is the control */
    int n_arms;
    const struct analysis_metric *metrics; /* (n_metrics) */
    int n_metrics;
    int primary;       /* index into metrics, or -1 */
    uint64_t seed;     /* of bootstrap intervals */
    const char *click; /* event that answers to an item of a list; NULL: none */
    const struct analysis_attribute *attributes; /* (n_attributes) */
    int n_attributes;
    const int *guardrails; /* (n_guardrails) indices into metrics */
    int n_guardrails;
    const struct analysis_weights *weights; /* (n_weights), one per config seen */
    int n_weights;
};

struct analysis_spec {
    const struct analysis_experiment *experiments;
    int n_experiments;
};

const char *analysis_kind_name(enum analysis_kind kind);

/* Does it follow from sums over units? Quantiles and trimmed means do not. */
bool analysis_is_of_sums(const struct analysis_metric *metric);

#endif
