#include "trainer/titles.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/id_map.h"
#include "trainer/csv.h"

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

static bool is_header(const struct slice fields[N_FIELDS], int n_fields)
{
    return n_fields >= 2 && fields[1].len == 5 &&
           strncasecmp(fields[1].data, "title", 5) == 0;
}

static int add_entry(struct titles *titles, const struct csv_cursor *c,
                     const struct slice fields[N_FIELDS], int n_fields,
                     struct error *error)
{
    const int32_t index = id_map_count(titles->ids);
    if (n_fields < 2 || n_fields > N_FIELDS) {
        return csv_bad_record(
            c, error,
            "expected movieId,title[,genres] (quote a title that holds a "
            "comma)");
    }
    if (fields[0].len == 0) {
        return csv_bad_record(c, error, "the item id is empty");
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
    struct csv_cursor c = csv_start(&titles->text, path);
    for (bool first = true; c.at < c.end; first = false) {
        struct slice fields[N_FIELDS];
        int n_fields = 0;
        if (csv_read_record(&c, fields, N_FIELDS, &n_fields, error) != 0) {
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

const struct id_map *titles_ids(const struct titles *titles)
{
    return titles->ids;
}
