/* bench_coverage.c - how often does each interval hold the truth, and how wide is it?
 *
 *     bench_coverage [EXPERIMENTS]
 *
 * Simulated experiments with a true effect, at sizes where the methods differ. Prints
 * the share of 95 % intervals that hold the truth, the share that lie below and above
 * it, and their mean width: what docs/statistics.md says of each method can be read off
 * here. Same seed, same table.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/rng.h"
#include "stats/stats.h"

#define SEED      77
#define N_UNITS   40 /* units an arm of the bootstrap's experiments */
#define N_CLUSTER 200
#define PER_UNIT  10

struct tally {
    double n, held, below, above, width;
};

static void count(struct tally *tally, struct interval interval, double truth)
{
    tally->n++;
    tally->held += interval.lower <= truth && truth <= interval.upper;
    tally->below += interval.upper < truth;
    tally->above += interval.lower > truth;
    tally->width += interval.upper - interval.lower;
}

static void print(const char *what, const struct tally *tally)
{
    printf("  %-52s %6.2f %%  %5.2f %%  %5.2f %%  %8.4f\n", what,
           100 * tally->held / tally->n, 100 * tally->below / tally->n,
           100 * tally->above / tally->n, tally->width / tally->n);
}

static void die(const struct error *error)
{
    fprintf(stderr, "bench_coverage: %s\n", error->message);
    exit(1);
}

static uint64_t successes(struct rng *rng, uint64_t n, double rate)
{
    uint64_t s = 0;
    for (uint64_t i = 0; i < n; i++) {
        s += rng_uniform(rng) < rate;
    }
    return s;
}

static void section_proportions(int n, uint64_t n_c, double p_c, uint64_t n_t,
                                double p_t)
{
    struct tally differences[4] = {{.n = 0}}, lifts[3] = {{.n = 0}};
    struct error error = {0};
    int n_without_lift = 0;
    for (int i = 0; i < n; i++) {
        struct rng rng;
        rng_init(&rng, SEED, (uint64_t)i);
        const struct proportion_sample c = {successes(&rng, n_c, p_c), n_c};
        const struct proportion_sample t = {successes(&rng, n_t, p_t), n_t};
        for (int m = 0; m < 4; m++) {
            struct interval interval;
            if (proportion_interval(&c, &t, (enum proportion_interval_method)m, 0.95,
                                    ALTERNATIVE_TWO_SIDED, &interval, &error) != 0) {
                die(&error);
            }
            count(&differences[m], interval, p_t - p_c);
        }
        n_without_lift += c.n_successes == 0 || t.n_successes == 0;
        for (int m = 0; m < 3 && c.n_successes > 0 && t.n_successes > 0; m++) {
            struct interval interval;
            if (lift_proportions(&c, &t, (enum lift_method)m, 0.95,
                                 ALTERNATIVE_TWO_SIDED, &interval, &error) != 0) {
                die(&error);
            }
            count(&lifts[m], interval, p_t / p_c - 1);
        }
    }
    printf("\nrates %.2f of %d against %.2f of %d\n", p_c, (int)n_c, p_t, (int)n_t);
    for (int m = 0; m < 4; m++) {
        char line[64];
        snprintf(line, sizeof line, "difference, %s",
                 proportion_interval_name((enum proportion_interval_method)m));
        print(line, &differences[m]);
    }
    for (int m = 0; m < 3; m++) {
        char line[80];
        snprintf(line, sizeof line, "lift, %s", lift_name((enum lift_method)m));
        print(line, &lifts[m]);
    }
    if (n_without_lift > 0) {
        printf("  (lift left out in %d where an arm had no success)\n", n_without_lift);
    }
}

/* Log-normal values: a heavy tail, as revenue has. */
static double revenue(struct rng *rng)
{
    return exp(rng_normal(rng));
}

static void section_means(int n, int n_units)
{
    struct tally welch = {0}, bootstrap = {0};
    struct error error = {0};
    double *x[2] = {malloc((size_t)n_units * sizeof(double)),
                    malloc((size_t)n_units * sizeof(double))};
    struct bootstrap_config config = bootstrap_config_default();
    config.value = bootstrap_mean;
    config.n_replicates = 1000;
    for (int i = 0; i < n && x[0] && x[1]; i++) {
        struct rng rng;
        struct effect effect;
        struct bootstrap_result r;
        rng_init(&rng, SEED + 1, (uint64_t)i);
        for (int k = 0; k < n_units; k++) {
            x[0][k] = revenue(&rng);
            x[1][k] = 1.5 * revenue(&rng);
        }
        const struct mean_sample c = mean_sample_of(x[0], (uint64_t)n_units);
        const struct mean_sample t = mean_sample_of(x[1], (uint64_t)n_units);
        const struct bootstrap_units units[2] = {{x[0], NULL, 0}, {x[1], NULL, 0}};
        const struct bootstrap_arm arms[2] = {{&units[0], n_units},
                                              {&units[1], n_units}};
        config.seed = (uint64_t)i;
        if (mean_compare(&c, &t, 0.95, ALTERNATIVE_TWO_SIDED, &effect, &error) != 0 ||
            bootstrap_bca(&arms[0], &arms[1], &config, &r, &error) != 0) {
            die(&error);
        }
        const double truth = 0.5 * exp(0.5); /* the mean of a log-normal is e^(1/2) */
        count(&welch, (struct interval){effect.ci_lower, effect.ci_upper}, truth);
        count(&bootstrap, (struct interval){r.ci_lower, r.ci_upper}, truth);
    }
    printf("\nlog-normal means, %d units an arm, effect 0.82\n", n_units);
    print("Welch t", &welch);
    print("BCa bootstrap, 1000 replicates", &bootstrap);
    free(x[0]);
    free(x[1]);
}

