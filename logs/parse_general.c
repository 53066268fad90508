#include <math.h>
#include <stdio.h>
#include <string.h>

#include "logs/parse_internal.h"
#include "logs/reader.h"

struct reading {
    struct line_parser *parser;
    json_t *root;
    struct event *event;
};

/* Remembers the first thing that is wrong and returns false. */
static bool wrong(struct reading *r, const char *key, const char *what)
{
    snprintf(r->parser->reason, sizeof r->parser->reason, "\"%s\" %s", key, what);
    return false;
}

static struct slice slice_of_json(const json_t *value)
{
    return (struct slice){json_string_value(value), json_string_length(value)};
}

static bool get_string(struct reading *r, const char *key, bool is_required,
                       struct slice *text)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value) {
        return is_required ? wrong(r, key, "is missing") : true;
    }
    if (!json_is_string(value)) {
        return wrong(r, key, "is not a string");
    }
    *text = slice_of_json(value);
    return true;
}

/* Leaves *whole as it is when the key is absent and not required. */
static bool get_whole(struct reading *r, const char *key, bool is_required, int64_t max,
                      int64_t *whole)
{
    const json_t *value = json_object_get(r->root, key);
    if (!value) {
        return is_required ? wrong(r, key, "is missing") : true;
    }
    if (!json_is_integer(value)) {
        return wrong(r, key, "is not a whole number");
    }
    const json_int_t got = json_integer_value(value);
    if (got < 0 || got > max) {
        return wrong(r, key, "is out of range");
    }
    *whole = got;
    return true;
}

static bool grow(struct reading *r, void **array, size_t *capacity, size_t n,
                 size_t size)
{
    if (!parser_grow(array, capacity, n, size)) {
        r->parser->no_memory = true;
        return false;
    }
    return true;
}

static bool get_assignments(struct reading *r)
{
    struct line_parser *p = r->parser;
    json_t *object = json_object_get(r->root, "assignments");
    size_t n = 0;
    if (!json_is_object(object)) {
        return wrong(r, "assignments", object ? "is not an object" : "is missing");
    }
    for (void *at = json_object_iter(object); at;
         at = json_object_iter_next(object, at)) {
        const json_t *pair = json_object_iter_value(at);
        const json_t *arm = json_array_get(pair, 0), *share = json_array_get(pair, 1);
        const double probability = json_number_value(share);
        const char *flag = json_string_value(json_array_get(pair, 2));
        const bool is_forced = flag && strcmp(flag, "forced") == 0;
        if (!json_is_string(arm) || !(probability > 0 && probability <= 1) ||
            json_array_size(pair) != (is_forced ? 3U : 2U)) {
            return wrong(r, "assignments",
                         "holds something else than [arm, probability]");
        }
        if (!grow(r, (void **)&p->assignments, &p->assignments_capacity, n,
                  sizeof *p->assignments)) {
            return false;
        }
        p->assignments[n++] = (struct event_assignment){
            .experiment = {json_object_iter_key(at), json_object_iter_key_len(at)},
            .arm = slice_of_json(arm),
            .probability = probability,
            .is_forced = is_forced,
        };
    }
    r->event->assignments = p->assignments;
    r->event->n_assignments = (int)n;
    return true;
}

static bool get_attributes(struct reading *r)
{
    struct line_parser *p = r->parser;
    json_t *object = json_object_get(r->root, "attributes");
    size_t n = 0;
    if (object && !json_is_object(object)) {
        return wrong(r, "attributes", "is not an object");
    }
    for (void *at = json_object_iter(object); at;
         at = json_object_iter_next(object, at)) {
        const json_t *value = json_object_iter_value(at);
        if (!json_is_string(value) && !json_is_number(value) &&
            !json_is_boolean(value)) {
            return wrong(r, "attributes",
                         "holds something else than strings, numbers and booleans");
        }
        if (!grow(r, (void **)&p->attributes, &p->attributes_capacity, n,
                  sizeof *p->attributes)) {
            return false;
        }
        p->attributes[n++] = (struct event_attribute){
            .name = {json_object_iter_key(at), json_object_iter_key_len(at)},
            .type = json_is_string(value)   ? EVENT_ATTRIBUTE_STRING
                    : json_is_number(value) ? EVENT_ATTRIBUTE_NUMBER
                                            : EVENT_ATTRIBUTE_BOOLEAN,
            .text = slice_of_json(value),
            .number = json_number_value(value),
            .boolean = json_is_true(value),
        };
    }
    r->event->attributes = n ? p->attributes : NULL;
    r->event->n_attributes = (int)n;
    return true;
}

/* Numbers beside the items; null is NAN. An absent array leaves NAN everywhere. */
static bool get_item_numbers(struct reading *r, const char *key, size_t n,
                             size_t offset)
{
    const json_t *array = json_object_get(r->root, key);
    if (!array) {
        return true;
    }
    if (!json_is_array(array) || json_array_size(array) != n) {
        return wrong(r, key, "is not an array as long as \"items\"");
    }
    char *items = (char *)r->parser->items;
    for (size_t i = 0; i < n; i++) {
        const json_t *value = json_array_get(array, i);
        if (!json_is_number(value) && !json_is_null(value)) {
            return wrong(r, key, "holds something else than numbers");
        }
        const double number =
            json_is_null(value) ? (double)NAN : json_number_value(value);
        memcpy(items + i * sizeof(struct event_item) + offset, &number, sizeof number);
    }
    return true;
}

