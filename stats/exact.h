/* exact.h - tests of two proportions that do not lean on the normal distribution, for
 * small counts.
 *
 *   Fisher   conditions on the total of successes; the two-sided p adds up the tables
 * that are no likelier than the one seen (R's fisher.test). Never too liberal, and
 *            often much too careful. R. A. Fisher, JRSS 98 (1935) 39-54.
 *   Barnard  does not condition: the largest, over the unknown common rate, probability
 *            of a pooled z at least as far out as the one seen. More powerful, and the
 *            better choice for two arms whose sizes are fixed and whose total of
 *            successes is not. G. A. Barnard, Nature 156 (1945) 177; statistic as in
 *            S. Suissa & J. J. Shuster, JRSS A 148 (1985) 317-327.
 *
 * Both are exact for independent units. Barnard's maximum is found on a grid of 1,000
 * rates refined by golden section around each of the best: a bound from below that
 * agrees with R and scipy to six digits.
 */
#ifndef STATS_EXACT_H
#define STATS_EXACT_H

#include "common/error.h"
#include "stats/proportion.h"
#include "stats/tail.h"

#define EXACT_MAX_FISHER  10000000 /* units of both arms; beyond it z is as good */
#define EXACT_MAX_BARNARD 20000    /* units an arm */

struct exact_barnard {
    double statistic;     /* the pooled z that orders the tables; NAN: not testable */
    double nuisance_rate; /* the common rate at which p is largest */
    struct tail_p p;      /* NAN when every unit of both arms had the same outcome */
};

/* Fisher's exact test. Fails with ERROR_INVALID for samples that proportion_check
 * refuses and for more than EXACT_MAX_FISHER units. One outcome everywhere
 * cannot be tested: NAN. Allocates nothing; thread-safe. */
MUST_CHECK int exact_fisher(const struct proportion_sample *control,
                            const struct proportion_sample *treatment,
                            enum alternative alternative, struct tail_p *result,
                            struct error *error);

/* Barnard's test. Fails as above with EXACT_MAX_BARNARD, or with ERROR_NOMEM. */
MUST_CHECK int exact_barnard(const struct proportion_sample *control,
                             const struct proportion_sample *treatment,
                             enum alternative alternative, struct exact_barnard *result,
                             struct error *error);

#endif
