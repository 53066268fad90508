/* json_writer.h - JSON written in order, indented by two spaces.
 *
 * The caller opens and closes; the writer minds commas, quotes and NAN (null). A NULL
 * key writes an element of an array.
 */
#ifndef REPORT_JSON_WRITER_H
#define REPORT_JSON_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"

struct json_writer {
    struct buffer *out;
    int depth;
    bool has_sibling;
};

void json_open(struct json_writer *json, const char *key, char bracket);
void json_close(struct json_writer *json, char bracket);
void json_text(struct json_writer *json, const char *key, const char *value);
void json_int(struct json_writer *json, const char *key, int64_t value);
void json_number(struct json_writer *json, const char *key, double value);
void json_bool(struct json_writer *json, const char *key, bool value);

#endif
