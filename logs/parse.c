/* The parser that expects our own key order. It never decides that a line is bad: what
 * it does not know goes to the general parser, which says what is wrong. */
#include "logs/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "common/decimal.h"
#include "logs/line.h"
#include "logs/parse_internal.h"
#include "logs/reader.h"

/* The LINE_CRC_LEN bytes behind `end` may be read, too. */
struct cursor {
    const char *at;
    const char *end; /* where `,"crc":` begins */
    struct line_parser *parser;
};

struct line_parser *line_parser_new(void)
{
    return calloc(1, sizeof(struct line_parser));
}

void line_parser_free(struct line_parser *parser)
{
    if (parser) {
        json_decref(parser->tree);
        free(parser->models);
        free(parser->items);
        free(parser->attributes);
        free(parser->assignments);
        free(parser->text);
        free(parser);
    }
}

void line_parser_skip(struct line_parser *parser, unsigned skip)
{
    parser->skip = skip;
}

bool parser_grow(void **array, size_t *capacity, size_t n, size_t element_size)
{
    if (n < *capacity) {
        return true;
    }
    const size_t wanted = *capacity ? 2 * *capacity : 16;
    void *grown = realloc(*array, wanted * element_size);
    if (!grown) {
        return false;
    }
    *array = grown;
    *capacity = wanted;
    return true;
}

/* memcmp() == 0 for a length known at compile time, as loads that overlap: gcc calls
 * the function for lengths above a few bytes. */
__attribute__((always_inline)) static inline bool same(const char *a, const char *b,
                                                       size_t len)
{
    if (len >= 8) {
        uint64_t x, y, differ = 0;
        for (size_t i = 0; i + 8 < len; i += 8) {
            memcpy(&x, a + i, 8);
            memcpy(&y, b + i, 8);
            differ |= x ^ y;
        }
        memcpy(&x, a + len - 8, 8);
        memcpy(&y, b + len - 8, 8);
        return (differ | (x ^ y)) == 0;
    }
    if (len >= 4) {
        uint32_t x, y, last_x, last_y;
        memcpy(&x, a, 4);
        memcpy(&y, b, 4);
        memcpy(&last_x, a + len - 4, 4);
        memcpy(&last_y, b + len - 4, 4);
        return ((x ^ y) | (last_x ^ last_y)) == 0;
    }
    bool is_same = true;
    for (size_t i = 0; i < len; i++) {
        is_same &= a[i] == b[i];
    }
    return is_same;
}

__attribute__((always_inline)) static inline bool literal(struct cursor *c,
                                                          const char *text, size_t len)
{
    if (c->end - c->at < (ptrdiff_t)len || !same(c->at, text, len)) {
        return false;
    }
    c->at += len;
    return true;
}

#define LITERAL(cursor, text) literal((cursor), (text), sizeof(text) - 1)

static int hex4(const char *text)
{
    int value = 0;
    for (int i = 0; i < 4; i++) {
        const char c = text[i];
        const int digit = c >= '0' && c <= '9'   ? c - '0'
                          : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                                 : -1;
        if (digit < 0) {
            return -1;
        }
        value = value << 4 | digit;
    }
    return value;
}

/* The escapes that our writer makes: \" \\ \n \r \t and \u00xx below 0x20. Returns the
 * byte and moves past it, or -1 (left to the general parser). */
static int unescape(struct cursor *c)
{
    const ptrdiff_t left = c->end - c->at;
    if (left < 2) {
        return -1;
    }
    const char kind = c->at[1];
    if (kind == 'u') {
        const int code = left >= 6 ? hex4(c->at + 2) : -1;
        c->at += 6;
        return code < 0x80 ? code : -1;
    }
    c->at += 2;
    switch (kind) {
    case '"':
    case '\\':
        return kind;
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return -1;
    }
}

/* The rest of a string that has an escape at c->at; `start` is its first byte. */
static bool escaped_string(struct cursor *c, const char *start, struct slice *text)
{
    struct line_parser *p = c->parser;
    char *const to =
        p->text + p->text_len; /* line_parse made room for the whole line */
    size_t len = (size_t)(c->at - start);
    memcpy(to, start, len);
    while (c->at < c->end && *c->at != '"') {
        if ((unsigned char)*c->at < 0x20) {
            return false;
        }
        if (*c->at != '\\') {
            to[len++] = *c->at++;
            continue;
        }
        const int byte = unescape(c);
        if (byte < 0) {
            return false;
        }
        to[len++] = (char)byte;
    }
    if (c->at >= c->end) {
        return false;
    }
    c->at++;
    p->text_len += len;
    *text = (struct slice){to, len};
    return true;
}

