#include "report/json_writer.h"

#include "common/json_text.h"

static void start(struct json_writer *json, const char *key)
{
    if (json->has_sibling) {
        buffer_append_char(json->out, ',');
    }
    if (json->depth) {
        buffer_append_char(json->out, '\n');
    }
    for (int i = 0; i < json->depth; i++) {
        buffer_append_text(json->out, "  ");
    }
    if (key) {
        json_append_string(json->out, slice_of(key));
        buffer_append_text(json->out, ": ");
    }
    json->has_sibling = true;
}

void json_open(struct json_writer *json, const char *key, char bracket)
{
    start(json, key);
    buffer_append_char(json->out, bracket);
    json->depth++;
    json->has_sibling = false;
}

void json_close(struct json_writer *json, char bracket)
{
    json->depth--;
    if (json->has_sibling) {
        buffer_append_char(json->out, '\n');
        for (int i = 0; i < json->depth; i++) {
            buffer_append_text(json->out, "  ");
        }
    }
    buffer_append_char(json->out, bracket);
    json->has_sibling = true;
}

void json_text(struct json_writer *json, const char *key, const char *value)
{
    start(json, key);
    if (value) {
        json_append_string(json->out, slice_of(value));
    } else {
        buffer_append_text(json->out, "null");
    }
}

void json_int(struct json_writer *json, const char *key, int64_t value)
{
    start(json, key);
    buffer_append_int(json->out, value);
}

void json_number(struct json_writer *json, const char *key, double value)
{
    start(json, key);
    json_append_double(json->out, value);
}

void json_bool(struct json_writer *json, const char *key, bool value)
{
    start(json, key);
    buffer_append_text(json->out, value ? "true" : "false");
}

void json_fields(struct json_writer *json, const struct json_field *fields, size_t n,
                 const void *object)
{
    for (size_t i = 0; i < n; i++) {
        const struct json_field *field = &fields[i];
        const void *at = (const char *)object + field->offset;
        switch (field->kind) {
        case JSON_FIELD_TEXT:
            json_text(json, field->key, *(const char *const *)at);
            break;
        case JSON_FIELD_INT:
            json_int(json, field->key, *(const int *)at);
            break;
        case JSON_FIELD_INT64:
            json_int(json, field->key, *(const int64_t *)at);
            break;
        case JSON_FIELD_DOUBLE:
            json_number(json, field->key, *(const double *)at);
            break;
        case JSON_FIELD_BOOL:
            json_bool(json, field->key, *(const bool *)at);
            break;
        }
    }
}
