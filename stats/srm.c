#include "stats/srm.h"

#include <math.h>

#include "stats/tail.h"

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

/* ln G(a + n) / G(a). */
static double log_rising(double a, double n)
{
    return lgamma(a + n) - lgamma(a);
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
    double log_factor = -log_rising(concentration, (double)r.n_units);
    for (int i = 0; i < n_arms; i++) {
        const double share = weights[i] / weight_total, n = (double)counts[i];
        log_factor += log_rising(concentration * share, n) - n * log(share);
    }
    const struct tail_p p = tail_p_from_log(-log_factor);
    r.statistic = log_factor;
    r.df = NAN;
    r.p_value = p.p_value;
    r.log10_p_value = p.log10_p_value;
    r.is_mismatch = r.p_value < limit;
    *result = r;
    return 0;
}
