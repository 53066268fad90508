/* stat_events.c - the problems that need the units' events themselves: quantiles and
 * bootstrap. */
#include <math.h>
#include <stdlib.h>

#include "abtest/stat_problem.h"

/* One arm's events: an array of values, or {"values": [...], "units": [...]}. */
struct event_arm {
    double *values;
    int32_t *units;
    size_t n_values;
    uint64_t n_units;
};

static void event_arm_free(struct event_arm *arm)
{
    free(arm->units);
    free(arm->values);
}

static int read_units(const json_t *units, const char *key, struct event_arm *arm,
                      struct error *error)
{
    if (json_array_size(units) != arm->n_values) {
        error_set(error, ERROR_INVALID, "\"%s\" has %zu values and %zu units", key,
                  arm->n_values, json_array_size(units));
        return -1;
    }
    arm->units = malloc(arm->n_values * sizeof *arm->units);
    if (!arm->units) {
        error_set(error, ERROR_NOMEM, "no memory for %zu units", arm->n_values);
        return -1;
    }
    for (size_t i = 0; i < arm->n_values; i++) {
        uint64_t unit = 0;
        if (stat_count(json_array_get(units, i), "units", &unit, error) != 0) {
            return -1;
        }
        if (unit >= 10000000) {
            error_set(error, ERROR_INVALID,
                      "\"units\": %llu is too large; number the units from 0",
                      (unsigned long long)unit);
            return -1;
        }
        arm->units[i] = (int32_t)unit;
        arm->n_units = unit + 1 > arm->n_units ? unit + 1 : arm->n_units;
    }
    return 0;
}

static int read_event_arm(const json_t *problem, const char *key, struct event_arm *arm,
                          struct error *error)
{
    const json_t *given = json_object_get(problem, key);
    const json_t *values =
        json_is_object(given) ? json_object_get(given, "values") : given;
    const json_t *units = json_object_get(given, "units");
    if (stat_numbers(values, key, &arm->values, &arm->n_values, error) != 0) {
        return -1;
    }
    return units ? read_units(units, key, arm, error) : 0;
}

