/* quantile.h - compare a quantile of events (p99 latency) between arms, where the
 * events of one unit are correlated.
 *
 * The quantile q is that of all events of the arm. Its variance by the delta method:
 *     var(q) = var(F(q)) / f(q)^2
 * where var(F(q)) is that of the share of events at or below q, a ratio metric with the
 * units as clusters (ratio.h), and the density f(q) comes from
 *   kernel            a Gaussian kernel at q, Silverman's bandwidth
 *                     0.9 min(sd, IQR / 1.34) n^(-1/5);
 *   order statistics  the events at the ranks share -+ z sd(F(q)): se = their distance
 *                     / 2 z. No bandwidth to choose; the default.
 * Source: A. Deng, U. Knoblich & J. Lu, Applying the Delta Method in Metric Analytics,
 * KDD 2018, section 4.
 *
 * Wrong where the events near q are few (n (1 - share) below about 10 in an arm), or
 * pile up on one value (a rounded latency): the distance is then 0 and not testable.
 */
#ifndef STATS_QUANTILE_H
#define STATS_QUANTILE_H

#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"

enum quantile_method {
    QUANTILE_ORDER,
    QUANTILE_KERNEL,
};

/* "delta method, order statistics" or "delta method, kernel". */
const char *quantile_name(enum quantile_method method);

/* One arm's events. `values` (n_values) is kept; `units` (n_values) names the unit of
 * each, a dense index in [0, n_units), or is NULL: every event is its own unit. */
struct quantile_events {
    const double *values;
    const int32_t *units;
    uint64_t n_values;
    uint64_t n_units; /* ignored when units is NULL */
};

/* The quantile at `share` in (0, 1), type 7, with its variance (normal: df INFINITY).
 * Variance NAN when there are fewer than two units or, for QUANTILE_ORDER, too few
 * events beyond the quantile. Fails with ERROR_INVALID (no events, a value not finite,
 * a unit out of range, a share outside (0, 1)) or ERROR_NOMEM. */
MUST_CHECK int quantile_estimate(const struct quantile_events *events, double share,
                                 enum quantile_method method, struct estimate *result,
                                 struct error *error);

#endif
