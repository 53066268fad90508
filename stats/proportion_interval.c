#include "stats/proportion_interval.h"

#include <math.h>

#define SEARCH_STEPS 200 /* bisections: enough to exhaust the digits of a double */
#define PI           3.14159265358979323846

const char *proportion_interval_name(enum proportion_interval_method method)
{
    switch (method) {
    case INTERVAL_NEWCOMBE:
        return "Newcombe hybrid score";
    case INTERVAL_WALD:
        return "Wald";
    case INTERVAL_AGRESTI_CAFFO:
        return "Agresti-Caffo";
    case INTERVAL_MIETTINEN_NURMINEN:
        return "Miettinen-Nurminen score";
    }
    return "?";
}

struct interval proportion_wilson(const struct proportion_sample *sample,
                                  double critical)
{
    const double s = (double)sample->n_successes, n = (double)sample->n_trials;
    const double square = critical * critical;
    const double root = critical * sqrt(square + 4 * s * ((n - s) / n));
    const double scale = 2 * (n + square);
    /* Exact at the edges, where the subtraction would leave a rounding error. */
    const double lower = s > 0 ? (2 * s + square - root) / scale : 0;
    const double upper = s < n ? (2 * s + square + root) / scale : 1;
    return (struct interval){fmax(lower, 0), fmin(upper, 1)};
}

static struct interval newcombe(const struct proportion_sample *control,
                                const struct proportion_sample *treatment,
                                double critical)
{
    const double rate_c = (double)control->n_successes / (double)control->n_trials;
    const double rate_t = (double)treatment->n_successes / (double)treatment->n_trials;
    const struct interval c = proportion_wilson(control, critical);
    const struct interval t = proportion_wilson(treatment, critical);
    const double difference = rate_t - rate_c;
    return (struct interval){
        fmax(difference - hypot(rate_t - t.lower, c.upper - rate_c), -1),
        fmin(difference + hypot(t.upper - rate_t, rate_c - c.lower), 1)};
}

/* Wald's interval of `extra` successes and failures more in each arm. */
static struct interval wald(const struct proportion_sample *control,
                            const struct proportion_sample *treatment, double critical,
                            double extra)
{
    const double s_c = (double)control->n_successes + extra;
    const double s_t = (double)treatment->n_successes + extra;
    const double n_c = (double)control->n_trials + 2 * extra;
    const double n_t = (double)treatment->n_trials + 2 * extra;
    const double difference = s_t / n_t - s_c / n_c;
    const double half_width = critical * sqrt(s_c / n_c * ((n_c - s_c) / n_c) / n_c +
                                              s_t / n_t * ((n_t - s_t) / n_t) / n_t);
    return (struct interval){fmax(difference - half_width, -1),
                             fmin(difference + half_width, 1)};
}

/* The control rate that is most likely when the treatment's is `difference` above it:
 * the root of a cubic in closed form (Farrington & Manning, Statistics in Medicine 9
 * (1990) 1447-1454, appendix), theirs with treatment as the first group. */
static double constrained_rate(double s_c, double n_c, double s_t, double n_t,
                               double difference)
{
    const double n = n_c + n_t;
    const double l2 = (n_t + 2 * n_c) * difference - n - (s_c + s_t);
    const double l1 = (n_c * difference - n - 2 * s_c) * difference + (s_c + s_t);
    const double l0 = s_c * difference * (1 - difference);
    const double third = l2 / (3 * n);
    const double q = third * third * third - l1 * l2 / (6 * n * n) + l0 / (2 * n);
    const double radicand = third * third - l1 / (3 * n);
    const double p = copysign(sqrt(fmax(radicand, 0)), q);
    const double cosine = p != 0 ? q / (p * p * p) : 0;
    const double angle = (PI + acos(fmax(-1, fmin(1, cosine)))) / 3;
    const double rate = 2 * p * cos(angle) - third;
    return fmax(fmax(0, -difference), fmin(fmin(1, 1 - difference), rate));
}

double proportion_score(const struct proportion_sample *control,
                        const struct proportion_sample *treatment, double difference)
{
    const double s_c = (double)control->n_successes, n_c = (double)control->n_trials;
    const double s_t = (double)treatment->n_successes,
                 n_t = (double)treatment->n_trials;
    const double n = n_c + n_t;
    double variance = 0;
    if (difference == 0) { /* the pooled rate, failures counted as proportion.c does */
        const double s = s_c + s_t;
        variance = s / n * ((n - s) / n) * (1 / n_c + 1 / n_t);
    } else {
        const double rate_c = constrained_rate(s_c, n_c, s_t, n_t, difference);
        const double rate_t = fmax(0, fmin(1, rate_c + difference));
        variance = rate_t * (1 - rate_t) / n_t + rate_c * (1 - rate_c) / n_c;
    }
    variance *= n / (n - 1);
    const double gap = s_t / n_t - s_c / n_c - difference;
    if (gap == 0) {
        return 0;
    }
    return variance > 0 ? gap / sqrt(variance) : copysign(INFINITY, gap);
}

/* The difference between `inside` and `outside` at which the score reaches `target`;
 * it falls as the difference grows. */
static double score_root(const struct proportion_sample *control,
                         const struct proportion_sample *treatment, double inside,
                         double outside, double critical)
{
    for (int i = 0; i < SEARCH_STEPS && inside != outside; i++) {
        const double middle = 0.5 * (inside + outside);
        if (fabs(proportion_score(control, treatment, middle)) <= critical) {
            inside = middle;
        } else {
            outside = middle;
        }
    }
    return inside;
}

static struct interval miettinen_nurminen(const struct proportion_sample *control,
                                          const struct proportion_sample *treatment,
                                          double critical)
{
    const double difference =
        (double)treatment->n_successes / (double)treatment->n_trials -
        (double)control->n_successes / (double)control->n_trials;
    return (struct interval){score_root(control, treatment, difference, -1, critical),
                             score_root(control, treatment, difference, 1, critical)};
}

static struct interval both_bounds(const struct proportion_sample *control,
                                   const struct proportion_sample *treatment,
                                   enum proportion_interval_method method,
                                   double critical)
{
    switch (method) {
    case INTERVAL_NEWCOMBE:
        return newcombe(control, treatment, critical);
    case INTERVAL_WALD:
        return wald(control, treatment, critical, 0);
    case INTERVAL_AGRESTI_CAFFO:
        return wald(control, treatment, critical, 1);
    case INTERVAL_MIETTINEN_NURMINEN:
        return miettinen_nurminen(control, treatment, critical);
    }
    return (struct interval){NAN, NAN};
}

int proportion_interval(const struct proportion_sample *control,
                        const struct proportion_sample *treatment,
                        enum proportion_interval_method method, double confidence_level,
                        enum alternative alternative, struct interval *result,
                        struct error *error)
{
    if (proportion_check(control, treatment, error) != 0 ||
        tail_check_level(confidence_level, error) != 0) {
        return -1;
    }
    const double critical = tail_normal_critical(confidence_level, alternative);
    *result = both_bounds(control, treatment, method, critical);
    if (alternative == ALTERNATIVE_GREATER) {
        result->upper = 1;
    } else if (alternative == ALTERNATIVE_LESS) {
        result->lower = -1;
    }
    return 0;
}
