/* join_extract_copies.c - events whose id came more than once, for a second reading
 * that reads an extract.
 *
 * Which copy counts depends on things that the extract does not hold. It holds where
 * each group of lines is: those with copies are read again, and nothing else.
 */
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "logs/logs.h"
#include "stats/join_extract_part.h"

/* To read on takes less time than to begin anew. */
#define WINDOW_GAP ((int64_t)64 << 10)

static size_t slot_of(const struct join_extract *extract, struct id_key id)
{
    size_t at = (size_t)hash_bytes(&id, sizeof id) & (extract->n_slots - 1);
    while (extract->is_copy[at] && (extract->copies[at].prefix != id.prefix ||
                                    extract->copies[at].number != id.number)) {
        at = (at + 1) & (extract->n_slots - 1);
    }
    return at;
}

int extract_find_copies(struct join_extract *extract, const struct id_seen *seen)
{
    const int32_t n = id_seen_n_repeated(seen);
    if (n == 0) {
        return 0;
    }
    size_t n_slots = 16;
    while (n_slots < 4 * (size_t)n) {
        n_slots *= 2;
    }
    extract->copies = calloc(n_slots, sizeof *extract->copies);
    extract->is_copy = calloc(n_slots, sizeof *extract->is_copy);
    if (!extract->copies || !extract->is_copy) {
        return -1;
    }
    extract->n_slots = n_slots;
    for (int32_t i = 0; i < n; i++) {
        struct id_key keys[2];
        for (int k = id_seen_repeated_keys(seen, i, keys); k > 0; k--) {
            const size_t at = slot_of(extract, keys[k - 1]);
            extract->copies[at] = keys[k - 1];
            extract->is_copy[at] = true;
        }
    }
    return 0;
}

bool extract_is_copy(const struct join_extract *extract, struct id_key id)
{
    return extract->n_slots > 0 && extract->is_copy[slot_of(extract, id)];
}

int extract_add_window(struct extract_windows *windows, int32_t segment, int64_t start,
                       int64_t end)
{
    struct extract_window *last =
        windows->n > 0 ? &windows->items[windows->n - 1] : NULL;
    if (last && last->segment == segment && start >= last->start &&
        start - last->end <= WINDOW_GAP) {
        last->end = end > last->end ? end : last->end;
        return 0;
    }
    if (windows->n == windows->capacity || !windows->items) {
        const size_t capacity = windows->capacity ? 2 * windows->capacity : 64;
        struct extract_window *items =
            realloc(windows->items, capacity * sizeof *windows->items);
        if (!items) {
            return -1;
        }
        windows->items = items;
        windows->capacity = capacity;
    }
    windows->items[windows->n++] = (struct extract_window){segment, start, end};
    return 0;
}

static int compare_windows(const void *a, const void *b)
{
    const struct extract_window *x = a, *y = b;
    if (x->segment != y->segment) {
        return x->segment < y->segment ? -1 : 1;
    }
    return (x->start > y->start) - (x->start < y->start);
}

/* The parts of the log that the windows are, in order and each line in one of them.
 * Of a compressed segment everything before the last has to be gone through anyway. */
static size_t make_parts(const struct join *join, const struct extract_windows *windows,
                         struct log_part *parts)
{
    size_t n = 0;
    int32_t segment = -1;
    for (size_t i = 0; i < windows->n; i++) {
        const struct extract_window *window = &windows->items[i];
        char *file = join->parts.items[window->segment].file;
        const struct slice name = slice_of(file);
        const bool is_zst =
            name.len > 4 && memcmp(name.data + name.len - 4, ".zst", 4) == 0;
        if (n > 0 && window->segment == segment &&
            (is_zst || window->start - parts[n - 1].end <= WINDOW_GAP)) {
            if (window->end > parts[n - 1].end) {
                parts[n - 1].end = window->end;
            }
        } else {
            parts[n++] = (struct log_part){file, window->start, window->end};
        }
        segment = window->segment;
    }
    return n;
}

struct copy_reader {
    const struct join_extract *extract;
    struct join_worker *worker;
};

/* The extract's reader left out every event whose key is that of a copy; those that are
 * none are counted here. The fingerprint has all lines already. */
static int read_copy(void *context, const struct event *event)
{
    const struct copy_reader *reader = context;
    if (event->type == EVENT_CONFIG ||
        !extract_is_copy(reader->extract, id_key_of(event->id))) {
        return 0;
    }
    reader->worker->evidence.fingerprint -=
        hash_bytes(event->place->text.data, event->place->text.len);
    return join_second_reading(reader->worker, event);
}

static int read_parts(const struct join_extract *extract, const struct log_parts *parts,
                      struct join_worker *workers, struct error *error)
{
    const struct join *join = workers[0].join;
    const int n = extract->n_parts;
    struct log_visitor *visitors = calloc((size_t)n, sizeof *visitors);
    struct copy_reader *readers = calloc((size_t)n, sizeof *readers);
    int rc = -1;
    if (!visitors || !readers) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", join->path);
        goto out;
    }
    for (int t = 0; t < n; t++) {
        readers[t] = (struct copy_reader){extract, &workers[t]};
        visitors[t] = (struct log_visitor){
            .on_event = read_copy,
            .skip = LOG_SKIP_ITEMS |
                    (join->evidence.n_damaged == 0 ? LOG_SKIP_CHECKSUMS : 0U),
            .context = &readers[t]};
    }
    rc = log_read_parts(join->path, parts, visitors, n, NULL, error);
    for (int t = 0; t < n && rc == 0; t++) {
        rc = join_second_end(&workers[t]);
    }

out:
    free(visitors);
    free(readers);
    return rc;
}

int extract_read_copies(const struct join_extract *extract,
                        struct extract_windows *windows, struct join_worker *workers,
                        struct error *error)
{
    struct log_parts parts = {.capacity = windows->n};
    if (windows->n == 0) {
        return 0;
    }
    parts.items = calloc(windows->n, sizeof *parts.items);
    if (!parts.items) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it",
                  workers[0].join->path);
        return -1;
    }
    qsort(windows->items, windows->n, sizeof *windows->items, compare_windows);
    parts.n = make_parts(workers[0].join, windows, parts.items);
    const int rc = read_parts(extract, &parts, workers, error);
    free(parts.items); /* the names are the join's */
    return rc;
}
