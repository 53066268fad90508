#define _DEFAULT_SOURCE /* lgamma_r */
#include "stats/tail.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_gamma.h>
#include <math.h>

/* lgamma() writes the sign into a global variable, and reports are made on several
 * threads. */
static double log_gamma(double x)
{
    int sign = 0;
    return lgamma_r(x, &sign);
}

#define LN10            2.302585092994045684
#define LN2             0.6931471805599453094
#define LN_SQRT_2PI     0.9189385332046727418
#define MAX_ITERATIONS  100000
#define TINY            1e-300
#define HILL_DF         1e5 /* from here on, and below ... */
#define HILL_R          0.1 /* ... this t^2 / df, Hill's expansion is exact to a double */
#define NORMAL_SWITCH_Z 30.0

/* Before main and so before threads: GSL keeps its handler in a global. */
__attribute__((constructor)) static void keep_gsl_from_aborting(void)
{
    gsl_set_error_handler_off();
}

const char *alternative_name(enum alternative alternative)
{
    switch (alternative) {
    case ALTERNATIVE_TWO_SIDED:
        return "two-sided";
    case ALTERNATIVE_GREATER:
        return "greater";
    case ALTERNATIVE_LESS:
        return "less";
    }
    return "?";
}

struct tail_p tail_p_from_log(double log_p)
{
    if (isnan(log_p)) {
        return (struct tail_p){NAN, NAN};
    }
    const double capped = fmin(log_p, 0);
    return (struct tail_p){exp(capped), capped / LN10};
}

double tail_normal_upper(double z)
{
    return isnan(z) ? (double)NAN : gsl_cdf_ugaussian_Q(z);
}

/* Beyond 30 the asymptotic series of Abramowitz & Stegun 26.2.12 has converged to a
 * double in a few terms, and the probability itself would soon underflow. */
double tail_log_normal_upper(double z)
{
    if (z < NORMAL_SWITCH_Z || isnan(z)) {
        return log(tail_normal_upper(z));
    }
    if (isinf(z)) {
        return -INFINITY;
    }
    const double inverse_square = 1 / (z * z);
    double term = 1, sum = 1;
    for (int k = 1; k <= 8; k++) {
        term *= -(2.0 * k - 1) * inverse_square;
        sum += term;
    }
    return -0.5 * z * z - LN_SQRT_2PI - log(z) + log(sum);
}

/* The continued fraction of I_x(a, b) by Lentz's method, good where x < (a+1)/(a+b+2).
 */
static double beta_fraction(double a, double b, double x)
{
    double c = 1, d = 1 - (a + b) * x / (a + 1);
    d = 1 / (fabs(d) < TINY ? TINY : d);
    double value = d;
    for (int m = 1; m <= MAX_ITERATIONS; m++) {
        const double even = m * (b - m) * x / ((a + 2.0 * m - 1) * (a + 2.0 * m));
        d = 1 + even * d;
        c = 1 + even / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        value *= d * c;
        const double odd =
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1));
        d = 1 + odd * d;
        c = 1 + odd / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        value *= d * c;
        if (fabs(d * c - 1) < 1e-15) {
            return value;
        }
    }
    return NAN;
}

/* ln Gamma(x) minus Stirling's (x - 1/2) ln x - x + ln sqrt(2 pi), for x >= 10; A&S
 * 6.1.41. */
static double stirling_error(double x)
{
    static const double coefficients[] = {1.0 / 12,    -1.0 / 360, 1.0 / 1260,
                                          -1.0 / 1680, 1.0 / 1188, -691.0 / 360360,
                                          1.0 / 156};
    const double inverse_square = 1 / (x * x);
    double sum = 0;
    for (int i = (int)(sizeof coefficients / sizeof coefficients[0]) - 1; i >= 0; i--) {
        sum = sum * inverse_square + coefficients[i];
    }
    return sum / x;
}

/* Adding up three ln Gamma would lose what a large argument's own size takes, so their
 * large parts are cancelled on paper (DiDonato & Morris, ACM TOMS 18 (1992) 360). */
