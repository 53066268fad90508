/* config.h - the INI file that says what to serve, measure and try.
 *
 * Reading reports every mistake at once, each as `file:line: message (remedy)`.
 * Relative paths in the file are relative to the file's directory. The whole text and
 * its hash go into the log, so a config can be read again from there: config_parse
 * takes text.
 *
 * A config is immutable once parsed and may be shared by threads. Everything in it is
 * owned by it.
 */
#ifndef EXPERIMENT_CONFIG_H
#define EXPERIMENT_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/hash.h"
#include "common/slice.h"
#include "experiment/audience.h"

/* So that a request's attributes fit on the stack. */
#define CONFIG_MAX_ATTRIBUTES 64

enum fsync_policy { FSYNC_ALWAYS, FSYNC_EVERYSEC, FSYNC_NO };

struct server_config {
    char *host;
    int port;              /* 0 picks a free one */
    int threads;           /* 0: one per core */
    char *allow_origin;    /* of browsers' pages; NULL: none */
    char *access_log;      /* path; NULL: none */
    char *admin_token_env; /* the NAME of env:NAME; NULL when the key is absent */
    char *admin_token;     /* its value at config_load; NULL when absent or not set */
    int admin_token_line;
};

struct log_config {
    char *directory;
    enum fsync_policy fsync;
    int64_t segment_size;   /* bytes */
    int64_t segment_age_us; /* microseconds */
    char *attributes; /* which are logged: all, audience, none, or names with commas */
    int attributes_line; /* 0: the default */
};

struct data_config {
    char *ratings; /* NULL when absent */
    char *titles;  /* NULL when absent */
    int line;      /* of the section; 0 when absent */
};

struct model_config {
    char *name;
    char *file;
    int line;
};

/* Units that no experiment touches, so that the sum of all experiments can be held
 * against nothing. */
struct holdout {
    double share; /* in [0, 1]; units whose bucket is below it; 0 = no holdout */
    char *seed;
    uint32_t seed_state; /* of the hash after `seed` */
};

/* What a request gets. `[serving]` gives the defaults, an arm overrides some. */
struct serving {
    int model;        /* index into config.models */
    int k;            /* items in a list, 1..1000 */
    double item_bias; /* weight of the learned item bias at inference */
    double explore;   /* Plackett-Luce temperature; 0 = not sampled */
    double diversity; /* of maximal marginal relevance, 0..1; 0 = by score alone */
};

enum serving_key {
    SERVING_MODEL = 1 << 0,
    SERVING_K = 1 << 1,
    SERVING_ITEM_BIAS = 1 << 2,
    SERVING_EXPLORE = 1 << 3,
    SERVING_DIVERSITY = 1 << 4,
};

enum metric_kind {
    METRIC_PROPORTION,
    METRIC_MEAN,
    METRIC_COUNT,
    METRIC_RATIO,
    METRIC_QUANTILE,
};
enum interval_choice { INTERVAL_FORMULA, INTERVAL_BOOTSTRAP };
enum direction { DIRECTION_NONE, DIRECTION_UP, DIRECTION_DOWN };

struct metric {
    char *name;
    enum metric_kind kind;
    double quantile;   /* in (0, 1) for METRIC_QUANTILE, else 0 */
    char *event;       /* feedback event, or "exposure", "exposure.latency_us",
                          "exposure.items": the exposures themselves */
    char *denominator; /* event of the denominator for METRIC_RATIO, else NULL */
    int64_t window_us; /* after the unit's first exposure; 0 = no limit */
    enum direction direction;
    double margin; /* as a guardrail: worsening tolerated, a share of control's value;
                      0 = only proven harm breaches it */
    double margin_absolute; /* the same in the metric's own unit, instead; 0 = not so */
    double cap;   /* of METRIC_MEAN and METRIC_COUNT: values above this quantile of all
                     units are lowered to it; 1 = none */
    double floor; /* and those below this quantile raised to it; 0 = none */
    double trim;  /* share of an arm's units left out at each end; 0 = none */
    double equivalence; /* difference, a share of control's value, below which the arms
                           are as good as equal; 0 = not asked */
    enum interval_choice interval;
    int replicates; /* of INTERVAL_BOOTSTRAP */
    int line;
};

struct arm {
    char *name;
    double weight;      /* in (0, 1]; the arms of an experiment sum to 1 */
    double range_start; /* buckets [range_start, range_end) get this arm */
    double range_end;
    unsigned overrides; /* which keys of `serving` this arm sets: enum serving_key */
    struct serving serving; /* only the keys in `overrides` mean something */
    int line;
};

/* How p-values of several metrics or arms are corrected for their number. */
enum correction_choice {
    CHOICE_HOLM,
    CHOICE_HOCHBERG,
    CHOICE_BONFERRONI,
    CHOICE_BH,
    CHOICE_BY,
    CHOICE_NONE
};

/* How alpha is spent over planned looks (Lan and DeMets). */
enum spending_choice {
    CHOICE_NO_SPENDING,
    CHOICE_OBRIEN_FLEMING,
    CHOICE_POCOCK,
    CHOICE_ALPHA_T2
};

enum experiment_status { STATUS_DRAFT, STATUS_RUNNING, STATUS_PAUSED, STATUS_STOPPED };

