/* buffer.h - bytes that grow at the end: a response, a log batch, a report.
 *
 * Appending never fails visibly: when memory runs out the buffer keeps what it has and
 * raises `failed`, which the owner checks once, before using the bytes. That keeps
 * forty appends from needing forty checks. Not safe to share between threads.
 */
#ifndef COMMON_BUFFER_H
#define COMMON_BUFFER_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

struct buffer {
    char *data; /* `len` bytes, not NUL-terminated; NULL while empty */
    size_t len;
    size_t capacity;
    bool failed; /* an append was lost because memory ran out */
    /* For what need not stand in memory as a whole: takes the bytes somewhere when
     * there are BUFFER_SPILL or more and no room for the next, and sets `len` to 0. -1:
     * they are lost (`failed`). NULL: the buffer grows. */
    int (*spill)(struct buffer *buffer);
};

#define BUFFER_SPILL ((size_t)64 << 10)

void buffer_free(struct buffer *buffer); /* leaves an empty buffer; keeps nothing */

/* Makes room for `extra` more bytes and returns where to write them, or NULL (and
 * `failed`). The caller adds to `len` what it wrote. */
char *buffer_reserve(struct buffer *buffer, size_t extra);

void buffer_append(struct buffer *buffer, const void *data, size_t len);
void buffer_append_text(struct buffer *buffer, const char *text);
void buffer_append_char(struct buffer *buffer, char c);
void buffer_append_int(struct buffer *buffer, int64_t value);
void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);
void buffer_vprintf(struct buffer *buffer, const char *format, va_list args)
    PRINTF_LIKE(2, 0);

/* Drops the contents and the failure, keeps the memory. */
static inline void buffer_clear(struct buffer *buffer)
{
    buffer->len = 0;
    buffer->failed = false;
}

static inline struct slice buffer_slice(const struct buffer *buffer)
{
    return (struct slice){buffer->data, buffer->len};
}

#endif
