/* order.h - sorting numbers and reading quantiles from the sorted ones. */
#ifndef STATS_ORDER_H
#define STATS_ORDER_H

#include <stdint.h>

#include "common/error.h"

/* Sorts ascending, in place; the values must be finite. -0 becomes 0. */
void order_sort(double *values, uint64_t n_values);

/* The quantile at `share` in [0, 1] of n_values > 0 sorted values: type 7 of Hyndman &
 * Fan, American Statistician 50 (1996) 361, linear between order statistics; the
 * default of R and numpy. */
double order_quantile(const double *sorted, uint64_t n_values, double share);

/* 0, or -1 with ERROR_INVALID naming the first value that is not finite. */
MUST_CHECK int order_check_finite(const double *values, uint64_t n_values,
                                  struct error *error);

#endif
