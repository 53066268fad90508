#include "trainer/power_law.h"

#include <gsl/gsl_sf_zeta.h>
#include <math.h>
#include <stdlib.h>

#define LOWEST_ALPHA  1.0001
#define HIGHEST_ALPHA 20.0

/* The distinct values, ascending, with what the tail from each holds. */
struct tails {
    int64_t n;
    double *value;
    double *n_tail;  /* values >= value[j] */
    double *log_sum; /* sum of ln over them */
};

static void tails_free(struct tails *t)
{
    free(t->value);
    free(t->n_tail);
    free(t->log_sum);
}

static int tails_make(struct tails *t, const int32_t *counts, int64_t n)
{
    const size_t size = (size_t)n + 1;
    double log_sum = 0;
    int64_t at = 0;
    for (int64_t j = 0; j < n; j++) {
        t->n += j == 0 || counts[j] != counts[j - 1];
    }
    t->value = malloc(size * sizeof *t->value);
    t->n_tail = malloc(size * sizeof *t->n_tail);
    t->log_sum = malloc(size * sizeof *t->log_sum);
    if (!t->value || !t->n_tail || !t->log_sum) {
        return -1;
    }
    at = t->n;
    for (int64_t j = 0; j < n; j++) {
        if (j == 0 || counts[j] != counts[j - 1]) {
            at--;
        }
        log_sum += log(counts[j]);
        t->value[at] = counts[j];
        t->n_tail[at] = (double)(j + 1);
        t->log_sum[at] = log_sum;
    }
    return 0;
}

/* Minus the mean log-likelihood of the tail from value `from` at `alpha`. */
static double loss(const struct tails *t, int64_t from, double alpha)
{
    return log(gsl_sf_hzeta(alpha, t->value[from])) +
           alpha * t->log_sum[from] / t->n_tail[from];
}

/* The loss is convex in alpha (an exponential family): golden section finds its
 * minimum. */
static double best_alpha(const struct tails *t, int64_t from)
{
    const double ratio = (sqrt(5) - 1) / 2;
    double a = LOWEST_ALPHA, b = HIGHEST_ALPHA;
    double c = b - ratio * (b - a), d = a + ratio * (b - a);
    double loss_c = loss(t, from, c), loss_d = loss(t, from, d);
    while (b - a > 1e-8) {
        if (loss_c < loss_d) {
            b = d;
            d = c;
            loss_d = loss_c;
            c = b - ratio * (b - a);
            loss_c = loss(t, from, c);
        } else {
            a = c;
            c = d;
            loss_c = loss_d;
            d = a + ratio * (b - a);
            loss_d = loss(t, from, d);
        }
    }
    return (a + b) / 2;
}

/* Largest |empirical - fitted| P(X > x) over all whole numbers x >= x_min: between two
 * values the empirical one is constant, so its ends are enough. */
static double distance(const struct tails *t, int64_t from, double alpha)
{
    const double all = gsl_sf_hzeta(alpha, t->value[from]);
    double largest = 0;
    for (int64_t j = from; j < t->n; j++) {
        const double at_least = t->n_tail[j] / t->n_tail[from];
        const double above = j + 1 < t->n ? t->n_tail[j + 1] / t->n_tail[from] : 0;
        const double fitted_at_least = gsl_sf_hzeta(alpha, t->value[j]) / all;
        const double fitted_above = gsl_sf_hzeta(alpha, t->value[j] + 1) / all;
        largest = fmax(largest, fabs(above - fitted_above));
        largest = fmax(largest, fabs(at_least - fitted_at_least));
    }
    return largest;
}

static double standard_error(const struct tails *t, int64_t from, double alpha)
{
    const double h = 1e-4;
    const double curvature = (loss(t, from, alpha + h) - 2 * loss(t, from, alpha) +
                              loss(t, from, alpha - h)) /
                             (h * h);
    return 1 / sqrt(t->n_tail[from] * curvature);
}

int power_law_fit(const int32_t *counts, int64_t n, struct power_law *fit,
                  struct error *error)
{
    struct tails t = {0};
    struct power_law best = {.ks = INFINITY};
    int rc = -1;
    if (tails_make(&t, counts, n) != 0) {
        error_set(error, ERROR_NOMEM, "power law: no memory for %lld counts",
                  (long long)n);
        goto out;
    }
    int64_t n_candidates =
        0; /* the tail must hold enough values, two of them distinct */
    while (n_candidates < t.n - 1 && t.n_tail[n_candidates] >= POWER_LAW_MIN_TAIL) {
        n_candidates++;
    }
    if (n_candidates == 0) {
        error_set(error, ERROR_INVALID,
                  "power law: needs a tail of %d counts with two distinct values",
                  POWER_LAW_MIN_TAIL);
        goto out;
    }
    const int64_t n_tried = n_candidates < POWER_LAW_MAX_CANDIDATES
                                ? n_candidates
                                : POWER_LAW_MAX_CANDIDATES;
    for (int64_t j = 0; j < n_tried; j++) {
        const int64_t from = j * n_candidates / n_tried;
        const double alpha = best_alpha(&t, from);
        const double ks = distance(&t, from, alpha);
        if (alpha > LOWEST_ALPHA + 1e-6 && alpha < HIGHEST_ALPHA - 1e-6 &&
            ks < best.ks) {
            best = (struct power_law){.alpha = alpha,
                                      .se = standard_error(&t, from, alpha),
                                      .x_min = (int64_t)t.value[from],
                                      .n_tail = (int64_t)t.n_tail[from],
                                      .ks = ks};
        }
    }
    if (!isfinite(best.ks)) {
        error_set(error, ERROR_NUMERIC, "power law: no tail has a finite exponent");
        goto out;
    }
    *fit = best;
    rc = 0;
out:
    tails_free(&t);
    return rc;
}
