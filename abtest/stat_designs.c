/* stat_designs.c - the problems about designs beyond one fixed look at one metric:
 * looking early, many metrics, guardrails, equivalence, priors, covariates, strata. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/stat_problem.h"

static int read_look(const json_t *problem, struct sequential_look *look,
                     struct error *error)
{
    if (stat_number(problem, "effect", -1e300, 1e300, NAN, &look->effect_size, error) !=
            0 ||
        stat_number(problem, "standard_error", 0, 1e300, NAN, &look->standard_error,
                    error) != 0) {
        return -1;
    }
    return 0;
}

static int solve_confidence_sequence(const json_t *problem, struct buffer *answer,
                                     struct error *error)
{
    struct sequential_look look;
    struct stat_common common;
    struct interval interval;
    struct tail_p p;
    double g = 0, planned = 0;
    if (read_look(problem, &look, error) != 0 ||
        stat_number(problem, "n", 1, 1e15, NAN, &look.n_units, error) != 0 ||
        stat_common(problem, &common, error) != 0) {
        return -1;
    }
    if (json_object_get(problem, "g")) {
        if (stat_number(problem, "g", 1e-9, 1e15, NAN, &g, error) != 0) {
            return -1;
        }
    } else if (stat_number(problem, "planned_n", 1, 1e15, NAN, &planned, error) != 0) {
        return -1;
    } else {
        g = sequential_tune(planned, 1 - common.level);
    }
    if (sequential_interval(&look, g, common.level, common.alternative, &interval,
                            error) != 0 ||
        sequential_p(&look, g, common.alternative, &p, error) != 0) {
        return -1;
    }
    answer_text(answer, "method", "asymptotic confidence sequence");
    answer_number(answer, "effect", look.effect_size);
    answer_interval(answer, "ci", interval.lower, interval.upper);
    answer_p(answer, p.p_value, p.log10_p_value);
    answer_number(answer, "n", look.n_units);
    answer_number(answer, "g", g);
    answer_common(answer, &common);
    return 0;
}

static int solve_msprt(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    struct sequential_look look = {.n_units = 1};
    double tau = 0, previous = 0;
    if (read_look(problem, &look, error) != 0 ||
        stat_number(problem, "tau", 1e-300, 1e300, NAN, &tau, error) != 0 ||
        stat_number(problem, "previous_p", 0, 1, 1, &previous, error) != 0) {
        return -1;
    }
    const double log_ratio = sequential_log_mixture_ratio(&look, tau);
    if (isnan(log_ratio)) {
        error_set(error, ERROR_INVALID, "\"standard_error\" must be above 0");
        return -1;
    }
    const struct tail_p p = tail_p_from_log(fmin(-log_ratio, log(previous)));
    answer_text(answer, "method", "mSPRT, normal mixture");
    answer_number(answer, "log_likelihood_ratio", log_ratio);
    answer_p(answer, p.p_value, p.log10_p_value);
    answer_number(answer, "tau", tau);
    return 0;
}

static int answer_bounds(const struct group_sequential_plan *plan, const double *z,
                         struct buffer *answer, struct error *error)
{
    double bounds[GROUP_SEQUENTIAL_MAX_LOOKS], spent[GROUP_SEQUENTIAL_MAX_LOOKS];
    double nominal[GROUP_SEQUENTIAL_MAX_LOOKS];
    if (group_sequential_bounds(plan, bounds, spent, error) != 0) {
        return -1;
    }
    const bool is_two_sided = plan->alternative == ALTERNATIVE_TWO_SIDED;
    double crossed = NAN;
    for (int i = 0; i < plan->n_looks; i++) {
        nominal[i] = (is_two_sided ? 2 : 1) * tail_normal_upper(bounds[i]);
        const double toward = !z                                      ? 0
                              : is_two_sided                          ? fabs(z[i])
                              : plan->alternative == ALTERNATIVE_LESS ? -z[i]
                                                                      : z[i];
        if (z && isnan(crossed) && toward >= bounds[i]) {
            crossed = i + 1;
        }
    }
    answer_text(answer, "method", "Lan-DeMets group-sequential bounds");
    answer_text(answer, "spending", spending_name(plan->spending));
    answer_numbers(answer, "bounds", bounds, (size_t)plan->n_looks);
    answer_numbers(answer, "nominal_p", nominal, (size_t)plan->n_looks);
    answer_numbers(answer, "alpha_spent", spent, (size_t)plan->n_looks);
    if (z) {
        answer_number(answer, "crossed_at_look", crossed);
    }
    answer_number(answer, "alpha", plan->alpha);
    answer_text(answer, "alternative", alternative_name(plan->alternative));
    return 0;
}

static int solve_group_sequential(const json_t *problem, struct buffer *answer,
                                  struct error *error)
{
    static const char *const spendings[] = {"obrien-fleming", "pocock", "power", NULL};
    static const char *const sides[] = {"two-sided", "greater", "less", NULL};
    int rc = -1, spending = 0, side = 0;
    double *fractions = NULL, *z = NULL;
    size_t n_fractions = 0, n_z = 0;
    struct group_sequential_plan plan = {.power = 2};
    if (stat_numbers(json_object_get(problem, "fractions"), "fractions", &fractions,
                     &n_fractions, error) != 0 ||
        stat_number(problem, "alpha", 1e-9, 0.499999, 0.05, &plan.alpha, error) != 0 ||
        stat_word(problem, "spending", spendings, 0, &spending, error) != 0 ||
        stat_number(problem, "power", 1e-3, 100, 2, &plan.power, error) != 0 ||
        stat_word(problem, "alternative", sides, 0, &side, error) != 0) {
        goto out;
    }
    plan.spending = (enum spending)spending;
    plan.alternative = (enum alternative)side;
    plan.fractions = fractions;
    plan.n_looks = n_fractions <= GROUP_SEQUENTIAL_MAX_LOOKS
                       ? (int)n_fractions
                       : GROUP_SEQUENTIAL_MAX_LOOKS + 1;
    if (json_object_get(problem, "statistics")) {
        if (stat_numbers(json_object_get(problem, "statistics"), "statistics", &z, &n_z,
                         error) != 0) {
            goto out;
        }
        if (n_z > n_fractions) {
            error_set(error, ERROR_INVALID, "%zu statistics for %zu looks", n_z,
                      n_fractions);
            goto out;
        }
        plan.n_looks = (int)n_z; /* the looks that there were */
    }
    rc = answer_bounds(&plan, z, answer, error);

