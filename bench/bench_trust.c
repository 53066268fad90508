/* bench_trust.c - do the statistics keep what they promise? 10,000 simulated
 * experiments for each promise; prints a table and exits 1 when a line is out of its
 * band.
 *
 *     bench_trust [EXPERIMENTS] [SCRATCH-DIRECTORY] [log|monitor|looks|power] [JOBS]
 *
 * `log` and `monitor` (trust_log.c) send A/A experiments through the real log and
 * through what `abtest analyze` runs, once and 100 times as the log grows; the others
 * call the statistics directly. Bands are 99 % ones of the share itself: for 10,000
 * experiments 5 +- 0.56 %. Same seed, same table, with any number of processes.
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/trust.h"
#include "common/rng.h"
#include "stats/stats.h"

#define SEED      TRUST_SEED
#define N_LOOKS   100
#define PER_LOOK  100 /* units of both arms that arrive between looks */
#define BASE_RATE 0.3
#define BAND_Z    2.5758293035489 /* 99 % */

static int n_out_of_band;

void trust_report(const char *what, double n_hits, double n_trials, double promised,
                  bool is_limit)
{
    const double share = n_hits / n_trials;
    const double band = BAND_Z * sqrt(promised * (1 - promised) / n_trials);
    const bool is_fine =
        is_limit ? share <= promised + band : fabs(share - promised) <= band;
    n_out_of_band += !is_fine;
    printf("  %-54s %7.3f %%  %s %g +- %.2f %%  %s\n", what, 100 * share,
           is_limit ? "at most" : "promised", 100 * promised, 100 * band,
           is_fine ? "ok" : "OUT");
}

void trust_show(const char *what, double n_hits, double n_trials)
{
    printf("  %-54s %7.3f %%\n", what, 100 * n_hits / n_trials);
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Kolmogorov and Smirnov's p that the values are uniform (Stephens' form). */
static double uniformity(double *values, int n)
{
    double distance = 0, p = 0;
    qsort(values, (size_t)n, sizeof *values, compare_doubles);
    for (int i = 0; i < n; i++) {
        distance =
            fmax(distance, fmax(values[i] - (double)i / n, (i + 1.0) / n - values[i]));
    }
    const double root = sqrt(n), scaled = (root + 0.12 + 0.11 / root) * distance;
    for (int k = 1; k <= 100; k++) {
        p += (k % 2 ? 2 : -2) * exp(-2.0 * k * k * scaled * scaled);
    }
    return fmin(fmax(p, 0), 1);
}

void trust_report_uniform(const char *what, double *p_values, int n)
{
    const double p = uniformity(p_values, n);
    n_out_of_band += !(p > 0.001);
    printf("  %-54s p = %.4f  above 0.001  %s\n", what, p, p > 0.001 ? "ok" : "OUT");
}

void trust_die(const char *what, const struct error *error)
{
    fprintf(stderr, "bench_trust: %s: %s\n", what, error->message);
    exit(1);
}

/* ---- looking 100 times ---- */

enum monitor {
    NAIVE,
    SEQUENCE,
    SEQUENCE_ONE_SIDED,
    MSPRT,
    SRM_NAIVE,
    SRM_SEQUENTIAL,
    FIVE_LOOKS,
    N_MONITORS
};

struct peek {
    struct proportion_sample arms[2];
    double g, g_one_sided, tau;
    double bounds[5];
    bool has_rejected[N_MONITORS];
};

static void look(struct peek *peek, int at, double *z_final)
{
    struct error error = {0};
    struct proportion_z z;
    struct interval two, one;
    struct srm_result srm, srm_often;
    const uint64_t counts[2] = {peek->arms[0].n_trials, peek->arms[1].n_trials};
    const double even[2] = {1, 1};
    if (proportion_z_test(&peek->arms[0], &peek->arms[1], true, ALTERNATIVE_TWO_SIDED,
                          &z, &error) != 0 ||
        !z.is_testable) {
        trust_die("peek", &error);
    }
    const struct sequential_look now = {z.statistic * z.standard_error,
                                        z.standard_error,
                                        (double)(counts[0] + counts[1])};
    if (sequential_interval(&now, peek->g, 0.95, ALTERNATIVE_TWO_SIDED, &two, &error) !=
            0 ||
        sequential_interval(&now, peek->g, 0.95, ALTERNATIVE_GREATER, &one, &error) !=
            0 ||
        srm_test(counts, even, 2, 0.001, &srm, &error) != 0 ||
        srm_sequential(counts, even, 2, SRM_CONCENTRATION, 0.001, &srm_often, &error) !=
            0) {
        trust_die("peek", &error);
    }
    peek->has_rejected[NAIVE] |= z.p.p_value < 0.05;
    peek->has_rejected[SEQUENCE] |= two.lower > 0 || two.upper < 0;
    peek->has_rejected[SEQUENCE_ONE_SIDED] |= one.lower > 0;
    peek->has_rejected[MSPRT] |=
        tail_p_from_log(-sequential_log_mixture_ratio(&now, peek->tau)).p_value < 0.05;
    peek->has_rejected[SRM_NAIVE] |= srm.is_mismatch;
    peek->has_rejected[SRM_SEQUENTIAL] |= srm_often.is_mismatch;
    if ((at + 1) % (N_LOOKS / 5) == 0) {
        const int fifth = (at + 1) / (N_LOOKS / 5) - 1;
        peek->has_rejected[FIVE_LOOKS] |= fabs(z.statistic) >= peek->bounds[fifth];
    }
    *z_final = z.statistic;
}

