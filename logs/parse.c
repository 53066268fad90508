/* The parser that expects our own key order. It never decides that a line is bad: what
 * it does not know goes to the general parser, which says what is wrong. */
#include "logs/parse.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "logs/line.h"
#include "logs/parse_cursor.h"
#include "logs/reader.h"

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
        for (int i = 0; i < PARSER_SHAPES; i++) {
            free(parser->shapes[i].assignments);
        }
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

static inline bool take_shape(struct cursor *c, struct event *e, int index)
{
    const struct parser_shape *shape = &c->parser->shapes[index];
    if (shape->len == 0 || (size_t)(c->end - c->at) < shape->len ||
        memcmp(c->at, shape->text, shape->len) != 0) {
        return false;
    }
    c->at += shape->len;
    c->parser->last_shape = index;
    e->assignments = shape->assignments;
    e->n_assignments = shape->n_assignments;
    e->hash_version = shape->hash_version;
    e->config = shape->config;
    e->shape = shape->number;
    return true;
}

/* The assignments and config of the event, if they were seen before. */
static inline bool known_shape(struct cursor *c, struct event *e)
{
    const int last = c->parser->last_shape;
    if (take_shape(c, e, last)) {
        return true;
    }
    for (int i = 0; i < PARSER_SHAPES; i++) {
        if (i != last && take_shape(c, e, i)) {
            return true;
        }
    }
    return false;
}

/* Moves a slice of the line into the copy of its text. */
static struct slice rebase(struct slice slice, const char *from, const char *to)
{
    return (struct slice){to + (slice.data - from), slice.len};
}

/* Keeps what stands in [start, c->at) for the lines to come. Attributes differ from
 * user to user; strings with escapes are rare. */
static bool keep_shape(struct cursor *c, const char *start, struct event *e)
{
    struct line_parser *p = c->parser;
    const size_t len = (size_t)(c->at - start), n = (size_t)e->n_assignments;
    struct parser_shape *shape = &p->shapes[p->next_shape];
    if (len > PARSER_SHAPE_SIZE || e->n_attributes || p->text_len || n == 0) {
        return true;
    }
    while (shape->assignments_capacity < n) {
        if (!parser_grow((void **)&shape->assignments, &shape->assignments_capacity,
                         shape->assignments_capacity, sizeof *shape->assignments)) {
            p->no_memory = true;
            return false;
        }
    }
    memcpy(shape->text, start, len);
    for (size_t i = 0; i < n; i++) {
        shape->assignments[i] = e->assignments[i];
        shape->assignments[i].experiment =
            rebase(e->assignments[i].experiment, start, shape->text);
        shape->assignments[i].arm = rebase(e->assignments[i].arm, start, shape->text);
    }
    shape->len = len;
    shape->n_assignments = e->n_assignments;
    shape->hash_version = e->hash_version;
    shape->config = rebase(e->config, start, shape->text);
    shape->number = ++p->n_shapes;
    e->shape = shape->number;
    p->last_shape = p->next_shape;
    p->next_shape = (p->next_shape + 1) % PARSER_SHAPES;
    return true;
}

static bool new_shape(struct cursor *c, struct event *e)
{
    const char *start = c->at;
    int64_t hash_version = 0;
    if (!LITERAL(c, ",\"assignments\":{") || !assignments(c, e) ||
        (LITERAL(c, ",\"attributes\":{") && !attributes(c, e)) ||
        !LITERAL(c, ",\"hash\":") || !whole(c, &hash_version) || hash_version < 0 ||
        hash_version > 1000 || !LITERAL(c, ",\"config\":") || !string(c, &e->config)) {
        return false;
    }
    e->hash_version = (int)hash_version;
    for (int i = 0; i < e->n_assignments; i++) {
        const double p = e->assignments[i].probability;
        if (!(p > 0 && p <= 1)) {
            return false;
        }
    }
    return keep_shape(c, start, e);
}

static bool exposure(struct cursor *c, struct event *e)
{
    e->type = EVENT_EXPOSURE;
    e->latency_us = -1;
    if (!string(c, &e->id) || !LITERAL(c, ",\"user\":") || !string(c, &e->user) ||
        (!known_shape(c, e) && !new_shape(c, e))) {
        return false;
    }
    if (LITERAL(c, ",\"model\":") && (!string(c, &e->model) || !items(c, e))) {
        return false;
    }
    if (LITERAL(c, ",\"latency_us\":") &&
        (!whole(c, &e->latency_us) || e->latency_us < 0)) {
        return false;
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

/* In pieces: gcc clears more at once with an instruction that takes as long to start as
 * half of the parsing. */
static inline void clear_event(struct event *event)
{
    enum { PIECE = 64, REST = sizeof *event % PIECE };
    char *at = (char *)event;
    _Static_assert(sizeof *event / PIECE == 4, "as many pieces as are cleared below");
    memset(at, 0, PIECE);
    memset(at + PIECE, 0, PIECE);
    memset(at + (ptrdiff_t)2 * PIECE, 0, PIECE);
    memset(at + (ptrdiff_t)3 * PIECE, 0, PIECE);
    memset(at + (ptrdiff_t)4 * PIECE, 0, REST);
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
        clear_event(event);
        if (our_own(&c, event)) {
            return PARSE_DONE;
        }
        if (parser->no_memory) {
            return PARSE_NOMEM;
        }
    }
    return line_parse_general(parser, line, event, reason);
}
