/* checkpoint.h - the bytes of LOGS/checkpoint: what a start knows without reading the
 * log again.
 *
 * Feedback ids that count already and the ratings of new users, as far as the log was
 * read for them, and how far that was. It holds nothing that is not in the log: where
 * it is missing, damaged, of another version, or its segments are not any more what
 * they were, the log is read whole.
 *
 * Little-endian, version 2:
 *
 *   size  field
 *      8  magic "ABTCHECK"
 *      4  version, 2
 *      4  zero
 *      8  number of segments, and for each
 *             8 + n  name of the plain file
 *             8  end, 8  size of the file, 8  when it was written to, in microseconds
 *             4  bytes under the checksum, 4  CRC-32C (logs/extent.h), 1  compressed
 *      8  key of the ids' hashes
 *      8  number of ids of the older generation
 *      8  number of ids, 16 bytes each (serve/dedup.h), the older ones first
 *  8 + n  the ratings of new users (serve/newcomers.h)
 *      4  CRC-32C of all before it
 */
#ifndef SERVE_CHECKPOINT_H
#define SERVE_CHECKPOINT_H

#include <stddef.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"
#include "logs/logs.h"

struct checkpoint {
    struct log_marks marks; /* owned */
    uint64_t key;
    const char *ids;        /* (16 * n_ids) bytes; borrowed */
    size_t n_old, n_ids;    /* n_old <= n_ids */
    struct slice newcomers; /* borrowed */
};

/* Appends the file's bytes; what cannot be for want of memory shows in to->failed. */
void checkpoint_encode(const struct checkpoint *checkpoint, struct buffer *to);

/* Reads them; the checkpoint points into `bytes`. ERROR_DAMAGED or ERROR_NOMEM. The
 * caller frees it, failed or not. */
MUST_CHECK int checkpoint_decode(struct slice bytes, struct checkpoint *checkpoint,
                                 struct error *error);
void checkpoint_free(struct checkpoint *checkpoint);

#endif
