#include "common/hash.h"

#include <stdlib.h>
/* Of the library's header alone: a log has three short keys a line to be hashed, and a
 * call through two libraries takes longer than hashing them. */
#define XXH_INLINE_ALL
#define XXH_NO_INLINE_HINTS 1 /* which builds that do not optimise cannot follow */
#include <xxhash.h>

uint64_t hash_bytes(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

struct hash_parts {
    XXH3_state_t *state;
};

struct hash_parts *hash_parts_new(void)
{
    struct hash_parts *parts = malloc(sizeof *parts);
    if (parts) {
        parts->state = XXH3_createState();
        if (parts->state && XXH3_64bits_reset(parts->state) == XXH_OK) {
            return parts;
        }
    }
    hash_parts_free(parts);
    return NULL;
}

void hash_parts_add(struct hash_parts *parts, const void *data, size_t len)
{
    (void)XXH3_64bits_update(parts->state, data, len); /* fails for NULL only */
}

uint64_t hash_parts_value(const struct hash_parts *parts)
{
    return XXH3_64bits_digest(parts->state);
}

void hash_parts_free(struct hash_parts *parts)
{
    if (parts) {
        XXH3_freeState(parts->state);
        free(parts);
    }
}

void hash_text(uint64_t hash, char text[HASH_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_TEXT_LEN; i++) {
        text[i] = digits[hash >> (60 - 4 * i) & 0xF];
    }
    text[HASH_TEXT_LEN] = '\0';
}
