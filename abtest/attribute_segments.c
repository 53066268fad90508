#include "abtest/attribute_segments.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/id_map.h"

/* Room for the groups; every unit in none. */
static int make_segment(const struct unit_table *table, struct unit_segments *segment,
                        struct arena *arena)
{
    segment->n = 0;
    segment->groups = arena_zeroed(arena, SEGMENT_MAX_GROUPS, sizeof(const char *));
    segment->group = arena_zeroed(arena, (size_t)table->n_units, sizeof(int));
    if (!segment->groups || !segment->group) {
        return -1;
    }
    for (int i = 0; i < table->n_units; i++) {
        segment->group[i] = -1;
    }
    return 0;
}

void segment_drop_empty(const struct unit_table *table, struct unit_segments *segment)
{
    int at[SEGMENT_MAX_GROUPS] = {0};
    int n = 0;
    for (int i = 0; i < table->n_units; i++) {
        if (segment->group[i] >= 0) {
            at[segment->group[i]] = 1;
        }
    }
    for (int g = 0; g < segment->n; g++) {
        if (at[g]) {
            segment->groups[n] = segment->groups[g];
            at[g] = n++;
        }
    }
    for (int i = 0; i < table->n_units; i++) {
        if (segment->group[i] >= 0) {
            segment->group[i] = at[segment->group[i]];
        }
    }
    segment->n = n;
}

/* Adds groups [-inf, cuts[0]), [cuts[0], cuts[1]), ... and puts those units there whose
 * value is not NAN. */
static int cut(const struct unit_table *table, const double *values, const double *cuts,
               int n_cuts, struct unit_segments *segment, struct arena *arena)
{
    const int first = segment->n;
    for (int g = 0; g <= n_cuts; g++) {
        const char *name =
            n_cuts == 0 ? "any"
            : g == 0    ? arena_printf(arena, "below %.10g", cuts[0])
            : g == n_cuts
                ? arena_printf(arena, "%.10g or above", cuts[g - 1])
                : arena_printf(arena, "%.10g to below %.10g", cuts[g - 1], cuts[g]);
        if (!name) {
            return -1;
        }
        segment->groups[segment->n++] = name;
    }
    for (int i = 0; i < table->n_units; i++) {
        int g = 0;
        while (g < n_cuts && values[i] >= cuts[g]) {
            g++;
        }
        segment->group[i] = isnan(values[i]) ? segment->group[i] : first + g;
    }
    return 0;
}

