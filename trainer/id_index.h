/* id_index.h - ids (any bytes) of the indices 0, 1, 2, ... as files hold them, found
 * without building anything at load: model files and files of ratings.
 *
 * Three arrays: where each id begins in the bytes of all ids, those bytes, and a table
 * with open addressing and linear probing from XXH3_64(id) mod slots; 0 is empty, else
 * index + 1. Immutable; threads may share it.
 */
#ifndef TRAINER_ID_INDEX_H
#define TRAINER_ID_INDEX_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"

struct id_index {
    const uint64_t *start; /* (n + 1): id i is bytes start[i] to start[i + 1] */
    const char *bytes;
    const uint32_t *slots; /* (n_slots), a power of two above n */
    size_t n_slots;
};

/* What is wrong, and where. */
struct id_index_fault {
    const char *what;
    int section; /* 0: start, 1: bytes, 2: slots */
    size_t at;   /* byte of the section */
};

/* Whether look-ups of an index of `n` ids stay within its arrays and end: 0, or -1 and
 * *fault. The lengths are those of the sections in bytes; that of `start` is
 * n + 1 entries. `ids->n_slots` is set. */
MUST_CHECK int id_index_check(struct id_index *ids, size_t n, size_t bytes_len,
                              size_t slots_len, struct id_index_fault *fault);

struct slice id_index_at(const struct id_index *ids, int32_t index);
int32_t id_index_find(const struct id_index *ids, struct slice id); /* or -1 */

/* The three arrays to be written. */
struct id_sections {
    uint64_t *start; /* (n + 1) */
    struct buffer bytes;
    uint32_t *slots; /* (n_slots) */
    size_t n_slots;
};

/* Fails only with ERROR_NOMEM; *made is for id_sections_free in any case. */
MUST_CHECK int id_sections_make(struct slice (*id_of)(const void *context, int32_t i),
                                const void *context, int32_t n,
                                struct id_sections *made, struct error *error);
void id_sections_free(struct id_sections *sections);

#endif
