/* csv.h - records of a comma-separated file that is in memory, RFC 4180 quoting.
 *
 * Nothing is guessed: a line that does not follow the format is an error, because a
 * field that is cut in the wrong place looks right until somebody reads it.
 */
#ifndef TRAINER_CSV_H
#define TRAINER_CSV_H

#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"

/* Where the reader stands. Errors name the line on which the record began. */
struct csv_cursor {
    char *at, *end; /* at < end: there is another record */
    const char *path;
    int64_t line;        /* of `at`, from 1 */
    int64_t record_line; /* of the record that was read last */
};

/* The start of `text` behind a byte order mark. Quoted fields are unquoted in place, so
 * the text belongs to the reader. Borrows text and path. */
struct csv_cursor csv_start(const struct buffer *text, const char *path);

/* Reads one record with its line end into fields (max_fields), which point into the
 * text. *n_fields may pass max_fields; what is past is dropped. Fails with
 * ERROR_INVALID, the message beginning with file:line. */
MUST_CHECK int csv_read_record(struct csv_cursor *c, struct slice *fields,
                               int max_fields, int *n_fields, struct error *error);

/* Sets ERROR_INVALID with file:line of the record that was read last; returns -1. */
int csv_bad_record(const struct csv_cursor *c, struct error *error, const char *what);

#endif
