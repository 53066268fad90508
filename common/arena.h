/* arena.h - memory that is released all at once: the strings and arrays of one result.
 *
 * A report has hundreds of small pieces that live and die together; freeing each would
 * be most of the code. Not safe to share between threads.
 */
#ifndef COMMON_ARENA_H
#define COMMON_ARENA_H

#include <stddef.h>

#include "common/error.h"
#include "common/slice.h"

struct arena_block;

struct arena {
    struct arena_block *blocks; /* NULL while empty; a zeroed arena is ready to use */
};

/* Zeroed room for `n` elements of `size` bytes, aligned for any type and valid until
 * arena_free; NULL when memory ran out or n * size overflows. n = 0 gives room for one.
 */
MUST_CHECK void *arena_zeroed(struct arena *arena, size_t n, size_t size);

/* A NUL-terminated copy, or NULL when memory ran out. */
MUST_CHECK char *arena_text(struct arena *arena, struct slice text);

/* The formatted text, or NULL when memory ran out. */
MUST_CHECK char *arena_printf(struct arena *arena, const char *format, ...)
    PRINTF_LIKE(2, 3);

/* Releases everything; leaves an empty arena. */
void arena_free(struct arena *arena);

#endif
