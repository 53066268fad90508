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

/* What a visitor does not look at, so that it is not parsed: that is most of a line.
 * Lines of our own are then not checked there beyond their checksum. */
enum log_skip {
    LOG_SKIP_SCORES = 1,    /* scores and propensities are NAN */
    LOG_SKIP_ITEMS = 2,     /* no items, n_items is 0, and no scores */
    LOG_SKIP_CHECKSUMS = 4, /* of lines that an earlier reading found whole */
};

/* What to call; NULL members are skipped. A non-zero return stops the reading. */
struct log_visitor {
    int (*on_event)(void *context, const struct event *event);
    int (*on_damage)(void *context, const struct log_damage *damage);
    int (*on_segment)(void *context, const struct log_segment *segment);
    unsigned skip; /* of enum log_skip, or 0 */
    /* Segments of a directory that were last written to before this time (microseconds
     * since 1970, by the clock of the file system) are left out; 0: none. For those who
     * want what is recent, as the ids that a server must know again after a restart. */
    int64_t since_us;
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

/* The same with `n_threads` threads (1..1024). visitors[t].on_event is called from
 * thread t alone; which events come to it is not determined, and the lines of a segment
 * may go to several threads, so what a visitor gathers must not depend on the order of
 * events beyond event.place (segment, offset), which is the same at any number of
 * threads. Damage and segments are told to visitors[0], in order, from the calling
 * thread, when all events have been visited; of a stretch of 32 MiB, damage beyond the
 * thousandth is told as one. place.line is 0 for most. */
MUST_CHECK int log_read_parallel(const char *path, const struct log_visitor *visitors,
                                 int n_threads, struct log_statistics *statistics,
                                 struct error *error);

/* A stretch of a segment: its lines that begin at an offset in [start, end). */
struct log_part {
    char *file;    /* path; of the plain segment where that is there */
    int64_t start; /* of a line, in the uncompressed segment */
    int64_t end;   /* INT64_MAX: to the end, the torn tail included */
};
struct log_parts {
    struct log_part *items; /* in order of segment */
    size_t n, capacity;
};

/* All of `path` as it is now, each segment whole. Fails with ERROR_NOT_FOUND, ERROR_IO
 * or ERROR_NOMEM; the caller frees *parts with log_parts_free, failed or not. */
MUST_CHECK int log_parts_list(const char *path, struct log_parts *parts,
                              struct error *error);
void log_parts_free(struct log_parts *parts); /* leaves none */

/* As log_read_parallel, of these parts alone. on_segment is called once for each that
 * is not empty (start < end), in order; n_bytes is then what was read of it. `path` is
 * for messages. */
MUST_CHECK int log_read_parts(const char *path, const struct log_parts *parts,
                              const struct log_visitor *visitors, int n_threads,
                              struct log_statistics *statistics, struct error *error);

#endif
