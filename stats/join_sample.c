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
#include "stats/radix.h"

static bool is_in_sample(const struct join *join, int32_t unit, int shift)
{
    return shift == 0 || join->marks[unit].n_zeros >= shift;
}

static int32_t unit_of(const void *record)
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
        size_t capacity = sample->n ? sample->n * 2 : 1024;
        if (capacity > JOIN_MAX_VALUES && sample->n <= JOIN_MAX_VALUES) {
            capacity = JOIN_MAX_VALUES + 1; /* the one more halves the sample */
        }
        void *grown = realloc(sample->records, capacity * size);
        if (!grown) {
            return -1;
        }
        sample->records = grown;
        sample->capacity = capacity;
    }
    memcpy((char *)sample->records + sample->n++ * size, record, size);
    while (sample->n > join->n_records_max && sample->shift < 30) {
        sample->shift++;
        shrink(join, sample, size);
    }
    return 0;
}

/* Moves the records; `from` keeps its memory. */
static int move(const struct join *join, struct join_sample *into,
                struct join_sample *from, size_t size)
{
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
    from->n = 0;
    from->shift = into->shift;
    return 0;
}

int join_sample_put(struct join *join, struct join_sample *part,
                    struct join_sample *shared, const void *record, size_t size)
{
    if (join_sample_add(join, part, record, size) != 0) {
        return -1;
    }
    if (part->n < JOIN_SAMPLE_PART) {
        return 0;
    }
    pthread_mutex_lock(&join->shared_lock);
    const int rc = move(join, shared, part, size);
    pthread_mutex_unlock(&join->shared_lock);
    return rc;
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
    if (move(join, into, from, size) != 0) {
        return -1;
    }
    free(from->records);
    *from = (struct join_sample){0};
    return 0;
}

static uint64_t row_key(const void *record)
{
    return (uint32_t)unit_of(record);
}

/* By row, in place: side by side with what they become, all records would be the most
 * that is ever held. */
static void sort_by_row(struct join_single *records, size_t n, int shift)
{
    size_t end[RADIX_DIGITS], count[RADIX_DIGITS];
    for (size_t i = 1; n <= RADIX_FEW && i < n; i++) {
        const struct join_single record = records[i];
        size_t at = i;
        for (; at > 0 && records[at - 1].unit > record.unit; at--) {
            records[at] = records[at - 1];
        }
        records[at] = record;
    }
    if (n <= RADIX_FEW || shift < 0) {
        return;
    }
    radix_split(records, n, sizeof *records, shift, row_key, end, count);
    for (size_t digit = 0; digit < RADIX_DIGITS; digit++) {
        sort_by_row(records + end[digit] - count[digit], count[digit], shift - 8);
    }
}

/* From units to the rows of those that have one; fewer records are left. */
static void find_rows(struct join_sample *sample, const int32_t *row_of)
{
    struct join_single *records = sample->records;
    size_t kept = 0;
    for (size_t i = 0; i < sample->n; i++) {
        const int32_t row = row_of[records[i].unit];
        if (row >= 0) {
            records[kept++] = (struct join_single){row, records[i].value};
        }
    }
    sample->n = kept;
}

int join_singles_take(struct join_sample *sample, const int32_t *row_of,
                      struct unit_metric *to)
{
    const int sampled_1_in = 1 << sample->shift;
    if (sample->n > 0) {
        find_rows(sample, row_of);
        void *trimmed =
            realloc(sample->records, (sample->n + 1) * sizeof(struct join_single));
        if (!trimmed) {
            return -1;
        }
        sample->records = trimmed;
        sort_by_row(sample->records, sample->n, 24);
    }
    const struct join_single *records = sample->records;
    const size_t n = records ? sample->n : 0;
    to->values = calloc(n + 1, sizeof *to->values);
    int32_t *cluster = records ? sample->records : malloc(sizeof *cluster);
    if (!to->values || !cluster) {
        free(records ? NULL : cluster);
        return -1;
    }
    for (size_t i = 0, start = 0; i < n; i++) {
        to->values[i] = records[i].value;
        if (i + 1 == n || records[i + 1].unit != records[i].unit) {
            order_sort(to->values + start, i + 1 - start);
            start = i + 1;
        }
    }
    /* The rows move to the front of the memory that they stand in. */
    for (size_t i = 0; i < n; i++) {
        int32_t row;
        memcpy(&row, &records[i].unit, sizeof row);
        memcpy(&cluster[i], &row, sizeof row);
    }
    to->cluster = cluster;
    *sample = (struct join_sample){0};
    to->n_values = (int64_t)n;
    to->sampled_1_in = sampled_1_in;
    void *trimmed = realloc(cluster, (n + 1) * sizeof *cluster);
    if (!trimmed) {
        return -1;
    }
    to->cluster = trimmed;
    return 0;
}
