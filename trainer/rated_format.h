/* rated_format.h - the bytes of a file of ratings by user, shared by writer and reader.
 *
 * Little-endian, version 1. A header of 256 bytes, then N_RATED_SECTIONS sections in
 * the order of `enum rated_section`, each at the next multiple of 64 bytes with zeros
 * before it; behind the last, zeros up to such a multiple. Lengths follow from the
 * counts and from those that the header holds.
 *
 *   offset  size  header field
 *        0     8  magic "ABTRATED"
 *        8     4  version, 1
 *       12     4  n_users, in [0, 2^31)
 *       16     4  n_items, in [0, 2^31)
 *       20     4  n_values, in [0, 256]: distinct ratings; 0: more than that
 *       24     8  n_ratings
 *       32     8  size of the file
 *       40     8  size of the ratings file that it was made of
 *       48     8  XXH3-64 of that
 *       56    32  device, inode, time of writing and of change in ns of that, or zeros
 *                 where they prove nothing
 *       88     8  length in bytes of the users' ids
 *       96     8  ... of the table of them
 *      104     8  length in bytes of the items' ids
 *      112     8  ... of the table of them
 *      120   128  zero
 *      248     4  CRC-32C of the bytes from 256 to the end
 *      252     4  CRC-32C of the bytes 0 to 251
 *
 *   section        contents
 *   START          int64 (n_users + 1): ratings of user u are start[u] to start[u + 1]
 *   ITEM           int32 (n_ratings): ascending within a user
 *   RATING         uint8 (n_ratings): index into VALUE; binary32 where n_values is 0
 *   VALUE          binary32 (n_values)
 *   USER_ID_START, USER_ID_BYTES, USER_ID_SLOTS, ITEM_ID_...   as in id_index.h
 */
#ifndef TRAINER_RATED_FORMAT_H
#define TRAINER_RATED_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/rated.h"

#define RATED_MAGIC      "ABTRATED"
#define RATED_VERSION    1
#define RATED_ALIGNMENT  64
#define RATED_MAX_VALUES 256

enum rated_section {
    RATED_START,
    RATED_ITEM,
    RATED_RATING,
    RATED_VALUE,
    RATED_USER_ID_START,
    RATED_USER_ID_BYTES,
    RATED_USER_ID_SLOTS,
    RATED_ITEM_ID_START,
    RATED_ITEM_ID_BYTES,
    RATED_ITEM_ID_SLOTS,
    N_RATED_SECTIONS
};

/* What tells without reading it that a ratings file is the one that was read. */
struct rated_stamp {
    uint64_t device, inode;
    int64_t written_ns, changed_ns;
};

/* The ratings file that one is made of. */
struct rated_source {
    uint64_t len, hash;
    struct rated_stamp stamp; /* zeros: proves nothing */
};

struct rated_header {
    char magic[8];
    uint32_t version;
    uint32_t n_users;
    uint32_t n_items;
    uint32_t n_values;
    uint64_t n_ratings;
    uint64_t file_len;
    struct rated_source source;
    uint64_t user_id_len, user_slots_len, item_id_len, item_slots_len;
    uint8_t zero[128];
    uint32_t body_crc;
    uint32_t crc;
};

static_assert(offsetof(struct rated_header, source) == 40, "as in the table");
static_assert(offsetof(struct rated_header, user_id_len) == 88, "as in the table");
static_assert(offsetof(struct rated_header, crc) == 252, "as in the table");
static_assert(sizeof(struct rated_header) == 256, "as in the table");
/* A mapped file is used as it stands. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

/* Length in bytes of a section, without the zeros behind it. */
uint64_t rated_section_len(const struct rated_header *h, enum rated_section section);

/* Checks the header alone: NULL, or what is wrong. */
const char *rated_check_header(const char *file, size_t len);

/* Checks all of a file whose header is good, and makes *rated point into it. The file
 * begins at a multiple of 64 bytes. NULL, or what is wrong. */
const char *rated_decode(const char *file, size_t len, struct rated *rated);

/* The file of `ratings`, whose arrays by item may be missing. Fails only with
 * ERROR_NOMEM. The caller frees *file, len bytes. */
MUST_CHECK int rated_encode(const struct ratings *ratings,
                            const struct rated_source *source, char **file, size_t *len,
                            struct error *error);

#endif
