#include "stats/srm.h"

#include <math.h>

static int check(const double *weights, int n_arms, double limit, struct error *error)
{
    if (n_arms < 2 || n_arms > SRM_MAX_ARMS) {
        error_set(error, ERROR_INVALID, "srm: %d arms; give 2 to %d", n_arms,
                  SRM_MAX_ARMS);
        return -1;
    }
    if (!(limit > 0 && limit < 1)) {
        error_set(error, ERROR_INVALID, "srm: limit %g is not between 0 and 1", limit);
        return -1;
    }
    for (int i = 0; i < n_arms; i++) {
        if (!(weights[i] > 0 && isfinite(weights[i]))) {
            error_set(error, ERROR_INVALID,
                      "srm: weight %g of arm %d is not above 0; leave the arm out",
                      weights[i], i + 1);
            return -1;
        }
    }
    return 0;
}

int srm_test(const uint64_t *counts, const double *weights, int n_arms, double limit,
             struct srm_result *result, struct error *error)
{
    if (check(weights, n_arms, limit, error) != 0) {
        return -1;
    }
    uint64_t n_units = 0;
    double n_total = 0, weight_total = 0;
    for (int i = 0; i < n_arms; i++) {
        n_units += counts[i];
        n_total += (double)counts[i];
        weight_total += weights[i];
    }

    struct srm_result r = {.df = n_arms - 1, .n_units = n_units, .p_value = 1};
    double worst = -1;
    r.is_approximate_ok = true;
    for (int i = 0; i < n_arms; i++) {
        const double expected = n_total * (weights[i] / weight_total);
        const double gap = (double)counts[i] - expected;
        const double term = expected > 0 ? gap / expected * gap : 0;
        r.statistic += term;
        r.is_approximate_ok = r.is_approximate_ok && expected >= 5;
        if (term > worst) {
            worst = term;
            r.worst_arm = i;
            r.worst_expected = expected;
        }
    }
    if (n_units > 0) {
        const struct tail_p p = tail_p_chi_square(r.statistic, r.df);
        r.p_value = p.p_value;
        r.log10_p_value = p.log10_p_value;
    }
    r.is_mismatch = r.p_value < limit;
    *result = r;
    return 0;
}

/* ln of the multivariate beta function of n arguments, as a product of beta functions:
 * their logarithms keep the digits that differences of ln G lose, and unlike lgamma()
 * they write no global variable. */
static double log_dirichlet(const double *a, int n)
{
    double sum = a[0], log_value = 0;
    for (int i = 1; i < n; i++) {
        log_value += tail_log_beta_function(sum, a[i]);
        sum += a[i];
    }
    return log_value;
}

int srm_sequential(const uint64_t *counts, const double *weights, int n_arms,
                   double concentration, double limit, struct srm_result *result,
                   struct error *error)
{
    struct srm_result r;
    if (!(concentration > 0) || !isfinite(concentration)) {
        error_set(error, ERROR_INVALID, "srm: concentration %g is not above 0",
                  concentration);
        return -1;
    }
    if (srm_test(counts, weights, n_arms, limit, &r, error) != 0) {
        return -1;
    }
    double weight_total = 0;
    for (int i = 0; i < n_arms; i++) {
        weight_total += weights[i];
    }
    double prior[SRM_MAX_ARMS], posterior[SRM_MAX_ARMS], log_null = 0;
    for (int i = 0; i < n_arms; i++) {
        const double share = weights[i] / weight_total, n = (double)counts[i];
        prior[i] = concentration * share;
        posterior[i] = prior[i] + n;
        log_null += n * log(share);
    }
    const double log_factor =
        log_dirichlet(posterior, n_arms) - log_dirichlet(prior, n_arms) - log_null;
    const struct tail_p p = tail_p_from_log(-log_factor);
    r.statistic = log_factor;
    r.df = NAN;
    r.p_value = p.p_value;
    r.log10_p_value = p.log10_p_value;
    r.is_mismatch = r.p_value < limit;
    *result = r;
    return 0;
}

/* ln P(X >= k) of n coins that fall so with probability p in (0, 1), q = 1 - p. */
static double log_at_least(double k, double n, double p, double q)
{
    return k <= 0 ? 0 : tail_log_beta(k, n - k + 1, p, q);
}

int srm_exact(const uint64_t *counts, const double *weights, int n_arms,
              struct tail_p *p, struct error *error)
{
    if (check(weights, n_arms, SRM_DEFAULT_LIMIT, error) != 0) {
        return -1;
    }
    double n = 0, weight_total = 0, least = 0;
    for (int i = 0; i < n_arms; i++) {
        n += (double)counts[i];
        weight_total += weights[i];
    }
    for (int i = 0; i < n_arms; i++) {
        const double share = weights[i] / weight_total, k = (double)counts[i];
        double rest = 0;
        for (int j = 0; j < n_arms; j++) {
            rest += j == i ? 0 : weights[j] / weight_total;
        }
        least = fmin(least, fmin(log_at_least(k, n, share, rest),
                                 log_at_least(n - k, n, rest, share)));
    }
    /* Of two arms one tells all. */
    *p = tail_p_from_log(least + log(2.0 * (n_arms == 2 ? 1 : n_arms)));
    return 0;
}
