#include "trainer/rating_ids.h"

#include <stdlib.h>
#include <string.h>

#include "common/decimal.h"

#define MAX_DIRECT   ((int32_t)1 << 22)
#define FIRST_SLOTS  ((size_t)1 << 10)
#define PROBES_AHEAD 12

/* A number that is too large for an array of all below it. */
struct large_number {
    int32_t number;
    int32_t place; /* index + 1; 0 while the slot is empty */
};

int rating_ids_init(struct rating_ids *ids)
{
    *ids = (struct rating_ids){.map = id_map_new()};
    return ids->map ? 0 : -1;
}

void rating_ids_release(struct rating_ids *ids)
{
    free(ids->direct);
    free(ids->large);
    id_map_free(ids->map);
    *ids = (struct rating_ids){0};
}

static int grow_direct(struct rating_ids *ids, int32_t number)
{
    int32_t n = ids->n_direct ? ids->n_direct : 1024;
    while (n <= number) {
        n *= 2;
    }
    int32_t *direct = realloc(ids->direct, (size_t)n * sizeof *direct);
    if (!direct) {
        return -1;
    }
    memset(direct + ids->n_direct, 0, (size_t)(n - ids->n_direct) * sizeof *direct);
    ids->direct = direct;
    ids->n_direct = n;
    return 0;
}

/* Fibonacci hashing: the product's upper bits depend on all of the number's. */
static size_t home_of(int32_t number, size_t n_slots)
{
    return (size_t)((uint64_t)(uint32_t)number * 0x9E3779B97F4A7C15U >> 32) &
           (n_slots - 1);
}

/* The slot that holds the number, or the empty one where it would go. */
static struct large_number *find_large(struct large_number *slots, size_t n_slots,
                                       int32_t number)
{
    size_t at = home_of(number, n_slots);
    while (slots[at].place && slots[at].number != number) {
        at = (at + 1) & (n_slots - 1);
    }
    return slots + at;
}

static int grow_large(struct rating_ids *ids)
{
    const size_t n = ids->n_slots ? 2 * ids->n_slots : FIRST_SLOTS;
    struct large_number *slots = calloc(n, sizeof *slots);
    if (!slots) {
        return -1;
    }
    for (size_t i = 0; i < ids->n_slots; i++) {
        if (ids->large[i].place) {
            *find_large(slots, n, ids->large[i].number) = ids->large[i];
        }
    }
    free(ids->large);
    ids->large = slots;
    ids->n_slots = n;
    return 0;
}

static int32_t add_text(struct rating_ids *ids, int32_t number)
{
    char text[DECIMAL_SIZE];
    const size_t len = decimal_write_int(text, number);
    return id_map_add(ids->map, (struct slice){text, len});
}

/* Index of a number that is large, or was not seen before. */
static int32_t index_of(struct rating_ids *ids, int32_t number)
{
    if (number < MAX_DIRECT) {
        if (number >= ids->n_direct && grow_direct(ids, number) != 0) {
            return ID_NONE;
        }
        if (ids->direct[number] == 0) {
            ids->direct[number] = add_text(ids, number) + 1;
        }
        return ids->direct[number] - 1;
    }
    if (2 * (ids->n_large + 1) > ids->n_slots && grow_large(ids) != 0) {
        return ID_NONE;
    }
    struct large_number *slot = find_large(ids->large, ids->n_slots, number);
    if (!slot->place) {
        const int32_t index = add_text(ids, number);
        if (index == ID_NONE) {
            return ID_NONE;
        }
        *slot = (struct large_number){number, index + 1};
        ids->n_large++;
    }
    return slot->place - 1;
}

static void fetch_slot(const struct rating_ids *ids, int32_t number)
{
    if (number >= MAX_DIRECT && ids->n_slots) {
        __builtin_prefetch(ids->large + home_of(number, ids->n_slots));
    }
}

int rating_ids_of_numbers(struct rating_ids *ids, int32_t *number, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (number[i] < ids->n_direct && ids->direct[number[i]]) {
            number[i] = ids->direct[number[i]] - 1;
            continue;
        }
        if (i + PROBES_AHEAD < n) {
            fetch_slot(ids, number[i + PROBES_AHEAD]);
        }
        number[i] = index_of(ids, number[i]);
        if (number[i] == ID_NONE) {
            return -1;
        }
    }
    return 0;
}

int32_t rating_ids_of(struct rating_ids *ids, struct slice id, int32_t number)
{
    if (number < 0) {
        return id_map_add(ids->map, id);
    }
    return rating_ids_of_numbers(ids, &number, 1) == 0 ? number : ID_NONE;
}
