/* rating_ids.h - from the ids in a ratings file to indices: an id_map with shortcuts
 * for ids that are numbers, which need neither their text nor its hash.
 */
#ifndef TRAINER_RATING_IDS_H
#define TRAINER_RATING_IDS_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/id_map.h"
#include "common/slice.h"

struct rating_ids {
    struct id_map *map; /* owned; ids in order of first appearance */
    int32_t *direct;    /* (n_direct): index + 1 of a small number, or 0 */
    int32_t n_direct;
    struct large_number *large; /* (n_slots), open addressing */
    size_t n_slots, n_large;    /* n_slots: 0 or a power of two, >= 2 n_large */
};

/* Fails without memory; release is safe then. */
MUST_CHECK int rating_ids_init(struct rating_ids *ids);
void rating_ids_release(struct rating_ids *ids);

/* Index of an id; `number` is its value where the id is the decimal number >= 0 without
 * leading zeros, else -1. ID_NONE without memory. */
MUST_CHECK int32_t rating_ids_of(struct rating_ids *ids, struct slice id,
                                 int32_t number);

/* Replaces n numbers >= 0 by the indices of the ids that they are. Fails without
 * memory. */
MUST_CHECK int rating_ids_of_numbers(struct rating_ids *ids, int32_t *number, size_t n);

#endif
