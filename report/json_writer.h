/* json_writer.h - JSON written in order, indented by two spaces.
 *
 * The caller opens and closes; the writer minds commas, quotes and NAN (null). A NULL
 * key writes an element of an array. Structs whose fields go out as they are have a
 * table of fields instead of a function of their own.
 */
#ifndef REPORT_JSON_WRITER_H
#define REPORT_JSON_WRITER_H

#include <stdbool.h>
#include <stddef.h>
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

enum json_field_kind {
    JSON_FIELD_TEXT,
    JSON_FIELD_INT,
    JSON_FIELD_INT64,
    JSON_FIELD_DOUBLE,
    JSON_FIELD_BOOL,
};

/* One member of a struct, and the key it goes by. */
struct json_field {
    const char *key;
    enum json_field_kind kind;
    size_t offset;
};

/* The kind follows from the member's type; another type does not compile. */
#define JSON_FIELD(type, member, key)                                                    \
    {                                                                                    \
        key,                                                                           \
            _Generic(((type *)0)->member, const char *                                 \
                     : JSON_FIELD_TEXT, int                                            \
                     : JSON_FIELD_INT, int64_t                                         \
                     : JSON_FIELD_INT64, double                                        \
                     : JSON_FIELD_DOUBLE, bool                                         \
                     : JSON_FIELD_BOOL),                                               \
            offsetof(type, member) \
    }

/* Writes the `n` fields of the struct at `object`, in the order of the table. */
void json_fields(struct json_writer *json, const struct json_field *fields, size_t n,
                 const void *object);

/* For a table that is an array. */
#define JSON_FIELDS(json, fields, object)                                              \
    json_fields(json, fields, sizeof(fields) / sizeof(fields)[0], object)

#endif
