/* heterogeneity.h - does an effect differ between groups by more than chance?
 *
 * Cochran's Q over independent groups (segments of units, experiments, countries), each
 * with an effect d_k and its variance v_k:
 *     Q = sum (d_k - d)^2 / v_k,   d = sum(d_k / v_k) / sum(1 / v_k),
 * referred to chi-square with groups - 1 degrees of freedom.
 * Source: W. G. Cochran, The Combination of Estimates from Different Experiments,
 * Biometrics 10 (1954) 101-129; R meta::metagen and metafor::rma(method = "FE") call it
 * Q.
 *
 * The v_k are taken as known: with few units in a group the test finds too much. Wrong,
 * too, where a unit can be in two groups or the treatment moves units between groups.
 * The sum is Welford's with weights, for effects that agree in all but their last
 * digits.
 */
#ifndef STATS_HETEROGENEITY_H
#define STATS_HETEROGENEITY_H

#include "stats/effect.h"

/* All zeros is the empty one. */
struct heterogeneity_sum {
    int n_groups;   /* that were added and could be */
    double weight;  /* sum of 1 / v_k */
    double effect;  /* d: their mean by weight */
    double squares; /* Q */
};

struct heterogeneity {
    double statistic;      /* Q >= 0; NAN when not testable */
    int df;                /* groups - 1 */
    double p_value;        /* upper tail; NAN when not testable */
    double log10_p_value;  /* same */
    double effect;         /* d; NAN without a group */
    double standard_error; /* of d, were the effect the same in all groups */
    bool is_testable;      /* false: fewer than two groups, or Q beyond a double */
};

/* Adds one group's effect. Returns false, and leaves the sum alone, when the effect is
 * not finite or its variance not above 0 and finite: such a group says nothing. */
bool heterogeneity_add(struct heterogeneity_sum *sum, double effect, double variance);

/* Never fails; see is_testable. */
struct heterogeneity heterogeneity_test(const struct heterogeneity_sum *sum);

#endif
