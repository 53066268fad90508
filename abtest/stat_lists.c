/* stat_lists.c - the problems about lists of items that units were shown: coverage,
 * concentration, novelty, repeats and clicks by position, as `analyze --lists` has
 * them. */
#include <stdlib.h>

#include "abtest/stat_problem.h"
#include "common/hash.h"
#include "common/id_map.h"

#define N_ARMS    2
#define MAX_SHOWN 10000000

/* What both arms were shown. */
struct shown_lists {
    struct id_map *units, *items;
    struct item_counts counts; /* of n_items items */
    int capacity;              /* items that there is room for */
    struct shown_item *shown;
    int64_t n_shown, shown_capacity;
    uint64_t n_lists;
};

static void shown_lists_free(struct shown_lists *lists)
{
    id_map_free(lists->units);
    id_map_free(lists->items);
    free(lists->counts.counts);
    free(lists->shown);
}

static int no_memory(struct error *error)
{
    error_set(error, ERROR_NOMEM, "no memory for the lists");
    return -1;
}

static int add_shown(struct shown_lists *lists, const struct shown_item *shown,
                     struct error *error)
{
    if (lists->n_shown == lists->shown_capacity) {
        const int64_t capacity = lists->n_shown ? lists->n_shown * 2 : 256;
        struct shown_item *grown =
            realloc(lists->shown, (size_t)capacity * sizeof *grown);
        if (!grown) {
            return no_memory(error);
        }
        lists->shown = grown;
        lists->shown_capacity = capacity;
    }
    lists->shown[lists->n_shown++] = *shown;
    return 0;
}

/* Index of an item: a text, or a whole number for those whose ids are. */
static int read_item(struct shown_lists *lists, const json_t *item, int32_t *index,
                     struct error *error)
{
    char digits[24];
    struct slice id = {json_string_value(item), json_string_length(item)};
    if (json_is_integer(item)) {
        const int n = snprintf(digits, sizeof digits, "%" JSON_INTEGER_FORMAT,
                               json_integer_value(item));
        id = (struct slice){digits, n > 0 ? (size_t)n : 0};
    } else if (!json_is_string(item)) {
        error_set(error, ERROR_INVALID, "an item must be a text or a whole number");
        return -1;
    }
    *index = id_map_add(lists->items, id);
    return *index == ID_NONE ? no_memory(error) : 0;
}

static int count_item(struct shown_lists *lists, int32_t item, int arm, int group,
                      struct error *error)
{
    const size_t row = (size_t)N_ARMS * ITEM_GROUPS;
    if (item >= lists->capacity || !lists->counts.counts) {
        const int capacity = lists->capacity ? lists->capacity * 2 : 64;
        uint32_t *grown =
            realloc(lists->counts.counts, (size_t)capacity * row * sizeof *grown);
        if (!grown) {
            return no_memory(error);
        }
        for (size_t i = (size_t)lists->capacity * row; i < (size_t)capacity * row;
             i++) {
            grown[i] = 0;
        }
        lists->counts.counts = grown;
        lists->capacity = capacity;
    }
    lists->counts
        .counts[(size_t)item * row + (size_t)arm * ITEM_GROUPS + (size_t)group]++;
    return 0;
}

/* The answers to the list that ends the showings; each must be to an item of it. */
static int read_clicks(struct shown_lists *lists, const json_t *clicked,
                       const struct shown_item *of, int64_t from, struct error *error)
{
    const int64_t to = lists->n_shown;
    for (size_t i = 0; i < json_array_size(clicked); i++) {
        struct shown_item answer = *of;
        int32_t item = ID_NONE;
        bool is_there = false;
        if (read_item(lists, json_array_get(clicked, i), &item, error) != 0) {
            return -1;
        }
        answer.position = SHOWN_ANSWER;
        answer.item = (uint64_t)item;
        for (int64_t s = from; s < to && !is_there; s++) {
            is_there = lists->shown[s].item == answer.item;
        }
        if (!is_there) {
            error_set(error, ERROR_INVALID,
                      "\"clicked\" names an item that its list does not hold");
            return -1;
        }
        if (add_shown(lists, &answer, error) != 0) {
            return -1;
        }
    }
    return 0;
}

/* One list of the unit in `of`: items, best first, or {"items":, "clicked":}. */
static int read_list(struct shown_lists *lists, const json_t *list, int group,
                     struct shown_item *of, struct error *error)
{
    const json_t *items = json_is_object(list) ? json_object_get(list, "items") : list;
    const int64_t from = lists->n_shown;
    if (!json_is_array(items) || json_array_size(items) > INT16_MAX ||
        lists->n_shown > MAX_SHOWN) {
        error_set(
            error, ERROR_INVALID,
            "a list must be [items] or {\"items\": [...], \"clicked\": [...]}, of "
            "at most %d items, and all together of at most %d",
            INT16_MAX, MAX_SHOWN);
        return -1;
    }
    of->request = lists->n_lists++;
    for (size_t i = 0; i < json_array_size(items); i++) {
        int32_t item = ID_NONE;
        if (read_item(lists, json_array_get(items, i), &item, error) != 0 ||
            count_item(lists, item, of->arm, group, error) != 0) {
            return -1;
        }
        of->position = (int16_t)i;
        of->item = (uint64_t)item;
        if (add_shown(lists, of, error) != 0) {
            return -1;
        }
    }
    return read_clicks(lists, json_object_get(list, "clicked"), of, from, error);
}

