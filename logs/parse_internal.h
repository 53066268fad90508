/* parse_internal.h - what the two parsers of a line share. */
#ifndef LOGS_PARSE_INTERNAL_H
#define LOGS_PARSE_INTERNAL_H

#include <jansson.h>

#include "logs/parse.h"

#define PARSER_SHAPES     8
#define PARSER_SHAPE_SIZE 512

/* What stands between the user and the model of an exposure: which arms, under which
 * config. There are few of them in a log, so each is parsed once and compared after. */
struct parser_shape {
    char text[PARSER_SHAPE_SIZE];
    size_t len;                           /* 0: none yet */
    struct event_assignment *assignments; /* their slices point into `text` */
    size_t assignments_capacity;
    int n_assignments;
    int hash_version;
    struct slice config;
    uint32_t number;
};

struct line_parser {
    char *text; /* unescaped strings of this line; never moves while it is parsed */
    size_t text_len;
    size_t text_capacity;
    struct event_assignment *assignments;
    size_t assignments_capacity;
    struct event_attribute *attributes;
    size_t attributes_capacity;
    struct event_item *items;
    size_t items_capacity;
    struct event_model *models;
    size_t models_capacity;
    unsigned skip;
    struct parser_shape shapes[PARSER_SHAPES];
    int last_shape, next_shape; /* found last; to be replaced next */
    uint32_t n_shapes;          /* ever */
    json_t *tree;               /* what the general parser's slices point into */
    char reason[160];
    bool no_memory;
};

/* Makes room for element n of an array; false when memory ran out. */
bool parser_grow(void **array, size_t *capacity, size_t n, size_t element_size);

/* The general parser: any order of keys, unknown keys are ignored. */
enum parse_result line_parse_general(struct line_parser *parser, struct slice line,
                                     struct event *event, const char **reason);

#endif
