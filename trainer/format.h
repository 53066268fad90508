/* format.h - the bytes of a model file, shared by writer and reader.
 *
 * Little-endian. A header of 512 bytes, then the sections in the order of `enum
 * model_section`, each at a multiple of 64 bytes, so that a mapped file is used as it
 * stands; then nothing. Version 1 has the sections up to SETTINGS, version 2 all: a
 * model without a map from features is written as version 1, as it always was.
 *
 *   offset  size  header field
 *        0     8  magic "ABTMODEL"
 *        8     4  version, 1 or 2
 *       12     4  kind (enum model_kind)
 *       16     4  n_users, in [0, 2^31)
 *       20     4  n_items, in [0, 2^31)
 *       24     4  n_factors, in [1, MODEL_MAX_FACTORS]
 *       28     4  mean, binary32
 *       32     8  size of the file
 *       40     4  number of sections, 12 in version 1, 14 in version 2
 *       44    20  zero
 *       64   336  per section 24 bytes: offset (8), length in bytes (8),
 *                 CRC-32C of the section with the zeros behind it (4), zero (4);
 *                 all zero for sections that version 1 does not have
 *      400   108  zero
 *      508     4  CRC-32C of bytes 0 to 507
 *
 *   section        contents
 *   USER_FACTORS   binary32 (n_users, n_factors) row-major
 *   ITEM_FACTORS   binary32 (n_items, n_factors) row-major
 *   USER_BIAS      binary32 (n_users)
 *   ITEM_BIAS      binary32 (n_items)
 *   ITEM_COUNT     int32 (n_items)
 *   USER_ID_START  uint64 (n_users + 1): id u is bytes start[u] to start[u + 1]
 *   USER_ID_BYTES  the ids, one after the other
 *   USER_ID_SLOTS  uint32 (power of two > n_users): open addressing with linear probing
 *                  from XXH3_64(id) mod slots; 0 is empty, else index + 1
 *   ITEM_ID_START, ITEM_ID_BYTES, ITEM_ID_SLOTS  the same for items
 *   SETTINGS       a JSON object, UTF-8
 *   FEATURE_NAMES  n_features names, each with a line feed behind it: "1" (the column
 *                  that every item has), "genre:NAME" and "tag:NAME" in lower case
 *   FEATURE_MAP    binary32 (n_features, n_factors + 1) row-major, n_features > 0: what
 *                  a feature adds to where an item's factors and bias are expected
 *
 * Between a section and the next there are fewer than 64 bytes, all zero.
 */
#ifndef TRAINER_FORMAT_H
#define TRAINER_FORMAT_H

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#include "trainer/model.h"

#define MODEL_MAGIC     "ABTMODEL"
#define MODEL_VERSION   2 /* the newest */
#define MODEL_ALIGNMENT 64

enum model_section {
    SECTION_USER_FACTORS,
    SECTION_ITEM_FACTORS,
    SECTION_USER_BIAS,
    SECTION_ITEM_BIAS,
    SECTION_ITEM_COUNT,
    SECTION_USER_ID_START,
    SECTION_USER_ID_BYTES,
    SECTION_USER_ID_SLOTS,
    SECTION_ITEM_ID_START,
    SECTION_ITEM_ID_BYTES,
    SECTION_ITEM_ID_SLOTS,
    SECTION_SETTINGS,
    N_SECTIONS_1, /* of version 1 */
    SECTION_FEATURE_NAMES = N_SECTIONS_1,
    SECTION_FEATURE_MAP,
    N_SECTIONS
};

struct model_section_entry {
    uint64_t offset;
    uint64_t len;
    uint32_t crc;
    uint32_t zero;
};

struct model_header {
    char magic[8];
    uint32_t version;
    uint32_t kind;
    uint32_t n_users;
    uint32_t n_items;
    uint32_t n_factors;
    float mean;
    uint64_t file_len;
    uint32_t n_sections;
    uint8_t zero[20];
    struct model_section_entry section[N_SECTIONS];
    uint8_t more_zero[108];
    uint32_t crc;
};

static_assert(sizeof(struct model_section_entry) == 24, "as in the table");
static_assert(offsetof(struct model_header, section) == 64, "as in the table");
static_assert(offsetof(struct model_header, crc) == 508, "as in the table");
static_assert(sizeof(struct model_header) == 512, "as in the table");
/* A mapped file is used as it stands. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

#endif
