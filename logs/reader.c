#include "logs/reader.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "logs/line.h"
#include "logs/parse.h"
#include "logs/segment_name.h"
#include "logs/source.h"

#define CHUNK_SIZE ((size_t)256 << 10)

static const char too_long[] = "line is longer than the limit of 4 MiB";

struct reading {
    const struct log_visitor *visitor;
    struct log_statistics total;
    struct line_parser *parser;
    char *chunk; /* holds the bytes from chunk_offset on that are not visited yet */
    size_t chunk_len, chunk_capacity;
    int64_t chunk_offset;
    bool is_skipping; /* inside a line that is too long */
    int64_t skipping_from;
    int64_t n_lines;
    struct log_segment segment;
    struct error *error;
};

static int visit_damage(struct reading *r, int64_t offset, int64_t size,
                        const char *reason)
{
    r->segment.n_damaged++;
    r->total.n_damaged++;
    if (r->visitor->on_damage) {
        const struct log_damage damage = {r->segment.file, offset, size, reason};
        return r->visitor->on_damage(r->visitor->context, &damage);
    }
    return 0;
}

static int visit_line(struct reading *r, struct slice line, int64_t offset)
{
    struct event event;
    r->n_lines++;
    const char *reason = line.len > LOG_LINE_MAX ? too_long : line_check_crc(line);
    if (!reason) {
        const enum parse_result result = line_parse(r->parser, line, &event, &reason);
        if (result == PARSE_NOMEM) {
            error_set(r->error, ERROR_NOMEM, "%s: no memory for line %lld",
                      r->segment.file, (long long)r->n_lines);
            return -1;
        }
        if (result == PARSE_DONE) {
            reason = NULL;
        }
    }
    if (reason) {
        return visit_damage(r, offset, (int64_t)line.len + 1, reason);
    }
    const struct event_place place = {r->segment.file, offset, r->n_lines, line};
    event.place = &place;
    r->segment.n_events++;
    r->total.n_events++;
    return r->visitor->on_event ? r->visitor->on_event(r->visitor->context, &event) : 0;
}

/* Drops the first `n` bytes of the chunk. */
static void drop(struct reading *r, size_t n)
{
    memmove(r->chunk, r->chunk + n, r->chunk_len - n);
    r->chunk_len -= n;
    r->chunk_offset += (int64_t)n;
}

/* Ends a line that was too long, whose newline is at chunk[newline]. */
static int end_skipping(struct reading *r, size_t newline)
{
    const int64_t end = r->chunk_offset + (int64_t)newline + 1;
    r->is_skipping = false;
    r->n_lines++;
    return visit_damage(r, r->skipping_from, end - r->skipping_from, too_long);
}

/* Visits every whole line of the chunk and keeps what is behind the last newline. */
static int visit_lines(struct reading *r)
{
    size_t start = 0;
    const char *newline = NULL;
    while (start < r->chunk_len &&
           (newline = memchr(r->chunk + start, '\n', r->chunk_len - start)) != NULL) {
        const size_t end = (size_t)(newline - r->chunk);
        const int rc =
            r->is_skipping
                ? end_skipping(r, end)
                : visit_line(r, (struct slice){r->chunk + start, end - start},
                             r->chunk_offset + (int64_t)start);
        if (rc != 0) {
            return -1;
        }
        start = end + 1;
    }
    drop(r, start);
    if (r->is_skipping) {
        drop(r, r->chunk_len);
    } else if (r->chunk_len > LOG_LINE_MAX) {
        r->is_skipping = true;
        r->skipping_from = r->chunk_offset;
        drop(r, r->chunk_len);
    }
    return 0;
}

/* Makes room behind the unfinished line; it is at most LOG_LINE_MAX long here. */
static int make_room(struct reading *r)
{
    if (r->chunk_capacity - r->chunk_len >= CHUNK_SIZE / 2) {
        return 0;
    }
    const size_t capacity = r->chunk_capacity ? 2 * r->chunk_capacity : CHUNK_SIZE;
    char *chunk = realloc(r->chunk, capacity);
    if (!chunk) {
        error_set(r->error, ERROR_NOMEM, "%s: no memory for a long line",
                  r->segment.file);
        return -1;
    }
    r->chunk = chunk;
    r->chunk_capacity = capacity;
    return 0;
}