out:
    free(z);
    free(fractions);
    return rc;
}

static int solve_beta_binomial(const json_t *problem, struct buffer *answer,
                               struct error *error)
{
    struct proportion_sample c, t;
    struct beta_prior prior = {1, 1};
    struct bayes_proportions r;
    double level = 0;
    const json_t *given = json_object_get(problem, "prior");
    if (given) {
        const json_t *alpha = json_array_get(given, 0),
                     *beta = json_array_get(given, 1);
        if (json_array_size(given) != 2 || !json_is_number(alpha) ||
            !json_is_number(beta)) {
            error_set(error, ERROR_INVALID, "\"prior\" must be [alpha, beta]");
            return -1;
        }
        prior = (struct beta_prior){json_number_value(alpha), json_number_value(beta)};
    }
    if (stat_proportion(problem, "control", &c, error) != 0 ||
        stat_proportion(problem, "treatment", &t, error) != 0 ||
        stat_number(problem, "level", 1e-9, 1 - 1e-12, 0.95, &level, error) != 0 ||
        bayes_proportions(&c, &t, prior, level, &r, error) != 0) {
        return -1;
    }
    const double of_prior[2] = {prior.alpha, prior.beta};
    answer_text(answer, "method",
                r.is_closed_form ? "beta-binomial, closed form"
                                 : "beta-binomial, numerical integration or Gaussian");
    answer_number(answer, "p_treatment_better", r.p_better);
    answer_number(answer, "expected_loss_treatment", r.loss_if_treatment);
    answer_number(answer, "expected_loss_control", r.loss_if_control);
    answer_number(answer, "effect", r.effect_mean);
    answer_interval(answer, "credible_interval", r.effect.lower, r.effect.upper);
    answer_interval(answer, "control_interval", r.control.lower, r.control.upper);
    answer_interval(answer, "treatment_interval", r.treatment.lower, r.treatment.upper);
    answer_numbers(answer, "prior", of_prior, 2);
    answer_number(answer, "level", level);
    return 0;
}

