#include "stats/bayes.h"

#include <math.h>

#define INTERVALS 1024 /* of Simpson's rule, even, on each piece */
#define REACH     12.0 /* standard deviations integrated on each side */
#define MAX_UNITS 1e8
#define GAUSSIAN  1e6 /* from as many successes and failures in both arms on */
#define LONG_SUM  1e7 /* terms; a shorter sum is taken as it is */
#define HALF_PI   1.57079632679489661923

struct beta {
    double a, b;
};

static double beta_mean(struct beta x)
{
    return x.a / (x.a + x.b);
}

static double beta_variance(struct beta x)
{
    const double n = x.a + x.b;
    return x.a / n * (x.b / n) / (n + 1);
}

static bool is_whole(double x)
{
    return x == floor(x);
}

/* ln of term i of Miller's sum for P(y > x): B(a_x + i, b_x + b_y) / ((b_y + i)
 * B(1 + i, b_y) B(a_x, b_x)). */
static double log_term(struct beta x, struct beta y, double i)
{
    return tail_log_beta_function(x.a + i, x.b + y.b) - log(y.b + i) -
           tail_log_beta_function(1 + i, y.b) - tail_log_beta_function(x.a, x.b);
}

/* Term i + 1 over term i. */
static double term_ratio(struct beta x, struct beta y, double i)
{
    return (x.a + i) / (x.a + i + x.b + y.b) * ((y.b + i) / (1 + i));
}

