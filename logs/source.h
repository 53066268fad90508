/* source.h - the bytes of a segment, plain or compressed, from front to back.
 *
 * A compressed segment is a row of zstd frames that each hold whole lines. A frame that
 * does not decompress is a gap: the bytes before it and after it are still given. For
 * internal use by logs/.
 */
#ifndef LOGS_SOURCE_H
#define LOGS_SOURCE_H

#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

struct source;

enum source_result {
    SOURCE_BYTES, /* *len > 0 bytes were written */
    SOURCE_GAP, /* bytes are lost here: *len of them, 0 when it is not known how many */
    SOURCE_END,
    SOURCE_FAILED, /* *error is set */
};

/* Opens `path`; compressed when it ends in ".zst". ERROR_NOT_FOUND, ERROR_IO or
 * ERROR_NOMEM. */
MUST_CHECK int source_open(const char *path, struct source **source,
                           struct error *error);
void source_close(struct source *source); /* NULL is allowed */

/* Writes up to `capacity` bytes to `to`. */
enum source_result source_read(struct source *source, char *to, size_t capacity,
                               size_t *len, struct error *error);

/* Moves `n` uncompressed bytes forward from the start of the segment. Compressed bytes
 * have to be gone through. */
MUST_CHECK int source_skip(struct source *source, int64_t n, struct error *error);

#endif
