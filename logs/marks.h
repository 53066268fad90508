/* marks.h - how far a whole log directory was read, so that who comes back reads only
 * what is new.
 *
 * A mark is a segment's name and its extent (extent.h). Segments that have no mark are
 * new; marks whose segments are gone (moved away by the operator) do not matter.
 */
#ifndef LOGS_MARKS_H
#define LOGS_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "logs/extent.h"
#include "logs/reader.h"

struct log_mark {
    char *name; /* of the plain segment, without its directory; owned */
    struct log_extent extent;
};

struct log_marks {
    struct log_mark *items;
    size_t n, capacity;
};

/* Adds a mark and copies `name`. -1 when memory ran out. */
MUST_CHECK int log_marks_add(struct log_marks *marks, struct slice name,
                             const struct log_extent *extent);
void log_marks_free(struct log_marks *marks); /* leaves none */

/* Marks every segment of a directory at the end of its last whole line, as it is now; a
 * server may be writing meanwhile. ERROR_IO, ERROR_NOT_FOUND or ERROR_NOMEM; the caller
 * frees *marks, failed or not. */
MUST_CHECK int log_marks_take(const char *directory, struct log_marks *marks,
                              struct error *error);

/* What is to be read of the directory by one who has read as far as the marks: a part
 * for every segment, the empty ones included. *fits is false when a segment is not any
 * more what was marked; all of it is then to be read. ERROR_IO, ERROR_NOT_FOUND or
 * ERROR_NOMEM; the caller frees *parts, failed or not. */
MUST_CHECK int log_marks_parts(const char *directory, const struct log_marks *marks,
                               struct log_parts *parts, bool *fits,
                               struct error *error);

/* Makes everything that is in the directory's plain segments now durable, whoever has
 * written it. ERROR_IO, ERROR_NOT_FOUND or ERROR_NOMEM. */
MUST_CHECK int log_marks_sync(const char *directory, struct error *error);

#endif
