/* stat_adjusted.c - guardrails (non-inferiority, equivalence), covariates and strata,
 * planning, and bare tail probabilities. */
#include <math.h>
#include <stdlib.h>

#include "abtest/power_problem.h"
#include "abtest/stat_problem.h"

static int solve_noninferiority(const json_t *problem, struct buffer *answer,
                                struct error *error)
{
    static const char *const directions[] = {"up", "down", NULL};
    int better = 0;
    double level = 0;
    struct margin margin = {0};
    struct stat_arm c, t;
    struct noninferiority r;
    if (stat_arms(problem, &c, &t, error) != 0 ||
        stat_number(problem, "margin", 0, 1e300, NAN, &margin.size, error) != 0 ||
        stat_word(problem, "direction", directions, 0, &better, error) != 0 ||
        stat_number(problem, "level", 1e-9, 1 - 1e-12, 0.95, &level, error) != 0) {
        return -1;
    }
    margin.is_relative = json_is_true(json_object_get(problem, "relative"));
    margin.better = better == 1 ? BETTER_DOWN : BETTER_UP;
    const bool is_score = c.is_proportion && !margin.is_relative;
    if ((is_score ? noninferiority_proportions(&c.sample, &t.sample, margin, level, &r,
                                               error)
                  : noninferiority_test(c.estimate, t.estimate, margin, level, &r,
                                        error)) != 0) {
        return -1;
    }
    answer_text(answer, "method",
                is_score             ? "non-inferiority, Miettinen-Nurminen score"
                : margin.is_relative ? "non-inferiority, relative margin, Wald/Welch "
                                       "contrast"
                                     : "non-inferiority, Welch t");
    answer_number(answer, "statistic", r.statistic);
    answer_p(answer, r.p_value, r.log10_p_value);
    answer_number(answer, "effect", r.effect_size);
    answer_number(answer, "margin", margin.size);
    answer_flag(answer, "relative", margin.is_relative);
    answer_number(answer, "bound", r.bound);
    answer_text(answer, "direction", directions[better]);
    answer_number(answer, "level", level);
    answer_flag(answer, "holds", r.holds);
    if (!r.is_testable) {
        answer_text(answer, "note", "not testable: no variance to test against");
    }
    return 0;
}

static int solve_equivalence(const json_t *problem, struct buffer *answer,
                             struct error *error)
{
    double margin = 0, level = 0;
    struct stat_arm c, t;
    struct equivalence r;
    if (stat_arms(problem, &c, &t, error) != 0 ||
        stat_number(problem, "margin", 0, 1e300, NAN, &margin, error) != 0 ||
        stat_number(problem, "level", 0, 1, 0.95, &level, error) != 0 ||
        equivalence_test(c.estimate, t.estimate, margin, level, &r, error) != 0) {
        return -1;
    }
    answer_text(answer, "method",
                c.is_proportion ? "TOST, unpooled z" : "TOST, Welch t");
    answer_number(answer, "p_value", r.p_value);
    answer_number(answer, "p_lower", r.p_lower);
    answer_number(answer, "p_upper", r.p_upper);
    answer_number(answer, "effect", r.effect_size);
    answer_number(answer, "margin", margin);
    answer_interval(answer, "ci", r.ci_lower, r.ci_upper);
    answer_number(answer, "level", level);
    answer_flag(answer, "holds", r.holds);
    if (!r.is_testable) {
        answer_text(answer, "note", "not testable: no variance to test against");
    }
    return 0;
}

/* One covariate row: a number, or an array of them. */
static int read_covariates(const json_t *row, size_t n_covariates, double *x)
{
    if (json_is_number(row)) {
        x[0] = json_number_value(row);
        return n_covariates == 1 && stat_is_value(row) ? 0 : -1;
    }
    if (json_array_size(row) != n_covariates) {
        return -1;
    }
    for (size_t i = 0; i < n_covariates; i++) {
        const json_t *value = json_array_get(row, i);
        if (!stat_is_value(value)) {
            return -1;
        }
        x[i] = json_number_value(value);
    }
    return 0;
}

/* {"y": [...], "x": [[...], ...]}, a row of covariates a unit. */
static int read_cuped_arm(const json_t *problem, const char *key, struct cuped_sum *sum,
                          struct error *error)
{
    const json_t *arm = json_object_get(problem, key);
    const json_t *y = json_object_get(arm, "y"), *x = json_object_get(arm, "x");
    const json_t *first = json_array_get(x, 0);
    const size_t n = json_array_size(y);
    const size_t n_covariates = json_is_number(first) ? 1 : json_array_size(first);
    if (n == 0 || json_array_size(x) != n || n_covariates < 1 ||
        n_covariates > CUPED_MAX_COVARIATES) {
        error_set(error, ERROR_INVALID,
                  "\"%s\" must be {\"y\": [...], \"x\": [...]}, a value and 1 to %d "
                  "covariates for each unit",
                  key, CUPED_MAX_COVARIATES);
        return -1;
    }
    sum->n_covariates = (int)n_covariates;
    for (size_t i = 0; i < n; i++) {
        double row[CUPED_MAX_COVARIATES];
        const json_t *value = json_array_get(y, i);
        if (!stat_is_value(value) ||
            read_covariates(json_array_get(x, i), n_covariates, row) != 0) {
            error_set(
                error, ERROR_INVALID,
                "\"%s\": unit %zu needs a y and %zu covariates, each " STAT_VALUE_RANGE,
                key, i + 1, n_covariates);
            return -1;
        }
        cuped_sum_add(sum, json_number_value(value), row);
    }
    return 0;
}