double tail_log_beta_function(double a, double b)
{
    const double small = fmin(a, b), large = fmax(a, b);
    const double ratio = small / (small + large);
    if (large < 10) {
        return log_gamma(small) + log_gamma(large) - log_gamma(small + large);
    }
    const double difference = stirling_error(large) - stirling_error(small + large);
    if (small < 10) {
        return log_gamma(small) + difference + small - small * log(small + large) +
               (large - 0.5) * log1p(-ratio);
    }
    return stirling_error(small) + difference + LN_SQRT_2PI - 0.5 * log(large) +
           (small - 0.5) * log(ratio) + large * log1p(-ratio);
}

/* ln I_x(a, b) where also the logarithms of x and of its complement are known. */
static double log_beta_at(double a, double b, double x, double complement, double log_x,
                          double log_complement)
{
    const double front = a * log_x + b * log_complement - tail_log_beta_function(a, b);
    if (x < (a + 1) / (a + b + 2)) {
        return front - log(a) + log(beta_fraction(a, b, x));
    }
    return log1p(-exp(front) / b * beta_fraction(b, a, complement));
}

double tail_log_beta(double a, double b, double x, double complement)
{
    if (!(a > 0 && b > 0 && x >= 0 && complement >= 0)) {
        return NAN;
    }
    if (x == 0 || complement == 0) {
        return x == 0 ? (double)-INFINITY : 0;
    }
    /* The small one of the two has its digits. */
    return log_beta_at(a, b, x, complement, x < 0.5 ? log(x) : log1p(-complement),
                       complement < 0.5 ? log(complement) : log1p(-x));
}

/* Hill (1970): the normal deviate that has the same tail as Student's t. */
static double hill_normal_deviate(double t, double df)
{
    const double a = df - 0.5;
    const double b = 48 * a * a;
    const double y = a * log1p(t / df * t);
    const double correction =
        (((((-0.4 * y - 3.3) * y - 24) * y - 85.5) / (0.8 * y * y + 100 + b) + y + 3) /
             b +
         1);
    return copysign(correction * sqrt(y), t);
}

double tail_log_student_upper(double t, double df)
{
    if (isnan(t) || !(df > 0)) {
        return NAN;
    }
    if (isinf(t)) {
        return t > 0 ? -INFINITY : 0;
    }
    if (isinf(df)) {
        return tail_log_normal_upper(t);
    }
    /* x = df / (df + t^2); its complement and both logarithms from r = t^2 / df, or
     * from ln r where r overflows. */
    const double r = t / df * t, log_r = 2 * log(fabs(t)) - log(df);
    if (df >= HILL_DF && r < HILL_R) {
        return tail_log_normal_upper(hill_normal_deviate(t, df));
    }
    if (r == 0) {
        return -LN2;
    }
    const double log_x = isinf(r) ? -log_r : -log1p(r);
    const double outside = /* ln of both tails */
        log_beta_at(df / 2, 0.5, 1 / (1 + r), isinf(r) ? 1 : r / (1 + r), log_x,
                    log_x + log_r);
    return t >= 0 ? outside - LN2 : log1p(-0.5 * exp(outside));
}

/* ln Q(a, x) by the continued fraction of A&S 6.5.31, good for x > a + 1. */
static double log_gamma_upper(double a, double x)
{
    double b = x + 1 - a, c = 1 / TINY, d = 1 / b, value = d;
    for (int i = 1; i <= MAX_ITERATIONS; i++) {
        const double an = -i * (i - a);
        b += 2;
        d = an * d + b;
        c = b + an / c;
        d = 1 / (fabs(d) < TINY ? TINY : d);
        c = fabs(c) < TINY ? TINY : c;
        value *= d * c;
        if (fabs(d * c - 1) < 1e-15) {
            gsl_sf_result log_gamma;
            return gsl_sf_lngamma_e(a, &log_gamma) == GSL_SUCCESS
                       ? a * log(x) - x - log_gamma.val + log(value)
                       : (double)NAN;
        }
    }
    return NAN;
}

