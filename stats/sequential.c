#include "stats/sequential.h"

#include <math.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_sf_lambert.h>

double sequential_tune(double n_planned, double alpha)
{
    gsl_sf_result w;
    if (!(alpha > 0 && alpha < 1) || !(n_planned > 0) ||
        gsl_sf_lambert_Wm1_e(-alpha * alpha * exp(-1), &w) != GSL_SUCCESS) {
        return NAN;
    }
    return n_planned / (-w.val - 1);
}

static int check(const struct sequential_look *look, double g, struct error *error)
{
    if (!(look->standard_error > 0) || !isfinite(look->standard_error) ||
        !isfinite(look->effect_size)) {
        error_set(error, ERROR_INVALID,
                  "sequential: effect %g with standard error %g; it must be above 0",
                  look->effect_size, look->standard_error);
        return -1;
    }
    if (!(look->n_units > 0) || !isfinite(look->n_units) || !(g > 0) || !isfinite(g)) {
        error_set(error, ERROR_INVALID,
                  "sequential: %g units and g = %g; both must be above 0",
                  look->n_units, g);
        return -1;
    }
    return 0;
}

/* The half-width in standard errors. */
static double width(double n_units, double g, double alpha,
                    enum alternative alternative)
{
    const double growth = (n_units + g) / n_units;
    const double log_root = 0.5 * log1p(n_units / g); /* ln sqrt((t + g)/g) */
    if (alternative == ALTERNATIVE_TWO_SIDED) {
        return sqrt(growth * 2 * (log_root - log(alpha)));
    }
    return sqrt(growth * 2 * log1p(exp(log_root) / (2 * alpha)));
}

int sequential_interval(const struct sequential_look *look, double g, double level,
                        enum alternative alternative, struct interval *result,
                        struct error *error)
{
    if (check(look, g, error) != 0 || tail_check_level(level, error) != 0) {
        return -1;
    }
    const double half_width =
        look->standard_error * width(look->n_units, g, 1 - level, alternative);
    result->lower = alternative == ALTERNATIVE_LESS ? (double)-INFINITY
                                                    : look->effect_size - half_width;
    result->upper = alternative == ALTERNATIVE_GREATER ? (double)INFINITY
                                                       : look->effect_size + half_width;
    return 0;
}

int sequential_p(const struct sequential_look *look, double g,
                 enum alternative alternative, struct tail_p *result,
                 struct error *error)
{
    if (check(look, g, error) != 0) {
        return -1;
    }
    const double z = look->effect_size / look->standard_error;
    const double evidence = z * z * look->n_units / (2 * (look->n_units + g));
    const double log_root = 0.5 * log1p(look->n_units / g);
    if (alternative == ALTERNATIVE_TWO_SIDED) {
        *result = tail_p_from_log(log_root - evidence);
        return 0;
    }
    const double toward = alternative == ALTERNATIVE_GREATER ? z : -z;
    /* root / (2 alpha) = e^evidence - 1; beyond 700 the 1 is nothing. */
    const double log_excess = evidence > 700 ? evidence : log(expm1(evidence));
    *result = tail_p_from_log(toward > 0 ? log_root - log(2) - log_excess : 0);
    return 0;
}

double sequential_log_mixture_ratio(const struct sequential_look *look, double tau)
{
    if (!(look->standard_error > 0) || !(tau > 0)) {
        return NAN;
    }
    const double z = look->effect_size / look->standard_error;
    const double relative = tau / look->standard_error; /* sqrt(T / V) */
    const double square = relative * relative;
    const double log_spread =
        isinf(square) ? 2 * (log(tau) - log(look->standard_error)) : log1p(square);
    return 0.5 * (z * z / (1 + 1 / square) - log_spread);
}
