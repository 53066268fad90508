#include "stats/exact.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#define GRID_POINTS  1000
#define REFINED      8 /* how many of the best grid points are refined */
#define TIE          1e-7
#define LEAST_LINEAR 1e-280 /* smaller probabilities are added up as logarithms */

/* The hypergeometric distribution of the treatment's successes, given all margins. */
struct margins {
    double n_treatment, n_control, n_successes;
    double lowest, highest; /* of the treatment's successes */
    double mode;
};

static double log_choose(double n, double k)
{
    return -log1p(n) - tail_log_beta_function(n - k + 1, k + 1);
}

static double log_probability(const struct margins *m, double x)
{
    return log_choose(m->n_treatment, x) +
           log_choose(m->n_control, m->n_successes - x) -
           log_choose(m->n_treatment + m->n_control, m->n_successes);
}

/* p(x + 1) / p(x). */
static double ratio_up(const struct margins *m, double x)
{
    return (m->n_treatment - x) / (x + 1) *
           ((m->n_successes - x) / (m->n_control - m->n_successes + x + 1));
}

/* ln of the probability of x and all beyond it, in the direction `step` away from the
 * mode (where the terms fall), or to the end of the range. */
static double log_tail(const struct margins *m, double x, int step)
{
    const double end = step > 0 ? m->highest : m->lowest;
    double term = 1, sum = 1;
    const int64_t n_terms = (int64_t)fabs(end - x);
    for (int64_t i = 0; i < n_terms; i++) {
        const double at = x + (double)(step * i);
        term *= step > 0 ? ratio_up(m, at) : 1 / ratio_up(m, at - 1);
        sum += term;
        if (term < 1e-17 * sum && (step > 0) == (at > m->mode)) {
            break;
        }
    }
    return log_probability(m, x) + log(sum);
}

/* P(X >= x), by the tail on the other side when x is on the near side of the mode. */
static double log_at_least(const struct margins *m, double x)
{
    if (x <= m->lowest) {
        return 0;
    }
    return x > m->mode ? log_tail(m, x, 1) : log1p(-exp(log_tail(m, x - 1, -1)));
}

static double log_at_most(const struct margins *m, double x)
{
    if (x >= m->highest) {
        return 0;
    }
    return x < m->mode ? log_tail(m, x, -1) : log1p(-exp(log_tail(m, x + 1, 1)));
}

/* On the side of the mode opposite to x, the first place no likelier than x; one past
 * the end of the range when there is none. */
static double mirror(const struct margins *m, double x, double log_p)
{
    const int step = x > m->mode ? -1 : 1;
    double likely = m->mode, unlikely = step > 0 ? m->highest + 1 : m->lowest - 1;
    while (fabs(unlikely - likely) > 1) {
        const double middle = floor((likely + unlikely) / 2);
        if (log_probability(m, middle) <= log_p + TIE) {
            unlikely = middle;
        } else {
            likely = middle;
        }
    }
    return unlikely;
}

static double log_two_sided(const struct margins *m, double x)
{
    const double log_p = log_probability(m, x);
    if (log_p >= log_probability(m, m->mode) - TIE) {
        return 0;
    }
    const double other = mirror(m, x, log_p);
    const double near = log_tail(m, x, x > m->mode ? 1 : -1);
    if (other < m->lowest || other > m->highest) {
        return near;
    }
    const double far = log_tail(m, other, x > m->mode ? -1 : 1);
    return fmax(near, far) + log1p(exp(-fabs(near - far)));
}

static int check(const struct proportion_sample *control,
                 const struct proportion_sample *treatment, uint64_t n_units,
                 uint64_t limit, struct error *error)
{
    if (proportion_check(control, treatment, error) != 0) {
        return -1;
    }
    if (control->n_trials > limit || treatment->n_trials > limit || n_units > limit) {
        n_units = n_units ? n_units : control->n_trials + treatment->n_trials;
        error_set(error, ERROR_INVALID,
                  "exact test of %" PRIu64 " units; up to %" PRIu64
                  " (the z-test is as good at such counts)",
                  n_units, limit);
        return -1;
    }
    return 0;
}

int exact_fisher(const struct proportion_sample *control,
                 const struct proportion_sample *treatment,
                 enum alternative alternative, struct tail_p *result,
                 struct error *error)
{
    if (check(control, treatment, control->n_trials + treatment->n_trials,
              EXACT_MAX_FISHER, error) != 0) {
        return -1;
    }
    struct margins m = {
        .n_treatment = (double)treatment->n_trials,
        .n_control = (double)control->n_trials,
        .n_successes = (double)(control->n_successes + treatment->n_successes),
    };
    m.lowest = fmax(0, m.n_successes - m.n_control);
    m.highest = fmin(m.n_treatment, m.n_successes);
    m.mode = fmin(floor((m.n_successes + 1) * (m.n_treatment + 1) /
                        (m.n_treatment + m.n_control + 2)),
                  m.highest);
    if (m.n_successes == 0 || m.n_successes == m.n_treatment + m.n_control) {
        *result = (struct tail_p){NAN, NAN};
        return 0;
    }
    const double x = (double)treatment->n_successes;
    switch (alternative) {
    case ALTERNATIVE_GREATER:
        *result = tail_p_from_log(log_at_least(&m, x));
        break;
    case ALTERNATIVE_LESS:
        *result = tail_p_from_log(log_at_most(&m, x));
        break;
    case ALTERNATIVE_TWO_SIDED:
        *result = tail_p_from_log(log_two_sided(&m, x));
        break;
    }
    return 0;
}

