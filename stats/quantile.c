#include "stats/quantile.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
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

/* Whether the events of each unit stand together, in order of unit. */
static bool is_by_unit(const struct quantile_events *events)
{
    for (uint64_t i = 1; i < events->n_values; i++) {
        if (events->units[i] < events->units[i - 1]) {
            return false;
        }
    }
    return true;
}

/* The same without room for the units, of which there may be as many as events. */
static double variance_by_unit(const struct quantile_events *events, double quantile)
{
    struct ratio_sum sum = {0};
    double below = 0, all = 0;
    for (uint64_t i = 0; i < events->n_values; i++) {
        below += events->values[i] <= quantile;
        all += 1;
        if (!events->units || i + 1 == events->n_values ||
            events->units[i + 1] != events->units[i]) {
            ratio_sum_add(&sum, below, all);
            below = all = 0;
        }
    }
    return ratio_estimate(&sum).variance;
}

/* Variance of the share of events at or below `quantile`: units as clusters. Units
 * without an event do not count. -1 when memory ran out. */
static int share_variance(const struct quantile_events *events, double quantile,
                          double *variance)
{
    struct ratio_sum sum = {0};
    if (!events->units || is_by_unit(events)) {
        *variance = variance_by_unit(events, quantile);
        return 0;
    }
    double *below = calloc((size_t)events->n_units, sizeof *below);
    double *all = calloc((size_t)events->n_units, sizeof *all);
    const int rc = below && all ? 0 : -1;
    for (uint64_t i = 0; rc == 0 && i < events->n_values; i++) {
        below[events->units[i]] += events->values[i] <= quantile;
        all[events->units[i]] += 1;
    }
    for (uint64_t u = 0; rc == 0 && u < events->n_units; u++) {
        if (all[u] > 0) {
            ratio_sum_add(&sum, below[u], all[u]);
        }
    }
    *variance = rc == 0 ? ratio_estimate(&sum).variance : (double)NAN;
    free(below);
    free(all);
    return rc;
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

static int no_memory(const struct quantile_events *events, struct error *error)
{
    error_set(error, ERROR_NOMEM, "quantile: no memory for %" PRIu64 " events",
              events->n_values);
    return -1;
}

int quantile_estimate(const struct quantile_events *events, double share,
                      enum quantile_method method, struct estimate *result,
                      struct error *error)
{
    double variance = NAN;

    if (check(events, share, error) != 0) {
        return -1;
    }
    double *sorted = malloc((size_t)events->n_values * sizeof *sorted);
    if (!sorted) {
        return no_memory(events, error);
    }
    memcpy(sorted, events->values, (size_t)events->n_values * sizeof *sorted);
    order_sort(sorted, events->n_values);
    const double quantile = order_quantile(sorted, events->n_values, share);
    if (share_variance(events, quantile, &variance) != 0) {
        free(sorted);
        return no_memory(events, error);
    }
    *result = (struct estimate){
        .value = quantile,
        .variance = isnan(variance) ? (double)NAN
                                    : quantile_variance(sorted, events->n_values, share,
                                                        method, variance),
        .df = INFINITY,
    };
    free(sorted);
    return 0;
}
