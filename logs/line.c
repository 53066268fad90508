#include "logs/line.h"

#include <math.h>

#include "common/crc32c.h"
#include "common/json_text.h"

#define APPEND_LITERAL(buffer, text) buffer_append((buffer), (text), sizeof(text) - 1)

static void append_head(struct buffer *b, enum event_type type, int64_t ts_us,
                        struct slice id)
{
    switch (type) {
    case EVENT_CONFIG:
        APPEND_LITERAL(b, "{\"type\":\"config\",\"ts\":");
        break;
    case EVENT_EXPOSURE:
        APPEND_LITERAL(b, "{\"type\":\"exposure\",\"ts\":");
        break;
    case EVENT_FEEDBACK:
        APPEND_LITERAL(b, "{\"type\":\"feedback\",\"ts\":");
        break;
    }
    buffer_append_int(b, ts_us);
    APPEND_LITERAL(b, ",\"id\":");
    json_append_string(b, id);
}

static void append_assignments(struct buffer *b, const struct event *e)
{
    APPEND_LITERAL(b, ",\"assignments\":{");
    for (int i = 0; i < e->n_assignments; i++) {
        const struct event_assignment *a = &e->assignments[i];
        if (i > 0) {
            buffer_append_char(b, ',');
        }
        json_append_string(b, a->experiment);
        APPEND_LITERAL(b, ":[");
        json_append_string(b, a->arm);
        buffer_append_char(b, ',');
        json_append_double(b, a->probability);
        if (a->is_forced) {
            APPEND_LITERAL(b, ",\"forced\"");
        }
        buffer_append_char(b, ']');
    }
    buffer_append_char(b, '}');
}

static void append_attributes(struct buffer *b, const struct event *e)
{
    APPEND_LITERAL(b, ",\"attributes\":{");
    for (int i = 0; i < e->n_attributes; i++) {
        const struct event_attribute *a = &e->attributes[i];
        if (i > 0) {
            buffer_append_char(b, ',');
        }
        json_append_string(b, a->name);
        buffer_append_char(b, ':');
        switch (a->type) {
        case EVENT_ATTRIBUTE_STRING:
            json_append_string(b, a->text);
            break;
        case EVENT_ATTRIBUTE_NUMBER:
            json_append_double(b, a->number);
            break;
        case EVENT_ATTRIBUTE_BOOLEAN:
            buffer_append_text(b, a->boolean ? "true" : "false");
            break;
        }
    }
    buffer_append_char(b, '}');
}

static void append_items(struct buffer *b, const struct event *e)
{
    bool is_sampled = false;
    APPEND_LITERAL(b, ",\"items\":[");
    for (int i = 0; i < e->n_items; i++) {
        if (i > 0) {
            buffer_append_char(b, ',');
        }
        json_append_string(b, e->items[i].id);
        is_sampled |= !isnan(e->items[i].propensity);
    }
    APPEND_LITERAL(b, "],\"scores\":[");
    for (int i = 0; i < e->n_items; i++) {
        if (i > 0) {
            buffer_append_char(b, ',');
        }
        json_append_double(b, e->items[i].score);
    }
    if (is_sampled) {
        APPEND_LITERAL(b, "],\"propensities\":[");
        for (int i = 0; i < e->n_items; i++) {
            if (i > 0) {
                buffer_append_char(b, ',');
            }
            json_append_double(b, e->items[i].propensity);
        }
    }
    buffer_append_char(b, ']');
}

static void append_exposure(struct buffer *b, const struct event *e)
{
    APPEND_LITERAL(b, ",\"user\":");
    json_append_string(b, e->user);
    append_assignments(b, e);
    if (e->n_attributes) {
        append_attributes(b, e);
    }
    APPEND_LITERAL(b, ",\"hash\":");
    buffer_append_int(b, e->hash_version);
    APPEND_LITERAL(b, ",\"config\":");
    json_append_string(b, e->config);
    if (e->model.len) {
        APPEND_LITERAL(b, ",\"model\":");
        json_append_string(b, e->model);
        append_items(b, e);
    }
    if (e->latency_us >= 0) {
        APPEND_LITERAL(b, ",\"latency_us\":");
        buffer_append_int(b, e->latency_us);
    }
}

static void append_feedback(struct buffer *b, const struct event *e)
{
    APPEND_LITERAL(b, ",\"user\":");
    json_append_string(b, e->user);
    APPEND_LITERAL(b, ",\"event\":");
    json_append_string(b, e->event);
    if (e->has_value) {
        APPEND_LITERAL(b, ",\"value\":");
        json_append_double(b, e->value);
    }
    if (e->item.len) {
        APPEND_LITERAL(b, ",\"item\":");
        json_append_string(b, e->item);
    }
    if (e->request.len) {
        APPEND_LITERAL(b, ",\"request\":");
        json_append_string(b, e->request);
    }
}

void line_append_config_body(struct buffer *b, const struct event *config)
{
    APPEND_LITERAL(b, ",\"config\":");
    json_append_string(b, config->config);
    APPEND_LITERAL(b, ",\"text\":");
    json_append_string(b, config->text);
    APPEND_LITERAL(b, ",\"models\":{");
    for (int i = 0; i < config->n_models; i++) {
        if (i > 0) {
            buffer_append_char(b, ',');
        }
        json_append_string(b, config->models[i].name);
        buffer_append_char(b, ':');
        json_append_string(b, config->models[i].hash);
    }
    APPEND_LITERAL(b, "},\"version\":");
    json_append_string(b, config->version);
}

void line_append_crc(struct buffer *b, size_t start)
{
    static const char digits[] = "0123456789abcdef";
    char end[LINE_CRC_LEN + 1] = ",\"crc\":\"xxxxxxxx\"}";
    if (b->failed) {
        return;
    }
    const uint32_t crc = crc32c(0, b->data + start, b->len - start);
    for (int i = 0; i < 8; i++) {
        end[8 + i] = digits[crc >> (28 - 4 * i) & 0xF];
    }
    end[LINE_CRC_LEN] = '\n';
    buffer_append(b, end, sizeof end);
}

void line_append_config(struct buffer *buffer, int64_t ts_us, struct slice id,
                        struct slice body)
{
    const size_t start = buffer->len;
    append_head(buffer, EVENT_CONFIG, ts_us, id);
    buffer_append(buffer, body.data, body.len);
    line_append_crc(buffer, start);
}

void line_append(struct buffer *buffer, const struct event *event)
{
    const size_t start = buffer->len;
    append_head(buffer, event->type, event->ts_us, event->id);
    switch (event->type) {
    case EVENT_CONFIG:
        line_append_config_body(buffer, event);
        break;
    case EVENT_EXPOSURE:
        append_exposure(buffer, event);
        break;
    case EVENT_FEEDBACK:
        append_feedback(buffer, event);
        break;
    }
    line_append_crc(buffer, start);
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

const char *line_check_crc(struct slice line)
{
    if (line.len < LINE_CRC_LEN) {
        return line.len ? "line is too short to hold a checksum" : "line is empty";
    }
    const size_t len = line.len - LINE_CRC_LEN;
    const char *end = line.data + len;
    uint32_t written = 0;
    if (memcmp(end, ",\"crc\":\"", 8) != 0 || memcmp(end + 16, "\"}", 2) != 0) {
        return "line does not end with a checksum";
    }
    for (int i = 0; i < 8; i++) {
        const int digit = hex_digit(end[8 + i]);
        if (digit < 0) {
            return "checksum is not eight hexadecimal digits";
        }
        written = written << 4 | (uint32_t)digit;
    }
    return written == crc32c(0, line.data, len) ? NULL : "checksum does not match";
}
