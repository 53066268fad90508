/* join_lists.c - what was shown and what was answered to: which items, at which
 * position, how fast.
 *
 * Item counts are complete. Single showings are kept to be matched with the answers to
 * them, for an answer names the request and the item but not the position, and may
 * stand in another file than the list; of many, those of a sample of units are kept.
 */
#include <stdlib.h>
#include <string.h>

#include "stats/join_state.h"

static int count_item(struct join_items *items, struct slice id, int arm, int group,
                      uint32_t n)
{
    const size_t row = (size_t)JOIN_ITEM_ARMS * ITEM_GROUPS;
    if (!items->ids) {
        items->ids = id_map_new();
        if (!items->ids) {
            return -1;
        }
    }
    const int32_t at = id_map_add(items->ids, id);
    if (at == ID_NONE) {
        return -1;
    }
    if (at >= items->capacity) {
        const int32_t capacity = items->capacity ? items->capacity * 2 : 256;
        uint32_t *counts =
            realloc(items->counts, (size_t)capacity * row * sizeof *counts);
        if (!counts) {
            return -1;
        }
        memset(counts + (size_t)items->capacity * row, 0,
               (size_t)(capacity - items->capacity) * row * sizeof *counts);
        items->counts = counts;
        items->capacity = capacity;
    }
    items->counts[(size_t)at * row + (size_t)arm * ITEM_GROUPS + (size_t)group] += n;
    return 0;
}

static int merge_items(struct join_items *into, const struct join_items *from)
{
    const int32_t n = from->ids ? id_map_count(from->ids) : 0;
    for (int32_t i = 0; i < n; i++) {
        for (int arm = 0; arm < JOIN_ITEM_ARMS; arm++) {
            for (int group = 0; group < ITEM_GROUPS; group++) {
                const uint32_t count =
                    from->counts[((size_t)i * JOIN_ITEM_ARMS + (size_t)arm) *
                                     ITEM_GROUPS +
                                 (size_t)group];
                if (count &&
                    count_item(into, id_map_id(from->ids, i), arm, group, count) != 0) {
                    return -1;
                }
            }
        }
    }
    return 0;
}

int join_list_item(struct join_worker *worker, int at, const struct shown_item *shown,
                   struct slice id)
{
    const struct join *join = worker->join;
    struct join_lists *lists = &worker->tallies[at].lists;
    const int arm = join->experiments[at].units[shown->unit].arm;
    const int group = (int)(join->user_hash[shown->unit] % ITEM_GROUPS);
    if (shown->position != SHOWN_ANSWER && arm < JOIN_ITEM_ARMS &&
        count_item(&lists->items, id, arm, group, 1) != 0) {
        return -1;
    }
    return join_sample_add(join, &lists->shown, shown, sizeof *shown);
}

int join_list_latency(struct join_worker *worker, int at, int32_t unit,
                      int64_t latency_us)
{
    const struct join_single latency = {unit, (double)latency_us};
    return join_sample_add(worker->join, &worker->tallies[at].lists.latency, &latency,
                           sizeof latency);
}

int join_lists_merge(const struct join *join, struct join_lists *into,
                     struct join_lists *from)
{
    return merge_items(&into->items, &from->items) != 0 ||
                   join_sample_merge(join, &into->shown, &from->shown,
                                     sizeof(struct shown_item)) != 0 ||
                   join_sample_merge(join, &into->latency, &from->latency,
                                     sizeof(struct join_single)) != 0
               ? -1
               : 0;
}

void join_lists_free(struct join_lists *lists)
{
    id_map_free(lists->items.ids);
    free(lists->items.counts);
    free(lists->shown.records);
    free(lists->latency.records);
    *lists = (struct join_lists){0};
}

struct item_row {
    struct slice id;
    int32_t item;
};

static int compare_items(const void *a, const void *b)
{
    return slice_compare(((const struct item_row *)a)->id,
                         ((const struct item_row *)b)->id);
}

/* Items in byte order of id, with the arms of the spec. */
static int fill_items(const struct join_experiment *experiment, const int *arm_of,
                      struct item_counts *to)
{
    const struct join_items *items = &experiment->lists.items;
    const int n = items->ids ? id_map_count(items->ids) : 0;
    const int n_arms = experiment->spec->n_arms;
    struct item_row *rows = calloc((size_t)n + 1, sizeof *rows);
    to->counts =
        calloc((size_t)n * (size_t)n_arms * ITEM_GROUPS + 1, sizeof *to->counts);
    if (!rows || !to->counts) {
        free(rows);
        return -1;
    }
    to->n_items = n;
    to->n_arms = n_arms;
    for (int32_t i = 0; i < n; i++) {
        rows[i] = (struct item_row){id_map_id(items->ids, i), i};
    }
    qsort(rows, (size_t)n, sizeof *rows, compare_items);
    const int n_logged = id_map_count(experiment->arms);
    for (int32_t i = 0; i < n; i++) {
        for (int a = 0; a < n_logged && a < JOIN_ITEM_ARMS; a++) {
            const uint32_t *from =
                &items->counts[((size_t)rows[i].item * JOIN_ITEM_ARMS + (size_t)a) *
                               ITEM_GROUPS];
            for (int g = 0; arm_of[a] >= 0 && g < ITEM_GROUPS; g++) {
                to->counts[((size_t)i * (size_t)n_arms + (size_t)arm_of[a]) *
                               ITEM_GROUPS +
                           (size_t)g] = from[g];
            }
        }
    }
    free(rows);
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

static int fill_shown(const struct join_sample *sample, const int32_t *row_of,
                      struct unit_lists *to)
{
    const struct shown_item *records = sample->records;
    to->shown = malloc((sample->n + 1) * sizeof *to->shown);
    if (!to->shown) {
        return -1;
    }
    for (size_t i = 0; i < sample->n; i++) {
        struct shown_item shown = records[i];
        shown.unit = row_of[shown.unit];
        if (shown.unit >= 0) {
            to->shown[to->n_shown++] = shown;
        }
    }
    qsort(to->shown, (size_t)to->n_shown, sizeof *to->shown, compare_shown);
    to->shown_1_in = 1 << sample->shift;
    return 0;
}

int join_lists_fill(struct join_experiment *experiment, const int32_t *row_of,
                    const int *arm_of, struct unit_lists *to)
{
    return fill_items(experiment, arm_of, &to->items) != 0 ||
                   fill_shown(&experiment->lists.shown, row_of, to) != 0 ||
                   join_singles_take(&experiment->lists.latency, row_of,
                                     &to->latency) != 0
               ? -1
               : 0;
}
