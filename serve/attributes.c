#include "serve/attributes.h"

#include <stdio.h>
#include <string.h>

#include "common/utf8.h"

int attributes_of_query(struct http_exchange *x, struct attribute_values *values)
{
    const struct config *config = x->state->config;
    for (int i = 0; i < config->n_attributes; i++) {
        const struct attribute *attribute = &config->attributes[i];
        char name[sizeof ATTRIBUTE_PREFIX + 64];
        struct slice text;
        snprintf(name, sizeof name, ATTRIBUTE_PREFIX "%s", attribute->name);
        values->items[i] = (struct attribute_value){0};
        if (http_query(x, name, &text) &&
            !attribute_read(attribute->type, text, &values->items[i])) {
            http_problem(x, 400, "%s must be a %s", name,
                         attribute_type_name(attribute->type));
            return -1;
        }
        /* The log could not hold what an audience is asked about. */
        if (attribute->type == ATTRIBUTE_STRING && values->items[i].is_known &&
            !utf8_is_valid(text.data, text.len)) {
            http_problem(x, 400, "%s is not valid UTF-8", name);
            return -1;
        }
    }
    return 0;
}

static bool read_member(enum attribute_type type, const json_t *member,
                        struct attribute_value *value)
{
    switch (type) {
    case ATTRIBUTE_STRING:
        value->text =
            (struct slice){json_string_value(member), json_string_length(member)};
        value->is_known = json_is_string(member);
        break;
    case ATTRIBUTE_NUMBER:
        value->number = json_number_value(member);
        value->is_known = json_is_number(member);
        break;
    case ATTRIBUTE_BOOLEAN:
        value->boolean = json_is_true(member);
        value->is_known = json_is_boolean(member);
        break;
    }
    return value->is_known;
}

const struct attribute *attributes_of_json(const struct config *config,
                                           const json_t *object,
                                           struct attribute_values *values)
{
    for (int i = 0; i < config->n_attributes; i++) {
        const struct attribute *attribute = &config->attributes[i];
        const json_t *member = json_object_get(object, attribute->name);
        values->items[i] = (struct attribute_value){0};
        if (member && !json_is_null(member) &&
            !read_member(attribute->type, member, &values->items[i])) {
            return attribute;
        }
    }
    return NULL;
}

int attributes_to_events(const struct config *config,
                         const struct attribute_value *values,
                         struct event_attribute *events)
{
    int n = 0;
    for (int i = 0; values && i < config->n_attributes; i++) {
        if (!values[i].is_known || !config->attributes[i].is_logged) {
            continue;
        }
        struct event_attribute *event = &events[n++];
        *event = (struct event_attribute){
            .name = slice_of(config->attributes[i].name),
            .text = values[i].text,
            .number = values[i].number,
            .boolean = values[i].boolean,
        };
        switch (config->attributes[i].type) {
        case ATTRIBUTE_STRING:
            event->type = EVENT_ATTRIBUTE_STRING;
            break;
        case ATTRIBUTE_NUMBER:
            event->type = EVENT_ATTRIBUTE_NUMBER;
            break;
        case ATTRIBUTE_BOOLEAN:
            event->type = EVENT_ATTRIBUTE_BOOLEAN;
            break;
        }
    }
    return n;
}
