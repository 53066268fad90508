/* stat_groups.c - the problems about an effect in several groups of units: in two
 * (interaction) or in any number (heterogeneity). */
#include <math.h>
#include <stdlib.h>

#include "abtest/stat_problem.h"

static int read_either(const json_t *problem, const char *key, struct stat_arm *arm,
                       struct error *error)
{
    struct mean_sample mean;
    arm->is_proportion = json_is_array(json_object_get(problem, key));
    if (!arm->is_proportion) {
        if (stat_mean_summary(json_object_get(problem, key), key, &mean, error) != 0) {
            return -1;
        }
        arm->estimate = mean_estimate(&mean);
        return 0;
    }
    if (stat_proportion(problem, key, &arm->sample, error) != 0 ||
        proportion_check(&arm->sample, &arm->sample, error) != 0) {
        return -1;
    }
    const double s = (double)arm->sample.n_successes, n = (double)arm->sample.n_trials;
    arm->estimate =
        (struct estimate){s / n, s / n * ((n - s) / n) / n, (double)INFINITY};
    return 0;
}

int stat_arms(const json_t *problem, struct stat_arm *c, struct stat_arm *t,
              struct error *error)
{
    if (read_either(problem, "control", c, error) != 0 ||
        read_either(problem, "treatment", t, error) != 0) {
        return -1;
    }
    if (c->is_proportion != t->is_proportion) {
        error_set(error, ERROR_INVALID,
                  "give both arms as [successes, trials] or both as {\"n\":, "
                  "\"mean\":, \"variance\":}");
        return -1;
    }
    return 0;
}

/* The effect in one group: control and treatment in it, variances added; df as Welch
 * and Satterthwaite would have it, infinite for proportions. */
static int read_effect(const json_t *group, bool *is_proportion,
                       struct estimate *effect, struct error *error)
{
    struct stat_arm c, t;
    if (stat_arms(group, &c, &t, error) != 0) {
        return -1;
    }
    const struct effect both =
        effect_compare(c.estimate, t.estimate, 0.95, ALTERNATIVE_TWO_SIDED);
    *is_proportion = c.is_proportion;
    *effect = (struct estimate){t.estimate.value - c.estimate.value,
                                c.estimate.variance + t.estimate.variance,
                                isnan(both.df) ? (double)INFINITY : both.df};
    return 0;
}

static int read_group(const json_t *problem, const char *key, bool *is_proportion,
                      struct estimate *effect, struct error *error)
{
    const json_t *group = json_object_get(problem, key);
    if (!json_is_object(group)) {
        error_set(error, ERROR_INVALID, "%s must be {\"control\":, \"treatment\":}",
                  key);
        return -1;
    }
    return read_effect(group, is_proportion, effect, error);
}

static int solve_interaction(const json_t *problem, struct buffer *answer,
                             struct error *error)
{
    struct stat_common common;
    struct estimate first, second;
    bool is_proportion = false, is_second_proportion = false;
    if (stat_common(problem, &common, error) != 0 ||
        read_group(problem, "first", &is_proportion, &first, error) != 0 ||
        read_group(problem, "second", &is_second_proportion, &second, error) != 0) {
        return -1;
    }
    if (is_proportion != is_second_proportion) {
        error_set(error, ERROR_INVALID,
                  "give first and second both as [successes, trials] or both as "
                  "{\"n\":, \"mean\":, \"variance\":}");
        return -1;
    }
    const struct effect r =
        effect_compare(first, second, common.level, common.alternative);
    answer_text(answer, "method",
                is_proportion ? "difference of effects, z"
                              : "difference of effects, Welch t");
    answer_number(answer, "statistic", r.statistic);
    if (!is_proportion) {
        answer_number(answer, "df", r.df);
    }
    answer_p(answer, r.p_value, r.log10_p_value);
    answer_number(answer, "effect_in_first", first.value);
    answer_number(answer, "effect_in_second", second.value);
    answer_number(answer, "effect", r.effect_size);
    answer_number(answer, "standard_error", r.standard_error);
    answer_interval(answer, "ci", r.ci_lower, r.ci_upper);
    if (!r.is_testable) {
        answer_text(answer, "note", "not testable: no variance to test against");
    }
    answer_common(answer, &common);
    return 0;
}

/* {"control":, "treatment":}, or what another analysis said: {"effect":,
 * "standard_error":}. */
static int read_any_effect(const json_t *group, struct estimate *effect,
                           struct error *error)
{
    bool is_proportion = false;
    double se = 0;
    if (json_object_get(group, "control") && json_object_get(group, "treatment")) {
        return read_effect(group, &is_proportion, effect, error);
    }
    if (!json_object_get(group, "effect") ||
        !json_object_get(group, "standard_error")) {
        error_set(error, ERROR_INVALID,
                  "a group must be {\"control\":, \"treatment\":} or {\"effect\":, "
                  "\"standard_error\":}");
        return -1;
    }
    if (stat_number(group, "effect", -STAT_VALUE_MAX, STAT_VALUE_MAX, NAN,
                    &effect->value, error) != 0 ||
        stat_number(group, "standard_error", 0, STAT_VALUE_MAX, NAN, &se, error) != 0) {
        return -1;
    }
    effect->variance = se * se;
    return 0;
}

static void answer_heterogeneity(struct buffer *answer, const struct heterogeneity *r,
                                 const double *effects, size_t n_groups, size_t n_added)
{
    answer_text(answer, "method", "Cochran's Q of the groups' effects");
    answer_number(answer, "statistic", r->statistic);
    answer_count(answer, "df", (uint64_t)r->df);
    answer_p(answer, r->p_value, r->log10_p_value);
    answer_numbers(answer, "effects", effects, n_groups);
    answer_number(answer, "effect", r->effect);
    answer_number(answer, "standard_error", r->standard_error);
    answer_count(answer, "groups_left_out", n_groups - n_added);
    if (!r->is_testable) {
        answer_text(answer, "note",
                    "not testable: fewer than two groups whose effect varies");
    }
}

static int solve_heterogeneity(const json_t *problem, struct buffer *answer,
                               struct error *error)
{
    int rc = -1;
    struct heterogeneity_sum sum = {0};
    const json_t *given = json_object_get(problem, "groups");
    const size_t n = json_array_size(given);
    size_t n_added = 0;
    if (n < 2) {
        error_set(error, ERROR_INVALID, "\"groups\" must be an array of at least two");
        return -1;
    }
    double *effects = malloc(n * sizeof *effects);
    if (!effects) {
        error_set(error, ERROR_NOMEM, "no memory for %zu groups", n);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        struct estimate effect;
        if (read_any_effect(json_array_get(given, i), &effect, error) != 0) {
            error_prefix(error, "group %zu", i + 1);
            goto out;
        }
        effects[i] = effect.value;
        n_added += heterogeneity_add(&sum, effect.value, effect.variance);
    }
    const struct heterogeneity r = heterogeneity_test(&sum);
    answer_heterogeneity(answer, &r, effects, n, n_added);
    rc = 0;

out:
    free(effects);
    return rc;
}

const struct stat_kind stat_kinds_groups[] = {
    {"interaction", "first second alternative level", solve_interaction},
    {"heterogeneity", "groups", solve_heterogeneity},
    {NULL, NULL, NULL},
};
