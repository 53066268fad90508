#include "trainer/item_features.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/file.h"
#include "common/id_map.h"
#include "trainer/csv.h"
#include "trainer/titles.h"

#define MAX_BYTES    ((size_t)1 << 32)
#define N_TAG_FIELDS 4

/* An item has a feature; both are indices of the reader's maps. */
struct pair {
    int32_t item, feature;
};

struct pairs {
    struct pair *list;
    size_t n, capacity;
};

/* What the files say, before it is known which tags are worth a column. */
struct reader {
    struct id_map *items;         /* of both files */
    struct id_map *genres, *tags; /* in lower case */
    struct pairs genre_pairs, tag_pairs;
    struct buffer lower; /* scratch */
};

static int no_memory(const char *path, struct error *error)
{
    error_set(error, ERROR_NOMEM, "%s: no memory for the features of its items", path);
    return -1;
}

static int pairs_add(struct pairs *pairs, int32_t item, int32_t feature)
{
    if (pairs->n == pairs->capacity) {
        const size_t capacity = pairs->capacity ? 2 * pairs->capacity : 1024;
        struct pair *list = realloc(pairs->list, capacity * sizeof *list);
        if (!list) {
            return -1;
        }
        pairs->list = list;
        pairs->capacity = capacity;
    }
    pairs->list[pairs->n++] = (struct pair){item, feature};
    return 0;
}

