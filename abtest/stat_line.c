/* stat_line.c - one line of `abtest stat`: a JSON problem in, a JSON answer out. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/stat_problem.h"
#include "common/json_text.h"

static const struct stat_kind *const tables[] = {
    stat_kinds_compare, stat_kinds_events, stat_kinds_lists,    stat_kinds_designs,
    stat_kinds_groups,  stat_kinds_trust,  stat_kinds_adjusted,
};
#define N_TABLES (sizeof tables / sizeof tables[0])

static const struct stat_kind *find_kind(const char *name)
{
    for (size_t t = 0; t < N_TABLES; t++) {
        for (const struct stat_kind *kind = tables[t]; kind->name; kind++) {
            if (strcmp(kind->name, name) == 0) {
                return kind;
            }
        }
    }
    return NULL;
}

static void list_kinds(struct buffer *list)
{
    for (size_t t = 0; t < N_TABLES; t++) {
        for (const struct stat_kind *kind = tables[t]; kind->name; kind++) {
            buffer_printf(list, "%s%s", list->len > 0 ? ", " : "", kind->name);
        }
    }
}

/* Is `word` one of the space-separated `words`? */
static bool is_among(const char *words, const char *word)
{
    const size_t len = strlen(word);
    for (const char *at = words; *at;) {
        const size_t n = strcspn(at, " ");
        if (n == len && memcmp(at, word, n) == 0) {
            return true;
        }
        at += n + (at[n] == ' ');
    }
    return false;
}

/* A key that is not read would be a wish silently ignored. */
static int check_keys(json_t *problem, const struct stat_kind *kind,
                      struct error *error)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(problem, key, value)
    {
        if (strcmp(key, "test") != 0 && strcmp(key, "id") != 0 &&
            !is_among(kind->keys, key)) {
            error_set(error, ERROR_INVALID, "\"%s\" has no key \"%s\"; it has: %s",
                      kind->name, key, kind->keys);
            return -1;
        }
    }
    return 0;
}

static int solve(json_t *problem, struct buffer *answer, struct error *error)
{
    const char *test = json_string_value(json_object_get(problem, "test"));
    const struct stat_kind *kind = test ? find_kind(test) : NULL;
    if (!kind) {
        struct buffer list = {0};
        list_kinds(&list);
        error_set(error, ERROR_INVALID, "\"test\" must be one of: %.*s", (int)list.len,
                  list.data ? list.data : "");
        buffer_free(&list);
        return -1;
    }
    if (check_keys(problem, kind, error) != 0) {
        return -1;
    }
    json_append_string(answer, slice_of("test"));
    buffer_append_char(answer, ':');
    json_append_string(answer, slice_of(kind->name));
    return kind->solve(problem, answer, error);
}

/* "id" comes back as it was given, so that answers can be told apart. */
static void append_id(const json_t *problem, struct buffer *line)
{
    const json_t *id = json_object_get(problem, "id");
    char *text = id ? json_dumps(id, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
    if (text) {
        buffer_append_text(line, "\"id\":");
        buffer_append_text(line, text);
        buffer_append_char(line, ',');
        free(text);
    }
}

int stat_answer_line(const char *text, size_t len, struct buffer *line)
{
    struct error error = {0};
    json_error_t parse_error;
    struct buffer answer = {0};
    int rc = -1;
    json_t *problem = json_loadb(text, len, JSON_REJECT_DUPLICATES, &parse_error);

    buffer_append_char(line, '{');
    if (!problem) {
        error_set(&error, ERROR_INVALID, "not JSON: %s (column %d)", parse_error.text,
                  parse_error.column);
    } else if (!json_is_object(problem)) {
        error_set(&error, ERROR_INVALID, "a problem is an object: {\"test\": ...}");
    } else {
        append_id(problem, line);
        rc = solve(problem, &answer, &error);
    }
    if (rc == 0) {
        buffer_append(line, answer.data, answer.len);
        line->failed = line->failed || answer.failed;
    } else {
        buffer_append_text(line, "\"error\":");
        json_append_string(line, slice_of(error.message));
    }
    buffer_append_text(line, "}\n");
    buffer_free(&answer);
    json_decref(problem);
    return rc;
}
