/* line.h - an event as a line of the log; docs/formats.md has the format.
 *
 * A line is one JSON object with its keys in a fixed order. It ends with
 * `,"crc":"xxxxxxxx"}` and a newline; xxxxxxxx is the CRC-32C of the bytes of the line
 * before that comma. For internal use by logs/.
 */
#ifndef LOGS_LINE_H
#define LOGS_LINE_H

#include "common/buffer.h"
#include "logs/event.h"

#define LINE_CRC_LEN 18 /* bytes of `,"crc":"xxxxxxxx"}` */

/* Appends the line with its newline. Check buffer->failed afterwards. */
void line_append(struct buffer *buffer, const struct event *event);

/* The keys of a config event after `id`, which are the same in every segment. */
void line_append_config_body(struct buffer *buffer, const struct event *config);

/* A config line from a body made by line_append_config_body. */
void line_append_config(struct buffer *buffer, int64_t ts_us, struct slice id,
                        struct slice body);

/* Ends the line that begins at data[start] with its checksum and a newline. */
void line_append_crc(struct buffer *buffer, size_t start);

/* Holds the end of `line` (no newline) against its bytes. Returns NULL when the
 * checksum is right, else what is wrong. */
const char *line_check_crc(struct slice line);

#endif
