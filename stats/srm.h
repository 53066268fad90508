/* srm.h - sample ratio mismatch: do the arms hold the shares that were configured?
 *
 * Pearson's chi-square of the observed unit counts against the configured weights, with
 * arms - 1 degrees of freedom. A small p means that units were lost, doubled or
 * assigned wrongly, and then no comparison of the arms can be trusted, whatever its
 * p-value.
 *
 * Wrong when the unit counted is not the unit randomized (events, page views), or when
 * the weights were changed while units arrived. The chi-square approximation wants five
 * expected units an arm; below that `is_approximate_ok` is false and the p-value
 * is only a hint.
 *
 * Source: A. Fabijan et al., Diagnosing Sample Ratio Mismatch in Online Controlled
 * Experiments, KDD 2019; the usual limit there and here is p < 0.001 or stricter.
 */
#ifndef STATS_SRM_H
#define STATS_SRM_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "stats/tail.h"

#define SRM_DEFAULT_LIMIT 0.001 /* p below this: mismatch */
#define SRM_MAX_ARMS      64

struct srm_result {
    double statistic;       /* chi-square; 0 when no unit was seen */
    double df;              /* arms - 1 */
    double p_value;         /* upper tail; 1 when no unit was seen */
    double log10_p_value;   /* base-10 logarithm of it, for p below 1e-300 */
    uint64_t n_units;       /* all arms together */
    int worst_arm;          /* index of the arm with the largest contribution */
    double worst_expected;  /* units expected in that arm */
    bool is_approximate_ok; /* every arm expects at least 5 units */
    bool is_mismatch;       /* p_value < limit */
};

/* Tests counts[n_arms] against weights[n_arms], which are relative (they need not sum
 * to 1) and > 0. `limit` in (0, 1), e.g. SRM_DEFAULT_LIMIT.
 *
 * Allocates nothing; safe to call from several threads. Returns 0 and fills *result, or
 * -1 with ERROR_INVALID when n_arms is outside [2, SRM_MAX_ARMS], a weight is not
 * above 0 and finite, or the limit is outside (0, 1). */
MUST_CHECK int srm_test(const uint64_t *counts, const double *weights, int n_arms,
                        double limit, struct srm_result *result, struct error *error);

/* The version that may be looked at as often as one likes: the evidence against the
 * weights is the Bayes factor of a Dirichlet prior centred on them against them,
 *     ln B = ln G(a) - ln G(a + n) + sum of (ln G(a_i + n_i) - ln G(a_i) - n_i ln w_i),
 * a_i = concentration w_i, a their sum; its reciprocal is an always-valid p-value. A
 * monitor keeps the smallest so far.
 * Source: M. Lindon & A. Malek, Anytime-valid inference for multinomial count data,
 * NeurIPS 2022, equation 6. `concentration` > 0: how near to the weights a mismatch is
 * expected; SRM_CONCENTRATION finds one of a few per cent early.
 * Fills p_value, log10_p_value, n_units, is_mismatch and the worst arm; statistic is
 * ln B, df NAN. Errors as srm_test, and for a concentration that is not above 0. */
#define SRM_CONCENTRATION 10000.0
MUST_CHECK int srm_sequential(const uint64_t *counts, const double *weights, int n_arms,
                              double concentration, double limit,
                              struct srm_result *result, struct error *error);

/* The exact version, for counts of any size: each arm's units are binomial with the
 * arm's share, two-sided by doubling the smaller tail, corrected (Bonferroni) for the
 * number of arms beyond two. Never below the true p-value, however few units there are.
 * Errors as srm_test. */
MUST_CHECK int srm_exact(const uint64_t *counts, const double *weights, int n_arms,
                         struct tail_p *p, struct error *error);

#endif
