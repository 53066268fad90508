#include "logs/marks.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "logs/recover.h"

#define ZST ".zst"

static bool is_compressed(const char *file)
{
    const size_t len = strlen(file);
    return len > strlen(ZST) && strcmp(file + len - strlen(ZST), ZST) == 0;
}

/* The segment's name: without directory, and as it was before it was compressed. */
static struct slice name_of(const char *file)
{
    const char *slash = strrchr(file, '/');
    const char *name = slash ? slash + 1 : file;
    return (struct slice){name, strlen(name) - (is_compressed(name) ? strlen(ZST) : 0)};
}

int log_marks_add(struct log_marks *marks, struct slice name,
                  const struct log_extent *extent)
{
    if (marks->n == marks->capacity) {
        const size_t capacity = marks->capacity ? 2 * marks->capacity : 64;
        struct log_mark *items = realloc(marks->items, capacity * sizeof *items);
        if (!items) {
            return -1;
        }
        marks->items = items;
        marks->capacity = capacity;
    }
    struct log_mark *mark = &marks->items[marks->n];
    *mark = (struct log_mark){strndup(name.data, name.len), *extent};
    marks->n += mark->name != NULL;
    return mark->name ? 0 : -1;
}

void log_marks_free(struct log_marks *marks)
{
    for (size_t i = 0; i < marks->n; i++) {
        free(marks->items[i].name);
    }
    free(marks->items);
    *marks = (struct log_marks){0};
}

static int no_memory(const char *directory, struct error *error)
{
    error_set(error, ERROR_NOMEM, "%s: no memory to mark it", directory);
    return -1;
}

/* Where the last whole line of a plain file ends. */
static int find_end(const char *file, int64_t *end, struct error *error)
{
    struct stat status;
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", file, strerror(errno));
        return -1;
    }
    *end = fstat(fd, &status) == 0 ? recover_line_end(fd, status.st_size) : -1;
    if (*end < 0) {
        error_set(error, ERROR_IO, "%s: cannot read its end: %s", file,
                  strerror(errno));
    }
    close(fd);
    return *end < 0 ? -1 : 0;
}

static int take_extent(const char *file, struct log_extent *extent, struct error *error)
{
    int64_t end = 0; /* of a compressed one nobody asks */
    return (is_compressed(file) || find_end(file, &end, error) == 0) &&
                   log_extent_take(file, end, 0, extent, error) == 0
               ? 0
               : -1;
}

/* A plain segment that is gone since it was listed has been compressed. */
static int mark_part(const char *file, struct log_marks *marks, struct error *error)
{
    struct log_extent extent;
    struct error first = {0};
    if (take_extent(file, &extent, &first) != 0) {
        const size_t size = strlen(file) + sizeof ZST;
        char *compressed = malloc(size);
        if (!compressed || first.code != ERROR_NOT_FOUND || is_compressed(file)) {
            free(compressed);
            *error = first;
            return -1;
        }
        snprintf(compressed, size, "%s%s", file, ZST);
        const int rc = log_extent_take(compressed, 0, 0, &extent, error);
        free(compressed);
        if (rc != 0) {
            return -1;
        }
    }
    return log_marks_add(marks, name_of(file), &extent) == 0 ? 0
                                                             : no_memory(file, error);
}

int log_marks_take(const char *directory, struct log_marks *marks, struct error *error)
{
    struct log_parts parts;
    *marks = (struct log_marks){0};
    int rc = log_parts_list(directory, &parts, error);
    for (size_t i = 0; i < parts.n && rc == 0; i++) {
        rc = mark_part(parts.items[i].file, marks, error);
    }
    log_parts_free(&parts);
    return rc;
}

static int compare_names(const void *a, const void *b)
{
    const struct slice *name = a;
    const struct log_mark *mark = b;
    const int order = strncmp(name->data, mark->name, name->len);
    return order ? order : -(mark->name[name->len] != '\0');
}

/* Parts are listed in the order of their names, and so are marks. */
static const struct log_mark *find(const struct log_marks *marks, const char *file)
{
    const struct slice name = name_of(file);
    return marks->n ? bsearch(&name, marks->items, marks->n, sizeof *marks->items,
                              compare_names)
                    : NULL;
}

int log_marks_parts(const char *directory, const struct log_marks *marks,
                    struct log_parts *parts, bool *fits, struct error *error)
{
    *fits = true;
    if (log_parts_list(directory, parts, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < parts->n; i++) {
        struct log_part *part = &parts->items[i];
        const struct log_mark *mark = find(marks, part->file);
        enum log_change change = LOG_CHANGED;
        if (!mark) {
            continue;
        }
        if (log_extent_compare(part->file, &mark->extent, &change, error) != 0) {
            return -1;
        }
        *fits = *fits && change != LOG_CHANGED;
        part->start = mark->extent.end;
        if (change == LOG_UNCHANGED) {
            part->end = part->start;
        }
    }
    return 0;
}

static int sync_file(const char *file, struct error *error)
{
    const int fd = open(file, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 0; /* compressed since it was listed, and synced for that */
    }
    const int rc = fd < 0 ? -1 : fdatasync(fd);
    if (rc != 0) {
        error_set(error, ERROR_IO, "%s: cannot sync: %s", file, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

int log_marks_sync(const char *directory, struct error *error)
{
    struct log_parts parts;
    int rc = log_parts_list(directory, &parts, error);
    for (size_t i = 0; i < parts.n && rc == 0; i++) {
        if (!is_compressed(parts.items[i].file)) {
            rc = sync_file(parts.items[i].file, error);
        }
    }
    if (rc == 0 && parts.n) {
        rc = file_sync_directory_of(parts.items[0].file, error);
    }
    log_parts_free(&parts);
    return rc;
}