static void arrive(struct peek *peek, int n_units, struct rng *rng)
{
    for (int i = 0; i < n_units; i++) {
        struct proportion_sample *arm = &peek->arms[rng_next(rng) >> 63];
        arm->n_trials++;
        arm->n_successes += rng_uniform(rng) < BASE_RATE;
    }
}

static void section_peeking(int n)
{
    const double fifths[5] = {0.2, 0.4, 0.6, 0.8, 1};
    const struct group_sequential_plan plan = {
        fifths, 5, 0.05, SPENDING_OBRIEN_FLEMING, 0, ALTERNATIVE_TWO_SIDED};
    double bounds[5], spent[5], ever[N_MONITORS] = {0}, last = 0;
    struct error error = {0};
    if (group_sequential_bounds(&plan, bounds, spent, &error) != 0) {
        trust_die("bounds", &error);
    }
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct peek peek = {.g = sequential_tune(N_LOOKS * PER_LOOK / 2.0, 0.05),
                            .tau = 0.02};
        double z = 0;
        memcpy(peek.bounds, bounds, sizeof bounds);
        rng_init(&rng, SEED + 1, (uint64_t)i);
        for (int at = 0; at < N_LOOKS; at++) {
            /* The first look waits for a settled standard error, as sequential.h says.
             */
            arrive(&peek, PER_LOOK, &rng);
            look(&peek, at, &z);
        }
        for (int m = 0; m < N_MONITORS; m++) {
            ever[m] += peek.has_rejected[m];
        }
        last += fabs(z) > 1.959963984540054;
    }
    printf("\n%d A/A experiments, %d looks, %d units between looks\n", n, N_LOOKS,
           PER_LOOK);
    trust_show("fixed-horizon p < 0.05 at any look (naive)", ever[NAIVE], n);
    trust_report("fixed-horizon p < 0.05 at the last look only", last, n, 0.05, false);
    trust_report("confidence sequence ever without 0", ever[SEQUENCE], n, 0.05, true);
    trust_report("one-sided sequence ever above 0", ever[SEQUENCE_ONE_SIDED], n, 0.05,
                 true);
    trust_report("mSPRT p ever < 0.05", ever[MSPRT], n, 0.05, true);
    trust_report("5 looks, O'Brien-Fleming bounds crossed", ever[FIVE_LOOKS], n, 0.05,
                 false);
    trust_show("chi-square SRM p < 0.001 at any look (naive)", ever[SRM_NAIVE], n);
    trust_report("always-valid SRM p ever < 0.001", ever[SRM_SEQUENTIAL], n, 0.001,
                 true);
}

/* ---- power ---- */

static double normal_sample(struct mean_sum *sum, int n, double mean, double sd,
                            struct rng *rng)
{
    for (int i = 0; i < n; i++) {
        mean_sum_add(sum, mean + sd * rng_normal(rng));
    }
    return sum->mean;
}

static void power_of_rates(int n, double lift)
{
    const struct power_plan plan = {POWER_PROPORTION,      0.1, 0, 0, 0.05,
                                    ALTERNATIVE_TWO_SIDED, 1};
    double n_units = 0, promised = 0, found = 0;
    struct error error = {0};
    if (power_sample_size(&plan, lift, 0.8, &n_units, &error) != 0 ||
        power_of(&plan, lift, n_units, &promised, &error) != 0) {
        trust_die("power", &error);
    }
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct proportion_sample arms[2] = {{0, (uint64_t)n_units},
                                            {0, (uint64_t)n_units}};
        struct proportion_z z;
        rng_init(&rng, SEED + 2, (uint64_t)i);
        for (uint64_t k = 0; k < (uint64_t)n_units; k++) {
            arms[0].n_successes += rng_uniform(&rng) < 0.1;
            arms[1].n_successes += rng_uniform(&rng) < 0.1 + lift;
        }
        if (proportion_z_test(&arms[0], &arms[1], true, ALTERNATIVE_TWO_SIDED, &z,
                              &error) != 0) {
            trust_die("power", &error);
        }
        found += z.p.p_value < 0.05;
    }
    char line[64];
    snprintf(line, sizeof line, "proportions 0.10 against %.2f, %g an arm", 0.1 + lift,
             n_units);
    trust_report(line, found, n, promised, false);
}