static struct slice trimmed(struct slice text)
{
    while (text.len && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text.data++;
        text.len--;
    }
    while (text.len &&
           (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

/* Notes that `item` has the feature called `name`; an empty name is none. */
static int note(struct reader *r, int32_t item, struct slice name, struct id_map *names,
                struct pairs *pairs)
{
    name = trimmed(name);
    if (name.len == 0) {
        return 0;
    }
    buffer_clear(&r->lower);
    for (size_t i = 0; i < name.len; i++) {
        const unsigned char c = (unsigned char)name.data[i];
        const int lower = c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
        buffer_append_char(&r->lower, (char)(lower < ' ' ? ' ' : lower));
    }
    if (r->lower.failed) {
        return -1;
    }
    const int32_t feature = id_map_add(names, buffer_slice(&r->lower));
    return feature == ID_NONE ? -1 : pairs_add(pairs, item, feature);
}

static int read_genres(struct reader *r, const char *path, struct error *error)
{
    struct titles *titles = NULL;
    int rc = 0;
    if (titles_load(path, &titles, error) != 0) {
        return -1;
    }
    for (int32_t i = 0; i < id_map_count(titles_ids(titles)) && rc == 0; i++) {
        const struct slice id = id_map_id(titles_ids(titles), i);
        struct slice rest = titles_genres(titles, id);
        const int32_t item = id_map_add(r->items, id);
        rc = item == ID_NONE ? -1 : 0;
        while (rc == 0 && rest.len && rest.data[0] != '(') {
            const char *bar = memchr(rest.data, '|', rest.len);
            const size_t len = bar ? (size_t)(bar - rest.data) : rest.len;
            rc = note(r, item, (struct slice){rest.data, len}, r->genres,
                      &r->genre_pairs);
            rest.data += len + (bar != NULL);
            rest.len -= len + (bar != NULL);
        }
    }
    titles_free(titles);
    return rc == 0 ? 0 : no_memory(path, error);
}

static bool is_tag_header(const struct slice *fields, int n_fields)
{
    return n_fields >= 3 && fields[2].len == 3 &&
           strncasecmp(fields[2].data, "tag", 3) == 0;
}

static int read_tag_lines(struct reader *r, const struct buffer *text, const char *path,
                          struct error *error)
{
    struct csv_cursor c = csv_start(text, path);
    for (bool first = true; c.at < c.end; first = false) {
        struct slice fields[N_TAG_FIELDS];
        int n = 0;
        if (csv_read_record(&c, fields, N_TAG_FIELDS, &n, error) != 0) {
            return -1;
        }
        if ((n == 1 && fields[0].len == 0) || (first && is_tag_header(fields, n))) {
            continue;
        }
        if (n < 3 || n > N_TAG_FIELDS || fields[1].len == 0) {
            return csv_bad_record(
                &c, error,
                "expected userId,movieId,tag[,timestamp] (quote a tag "
                "that holds a comma)");
        }
        const int32_t item = id_map_add(r->items, fields[1]);
        if (item == ID_NONE || note(r, item, fields[2], r->tags, &r->tag_pairs) != 0) {
            return no_memory(path, error);
        }
    }
    return 0;
}

static int read_tags(struct reader *r, const char *path, struct error *error)
{
    struct buffer text = {0};
    int rc = file_read(path, MAX_BYTES, &text, error);
    if (rc == 0 && text.len) {
        rc = read_tag_lines(r, &text, path, error);
    }
    buffer_free(&text);
    return rc;
}

static int compare_pairs(const void *a, const void *b)
{
    const struct pair *x = a, *y = b;
    if (x->item != y->item) {
        return x->item < y->item ? -1 : 1;
    }
    return (x->feature > y->feature) - (x->feature < y->feature);
}

/* Sorts by item, then feature, and drops what was said twice. */
static void pairs_settle(struct pairs *pairs)
{
    size_t n = 0;
    if (pairs->n == 0) {
        return;
    }
    qsort(pairs->list, pairs->n, sizeof *pairs->list, compare_pairs);
    for (size_t i = 0; i < pairs->n; i++) {
        if (i == 0 || compare_pairs(&pairs->list[i], &pairs->list[n - 1]) != 0) {
            pairs->list[n++] = pairs->list[i];
        }
    }
    pairs->n = n;
}

struct usage {
    int32_t feature;
    int32_t n_items;
};

static int compare_usage(const void *a, const void *b)
{
    const struct usage *x = a, *y = b;
    if (x->n_items != y->n_items) {
        return x->n_items > y->n_items ? -1 : 1;
    }
    return (x->feature > y->feature) - (x->feature < y->feature);
}

static void append_name(struct buffer *text, const char *prefix, struct slice name,
                        const char *end)
{
    buffer_append_text(text, prefix);
    buffer_append(text, name.data, name.len);
    buffer_append_text(text, end);
}

/* Drops the pairs of rare tags and numbers the rest by how common they are. Returns the
 * number of tags that are left, or -1 without memory; kept[number] is the tag's old
 * index. */
static int32_t keep_common(struct pairs *pairs, int32_t n_features, int32_t *kept)
{
    const size_t room = (size_t)n_features + 1;
    struct usage *usage = calloc(room, sizeof *usage);
    int32_t *column = calloc(room, sizeof *column);
    int32_t n_kept = -1;
    size_t n = 0;
    if (!usage || !column) {
        goto out;
    }
    for (int32_t f = 0; f < n_features; f++) {
        usage[f] = (struct usage){f, 0};
    }
    for (size_t i = 0; i < pairs->n; i++) {
        usage[pairs->list[i].feature].n_items++;
    }
    qsort(usage, (size_t)n_features, sizeof *usage, compare_usage);
    n_kept = 0;
    for (int32_t f = 0; f < n_features; f++) {
        const bool is_kept = n_kept < ITEM_FEATURES_MAX_TAGS &&
                             usage[f].n_items >= ITEM_FEATURES_MIN_ITEMS;
        column[usage[f].feature] = is_kept ? n_kept : -1;
        if (is_kept) {
            kept[n_kept++] = usage[f].feature;
        }
    }
    for (size_t i = 0; i < pairs->n; i++) {
        const struct pair p = pairs->list[i];
        if (column[p.feature] >= 0) {
            pairs->list[n++] = (struct pair){p.item, column[p.feature]};
        }
    }
    pairs->n = n;
out:
    free(usage);
    free(column);
    return n_kept;
}

/* Moves the pairs of one kind behind each other's columns, items as in `ratings`. */
static int merge(const struct reader *r, const struct ratings *ratings,
                 const struct pairs *from, int32_t first_column, struct pairs *all)
{
    for (size_t i = 0; i < from->n; i++) {
        const struct slice id = id_map_id(r->items, from->list[i].item);
        if (pairs_add(all, id_map_find(ratings->items, id),
                      first_column + from->list[i].feature) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Every item has column 0, then those of its sorted pairs. */
static int fill(const struct pairs *all, struct item_features *f)
{
    const size_t n_items = (size_t)f->n_items;
    size_t at = 0;
    f->start = malloc((n_items + 1) * sizeof *f->start);
    f->column = malloc((n_items + all->n + 1) * sizeof *f->column);
    if (!f->start || !f->column) {
        return -1;
    }
    f->start[0] = 0;
    for (int32_t i = 0; i < f->n_items; i++) {
        int64_t end = f->start[i];
        f->column[end++] = 0;
        for (; at < all->n && all->list[at].item == i; at++) {
            f->column[end++] = all->list[at].feature;
        }
        f->start[i + 1] = end;
    }
    return 0;
}

static int choose_columns(struct reader *r, struct item_features *f)
{
    const int32_t n_genres = id_map_count(r->genres), n_tags = id_map_count(r->tags);
    const size_t room = (size_t)n_tags + 1;
    int32_t *tag_of = calloc(room, sizeof *tag_of);
    f->n_genres = n_genres;
    f->n_tags = tag_of ? keep_common(&r->tag_pairs, n_tags, tag_of) : -1;
    if (f->n_tags >= 0) {
        buffer_append_text(&f->names, "1\n");
        for (int32_t g = 0; g < n_genres; g++) {
            append_name(&f->names, "genre:", id_map_id(r->genres, g), "\n");
        }
        for (int32_t t = 0; t < f->n_tags; t++) {
            append_name(&f->names, "tag:", id_map_id(r->tags, tag_of[t]), "\n");
        }
    }
    free(tag_of);
    return f->n_tags < 0 || f->names.failed ? -1 : 0;
}

/* Replaces the features of pairs by columns of `known`, drops those that are none. */
static int keep_known(struct pairs *pairs, const char *prefix,
                      const struct id_map *names, const struct id_map *known)
{
    const size_t n_names = (size_t)id_map_count(names);
    int32_t *column = malloc((n_names + 1) * sizeof *column);
    struct buffer name = {0};
    size_t n = 0;
    for (size_t i = 0; column && i < n_names; i++) {
        buffer_clear(&name);
        append_name(&name, prefix, id_map_id(names, (int32_t)i), "");
        column[i] = name.failed ? -1 : id_map_find(known, buffer_slice(&name));
    }
    for (size_t i = 0; column && i < pairs->n; i++) {
        const struct pair p = pairs->list[i];
        if (column[p.feature] >= 0) {
            pairs->list[n++] = (struct pair){p.item, column[p.feature]};
        }
    }
    pairs->n = n;
    const int rc = column && !name.failed ? 0 : -1;
    buffer_free(&name);
    free(column);
    return rc;
}

static bool starts_with(struct slice text, const char *prefix)
{
    const size_t len = strlen(prefix);
    return text.len >= len && memcmp(text.data, prefix, len) == 0;
}

/* The names of a model's columns, in their order. */
static int take_names(struct slice names, struct id_map *known, struct item_features *f,
                      struct error *error)
{
    buffer_append(&f->names, names.data, names.len);
    while (names.len) {
        const char *end = memchr(names.data, '\n', names.len);
        const struct slice name = {names.data,
                                   end ? (size_t)(end - names.data) : names.len};
        const int32_t column = id_map_add(known, name);
        if (column == ID_NONE) {
            error_set(error, ERROR_NOMEM, "no memory for the names of features");
            return -1;
        }
        if (column != f->n_columns) {
            error_set(error, ERROR_INVALID,
                      "the model's map has the feature \"%.*s\" twice; train it again",
                      (int)name.len, name.data);
            return -1;
        }
        f->n_columns++;
        f->n_genres += starts_with(name, "genre:");
        f->n_tags += starts_with(name, "tag:");
        names.data += name.len + (end != NULL);
        names.len -= name.len + (end != NULL);
    }
    return 0;
}

/* `known`: the columns of a model, or NULL to choose them. */
static int make(struct reader *r, const struct id_map *known, struct ratings *ratings,
                struct item_features *f)
{
    struct pairs all = {0};
    int rc = -1;
    pairs_settle(&r->genre_pairs);
    pairs_settle(&r->tag_pairs);
    f->n_items = ratings->n_items;
    if ((known ? keep_known(&r->genre_pairs, "genre:", r->genres, known) != 0 ||
                     keep_known(&r->tag_pairs, "tag:", r->tags, known) != 0
               : choose_columns(r, f) != 0) ||
        merge(r, ratings, &r->genre_pairs, known ? 0 : 1, &all) != 0 ||
        merge(r, ratings, &r->tag_pairs, known ? 0 : 1 + f->n_genres, &all) != 0) {
        goto out;
    }
    f->n_columns = known ? f->n_columns : 1 + f->n_genres + f->n_tags;
    pairs_settle(&all);
    rc = fill(&all, f);
out:
    free(all.list);
    return rc;
}

static void reader_release(struct reader *r)
{
    id_map_free(r->items);
    id_map_free(r->genres);
    id_map_free(r->tags);
    free(r->genre_pairs.list);
    free(r->tag_pairs.list);
    buffer_free(&r->lower);
}

static int load(const char *genres_path, const char *tags_path,
                const struct slice *names, struct ratings *ratings,
                struct item_features **features, struct error *error)
{
    const char *path = genres_path ? genres_path : tags_path ? tags_path : "features";
    struct reader r = {
        .items = id_map_new(), .genres = id_map_new(), .tags = id_map_new()};
    struct item_features *f = calloc(1, sizeof *f);
    struct id_map *known = names ? id_map_new() : NULL;
    int rc = -1;
    if (!r.items || !r.genres || !r.tags || !f || (names && !known)) {
        no_memory(path, error);
        goto out;
    }
    if ((names && take_names(*names, known, f, error) != 0) ||
        (genres_path && read_genres(&r, genres_path, error) != 0) ||
        (tags_path && read_tags(&r, tags_path, error) != 0) ||
        ratings_add_items(ratings, r.items, error) != 0) {
        goto out;
    }
    if (make(&r, known, ratings, f) != 0 || f->names.failed) {
        no_memory(path, error);
        goto out;
    }
    *features = f;
    f = NULL;
    rc = 0;
out:
    item_features_free(f);
    id_map_free(known);
    reader_release(&r);
    return rc;
}

int item_features_load(const char *genres_path, const char *tags_path,
                       struct ratings *ratings, struct item_features **features,
                       struct error *error)
{
    return load(genres_path, tags_path, NULL, ratings, features, error);
}

int item_features_load_known(const char *genres_path, const char *tags_path,
                             struct slice names, struct ratings *ratings,
                             struct item_features **features, struct error *error)
{
    return load(genres_path, tags_path, &names, ratings, features, error);
}

void item_features_free(struct item_features *features)
{
    if (features) {
        buffer_free(&features->names);
        free(features->start);
        free(features->column);
        free(features);
    }
}
