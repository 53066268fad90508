#include "trainer/titles.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/id_map.h"

#define MAX_BYTES ((size_t)1 << 32)
#define N_FIELDS  3

struct entry {
    struct slice title;
    struct slice genres;
};

struct titles {
    struct buffer text;    /* the file; quoted fields are unquoted in place */
    struct id_map *ids;    /* index i names entries[i] */
    struct entry *entries; /* (capacity) */
    size_t capacity;
};

/* Where the reader stands. Errors name the line on which the record began. */
struct cursor {
    char *at, *end;
    const char *path;
    int64_t line;        /* of `at`, from 1 */
    int64_t record_line; /* of the record being read */
};

static int bad_record(const struct cursor *c, struct error *error, const char *what)
{
    error_set(error, ERROR_INVALID, "%s:%lld: %s", c->path, (long long)c->record_line,
              what);
    return -1;
}

/* Reads the quoted field whose opening quote is at c->at; the text moves down over the
 * doubled quotes. */
static int read_quoted(struct cursor *c, struct slice *field, struct error *error)
{
    char *to = ++c->at;
    field->data = to;
    for (; c->at < c->end; c->at++) {
        if (*c->at == '"') {
            if (c->at + 1 == c->end || c->at[1] != '"') {
                break;
            }
            c->at++;
        } else if (*c->at == '\n') {
            c->line++;
        }
        *to++ = *c->at;
    }
    if (c->at == c->end) {
        return bad_record(c, error, "a quoted field is never closed");
    }
    field->len = (size_t)(to - field->data);
    c->at++;
    if (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r') {
        return bad_record(c, error,
                          "text after a closing quote (write a quote inside a quoted "
                          "field twice)");
    }
    return 0;
}

static int read_field(struct cursor *c, struct slice *field, struct error *error)
{
    if (c->at < c->end && *c->at == '"') {
        return read_quoted(c, field, error);
    }
    field->data = c->at;
    while (c->at < c->end && *c->at != ',' && *c->at != '\n' && *c->at != '\r') {
        if (*c->at == '"') {
            return bad_record(c, error,
                              "a quote inside an unquoted field (quote the field and "
                              "write the quote twice)");
        }
        c->at++;
    }
    field->len = (size_t)(c->at - field->data);
    return 0;
}

/* Reads one record with its line end. *n_fields may pass N_FIELDS; what is past is
 * dropped. */
static int read_record(struct cursor *c, struct slice fields[N_FIELDS], int *n_fields,
                       struct error *error)
{
    c->record_line = c->line;
    for (int n = 0;; n++, c->at++) {
        struct slice field = {0};
        if (read_field(c, &field, error) != 0) {
            return -1;
        }
        if (n < N_FIELDS) {
            fields[n] = field;
        }
        *n_fields = n + 1;
        if (c->at == c->end || *c->at != ',') {
            break;
        }
    }
    if (c->at < c->end && *c->at == '\r') {
        c->at++;
        if (c->at < c->end && *c->at != '\n') {
            return bad_record(c, error, "a carriage return inside the line");
        }
    }
    if (c->at < c->end) {
        c->at++;
        c->line++;
    }
    return 0;
}

static bool is_header(const struct slice fields[N_FIELDS], int n_fields)
{
    return n_fields >= 2 && fields[1].len == 5 &&
           strncasecmp(fields[1].data, "title", 5) == 0;
}

static int add_entry(struct titles *titles, const struct cursor *c,
                     const struct slice fields[N_FIELDS], int n_fields,
                     struct error *error)
{
    const int32_t index = id_map_count(titles->ids);
    if (n_fields < 2 || n_fields > N_FIELDS) {
        return bad_record(c, error,
                          "expected movieId,title[,genres] (quote a title that holds a "
                          "comma)");
    }
    if (fields[0].len == 0) {
        return bad_record(c, error, "the item id is empty");
    }
    const int32_t added = id_map_add(titles->ids, fields[0]);
    if (added == ID_NONE) {
        error_set(error, ERROR_NOMEM, "%s: no memory for its ids", c->path);
        return -1;
    }
    if (added != index) {
        error_set(error, ERROR_INVALID, "%s:%lld: item \"%.*s\" has a title already",
                  c->path, (long long)c->record_line, (int)fields[0].len,
                  fields[0].data);
        return -1;
    }
    if ((size_t)index == titles->capacity) {
        const size_t capacity = titles->capacity ? 2 * titles->capacity : 1024;
        struct entry *entries =
            realloc(titles->entries, capacity * sizeof *titles->entries);
        if (!entries) {
            error_set(error, ERROR_NOMEM, "%s: no memory for its titles", c->path);
            return -1;
        }
        titles->entries = entries;
        titles->capacity = capacity;
    }
    titles->entries[index] =
        (struct entry){fields[1], n_fields == N_FIELDS ? fields[2] : (struct slice){0}};
    return 0;
}

static int read_all(struct titles *titles, const char *path, struct error *error)
{
    struct cursor c = {titles->text.data, titles->text.data + titles->text.len, path, 1,
                       1};
    if (titles->text.len >= 3 && memcmp(c.at, "\xEF\xBB\xBF", 3) == 0) {
        c.at += 3; /* the byte order mark that spreadsheets write */
    }
    for (bool first = true; c.at < c.end; first = false) {
        struct slice fields[N_FIELDS];
        int n_fields = 0;
        if (read_record(&c, fields, &n_fields, error) != 0) {
            return -1;
        }
        if ((n_fields == 1 && fields[0].len == 0) ||
            (first && is_header(fields, n_fields))) {
            continue;
        }
        if (add_entry(titles, &c, fields, n_fields, error) != 0) {
            return -1;
        }
    }
    return 0;
}

int titles_load(const char *path, struct titles **titles, struct error *error)
{
    struct titles *t = calloc(1, sizeof *t);
    if (!t || !(t->ids = id_map_new())) {
        error_set(error, ERROR_NOMEM, "%s: no memory for its titles", path);
        titles_free(t);
        return -1;
    }
    if (file_read(path, MAX_BYTES, &t->text, error) != 0 ||
        (t->text.len && read_all(t, path, error) != 0)) {
        titles_free(t);
        return -1;
    }
    *titles = t;
    return 0;
}

void titles_free(struct titles *titles)
{
    if (titles) {
        buffer_free(&titles->text);
        id_map_free(titles->ids);
        free(titles->entries);
        free(titles);
    }
}

struct slice titles_find(const struct titles *titles, struct slice item_id)
{
    const int32_t index = id_map_find(titles->ids, item_id);
    return index == ID_NONE ? (struct slice){0} : titles->entries[index].title;
}

struct slice titles_genres(const struct titles *titles, struct slice item_id)
{
    const int32_t index = id_map_find(titles->ids, item_id);
    return index == ID_NONE ? (struct slice){0} : titles->entries[index].genres;
}
