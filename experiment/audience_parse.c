/* The condition language of `audience`: from text to a tree. */
#include "experiment/audience_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "experiment/config_value.h"

#define MAX_DEPTH 64

enum token {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_QUOTED,
    TOKEN_OPEN,
    TOKEN_CLOSE,
    TOKEN_COMMA,
    TOKEN_EQUAL,
    TOKEN_NOT_EQUAL,
    TOKEN_LESS,
    TOKEN_LESS_EQUAL,
    TOKEN_GREATER,
    TOKEN_GREATER_EQUAL,
    TOKEN_BAD,
};

struct parser {
    struct audience *audience;
    const struct attribute *attributes;
    int n_attributes;
    const char *at;
    enum token token; /* the one looked at */
    struct slice word;
    int depth;
    char *problem;
};

#define FAIL(parser, ...)                                                              \
    ((void)((parser)->problem[0] || snprintf((parser)->problem, 200, __VA_ARGS__)), -1)

static bool is_word_char(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           (unsigned char)c >= 0x80 || (c && strchr("._-:+@/", c));
}

static enum token operator_token(const char *at, size_t *len)
{
    static const struct {
        const char *text;
        enum token token;
    } operators[] = {
        {"!=", TOKEN_NOT_EQUAL}, {"<=", TOKEN_LESS_EQUAL}, {">=", TOKEN_GREATER_EQUAL},
        {"=", TOKEN_EQUAL},      {"<", TOKEN_LESS},        {">", TOKEN_GREATER},
        {"(", TOKEN_OPEN},       {")", TOKEN_CLOSE},       {",", TOKEN_COMMA}};
    for (size_t i = 0; i < sizeof operators / sizeof operators[0]; i++) {
        *len = strlen(operators[i].text);
        if (strncmp(at, operators[i].text, *len) == 0) {
            return operators[i].token;
        }
    }
    *len = 1;
    return TOKEN_BAD;
}

static void advance(struct parser *parser)
{
    parser->at += strspn(parser->at, " \t");
    const char *start = parser->at;
    size_t len = 0;
    if (*start == '\0') {
        parser->token = TOKEN_END;
    } else if (*start == '"') {
        len = strcspn(start + 1, "\"");
        parser->token = start[1 + len] ? TOKEN_QUOTED : TOKEN_BAD;
        parser->word = (struct slice){start + 1, len};
        len += start[1 + len] ? 2 : 1;
        parser->at += len;
        return;
    } else if (is_word_char(*start)) {
        while (is_word_char(start[len])) {
            len++;
        }
        parser->token = TOKEN_WORD;
    } else {
        parser->token = operator_token(start, &len);
    }
    parser->word = (struct slice){start, len};
    parser->at += len;
}

static bool is_word(const struct parser *parser, const char *word)
{
    return parser->token == TOKEN_WORD && slice_is(parser->word, word);
}

static const char *token_text(const struct parser *parser, char text[64])
{
    if (parser->token == TOKEN_END) {
        return "the end";
    }
    snprintf(text, 64, "\"%.*s\"", (int)(parser->word.len < 60 ? parser->word.len : 60),
             parser->word.data);
    return text;
}

static int add_node(struct parser *parser, struct node node)
{
    struct audience *audience = parser->audience;
    if (audience->n_nodes == AUDIENCE_MAX_NODES) {
        return FAIL(parser, "condition is too long (at most %d parts)",
                    AUDIENCE_MAX_NODES);
    }
    audience->nodes[audience->n_nodes] = node;
    return audience->n_nodes++;
}

static int add_not(struct parser *parser, int operand)
{
    return operand < 0
               ? -1
               : add_node(parser, (struct node){.operation = OP_NOT, .left = operand});
}

