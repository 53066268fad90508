/* json_text.h - the two JSON tokens that need care when written by hand.
 *
 * Hot paths (answers, log lines) and reports write JSON straight into a buffer; jansson
 * stays for reading bodies. Numbers round-trip: a reader gets the same double back.
 */
#ifndef COMMON_JSON_TEXT_H
#define COMMON_JSON_TEXT_H

#include "common/buffer.h"

/* Appends `text` as a quoted JSON string. Control characters, quote and backslash are
 * escaped; other bytes are copied, so valid UTF-8 stays valid UTF-8. A byte that is not
 * part of valid UTF-8 is written as U+FFFD, so that the output is always valid JSON. */
void json_append_string(struct buffer *buffer, struct slice text);

/* Appends the shortest decimal that reads back as the same double or float
 * (decimal.h); NAN and infinities, which JSON has no word for, as null. */
void json_append_double(struct buffer *buffer, double value);
void json_append_float(struct buffer *buffer, float value);

/* The same two into memory that the caller has made large enough, for lines that are
 * written many thousand times a second. They return where the text ends. */
#define JSON_STRING_MAX(len) (6 * (len) + 2)
#define JSON_NUMBER_MAX      32
char *json_put_string(char *to, struct slice text);
char *json_put_double(char *to, double value);

#endif
