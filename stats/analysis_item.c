/* analysis_item.c - which items the lists of each arm were made of: how many they
 * reach, how unevenly, how little known.
 *
 * These are numbers of an arm, not of a unit, so their variance comes from leaving out
 * one of ITEM_GROUPS random groups of units at a time (delete-a-group jackknife; K. M.
 * Wolter, Introduction to Variance Estimation, 2nd ed. 2007, 4.3). Coverage grows with
 * the number of lists; compare it between arms of the same size only.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/order.h"

#define N_ITEM_METRICS 3
#define JACKKNIFE      "delete-a-group jackknife over 16 groups of units, t-test, two-sided"

/* Showings of each item in one arm, without group `without` (-1: with all). */
static double count_arm(const struct item_counts *items, int arm, int without,
                        double *counts)
{
    double sum = 0;
    for (int i = 0; i < items->n_items; i++) {
        const uint32_t *at =
            &items->counts[((size_t)i * (size_t)items->n_arms + (size_t)arm) *
                           ITEM_GROUPS];
        counts[i] = 0;
        for (int g = 0; g < ITEM_GROUPS; g++) {
            counts[i] += g == without ? 0 : (double)at[g];
        }
        sum += counts[i];
    }
    return sum;
}

/* The three numbers. popularity: (n_items) share of each item among all showings of all
 * arms. counts is sorted. */
static void describe(const struct item_counts *items, int arm, int without,
                     const double *popularity, double *counts,
                     double values[N_ITEM_METRICS])
{
    const double sum = count_arm(items, arm, without, counts);
    const double n = items->n_items;
    double seen = 0, novelty = 0, ranked = 0;
    if (!(sum > 0)) {
        values[0] = values[1] = values[2] = NAN;
        return;
    }
    for (int i = 0; i < items->n_items; i++) {
        seen += counts[i] > 0;
        novelty -= counts[i] > 0 ? counts[i] / sum * log2(popularity[i]) : 0;
    }
    order_sort(counts, (uint64_t)items->n_items);
    for (int i = 0; i < items->n_items; i++) {
        ranked += (2 * (i + 1) - n - 1) * counts[i];
    }
    values[0] = seen / n;
    values[1] = ranked / (n * sum);
    values[2] = novelty;
}

static void estimate_arm(const struct item_counts *items, int arm,
                         const double *popularity, double *counts,
                         struct estimate estimates[N_ITEM_METRICS])
{
    double values[N_ITEM_METRICS], parts[ITEM_GROUPS][N_ITEM_METRICS];
    describe(items, arm, -1, popularity, counts, values);
    for (int g = 0; g < ITEM_GROUPS; g++) {
        describe(items, arm, g, popularity, counts, parts[g]);
    }
    for (int m = 0; m < N_ITEM_METRICS; m++) {
        double mean = 0, squares = 0;
        for (int g = 0; g < ITEM_GROUPS; g++) {
            mean += parts[g][m] / ITEM_GROUPS;
        }
        for (int g = 0; g < ITEM_GROUPS; g++) {
            squares += (parts[g][m] - mean) * (parts[g][m] - mean);
        }
        estimates[m] = (struct estimate){
            values[m], squares * (ITEM_GROUPS - 1) / ITEM_GROUPS, ITEM_GROUPS - 1};
    }
}

static void count_popularity(const struct item_counts *items, double *popularity,
                             double *counts)
{
    double total = 0;
    for (int i = 0; i < items->n_items; i++) {
        popularity[i] = 0;
    }
    for (int a = 0; a < items->n_arms; a++) {
        total += count_arm(items, a, -1, counts);
        for (int i = 0; i < items->n_items; i++) {
            popularity[i] += counts[i];
        }
    }
    for (int i = 0; i < items->n_items; i++) {
        popularity[i] /= total;
    }
}

int analysis_items(struct analysis *analysis, struct experiment_result *result,
                   const struct item_counts *items, struct error *error)
{
    static const char *const texts[N_ITEM_METRICS][2] = {
        {"coverage", "share of the items shown in any arm that this arm shows"},
        {"concentration",
         "Gini coefficient of showings over items: 0 even, 1 one item"},
        {"novelty", "mean -log2 of an item's share of all showings, in bits"},
    };
    struct item_metric *metrics[N_ITEM_METRICS];
    int rc = -1;
    double *popularity = malloc((size_t)items->n_items * sizeof *popularity);
    double *counts = malloc((size_t)items->n_items * sizeof *counts);
    if (!popularity || !counts) {
        analysis_no_memory(result, error);
        goto out;
    }
    for (int m = 0; m < N_ITEM_METRICS; m++) {
        metrics[m] =
            analysis_list_metric(analysis, result, texts[m][0], texts[m][1], 0);
        if (!metrics[m]) {
            analysis_no_memory(result, error);
            goto out;
        }
    }
    count_popularity(items, popularity, counts);
    for (int a = 0; a < items->n_arms; a++) {
        struct estimate estimates[N_ITEM_METRICS];
        estimate_arm(items, a, popularity, counts, estimates);
        for (int m = 0; m < N_ITEM_METRICS; m++) {
            metrics[m]->arms[a] = estimates[m];
        }
    }
    for (int m = 0; m < N_ITEM_METRICS; m++) {
        if (analysis_list_compare(result, metrics[m], JACKKNIFE, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(popularity);
    free(counts);
    return rc;
}