/* Moves to the first quote, backslash or control character; false when the line ends
 * before. */
static inline bool find_special(struct cursor *c)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"'), backslash = _mm_set1_epi8('\\');
    const __m128i last_control = _mm_set1_epi8(0x1F);
    for (; c->at < c->end; c->at += 16) { /* at most 15 bytes behind the end are read */
        const __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)c->at);
        const __m128i is_special =
            _mm_or_si128(_mm_or_si128(_mm_cmpeq_epi8(bytes, quote),
                                      _mm_cmpeq_epi8(bytes, backslash)),
                         _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes));
        const unsigned mask = (unsigned)_mm_movemask_epi8(is_special);
        if (mask) {
            c->at += __builtin_ctz(mask);
            return c->at < c->end;
        }
    }
    return false;
#else
    for (; c->at < c->end; c->at++) {
        const unsigned char byte = (unsigned char)*c->at;
        if (byte == '"' || byte == '\\' || byte < 0x20) {
            return true;
        }
    }
    return false;
#endif
}

static inline bool string(struct cursor *c, struct slice *text)
{
    if (c->at >= c->end || *c->at != '"') {
        return false;
    }
    const char *start = ++c->at;
    if (!find_special(c)) {
        return false;
    }
    if (*c->at == '"') {
        *text = (struct slice){start, (size_t)(c->at - start)};
        c->at++;
        return true;
    }
    return *c->at == '\\' && escaped_string(c, start, text);
}

/* A whole number of at most 18 digits, so that it cannot overflow. */
static inline bool whole(struct cursor *c, int64_t *value)
{
    const bool is_negative = c->at < c->end && *c->at == '-';
    const char *digits = c->at + is_negative, *at = digits;
    uint64_t sum = 0;
    while (c->end - at >= 8 && at - digits < 16 && decimal_take_eight(at, &sum)) {
        at += 8;
    }
    while (at < c->end && at - digits < 18 && *at >= '0' && *at <= '9') {
        sum = sum * 10 + (uint64_t)(*at++ - '0');
    }
    if (at == digits || (*digits == '0' && at - digits > 1)) {
        return false;
    }
    if (at < c->end &&
        (*at == '.' || *at == 'e' || *at == 'E' || (*at >= '0' && *at <= '9'))) {
        return false;
    }
    *value = is_negative ? -(int64_t)sum : (int64_t)sum;
    c->at = at;
    return true;
}

/* Most numbers are positive and have few digits: d, d.d ... d.dddddddd. Both they and
 * the power of ten are exact doubles, so their quotient is the nearest one (Clinger,
 * 1990). Everything else is decimal_read's. */
static inline bool short_number(struct cursor *c, double *value)
{
    static const double powers[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8};
    const char *at = c->at;
    if (c->end - at < 12 || *at < '0' || *at > '9') {
        return false;
    }
    uint32_t digits = (uint32_t)(*at++ - '0');
    int n_fraction = 0;
    if (*at == '.') {
        const char *first = ++at;
        while (*at >= '0' && *at <= '9' && at - first < 8) {
            digits = digits * 10 + (uint32_t)(*at++ - '0');
        }
        n_fraction = (int)(at - first);
        if (n_fraction == 0) {
            return false;
        }
    }
    if (*at != ',' && *at != ']' && *at != '}') {
        return false;
    }
    *value = (double)digits / powers[n_fraction];
    c->at = at;
    return true;
}

static inline bool number(struct cursor *c, double *value)
{
    if (short_number(c, value)) {
        return true;
    }
    const char *end = decimal_read(c->at, c->end, value);
    if (!end) {
        return false;
    }
    c->at = end;
    return true;
}

static inline bool number_or_null(struct cursor *c, double *value)
{
    if (LITERAL(c, "null")) {
        *value = NAN;
        return true;
    }
    return number(c, value);
}