/* Bytes are lost: the line that is cut by it goes with them. */
static int visit_gap(struct reading *r, size_t lost)
{
    const int64_t from = r->is_skipping ? r->skipping_from : r->chunk_offset;
    const int64_t end = r->chunk_offset + (int64_t)r->chunk_len + (int64_t)lost;
    r->is_skipping = false;
    r->chunk_len = 0;
    r->chunk_offset = end;
    return visit_damage(r, from, end - from, "compressed frame does not decompress");
}

static int end_segment(struct reading *r)
{
    const int64_t end = r->chunk_offset + (int64_t)r->chunk_len;
    const int64_t from = r->is_skipping ? r->skipping_from : r->chunk_offset;
    r->segment.n_bytes = end;
    r->segment.torn_bytes = end - from;
    r->total.n_bytes += end;
    r->total.n_segments++;
    r->total.n_torn_tails += end > from;
    return r->visitor->on_segment
               ? r->visitor->on_segment(r->visitor->context, &r->segment)
               : 0;
}

static int read_source(struct reading *r, const char *path, struct source *source)
{
    r->segment = (struct log_segment){.file = path};
    r->chunk_len = 0;
    r->chunk_offset = 0;
    r->n_lines = 0;
    r->is_skipping = false;
    for (;;) {
        size_t len = 0;
        if (make_room(r) != 0) {
            return -1;
        }
        switch (source_read(source, r->chunk + r->chunk_len,
                            r->chunk_capacity - r->chunk_len, &len, r->error)) {
        case SOURCE_BYTES:
            r->chunk_len += len;
            if (visit_lines(r) != 0) {
                return -1;
            }
            break;
        case SOURCE_GAP:
            if (visit_gap(r, len) != 0) {
                return -1;
            }
            break;
        case SOURCE_END:
            return end_segment(r);
        case SOURCE_FAILED:
            return -1;
        }
    }
}

static int read_file(struct reading *r, const char *path)
{
    struct source *source = NULL;
    if (source_open(path, &source, r->error) != 0) {
        return -1;
    }
    const int rc = read_source(r, path, source);
    source_close(source);
    return rc;
}

/* Reads the plain file if it is there (it is whole where both are: compressing ends by
 * removing it), else the compressed one. */
static int read_entry(struct reading *r, const struct segment_entry *entry)
{
    struct error first = {0};
    struct source *source = NULL;
    int rc = -1;
    char *compressed = NULL;
    if (entry->is_plain && source_open(entry->path, &source, &first) == 0) {
        rc = read_source(r, entry->path, source);
        source_close(source);
        return rc;
    }
    if (first.code && first.code != ERROR_NOT_FOUND) {
        error_set(r->error, first.code, "%s", first.message);
        return -1;
    }
    const size_t len = strlen(entry->path);
    compressed = malloc(len + sizeof ".zst");
    if (!compressed) {
        error_set(r->error, ERROR_NOMEM, "%s: no memory for its name", entry->path);
        return -1;
    }
    memcpy(compressed, entry->path, len);
    memcpy(compressed + len, ".zst", sizeof ".zst");
    rc = read_file(r, compressed);
    free(compressed);
    return rc;
}

static int read_directory(struct reading *r, const char *path)
{
    struct segment_list list;
    if (segment_list_read(path, &list, r->error) != 0) {
        return -1;
    }
    int rc = 0;
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        rc = read_entry(r, &list.items[i]);
    }
    segment_list_free(&list);
    return rc;
}

int log_read(const char *path, const struct log_visitor *visitor,
             struct log_statistics *statistics, struct error *error)
{
    struct reading r = {.visitor = visitor, .error = error};
    struct stat status;
    int rc = -1;

    if (stat(path, &status) != 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot read: %s", path, strerror(errno));
        return -1;
    }
    r.parser = line_parser_new();
    if (!r.parser) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto out;
    }
    rc = S_ISDIR(status.st_mode) ? read_directory(&r, path) : read_file(&r, path);
    if (rc == 0 && statistics) {
        *statistics = r.total;
    }

out:
    line_parser_free(r.parser);
    free(r.chunk);
    return rc;
}