static int solve_quantiles(const json_t *problem, struct buffer *answer,
                           struct error *error)
{
    static const char *const methods[] = {"order", "kernel", NULL};
    int rc = -1, choice = 0;
    double share = 0;
    struct stat_common common;
    struct event_arm c = {0}, t = {0};
    struct estimate of_c, of_t;
    if (read_event_arm(problem, "control", &c, error) != 0 ||
        read_event_arm(problem, "treatment", &t, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        stat_number(problem, "quantile", 0, 1, NAN, &share, error) != 0 ||
        stat_word(problem, "method", methods, 0, &choice, error) != 0) {
        goto out;
    }
    const enum quantile_method method = choice == 1 ? QUANTILE_KERNEL : QUANTILE_ORDER;
    const struct quantile_events events_c = {c.values, c.units, c.n_values, c.n_units};
    const struct quantile_events events_t = {t.values, t.units, t.n_values, t.n_units};
    if (quantile_estimate(&events_c, share, method, &of_c, error) != 0 ||
        quantile_estimate(&events_t, share, method, &of_t, error) != 0) {
        goto out;
    }
    const struct effect effect =
        effect_compare(of_c, of_t, common.level, common.alternative);
    answer_text(answer, "method", quantile_name(method));
    answer_number(answer, "quantile", share);
    answer_effect(answer, &effect);
    answer_common(answer, &common);
    rc = 0;

out:
    event_arm_free(&t);
    event_arm_free(&c);
    return rc;
}

/* A resampled arm: values, or [numerator, denominator] pairs for a ratio. */
struct resampled_arm {
    double *x, *y;
    size_t n_units;
};

static void resampled_arm_free(struct resampled_arm *arm)
{
    free(arm->y);
    free(arm->x);
}

enum bootstrap_statistic {
    STATISTIC_MEAN,
    STATISTIC_RATIO,
    STATISTIC_QUANTILE,
    STATISTIC_TRIMMED,
};

static int read_resampled_arm(const json_t *problem, const char *key, int statistic,
                              struct resampled_arm *arm, struct error *error)
{
    const json_t *given = json_object_get(problem, key);
    return statistic == STATISTIC_RATIO
               ? stat_pairs(given, key, &arm->x, &arm->y, &arm->n_units, error)
               : stat_numbers(given, key, &arm->x, &arm->n_units, error);
}

static int read_bootstrap(const json_t *problem, struct bootstrap_config *config,
                          int statistic, double *share, struct error *error)
{
    struct stat_common common;
    double n_replicates = 0, seed = 0;
    const bool is_quantile = statistic == STATISTIC_QUANTILE;
    *config = bootstrap_config_default();
    if (stat_common(problem, &common, error) != 0 ||
        stat_number(problem, "replicates", 100, 1e6, config->n_replicates,
                    &n_replicates, error) != 0 ||
        stat_number(problem, "seed", 0, 9007199254740992.0, 1, &seed, error) != 0 ||
        stat_number(problem, is_quantile ? "quantile" : "trim", 0,
                    is_quantile ? 1 : 0.499, is_quantile ? 0.5 : 0.1, share,
                    error) != 0) {
        return -1;
    }
    config->n_replicates = (int)n_replicates;
    config->seed = (uint64_t)seed;
    config->alternative = common.alternative;
    config->level = common.level;
    config->is_relative = json_is_true(json_object_get(problem, "relative"));
    return 0;
}

static void answer_bootstrap(struct buffer *answer,
                             const struct bootstrap_config *config,
                             const struct bootstrap_result *r)
{
    const struct stat_common common = {config->alternative, config->level};
    answer_flag(answer, "relative", config->is_relative);
    answer_number(answer, "control", r->control);
    answer_number(answer, "treatment", r->treatment);
    answer_number(answer, "effect", r->effect_size);
    answer_number(answer, "p_value", r->p_value);
    answer_interval(answer, "ci", r->ci_lower, r->ci_upper);
    answer_number(answer, "standard_error", r->standard_error);
    answer_number(answer, "bias", r->bias);
    answer_number(answer, "z0", r->z0);
    answer_number(answer, "acceleration", r->acceleration);
    answer_count(answer, "replicates", (uint64_t)config->n_replicates);
    answer_count(answer, "failed_replicates", (uint64_t)r->n_failed);
    answer_count(answer, "seed", config->seed);
    answer_common(answer, &common);
    if (!r->is_testable) {
        answer_text(answer, "note", "not testable: the replicates do not vary");
    }
}

static int solve_bootstrap(const json_t *problem, struct buffer *answer,
                           struct error *error)
{
    static const char *const words[] = {"mean", "ratio", "quantile", "trimmed", NULL};
    static double (*const values[])(const void *, const int64_t *, int64_t,
                                    double *) = {bootstrap_mean, bootstrap_ratio,
                                                 bootstrap_quantile, bootstrap_trimmed};
    int rc = -1, statistic = 0;
    double share = 0;
    struct bootstrap_config config;
    struct bootstrap_result r;
    struct resampled_arm c = {0}, t = {0};
    if (stat_word(problem, "statistic", words, STATISTIC_MEAN, &statistic, error) !=
            0 ||
        read_resampled_arm(problem, "control", statistic, &c, error) != 0 ||
        read_resampled_arm(problem, "treatment", statistic, &t, error) != 0 ||
        read_bootstrap(problem, &config, statistic, &share, error) != 0) {
        goto out;
    }
    const struct bootstrap_units units_c = {c.x, c.y, share},
                                 units_t = {t.x, t.y, share};
    const struct bootstrap_arm arm_c = {&units_c, (int64_t)c.n_units},
                               arm_t = {&units_t, (int64_t)t.n_units};
    config.value = values[statistic];
    if (bootstrap_bca(&arm_c, &arm_t, &config, &r, error) != 0) {
        goto out;
    }
    answer_text(answer, "method", "BCa bootstrap over units");
    answer_text(answer, "statistic", words[statistic]);
    answer_bootstrap(answer, &config, &r);
    rc = 0;

out:
    resampled_arm_free(&t);
    resampled_arm_free(&c);
    return rc;
}

const struct stat_kind stat_kinds_events[] = {
    {"quantiles", "control treatment quantile method alternative level",
     solve_quantiles},
    {"bootstrap",
     "control treatment statistic quantile trim relative replicates seed alternative "
     "level",
     solve_bootstrap},
    {NULL, NULL, NULL},
};