/* The tables as far out as the one seen: for each number x of control successes the
 * treatment's successes below low[x] or from high[x] on. */
struct extreme {
    int64_t n_control, n_treatment;
    int64_t *low, *high;   /* (n_control + 1) */
    double *below, *above; /* (n_treatment + 2) scratch: P(Y < y), P(Y >= y) */
    double *log_choose_c;  /* (n_control + 1) */
    double *log_choose_t;  /* (n_treatment + 1) */
};

static double pooled_z(int64_t s_c, int64_t n_c, int64_t s_t, int64_t n_t)
{
    const double n = (double)(n_c + n_t), s = (double)(s_c + s_t);
    const double variance = s / n * ((n - s) / n) * (n / (double)n_c / (double)n_t);
    const double gap = (double)s_t / (double)n_t - (double)s_c / (double)n_c;
    return variance > 0 ? gap / sqrt(variance) : 0;
}

/* z rises with y for a given x, so the far tables of each x are found by bisection. */
static void find_extremes(struct extreme *e, double z, enum alternative alternative)
{
    const double reach = (alternative == ALTERNATIVE_TWO_SIDED ? fabs(z)
                          : alternative == ALTERNATIVE_GREATER ? z
                                                               : -z) -
                         TIE;
    for (int64_t x = 0; x <= e->n_control; x++) {
        int64_t first = 0, last = e->n_treatment + 1; /* first y with z >= reach */
        while (first < last) {
            const int64_t y = (first + last) / 2;
            if (pooled_z(x, e->n_control, y, e->n_treatment) >= reach) {
                last = y;
            } else {
                first = y + 1;
            }
        }
        e->high[x] = alternative == ALTERNATIVE_LESS ? e->n_treatment + 1 : first;
        first = 0;
        last = e->n_treatment + 1; /* first y with z > -reach */
        while (first < last) {
            const int64_t y = (first + last) / 2;
            if (pooled_z(x, e->n_control, y, e->n_treatment) > -reach) {
                last = y;
            } else {
                first = y + 1;
            }
        }
        e->low[x] = alternative == ALTERNATIVE_GREATER ? 0 : first;
        e->high[x] = e->high[x] < e->low[x] ? e->low[x] : e->high[x];
    }
}

/* ln(exp(a) + exp(b)). */
static double log_add(double a, double b)
{
    const double larger = fmax(a, b), smaller = fmin(a, b);
    return isinf(smaller) ? larger : larger + log1p(exp(smaller - larger));
}

/* Both sums over the treatment's successes begin at their own far end, where they are
 * small: 1 less the other would lose a far tail. */
static double linear_probability(const struct extreme *e, double log_p, double log_q)
{
    const int64_t n = e->n_treatment;
    e->below[0] = e->above[n + 1] = 0;
    for (int64_t y = 0; y <= n; y++) {
        e->below[y + 1] =
            exp(e->log_choose_t[y] + (double)y * log_p + (double)(n - y) * log_q);
    }
    for (int64_t y = n; y >= 0; y--) {
        e->above[y] = e->above[y + 1] + e->below[y + 1];
    }
    for (int64_t y = 0; y <= n; y++) {
        e->below[y + 1] += e->below[y];
    }
    double total = 0;
    for (int64_t x = 0; x <= e->n_control; x++) {
        const double p_x = exp(e->log_choose_c[x] + (double)x * log_p +
                               (double)(e->n_control - x) * log_q);
        total += p_x * (e->below[e->low[x]] + e->above[e->high[x]]);
    }
    return total;
}

/* The same in logarithms, for what a double does not hold. */
static double slow_log_probability(const struct extreme *e, double log_p, double log_q)
{
    const int64_t n = e->n_treatment;
    e->below[0] = e->above[n + 1] = -INFINITY;
    for (int64_t y = 0; y <= n; y++) {
        e->below[y + 1] = log_add(e->below[y], e->log_choose_t[y] + (double)y * log_p +
                                                   (double)(n - y) * log_q);
    }
    for (int64_t y = n; y >= 0; y--) {
        e->above[y] = log_add(e->above[y + 1], e->log_choose_t[y] + (double)y * log_p +
                                                   (double)(n - y) * log_q);
    }
    double total = -INFINITY;
    for (int64_t x = 0; x <= e->n_control; x++) {
        total = log_add(total, e->log_choose_c[x] + (double)x * log_p +
                                   (double)(e->n_control - x) * log_q +
                                   log_add(e->below[e->low[x]], e->above[e->high[x]]));
    }
    return total;
}

