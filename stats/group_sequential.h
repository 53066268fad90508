/* group_sequential.h - a few planned looks, each with its own bound, by spending alpha.
 *
 * After a fraction f of the planned information, at most alpha(f) of the type-I error
 * may have been used: O'Brien-Fleming  2 - 2 Phi(z(alpha/2) / sqrt f)   nearly nothing
 * early; the last bound is close to the fixed test Pocock           alpha ln(1 + (e -
 * 1) f)          nearly equal bounds power            alpha f^power, e.g. 2 between the
 * two The bound of each look is the value that a driftless Brownian motion which
 * crossed no earlier bound crosses with just the probability spent; the fractions need
 * not be those planned. Two-sided bounds are symmetric, alpha / 2 spent on each side by
 * the function at alpha / 2. Source: K. K. G. Lan & D. L. DeMets, Biometrika 70 (1983)
 * 659-663; recursive integration: P. Armitage, C. McPherson & B. Rowe, JRSS A 132
 * (1969) 235-244; the grid: C. Jennison & B. Turnbull, Group Sequential Methods
 * (2000), 19.2.
 *
 * Wrong when the time of a look is chosen by what the last one showed, or when the
 * final fraction is far above 1.
 */
#ifndef STATS_GROUP_SEQUENTIAL_H
#define STATS_GROUP_SEQUENTIAL_H

#include "common/error.h"
#include "stats/tail.h"

#define GROUP_SEQUENTIAL_MAX_LOOKS 100

enum spending {
    SPENDING_OBRIEN_FLEMING,
    SPENDING_POCOCK,
    SPENDING_POWER,
};

/* "O'Brien-Fleming", "Pocock", "power". */
const char *spending_name(enum spending spending);

struct group_sequential_plan {
    const double *fractions; /* n_looks information fractions, in (0, 1], each at least
                                0.2 % above the one before */
    int n_looks;             /* 1 to GROUP_SEQUENTIAL_MAX_LOOKS */
    double alpha;            /* in (0, 0.5) */
    enum spending spending;
    double power; /* exponent of SPENDING_POWER, > 0; unused otherwise */
    enum alternative alternative; /* two-sided, or one of the one-sided (same bounds) */
};

/* Writes per look (n_looks each): the bound on |z| (two-sided) or on z toward the
 * alternative, and the alpha spent up to it. A bound of INFINITY: nothing to spend yet.
 * Fails with ERROR_INVALID for a plan out of range, ERROR_NOMEM. Thread-safe. */
MUST_CHECK int group_sequential_bounds(const struct group_sequential_plan *plan,
                                       double *bounds, double *spent,
                                       struct error *error);

#endif
