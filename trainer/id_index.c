#include "trainer/id_index.h"

#include <stdbool.h>
#include <stdlib.h>

#include "common/hash.h"

/* ---- reading ---- */

static int faulty(const char *what, int section, size_t at,
                  struct id_index_fault *fault)
{
    *fault = (struct id_index_fault){what, section, at};
    return -1;
}

int id_index_check(struct id_index *ids, size_t n, size_t bytes_len, size_t slots_len,
                   struct id_index_fault *fault)
{
    ids->n_slots = slots_len / sizeof *ids->slots;
    if (ids->start[0] != 0 || ids->start[n] != bytes_len) {
        return faulty("the ids' offsets are wrong", 0, 0, fault);
    }
    for (size_t i = 0; i < n; i++) {
        if (ids->start[i] > ids->start[i + 1]) {
            return faulty("the ids' offsets are wrong", 0, i * sizeof *ids->start,
                          fault);
        }
    }
    if (ids->n_slots <= n || (ids->n_slots & (ids->n_slots - 1)) != 0 ||
        slots_len % sizeof *ids->slots != 0) {
        return faulty("the ids' table has a wrong size", 2, 0, fault);
    }
    size_t n_used = 0;
    for (size_t i = 0; i < ids->n_slots; i++) {
        n_used += ids->slots[i] != 0;
        if (ids->slots[i] > n) {
            return faulty("the ids' table points outside", 2, i * sizeof *ids->slots,
                          fault);
        }
    }
    return n_used == n ? 0 : faulty("the ids' table misses some", 2, 0, fault);
}

struct slice id_index_at(const struct id_index *ids, int32_t index)
{
    return (struct slice){ids->bytes + ids->start[index],
                          ids->start[index + 1] - ids->start[index]};
}

int32_t id_index_find(const struct id_index *ids, struct slice id)
{
    size_t at = hash_bytes(id.data, id.len) & (ids->n_slots - 1);
    for (; ids->slots[at]; at = (at + 1) & (ids->n_slots - 1)) {
        const int32_t index = (int32_t)(ids->slots[at] - 1);
        if (slice_equal(id_index_at(ids, index), id)) {
            return index;
        }
    }
    return -1;
}

/* ---- making ---- */

void id_sections_free(struct id_sections *sections)
{
    free(sections->start);
    buffer_free(&sections->bytes);
    free(sections->slots);
}

/* Power of two above twice n: half of the slots stay empty, so probes are short. */
static size_t slots_for(int32_t n)
{
    size_t n_slots = 2;
    while (n_slots <= 2 * (size_t)n) {
        n_slots *= 2;
    }
    return n_slots;
}

int id_sections_make(struct slice (*id_of)(const void *context, int32_t i),
                     const void *context, int32_t n, struct id_sections *made,
                     struct error *error)
{
    *made = (struct id_sections){.n_slots = slots_for(n)};
    made->start = malloc(((size_t)n + 1) * sizeof *made->start);
    made->slots = calloc(made->n_slots, sizeof *made->slots);
    if (!made->start || !made->slots) {
        error_set(error, ERROR_NOMEM, "no memory for %d ids", n);
        return -1;
    }
    made->start[0] = 0;
    for (int32_t i = 0; i < n; i++) {
        const struct slice id = id_of(context, i);
        size_t at = hash_bytes(id.data, id.len) & (made->n_slots - 1);
        while (made->slots[at]) {
            at = (at + 1) & (made->n_slots - 1);
        }
        made->slots[at] = (uint32_t)i + 1;
        buffer_append(&made->bytes, id.data, id.len);
        made->start[i + 1] = made->bytes.len;
    }
    if (made->bytes.failed) {
        error_set(error, ERROR_NOMEM, "no memory for %d ids", n);
        return -1;
    }
    return 0;
}