double tail_log_chi_square_upper(double x, double df)
{
    if (isnan(x) || !(df > 0) || x < 0) {
        return NAN;
    }
    if (isinf(x)) {
        return -INFINITY;
    }
    return x > df + 100 ? log_gamma_upper(df / 2, x / 2) : log(gsl_cdf_chisq_Q(x, df));
}

static struct tail_p p_from_upper(double log_upper, double log_lower,
                                  enum alternative alternative)
{
    switch (alternative) {
    case ALTERNATIVE_GREATER:
        return tail_p_from_log(log_upper);
    case ALTERNATIVE_LESS:
        return tail_p_from_log(log_lower);
    case ALTERNATIVE_TWO_SIDED:
        break;
    }
    return tail_p_from_log(LN2 + fmin(log_upper, log_lower));
}

struct tail_p tail_p_normal(double z, enum alternative alternative)
{
    if (isnan(z)) {
        return tail_p_from_log(NAN);
    }
    return p_from_upper(tail_log_normal_upper(z), tail_log_normal_upper(-z),
                        alternative);
}

struct tail_p tail_p_student(double t, double df, enum alternative alternative)
{
    if (isnan(t) || !(df > 0)) {
        return tail_p_from_log(NAN);
    }
    return p_from_upper(tail_log_student_upper(t, df), tail_log_student_upper(-t, df),
                        alternative);
}

struct tail_p tail_p_chi_square(double statistic, double df)
{
    return tail_p_from_log(tail_log_chi_square_upper(statistic, df));
}

double tail_normal_quantile_upper(double upper)
{
    return upper > 0 && upper < 1 ? gsl_cdf_ugaussian_Qinv(upper) : (double)NAN;
}

double tail_chi_square_quantile_upper(double upper, double df)
{
    return upper > 0 && upper < 1 && df > 0 ? gsl_cdf_chisq_Qinv(upper, df)
                                            : (double)NAN;
}

static double log_student_density(double t, double df)
{
    return -0.5 * log(df) - tail_log_beta_function(df / 2, 0.5) -
           (df + 1) / 2 * log1p(t / df * t);
}

/* Newton's method on the logarithm of our own tail, from the normal's quantile with the
 * first term of its expansion in 1/df (A&S 26.7.5), held within a bracket that every
 * step tightens. GSL's inverse may fail to converge; this one ends in bisection at
 * worst.
 */
double tail_student_quantile_upper(double upper, double df)
{
    if (!(upper > 0 && upper < 1) || !(df > 0)) {
        return NAN;
    }
    if (upper > 0.5) {
        return -tail_student_quantile_upper(1 - upper, df);
    }
    const double z = tail_normal_quantile_upper(upper);
    if (isinf(df) || z <= 0) {
        return fmax(z, 0);
    }
    const double target = log(upper);
    double t = z + z * (z * z + 1) / (4 * df), low = 0, high = INFINITY;
    for (int i = 0; i < 2000; i++) {
        const double log_upper = tail_log_student_upper(t, df);
        const double gap = log_upper - target;
        if (gap > 0) {
            low = t;
        } else {
            high = t;
        }
        double next = t + gap / exp(log_student_density(t, df) - log_upper);
        if (!(next > low && next < high)) {
            next = isinf(high) ? 2 * t : 0.5 * (low + high);
        }
        if (fabs(next - t) <= 2e-16 * t) {
            return next;
        }
        t = next;
    }
    return t;
}

static double one_tail(double level, enum alternative alternative)
{
    return alternative == ALTERNATIVE_TWO_SIDED ? (1 - level) / 2 : 1 - level;
}

double tail_normal_critical(double level, enum alternative alternative)
{
    return tail_normal_quantile_upper(one_tail(level, alternative));
}

double tail_student_critical(double level, double df, enum alternative alternative)
{
    return tail_student_quantile_upper(one_tail(level, alternative), df);
}

int tail_check_level(double confidence_level, struct error *error)
{
    if (confidence_level > 0 && confidence_level < 1) {
        return 0;
    }
    error_set(error, ERROR_INVALID,
              "confidence level %g is not between 0 and 1; give e.g. 0.95",
              confidence_level);
    return -1;
}