/* {"unit": [list, ...], ...} */
static int read_list_arm(const json_t *problem, const char *key, int arm,
                         struct shown_lists *lists, struct error *error)
{
    json_t *units = json_object_get(problem, key);
    const char *id = NULL;
    json_t *of_unit = NULL;
    if (!json_is_object(units) || json_object_size(units) == 0) {
        error_set(
            error, ERROR_INVALID,
            "\"%s\" must be {\"unit\": [list, ...], ...}: what each unit was shown",
            key);
        return -1;
    }
    json_object_foreach(units, id, of_unit)
    {
        const struct slice name = slice_of(id);
        const int32_t n = id_map_count(lists->units);
        const int32_t unit = id_map_add(lists->units, name);
        struct shown_item of = {.unit = unit, .arm = (int16_t)arm};
        if (unit == ID_NONE) {
            return no_memory(error);
        }
        if (unit < n || !json_is_array(of_unit)) {
            error_set(error, ERROR_INVALID,
                      unit < n ? "unit \"%s\" is in both arms"
                               : "unit \"%s\" must have an array of lists",
                      id);
            return -1;
        }
        const int group = lists_group(hash_bytes(name.data, name.len));
        for (size_t i = 0; i < json_array_size(of_unit); i++) {
            if (read_list(lists, json_array_get(of_unit, i), group, &of, error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

enum measure { COVERAGE, CONCENTRATION, NOVELTY, REPEAT_RATE, CLICK_RATE };

static int measure_lists(struct shown_lists *lists, int measure, int position,
                         struct estimate arms[N_ARMS], struct error *error)
{
    struct estimate items[N_ARMS * LIST_MEASURES];
    struct list_sums sums[N_ARMS] = {{.repeats = {0}}, {.repeats = {0}}};
    lists->counts.n_items = id_map_count(lists->items);
    lists->counts.n_arms = N_ARMS;
    if (measure <= NOVELTY) {
        if (lists_measure_items(&lists->counts, items, error) != 0) {
            return -1;
        }
        for (int a = 0; a < N_ARMS; a++) {
            arms[a] = items[a * LIST_MEASURES + measure];
        }
        return 0;
    }
    lists_sort(lists->shown, lists->n_shown);
    (void)lists_add_shown(lists->shown, lists->n_shown, sums);
    for (int a = 0; a < N_ARMS; a++) {
        arms[a] = ratio_estimate(measure == CLICK_RATE ? &sums[a].clicks[position - 1]
                                                       : &sums[a].repeats);
    }
    return 0;
}

static int read_measure(const json_t *problem, int *measure, int *position,
                        struct error *error)
{
    static const char *const words[] = {"coverage",    "gini",       "novelty",
                                        "repeat-rate", "click-rate", NULL};
    double at = 0;
    if (stat_word(problem, "measure", words, -1, measure, error) != 0 ||
        stat_number(problem, "position", 1, LIST_POSITIONS, 1, &at, error) != 0) {
        return -1;
    }
    *position = (int)at;
    if (*position != at ||
        (*measure != CLICK_RATE && json_object_get(problem, "position"))) {
        error_set(error, ERROR_INVALID,
                  "\"position\" is a whole number, of \"click-rate\" only");
        return -1;
    }
    return 0;
}

static int solve_lists(const json_t *problem, struct buffer *answer,
                       struct error *error)
{
    int rc = -1, measure = 0, position = 0;
    struct stat_common common;
    struct estimate arms[N_ARMS];
    struct shown_lists lists = {.units = id_map_new(), .items = id_map_new()};
    if (!lists.units || !lists.items) {
        rc = no_memory(error);
        goto out;
    }
    if (stat_common(problem, &common, error) != 0 ||
        read_measure(problem, &measure, &position, error) != 0 ||
        read_list_arm(problem, "control", 0, &lists, error) != 0 ||
        read_list_arm(problem, "treatment", 1, &lists, error) != 0 ||
        measure_lists(&lists, measure, position, arms, error) != 0) {
        goto out;
    }
    answer_text(answer, "method",
                measure <= NOVELTY ? LISTS_JACKKNIFE ", t" : LISTS_CLUSTERED ", t");
    answer_count(answer, "items", (uint64_t)lists.counts.n_items);
    rc = answer_estimates(problem, arms[0], arms[1], &common, answer, error);

out:
    shown_lists_free(&lists);
    return rc;
}

const struct stat_kind stat_kinds_lists[] = {
    {"lists", "measure position control treatment lift alternative level", solve_lists},
    {NULL, NULL, NULL},
};
