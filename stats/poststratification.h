/* poststratification.h - less variance from a category known before the experiment (new
 * or known user, country, platform).
 *
 * effect = sum over strata of w_k (m_tk - m_ck), var = sum of w_k^2 (v_tk/n_tk +
 * v_ck/n_ck), w_k the stratum's share of all units of both arms (or of a population
 * that is given). Source: L. Miratrix, J. Sekhon & B. Yu, JRSS B 75 (2013) 369-396,
 * equations 5 and 14.
 *
 * A stratum with fewer than two units in an arm cannot be compared: it is left out, its
 * units are counted, and the weights of the others grow. If that is more than a few,
 * the effect is that of another population: merge strata. Wrong when the treatment can
 * change a unit's stratum.
 */
#ifndef STATS_POSTSTRATIFICATION_H
#define STATS_POSTSTRATIFICATION_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "stats/effect.h"
#include "stats/mean.h"

struct stratum {
    struct mean_sample control;
    struct mean_sample treatment;
    double
        weight; /* share of the population, relative, > 0; 0: its units in both arms */
};

struct poststratification_result {
    struct effect raw;       /* of all units, strata ignored (normal) */
    struct effect adjusted;  /* normal: df INFINITY */
    struct estimate control; /* the weighted arms */
    struct estimate treatment;
    double variance_reduction; /* 1 - variance of adjusted / of raw */
    uint64_t n_left_out;       /* units of strata that could not be compared */
    size_t n_strata_left_out;
};

/* Fails with ERROR_INVALID when there is no stratum, some weights are 0 and others not,
 * a weight is negative, no stratum can be compared, or the level is outside (0, 1). */
MUST_CHECK int poststratification_compare(const struct stratum *strata, size_t n_strata,
                                          double level, enum alternative alternative,
                                          struct poststratification_result *result,
                                          struct error *error);

#endif
