/* audience_tree.h - a condition as the parser leaves it, for audience.c and
 * audience_parse.c alone. */
#ifndef EXPERIMENT_AUDIENCE_TREE_H
#define EXPERIMENT_AUDIENCE_TREE_H

#include "experiment/audience.h"

/* A condition fits in a line of 197 bytes; this is more than can be written there. */
#define AUDIENCE_MAX_NODES 128

enum operation {
    OP_EQUAL,
    OP_LESS,
    OP_LESS_EQUAL,
    OP_GREATER,
    OP_GREATER_EQUAL,
    OP_IN,
    OP_AND,
    OP_OR,
    OP_NOT,
};

/* != is the NOT of =, and `not in` of in: the same for unknown attributes too. */
struct node {
    enum operation operation;
    int left, right; /* OP_AND, OP_OR: operands; OP_NOT: left */
    int attribute;   /* comparisons */
    int first_value; /* into audience.values */
    int n_values;
};

struct audience {
    char **names; /* (n_names) of the attributes, for the JSON */
    enum attribute_type *types;
    int n_names;
    struct node nodes[AUDIENCE_MAX_NODES];
    int n_nodes;
    int root;
    struct attribute_value values[AUDIENCE_MAX_NODES];
    int n_values;
    char *text; /* what the values' slices point into */
};

#endif
