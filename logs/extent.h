/* extent.h - how far a segment was read, and whether what was read still stands there.
 *
 * For readers that come back and want only what is new. Segments are appended to, cut
 * at a torn tail, compressed when they are closed, and never changed otherwise; so the
 * last bytes that were read are held against their checksum, and of a compressed file
 * size and time. Damage farther ahead, which those bytes do not show, is found by
 * reading the log whole.
 */
#ifndef LOGS_EXTENT_H
#define LOGS_EXTENT_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"

#define LOG_EXTENT_CHECKED 4096 /* bytes at most that are held against a checksum */

struct log_extent {
    int64_t end;  /* all before it was read: where a line ends, uncompressed */
    int64_t torn; /* bytes behind `end` when it was read: the torn tail */
    bool is_zst;
    int64_t file_size;
    int64_t written_us;   /* mtime */
    uint32_t checked_len; /* bytes before `end` under the checksum; 0: compressed */
    uint32_t checked_crc; /* CRC-32C */
};

/* Fills *extent for `file`, a path as in log_part, read up to `end` with `torn` bytes
 * behind it. ERROR_IO, ERROR_NOT_FOUND or ERROR_NOMEM. */
MUST_CHECK int log_extent_take(const char *file, int64_t end, int64_t torn,
                               struct log_extent *extent, struct error *error);

enum log_change {
    LOG_UNCHANGED, /* nothing new behind extent.end */
    LOG_GROWN,     /* read on from extent.end */
    LOG_CHANGED,   /* not what was read: cut, overwritten, or another file */
};

/* What became of the segment, which is `file` now. */
MUST_CHECK int log_extent_compare(const char *file, const struct log_extent *extent,
                                  enum log_change *change, struct error *error);

#endif
