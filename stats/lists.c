#include "stats/lists.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "stats/order.h"

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
                     double values[LIST_MEASURES])
{
    const double sum = count_arm(items, arm, without, counts);
    const double n = items->n_items;
    double seen = 0, novelty = 0, ranked = 0;
    if (!(sum > 0)) {
        values[LIST_COVERAGE] = values[LIST_CONCENTRATION] = values[LIST_NOVELTY] = NAN;
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
    values[LIST_COVERAGE] = seen / n;
    values[LIST_CONCENTRATION] = ranked / (n * sum);
    values[LIST_NOVELTY] = novelty;
}

static void measure_arm(const struct item_counts *items, int arm,
                        const double *popularity, double *counts,
                        struct estimate measures[LIST_MEASURES])
{
    double values[LIST_MEASURES], parts[ITEM_GROUPS][LIST_MEASURES];
    describe(items, arm, -1, popularity, counts, values);
    for (int g = 0; g < ITEM_GROUPS; g++) {
        describe(items, arm, g, popularity, counts, parts[g]);
    }
    for (int m = 0; m < LIST_MEASURES; m++) {
        double mean = 0, squares = 0;
        for (int g = 0; g < ITEM_GROUPS; g++) {
            mean += parts[g][m] / ITEM_GROUPS;
        }
        for (int g = 0; g < ITEM_GROUPS; g++) {
            squares += (parts[g][m] - mean) * (parts[g][m] - mean);
        }
        measures[m] = (struct estimate){
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

int lists_measure_items(const struct item_counts *items, struct estimate *measures,
                        struct error *error)
{
    const size_t n = (size_t)items->n_items + 1;
    double *work = malloc(2 * n * sizeof *work);
    if (!work) {
        error_set(error, ERROR_NOMEM, "no memory for the counts of %d items",
                  items->n_items);
        return -1;
    }
    double *popularity = work, *counts = work + n;
    count_popularity(items, popularity, counts);
    for (int a = 0; a < items->n_arms; a++) {
        measure_arm(items, a, popularity, counts, &measures[(size_t)a * LIST_MEASURES]);
    }
    free(work);
    return 0;
}

/* An answer stands before what it answers to. */
static int compare_shown(const void *a, const void *b)
{
    const struct shown_item *x = a, *y = b;
    if (x->unit != y->unit) {
        return x->unit < y->unit ? -1 : 1;
    }
    if (x->item != y->item) {
        return x->item < y->item ? -1 : 1;
    }
    if (x->request != y->request) {
        return x->request < y->request ? -1 : 1;
    }
    return (x->position > y->position) - (x->position < y->position);
}

void lists_sort(struct shown_item *shown, int64_t n_shown)
{
    if (n_shown > 0) {
        qsort(shown, (size_t)n_shown, sizeof *shown, compare_shown);
    }
}

/* One unit's showings. */
struct unit_count {
    double shown, distinct;
    double at[LIST_POSITIONS], clicked[LIST_POSITIONS];
};

static void add_unit(const struct unit_count *count, struct list_sums *sums)
{
    if (count->shown > 0) {
        ratio_sum_add(&sums->repeats, count->shown - count->distinct, count->shown);
    }
    for (int p = 0; p < LIST_POSITIONS; p++) {
        if (count->at[p] > 0) {
            ratio_sum_add(&sums->clicks[p], count->clicked[p], count->at[p]);
        }
    }
}

int64_t lists_add_shown(const struct shown_item *shown, int64_t n_shown,
                        struct list_sums *sums)
{
    struct unit_count count = {0};
    int64_t n_answered = 0;
    bool is_answered = false, is_item_shown = false;
    for (int64_t i = 0; i < n_shown; i++) {
        const struct shown_item *at = &shown[i];
        const struct shown_item *last = i > 0 ? at - 1 : NULL;
        if (last && last->unit != at->unit) {
            add_unit(&count, &sums[last->arm]);
            memset(&count, 0, sizeof count);
        }
        const bool is_same_item =
            last && last->unit == at->unit && last->item == at->item;
        is_item_shown &= is_same_item;
        is_answered &= is_same_item && last->request == at->request;
        if (at->position == SHOWN_ANSWER) {
            is_answered = true;
            continue;
        }
        count.shown++;
        count.distinct += !is_item_shown;
        is_item_shown = true;
        n_answered += is_answered;
        if (at->position < LIST_POSITIONS) {
            count.at[at->position]++;
            count.clicked[at->position] += is_answered;
        }
    }
    if (n_shown > 0) {
        add_unit(&count, &sums[shown[n_shown - 1].arm]);
    }
    return n_answered;
}
