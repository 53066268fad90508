/* bayes.h - the same comparisons as probabilities about the effect, given a prior.
 *
 * Proportions: each arm's rate has a beta posterior, Beta(a + successes, b + failures);
 * the prior Beta(1, 1) is uniform, Beta(1/2, 1/2) Jeffreys'. P(treatment > control) is
 * E. Miller's finite sum (Formulas for Bayesian A/B Testing, 2015, equation 6; the sum
 * is taken outwards from its largest term, so that it neither under- nor overflows),
 * the expected loss C. Stucchi's closed form of E[max(p_c - p_t, 0)] (Bayesian A/B
 * Testing at VWO, 2015, equation 9). The finite sum wants whole-number parameters;
 * otherwise, and for the credible interval of the difference, the distribution is
 * integrated numerically over the control's posterior (Simpson on the arcsine scale,
 * error below 1e-9).
 *
 * Gaussian: an estimated effect with its standard error, and a normal prior for it.
 *
 * Looking every day and stopping at P > 0.95 is not valid as a test; expected loss with
 * a prior that is true is. The numbers are only as good as the prior.
 */
#ifndef STATS_BAYES_H
#define STATS_BAYES_H

#include <stdbool.h>

#include "common/error.h"
#include "stats/interval.h"
#include "stats/proportion.h"

struct beta_prior {
    double alpha; /* in [0.5, 1e6]: successes it is worth, and one more */
    double beta;  /* failures, likewise */
};

struct bayes_proportions {
    double p_better; /* P(treatment's rate > control's) */
    double
        loss_if_treatment; /* E[max(p_c - p_t, 0)]: rate lost by choosing it, wrongly */
    double loss_if_control;  /* E[max(p_t - p_c, 0)] */
    double effect_mean;      /* posterior mean of p_t - p_c */
    struct interval effect;  /* equal-tailed credible interval of p_t - p_c */
    struct interval control; /* of each arm's rate */
    struct interval treatment;
    bool is_closed_form; /* p_better and losses by the finite sum */
};

/* From 1e6 successes and failures in both arms on, Gaussian. Fails with ERROR_INVALID
 * for samples that proportion_check refuses (but an empty arm is allowed: its posterior
 * is the prior), a prior out of range or a level outside (0, 1), and with ERROR_NUMERIC
 * beyond 1e8 units an arm where it is not Gaussian. Thread-safe. */
MUST_CHECK int bayes_proportions(const struct proportion_sample *control,
                                 const struct proportion_sample *treatment,
                                 struct beta_prior prior, double level,
                                 struct bayes_proportions *result, struct error *error);

struct bayes_effect {
    double mean; /* of the effect's posterior */
    double sd;
    double p_better;          /* P(effect > 0) */
    double loss_if_treatment; /* E[max(-effect, 0)] */
    double loss_if_control;   /* E[max(effect, 0)] */
    struct interval effect;   /* equal-tailed credible interval */
};

/* Posterior of an effect estimated as `effect_size` +- `standard_error` > 0 under the
 * prior N(prior_mean, prior_sd^2); prior_sd INFINITY is flat. ERROR_INVALID otherwise.
 */
MUST_CHECK int bayes_effect(double effect_size, double standard_error,
                            double prior_mean, double prior_sd, double level,
                            struct bayes_effect *result, struct error *error);

#endif
