/* noninferiority.h - is the treatment at least not worse than a margin (a guardrail),
 * or within a margin of the control on both sides (equivalence)?
 *
 * "No significant harm" is not "significantly no harm": a guardrail with few units
 * passes the former always. Here the null hypothesis is the harm: H0: effect <= -margin
 * (direction up) or effect >= margin (direction down) tested one-sided at 1 - level;
 * the guardrail holds when it is rejected, which is when the one-sided interval at
 * `level` excludes the margin.
 *
 * A relative margin m is m times the control's value, which is estimated too: the
 * contrast tested is then t - (1 - m) c (up) or t - (1 + m) c (down), with its own
 * variance. Equivalence by two one-sided tests (TOST): D. J. Schuirmann, Journal of
 * Pharmacokinetics and Biopharmaceutics 15 (1987) 657; p is the larger of the two.
 * Proportions by the score test with the constrained variance at the margin: Miettinen
 * & Nurminen (1985), as in C. P. Farrington & G. Manning, Statistics in Medicine 9
 * (1990) 1447.
 *
 * The margin must be chosen before the data is seen.
 */
#ifndef STATS_NONINFERIORITY_H
#define STATS_NONINFERIORITY_H

#include <stdbool.h>

#include "common/error.h"
#include "stats/effect.h"
#include "stats/proportion.h"

enum better {
    BETTER_UP,   /* more is better: a loss is a negative effect */
    BETTER_DOWN, /* less is better: latency, errors */
};

struct margin {
    double size;      /* >= 0 */
    bool is_relative; /* a share of the control's value (then < 1), not absolute */
    enum better better;
};

struct noninferiority {
    double effect_size; /* treatment - control */
    double margin;      /* the absolute margin: size, or size times |control| */
    double bound;       /* one-sided bound of the effect on the harmful side; for a
                           relative margin, of effect / |control| */
    double statistic;   /* of H0: the harm is the margin or more */
    double p_value;     /* NAN: not testable */
    double log10_p_value;
    bool is_testable;
    bool holds; /* p_value < 1 - level */
};

/* Non-inferiority of two estimates. A relative margin wants a control other than 0
 * (else not testable). Fails with ERROR_INVALID for a margin or level out of range. */
MUST_CHECK int noninferiority_test(struct estimate control, struct estimate treatment,
                                   struct margin margin, double level,
                                   struct noninferiority *result, struct error *error);

/* The same for proportions by the score test; absolute margins in [0, 1) only. */
MUST_CHECK int noninferiority_proportions(const struct proportion_sample *control,
                                          const struct proportion_sample *treatment,
                                          struct margin margin, double level,
                                          struct noninferiority *result,
                                          struct error *error);

struct equivalence {
    double effect_size;
    double ci_lower; /* the interval at 2 level - 1 (90 % for 95 %) that decides the
                        same */
    double ci_upper;
    double p_lower; /* of H0: effect <= -margin */
    double p_upper; /* of H0: effect >= margin */
    double p_value; /* the larger; NAN: not testable */
    bool is_testable;
    bool holds; /* p_value < 1 - level */
};

/* TOST of two estimates within +- margin > 0, absolute; level in (0.5, 1). */
MUST_CHECK int equivalence_test(struct estimate control, struct estimate treatment,
                                double margin, double level, struct equivalence *result,
                                struct error *error);

#endif
