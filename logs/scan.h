/* scan.h - the events of one segment, or of a range of its bytes. For internal use by
 * logs/.
 */
#ifndef LOGS_SCAN_H
#define LOGS_SCAN_H

#include <stdint.h>

#include "common/error.h"
#include "logs/reader.h"

/* Memory for reading; one a thread, used for one range after the other. */
struct scanner;

MUST_CHECK struct scanner *scanner_new(unsigned skip); /* NULL when memory ran out */
void scanner_free(struct scanner *scanner);

/* What is to be read: the lines that begin at an offset in [start, end). */
struct scan_range {
    const char *file;
    int32_t segment; /* for event_place */
    int64_t start;
    int64_t end; /* INT64_MAX: to the end of the segment, the torn tail included */
};

/* Reads the range and tells `visitor` of events and damage (not of the segment).
 * Returns 0 and what it found in *found: n_bytes is where it ended minus start, and
 * torn_bytes is 0 unless the range goes to the end. -1 with ERROR_NOT_FOUND when the
 * file is not there, ERROR_IO, ERROR_NOMEM, or what a visitor's stop left in *error.
 * Lines are numbered when start is 0. */
MUST_CHECK int scan(struct scanner *scanner, const struct scan_range *range,
                    const struct log_visitor *visitor, struct log_segment *found,
                    struct error *error);

/* log_read_parallel with ranges of another size, so that a test can make many. */
MUST_CHECK int scan_parallel(const char *path, const struct log_visitor *visitors,
                             int n_threads, int64_t range_size,
                             struct log_statistics *statistics, struct error *error);

#endif
