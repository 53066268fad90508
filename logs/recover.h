/* recover.h - what a writer finds and mends in its directory before it writes. For
 * internal use by logs/.
 */
#ifndef LOGS_RECOVER_H
#define LOGS_RECOVER_H

#include <stdint.h>

#include "common/error.h"
#include "logs/segment_name.h"

/* Makes the directory if it is not there and locks it. Returns in *lock_fd what must be
 * closed to unlock it. ERROR_BUSY when another writer has the lock. */
MUST_CHECK int recover_lock(const char *directory, int *lock_fd, struct error *error);

struct node_identity {
    char node[SEGMENT_NODE_LEN + 1];
    uint64_t n_starts; /* how often this node was started, this time included */
};

/* Reads and counts up LOGS/node and LOGS/starts. With the node's name and the number of
 * the start, an id can never come again. Both are made anew when one is missing.
 * `wanted` is the name to make then, or NULL for a random one. ERROR_DAMAGED when one
 * holds something else. */
MUST_CHECK int recover_identity(const char *directory, const uint32_t *wanted,
                                struct node_identity *identity, struct error *error);

/* Cuts the torn last line of a plain segment. Returns the bytes cut, 0 when it was
 * whole, or -1 with ERROR_IO. */
MUST_CHECK int64_t recover_tail(const char *path, struct error *error);

/* Offset behind the last newline of the first `size` bytes of a file, 0 when there is
 * none; -1 when it cannot be read. */
int64_t recover_line_end(int fd, int64_t size);

#endif
