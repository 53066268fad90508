/* tail.h - probabilities in the tails of the normal, Student and chi-square
 * distributions, accurate however small they are, and the quantiles that intervals
 * need.
 *
 * Every call that stats/ makes to GSL's distribution functions is made here. GSL's
 * default error handler aborts the program; this file turns it off when the program
 * starts, before there are threads, and checks every value it gets back instead.
 *
 * Small probabilities: a double ends near 1e-308, but the evidence of a large
 * experiment does not. Each tail is therefore also given as a natural logarithm, which
 * never underflows. GSL's Student tail is good to 3e-7 only far out (it switches to a
 * Cornish-Fisher expansion), so the tail here is the incomplete beta function:
 * continued fraction (Press et al., Numerical Recipes, 3rd ed., 6.4) up to 1e5 degrees
 * of freedom, G. W. Hill's normalising expansion (Comm. ACM 13 (1970) 617, algorithm
 * 395) beyond, where it is exact to double precision.
 *
 * Relative error of each tail: below 1e-11 from 1e-300 to 1/2 (tests/test_tail.c).
 */
#ifndef STATS_TAIL_H
#define STATS_TAIL_H

#include "common/error.h"

/* Which departures from the null hypothesis count as evidence. */
enum alternative {
    ALTERNATIVE_TWO_SIDED, /* treatment differs from control */
    ALTERNATIVE_GREATER,   /* treatment is above control */
    ALTERNATIVE_LESS,      /* treatment is below control */
};

/* "two-sided", "greater", "less". */
const char *alternative_name(enum alternative alternative);

/* A p-value as it is shown: below 1e-300 the logarithm is the number to print. */
struct tail_p {
    double p_value; /* in [0, 1]; 0 when below what a double holds; NAN: untestable */
    double log10_p_value; /* its base-10 logarithm, finite however small it is; NAN:
                             same */
};

/* p of a statistic that is standard normal under the null. NAN gives NAN. */
struct tail_p tail_p_normal(double z, enum alternative alternative);

/* p of a statistic that has Student's distribution with `df` > 0 degrees of freedom,
 * not necessarily a whole number; INFINITY is the normal. */
struct tail_p tail_p_student(double t, double df, enum alternative alternative);

/* p of a chi-square statistic, upper tail, `df` > 0. */
struct tail_p tail_p_chi_square(double statistic, double df);

/* From a natural logarithm of a probability, capped at 1. */
struct tail_p tail_p_from_log(double log_p);

/* P(Z > z) and its natural logarithm. */
double tail_normal_upper(double z);
double tail_log_normal_upper(double z);

/* ln P(T > t) with `df` degrees of freedom; ln P(X > x) of chi-square. */
double tail_log_student_upper(double t, double df);
double tail_log_chi_square_upper(double x, double df);

/* ln of the regularized incomplete beta function I_x(a, b), for a, b > 0 and x in
 * [0, 1]; `complement` is 1 - x, given apart because the subtraction may lose it. */
double tail_log_beta(double a, double b, double x, double complement);

/* ln B(a, b) of the complete beta function, a, b > 0, to the last digits for any size.
 */
double tail_log_beta_function(double a, double b);

/* The value exceeded with probability `upper` in (0, 1): quantile of the standard
 * normal and of Student's distribution. NAN outside. */
double tail_normal_quantile_upper(double upper);
double tail_student_quantile_upper(double upper, double df);
double tail_chi_square_quantile_upper(double upper, double df);

/* The critical value of an interval at `level` in (0, 1): two-sided splits 1 - level
 * over both tails, one-sided puts it in one. */
double tail_normal_critical(double level, enum alternative alternative);
double tail_student_critical(double level, double df, enum alternative alternative);

/* 0, or -1 with ERROR_INVALID when the level is not inside (0, 1). */
MUST_CHECK int tail_check_level(double confidence_level, struct error *error);

#endif
