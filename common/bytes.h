/* bytes.h - little-endian numbers and byte strings of a file format, whatever the
 * machine.
 *
 * Writing appends to a buffer. Reading moves through a slice; what is not there any
 * more reads as 0 and raises `failed`, which is checked once, before anything read is
 * believed; sizes are to be held against bytes_left before memory is asked for.
 */
#ifndef COMMON_BYTES_H
#define COMMON_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/slice.h"

/* `n` in 1..8 bytes of `value`. */
static inline void bytes_put(struct buffer *to, uint64_t value, size_t n)
{
    char *at = buffer_reserve(to, n);
    for (size_t i = 0; at && i < n; i++) {
        at[i] = (char)(value >> (8 * i));
    }
    to->len += at ? n : 0;
}

static inline void bytes_put_slice(struct buffer *to, struct slice text)
{
    bytes_put(to, text.len, 8);
    buffer_append(to, text.data, text.len);
}

struct bytes {
    const char *at, *end;
    bool failed;
};

static inline size_t bytes_left(const struct bytes *from)
{
    return (size_t)(from->end - from->at);
}

static inline uint64_t bytes_get(struct bytes *from, size_t n)
{
    uint64_t value = 0;
    if (bytes_left(from) < n) {
        from->failed = true;
        return 0;
    }
    for (size_t i = 0; i < n; i++) {
        value |= (uint64_t)(unsigned char)from->at[i] << (8 * i);
    }
    from->at += n;
    return value;
}

/* A number of things of which each takes at least `size` > 0 bytes: 0 and `failed` when
 * there are not so many bytes left. */
static inline size_t bytes_get_count(struct bytes *from, size_t size)
{
    const uint64_t n = bytes_get(from, 8);
    if (n > bytes_left(from) / size) {
        from->failed = true;
        return 0;
    }
    return (size_t)n;
}

/* Points into what is read. */
static inline struct slice bytes_get_slice(struct bytes *from)
{
    const size_t len = bytes_get_count(from, 1);
    const struct slice text = {from->at, len};
    from->at += len;
    return text;
}

#endif
