#include "experiment/audience_tree.h"

#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"
#include "experiment/config_value.h"

void audience_free(struct audience *audience)
{
    if (!audience) {
        return;
    }
    for (int i = 0; i < audience->n_names; i++) {
        free(audience->names[i]);
    }
    free(audience->names);
    free(audience->types);
    free(audience->text);
    free(audience);
}

static bool is_equal(enum attribute_type type, const struct attribute_value *a,
                     const struct attribute_value *b)
{
    switch (type) {
    case ATTRIBUTE_STRING:
        return slice_equal(a->text, b->text);
    case ATTRIBUTE_NUMBER:
        return a->number == b->number;
    case ATTRIBUTE_BOOLEAN:
        return a->boolean == b->boolean;
    }
    return false;
}

static bool compare(const struct audience *audience, const struct node *node,
                    const struct attribute_value *values)
{
    const struct attribute_value *value = values ? &values[node->attribute] : NULL;
    const struct attribute_value *wanted = &audience->values[node->first_value];
    if (!value || !value->is_known) {
        return false;
    }
    switch (node->operation) {
    case OP_LESS:
        return value->number < wanted->number;
    case OP_LESS_EQUAL:
        return value->number <= wanted->number;
    case OP_GREATER:
        return value->number > wanted->number;
    case OP_GREATER_EQUAL:
        return value->number >= wanted->number;
    case OP_EQUAL:
    case OP_IN:
        for (int i = 0; i < node->n_values; i++) {
            if (is_equal(audience->types[node->attribute], value, &wanted[i])) {
                return true;
            }
        }
        return false;
    case OP_AND:
    case OP_OR:
    case OP_NOT:
        break;
    }
    return false;
}

static bool matches(const struct audience *audience, int at,
                    const struct attribute_value *values)
{
    const struct node *node = &audience->nodes[at];
    if (node->operation == OP_AND) {
        return matches(audience, node->left, values) &&
               matches(audience, node->right, values);
    }
    if (node->operation == OP_OR) {
        return matches(audience, node->left, values) ||
               matches(audience, node->right, values);
    }
    if (node->operation == OP_NOT) {
        return !matches(audience, node->left, values);
    }
    return compare(audience, node, values);
}

bool audience_matches(const struct audience *audience,
                      const struct attribute_value *values)
{
    return matches(audience, audience->root, values);
}

bool audience_uses(const struct audience *audience, const char *name)
{
    for (int i = 0; i < audience->n_nodes; i++) {
        const struct node *node = &audience->nodes[i];
        const bool is_comparison = node->operation != OP_AND &&
                                   node->operation != OP_OR &&
                                   node->operation != OP_NOT;
        if (is_comparison && strcmp(audience->names[node->attribute], name) == 0) {
            return true;
        }
    }
    return false;
}

static void append_value(struct buffer *out, enum attribute_type type,
                         const struct attribute_value *value)
{
    switch (type) {
    case ATTRIBUTE_STRING:
        json_append_string(out, value->text);
        return;
    case ATTRIBUTE_NUMBER:
        json_append_double(out, value->number);
        return;
    case ATTRIBUTE_BOOLEAN:
        buffer_append_text(out, value->boolean ? "true" : "false");
        return;
    }
}

static void append_comparison(const struct audience *audience, const struct node *node,
                              struct buffer *out)
{
    static const char *const words[] = {[OP_EQUAL] = "$eq",
                                        [OP_LESS] = "$lt",
                                        [OP_LESS_EQUAL] = "$lte",
                                        [OP_GREATER] = "$gt",
                                        [OP_GREATER_EQUAL] = "$gte"};
    const enum attribute_type type = audience->types[node->attribute];
    const struct attribute_value *values = &audience->values[node->first_value];
    buffer_append_char(out, '{');
    json_append_string(out, slice_of(audience->names[node->attribute]));
    if (node->operation == OP_IN) {
        buffer_append_text(out, ":{\"$in\":[");
        for (int i = 0; i < node->n_values; i++) {
            buffer_append_text(out, i ? "," : "");
            append_value(out, type, &values[i]);
        }
        buffer_append_text(out, "]}}");
        return;
    }
    /* To JavaScript an unknown attribute, null, is less than 1: ask for it first. */
    buffer_printf(out,
                  ":{%s\"%s\":", node->operation == OP_EQUAL ? "" : "\"$exists\":true,",
                  words[node->operation]);
    append_value(out, type, values);
    buffer_append_text(out, "}}");
}

static void append_json(const struct audience *audience, int at, struct buffer *out)
{
    const struct node *node = &audience->nodes[at];
    if (node->operation == OP_AND || node->operation == OP_OR) {
        buffer_append_text(out,
                           node->operation == OP_AND ? "{\"$and\":[" : "{\"$or\":[");
        append_json(audience, node->left, out);
        buffer_append_char(out, ',');
        append_json(audience, node->right, out);
        buffer_append_text(out, "]}");
    } else if (node->operation == OP_NOT) {
        buffer_append_text(out, "{\"$not\":");
        append_json(audience, node->left, out);
        buffer_append_char(out, '}');
    } else {
        append_comparison(audience, node, out);
    }
}

void audience_append_json(const struct audience *audience, struct buffer *out)
{
    append_json(audience, audience->root, out);
}

bool attribute_read(enum attribute_type type, struct slice text,
                    struct attribute_value *value)
{
    char copy[64];
    switch (type) {
    case ATTRIBUTE_STRING:
        *value = (struct attribute_value){.is_known = true, .text = text};
        return true;
    case ATTRIBUTE_NUMBER:
        if (text.len >= sizeof copy || (text.len && memchr(text.data, 0, text.len))) {
            return false;
        }
        memcpy(copy, text.len ? text.data : "", text.len);
        copy[text.len] = '\0';
        double number = 0;
        if (!value_number(copy, &number)) {
            return false;
        }
        *value = (struct attribute_value){.is_known = true, .number = number};
        return true;
    case ATTRIBUTE_BOOLEAN:
        if (!slice_is(text, "true") && !slice_is(text, "false")) {
            return false;
        }
        *value = (struct attribute_value){.is_known = true,
                                          .boolean = slice_is(text, "true")};
        return true;
    }
    return false;
}

const char *attribute_type_name(enum attribute_type type)
{
    static const char *const names[] = {[ATTRIBUTE_STRING] = "string",
                                        [ATTRIBUTE_NUMBER] = "number",
                                        [ATTRIBUTE_BOOLEAN] = "boolean"};
    return names[type];
}
