/* join_lists.c - what was shown and what was answered to: which items, at which
 * position, how fast.
 *
 * Item counts are complete. Single showings are kept to be matched with the answers to
 * them, for an answer names the request and the item but not the position, and may
 * stand in another file than the list; of many, those of a sample of units are kept.
 *
 * Units that are seen in a second arm do not count, and a state may have counted their
 * lists before. They are taken back one by one, of the single showings that the state
 * keeps; of a sample that was thinned not all are there, and the log is read whole.
 */
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
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

static void free_items(struct join_items *items)
{
    id_map_free(items->ids);
    free(items->counts);
    *items = (struct join_items){0};
}

/* Moves the counts of `from`, which begins anew. */
static int merge_items(struct join_items *into, struct join_items *from)
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
    free_items(from);
    return 0;
}

int join_list_item(struct join_worker *worker, int at, const struct shown_item *shown,
                   struct slice id)
{
    const struct join *join = worker->join;
    struct join_lists *lists = &worker->tallies[at].lists;
    const int group = lists_group(join_user_hash(join, shown->unit));
    if (shown->position != SHOWN_ANSWER && shown->arm < JOIN_ITEM_ARMS &&
        count_item(&lists->items, id, shown->arm, group, 1) != 0) {
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
    free_items(&lists->items);
    free(lists->shown.records);
    free(lists->latency.records);
    *lists = (struct join_lists){0};
}

bool join_lists_are_thinned(const struct join_lists *lists)
{
    return lists->shown.shift > 0 || lists->latency.shift > 0;
}

/* An item by the hash of its id. */
struct item_hash {
    uint64_t hash;
    int32_t item;
};

static int compare_hashes(const void *a, const void *b)
{
    const uint64_t x = ((const struct item_hash *)a)->hash,
                   y = ((const struct item_hash *)b)->hash;
    return (x > y) - (x < y);
}

static struct item_hash *hash_items(const struct join_items *items, size_t n)
{
    struct item_hash *hashes = calloc(n + 1, sizeof *hashes);
    for (size_t i = 0; hashes && i < n; i++) {
        const struct slice id = id_map_id(items->ids, (int32_t)i);
        hashes[i] = (struct item_hash){hash_bytes(id.data, id.len), (int32_t)i};
    }
    if (hashes) {
        qsort(hashes, n, sizeof *hashes, compare_hashes);
    }
    return hashes;
}

/* One showing off the counts of its item; hashes: (n_items) sorted. */
static void uncount(const struct join *join, struct join_items *items,
                    const struct item_hash *hashes, const struct shown_item *shown)
{
    const struct item_hash wanted = {shown->item, 0};
    const struct item_hash *found =
        bsearch(&wanted, hashes, (size_t)id_map_count(items->ids), sizeof *hashes,
                compare_hashes);
    if (found) { /* of any state that is whole */
        items->counts[((size_t)found->item * JOIN_ITEM_ARMS + (size_t)shown->arm) *
                          ITEM_GROUPS +
                      (size_t)lists_group(join_user_hash(join, shown->unit))]--;
    }
}

/* Of the showings, those of units that count; the others are taken off the items'
 * counts. */
static int keep_shown(struct join *join, const struct join_experiment *experiment,
                      struct join_lists *lists)
{
    struct join_items *items = &lists->items;
    struct shown_item *records = lists->shown.records;
    struct item_hash *hashes = NULL;
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < lists->shown.n && rc == 0; i++) {
        const struct shown_item shown = records[i];
        if (shown.arm >= experiment->spec->n_arms) {
            rc = join_set_stale(join, "it is damaged");
        } else if (experiment->units[shown.unit].arm >= 0) {
            records[kept++] = shown;
        } else if (shown.position != SHOWN_ANSWER && shown.arm < JOIN_ITEM_ARMS &&
                   items->ids) {
            if (!hashes) {
                hashes = hash_items(items, (size_t)id_map_count(items->ids));
            }
            if (hashes) {
                uncount(join, items, hashes, &shown);
            } else {
                rc = join_no_memory(join);
            }
        }
    }
    free(hashes);
    lists->shown.n = kept;
    return rc;
}

int join_lists_take_back(struct join *join, struct join_experiment *experiment)
{
    struct join_lists *lists = &experiment->lists;
    struct join_single *latencies = lists->latency.records;
    size_t kept = 0;
    for (size_t i = 0; i < lists->latency.n; i++) {
        if (experiment->units[latencies[i].unit].arm >= 0) {
            latencies[kept++] = latencies[i];
        }
    }
    lists->latency.n = kept;
    return keep_shown(join, experiment, lists);
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

/* Showings of an item in the arms of the spec. */
static uint64_t count_showings(const struct join_items *items, int32_t item)
{
    const size_t row = (size_t)JOIN_ITEM_ARMS * ITEM_GROUPS;
    uint64_t sum = 0;
    for (size_t i = 0; i < row; i++) {
        sum += items->counts[(size_t)item * row + i];
    }
    return sum;
}

/* Items in byte order of id; those of which no showing counts any more are none. */
static int fill_items(const struct join_experiment *experiment, struct item_counts *to)
{
    const struct join_items *items = &experiment->lists.items;
    const int32_t n = items->ids ? id_map_count(items->ids) : 0;
    const int n_arms = experiment->spec->n_arms;
    int n_rows = 0;
    struct item_row *rows = calloc((size_t)n + 1, sizeof *rows);
    to->counts =
        calloc((size_t)n * (size_t)n_arms * ITEM_GROUPS + 1, sizeof *to->counts);
    if (!rows || !to->counts) {
        free(rows);
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        if (count_showings(items, i) > 0) {
            rows[n_rows++] = (struct item_row){id_map_id(items->ids, i), i};
        }
    }
    to->n_items = n_rows;
    to->n_arms = n_arms;
    qsort(rows, (size_t)n_rows, sizeof *rows, compare_items);
    const size_t n_counted =
        (size_t)(n_arms < JOIN_ITEM_ARMS ? n_arms : JOIN_ITEM_ARMS) * ITEM_GROUPS;
    for (int i = 0; i < n_rows; i++) {
        memcpy(&to->counts[(size_t)i * (size_t)n_arms * ITEM_GROUPS],
               &items->counts[(size_t)rows[i].item * JOIN_ITEM_ARMS * ITEM_GROUPS],
               n_counted * sizeof *to->counts);
    }
    free(rows);
    return 0;
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
    lists_sort(to->shown, to->n_shown);
    to->shown_1_in = 1 << sample->shift;
    return 0;
}

int join_lists_fill(struct join_experiment *experiment, const int32_t *row_of,
                    struct unit_lists *to)
{
    return fill_items(experiment, &to->items) != 0 ||
                   fill_shown(&experiment->lists.shown, row_of, to) != 0 ||
                   join_singles_take(&experiment->lists.latency, row_of,
                                     &to->latency) != 0
               ? -1
               : 0;
}