static void power_of_means(int n, int n_units, double effect)
{
    const struct power_plan plan = {POWER_MEAN, 0, 2, 2, 0.05, ALTERNATIVE_TWO_SIDED,
                                    1};
    double promised = 0, found = 0;
    struct error error = {0};
    if (power_of(&plan, effect, n_units, &promised, &error) != 0) {
        trust_die("power", &error);
    }
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct mean_sum sums[2] = {{0}, {0}};
        struct effect e;
        rng_init(&rng, SEED + 3, (uint64_t)i);
        (void)normal_sample(&sums[0], n_units, 0, 2, &rng);
        (void)normal_sample(&sums[1], n_units, effect, 2, &rng);
        const struct mean_sample c = mean_sum_sample(&sums[0]),
                                 t = mean_sum_sample(&sums[1]);
        if (mean_compare(&c, &t, 0.95, ALTERNATIVE_TWO_SIDED, &e, &error) != 0) {
            trust_die("power", &error);
        }
        found += e.p_value < 0.05;
    }
    char line[64];
    snprintf(line, sizeof line, "means, effect %g sd, %d an arm", effect / 2, n_units);
    trust_report(line, found, n, promised, false);
}

/* Denominators y of 1 to 9 (mean 5, variance 20/3); the numerator x is binomial(y,
 * taste), taste uniform in rate -+ 0.1 with variance v = 0.01 / 3. Then var(x - R y) =
 * E[y] (R (1 - R) - v) + E[y^2] v. */
static double ratio_unit_sd(double rate)
{
    const double v = 0.01 / 3, mean = 5, mean_square = 25 + 20.0 / 3;
    return sqrt(mean * (rate * (1 - rate) - v) + mean_square * v) / mean;
}

static void power_of_ratios(int n)
{
    const double base = 0.2, lift = 0.02;
    double found = 0, n_units = 0, promised = 0;
    const struct power_plan plan = {POWER_RATIO,
                                    base,
                                    ratio_unit_sd(base),
                                    ratio_unit_sd(base + lift),
                                    0.05,
                                    ALTERNATIVE_TWO_SIDED,
                                    1};
    struct error error = {0};
    if (power_sample_size(&plan, lift, 0.8, &n_units, &error) != 0 ||
        power_of(&plan, lift, n_units, &promised, &error) != 0) {
        trust_die("power", &error);
    }
    for (int i = 0; i < n; i++) {
        struct rng rng;
        struct ratio_sum sums[2] = {{0}, {0}};
        struct effect e;
        rng_init(&rng, SEED + 4, (uint64_t)i);
        for (int k = 0; k < 2 * (int)n_units; k++) {
            const int arm = k % 2, shown = 1 + (int)rng_below(&rng, 9);
            const double taste = base + arm * lift + 0.2 * (rng_uniform(&rng) - 0.5);
            int clicks = 0;
            for (int j = 0; j < shown; j++) {
                clicks += rng_uniform(&rng) < taste;
            }
            ratio_sum_add(&sums[arm], clicks, shown);
        }
        if (ratio_compare(&sums[0], &sums[1], 0.95, ALTERNATIVE_TWO_SIDED, &e,
                          &error) != 0) {
            trust_die("power", &error);
        }
        found += e.p_value < 0.05;
    }
    char line[64];
    snprintf(line, sizeof line, "ratios 0.20 against 0.22, %g users an arm", n_units);
    trust_report(line, found, n, promised, false);
}

static void section_power(int n)
{
    printf("\n%d experiments with an effect: how many found it\n", n);
    power_of_rates(n, 0.02);
    power_of_rates(n, 0.05);
    power_of_means(n, 20, 1);
    power_of_means(n, 338, 0.5);
    power_of_ratios(n);
}

static bool is_wanted(const char *part, const char *wanted)
{
    return !wanted || strcmp(part, wanted) == 0;
}

int main(int argc, char **argv)
{
    const int n = argc > 1 ? atoi(argv[1]) : 10000; /* NOLINT(cert-err34-c): a bench */
    const char *scratch = argc > 2 ? argv[2] : "/tmp";
    const char *part = argc > 3 ? argv[3] : NULL;
    const int n_jobs = argc > 4 ? atoi(argv[4]) : 1; /* NOLINT(cert-err34-c): a bench */
    if (n < 100 || n_jobs < 1) {
        fprintf(stderr, "usage: bench_trust [EXPERIMENTS >= 100] [SCRATCH-DIRECTORY] "
                        "[log|monitor|looks|power] [JOBS]\n");
        return 2;
    }
    if (is_wanted("log", part)) {
        trust_section_log(n, scratch, n_jobs);
    }
    if (is_wanted("monitor", part)) {
        trust_section_monitor(n, scratch, n_jobs);
    }
    if (is_wanted("looks", part)) {
        section_peeking(n);
    }
    if (is_wanted("power", part)) {
        section_power(n);
    }
    printf("\n%d lines out of their band\n", n_out_of_band);
    return n_out_of_band > 0;
}
