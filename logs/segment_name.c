#include "logs/segment_name.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void segment_name(char name[SEGMENT_NAME_SIZE], const char *node, int64_t ts_us,
                  uint64_t sequence)
{
    const time_t seconds = (time_t)(ts_us / 1000000);
    struct tm utc = {0};
    char when[32];
    gmtime_r(&seconds, &utc);
    if (strftime(when, sizeof when, "%Y%m%dT%H%M%S", &utc) == 0) {
        when[0] = '\0';
    }
    snprintf(name, SEGMENT_NAME_SIZE, "%s-%s-%06llu" SEGMENT_SUFFIX, node, when,
             (unsigned long long)sequence);
}

int64_t segment_name_sequence(const char *name)
{
    const char *dash = strrchr(name, '-');
    if (!dash || dash[1] < '0' || dash[1] > '9') {
        return -1;
    }
    char *end = NULL;
    errno = 0;
    const long long sequence = strtoll(dash + 1, &end, 10);
    if (errno ||
        (strcmp(end, SEGMENT_SUFFIX) != 0 && strcmp(end, SEGMENT_ZST_SUFFIX) != 0)) {
        return -1;
    }
    return sequence;
}

static bool ends_with(const char *text, const char *suffix)
{
    const size_t len = strlen(text), suffix_len = strlen(suffix);
    return len > suffix_len && strcmp(text + len - suffix_len, suffix) == 0;
}

static int compare_entries(const void *left, const void *right)
{
    const struct segment_entry *a = left, *b = right;
    return strcmp(a->path, b->path);
}

static int add_entry(struct segment_list *list, const char *directory, const char *name,
                     bool is_zst)
{
    if (list->n == list->capacity) {
        const size_t capacity = list->capacity ? 2 * list->capacity : 64;
        struct segment_entry *items = realloc(list->items, capacity * sizeof *items);
        if (!items) {
            return -1;
        }
        list->items = items;
        list->capacity = capacity;
    }
    const size_t name_len = strlen(name) - (is_zst ? sizeof ".zst" - 1 : 0);
    const size_t size = strlen(directory) + 1 + name_len + 1;
    char *path = malloc(size);
    if (!path) {
        return -1;
    }
    snprintf(path, size, "%s/%.*s", directory, (int)name_len, name);
    list->items[list->n++] = (struct segment_entry){path, !is_zst, is_zst};
    return 0;
}

static int scan(const char *directory, struct segment_list *list, struct error *error)
{
    int rc = -1;
    DIR *open_directory = opendir(directory);
    if (!open_directory) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open directory: %s", directory, strerror(errno));
        return -1;
    }
    for (;;) {
        errno = 0;
        const struct dirent *entry = readdir(open_directory);
        if (!entry) {
            break;
        }
        const bool is_zst = ends_with(entry->d_name, SEGMENT_ZST_SUFFIX);
        if (entry->d_name[0] == '.' ||
            (!is_zst && !ends_with(entry->d_name, SEGMENT_SUFFIX))) {
            continue;
        }
        if (add_entry(list, directory, entry->d_name, is_zst) != 0) {
            error_set(error, ERROR_NOMEM, "%s: no memory for its list of segments",
                      directory);
            goto out;
        }
    }
    if (errno) {
        error_set(error, ERROR_IO, "%s: cannot read directory: %s", directory,
                  strerror(errno));
        goto out;
    }
    rc = 0;

out:
    closedir(open_directory);
    return rc;
}

/* Sorts, and makes one entry of those with the same path. */
static void merge(struct segment_list *list)
{
    size_t kept = 0;
    if (list->n == 0) {
        return;
    }
    qsort(list->items, list->n, sizeof *list->items, compare_entries);
    for (size_t i = 1; i < list->n; i++) {
        struct segment_entry *into = &list->items[kept], *from = &list->items[i];
        if (strcmp(into->path, from->path) == 0) {
            into->is_plain |= from->is_plain;
            into->is_zst |= from->is_zst;
            free(from->path);
        } else {
            list->items[++kept] = *from;
        }
    }
    list->n = kept + 1;
}

int segment_list_read(const char *directory, struct segment_list *list,
                      struct error *error)
{
    *list = (struct segment_list){0};
    for (int pass = 0; pass < 2; pass++) {
        if (scan(directory, list, error) != 0) {
            segment_list_free(list);
            return -1;
        }
    }
    merge(list);
    return 0;
}

void segment_list_free(struct segment_list *list)
{
    for (size_t i = 0; i < list->n; i++) {
        free(list->items[i].path);
    }
    free(list->items);
    *list = (struct segment_list){0};
}
