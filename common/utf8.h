/* utf8.h - where UTF-8 sequences begin and end (Unicode 15, table 3-7: no overlong
 * forms, no surrogates, nothing above U+10FFFF).
 */
#ifndef COMMON_UTF8_H
#define COMMON_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Length 1-4 of the valid sequence that `text` begins with, 0 when there is none. */
size_t utf8_sequence_len(const char *text, size_t len);

/* The code point of a valid sequence of `sequence_len` bytes. */
uint32_t utf8_decode(const char *text, size_t sequence_len);

bool utf8_is_valid(const char *text, size_t len);

#endif
