/* uniformity.h - are p-values spread evenly over 0 to 1, as they are where nothing is
 * to be found?
 *
 * Kolmogorov and Smirnov's distance of the values' distribution from the diagonal,
 *     D = max(D+, D-), D+ = max_i(i/n - p_(i)), D- = max_i(p_(i) - (i-1)/n),
 * and p as twice the exact one-sided probability where n D^2 >= 1 (p below 0.27) and
 * there are at most 100,000 values,
 *     P(D+ >= d) = d sum_j C(n, j) (d + j/n)^(j-1) (1 - d - j/n)^(n-j),
 * j from 0 to n (1 - d); off by exp(-6 n D^2) of itself at most. Otherwise the
 * Kolmogorov distribution at x = (sqrt n + 0.12 + 0.11 / sqrt n) D,
 *     Q(x) = 2 sum_k (-1)^(k-1) exp(-2 k^2 x^2),
 * or, below x = 1, 1 - sqrt(2 pi)/x sum_k exp(-(2k-1)^2 pi^2 / (8 x^2)), which is off
 * by 3 % of itself at most from 5 values on. Source: Z. W. Birnbaum & F. H. Tingey,
 * Annals of Mathematical Statistics 22 (1951) 592-596; M. A. Stephens, JRSS B 32 (1970)
 * 115-122, for the factor; A. N. Kolmogorov (1933). R ks.test(exact = TRUE) and scipy
 * kstwo have the exact two-sided one.
 *
 * Wrong when the values hang on one another, or can take few values only (rates of few
 * units): then smear them first.
 */
#ifndef STATS_UNIFORMITY_H
#define STATS_UNIFORMITY_H

#include <stdint.h>

#include "common/error.h"

struct uniformity {
    double statistic; /* D, in (0, 1] */
    double above; /* D+: large when there are too many small values, which is what would
                     raise false alarms */
    double below; /* D-: large when there are too many large ones */
    double p_value;
    double log10_p_value;
};

/* Sorts `values` in place. Fails with ERROR_INVALID when there is none or one is not
 * within [0, 1]; *result is then untouched, the order not promised. Thread-safe. */
MUST_CHECK int uniformity_test(double *values, uint64_t n_values,
                               struct uniformity *result, struct error *error);

#endif
