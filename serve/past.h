/* past.h - what the log remembers for the server: ids of feedback and of exposures that
 * clients reported, which count already, and the ratings of new users.
 *
 * Read at start, from a checkpoint (checkpoint.h) in the log's directory and what was
 * logged since, or from the whole log where there is none that fits. A thread of its
 * own writes a checkpoint whenever about a segment was logged since the last, and a
 * clean stop writes one, so a start reads little.
 *
 * What a checkpoint holds must be in the log for good, and what it covers of the log
 * must be in it. Hence the order: how far the log goes is noted; then the ids are
 * copied, those still being written too; when all of these are settled, and those that
 * failed are taken out, and the ratings that were being written are settled, too, the
 * ratings are copied; the log is synced; then the file is replaced.
 */
#ifndef SERVE_PAST_H
#define SERVE_PAST_H

#include "common/error.h"
#include "logs/logs.h"
#include "serve/dedup.h"
#include "serve/newcomers.h"

struct past;

struct past_options {
    const char *directory; /* of the log; copied */
    int n_workers;
    int64_t interval_bytes; /* of log between two checkpoints, at least */
};

MUST_CHECK int past_new(const struct past_options *options, struct past **past,
                        struct error *error);
void past_free(struct past *past); /* NULL is allowed; ends the thread */

struct dedup *past_dedup(struct past *past);
struct newcomers *past_newcomers(struct past *past);

/* Reads checkpoint and log. Whoever calls this holds the directory's lock. */
MUST_CHECK int past_read(struct past *past, struct error *error);

/* Bytes of log (uncompressed) that past_read had to read. */
int64_t past_read_bytes(const struct past *past);

/* Starts the thread; `log` must outlive past_end. */
MUST_CHECK int past_begin(struct past *past, struct log *log, struct error *error);
void past_end(struct past *past);

/* Writes a checkpoint of a log that is closed. Failing is no loss: the next start reads
 * more. */
MUST_CHECK int past_write(struct past *past, struct error *error);

#endif