static int solve_cuped(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    struct cuped_sum c = {0}, t = {0};
    struct stat_common common;
    struct cuped_result r;
    if (read_cuped_arm(problem, "control", &c, error) != 0 ||
        read_cuped_arm(problem, "treatment", &t, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        cuped_compare(&c, &t, common.level, common.alternative, &r, error) != 0) {
        return -1;
    }
    answer_text(answer, "method", "CUPED, Welch t of adjusted means");
    answer_effect(answer, &r.adjusted);
    answer_numbers(answer, "theta", r.theta, (size_t)c.n_covariates);
    answer_count(answer, "covariates_left_out", (uint64_t)r.n_left_out);
    answer_number(answer, "variance_reduction", r.variance_reduction);
    answer_number(answer, "unadjusted_effect", r.raw.effect_size);
    answer_number(answer, "unadjusted_p_value", r.raw.p_value);
    answer_common(answer, &common);
    return 0;
}

static int read_stratum(const json_t *item, struct stratum *stratum,
                        struct error *error)
{
    return stat_mean_summary(json_object_get(item, "control"), "control",
                             &stratum->control, error) == 0 &&
                   stat_mean_summary(json_object_get(item, "treatment"), "treatment",
                                     &stratum->treatment, error) == 0 &&
                   stat_number(item, "weight", 0, 1e15, 0, &stratum->weight, error) == 0
               ? 0
               : -1;
}

static int solve_poststratification(const json_t *problem, struct buffer *answer,
                                    struct error *error)
{
    int rc = -1;
    struct stat_common common;
    struct poststratification_result r;
    const json_t *given = json_object_get(problem, "strata");
    const size_t n = json_array_size(given);
    struct stratum *strata = calloc(n + 1, sizeof *strata);
    if (!strata) {
        error_set(error, ERROR_NOMEM, "no memory for %zu strata", n);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        if (read_stratum(json_array_get(given, i), &strata[i], error) != 0) {
            error_prefix(error, "stratum %zu", i + 1);
            goto out;
        }
    }
    if (stat_common(problem, &common, error) != 0 ||
        poststratification_compare(strata, n, common.level, common.alternative, &r,
                                   error) != 0) {
        goto out;
    }
    answer_text(answer, "method", "post-stratification");
    answer_effect(answer, &r.adjusted);
    answer_number(answer, "variance_reduction", r.variance_reduction);
    answer_number(answer, "unadjusted_effect", r.raw.effect_size);
    answer_number(answer, "unadjusted_p_value", r.raw.p_value);
    answer_count(answer, "units_left_out", r.n_left_out);
    answer_common(answer, &common);
    rc = 0;

out:
    free(strata);
    return rc;
}

static int solve_tail(const json_t *problem, struct buffer *answer, struct error *error)
{
    static const char *const words[] = {"normal", "student", "chi-square", NULL};
    int distribution = 0;
    double statistic = 0, df = 0;
    struct stat_common common;
    if (stat_word(problem, "distribution", words, 0, &distribution, error) != 0 ||
        stat_number(problem, "statistic", -1e300, 1e300, NAN, &statistic, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        stat_number(problem, "df", 1e-9, 1e300, distribution == 0 ? 1 : (double)NAN,
                    &df, error) != 0) {
        return -1;
    }
    if (distribution == 2 && statistic < 0) {
        error_set(error, ERROR_INVALID, "a chi-square statistic is at least 0");
        return -1;
    }
    const struct tail_p p =
        distribution == 0   ? tail_p_normal(statistic, common.alternative)
        : distribution == 1 ? tail_p_student(statistic, df, common.alternative)
                            : tail_p_chi_square(statistic, df);
    answer_text(answer, "method",
                distribution == 0   ? "normal tail"
                : distribution == 1 ? "Student tail"
                                    : "chi-square upper tail");
    answer_number(answer, "statistic", statistic);
    answer_p(answer, p.p_value, p.log10_p_value);
    if (distribution != 2) {
        answer_text(answer, "alternative", alternative_name(common.alternative));
    }
    return 0;
}

static int solve_power(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    struct power_problem p = power_problem_default();
    return power_problem_read(problem, &p, error) == 0 &&
                   power_problem_solve(&p, error) == 0
               ? (power_problem_answer(&p, answer), 0)
               : -1;
}

const struct stat_kind stat_kinds_adjusted[] = {
    {"noninferiority", "control treatment margin relative direction level",
     solve_noninferiority},
    {"equivalence", "control treatment margin level", solve_equivalence},
    {"cuped", "control treatment alternative level", solve_cuped},
    {"poststratification", "strata alternative level", solve_poststratification},
    {"power", POWER_PROBLEM_KEYS, solve_power},
    {"tail", "distribution statistic df alternative", solve_tail},
    {NULL, NULL, NULL},
};
