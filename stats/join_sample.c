/* join_sample.c - records of a bounded number of units, chosen by hash.
 *
 * Whole units are kept or dropped, so what is computed of them keeps its clusters; the
 * sample shrinks by half whenever it outgrows its room. Which units stay depends on
 * their hashes and on the number of records only, so not on order or threads.
 */
#include <stdlib.h>
#include <string.h>

#include "stats/join_state.h"
#include "stats/order.h"

static bool is_in_sample(const struct join *join, int32_t unit, int shift)
{
    return shift == 0 ||
           (join->user_hash[unit] >> 20 & (((uint64_t)1 << shift) - 1)) == 0;
}

static int32_t unit_of(const char *record)
{
    int32_t unit;
    memcpy(&unit, record, sizeof unit);
    return unit;
}

static void shrink(const struct join *join, struct join_sample *sample, size_t size)
{
    char *records = sample->records;
    size_t kept = 0;
    for (size_t i = 0; i < sample->n; i++) {
        if (is_in_sample(join, unit_of(records + i * size), sample->shift)) {
            memmove(records + kept++ * size, records + i * size, size);
        }
    }
    sample->n = kept;
}

int join_sample_add(const struct join *join, struct join_sample *sample,
                    const void *record, size_t size)
{
    if (!is_in_sample(join, unit_of(record), sample->shift)) {
        return 0;
    }
    if (sample->n == sample->capacity) {
        const size_t capacity = sample->n ? sample->n * 2 : 1024;
        void *grown = realloc(sample->records, capacity * size);
        if (!grown) {
            return -1;
        }
        sample->records = grown;
        sample->capacity = capacity;
    }
    memcpy((char *)sample->records + sample->n++ * size, record, size);
    while (sample->n > JOIN_MAX_VALUES && sample->shift < 30) {
        sample->shift++;
        shrink(join, sample, size);
    }
    return 0;
}

int join_sample_merge(const struct join *join, struct join_sample *into,
                      struct join_sample *from, size_t size)
{
    if (into->n == 0 && into->shift <= from->shift) {
        free(into->records);
        *into = *from;
        *from = (struct join_sample){0};
        return 0;
    }
    if (from->shift > into->shift) {
        into->shift = from->shift;
        shrink(join, into, size);
    }
    for (size_t i = 0; i < from->n; i++) {
        if (join_sample_add(join, into, (const char *)from->records + i * size, size) !=
            0) {
            return -1;
        }
    }
    free(from->records);
    *from = (struct join_sample){0};
    return 0;
}

/* Ascending; most units have a few values, which are better off without a sort that
 * takes memory. */
static void sort_few(double *values, size_t n)
{
    if (n > 64) {
        order_sort(values, n);
        return;
    }
    for (size_t i = 1; i < n; i++) {
        const double value = values[i];
        size_t at = i;
        for (; at > 0 && values[at - 1] > value; at--) {
            values[at] = values[at - 1];
        }
        values[at] = value;
    }
}

/* Sorts by counting the values of each row. */
int join_singles_fill(const struct join_sample *sample, const int32_t *row_of,
                      int n_rows, struct unit_metric *to)
{
    const struct join_single *records = sample->records;
    size_t *end = calloc((size_t)n_rows + 1, sizeof *end);
    to->cluster = malloc((sample->n + 1) * sizeof *to->cluster);
    to->values = calloc(sample->n + 1, sizeof *to->values);
    if (!end || !to->cluster || !to->values) {
        free(end);
        return -1;
    }
    for (size_t i = 0; i < sample->n; i++) {
        const int32_t row = row_of[records[i].unit];
        end[row < 0 ? n_rows : row]++;
    }
    size_t sum = 0;
    for (int row = 0; row < n_rows; row++) {
        const size_t count = end[row];
        end[row] = sum;
        sum += count;
    }
    for (size_t i = 0; i < sample->n; i++) {
        const int32_t row = row_of[records[i].unit];
        if (row >= 0) {
            to->cluster[end[row]] = row;
            to->values[end[row]++] = records[i].value;
        }
    }
    for (int row = 0; row < n_rows; row++) {
        const size_t start = row ? end[row - 1] : 0;
        sort_few(to->values + start, end[row] - start);
    }
    to->n_values = (int64_t)sum;
    to->sampled_1_in = 1 << sample->shift;
    free(end);
    return 0;
}
