#include "logs/line.h"

#include <math.h>

#include "common/crc32c.h"
#include "common/decimal.h"
#include "common/json_text.h"

/* What a line takes beside its strings and numbers: all keys, and the marks of one
 * assignment, item or model. */
#define KEYS_MAX  256
#define MARKS_MAX 24

#define PUT_LITERAL(at, text)                                                          \
    (memcpy((at), (text), sizeof(text) - 1), (at) + sizeof(text) - 1)

static char *put_int(char *at, int64_t value)
{
    return at + decimal_write_int(at, value);
}

/* Upper bound of the line's length, so that memory is asked for once a line. */
static size_t line_bound(const struct event *e)
{
    size_t strings = e->id.len + e->user.len + e->config.len + e->model.len +
                     e->event.len + e->item.len + e->request.len + e->text.len +
                     e->version.len;
    size_t n_marks = 0;
    for (int i = 0; i < e->n_assignments; i++) {
        strings += e->assignments[i].experiment.len + e->assignments[i].arm.len;
        n_marks++;
    }
    for (int i = 0; i < e->n_attributes; i++) {
        strings += e->attributes[i].name.len + e->attributes[i].text.len;
        n_marks++;
    }
    for (int i = 0; i < e->n_items; i++) {
        strings += e->items[i].id.len;
        n_marks += 2; /* two numbers */
    }
    for (int i = 0; i < e->n_models; i++) {
        strings += e->models[i].name.len + e->models[i].hash.len;
        n_marks++;
    }
    return JSON_STRING_MAX(strings) + n_marks * (MARKS_MAX + JSON_NUMBER_MAX) +
           4 * (size_t)DECIMAL_SIZE + KEYS_MAX;
}

static char *put_head(char *at, enum event_type type, int64_t ts_us, struct slice id)
{
    switch (type) {
    case EVENT_CONFIG:
        at = PUT_LITERAL(at, "{\"type\":\"config\",\"ts\":");
        break;
    case EVENT_EXPOSURE:
        at = PUT_LITERAL(at, "{\"type\":\"exposure\",\"ts\":");
        break;
    case EVENT_FEEDBACK:
        at = PUT_LITERAL(at, "{\"type\":\"feedback\",\"ts\":");
        break;
    }
    at = put_int(at, ts_us);
    at = PUT_LITERAL(at, ",\"id\":");
    return json_put_string(at, id);
}

static char *put_assignments(char *at, const struct event *e)
{
    at = PUT_LITERAL(at, ",\"assignments\":{");
    for (int i = 0; i < e->n_assignments; i++) {
        const struct event_assignment *a = &e->assignments[i];
        if (i > 0) {
            *at++ = ',';
        }
        at = json_put_string(at, a->experiment);
        at = PUT_LITERAL(at, ":[");
        at = json_put_string(at, a->arm);
        *at++ = ',';
        at = json_put_double(at, a->probability);
        if (a->is_forced) {
            at = PUT_LITERAL(at, ",\"forced\"");
        }
        *at++ = ']';
    }
    *at++ = '}';
    return at;
}

static char *put_attributes(char *at, const struct event *e)
{
    at = PUT_LITERAL(at, ",\"attributes\":{");
    for (int i = 0; i < e->n_attributes; i++) {
        const struct event_attribute *a = &e->attributes[i];
        if (i > 0) {
            *at++ = ',';
        }
        at = json_put_string(at, a->name);
        *at++ = ':';
        switch (a->type) {
        case EVENT_ATTRIBUTE_STRING:
            at = json_put_string(at, a->text);
            break;
        case EVENT_ATTRIBUTE_NUMBER:
            at = json_put_double(at, a->number);
            break;
        case EVENT_ATTRIBUTE_BOOLEAN:
            at = a->boolean ? PUT_LITERAL(at, "true") : PUT_LITERAL(at, "false");
            break;
        }
    }
    *at++ = '}';
    return at;
}

/* The list is taken into locals first: bytes that are written through `at` could be
 * anybody's, so the compiler would read it again for every item. */
static char *put_items(char *at, const struct event *e)
{
    const struct event_item *const items = e->items;
    const int n = e->n_items;
    bool is_sampled = false;
    at = PUT_LITERAL(at, ",\"items\":[");
    for (int i = 0; i < n; i++) {
        *at = ',';
        at = json_put_string(at + (i > 0), items[i].id);
        is_sampled |= !isnan(items[i].propensity);
    }
    at = PUT_LITERAL(at, "],\"scores\":[");
    for (int i = 0; i < n; i++) {
        *at = ',';
        at = json_put_double(at + (i > 0), items[i].score);
    }
    if (is_sampled) {
        at = PUT_LITERAL(at, "],\"propensities\":[");
        for (int i = 0; i < n; i++) {
            *at = ',';
            at = json_put_double(at + (i > 0), items[i].propensity);
        }
    }
    *at++ = ']';
    return at;
}

