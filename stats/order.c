#include "stats/order.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

void order_sort(double *values, uint64_t n_values)
{
    if (n_values > 1) {
        qsort(values, (size_t)n_values, sizeof *values, compare);
    }
}

double order_quantile(const double *sorted, uint64_t n_values, double share)
{
    const double place = share * (double)(n_values - 1);
    const uint64_t below = (uint64_t)place;
    if (below + 1 >= n_values) {
        return sorted[n_values - 1];
    }
    const double weight = place - (double)below;
    return sorted[below] + weight * (sorted[below + 1] - sorted[below]);
}

int order_check_finite(const double *values, uint64_t n_values, struct error *error)
{
    for (uint64_t i = 0; i < n_values; i++) {
        if (!isfinite(values[i])) {
            error_set(error, ERROR_INVALID, "value %" PRIu64 " is not finite", i + 1);
            return -1;
        }
    }
    return 0;
}