static int compare_doubles(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Cut points that part the values that are not NAN into n_parts of one size, as far as
 * equal values let them. Returns their number, at most n_parts - 1; -1 without memory.
 */
static int find_quantiles(const double *values, int n, int n_parts, double *cuts)
{
    int n_known = 0, n_cuts = 0;
    double *sorted = malloc(((size_t)n + 1) * sizeof *sorted);
    if (!sorted) {
        return -1;
    }
    for (int i = 0; i < n; i++) {
        if (!isnan(values[i])) {
            sorted[n_known++] = values[i];
        }
    }
    qsort(sorted, (size_t)n_known, sizeof *sorted, compare_doubles);
    double last = n_known ? sorted[0] : 0;
    for (int k = 1; k < n_parts && n_known; k++) {
        const double at = sorted[(int64_t)n_known * k / n_parts];
        if (at > last) {
            cuts[n_cuts++] = at;
            last = at;
        }
    }
    free(sorted);
    return n_cuts;
}

#define N_QUARTERS 4
#define N_THIRDS   3

int segment_thirds(const struct unit_table *table, const double *values,
                   struct unit_segments *segment, struct arena *arena)
{
    double cuts[N_THIRDS];
    int rc = -1;
    double *some = malloc(((size_t)table->n_units + 1) * sizeof *some);
    if (!some || make_segment(table, segment, arena) != 0) {
        goto out;
    }
    segment->groups[segment->n++] = "none";
    for (int i = 0; i < table->n_units; i++) {
        some[i] = values[i] == 0 ? (double)NAN : values[i];
        segment->group[i] = values[i] == 0 ? 0 : -1;
    }
    const int n_cuts = find_quantiles(some, table->n_units, N_THIRDS, cuts);
    if (n_cuts < 0 || cut(table, some, cuts, n_cuts, segment, arena) != 0) {
        goto out;
    }
    segment_drop_empty(table, segment);
    rc = 0;

out:
    free(some);
    return rc;
}

static int segment_numbers(const struct join *join, const int *set,
                           const struct analysis_attribute *attribute,
                           const struct unit_table *table,
                           struct unit_segments *segment, struct arena *arena)
{
    const int n_sets = join_n_attribute_sets(join);
    double quantiles[N_QUARTERS];
    int rc = -1;
    double *of_set = malloc(((size_t)n_sets + 1) * sizeof *of_set);
    double *values = malloc(((size_t)table->n_units + 1) * sizeof *values);
    if (!of_set || !values) {
        goto out;
    }
    for (int s = 0; s < n_sets; s++) {
        struct join_attribute found;
        const bool is_there =
            join_attribute(join, s, slice_of(attribute->name), &found) &&
            found.type == JOIN_ATTRIBUTE_NUMBER;
        of_set[s] = is_there ? found.number : (double)NAN;
    }
    for (int i = 0; i < table->n_units; i++) {
        values[i] = set[i] < 0 ? (double)NAN : of_set[set[i]];
    }
    const double *cuts = attribute->n_cuts ? attribute->cuts : quantiles;
    const int n_cuts = attribute->n_cuts ? attribute->n_cuts
                                         : find_quantiles(values, table->n_units,
                                                          N_QUARTERS, quantiles);
    if (n_cuts >= 0) {
        rc = cut(table, values, cuts, n_cuts, segment, arena);
    }

out:
    free(of_set);
    free(values);
    return rc;
}

static void segment_booleans(const struct join *join, const int *set,
                             const struct analysis_attribute *attribute,
                             const struct unit_table *table,
                             struct unit_segments *segment)
{
    segment->groups[0] = "false";
    segment->groups[1] = "true";
    segment->n = 2;
    for (int i = 0; i < table->n_units; i++) {
        struct join_attribute found;
        if (set[i] >= 0 &&
            join_attribute(join, set[i], slice_of(attribute->name), &found) &&
            found.type == JOIN_ATTRIBUTE_BOOLEAN) {
            segment->group[i] = found.number != 0;
        }
    }
}

/* A word, and how many units have it. */
struct word {
    struct slice text;
    int64_t n_units;
    int index; /* of the word among all */
};

static int compare_by_units(const void *a, const void *b)
{
    const struct word *x = a, *y = b;
    if (x->n_units != y->n_units) {
        return x->n_units > y->n_units ? -1 : 1;
    }
    return slice_compare(x->text, y->text);
}

static int compare_by_text(const void *a, const void *b)
{
    return slice_compare(((const struct word *)a)->text,
                         ((const struct word *)b)->text);
}

/* Names the groups after the commonest words, in byte order, "other values" last;
 * group_of (n_words) says where each word went. */
static int name_words(struct word *words, int n_words, int *group_of,
                      struct unit_segments *segment, struct arena *arena)
{
    int64_t n_units = 0;
    int n = 0;
    for (int w = 0; w < n_words; w++) {
        n_units += words[w].n_units;
    }
    qsort(words, (size_t)n_words, sizeof *words, compare_by_units);
    while (n < n_words && n < SEGMENT_MAX_WORDS &&
           (double)words[n].n_units >= SEGMENT_MIN_SHARE * (double)n_units) {
        n++;
    }
    qsort(words, (size_t)n, sizeof *words, compare_by_text);
    for (int w = 0; w < n_words; w++) {
        group_of[words[w].index] = w < n ? w : n;
        if (w < n) {
            segment->groups[w] = arena_text(arena, words[w].text);
            if (!segment->groups[w]) {
                return -1;
            }
        }
    }
    segment->groups[n] = "other values";
    segment->n = n + 1;
    return 0;
}

/* Index of each set's word, and the words with their units; returns how many, or -1. */
static int count_words(const struct join *join, const int *set,
                       const struct analysis_attribute *attribute,
                       const struct unit_table *table, int *word_of, struct word *words)
{
    const int n_sets = join_n_attribute_sets(join);
    struct id_map *map = id_map_new();
    if (!map) {
        return -1;
    }
    for (int s = 0; s < n_sets; s++) {
        struct join_attribute found;
        word_of[s] = -1;
        if (!join_attribute(join, s, slice_of(attribute->name), &found) ||
            found.type != JOIN_ATTRIBUTE_STRING) {
            continue;
        }
        word_of[s] = id_map_add(map, found.text);
        if (word_of[s] < 0) {
            id_map_free(map);
            return -1;
        }
        words[word_of[s]].text = found.text;
        words[word_of[s]].index = word_of[s];
    }
    for (int i = 0; i < table->n_units; i++) {
        if (set[i] >= 0 && word_of[set[i]] >= 0) {
            words[word_of[set[i]]].n_units++;
        }
    }
    const int n = id_map_count(map);
    id_map_free(map);
    return n;
}

static int segment_words(const struct join *join, const int *set,
                         const struct analysis_attribute *attribute,
                         const struct unit_table *table, struct unit_segments *segment,
                         struct arena *arena)
{
    const size_t n_sets = (size_t)join_n_attribute_sets(join);
    int rc = -1;
    int *word_of = malloc((n_sets + 1) * sizeof *word_of);
    int *group_of = malloc((n_sets + 1) * sizeof *group_of);
    struct word *words = calloc(n_sets + 1, sizeof *words);
    if (!word_of || !group_of || !words) {
        goto out;
    }
    const int n = count_words(join, set, attribute, table, word_of, words);
    if (n < 0 || name_words(words, n, group_of, segment, arena) != 0) {
        goto out;
    }
    for (int i = 0; i < table->n_units; i++) {
        if (set[i] >= 0 && word_of[set[i]] >= 0) {
            segment->group[i] = group_of[word_of[set[i]]];
        }
    }
    rc = 0;

out:
    free(word_of);
    free(group_of);
    free(words);
    return rc;
}

int segment_attribute(const struct join *join, int index,
                      const struct analysis_attribute *attribute,
                      const struct unit_table *table, struct unit_segments *segment,
                      struct arena *arena)
{
    int rc = -1;
    int *set = malloc(((size_t)table->n_units + 1) * sizeof *set);
    segment->name = arena_printf(arena, "%s at the first exposure", attribute->name);
    if (!set || !segment->name || make_segment(table, segment, arena) != 0) {
        goto out;
    }
    join_unit_attributes(join, index, table, set);
    switch (attribute->kind) {
    case ANALYSIS_ATTRIBUTE_STRING:
        rc = segment_words(join, set, attribute, table, segment, arena);
        break;
    case ANALYSIS_ATTRIBUTE_NUMBER:
        rc = segment_numbers(join, set, attribute, table, segment, arena);
        break;
    case ANALYSIS_ATTRIBUTE_BOOLEAN:
        segment_booleans(join, set, attribute, table, segment);
        rc = 0;
        break;
    }
    if (rc == 0) {
        segment_drop_empty(table, segment);
    }

out:
    free(set);
    return rc;
}
