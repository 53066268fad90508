/* stat_compare.c - the problems that compare two arms: proportions, means, ratios,
 * quantiles, bootstrap; and the check of their sizes, srm. */
#include <math.h>
#include <stdlib.h>

#include "abtest/stat_problem.h"

enum proportion_method {
    METHOD_POOLED,
    METHOD_UNPOOLED,
    METHOD_SCORE,
    METHOD_FISHER,
    METHOD_BARNARD,
};

static const char *const proportion_methods[] = {"pooled", "unpooled", "score",
                                                 "fisher", "barnard",  NULL};
static const char *const proportion_method_names[] = {
    "pooled z", "unpooled z", "Miettinen-Nurminen score", "Fisher exact",
    "Barnard exact, pooled z"};
static const char *const interval_words[] = {"newcombe", "wald", "agresti-caffo",
                                             "miettinen-nurminen", NULL};
static const char *const lift_words[] = {"delta", "katz", "fieller", NULL};

/* Had every unit of both arms the same outcome? */
static bool is_degenerate(const struct proportion_sample *c,
                          const struct proportion_sample *t)
{
    const uint64_t s = c->n_successes + t->n_successes;
    return s == 0 || s == c->n_trials + t->n_trials;
}

/* Appends statistic and p of the chosen test. */
static int proportion_p(const struct proportion_sample *c,
                        const struct proportion_sample *t, int method,
                        enum alternative alternative, struct buffer *answer,
                        struct error *error)
{
    struct proportion_z z = {.statistic = NAN};
    struct exact_barnard barnard;
    switch ((enum proportion_method)method) {
    case METHOD_POOLED:
    case METHOD_UNPOOLED:
        if (proportion_z_test(c, t, method == METHOD_POOLED, alternative, &z, error) !=
            0) {
            return -1;
        }
        break;
    case METHOD_SCORE:
        if (proportion_check(c, t, error) != 0) {
            return -1;
        }
        z.statistic = is_degenerate(c, t) ? (double)NAN : proportion_score(c, t, 0);
        z.p = tail_p_normal(z.statistic, alternative);
        break;
    case METHOD_FISHER:
        if (exact_fisher(c, t, alternative, &z.p, error) != 0) {
            return -1;
        }
        break;
    case METHOD_BARNARD:
        if (exact_barnard(c, t, alternative, &barnard, error) != 0) {
            return -1;
        }
        z.statistic = barnard.statistic;
        z.p = barnard.p;
        break;
    }
    answer_number(answer, "statistic", z.statistic);
    answer_p(answer, z.p.p_value, z.p.log10_p_value);
    if (isnan(z.p.p_value)) {
        answer_text(answer, "note",
                    is_degenerate(c, t)
                        ? "not testable: every unit of both arms had the same outcome"
                        : "not testable: within each arm every unit had the same "
                          "outcome, so this variance is zero");
    }
    return 0;
}

