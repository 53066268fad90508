/* sequential.h - answers that stay valid when an experiment is looked at while it runs.
 *
 * A fixed-horizon p-value is valid at one look, decided beforehand: looked at 100 times
 * it rejects a true null 37 % of the time. Two cures here, a third in
 * group_sequential.h:
 *
 *   confidence sequence  an interval at every moment, all of which together hold the
 *                        truth with probability 1 - alpha. Asymptotic, two-sided:
 *                            effect +- se sqrt((t + g)/t  ln((t + g)/(g alpha^2))),
 *                        t units so far, g = 1/rho^2 where the sequence is to be
 *                        narrowest. One-sided:
 *                            effect - se sqrt(2 (t + g)/t  ln(1 + sqrt((t + g)/g)/(2
 * alpha))). I. Waudby-Smith, D. Arbour, R. Sinha, E. Kennedy & A. Ramdas, Time-uniform
 * central limit theory and asymptotic confidence sequences, Annals of Statistics 52
 * (2024) 2613, theorem 2.2, proposition B.1 (arXiv:2103.06476). mSPRT the mixture
 * likelihood ratio against N(0, tau^2) and its always-valid p-value, the smallest
 * 1/ratio so far: ratio = sqrt(V/(V + T)) exp(z^2/2 T/(V + T)), V = se^2, T = tau^2. R.
 * Johari, P. Koomen, L. Pekelis & D. Walsh, Operations Research 70 (2022) 1806.
 *
 * With g = t V / T the two are the same statement. Both lean on a normal estimate and a
 * settled standard error: begin to look when an arm has some hundreds of units, for the
 * guarantee is asymptotic and its failures come early. Assumes that units are looked at
 * in the order of their arrival, and a metric whose value of a unit is final when it
 * counts.
 */
#ifndef STATS_SEQUENTIAL_H
#define STATS_SEQUENTIAL_H

#include <stdint.h>

#include "common/error.h"
#include "stats/interval.h"
#include "stats/tail.h"

/* An estimate at a look. */
struct sequential_look {
    double effect_size;
    double standard_error; /* > 0 */
    double n_units;        /* t: units of all arms so far, > 0 */
};

/* The g for which the two-sided sequence at level 1 - alpha is narrowest when it has
 * seen `n_planned` > 0 units: n_planned / (-W(-alpha^2 / e) - 1), W the lower branch of
 * Lambert's function. The choice must not look at the data; too far off costs width,
 * not validity. NAN outside 0 < alpha < 1. */
double sequential_tune(double n_planned, double alpha);

/* The confidence sequence's interval at this look, for `level` in (0, 1) and g > 0.
 * Fails with ERROR_INVALID on values out of range. Thread-safe. */
MUST_CHECK int sequential_interval(const struct sequential_look *look, double g,
                                   double level, enum alternative alternative,
                                   struct interval *result, struct error *error);

/* The always-valid p-value that the sequence inverts, at this look alone: the least
 * alpha whose interval excludes 0. A monitor keeps the smallest so far. Errors as
 * above. */
MUST_CHECK int sequential_p(const struct sequential_look *look, double g,
                            enum alternative alternative, struct tail_p *result,
                            struct error *error);

/* ln of the mixture likelihood ratio of mSPRT with prior standard deviation tau > 0 of
 * the effect (in the metric's units; the size of effects one expects); its p-value is
 * tail_p_from_log(-this). NAN when standard_error or tau is not above 0. */
double sequential_log_mixture_ratio(const struct sequential_look *look, double tau);

#endif
