#include "stats/quantile.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/mean.h"
#include "stats/order.h"
#include "stats/ratio.h"

#define ORDER_Z 1.959963984540054 /* the ranks of a 95 % interval, as Deng et al. */

const char *quantile_name(enum quantile_method method)
{
    return method == QUANTILE_KERNEL ? "delta method, kernel"
                                     : "delta method, order statistics";
}

static int check(const struct quantile_events *events, double share,
                 struct error *error)
{
    if (events->n_values == 0) {
        error_set(error, ERROR_INVALID, "quantile of no events");
        return -1;
    }
    if (!(share > 0 && share < 1)) {
        error_set(error, ERROR_INVALID, "quantile %g is not between 0 and 1", share);
        return -1;
    }
    for (uint64_t i = 0; events->units && i < events->n_values; i++) {
        if (events->units[i] < 0 || (uint64_t)events->units[i] >= events->n_units) {
            error_set(error, ERROR_INVALID,
                      "event %" PRIu64 " has unit %" PRId32 "; there are %" PRIu64,
                      i + 1, events->units[i], events->n_units);
            return -1;
        }
    }
    return order_check_finite(events->values, events->n_values, error);
}

/* Variance of the share of events at or below `quantile`; `below` and `all` (n_units
 * each, zeroed) count a unit's events. Units without an event do not count. */
static double share_variance(const struct quantile_events *events, double quantile,
                             double *below, double *all)
{
    struct ratio_sum sum = {0};
    for (uint64_t i = 0; i < events->n_values; i++) {
        const double is_below = events->values[i] <= quantile;
        if (events->units) {
            below[events->units[i]] += is_below;
            all[events->units[i]] += 1;
        } else {
            ratio_sum_add(&sum, is_below, 1);
        }
    }
    for (uint64_t u = 0; events->units && u < events->n_units; u++) {
        if (all[u] > 0) {
            ratio_sum_add(&sum, below[u], all[u]);
        }
    }
    return ratio_estimate(&sum).variance;
}

/* Gaussian kernel density at `at`. */
static double kernel_density(const double *sorted, uint64_t n_values, double at)
{
    const double n = (double)n_values;
    const struct mean_sample sample = mean_sample_of(sorted, n_values);
    const double deviation = sqrt(sample.variance);
    const double quartiles = (order_quantile(sorted, n_values, 0.75) -
                              order_quantile(sorted, n_values, 0.25)) /
                             1.34;
    const double spread = quartiles > 0 ? fmin(deviation, quartiles) : deviation;
    const double bandwidth = 0.9 * spread * pow(n, -0.2);
    double sum = 0;
    for (uint64_t i = 0; i < n_values && bandwidth > 0; i++) {
        const double distance = (at - sorted[i]) / bandwidth;
        sum += exp(-0.5 * distance * distance);
    }
    return bandwidth > 0 ? sum / (n * bandwidth * 2.506628274631000502) : 0;
}

static double quantile_variance(const double *sorted, uint64_t n_values, double share,
                                enum quantile_method method, double variance_of_share)
{
    if (method == QUANTILE_KERNEL) {
        const double density =
            kernel_density(sorted, n_values, order_quantile(sorted, n_values, share));
        return density > 0 ? variance_of_share / (density * density) : (double)NAN;
    }
    const double reach = ORDER_Z * sqrt(variance_of_share);
    if (!(share - reach >= 0 && share + reach <= 1)) {
        return NAN; /* too few events beyond the quantile to see its spread */
    }
    const double low = order_quantile(sorted, n_values, share - reach);
    const double high = order_quantile(sorted, n_values, share + reach);
    const double se = (high - low) / (2 * ORDER_Z);
    return se * se;
}

int quantile_estimate(const struct quantile_events *events, double share,
                      enum quantile_method method, struct estimate *result,
                      struct error *error)
{
    int rc = -1;
    double *sorted = NULL, *below = NULL, *all = NULL;

    if (check(events, share, error) != 0) {
        return -1;
    }
    const uint64_t n_units = events->units ? events->n_units : 1;
    sorted = malloc((size_t)events->n_values * sizeof *sorted);
    below = calloc((size_t)n_units, sizeof *below);
    all = calloc((size_t)n_units, sizeof *all);
    if (!sorted || !below || !all) {
        error_set(error, ERROR_NOMEM, "quantile: no memory for %" PRIu64 " events",
                  events->n_values);
        goto out;
    }
    memcpy(sorted, events->values, (size_t)events->n_values * sizeof *sorted);
    order_sort(sorted, events->n_values);
    const double quantile = order_quantile(sorted, events->n_values, share);
    const double variance = share_variance(events, quantile, below, all);
    *result = (struct estimate){
        .value = quantile,
        .variance = isnan(variance) ? (double)NAN
                                    : quantile_variance(sorted, events->n_values, share,
                                                        method, variance),
        .df = INFINITY,
    };
    rc = 0;

out:
    free(all);
    free(below);
    free(sorted);
    return rc;
}