/* ln of the probability of the extreme tables when every unit succeeds at `rate`. */
static double log_extreme(const struct extreme *e, double rate)
{
    const double log_p = log(rate), log_q = log1p(-rate);
    const double total = linear_probability(e, log_p, log_q);
    return fmin(
        total > LEAST_LINEAR ? log(total) : slow_log_probability(e, log_p, log_q), 0);
}

static double refine(const struct extreme *e, double low, double high, double *best)
{
    const double golden = 0.6180339887498949;
    double a = high - golden * (high - low), b = low + golden * (high - low);
    double p_a = log_extreme(e, a), p_b = log_extreme(e, b);
    for (int i = 0; i < 40; i++) {
        if (p_a < p_b) {
            low = a;
            a = b;
            p_a = p_b;
            b = low + golden * (high - low);
            p_b = log_extreme(e, b);
        } else {
            high = b;
            b = a;
            p_b = p_a;
            a = high - golden * (high - low);
            p_a = log_extreme(e, a);
        }
    }
    *best = p_a < p_b ? b : a;
    return fmax(p_a, p_b);
}

static double maximise(const struct extreme *e, double *rate)
{
    const double step = 1.0 / GRID_POINTS;
    double grid[GRID_POINTS - 1];
    for (int i = 0; i < GRID_POINTS - 1; i++) {
        grid[i] = log_extreme(e, (i + 1) * step);
    }
    double best = -INFINITY;
    for (int round = 0; round < REFINED; round++) {
        int at = 0;
        for (int i = 1; i < GRID_POINTS - 1; i++) {
            at = grid[i] > grid[at] ? i : at;
        }
        double where = 0;
        const double p = refine(e, at * step + 1e-12, (at + 2) * step - 1e-12, &where);
        if (p > best) {
            best = p;
            *rate = where;
        }
        for (int i = at - 1; i <= at + 1; i++) { /* this peak is done */
            if (i >= 0 && i < GRID_POINTS - 1) {
                grid[i] = -INFINITY;
            }
        }
    }
    return best;
}

static int extreme_new(struct extreme *e, int64_t n_control, int64_t n_treatment)
{
    const size_t n_c = (size_t)n_control + 1, n_t = (size_t)n_treatment + 2;
    *e = (struct extreme){
        .n_control = n_control,
        .n_treatment = n_treatment,
        .low = malloc(n_c * sizeof *e->low),
        .high = malloc(n_c * sizeof *e->high),
        .below = malloc(n_t * sizeof *e->below),
        .above = malloc(n_t * sizeof *e->above),
        .log_choose_c = malloc(n_c * sizeof *e->log_choose_c),
        .log_choose_t = malloc(n_t * sizeof *e->log_choose_t),
    };
    if (!e->low || !e->high || !e->below || !e->above || !e->log_choose_c ||
        !e->log_choose_t) {
        return -1;
    }
    for (int64_t x = 0; x <= n_control; x++) {
        e->log_choose_c[x] = log_choose((double)n_control, (double)x);
    }
    for (int64_t y = 0; y <= n_treatment; y++) {
        e->log_choose_t[y] = log_choose((double)n_treatment, (double)y);
    }
    return 0;
}

int exact_barnard(const struct proportion_sample *control,
                  const struct proportion_sample *treatment,
                  enum alternative alternative, struct exact_barnard *result,
                  struct error *error)
{
    int rc = -1;
    struct extreme e = {0};

    if (check(control, treatment, 0, EXACT_MAX_BARNARD, error) != 0) {
        return -1;
    }
    if (extreme_new(&e, (int64_t)control->n_trials, (int64_t)treatment->n_trials) !=
        0) {
        error_set(error, ERROR_NOMEM, "barnard: no memory for %" PRIu64 " units",
                  control->n_trials + treatment->n_trials);
        goto out;
    }
    struct exact_barnard r = {NAN, NAN, {NAN, NAN}};
    const uint64_t s = control->n_successes + treatment->n_successes;
    if (s > 0 && s < control->n_trials + treatment->n_trials) {
        r.statistic = pooled_z((int64_t)control->n_successes, e.n_control,
                               (int64_t)treatment->n_successes, e.n_treatment);
        find_extremes(&e, r.statistic, alternative);
        r.p = tail_p_from_log(maximise(&e, &r.nuisance_rate));
    }
    *result = r;
    rc = 0;

out:
    free(e.low);
    free(e.high);
    free(e.below);
    free(e.above);
    free(e.log_choose_c);
    free(e.log_choose_t);
    return rc;
}