/* One value of the attribute's type, the token looked at. */
static int take_value(struct parser *parser, const struct attribute *attribute)
{
    char text[64];
    struct audience *audience = parser->audience;
    if (parser->token != TOKEN_WORD && parser->token != TOKEN_QUOTED) {
        return FAIL(parser, "%s where a value of %s must stand (a word, or \"quoted\")",
                    token_text(parser, text), attribute->name);
    }
    if (audience->n_values == AUDIENCE_MAX_NODES) {
        return FAIL(parser, "condition is too long (at most %d values)",
                    AUDIENCE_MAX_NODES);
    }
    struct attribute_value value = {0};
    if (!attribute_read(attribute->type, parser->word, &value)) {
        return FAIL(parser, "%s is not a %s, which %s is in [attributes] (%s)",
                    token_text(parser, text), attribute_type_name(attribute->type),
                    attribute->name,
                    attribute->type == ATTRIBUTE_NUMBER ? "write it like 18"
                                                        : "write true or false");
    }
    audience->values[audience->n_values++] = value;
    advance(parser);
    return 0;
}

static int parse_list(struct parser *parser, struct node *node)
{
    char text[64];
    const struct attribute *attribute = &parser->attributes[node->attribute];
    node->operation = OP_IN;
    if (attribute->type == ATTRIBUTE_BOOLEAN) {
        return FAIL(parser, "boolean %s has no list (write %s or not %s)",
                    attribute->name, attribute->name, attribute->name);
    }
    if (parser->token != TOKEN_OPEN) {
        return FAIL(parser, "%s where a list must stand (write %s in (A, B))",
                    token_text(parser, text), attribute->name);
    }
    do {
        advance(parser);
        if (take_value(parser, attribute) != 0) {
            return -1;
        }
        node->n_values++;
    } while (parser->token == TOKEN_COMMA);
    if (parser->token != TOKEN_CLOSE) {
        return FAIL(parser, "%s where \",\" or \")\" must stand",
                    token_text(parser, text));
    }
    advance(parser);
    return 0;
}

static bool take_operator(struct parser *parser, struct node *node, bool *is_negated)
{
    *is_negated = parser->token == TOKEN_NOT_EQUAL;
    switch (parser->token) {
    case TOKEN_EQUAL:
    case TOKEN_NOT_EQUAL:
        node->operation = OP_EQUAL;
        return true;
    case TOKEN_LESS:
        node->operation = OP_LESS;
        return true;
    case TOKEN_LESS_EQUAL:
        node->operation = OP_LESS_EQUAL;
        return true;
    case TOKEN_GREATER:
        node->operation = OP_GREATER;
        return true;
    case TOKEN_GREATER_EQUAL:
        node->operation = OP_GREATER_EQUAL;
        return true;
    case TOKEN_END:
    case TOKEN_WORD:
    case TOKEN_QUOTED:
    case TOKEN_OPEN:
    case TOKEN_CLOSE:
    case TOKEN_COMMA:
    case TOKEN_BAD:
        break;
    }
    return false;
}

/* A boolean by its bare name. */
static int add_bare(struct parser *parser, struct node node)
{
    struct audience *audience = parser->audience;
    if (audience->n_values == AUDIENCE_MAX_NODES) {
        return FAIL(parser, "condition is too long (at most %d values)",
                    AUDIENCE_MAX_NODES);
    }
    audience->values[audience->n_values++] =
        (struct attribute_value){.is_known = true, .boolean = true};
    node.operation = OP_EQUAL;
    node.n_values = 1;
    return add_node(parser, node);
}

static int find_attribute(struct parser *parser)
{
    char text[64];
    if (parser->token != TOKEN_WORD) {
        return FAIL(parser, "%s where an attribute must stand",
                    token_text(parser, text));
    }
    for (int i = 0; i < parser->n_attributes; i++) {
        if (slice_is(parser->word, parser->attributes[i].name)) {
            return i;
        }
    }
    return FAIL(parser,
                "%s is not declared (add it to [attributes], for example %.*s = "
                "string)",
                token_text(parser, text), (int)parser->word.len, parser->word.data);
}