static bool get_items(struct reading *r)
{
    struct line_parser *p = r->parser;
    const json_t *array = json_object_get(r->root, "items");
    const size_t n = json_array_size(array);
    if (!array) {
        return true;
    }
    if (!json_is_array(array)) {
        return wrong(r, "items", "is not an array");
    }
    if (p->skip & LOG_SKIP_ITEMS) {
        return true;
    }
    for (size_t i = 0; i < n; i++) {
        const json_t *id = json_array_get(array, i);
        if (!json_is_string(id)) {
            return wrong(r, "items", "holds something else than strings");
        }
        if (!grow(r, (void **)&p->items, &p->items_capacity, i, sizeof *p->items)) {
            return false;
        }
        p->items[i] = (struct event_item){slice_of_json(id), NAN, NAN};
    }
    r->event->items = n ? p->items : NULL;
    r->event->n_items = (int)n;
    if (p->skip & LOG_SKIP_SCORES) {
        return true;
    }
    return get_item_numbers(r, "scores", n, offsetof(struct event_item, score)) &&
           get_item_numbers(r, "propensities", n,
                            offsetof(struct event_item, propensity));
}

static bool get_exposure(struct reading *r)
{
    struct event *e = r->event;
    int64_t hash_version = 0;
    e->type = EVENT_EXPOSURE;
    e->latency_us = -1;
    if (!get_string(r, "id", true, &e->id) || !get_string(r, "user", true, &e->user) ||
        !get_assignments(r) || !get_attributes(r) ||
        !get_whole(r, "hash", true, 1000, &hash_version) ||
        !get_string(r, "config", true, &e->config) ||
        !get_string(r, "model", false, &e->model) || !get_items(r) ||
        !get_whole(r, "latency_us", false, INT64_MAX, &e->latency_us) ||
        !get_whole(r, "offset", false, INT32_MAX, &e->offset)) {
        return false;
    }
    e->hash_version = (int)hash_version;
    return e->id.len > 0 || wrong(r, "id", "is empty");
}

static bool get_feedback(struct reading *r)
{
    struct event *e = r->event;
    const json_t *value = json_object_get(r->root, "value");
    e->type = EVENT_FEEDBACK;
    if (value && !json_is_number(value)) {
        return wrong(r, "value", "is not a number");
    }
    e->has_value = value != NULL;
    e->value = json_number_value(value);
    return get_string(r, "id", true, &e->id) && get_string(r, "user", true, &e->user) &&
           get_string(r, "event", true, &e->event) &&
           get_string(r, "item", false, &e->item) &&
           get_string(r, "request", false, &e->request) &&
           (e->id.len > 0 || wrong(r, "id", "is empty"));
}

static bool get_config(struct reading *r)
{
    struct line_parser *p = r->parser;
    struct event *e = r->event;
    json_t *models = json_object_get(r->root, "models");
    size_t n = 0;
    e->type = EVENT_CONFIG;
    if (!get_string(r, "id", true, &e->id) ||
        !get_string(r, "config", true, &e->config) ||
        !get_string(r, "text", true, &e->text) ||
        !get_string(r, "version", true, &e->version)) {
        return false;
    }
    for (void *at = json_object_iter(models); at;
         at = json_object_iter_next(models, at)) {
        const json_t *hash = json_object_iter_value(at);
        if (!json_is_string(hash)) {
            return wrong(r, "models", "holds something else than hashes");
        }
        if (!grow(r, (void **)&p->models, &p->models_capacity, n, sizeof *p->models)) {
            return false;
        }
        p->models[n++] = (struct event_model){
            {json_object_iter_key(at), json_object_iter_key_len(at)},
            slice_of_json(hash)};
    }
    e->models = n ? p->models : NULL;
    e->n_models = (int)n;
    return true;
}

static bool get_event(struct reading *r)
{
    struct slice type = {0};
    if (!json_is_object(r->root)) {
        snprintf(r->parser->reason, sizeof r->parser->reason, "line is not an object");
        return false;
    }
    if (!get_whole(r, "ts", true, INT64_MAX, &r->event->ts_us) ||
        !get_string(r, "type", true, &type)) {
        return false;
    }
    if (slice_is(type, "exposure")) {
        return get_exposure(r);
    }
    if (slice_is(type, "feedback")) {
        return get_feedback(r);
    }
    if (slice_is(type, "config")) {
        return get_config(r);
    }
    return wrong(r, "type", "is none of config, exposure, feedback");
}

enum parse_result line_parse_general(struct line_parser *parser, struct slice line,
                                     struct event *event, const char **reason)
{
    json_error_t problem;
    *reason = parser->reason;
    json_decref(parser->tree);
    parser->tree = json_loadb(line.data, line.len,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &problem);
    if (!parser->tree) {
        if (json_error_code(&problem) == json_error_out_of_memory) {
            return PARSE_NOMEM;
        }
        snprintf(parser->reason, sizeof parser->reason, "not JSON: %.120s",
                 problem.text);
        for (char *at = parser->reason; *at; at++) {
            if ((unsigned char)*at < 0x20 || (unsigned char)*at >= 0x7F) {
                *at = '?'; /* the text may quote the line's bytes */
            }
        }
        return PARSE_BAD;
    }
    struct reading r = {parser, parser->tree, event};
    *event = (struct event){0};
    if (get_event(&r)) {
        return PARSE_DONE;
    }
    return parser->no_memory ? PARSE_NOMEM : PARSE_BAD;
}
