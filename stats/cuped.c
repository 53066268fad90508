#include "stats/cuped.h"

#include <math.h>
#include <stdbool.h>

#define COLLINEAR 1e-10 /* a pivot that fell to this share of its start is rounding */

void cuped_sum_add(struct cuped_sum *sum, double y, const double *x)
{
    double before[CUPED_MAX_COVARIATES + 1], after[CUPED_MAX_COVARIATES + 1];
    sum->n_units++;
    for (int i = 0; i <= sum->n_covariates; i++) {
        const double value = i == 0 ? y : x[i - 1];
        before[i] = value - sum->mean[i];
        sum->mean[i] += before[i] / (double)sum->n_units;
        after[i] = value - sum->mean[i];
    }
    for (int i = 0; i <= sum->n_covariates; i++) {
        for (int j = 0; j <= i; j++) {
            sum->products[i][j] += before[i] * after[j];
        }
    }
}

void cuped_sum_merge(struct cuped_sum *sum, const struct cuped_sum *other)
{
    if (other->n_units == 0) {
        return;
    }
    if (sum->n_units == 0) {
        *sum = *other;
        return;
    }
    const double n = (double)sum->n_units, m = (double)other->n_units;
    double gap[CUPED_MAX_COVARIATES + 1];
    for (int i = 0; i <= sum->n_covariates; i++) {
        gap[i] = other->mean[i] - sum->mean[i];
        sum->mean[i] += gap[i] * (m / (n + m));
    }
    for (int i = 0; i <= sum->n_covariates; i++) {
        for (int j = 0; j <= i; j++) {
            sum->products[i][j] +=
                other->products[i][j] + gap[i] * gap[j] * (n * (m / (n + m)));
        }
    }
    sum->n_units += other->n_units;
}

/* The pooled within-arm products, full and symmetric. */
struct pooled {
    int k; /* covariates; row and column 0 are y */
    double s[CUPED_MAX_COVARIATES + 1][CUPED_MAX_COVARIATES + 1];
};

static struct pooled pool(const struct cuped_sum *c, const struct cuped_sum *t)
{
    struct pooled p = {.k = c->n_covariates};
    for (int i = 0; i <= p.k; i++) {
        for (int j = 0; j <= i; j++) {
            p.s[i][j] = p.s[j][i] = c->products[i][j] + t->products[i][j];
        }
    }
    return p;
}

/* Gauss-Jordan on the symmetric system, one covariate after another; a covariate whose
 * pivot has vanished explains nothing that earlier ones do not, and is left out. */
static int solve_theta(struct pooled p, double *theta)
{
    bool is_used[CUPED_MAX_COVARIATES + 1] = {false};
    double start[CUPED_MAX_COVARIATES + 1];
    int n_left_out = 0;
    for (int i = 1; i <= p.k; i++) {
        start[i] = p.s[i][i];
    }
    for (int i = 1; i <= p.k; i++) {
        const double pivot = p.s[i][i];
        is_used[i] = pivot > COLLINEAR * start[i] && pivot > 0;
        if (!is_used[i]) {
            n_left_out++;
            continue;
        }
        for (int j = 0; j <= p.k; j++) {
            p.s[i][j] /= pivot;
        }
        for (int r = 1; r <= p.k; r++) {
            const double factor = p.s[r][i];
            for (int j = 0; j <= p.k && r != i; j++) {
                p.s[r][j] -= factor * p.s[i][j];
            }
        }
    }
    for (int i = 1; i <= p.k; i++) { /* column 0 holds the solution */
        theta[i - 1] = is_used[i] ? p.s[i][0] : 0;
    }
    return n_left_out;
}

/* The arm's adjusted mean and its variance: that of y - theta'x over n. */
static struct estimate adjust(const struct cuped_sum *sum, const double *theta,
                              const double *center)
{
    const double n = (double)sum->n_units;
    double value = sum->mean[0], squares = sum->products[0][0];
    for (int i = 1; i <= sum->n_covariates; i++) {
        value -= theta[i - 1] * (sum->mean[i] - center[i]);
        squares -= 2 * theta[i - 1] * sum->products[i][0];
        for (int j = 1; j <= sum->n_covariates; j++) {
            squares += theta[i - 1] * theta[j - 1] *
                       (j <= i ? sum->products[i][j] : sum->products[j][i]);
        }
    }
    return (struct estimate){
        .value = value,
        .variance = n > 1 ? fmax(squares, 0) / (n - 1) / n : (double)NAN,
        .df = n - 1,
    };
}

static int check(const struct cuped_sum *control, const struct cuped_sum *treatment,
                 struct error *error)
{
    const int k = control->n_covariates;
    if (k < 0 || k > CUPED_MAX_COVARIATES || treatment->n_covariates != k) {
        error_set(error, ERROR_INVALID,
                  "cuped: %d and %d covariates; give both arms the same, up to %d", k,
                  treatment->n_covariates, CUPED_MAX_COVARIATES);
        return -1;
    }
    if (control->n_units == 0 || treatment->n_units == 0) {
        error_set(error, ERROR_INVALID, "cuped: %s arm has no units",
                  control->n_units == 0 ? "control" : "treatment");
        return -1;
    }
    return 0;
}

int cuped_compare(const struct cuped_sum *control, const struct cuped_sum *treatment,
                  double level, enum alternative alternative,
                  struct cuped_result *result, struct error *error)
{
    static const double no_theta[CUPED_MAX_COVARIATES] = {0};
    if (check(control, treatment, error) != 0 || tail_check_level(level, error) != 0) {
        return -1;
    }
    struct cuped_result r = {.n_left_out = 0};
    double center[CUPED_MAX_COVARIATES + 1];
    const double n = (double)control->n_units, m = (double)treatment->n_units;
    for (int i = 0; i <= control->n_covariates; i++) {
        center[i] =
            control->mean[i] + (treatment->mean[i] - control->mean[i]) * (m / (n + m));
    }
    r.n_left_out = solve_theta(pool(control, treatment), r.theta);
    r.raw = effect_compare(adjust(control, no_theta, center),
                           adjust(treatment, no_theta, center), level, alternative);
    r.control = adjust(control, r.theta, center);
    r.treatment = adjust(treatment, r.theta, center);
    r.adjusted = effect_compare(r.control, r.treatment, level, alternative);
    r.variance_reduction = r.raw.is_testable
                               ? 1 - (r.control.variance + r.treatment.variance) /
                                         (r.raw.standard_error * r.raw.standard_error)
                               : (double)NAN;
    *result = r;
    return 0;
}