static bool assignments(struct cursor *c, struct event *e)
{
    struct line_parser *p = c->parser;
    size_t n = 0;
    if (LITERAL(c, "}")) {
        return true;
    }
    do {
        if (!parser_grow((void **)&p->assignments, &p->assignments_capacity, n,
                         sizeof *p->assignments)) {
            p->no_memory = true;
            return false;
        }
        struct event_assignment *a = &p->assignments[n++];
        if (!string(c, &a->experiment) || !LITERAL(c, ":[") || !string(c, &a->arm) ||
            !LITERAL(c, ",") || !number(c, &a->probability)) {
            return false;
        }
        a->is_forced = LITERAL(c, ",\"forced\"");
        if (!LITERAL(c, "]")) {
            return false;
        }
    } while (LITERAL(c, ","));
    e->assignments = p->assignments;
    e->n_assignments = (int)n;
    return LITERAL(c, "}");
}

static bool attribute_value(struct cursor *c, struct event_attribute *a)
{
    if (c->at < c->end && *c->at == '"') {
        a->type = EVENT_ATTRIBUTE_STRING;
        return string(c, &a->text);
    }
    if (LITERAL(c, "true") || LITERAL(c, "false")) {
        a->type = EVENT_ATTRIBUTE_BOOLEAN;
        a->boolean = c->at[-2] == 'u'; /* "true" or "false" */
        return true;
    }
    a->type = EVENT_ATTRIBUTE_NUMBER;
    return number(c, &a->number);
}

static bool attributes(struct cursor *c, struct event *e)
{
    struct line_parser *p = c->parser;
    size_t n = 0;
    do {
        if (!parser_grow((void **)&p->attributes, &p->attributes_capacity, n,
                         sizeof *p->attributes)) {
            p->no_memory = true;
            return false;
        }
        struct event_attribute *a = &p->attributes[n++];
        *a = (struct event_attribute){0};
        if (!string(c, &a->name) || !LITERAL(c, ":") || !attribute_value(c, a)) {
            return false;
        }
    } while (LITERAL(c, ","));
    e->attributes = p->attributes;
    e->n_attributes = (int)n;
    return LITERAL(c, "}");
}

static bool item_ids(struct cursor *c, size_t *n)
{
    struct line_parser *p = c->parser;
    *n = 0;
    if (LITERAL(c, "]")) {
        return true;
    }
    do {
        if (*n == p->items_capacity &&
            !parser_grow((void **)&p->items, &p->items_capacity, *n,
                         sizeof *p->items)) {
            p->no_memory = true;
            return false;
        }
        struct event_item *item = &p->items[(*n)++];
        *item = (struct event_item){.score = NAN, .propensity = NAN};
        if (!string(c, &item->id)) {
            return false;
        }
    } while (LITERAL(c, ","));
    return LITERAL(c, "]");
}

/* `n` numbers into the member at `offset` of the items. */
static bool item_numbers(struct cursor *c, size_t n, size_t offset)
{
    char *items = (char *)c->parser->items;
    for (size_t i = 0; i < n; i++) {
        double *value =
            (double *)(void *)(items + i * sizeof(struct event_item) + offset);
        if ((i > 0 && !LITERAL(c, ",")) || !number_or_null(c, value)) {
            return false;
        }
    }
    return LITERAL(c, "]");
}

/* Moves behind the last array of the line, by looking from its end: there is at most
 * `,"latency_us":N` behind it. */
static bool skip_arrays(struct cursor *c)
{
    static const char key[] = ",\"latency_us\":";
    const char *at = c->end;
    while (at > c->at && at[-1] >= '0' && at[-1] <= '9') {
        at--;
    }
    if (at < c->end) {
        if (at - c->at < (ptrdiff_t)sizeof key - 1 ||
            !same(at - (sizeof key - 1), key, sizeof key - 1)) {
            return false;
        }
        at -= sizeof key - 1;
    }
    if (at <= c->at || at[-1] != ']') {
        return false;
    }
    c->at = at;
    return true;
}

static bool items(struct cursor *c, struct event *e)
{
    size_t n = 0;
    if (!LITERAL(c, ",\"items\":[")) {
        return false;
    }
    if (c->parser->skip & LOG_SKIP_ITEMS) {
        return skip_arrays(c);
    }
    if (!item_ids(c, &n) || !LITERAL(c, ",\"scores\":[")) {
        return false;
    }
    e->items = c->parser->items;
    e->n_items = (int)n;
    if (c->parser->skip & LOG_SKIP_SCORES) {
        return skip_arrays(c);
    }
    return item_numbers(c, n, offsetof(struct event_item, score)) &&
           (!LITERAL(c, ",\"propensities\":[") ||
            item_numbers(c, n, offsetof(struct event_item, propensity)));
}

