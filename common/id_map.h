/* id_map.h - external ids (any bytes) to the dense indices 0, 1, 2, ... in order of
 * first sight, and back.
 *
 * Open addressing over XXH3; ids of up to 12 bytes stand in a table, longer ones packed
 * in an arena: about 40 bytes an id, and its length where it is longer. Lookups may run
 * in several threads while nobody adds.
 */
#ifndef COMMON_ID_MAP_H
#define COMMON_ID_MAP_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

#define ID_NONE (-1)

struct id_map;

MUST_CHECK struct id_map *id_map_new(void); /* NULL when memory ran out */
void id_map_free(struct id_map *map);

/* Index of `id`, or ID_NONE. */
int32_t id_map_find(const struct id_map *map, struct slice id);

/* Index of `id`, added when absent; ID_NONE when memory ran out or 2^31 - 1 ids are in.
 */
MUST_CHECK int32_t id_map_add(struct id_map *map, struct slice id);

/* The same for those who have hash_bytes(id) already. */
int32_t id_map_find_hashed(const struct id_map *map, struct slice id, uint64_t hash);
MUST_CHECK int32_t id_map_add_hashed(struct id_map *map, struct slice id,
                                     uint64_t hash);

/* For those who look up many ids of a large map: each look-up waits for memory twice,
 * or three times where the id is long, and those of different ids may wait together.
 * First prefetch by hash; then guess, which returns the index that the id has if it is
 * there, for all but one in billions, or ID_NONE; then prefetch_id of that index; then
 * the look-up itself. */
void id_map_prefetch(const struct id_map *map, uint64_t hash);
int32_t id_map_guess(const struct id_map *map, uint64_t hash);
void id_map_prefetch_id(const struct id_map *map, int32_t index);

int32_t id_map_count(const struct id_map *map);

/* The id at `index` in [0, count). Valid until the next id_map_add. */
struct slice id_map_id(const struct id_map *map, int32_t index);

#endif
