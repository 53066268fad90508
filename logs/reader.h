/* reader.h - reads a log directory back, event by event.
 *
 * Segments are read in order of name, plain or compressed. A torn last line of a
 * segment is normal after a crash: it is skipped and counted. Any other line that fails
 * its checksum or format is reported through `on_damage` and skipped; the rest is read.
 */
#ifndef LOGS_READER_H
#define LOGS_READER_H

#include <stdint.h>

#include "common/error.h"
#include "logs/event.h"

struct log_damage {
    const char *file;
    int64_t offset; /* bytes from the start of the (uncompressed) segment */
    int64_t size;   /* bytes skipped */
    const char *reason;
};

struct log_statistics {
    int64_t n_segments;
    int64_t n_events;
    int64_t n_bytes; /* uncompressed */
    int64_t n_damaged;
    int64_t n_torn_tails;
};

/* What to call; NULL members are skipped. A non-zero return stops the reading. */
struct log_visitor {
    int (*on_event)(void *context, const struct event *event);
    int (*on_damage)(void *context, const struct log_damage *damage);
    void *context;
};

/* Reads every event of `path`: a directory, or a single segment file. Returns 0 when
 * all that is readable was read (damage is not a failure here: see *statistics), -1
 * with ERROR_NOT_FOUND, ERROR_IO, ERROR_NOMEM, or what a visitor's stop left in *error.
 */
MUST_CHECK int log_read(const char *path, const struct log_visitor *visitor,
                        struct log_statistics *statistics, struct error *error);

#endif
