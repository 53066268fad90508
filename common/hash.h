/* hash.h - 64-bit content hashes (XXH3, from libxxhash) and how they are written.
 *
 * For naming content (config, models) and for hash tables; not against an adversary,
 * and never for assignment, whose hash is experiment/'s own and frozen.
 */
#ifndef COMMON_HASH_H
#define COMMON_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_TEXT_LEN 16 /* hexadecimal digits of a 64-bit hash */

uint64_t hash_bytes(const void *data, size_t len);

/* The same of bytes that come in parts. NULL when memory ran out. */
struct hash_parts;
struct hash_parts *hash_parts_new(void);
void hash_parts_add(struct hash_parts *parts, const void *data, size_t len);
uint64_t hash_parts_value(const struct hash_parts *parts);
void hash_parts_free(struct hash_parts *parts);

/* Writes 16 lower-case hexadecimal digits and a NUL. */
void hash_text(uint64_t hash, char text[HASH_TEXT_LEN + 1]);

#endif
