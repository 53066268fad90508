/* parse.h - a line of the log as an event.
 *
 * Lines as our writer makes them (keys in the order of docs/formats.md, no blanks) are
 * parsed by hand; any other order of keys goes to jansson. Both give the same event.
 * The checksum is the caller's matter (line.h). For internal use by logs/.
 */
#ifndef LOGS_PARSE_H
#define LOGS_PARSE_H

#include <stdbool.h>
#include <stddef.h>

#include "common/error.h"
#include "logs/event.h"

/* Memory that the slices and arrays of one event point into, used again for the next.
 */
struct line_parser;

MUST_CHECK struct line_parser *line_parser_new(void); /* NULL when memory ran out */
void line_parser_free(struct line_parser *parser);

/* What the events of this parser need not hold: LOG_SKIP_* of reader.h. */
void line_parser_skip(struct line_parser *parser, unsigned skip);

enum parse_result {
    PARSE_DONE,
    PARSE_BAD,   /* not an event: *reason says why, valid until the next line */
    PARSE_NOMEM, /* memory ran out */
};

/* Parses a line (no newline) whose checksum was found right. The event points into the
 * line and into the parser until the next call. */
enum parse_result line_parse(struct line_parser *parser, struct slice line,
                             struct event *event, const char **reason);

#endif
