/* power_law.h - the exponent of a heavy tail: counts x >= x_min with
 * p(x) = x^-alpha / zeta(alpha, x_min).
 *
 * Maximum likelihood over whole numbers, not a line through a log-log plot, which is
 * biased. Source: A. Clauset, C. R. Shalizi, M. E. J. Newman, "Power-law distributions
 * in empirical data", SIAM Review 51 (2009) 661-703: alpha maximises equation (3.5);
 * x_min is the value whose tail has the smallest Kolmogorov-Smirnov distance (3.9) to
 * its own fit; the standard error is the inverse root of the observed information.
 *
 * The fit says how steep the tail is if it is a power law, not that it is one: section
 * 4 of the source tests that, and activity in MovieLens often fails (a log-normal fits
 * as well). Where more than POWER_LAW_MAX_CANDIDATES distinct values could be x_min,
 * that many, evenly spread over them, are tried.
 */
#ifndef TRAINER_POWER_LAW_H
#define TRAINER_POWER_LAW_H

#include <stdint.h>

#include "common/error.h"

#define POWER_LAW_MAX_CANDIDATES 256
#define POWER_LAW_MIN_TAIL       10

struct power_law {
    double alpha;   /* exponent of the density, > 1 */
    double se;      /* standard error of alpha, for the x_min chosen */
    int64_t x_min;  /* the tail begins here */
    int64_t n_tail; /* values in the tail */
    double ks;      /* largest distance between the tail's distribution and its fit */
};

/* Fits counts (n), all > 0, descending. Fails with ERROR_INVALID when no tail of
 * POWER_LAW_MIN_TAIL values with two distinct ones exists, ERROR_NOMEM, or
 * ERROR_NUMERIC when the likelihood has no maximum at alpha in (1, 20). */
MUST_CHECK int power_law_fit(const int32_t *counts, int64_t n, struct power_law *fit,
                             struct error *error);

#endif