/* Latencies: ten events a unit around a level of the unit's own. The true quantile is
 * that of all events, found once from four million of them. */
static void draw_latencies(struct rng *rng, double *values, int32_t *units, int n_units)
{
    for (int u = 0; u < n_units; u++) {
        const double level = 5 + 0.6 * rng_normal(rng);
        for (int k = 0; k < PER_UNIT; k++) {
            values[u * PER_UNIT + k] = exp(level + 0.5 * rng_normal(rng));
            units[u * PER_UNIT + k] = u;
        }
    }
}

static void section_quantiles(int n, double share)
{
    /* ln of an event is N(5, 0.6^2 + 0.5^2). */
    const double truth = exp(5 + sqrt(0.61) * tail_normal_quantile_upper(1 - share));
    struct tally clustered[2] = {{.n = 0}, {.n = 0}}, naive = {.n = 0};
    struct error error = {0};
    double values[N_CLUSTER * PER_UNIT];
    int32_t units[N_CLUSTER * PER_UNIT];
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct estimate e;
        rng_init(&rng, SEED + 2, (uint64_t)i);
        draw_latencies(&rng, values, units, N_CLUSTER);
        for (int m = 0; m < 3; m++) {
            const struct quantile_events events = {values, m < 2 ? units : NULL,
                                                   N_CLUSTER * PER_UNIT, N_CLUSTER};
            if (quantile_estimate(&events, share,
                                  m == 1 ? QUANTILE_KERNEL : QUANTILE_ORDER, &e,
                                  &error) != 0) {
                die(&error);
            }
            const double half = 1.959963984540054 * sqrt(e.variance);
            count(m < 2 ? &clustered[m] : &naive,
                  (struct interval){e.value - half, e.value + half}, truth);
        }
    }
    printf("\nquantile %g of %d events of %d units\n", share, N_CLUSTER * PER_UNIT,
           N_CLUSTER);
    print("order statistics, units as clusters", &clustered[0]);
    print("kernel, units as clusters", &clustered[1]);
    print("order statistics, events as units (wrong)", &naive);
}

static void section_cuped(int n)
{
    struct tally raw = {0}, adjusted = {0}, strata = {0};
    struct error error = {0};
    double reduction = 0, reduction_strata = 0;
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct cuped_sum sums[2] = {{.n_covariates = 1}, {.n_covariates = 1}};
        struct mean_sum parts[2][2] = {{{0}, {0}}, {{0}, {0}}};
        struct cuped_result r;
        struct poststratification_result p;
        rng_init(&rng, SEED + 3, (uint64_t)i);
        for (int k = 0; k < 400; k++) {
            const int arm = (int)(rng_next(&rng) >> 63);
            const double x = rng_normal(&rng);
            const double y = 0.7 * x + 0.7 * rng_normal(&rng) + 0.1 * arm;
            cuped_sum_add(&sums[arm], y, &x);
            mean_sum_add(&parts[arm][x > 0], y);
        }
        const struct stratum two[2] = {
            {mean_sum_sample(&parts[0][0]), mean_sum_sample(&parts[1][0]), 0},
            {mean_sum_sample(&parts[0][1]), mean_sum_sample(&parts[1][1]), 0}};
        if (cuped_compare(&sums[0], &sums[1], 0.95, ALTERNATIVE_TWO_SIDED, &r,
                          &error) != 0 ||
            poststratification_compare(two, 2, 0.95, ALTERNATIVE_TWO_SIDED, &p,
                                       &error) != 0) {
            die(&error);
        }
        count(&raw, (struct interval){r.raw.ci_lower, r.raw.ci_upper}, 0.1);
        count(&adjusted, (struct interval){r.adjusted.ci_lower, r.adjusted.ci_upper},
              0.1);
        count(&strata, (struct interval){p.adjusted.ci_lower, p.adjusted.ci_upper},
              0.1);
        reduction += r.variance_reduction / n;
        reduction_strata += p.variance_reduction / n;
    }
    printf("\nmeans with a covariate that explains half the variance, 400 units\n");
    print("unadjusted", &raw);
    print("CUPED", &adjusted);
    print("post-stratification by its sign", &strata);
    printf("  variance reduction: CUPED %.1f %%, strata %.1f %%\n", 100 * reduction,
           100 * reduction_strata);
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : 10000; /* NOLINT(cert-err34-c): a bench */
    if (n < 100) {
        fprintf(stderr, "usage: bench_coverage [EXPERIMENTS >= 100]\n");
        return 2;
    }
    printf("95 %% intervals of %d experiments           %31s\n", n,
           "held    below    above     width");
    section_proportions(n, 30, 0.05, 30, 0.2);
    section_proportions(n, 294, 0.45, 316, 0.55);
    section_means(n / 5, N_UNITS);
    section_means(n / 5, 400);
    section_quantiles(n / 5, 0.5);
    section_quantiles(n / 5, 0.95);
    section_cuped(n);
    return 0;
}