static int parse_comparison(struct parser *parser)
{
    char text[64];
    struct node node = {.first_value = parser->audience->n_values};
    bool is_negated = false;
    node.attribute = find_attribute(parser);
    if (node.attribute < 0) {
        return -1;
    }
    const struct attribute *attribute = &parser->attributes[node.attribute];
    advance(parser);
    if (is_word(parser, "in") || is_word(parser, "not")) {
        is_negated = is_word(parser, "not");
        if (is_negated) {
            advance(parser);
            if (!is_word(parser, "in")) {
                return FAIL(parser,
                            "%s where \"in\" must stand (write %s not in (...) "
                            "or not %s = ...)",
                            token_text(parser, text), attribute->name, attribute->name);
            }
        }
        advance(parser);
        if (parse_list(parser, &node) != 0) {
            return -1;
        }
    } else if (take_operator(parser, &node, &is_negated)) {
        if (node.operation != OP_EQUAL && attribute->type != ATTRIBUTE_NUMBER) {
            return FAIL(parser, "%s %s has no order (use =, != or in)",
                        attribute_type_name(attribute->type), attribute->name);
        }
        advance(parser);
        if (take_value(parser, attribute) != 0) {
            return -1;
        }
        node.n_values = 1;
    } else if (attribute->type == ATTRIBUTE_BOOLEAN) {
        return add_bare(parser, node);
    } else {
        return FAIL(parser,
                    "%s after %s where =, !=, in or another operator must stand",
                    token_text(parser, text), attribute->name);
    }
    const int comparison = add_node(parser, node);
    return is_negated ? add_not(parser, comparison) : comparison;
}

static int parse_or(struct parser *parser);

static int parse_unary(struct parser *parser)
{
    char text[64];
    int operand = -1;
    if (parser->depth == MAX_DEPTH) {
        return FAIL(parser, "condition is nested deeper than %d", MAX_DEPTH);
    }
    parser->depth++;
    if (is_word(parser, "not")) {
        advance(parser);
        operand = add_not(parser, parse_unary(parser));
    } else if (parser->token == TOKEN_OPEN) {
        advance(parser);
        operand = parse_or(parser);
        if (operand >= 0 && parser->token != TOKEN_CLOSE) {
            operand =
                FAIL(parser, "%s where \")\" must stand", token_text(parser, text));
        }
        advance(parser);
    } else {
        operand = parse_comparison(parser);
    }
    parser->depth--;
    return operand;
}

/* Operands with the same word between them, from the left. */
static int parse_chain(struct parser *parser, const char *word,
                       enum operation operation,
                       int (*parse_operand)(struct parser *parser))
{
    int left = parse_operand(parser);
    while (left >= 0 && is_word(parser, word)) {
        advance(parser);
        const int right = parse_operand(parser);
        left = right < 0 ? -1
                         : add_node(parser, (struct node){.operation = operation,
                                                          .left = left,
                                                          .right = right});
    }
    return left;
}

static int parse_and(struct parser *parser)
{
    return parse_chain(parser, "and", OP_AND, parse_unary);
}

static int parse_or(struct parser *parser)
{
    return parse_chain(parser, "or", OP_OR, parse_and);
}

static bool copy_attributes(struct audience *audience,
                            const struct attribute *attributes, int n_attributes)
{
    audience->names = calloc((size_t)n_attributes + 1, sizeof *audience->names);
    audience->types = calloc((size_t)n_attributes + 1, sizeof *audience->types);
    if (!audience->names || !audience->types) {
        return false;
    }
    for (; audience->n_names < n_attributes; audience->n_names++) {
        const int i = audience->n_names;
        audience->types[i] = attributes[i].type;
        audience->names[i] = strdup(attributes[i].name);
        if (!audience->names[i]) {
            return false;
        }
    }
    return true;
}

struct audience *audience_parse(const char *text, const struct attribute *attributes,
                                int n_attributes, char problem[200], bool *no_memory)
{
    char shown[64];
    struct audience *audience = calloc(1, sizeof *audience);
    problem[0] = '\0';
    if (!audience || !(audience->text = strdup(text)) ||
        !copy_attributes(audience, attributes, n_attributes)) {
        audience_free(audience);
        *no_memory = true;
        return NULL;
    }
    struct parser parser = {.audience = audience,
                            .attributes = attributes,
                            .n_attributes = n_attributes,
                            .at = audience->text,
                            .problem = problem};
    advance(&parser);
    audience->root = parse_or(&parser);
    if (audience->root >= 0 && parser.token != TOKEN_END) {
        audience->root = FAIL(&parser, "%s where \"and\", \"or\" or the end must stand",
                              token_text(&parser, shown));
    }
    if (audience->root < 0) {
        audience_free(audience);
        return NULL;
    }
    return audience;
}