static int solve_gaussian(const json_t *problem, struct buffer *answer,
                          struct error *error)
{
    double effect = 0, se = 0, mean = 0, sd = 0, level = 0;
    struct bayes_effect r;
    if (stat_number(problem, "effect", -1e300, 1e300, NAN, &effect, error) != 0 ||
        stat_number(problem, "standard_error", 0, 1e300, NAN, &se, error) != 0 ||
        stat_number(problem, "prior_mean", -1e300, 1e300, 0, &mean, error) != 0 ||
        stat_number(problem, "prior_sd", 1e-300, 1e300, INFINITY, &sd, error) != 0 ||
        stat_number(problem, "level", 1e-9, 1 - 1e-12, 0.95, &level, error) != 0 ||
        bayes_effect(effect, se, mean, sd, level, &r, error) != 0) {
        return -1;
    }
    answer_text(answer, "method",
                isinf(sd) ? "Gaussian posterior, flat prior"
                          : "Gaussian posterior, normal prior");
    answer_number(answer, "p_treatment_better", r.p_better);
    answer_number(answer, "expected_loss_treatment", r.loss_if_treatment);
    answer_number(answer, "expected_loss_control", r.loss_if_control);
    answer_number(answer, "effect", r.mean);
    answer_number(answer, "posterior_sd", r.sd);
    answer_interval(answer, "credible_interval", r.effect.lower, r.effect.upper);
    answer_number(answer, "level", level);
    return 0;
}

static int solve_multiple(const json_t *problem, struct buffer *answer,
                          struct error *error)
{
    static const char *const words[] = {"none", "bonferroni", "holm", "hochberg",
                                        "bh",   "by",         NULL};
    int rc = -1, choice = 0;
    double *p = NULL, alpha = 0;
    size_t n = 0, n_rejected = 0;
    if (stat_word(problem, "method", words, -1, &choice, error) != 0 ||
        stat_number(problem, "alpha", 1e-12, 0.5, 0.05, &alpha, error) != 0 ||
        stat_numbers(json_object_get(problem, "p_values"), "p_values", &p, &n, error) !=
            0 ||
        multiple_adjust(p, n, (enum correction)choice, p, error) != 0) {
        goto out;
    }
    for (size_t i = 0; i < n; i++) {
        n_rejected += p[i] <= alpha;
    }
    answer_text(answer, "method", correction_name((enum correction)choice));
    answer_numbers(answer, "adjusted_p", p, n);
    answer_number(answer, "alpha", alpha);
    answer_count(answer, "rejected", n_rejected);
    rc = 0;

out:
    free(p);
    return rc;
}

const struct stat_kind stat_kinds_designs[] = {
    {"confidence-sequence", "effect standard_error n planned_n g alternative level",
     solve_confidence_sequence},
    {"msprt", "effect standard_error tau previous_p", solve_msprt},
    {"group-sequential", "fractions alpha spending power statistics alternative",
     solve_group_sequential},
    {"beta-binomial", "control treatment prior level", solve_beta_binomial},
    {"gaussian", "effect standard_error prior_mean prior_sd level", solve_gaussian},
    {"multiple", "p_values method alpha", solve_multiple},
    {NULL, NULL, NULL},
};
