/* compress.h - a closed segment as zstd. For internal use by logs/.
 *
 * The file is a row of independent frames of whole lines, about 1 MiB each, with their
 * lengths and checksums, and ends with a seek table (the "zstd seekable format" of
 * zstd's contrib/), so that `zstd -d` reads it, a damaged frame costs only its own
 * lines, and several threads can read one segment.
 */
#ifndef LOGS_COMPRESS_H
#define LOGS_COMPRESS_H

#include <stdatomic.h>
#include <stdbool.h>

#include "common/error.h"

/* How a segment is compressed while others are written, which want the core as well. A
 * kernel lets a thread have a core for milliseconds, and every answer waits for them;
 * so this one rests after every piece of 128 KiB that is read, compressed or written,
 * four times as long as it took. */
struct compress_manners {
    const atomic_bool *stop;  /* true: give up */
    const atomic_bool *hurry; /* true: no rests */
};

/* Compresses the plain segment `path` to `path`.zst and removes the plain file: written
 * to a temporary, synced, renamed, the directory synced, then the plain one unlinked.
 * `manners` NULL: without rests, to the end. When `stop` turns true it gives up,
 * leaving the plain file and no temporary, and returns 0. Fails with ERROR_IO,
 * ERROR_NOT_FOUND or ERROR_NOMEM; the plain file then is as it was. */
MUST_CHECK int compress_segment(const char *path,
                                const struct compress_manners *manners,
                                struct error *error);

#endif