/* A unit that gets an arm whatever its bucket, for testing by hand. */
struct forced_unit {
    char *unit;
    int arm;
    int line;
};

struct experiment {
    char *name;
    char *hypothesis; /* NULL when absent */
    enum experiment_status status;
    char *seed;                    /* hash seed; the name when absent */
    uint32_t seed_state;           /* of the hash after `seed`: assignment.h */
    double coverage;               /* in [0, 1] */
    char *layer;                   /* NULL when the experiment is in no layer */
    uint32_t layer_state;          /* of the hash after `layer` */
    double layer_start, layer_end; /* layer buckets [start, end) take part */
    char *name_space; /* GrowthBook namespace (hash version 1); NULL when in none */
    double name_space_start, name_space_end;
    struct audience *audience; /* NULL: everybody */
    char *audience_text;
    int64_t start_us;           /* takes units from then on; INT64_MIN when absent */
    int64_t end_us;             /* and until before then; INT64_MAX when absent */
    struct forced_unit *forced; /* (n_forced) in byte order of unit */
    int n_forced;
    double daily_units;    /* expected new units a day; 0 when absent */
    double baseline;       /* expected primary in control; NAN when absent */
    double deviation;      /* its standard deviation among units; NAN when absent */
    double minimum_effect; /* smallest difference worth finding; 0 when absent */
    int primary;           /* index into config.metrics, or -1 */
    int *guardrails;       /* (n_guardrails) indices into config.metrics */
    int n_guardrails;
    char *click;  /* event that answers to one item of a list; NULL when absent */
    double alpha; /* in (0, 1) */
    bool sequential;
    double planned_units;          /* of all arms together; 0 when absent */
    enum spending_choice spending; /* wants planned_units */
    int looks;                     /* planned, 1..100, evenly spaced in units */
    enum correction_choice correction;
    int64_t
        minimum_time_us; /* no shipping before the experiment ran that long; 0 = none */
    struct arm *arms; /* (n_arms), in the order of the file; the first is the control */
    int n_arms;
    int line; /* of the section in the file */
};

struct config {
    char *text; /* as read */
    size_t text_len;
    char hash[HASH_TEXT_LEN + 1]; /* of the text */
    struct server_config server;
    struct log_config log;
    struct data_config data;
    struct model_config *models;
    int n_models;
    struct serving serving;
    struct attribute *attributes; /* of requests, for audiences and segments */
    int n_attributes;
    struct holdout holdout;
    struct metric *metrics;
    int n_metrics;
    struct experiment *experiments;
    int n_experiments;
};

/* One thing wrong with (or unwise in) a config. */
struct config_problem {
    int line; /* 1-based; 0 when it concerns the file as a whole */
    bool is_warning;
    char *message; /* what is wrong, the value, the limit, and the remedy in parentheses
                    */
};

struct config_problems {
    struct config_problem *items;
    int n;
    int n_errors; /* how many of them are not warnings */
};

void config_problems_free(struct config_problems *problems);

/* Puts one more among them, in the order of lines: what a caller finds that a config
 * alone cannot tell. -1 with ERROR_NOMEM. */
MUST_CHECK int config_problems_add(struct config_problems *problems,
                                   const struct config_problem *problem,
                                   struct error *error);

/* Parses `text`, called `name` in messages. Problems are appended to *problems in order
 * of line, errors and warnings alike. Returns 0 and *config when there is no error
 * among them; -1 with ERROR_INVALID (the first problem, and how many) or ERROR_NOMEM
 * otherwise. `directory` ("" for none) is put before relative paths. Looks at nothing
 * but the text: files and environment variables it names need not exist. */
MUST_CHECK int config_parse(struct slice text, const char *name, const char *directory,
                            struct config **config, struct config_problems *problems,
                            struct error *error);

/* Reads the file, parses it and takes the admin token from the environment. */
MUST_CHECK int config_load(const char *path, struct config **config,
                           struct config_problems *problems, struct error *error);

/* Everything that can be said about the file, in order of line: what config_load would
 * say and, when `with_environment`, what config_check_environment would, together.
 * Returns 0 when it could be said (see problems->n_errors), or -1 when the file cannot
 * be read or memory ran out. */
MUST_CHECK int config_check_file(const char *path, bool with_environment,
                                 struct config_problems *problems, struct error *error);

/* Adds an error for each file that the config names and that cannot be read, and for an
 * admin token whose variable is not set: what a server needs and a reader of logs does
 * not. Returns 0, or -1 with ERROR_INVALID (as config_parse) or ERROR_NOMEM. */
MUST_CHECK int config_check_environment(const struct config *config, const char *name,
                                        struct config_problems *problems,
                                        struct error *error);

void config_free(struct config *config);

/* Index by name, or -1. */
int config_find_experiment(const struct config *config, struct slice name);
int config_find_model(const struct config *config, struct slice name);
int config_find_metric(const struct config *config, struct slice name);
int config_find_attribute(const struct config *config, struct slice name);
int experiment_find_arm(const struct experiment *experiment, struct slice name);

/* Microseconds since 1970 UTC of an RFC 3339 date or time, as `start` and `end` take
 * them; false when it is none. */
bool config_read_time(const char *text, int64_t *us);

const char *experiment_status_name(enum experiment_status status);

#endif