static bool exposure(struct cursor *c, struct event *e)
{
    int64_t hash_version = 0;
    e->type = EVENT_EXPOSURE;
    e->latency_us = -1;
    if (!string(c, &e->id) || !LITERAL(c, ",\"user\":") || !string(c, &e->user) ||
        !LITERAL(c, ",\"assignments\":{") || !assignments(c, e) ||
        (LITERAL(c, ",\"attributes\":{") && !attributes(c, e)) ||
        !LITERAL(c, ",\"hash\":") || !whole(c, &hash_version) || hash_version < 0 ||
        hash_version > 1000 || !LITERAL(c, ",\"config\":") || !string(c, &e->config)) {
        return false;
    }
    e->hash_version = (int)hash_version;
    if (LITERAL(c, ",\"model\":") && (!string(c, &e->model) || !items(c, e))) {
        return false;
    }
    if (LITERAL(c, ",\"latency_us\":") &&
        (!whole(c, &e->latency_us) || e->latency_us < 0)) {
        return false;
    }
    for (int i = 0; i < e->n_assignments; i++) {
        const double p = e->assignments[i].probability;
        if (!(p > 0 && p <= 1)) {
            return false;
        }
    }
    return e->id.len > 0;
}

static bool feedback(struct cursor *c, struct event *e)
{
    e->type = EVENT_FEEDBACK;
    if (!string(c, &e->id) || !LITERAL(c, ",\"user\":") || !string(c, &e->user) ||
        !LITERAL(c, ",\"event\":") || !string(c, &e->event)) {
        return false;
    }
    if (LITERAL(c, ",\"value\":")) {
        e->has_value = true;
        if (!number(c, &e->value)) {
            return false;
        }
    }
    if (LITERAL(c, ",\"item\":") && !string(c, &e->item)) {
        return false;
    }
    if (LITERAL(c, ",\"request\":") && !string(c, &e->request)) {
        return false;
    }
    return e->id.len > 0;
}

static bool config_models(struct cursor *c, struct event *e)
{
    struct line_parser *p = c->parser;
    size_t n = 0;
    if (LITERAL(c, "}")) {
        return true;
    }
    do {
        if (!parser_grow((void **)&p->models, &p->models_capacity, n,
                         sizeof *p->models)) {
            p->no_memory = true;
            return false;
        }
        struct event_model *model = &p->models[n++];
        if (!string(c, &model->name) || !LITERAL(c, ":") || !string(c, &model->hash)) {
            return false;
        }
    } while (LITERAL(c, ","));
    e->models = p->models;
    e->n_models = (int)n;
    return LITERAL(c, "}");
}

static bool config(struct cursor *c, struct event *e)
{
    e->type = EVENT_CONFIG;
    return string(c, &e->id) && LITERAL(c, ",\"config\":") && string(c, &e->config) &&
           LITERAL(c, ",\"text\":") && string(c, &e->text) &&
           LITERAL(c, ",\"models\":{") && config_models(c, e) &&
           LITERAL(c, ",\"version\":") && string(c, &e->version);
}

static bool our_own(struct cursor *c, struct event *e)
{
    bool (*rest)(struct cursor *, struct event *) = NULL;
    if (LITERAL(c, "{\"type\":\"exposure\",\"ts\":")) {
        rest = exposure;
    } else if (LITERAL(c, "{\"type\":\"feedback\",\"ts\":")) {
        rest = feedback;
    } else if (LITERAL(c, "{\"type\":\"config\",\"ts\":")) {
        rest = config;
    } else {
        return false;
    }
    return whole(c, &e->ts_us) && e->ts_us >= 0 && LITERAL(c, ",\"id\":") &&
           rest(c, e) && c->at == c->end;
}

enum parse_result line_parse(struct line_parser *parser, struct slice line,
                             struct event *event, const char **reason)
{
    if (line.len > parser->text_capacity) {
        char *text = realloc(parser->text, line.len);
        if (!text) {
            return PARSE_NOMEM;
        }
        parser->text = text;
        parser->text_capacity = line.len;
    }
    parser->text_len = 0;
    parser->no_memory = false;
    if (line.len >= LINE_CRC_LEN) {
        struct cursor c = {line.data, line.data + line.len - LINE_CRC_LEN, parser};
        *event = (struct event){0};
        if (our_own(&c, event)) {
            return PARSE_DONE;
        }
        if (parser->no_memory) {
            return PARSE_NOMEM;
        }
    }
    return line_parse_general(parser, line, event, reason);
}