/* P(Y > X) for whole y.a: the sum of terms 0 to y.a - 1, from the largest outwards. */
static double greater_by_sum(struct beta x, struct beta y)
{
    const double last = y.a - 1;
    double low = 0, high = last; /* the first i where the terms fall */
    while (low < high) {
        const double middle = floor((low + high) / 2);
        if (term_ratio(x, y, middle) > 1) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    const double peak = low;
    double sum = 1, term = 1;
    const int64_t n_up = (int64_t)(last - peak), n_down = (int64_t)peak;
    for (int64_t k = 0; k < n_up && term > 1e-18 * sum; k++) {
        term *= term_ratio(x, y, peak + (double)k);
        sum += term;
    }
    term = 1;
    for (int64_t k = 0; k < n_down && term > 1e-18 * sum; k++) {
        term /= term_ratio(x, y, peak - (double)k - 1);
        sum += term;
    }
    return fmin(1, exp(log_term(x, y, peak) + log(sum)));
}

/* P(Y <= at). */
static double below(struct beta y, double at)
{
    if (at <= 0 || at >= 1) {
        return at <= 0 ? 0 : 1;
    }
    if (fmin(y.a, y.b) >= GAUSSIAN) { /* the continued fraction would take for ever */
        return tail_normal_upper((beta_mean(y) - at) / sqrt(beta_variance(y)));
    }
    return exp(tail_log_beta(y.a, y.b, at, 1 - at));
}

/* ln base^exponent; 0^0 is 1. */
static double log_power(double base, double exponent)
{
    return exponent == 0 ? 0 : exponent * log(base);
}

/* An integral under way: the density of x on the arcsine scale, and P(Y <= x + by)
 * weighed with it. */
struct difference {
    struct beta x, y;
    double by;
    double log_peak; /* of the density, to keep it from underflow */
    double mass, sum;
};

/* Simpson's rule from `low` to `high` at nodes that crowd towards both ends, where a
 * distribution of y that has no successes or failures rises like a root: with angle =
 * low + (high - low) (u - sin(2 pi u) / (2 pi)) all that ends there ends smoothly. */
static void add_piece(struct difference *d, double low, double high)
{
    for (int i = 1; i < INTERVALS; i++) { /* at the ends d angle / du is 0 */
        const double u = (double)i / INTERVALS;
        const double angle =
            low + (high - low) * (u - sin(4 * HALF_PI * u) / (4 * HALF_PI));
        const double s = sin(angle), c = cos(angle);
        const double weight =
            (i % 2 ? 4 : 2) * (high - low) * (1 - cos(4 * HALF_PI * u));
        const double density = weight * exp(log_power(s, 2 * d->x.a - 1) +
                                            log_power(c, 2 * d->x.b - 1) - d->log_peak);
        d->mass += density;
        d->sum += density * below(d->y, s * s + d->by);
    }
}

static double within(double low, double value, double high)
{
    return fmin(high, fmax(low, value));
}

/* P(Y - X <= difference): the posterior of x on the arcsine scale, where its spread is
 * 1 / (2 sqrt n) whatever the rate, and its density has no poles. Cut where that of y
 * begins and ends to rise, which it may do within less than a step, or with a kink. */
static double difference_below(struct beta x, struct beta y, double difference)
{
    const double center = asin(sqrt(beta_mean(x)));
    const double reach = REACH / (2 * sqrt(x.a + x.b));
    const double sd = sqrt(beta_variance(y));
    const double low = fmax(0, center - reach), high = fmin(HALF_PI, center + reach);
    const double from = within(0, beta_mean(y) - REACH * sd, 1) - difference,
                 to = within(0, beta_mean(y) + REACH * sd, 1) - difference;
    const double cuts[] = {low, within(low, asin(sqrt(within(0, from, 1))), high),
                           within(low, asin(sqrt(within(0, to, 1))), high), high};
    struct difference d = {x, y, difference, 0, 0, 0};
    d.log_peak =
        log_power(sin(center), 2 * x.a - 1) + log_power(cos(center), 2 * x.b - 1);
    for (int i = 0; i < 3; i++) {
        if (cuts[i + 1] > cuts[i]) {
            add_piece(&d, cuts[i], cuts[i + 1]);
        }
    }
    return d.sum / d.mass;
}

/* P(Y > X). Counting failures instead gives a sum over x's failures, and the complement
 * one over x's successes or y's failures: whichever is shortest, for the terms near the
 * peak grow with its length. The complement only at need, for it loses a tiny P. */
static double greater(struct beta x, struct beta y)
{
    const struct beta not_x = {x.b, x.a}, not_y = {y.b, y.a};
    if (!is_whole(y.a) || !is_whole(x.b) || !is_whole(x.a) || !is_whole(y.b)) {
        return 1 - difference_below(x, y, 0);
    }
    if (fmin(y.a, x.b) <= fmax(fmin(x.a, y.b), LONG_SUM)) {
        return y.a <= x.b ? greater_by_sum(x, y) : greater_by_sum(not_y, not_x);
    }
    return 1 - (x.a <= y.b ? greater_by_sum(y, x) : greater_by_sum(not_x, not_y));
}

/* E[max(X - Y, 0)]: what choosing y loses when x was the better. */
static double loss_of(struct beta y, struct beta x)
{
    const struct beta more_x = {x.a + 1, x.b}, more_y = {y.a + 1, y.b};
    return fmax(0,
                beta_mean(x) * greater(y, more_x) - beta_mean(y) * greater(more_y, x));
}

/* The difference that the posterior is below with probability `target`, within
 * [low, high]: regula falsi with the Illinois correction from the normal's answer.
 * Every step is an integral, and bisection takes four times as many. */
static double difference_quantile(struct beta x, struct beta y, double target,
                                  struct interval bracket, double guess,
                                  double tolerance)
{
    double low = bracket.lower, high = bracket.upper;
    double at_low = -target, at_high = 1 - target;
    int last = 0;
    double middle = guess > low && guess < high ? guess : 0.5 * (low + high);
    for (int i = 0; i < 60 && high - low > tolerance; i++) {
        const double value = difference_below(x, y, middle) - target;
        if (fabs(value) < 1e-13) {
            return middle;
        }
        if (value < 0) {
            low = middle;
            at_low = value;
            at_high *= last < 0 ? 0.5 : 1;
            last = -1;
        } else {
            high = middle;
            at_high = value;
            at_low *= last > 0 ? 0.5 : 1;
            last = 1;
        }
        const double next = low - at_low * (high - low) / (at_high - at_low);
        middle = next > low && next < high ? next : 0.5 * (low + high);
        if (i > 40) {
            middle = 0.5 * (low + high); /* whatever the shape: it ends */
        }
    }
    return 0.5 * (low + high);
}

static struct interval credible_difference(struct beta x, struct beta y, double tail)
{
    const double mean = beta_mean(y) - beta_mean(x);
    const double sd = sqrt(beta_variance(x) + beta_variance(y));
    const double z = tail_normal_quantile_upper(tail);
    if (fmin(fmin(x.a, x.b), fmin(y.a, y.b)) >= GAUSSIAN) {
        return (struct interval){mean - z * sd, mean + z * sd};
    }
    double bounds[2];
    for (int side = 0; side < 2; side++) {
        const double target = side == 0 ? tail : 1 - tail;
        const struct interval bracket = {fmax(-1, mean - 2 * REACH * sd),
                                         fmin(1, mean + 2 * REACH * sd)};
        bounds[side] = difference_quantile(
            x, y, target, bracket, mean + (side == 0 ? -z : z) * sd, 1e-10 * sd);
    }
    return (struct interval){bounds[0], bounds[1]};
}

/* The value below which a beta variable is with probability `target`, by bisection. */
static double beta_quantile(struct beta x, double target)
{
    double low = 0, high = 1;
    for (int i = 0; i < 200 && high - low > 1e-15 * high; i++) {
        const double middle = 0.5 * (low + high);
        if (below(x, middle) < target) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return 0.5 * (low + high);
}

static struct interval credible_rate(struct beta x, double tail)
{
    if (fmin(x.a, x.b) >= GAUSSIAN) {
        const double half = tail_normal_quantile_upper(tail) * sqrt(beta_variance(x));
        return (struct interval){beta_mean(x) - half, beta_mean(x) + half};
    }
    return (struct interval){beta_quantile(x, tail), beta_quantile(x, 1 - tail)};
}

static int check(const struct proportion_sample *control,
                 const struct proportion_sample *treatment, struct beta_prior prior,
                 struct error *error)
{
    /* An empty arm is fine here, so only the rest of proportion_check applies. */
    const struct proportion_sample c = {control->n_successes,
                                        control->n_trials ? control->n_trials : 1};
    const struct proportion_sample t = {treatment->n_successes,
                                        treatment->n_trials ? treatment->n_trials : 1};
    if (proportion_check(&c, &t, error) != 0) {
        return -1;
    }
    if (control->n_successes > control->n_trials ||
        treatment->n_successes > treatment->n_trials) {
        error_set(error, ERROR_INVALID, "an arm has successes without trials");
        return -1;
    }
    if (!(prior.alpha >= 0.5 && prior.alpha <= 1e6 && prior.beta >= 0.5 &&
          prior.beta <= 1e6)) {
        error_set(error, ERROR_INVALID, "prior Beta(%g, %g); give 0.5 to 1e6",
                  prior.alpha, prior.beta);
        return -1;
    }
    return 0;
}

static bool is_gaussian(struct beta c, struct beta t)
{
    return fmin(fmin(c.a, c.b), fmin(t.a, t.b)) >= GAUSSIAN;
}

/* Rounding of ln B grows with its size: 1e-8 of a probability at 1e8 units. */
static int check_size(struct beta c, struct beta t, struct error *error)
{
    if (is_gaussian(c, t) || fmax(c.a + c.b, t.a + t.b) <= MAX_UNITS) {
        return 0;
    }
    error_set(error, ERROR_NUMERIC,
              "a beta posterior of more than %g units is not precise while another has "
              "few successes or failures; use the Gaussian one",
              MAX_UNITS);
    return -1;
}

static struct beta posterior(const struct proportion_sample *sample,
                             struct beta_prior prior)
{
    return (struct beta){prior.alpha + (double)sample->n_successes,
                         prior.beta + (double)(sample->n_trials - sample->n_successes)};
}

static double normal_density(double z)
{
    return 0.398942280401432678 * exp(-0.5 * z * z);
}

/* E[max(-D, 0)] of a normal D. */
static double normal_loss(double mean, double sd)
{
    const double z = mean / sd;
    return fmax(0, sd * normal_density(z) - mean * tail_normal_upper(z));
}

int bayes_proportions(const struct proportion_sample *control,
                      const struct proportion_sample *treatment,
                      struct beta_prior prior, double level,
                      struct bayes_proportions *result, struct error *error)
{
    if (check(control, treatment, prior, error) != 0 ||
        tail_check_level(level, error) != 0) {
        return -1;
    }
    const struct beta c = posterior(control, prior), t = posterior(treatment, prior);
    const double tail = (1 - level) / 2;
    if (check_size(c, t, error) != 0) {
        return -1;
    }
    struct bayes_proportions r = {
        .effect_mean = beta_mean(t) - beta_mean(c),
        .effect = credible_difference(c, t, tail),
        .control = credible_rate(c, tail),
        .treatment = credible_rate(t, tail),
    };
    if (is_gaussian(c, t)) {
        const double sd = sqrt(beta_variance(c) + beta_variance(t));
        r.p_better = tail_normal_upper(-r.effect_mean / sd);
        r.loss_if_treatment = normal_loss(r.effect_mean, sd);
        r.loss_if_control = normal_loss(-r.effect_mean, sd);
    } else {
        r.is_closed_form =
            is_whole(c.a) && is_whole(t.a) && is_whole(c.b) && is_whole(t.b);
        r.p_better = greater(c, t);
        r.loss_if_treatment = loss_of(t, c);
        r.loss_if_control = loss_of(c, t);
    }
    *result = r;
    return 0;
}

int bayes_effect(double effect_size, double standard_error, double prior_mean,
                 double prior_sd, double level, struct bayes_effect *result,
                 struct error *error)
{
    if (tail_check_level(level, error) != 0) {
        return -1;
    }
    if (!isfinite(effect_size) || !(standard_error > 0) || !isfinite(standard_error) ||
        !isfinite(prior_mean) || !(prior_sd > 0)) {
        error_set(error, ERROR_INVALID,
                  "effect %g +- %g under the prior %g +- %g: spreads must be above 0",
                  effect_size, standard_error, prior_mean, prior_sd);
        return -1;
    }
    /* Share of the data in the mean; 1 under a flat prior. */
    const double relative = standard_error / prior_sd;
    const double weight = 1 / (1 + relative * relative);
    struct bayes_effect r = {
        .mean = weight * effect_size + (1 - weight) * prior_mean,
        .sd = standard_error * sqrt(weight),
    };
    const double half = tail_normal_quantile_upper((1 - level) / 2) * r.sd;
    r.effect = (struct interval){r.mean - half, r.mean + half};
    if (!(r.sd > 0)) {
        error_set(error, ERROR_NUMERIC,
                  "prior sd %g and standard error %g are too far apart to combine",
                  prior_sd, standard_error);
        return -1;
    }
    r.p_better = tail_normal_upper(-r.mean / r.sd);
    r.loss_if_treatment = normal_loss(r.mean, r.sd);
    r.loss_if_control = normal_loss(-r.mean, r.sd);
    *result = r;
    return 0;
}