static char *put_exposure(char *at, const struct event *e)
{
    at = PUT_LITERAL(at, ",\"user\":");
    at = json_put_string(at, e->user);
    at = put_assignments(at, e);
    if (e->n_attributes) {
        at = put_attributes(at, e);
    }
    at = PUT_LITERAL(at, ",\"hash\":");
    at = put_int(at, e->hash_version);
    at = PUT_LITERAL(at, ",\"config\":");
    at = json_put_string(at, e->config);
    if (e->model.len) {
        at = PUT_LITERAL(at, ",\"model\":");
        at = json_put_string(at, e->model);
        at = put_items(at, e);
    }
    if (e->latency_us >= 0) {
        at = PUT_LITERAL(at, ",\"latency_us\":");
        at = put_int(at, e->latency_us);
    }
    if (e->offset > 0) {
        at = PUT_LITERAL(at, ",\"offset\":");
        at = put_int(at, e->offset);
    }
    return at;
}

static char *put_feedback(char *at, const struct event *e)
{
    at = PUT_LITERAL(at, ",\"user\":");
    at = json_put_string(at, e->user);
    at = PUT_LITERAL(at, ",\"event\":");
    at = json_put_string(at, e->event);
    if (e->has_value) {
        at = PUT_LITERAL(at, ",\"value\":");
        at = json_put_double(at, e->value);
    }
    if (e->item.len) {
        at = PUT_LITERAL(at, ",\"item\":");
        at = json_put_string(at, e->item);
    }
    if (e->request.len) {
        at = PUT_LITERAL(at, ",\"request\":");
        at = json_put_string(at, e->request);
    }
    return at;
}

static char *put_config_body(char *at, const struct event *config)
{
    at = PUT_LITERAL(at, ",\"config\":");
    at = json_put_string(at, config->config);
    at = PUT_LITERAL(at, ",\"text\":");
    at = json_put_string(at, config->text);
    at = PUT_LITERAL(at, ",\"models\":{");
    for (int i = 0; i < config->n_models; i++) {
        if (i > 0) {
            *at++ = ',';
        }
        at = json_put_string(at, config->models[i].name);
        *at++ = ':';
        at = json_put_string(at, config->models[i].hash);
    }
    at = PUT_LITERAL(at, "},\"version\":");
    return json_put_string(at, config->version);
}

void line_append_config_body(struct buffer *buffer, const struct event *config)
{
    char *at = buffer_reserve(buffer, line_bound(config));
    if (at) {
        buffer->len += (size_t)(put_config_body(at, config) - at);
    }
}

/* Eight hexadecimal digits, the upper ones first: all at once, a byte of a word each.
 */
static void crc_text(uint32_t crc, char text[8])
{
    const uint64_t ones = 0x0101010101010101;
    uint64_t digits = __builtin_bswap32(crc);
    digits = (digits | digits << 16) & 0x0000FFFF0000FFFF;
    digits = (digits | digits << 8) & 0x00FF00FF00FF00FF;
    digits = (digits >> 4 & 0x000F000F000F000F) | (digits & 0x000F000F000F000F) << 8;
    const uint64_t is_letter = (digits + 6 * ones) >> 4 & ones;
    digits += '0' * ones + is_letter * ('a' - '0' - 10);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    digits = __builtin_bswap64(digits);
#endif
    memcpy(text, &digits, sizeof digits);
}

static char *put_crc(char *at, const char *start)
{
    const uint32_t crc = crc32c(0, start, (size_t)(at - start));
    at = PUT_LITERAL(at, ",\"crc\":\"");
    crc_text(crc, at);
    return PUT_LITERAL(at + 8, "\"}\n");
}

void line_append_crc(struct buffer *buffer, size_t start)
{
    char *at = buffer_reserve(buffer, LINE_CRC_LEN + 1);
    if (at) {
        buffer->len += (size_t)(put_crc(at, buffer->data + start) - at);
    }
}

void line_append_config(struct buffer *buffer, int64_t ts_us, struct slice id,
                        struct slice body)
{
    const size_t start = buffer->len;
    char *at =
        buffer_reserve(buffer, KEYS_MAX + DECIMAL_SIZE + JSON_STRING_MAX(id.len));
    if (at) {
        buffer->len += (size_t)(put_head(at, EVENT_CONFIG, ts_us, id) - at);
        buffer_append(buffer, body.data, body.len);
        line_append_crc(buffer, start);
    }
}

void line_append(struct buffer *buffer, const struct event *event)
{
    char *const start = buffer_reserve(buffer, line_bound(event));
    if (!start) {
        return;
    }
    char *at = put_head(start, event->type, event->ts_us, event->id);
    switch (event->type) {
    case EVENT_CONFIG:
        at = put_config_body(at, event);
        break;
    case EVENT_EXPOSURE:
        at = put_exposure(at, event);
        break;
    case EVENT_FEEDBACK:
        at = put_feedback(at, event);
        break;
    }
    buffer->len += (size_t)(put_crc(at, start) - start);
}

const char *line_check_crc(struct slice line)
{
    if (line.len < LINE_CRC_LEN) {
        return line.len ? "line is too short to hold a checksum" : "line is empty";
    }
    const size_t len = line.len - LINE_CRC_LEN;
    const char *end = line.data + len;
    char text[8];
    if (memcmp(end, ",\"crc\":\"", 8) != 0 || memcmp(end + 16, "\"}", 2) != 0) {
        return "line does not end with a checksum";
    }
    crc_text(crc32c(0, line.data, len), text);
    return memcmp(text, end + 8, 8) == 0 ? NULL : "checksum does not match";
}
