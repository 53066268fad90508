/* bench_assignment.c - what an assignment costs, and whether arms are as random as they
 * must be.
 *
 *     bench_assignment            ns per assignment
 *     bench_assignment uniform    chi-square tests over 10,000,000 users; exits with 1
 *                                 when a p-value is below 1e-4 / number of tests
 *
 * The tests: buckets uniform under each seed; the buckets of each two seeds
 * independent; no trace of the id modulo 2, 7 and 10; none of the neighbouring id.
 * Version 1 of the hash, which GrowthBook has given up, is put through the same pairs,
 * to show that the tests can see something. */
#include <gsl/gsl_cdf.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "experiment/bucket.h"
#include "experiment/experiment.h"

#define N_USERS  10000000
#define N_SEEDS  8
#define N_PAIRS  (N_SEEDS * (N_SEEDS - 1) / 2)
#define N_GROUPS 10 /* tenths of the buckets, for the two-way tables */

/* ---- cost ---- */

static double cpu_seconds(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int compare_doubles(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    if (config_parse(slice_of(text), "bench", "", &config, &problems, &error) != 0) {
        fprintf(stderr, "%s\n", error.message);
        exit(1);
    }
    config_problems_free(&problems);
    return config;
}

#define MODEL "[model m]\nfile = m\n[attributes]\ncountry = string\nage = number\n"
#define ARMS(e, key)                                                                   \
    "[experiment " e "]\nstatus = running\n"                                           \
    "[arm " e " a]\nweight = 0.5\n" key " = 1\n[arm " e " b]\nweight = 0.5\n"
#define LAYERED(e, range)                                                              \
    "[experiment " e "]\nstatus = running\nlayer = ranking " range "\n"                \
    "audience = country in (NL, ZA) and age >= 18\n"                                   \
    "[arm " e " a]\nweight = 0.5\nitem_bias = 0\n[arm " e " b]\nweight = 0.5\n"

static const char one[] = MODEL ARMS("item-bias", "item_bias");
static const char ten[] = MODEL "[holdout]\nshare = 0.05\n" ARMS("first", "k")
    ARMS("second", "explore") LAYERED("l1", "0 0.125") LAYERED("l2", "0.125 0.25")
        LAYERED("l3", "0.25 0.375") LAYERED("l4", "0.375 0.5")
            LAYERED("l5", "0.5 0.625") LAYERED("l6", "0.625 0.75")
                LAYERED("l7", "0.75 0.875") LAYERED("l8", "0.875 1");

enum { N_IDS = 1024, N_ROUNDS = 400, N_REPEATS = 7 };

enum id_style { ID_DIGITS, ID_UUID, ID_WIDE };

static void make_id(char id[64], enum id_style style, unsigned number)
{
    if (style == ID_DIGITS) {
        snprintf(id, 64, "%010u", number);
    } else if (style == ID_UUID) {
        snprintf(id, 64, "%08x-9c2f-4b1e-8a77-0123456789ab", number);
    } else {
        snprintf(id, 64, "Jürgen 🙂 %08x", number);
    }
}

static void measure(const char *what, const char *text, enum id_style style)
{
    static char ids[N_IDS][64];
    struct slice units[N_IDS];
    double seconds[N_REPEATS];
    struct config *config = parse(text);
    const struct attribute_value attributes[2] = {
        {.is_known = true, .text = slice_of("NL")}, {.is_known = true, .number = 30}};
    struct assignment assignments[16];
    volatile int sum = 0;
    for (int i = 0; i < N_IDS; i++) {
        make_id(ids[i], style, (unsigned)i * 2654435761U);
        units[i] = slice_of(ids[i]);
    }
    for (int repeat = 0; repeat < N_REPEATS; repeat++) {
        const double start = cpu_seconds();
        for (int round = 0; round < N_ROUNDS; round++) {
            for (int i = 0; i < N_IDS; i++) {
                const struct assignment_request request = {units[i], 0, attributes};
                config_assign(config, &request, assignments);
                sum = sum + assignments[0].arm;
            }
        }
        seconds[repeat] = cpu_seconds() - start;
    }
    qsort(seconds, N_REPEATS, sizeof seconds[0], compare_doubles);
    const double ns = 1e9 * seconds[N_REPEATS / 2] / ((double)N_ROUNDS * N_IDS);
    printf("%-44s %8.1f ns a user, %6.1f ns an experiment\n", what, ns,
           ns / config->n_experiments);
    config_free(config);
}

static void measure_all(void)
{
    measure("1 experiment, ids of 10 digits", one, ID_DIGITS);
    measure("1 experiment, UUIDs", one, ID_UUID);
    measure("1 experiment, ids with accents and emoji", one, ID_WIDE);
    measure("10, with holdout, layer and audience", ten, ID_DIGITS);
}

/* ---- uniformity ---- */

struct verdicts {
    int n_tests, n_failed;
    double smallest;
    const char *what; /* had the smallest */
};

static double p_value(const double *counts, int n_cells, double expected, double df)
{
    double chi_square = 0;
    for (int i = 0; i < n_cells; i++) {
        chi_square += (counts[i] - expected) * (counts[i] - expected) / expected;
    }
    return gsl_cdf_chisq_Q(chi_square, df);
}

static void judge(struct verdicts *verdicts, const char *what, double p)
{
    verdicts->n_tests++;
    if (verdicts->n_tests == 1 || p < verdicts->smallest) {
        verdicts->smallest = p;
        verdicts->what = what;
    }
}

static const char *const seeds[N_SEEDS] = {
    "item-bias", "item-bias-2", "item-bias-3", "a", "b", "my-test", "2026-q1", "ключ"};

/* What is counted of one hash over all users. */
struct counts {
    double bucket[N_SEEDS][10000];
    double pair[N_PAIRS][N_GROUPS * N_GROUPS];
    double modulo[3][N_SEEDS][10 * N_GROUPS];
    double neighbour[N_SEEDS][N_GROUPS * N_GROUPS];
    double half[N_SEEDS][2];
};

static const int moduli[3] = {2, 7, 10};

static void count_user(struct counts *counts, int id, const int *now, const int *before)
{
    int pair = 0;
    for (int s = 0; s < N_SEEDS; s++) {
        const int tenth = now[s] / 1000;
        counts->bucket[s][now[s]]++;
        counts->half[s][now[s] / 5000]++;
        for (int m = 0; m < 3; m++) {
            counts->modulo[m][s][id % moduli[m] * N_GROUPS + tenth]++;
        }
        counts->neighbour[s][before[s] / 1000 * N_GROUPS + tenth]++;
        for (int t = 0; t < s; t++) {
            counts->pair[pair++][now[t] / 1000 * N_GROUPS + tenth]++;
        }
    }
}

static void count_all(struct counts *counts, bool is_version_1)
{
    uint32_t states[N_SEEDS];
    int before[N_SEEDS] = {0}, now[N_SEEDS];
    char id[16];
    for (int s = 0; s < N_SEEDS; s++) {
        states[s] = bucket_state(slice_of(seeds[s]));
    }
    for (int i = -1; i < N_USERS; i++) {
        const struct slice unit = {id, (size_t)snprintf(id, sizeof id, "%d", i)};
        for (int s = 0; s < N_SEEDS; s++) {
            now[s] = is_version_1
                         ? (int)(bucket_version_1(slice_of(seeds[s]), unit) * 10000)
                         : (int)bucket_number(states[s], unit);
        }
        if (i >= 0) {
            count_user(counts, i, now, before);
        }
        memcpy(before, now, sizeof before);
    }
}

static void judge_pairs(const struct counts *counts, struct verdicts *verdicts)
{
    for (int pair = 0; pair < N_PAIRS; pair++) {
        const double p = p_value(counts->pair[pair], N_GROUPS * N_GROUPS,
                                 N_USERS / 100.0, N_GROUPS * N_GROUPS - 1);
        judge(verdicts, "two seeds", p);
    }
}

static void judge_all(const struct counts *counts, struct verdicts *verdicts)
{
    static const char *const modulo_names[3] = {"id modulo 2", "id modulo 7",
                                                "id modulo 10"};
    for (int s = 0; s < N_SEEDS; s++) {
        judge(verdicts, "10,000 buckets",
              p_value(counts->bucket[s], 10000, N_USERS / 10000.0, 9999));
        judge(verdicts, "two arms", p_value(counts->half[s], 2, N_USERS / 2.0, 1));
        judge(verdicts, "neighbouring ids",
              p_value(counts->neighbour[s], 100, N_USERS / 100.0, 99));
        for (int m = 0; m < 3; m++) {
            const int n_cells = moduli[m] * N_GROUPS;
            judge(verdicts, modulo_names[m],
                  p_value(counts->modulo[m][s], n_cells, N_USERS / (double)n_cells,
                          n_cells - 1));
        }
    }
    judge_pairs(counts, verdicts);
}

static int test_uniformity(void)
{
    struct verdicts verdicts = {0}, old = {0};
    struct counts *counts = calloc(1, sizeof *counts);
    if (!counts) {
        fprintf(stderr, "no memory\n");
        return 1;
    }
    count_all(counts, false);
    judge_all(counts, &verdicts);
    const double limit = 1e-4 / verdicts.n_tests;
    printf("%d users, %d seeds: %d tests, smallest p %.3g (%s), limit %.3g: %s\n",
           N_USERS, N_SEEDS, verdicts.n_tests, verdicts.smallest, verdicts.what, limit,
           verdicts.smallest > limit ? "all hold" : "NOT RANDOM");
    memset(counts, 0, sizeof *counts);
    count_all(counts, true);
    judge_pairs(counts, &old);
    int n_dependent = 0;
    for (int pair = 0; pair < N_PAIRS; pair++) {
        n_dependent += p_value(counts->pair[pair], 100, N_USERS / 100.0, 99) <= limit;
    }
    printf("hash version 1, for comparison: %d of %d pairs of seeds are dependent\n",
           n_dependent, N_PAIRS);
    free(counts);
    return verdicts.smallest > limit ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "uniform") == 0) {
        return test_uniformity();
    }
    measure_all();
    return 0;
}
