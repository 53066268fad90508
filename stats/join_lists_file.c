/* join_lists_file.c - single values and lists in the file of a join's state. */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "stats/join_state.h"

#define ROW (JOIN_ITEM_ARMS * ITEM_GROUPS) /* counts of one item */

static int damaged(struct join *join)
{
    return join_set_stale(join, "it is damaged");
}

void join_put_singles(const struct join_sample *sample, struct buffer *to)
{
    const struct join_single *singles = sample->records;
    bytes_put(to, (uint64_t)sample->shift, 1);
    bytes_put(to, sample->n, 8);
    for (size_t i = 0; i < sample->n; i++) {
        uint64_t bits;
        memcpy(&bits, &singles[i].value, sizeof bits);
        bytes_put(to, (uint64_t)singles[i].unit, 4);
        bytes_put(to, bits, 8);
    }
}

/* Room for the records of a sample, of which each takes `packed` bytes in the file. */
static int get_room(struct join *join, struct join_sample *sample, size_t packed,
                    size_t size, struct bytes *from)
{
    sample->shift = (int)bytes_get(from, 1);
    const size_t n = bytes_get_count(from, packed);
    if (from->failed || sample->shift > 30 || n > JOIN_MAX_VALUES) {
        return damaged(join);
    }
    sample->records = calloc(n + 1, size);
    if (!sample->records) {
        return join_no_memory(join);
    }
    sample->n = n;
    sample->capacity = n + 1;
    return 0;
}

int join_get_singles(struct join *join, struct join_sample *sample, struct bytes *from)
{
    if (get_room(join, sample, 12, sizeof(struct join_single), from) != 0) {
        return -1;
    }
    struct join_single *singles = sample->records;
    for (size_t i = 0; i < sample->n; i++) {
        singles[i].unit = (int32_t)bytes_get(from, 4);
        const uint64_t bits = bytes_get(from, 8);
        memcpy(&singles[i].value, &bits, sizeof bits);
        if (singles[i].unit < 0 || singles[i].unit >= join->n_old_users) {
            return damaged(join);
        }
        join_drop_decoded(join, from);
    }
    return 0;
}

static void put_shown(const struct join_sample *sample, struct buffer *to)
{
    const struct shown_item *shown = sample->records;
    bytes_put(to, (uint64_t)sample->shift, 1);
    bytes_put(to, sample->n, 8);
    for (size_t i = 0; i < sample->n; i++) {
        bytes_put(to, (uint64_t)shown[i].unit, 4);
        bytes_put(to, (uint16_t)shown[i].position, 2);
        bytes_put(to, (uint16_t)shown[i].arm, 2);
        bytes_put(to, shown[i].request, 8);
        bytes_put(to, shown[i].item, 8);
    }
}

static int get_shown(struct join *join, struct join_sample *sample, struct bytes *from)
{
    if (get_room(join, sample, 24, sizeof(struct shown_item), from) != 0) {
        return -1;
    }
    struct shown_item *shown = sample->records;
    for (size_t i = 0; i < sample->n; i++) {
        shown[i].unit = (int32_t)bytes_get(from, 4);
        shown[i].position = (int16_t)bytes_get(from, 2);
        shown[i].arm = (int16_t)bytes_get(from, 2);
        shown[i].request = bytes_get(from, 8);
        shown[i].item = bytes_get(from, 8);
        if (shown[i].unit < 0 || shown[i].unit >= join->n_old_users ||
            shown[i].position < SHOWN_ANSWER || shown[i].arm < 0) {
            return damaged(join);
        }
    }
    return 0;
}

static int get_items(struct join *join, struct join_items *items, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 8 + ROW * 4);
    if (from->failed || n > INT32_MAX) {
        return damaged(join);
    }
    if (n == 0) {
        return 0;
    }
    items->ids = id_map_new();
    items->counts = calloc(n * ROW, sizeof *items->counts);
    items->capacity = (int32_t)n;
    if (!items->ids || !items->counts) {
        return join_no_memory(join);
    }
    for (size_t i = 0; i < n; i++) {
        const struct slice id = bytes_get_slice(from);
        if (from->failed) {
            return damaged(join);
        }
        const int32_t at = id_map_add(items->ids, id);
        if (at == ID_NONE) {
            return join_no_memory(join);
        }
        if ((size_t)at != i) {
            return damaged(join);
        }
        for (size_t c = 0; c < ROW; c++) {
            items->counts[i * ROW + c] = (uint32_t)bytes_get(from, 4);
        }
    }
    return 0;
}

void join_put_lists(const struct join_lists *lists, struct buffer *to)
{
    const struct join_items *items = &lists->items;
    const size_t n = items->ids ? (size_t)id_map_count(items->ids) : 0;
    bytes_put(to, n, 8);
    for (size_t i = 0; i < n; i++) {
        bytes_put_slice(to, id_map_id(items->ids, (int32_t)i));
        for (size_t c = 0; c < ROW; c++) {
            bytes_put(to, items->counts[i * ROW + c], 4);
        }
    }
    put_shown(&lists->shown, to);
    join_put_singles(&lists->latency, to);
}

int join_get_lists(struct join *join, struct join_lists *lists, struct bytes *from)
{
    return get_items(join, &lists->items, from) == 0 &&
                   get_shown(join, &lists->shown, from) == 0 &&
                   join_get_singles(join, &lists->latency, from) == 0
               ? 0
               : -1;
}
