/* proportion_interval.h - intervals of the difference of two proportions.
 *
 *   Newcombe            hybrid of the two Wilson score intervals; the default.
 * Newcombe, Statistics in Medicine 17 (1998) 873-890, method 10. Wald effect +- z se,
 * unpooled. What many tools print; too narrow at small counts and empty when no unit
 * succeeded. Method 1 there. Agresti-Caffo       Wald after one success and one failure
 * more in each arm. American Statistician 54 (2000) 280-288. Miettinen-Nurminen  all
 * differences that the score test with the constrained maximum-likelihood variance,
 * times N/(N-1), does not reject. Statistics in Medicine 4 (1985) 213-226, equations 8,
 * 9 and 27. The nearest to exact coverage; iterative.
 *
 * All assume independent units. One-sided alternatives give a one-sided interval: for
 * ALTERNATIVE_GREATER [lower, 1], for ALTERNATIVE_LESS [-1, upper].
 */
#ifndef STATS_PROPORTION_INTERVAL_H
#define STATS_PROPORTION_INTERVAL_H

#include "common/error.h"
#include "stats/interval.h"
#include "stats/proportion.h"

enum proportion_interval_method {
    INTERVAL_NEWCOMBE,
    INTERVAL_WALD,
    INTERVAL_AGRESTI_CAFFO,
    INTERVAL_MIETTINEN_NURMINEN,
};

/* "Newcombe hybrid score", ... : the name to print beside the numbers. */
const char *proportion_interval_name(enum proportion_interval_method method);

/* Interval of treatment - control at `confidence_level` in (0, 1). Allocates nothing;
 * thread-safe. Fails as proportion_compare does. */
MUST_CHECK int proportion_interval(const struct proportion_sample *control,
                                   const struct proportion_sample *treatment,
                                   enum proportion_interval_method method,
                                   double confidence_level,
                                   enum alternative alternative,
                                   struct interval *result, struct error *error);

/* Score statistic of Miettinen and Nurminen for H0: p_t - p_c = `difference` in
 * (-1, 1); what their interval inverts, and the test of noninferiority.h. */
double proportion_score(const struct proportion_sample *control,
                        const struct proportion_sample *treatment, double difference);

/* Wilson's score interval of one arm's rate (Newcombe's method 3 for one sample), for
 * showing an arm by itself. `critical` is the normal quantile, e.g. 1.96. */
struct interval proportion_wilson(const struct proportion_sample *sample,
                                  double critical);

#endif
