/* segment.h - one file that is appended to. Not thread-safe. For internal use by logs/.
 */
#ifndef LOGS_SEGMENT_H
#define LOGS_SEGMENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/slice.h"

struct segment {
    int fd; /* -1 when it is not open */
    char *path;
    int64_t len;       /* good bytes; what is behind them was cut or is to be cut */
    int64_t synced;    /* the first `synced` bytes are on disk */
    int64_t opened_ns; /* monotonic */
    int64_t head_len; /* of the config line; a file no longer than that holds nothing */
    bool is_name_synced; /* its name in the directory is on disk */
    bool is_sealed;      /* nothing may be appended any more */
    bool is_sync_failed; /* nor may it be synced: the kernel may have dropped pages */
    struct segment *next;
};

/* Creates DIRECTORY/NAME, which must not exist. ERROR_IO or ERROR_NOMEM. */
MUST_CHECK int segment_open(const char *directory, const char *name,
                            struct segment **segment, struct error *error);

/* Closes without syncing; the rest stays. */
void segment_close(struct segment *segment);

/* Closes without syncing and frees. NULL is allowed. */
void segment_free(struct segment *segment);

/* Writes `data` behind the good bytes and counts it among them. On -1 (ERROR_IO) the
 * file may hold a part of it: seal it. */
MUST_CHECK int segment_write(struct segment *segment, struct slice data,
                             struct error *error);

/* fdatasync. On -1 (ERROR_IO) it is not known what is on disk: seal it. */
MUST_CHECK int segment_sync(struct segment *segment, struct error *error);

/* Cuts the file to its first `len` bytes, and allows no appending any more. -1 with
 * ERROR_IO when it could not be cut: what was written behind them may be found by a
 * reader. */
MUST_CHECK int segment_seal(struct segment *segment, int64_t len, struct error *error);

/* Takes the file away, for nothing in it counts. */
void segment_unlink(struct segment *segment);

#endif
