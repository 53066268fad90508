#include "common/id_map.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/hash.h"

struct id_slot {
    uint32_t tag;   /* upper hash bits: most mismatches never touch the id */
    uint32_t place; /* index + 1; 0 while the slot is empty */
};

struct id_map {
    struct buffer arena;   /* the ids, one after the other */
    size_t *start;         /* (count + 1) offsets into the arena */
    struct id_slot *slots; /* (n_slots), a power of two */
    size_t n_slots;
    int32_t count;
    int32_t capacity;
};

static int resize_ids(struct id_map *map, int32_t capacity)
{
    size_t *start = realloc(map->start, ((size_t)capacity + 1) * sizeof *start);
    if (!start) {
        return -1;
    }
    map->start = start;
    map->capacity = capacity;
    return 0;
}

static int resize_slots(struct id_map *map, size_t n_slots)
{
    struct id_slot *slots = calloc(n_slots, sizeof *slots);
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
    if (resize_ids(map, 64) != 0 || resize_slots(map, 128) != 0) {
        id_map_free(map);
        return NULL;
    }
    map->start[0] = 0;
    return map;
}

void id_map_free(struct id_map *map)
{
    if (map) {
        buffer_free(&map->arena);
        free(map->start);
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

int32_t id_map_add_hashed(struct id_map *map, struct slice id, uint64_t hash)
{
    size_t slot = find_slot(map, id, hash);
    if (map->slots[slot].place) {
        return index_at(map, slot);
    }
    if (map->count == INT32_MAX) {
        return ID_NONE;
    }
    if (map->count == map->capacity) {
        const int32_t doubled =
            map->capacity > INT32_MAX / 2 ? INT32_MAX : 2 * map->capacity;
        if (resize_ids(map, doubled) != 0) {
            return ID_NONE;
        }
    }
    if (2 * ((size_t)map->count + 1) > map->n_slots) {
        if (resize_slots(map, 2 * map->n_slots) != 0) {
            return ID_NONE;
        }
        slot = find_slot(map, id, hash);
    }
    buffer_append(&map->arena, id.data, id.len);
    if (map->arena.failed) {
        map->arena.failed = false;
        return ID_NONE;
    }
    const int32_t index = map->count++;
    map->start[index + 1] = map->arena.len;
    map->slots[slot] = (struct id_slot){(uint32_t)(hash >> 32), (uint32_t)index + 1};
    return index;
}

void id_map_prefetch(const struct id_map *map, uint64_t hash)
{
    __builtin_prefetch(&map->slots[hash & (map->n_slots - 1)]);
}

int32_t id_map_guess(const struct id_map *map, uint64_t hash)
{
    const int32_t index = index_at(map, hash & (map->n_slots - 1));
    if (index != ID_NONE) {
        __builtin_prefetch(&map->start[index]);
    }
    return index;
}

void id_map_prefetch_id(const struct id_map *map, int32_t index)
{
    __builtin_prefetch(map->arena.data + map->start[index]);
}

int32_t id_map_count(const struct id_map *map)
{
    return map->count;
}

struct slice id_map_id(const struct id_map *map, int32_t index)
{
    const size_t start = map->start[index];
    /* An arena of empty ids only has no memory yet; never form NULL + 0. */
    return (struct slice){map->arena.data ? map->arena.data + start : "",
                          map->start[index + 1] - start};
}
