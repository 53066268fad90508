#include "common/id_map.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/hash.h"
#include "common/pages.h"

struct id_slot {
    uint32_t tag;   /* upper hash bits: most mismatches never touch the id */
    uint32_t place; /* index + 1; 0 while the slot is empty */
};

/* A short id stands in its entry, so that a look-up in a large map waits for memory
 * twice; of a longer one, where it is in the arena (a size_t). */
#define ENTRY_TEXT 12
struct id_entry {
    uint32_t len;
    char text[ENTRY_TEXT];
};

struct id_map {
    struct buffer arena;      /* the long ids, one after the other */
    struct id_entry *entries; /* (capacity) */
    struct id_slot *slots;    /* (n_slots), a power of two */
    size_t n_slots;
    int32_t count;
    int32_t capacity;
};

static const char *long_id(const struct id_map *map, const struct id_entry *entry)
{
    size_t start;
    memcpy(&start, entry->text, sizeof start);
    return map->arena.data + start;
}

struct slice id_map_id(const struct id_map *map, int32_t index)
{
    const struct id_entry *entry = &map->entries[index];
    return (struct slice){entry->len <= ENTRY_TEXT ? entry->text : long_id(map, entry),
                          entry->len};
}

static int resize_entries(struct id_map *map, int32_t capacity)
{
    struct id_entry *entries =
        realloc(map->entries, (size_t)capacity * sizeof *entries);
    if (!entries) {
        return -1;
    }
    map->entries = entries;
    map->capacity = capacity;
    return 0;
}

/* Empty ones. They are written to here and now: memory that calloc() leaves for later
 * is made twice, once when a look-up finds a slot empty and once when it is filled, and
 * the second time interrupts all threads. */
static struct id_slot *new_slots(size_t n_slots)
{
    struct id_slot *slots = pages_alloc(n_slots * sizeof *slots, 0);
    if (slots) {
        memset(slots, 0, n_slots * sizeof *slots);
    }
    return slots;
}

static int resize_slots(struct id_map *map, size_t n_slots)
{
    struct id_slot *slots = new_slots(n_slots);
    if (!slots) {
        return -1;
    }
    for (int32_t index = 0; index < map->count; index++) {
        const struct slice id = id_map_id(map, index);
        const uint64_t hash = hash_bytes(id.data, id.len);
        size_t at = hash & (n_slots - 1);
        while (slots[at].place) {
            at = (at + 1) & (n_slots - 1);
        }
        slots[at] = (struct id_slot){(uint32_t)(hash >> 32), (uint32_t)index + 1};
    }
    free(map->slots);
    map->slots = slots;
    map->n_slots = n_slots;
    return 0;
}

struct id_map *id_map_new(void)
{
    struct id_map *map = calloc(1, sizeof *map);
    if (!map) {
        return NULL;
    }
    if (resize_entries(map, 64) != 0 || resize_slots(map, 128) != 0) {
        id_map_free(map);
        return NULL;
    }
    return map;
}

void id_map_free(struct id_map *map)
{
    if (map) {
        buffer_free(&map->arena);
        free(map->entries);
        free(map->slots);
        free(map);
    }
}

static int32_t index_at(const struct id_map *map, size_t slot)
{
    return (int32_t)map->slots[slot].place - 1;
}

/* The slot that holds `id`, or the empty one where it would go. */
static size_t find_slot(const struct id_map *map, struct slice id, uint64_t hash)
{
    size_t at = hash & (map->n_slots - 1);
    for (; map->slots[at].place; at = (at + 1) & (map->n_slots - 1)) {
        if (map->slots[at].tag == (uint32_t)(hash >> 32) &&
            slice_equal(id_map_id(map, index_at(map, at)), id)) {
            break;
        }
    }
    return at;
}

int32_t id_map_find(const struct id_map *map, struct slice id)
{
    return id_map_find_hashed(map, id, hash_bytes(id.data, id.len));
}

int32_t id_map_find_hashed(const struct id_map *map, struct slice id, uint64_t hash)
{
    return index_at(map, find_slot(map, id, hash));
}

int32_t id_map_add(struct id_map *map, struct slice id)
{
    return id_map_add_hashed(map, id, hash_bytes(id.data, id.len));
}

/* The entry of a new id; its index is not given yet. -1 when memory ran out. */
static int fill_entry(struct id_map *map, struct slice id, struct id_entry *entry)
{
    *entry = (struct id_entry){.len = (uint32_t)id.len};
    if (id.len <= ENTRY_TEXT) {
        if (id.len) {
            memcpy(entry->text, id.data, id.len);
        }
        return 0;
    }
    const size_t start = map->arena.len;
    memcpy(entry->text, &start, sizeof start);
    buffer_append(&map->arena, id.data, id.len);
    const bool has_failed = map->arena.failed;
    map->arena.failed = false;
    return has_failed ? -1 : 0;
}

int32_t id_map_add_hashed(struct id_map *map, struct slice id, uint64_t hash)
{
    size_t slot = find_slot(map, id, hash);
    if (map->slots[slot].place) {
        return index_at(map, slot);
    }
    if (map->count == INT32_MAX || id.len > UINT32_MAX) {
        return ID_NONE;
    }
    if (map->count == map->capacity) {
        const int32_t doubled =
            map->capacity > INT32_MAX / 2 ? INT32_MAX : 2 * map->capacity;
        if (resize_entries(map, doubled) != 0) {
            return ID_NONE;
        }
    }
    if (2 * ((size_t)map->count + 1) > map->n_slots) {
        if (resize_slots(map, 2 * map->n_slots) != 0) {
            return ID_NONE;
        }
        slot = find_slot(map, id, hash);
    }
    if (fill_entry(map, id, &map->entries[map->count]) != 0) {
        return ID_NONE;
    }
    const int32_t index = map->count++;
    map->slots[slot] = (struct id_slot){(uint32_t)(hash >> 32), (uint32_t)index + 1};
    return index;
}

void id_map_prefetch(const struct id_map *map, uint64_t hash)
{
    __builtin_prefetch(&map->slots[hash & (map->n_slots - 1)]);
}

int32_t id_map_guess(const struct id_map *map, uint64_t hash)
{
    size_t at = hash & (map->n_slots - 1);
    while (map->slots[at].place && map->slots[at].tag != (uint32_t)(hash >> 32)) {
        at = (at + 1) & (map->n_slots - 1);
    }
    const int32_t index = index_at(map, at);
    if (index != ID_NONE) {
        __builtin_prefetch(&map->entries[index]);
    }
    return index;
}

void id_map_prefetch_id(const struct id_map *map, int32_t index)
{
    const struct id_entry *entry = &map->entries[index];
    if (entry->len > ENTRY_TEXT) {
        __builtin_prefetch(long_id(map, entry));
    }
}

int32_t id_map_count(const struct id_map *map)
{
    return map->count;
}
