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

/* Longer lines are refused by the writer and skipped as damage by the reader, so that a
 * hostile file cannot eat the memory. */
#define LOG_LINE_MAX (4 << 20)

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

/* One segment, when it has been read to its end. */
struct log_segment {
    const char *file;
    int64_t n_events;
    int64_t n_bytes; /* uncompressed */
    int64_t n_damaged;
    int64_t torn_bytes; /* length of a last line without its newline, else 0 */
};

/* What to call; NULL members are skipped. A non-zero return stops the reading. */
struct log_visitor {
    int (*on_event)(void *context, const struct event *event);
    int (*on_damage)(void *context, const struct log_damage *damage);
    int (*on_segment)(void *context, const struct log_segment *segment);
    void *context;
};

/* Reads every event of `path`: a directory, or a single segment file. Of a segment that
 * stands there plain and compressed (a crash came between the two) one is read. A
 * directory may be read while a server writes to it. Returns 0 when all that is
 * readable was read (damage is not a failure here: see *statistics, which may be NULL),
 * -1 with ERROR_NOT_FOUND, ERROR_IO, ERROR_NOMEM, or what a visitor's stop left in
 * *error. */
MUST_CHECK int log_read(const char *path, const struct log_visitor *visitor,
                        struct log_statistics *statistics, struct error *error);

#endif