static int solve_proportions(const json_t *problem, struct buffer *answer,
                             struct error *error)
{
    struct proportion_sample c, t;
    struct stat_common common;
    struct interval interval, lift;
    int method = 0, interval_method = 0, lift_method = 0;
    if (stat_proportion(problem, "control", &c, error) != 0 ||
        stat_proportion(problem, "treatment", &t, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        stat_word(problem, "method", proportion_methods, METHOD_POOLED, &method,
                  error) != 0 ||
        stat_word(problem, "interval", interval_words, INTERVAL_NEWCOMBE,
                  &interval_method, error) != 0 ||
        stat_word(problem, "lift", lift_words, LIFT_KATZ, &lift_method, error) != 0) {
        return -1;
    }
    answer_text(answer, "method", proportion_method_names[method]);
    if (proportion_p(&c, &t, method, common.alternative, answer, error) != 0 ||
        proportion_interval(&c, &t, (enum proportion_interval_method)interval_method,
                            common.level, common.alternative, &interval, error) != 0 ||
        lift_proportions(&c, &t, (enum lift_method)lift_method, common.level,
                         common.alternative, &lift, error) != 0) {
        return -1;
    }
    const double rate_c = (double)c.n_successes / (double)c.n_trials;
    const double rate_t = (double)t.n_successes / (double)t.n_trials;
    answer_number(answer, "control", rate_c);
    answer_number(answer, "treatment", rate_t);
    answer_number(answer, "effect", rate_t - rate_c);
    answer_interval(answer, "ci", interval.lower, interval.upper);
    answer_text(
        answer, "ci_method",
        proportion_interval_name((enum proportion_interval_method)interval_method));
    answer_number(answer, "lift", rate_c > 0 ? rate_t / rate_c - 1 : (double)NAN);
    answer_interval(answer, "lift_ci", lift.lower, lift.upper);
    answer_text(answer, "lift_method", lift_name((enum lift_method)lift_method));
    answer_common(answer, &common);
    return 0;
}

/* An arm of means: its values, or their count, mean and variance (or sd). */
struct mean_arm {
    double *values; /* NULL when summarised; the caller frees it */
    size_t n_values;
    struct mean_sample sample;
};

static int read_mean_arm(const json_t *problem, const char *key, struct mean_arm *arm,
                         struct error *error)
{
    const json_t *value = json_object_get(problem, key);
    if (!json_is_array(value)) {
        return stat_mean_summary(value, key, &arm->sample, error);
    }
    if (stat_numbers(value, key, &arm->values, &arm->n_values, error) != 0) {
        return -1;
    }
    arm->sample = mean_sample_of(arm->values, arm->n_values);
    return 0;
}

static int answer_lift(const json_t *problem, struct estimate c, struct estimate t,
                       const struct stat_common *common, struct buffer *answer,
                       struct error *error)
{
    static const char *const words[] = {"delta", "fieller", NULL};
    static const enum lift_method methods[] = {LIFT_DELTA, LIFT_FIELLER};
    struct interval lift;
    int choice = 0;
    if (stat_word(problem, "lift", words, 1, &choice, error) != 0 ||
        lift_interval(c, t, methods[choice], common->level, common->alternative, &lift,
                      error) != 0) {
        return -1;
    }
    answer_interval(answer, "lift_ci", lift.lower, lift.upper);
    answer_text(answer, "lift_method", lift_name(methods[choice]));
    answer_common(answer, common);
    return 0;
}

int answer_estimates(const json_t *problem, struct estimate c, struct estimate t,
                     const struct stat_common *common, struct buffer *answer,
                     struct error *error)
{
    const struct effect effect =
        effect_compare(c, t, common->level, common->alternative);
    answer_effect(answer, &effect);
    return answer_lift(problem, c, t, common, answer, error);
}

static int need_values(const struct mean_arm *c, const struct mean_arm *t,
                       const char *method, struct error *error)
{
    if (c->values && t->values) {
        return 0;
    }
    error_set(error, ERROR_INVALID, "method \"%s\" needs the values of both arms",
              method);
    return -1;
}

static int winsorised(const json_t *problem, struct mean_arm *c, struct mean_arm *t,
                      const struct stat_common *common, struct buffer *answer,
                      struct error *error)
{
    struct winsor caps = {0};
    if (need_values(c, t, "winsorised", error) != 0 ||
        stat_number(problem, "lower", 0, 1, 0, &caps.lower_share, error) != 0 ||
        stat_number(problem, "upper", 0, 1, 0.99, &caps.upper_share, error) != 0 ||
        mean_winsorise(c->values, c->n_values, t->values, t->n_values, &caps, error) !=
            0) {
        return -1;
    }
    c->sample = mean_sample_of(c->values, c->n_values);
    t->sample = mean_sample_of(t->values, t->n_values);
    answer_text(answer, "method", "Welch t of winsorised means");
    answer_interval(answer, "caps", caps.lower, caps.upper);
    return answer_estimates(problem, mean_estimate(&c->sample),
                            mean_estimate(&t->sample), common, answer, error);
}

static int trimmed(const json_t *problem, struct mean_arm *c, struct mean_arm *t,
                   const struct stat_common *common, struct buffer *answer,
                   struct error *error)
{
    double share = 0;
    struct estimate of_c, of_t;
    if (need_values(c, t, "trimmed", error) != 0 ||
        stat_number(problem, "trim", 0, 0.499, 0.1, &share, error) != 0 ||
        mean_trimmed(c->values, c->n_values, share, &of_c, error) != 0 ||
        mean_trimmed(t->values, t->n_values, share, &of_t, error) != 0) {
        return -1;
    }
    answer_text(answer, "method", "Yuen t of trimmed means");
    answer_number(answer, "trim", share);
    return answer_estimates(problem, of_c, of_t, common, answer, error);
}

static int solve_means(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    static const char *const methods[] = {"welch", "winsorised", "trimmed", NULL};
    int rc = -1, method = 0;
    struct stat_common common;
    struct mean_arm c = {0}, t = {0};
    struct effect checked;
    if (read_mean_arm(problem, "control", &c, error) != 0 ||
        read_mean_arm(problem, "treatment", &t, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        stat_word(problem, "method", methods, 0, &method, error) != 0 ||
        mean_compare(&c.sample, &t.sample, common.level, common.alternative, &checked,
                     error) != 0) {
        goto out;
    }
    if (method == 1) {
        rc = winsorised(problem, &c, &t, &common, answer, error);
    } else if (method == 2) {
        rc = trimmed(problem, &c, &t, &common, answer, error);
    } else {
        answer_text(answer, "method", "Welch t");
        rc = answer_estimates(problem, mean_estimate(&c.sample),
                              mean_estimate(&t.sample), &common, answer, error);
    }

out:
    free(t.values);
    free(c.values);
    return rc;
}

static int read_ratio_arm(const json_t *problem, const char *key, struct ratio_sum *sum,
                          struct error *error)
{
    double *x = NULL, *y = NULL;
    size_t n = 0;
    if (stat_pairs(json_object_get(problem, key), key, &x, &y, &n, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        ratio_sum_add(sum, x[i], y[i]);
    }
    free(y);
    free(x);
    return 0;
}

static int solve_ratios(const json_t *problem, struct buffer *answer,
                        struct error *error)
{
    struct ratio_sum c = {0}, t = {0};
    struct stat_common common;
    struct effect checked;
    if (read_ratio_arm(problem, "control", &c, error) != 0 ||
        read_ratio_arm(problem, "treatment", &t, error) != 0 ||
        stat_common(problem, &common, error) != 0 ||
        ratio_compare(&c, &t, common.level, common.alternative, &checked, error) != 0) {
        return -1;
    }
    answer_text(answer, "method", "delta method, units as clusters");
    return answer_estimates(problem, ratio_estimate(&c), ratio_estimate(&t), &common,
                            answer, error);
}

struct srm_question {
    const uint64_t *counts;
    const double *weights;
    int n_arms;
    double limit;
};

/* What days and segments of a report are asked. */
static int srm_answer_exact(const struct srm_question *question, struct srm_result *r,
                            struct buffer *answer, struct error *error)
{
    *r = (struct srm_result){.is_approximate_ok = true};
    struct tail_p p;
    if (srm_exact(question->counts, question->weights, question->n_arms, &p, error) !=
        0) {
        return -1;
    }
    r->p_value = p.p_value;
    r->log10_p_value = p.log10_p_value;
    r->is_mismatch = r->p_value < question->limit;
    answer_text(answer, "method", "exact binomial test, Bonferroni over arms");
    return 0;
}

/* The chosen test, and the answer's method and statistic. */
static int srm_answer(const json_t *problem, const struct srm_question *question,
                      struct srm_result *r, struct buffer *answer, struct error *error)
{
    static const char *const words[] = {"chi-square", "sequential", "exact", NULL};
    int choice = 0;
    double concentration = 0;
    if (stat_word(problem, "method", words, 0, &choice, error) != 0 ||
        stat_number(problem, "concentration", 1e-3, 1e12, SRM_CONCENTRATION,
                    &concentration, error) != 0) {
        return -1;
    }
    if (choice == 2) {
        return srm_answer_exact(question, r, answer, error);
    }
    if ((choice == 1
             ? srm_sequential(question->counts, question->weights, question->n_arms,
                              concentration, question->limit, r, error)
             : srm_test(question->counts, question->weights, question->n_arms,
                        question->limit, r, error)) != 0) {
        return -1;
    }
    answer_text(answer, "method",
                choice == 1 ? "always-valid multinomial test"
                            : "chi-square of counts against weights");
    answer_number(answer, choice == 1 ? "log_bayes_factor" : "statistic", r->statistic);
    if (choice == 0) {
        answer_number(answer, "df", r->df);
    }
    return 0;
}

static int solve_srm(const json_t *problem, struct buffer *answer, struct error *error)
{
    int rc = -1;
    double *weights = NULL, limit = 0;
    size_t n_weights = 0;
    uint64_t counts[SRM_MAX_ARMS];
    struct srm_result r;
    const json_t *given = json_object_get(problem, "counts");
    const size_t n_arms = json_array_size(given);
    if (n_arms < 2 || n_arms > SRM_MAX_ARMS) {
        error_set(error, ERROR_INVALID, "\"counts\" must hold 2 to %d unit counts",
                  SRM_MAX_ARMS);
        return -1;
    }
    for (size_t i = 0; i < n_arms; i++) {
        if (stat_count(json_array_get(given, i), "counts", &counts[i], error) != 0) {
            return -1;
        }
    }
    if (stat_number(problem, "limit", 1e-12, 0.5, SRM_DEFAULT_LIMIT, &limit, error) !=
            0 ||
        stat_numbers(json_object_get(problem, "weights"), "weights", &weights,
                     &n_weights, error) != 0) {
        return -1;
    }
    if (n_weights != n_arms) {
        error_set(error, ERROR_INVALID, "%zu weights for %zu counts", n_weights,
                  n_arms);
        goto out;
    }
    const struct srm_question question = {counts, weights, (int)n_arms, limit};
    if (srm_answer(problem, &question, &r, answer, error) != 0) {
        goto out;
    }
    answer_p(answer, r.p_value, r.log10_p_value);
    answer_number(answer, "limit", limit);
    answer_flag(answer, "mismatch", r.is_mismatch);
    if (!r.is_approximate_ok) {
        answer_text(answer, "note", "an arm expects fewer than 5 units");
    }
    rc = 0;

out:
    free(weights);
    return rc;
}

const struct stat_kind stat_kinds_compare[] = {
    {"proportions", "control treatment method interval lift alternative level",
     solve_proportions},
    {"means", "control treatment method lower upper trim lift alternative level",
     solve_means},
    {"ratios", "control treatment lift alternative level", solve_ratios},
    {"srm", "counts weights limit method concentration", solve_srm},
    {NULL, NULL, NULL},
};
