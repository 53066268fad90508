/* stat_trust.c - the problems about whether to believe: are p-values uniform where
 * nothing is to be found, does an effect last? */
#include <math.h>
#include <stdlib.h>

#include "abtest/stat_problem.h"

static int solve_uniformity(const json_t *problem, struct buffer *answer,
                            struct error *error)
{
    int rc = -1;
    double *p = NULL;
    size_t n = 0;
    struct uniformity r;
    if (stat_numbers(json_object_get(problem, "p_values"), "p_values", &p, &n, error) !=
            0 ||
        uniformity_test(p, n, &r, error) != 0) {
        goto out;
    }
    answer_text(answer, "method", "Kolmogorov-Smirnov against the uniform");
    answer_count(answer, "n", n);
    answer_number(answer, "statistic", r.statistic);
    answer_p(answer, r.p_value, r.log10_p_value);
    answer_number(answer, "above", r.above);
    answer_number(answer, "below", r.below);
    rc = 0;

out:
    free(p);
    return rc;
}

/* One unit's days, [0, 1, ...], 1 where it acted; *n_days is 0 until the first tells.
 */
static int read_days(const json_t *row, size_t *n_days, uint32_t *days,
                     struct error *error)
{
    const size_t n = json_array_size(row);
    if (n < 2 || n > TREND_MAX_DAYS || (*n_days && n != *n_days)) {
        error_set(
            error, ERROR_INVALID,
            "it must be [0, 1, ...] for 2 to %d days since the first exposure, as "
            "many for all units",
            TREND_MAX_DAYS);
        return -1;
    }
    *n_days = n;
    *days = 0;
    for (size_t d = 0; d < n; d++) {
        const json_t *acted = json_array_get(row, d);
        const double number = json_is_number(acted) ? json_number_value(acted) : -1;
        if (number != 0 && number != 1) {
            error_set(error, ERROR_INVALID, "day %zu is neither 0 nor 1", d);
            return -1;
        }
        *days |= (uint32_t)(number == 1) << d;
    }
    return 0;
}

static int read_trend_arm(const json_t *problem, const char *key, size_t *n_days,
                          struct trend_sum *sum, struct error *error)
{
    const json_t *units = json_object_get(problem, key);
    if (json_array_size(units) == 0) {
        error_set(error, ERROR_INVALID,
                  "\"%s\" must be [[0, 1, ...], ...]: on which days each unit acted",
                  key);
        return -1;
    }
    for (size_t i = 0; i < json_array_size(units); i++) {
        uint32_t days = 0;
        if (read_days(json_array_get(units, i), n_days, &days, error) != 0) {
            error_prefix(error, "\"%s\": unit %zu", key, i + 1);
            return -1;
        }
        trend_add(sum, days);
    }
    return 0;
}

static void answer_days(struct buffer *answer, const struct trend_sum arms[2],
                        int n_days, const struct stat_common *common)
{
    double effects[TREND_MAX_DAYS], lower[TREND_MAX_DAYS], upper[TREND_MAX_DAYS];
    for (int d = 0; d < n_days; d++) {
        const struct effect effect =
            trend_day(&arms[0], &arms[1], d, common->level, common->alternative);
        effects[d] = effect.effect_size;
        lower[d] = effect.ci_lower;
        upper[d] = effect.ci_upper;
    }
    answer_numbers(answer, "effects_by_day", effects, (size_t)n_days);
    answer_numbers(answer, "ci_lower_by_day", lower, (size_t)n_days);
    answer_numbers(answer, "ci_upper_by_day", upper, (size_t)n_days);
}

static int solve_trend(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    struct stat_common common;
    struct trend_sum arms[2] = {{0}, {0}};
    size_t n_given = 0;
    double min_events = 0;
    if (stat_common(problem, &common, error) != 0 ||
        stat_number(problem, "min_events", 1, 1e15, TREND_MIN_EVENTS, &min_events,
                    error) != 0 ||
        read_trend_arm(problem, "control", &n_given, &arms[0], error) != 0 ||
        read_trend_arm(problem, "treatment", &n_given, &arms[1], error) != 0) {
        return -1;
    }
    const int n_days =
        trend_busy_days(&arms[0], &arms[1], (int)n_given, (uint64_t)ceil(min_events));
    const struct trend r =
        trend_test(&arms[0], &arms[1], n_days, common.level, common.alternative);
    const struct effect *slopes = &r.slopes;
    answer_text(answer, "method", TREND_METHOD);
    answer_count(answer, "days", (uint64_t)n_days);
    answer_number(answer, "statistic", slopes->statistic);
    answer_number(answer, "df", slopes->df);
    answer_p(answer, slopes->p_value, slopes->log10_p_value);
    answer_number(answer, "control", slopes->control);
    answer_number(answer, "treatment", slopes->treatment);
    answer_number(answer, "effect", slopes->effect_size);
    answer_number(answer, "standard_error", slopes->standard_error);
    answer_interval(answer, "ci", slopes->ci_lower, slopes->ci_upper);
    answer_number(answer, "change_a_day", r.change);
    answer_days(answer, arms, n_days, &common);
    if (n_days < 2) {
        answer_text(answer, "note",
                    "not testable: fewer than two days on which both arms have "
                    "min_events events");
    } else if (!slopes->is_testable) {
        answer_text(answer, "note", "not testable: no variance to test against");
    }
    answer_common(answer, &common);
    return 0;
}

const struct stat_kind stat_kinds_trust[] = {
    {"uniformity", "p_values", solve_uniformity},
    {"trend", "control treatment min_events alternative level", solve_trend},
    {NULL, NULL, NULL},
};
