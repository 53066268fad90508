#include "common/hash.h"

#include <xxhash.h>

uint64_t hash_bytes(const void *data, size_t len)
{
    return XXH3_64bits(data, len);
}

void hash_text(uint64_t hash, char text[HASH_TEXT_LEN + 1])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < HASH_TEXT_LEN; i++) {
        text[i] = digits[hash >> (60 - 4 * i) & 0xF];
    }
    text[HASH_TEXT_LEN] = '\0';
}
