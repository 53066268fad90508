#include "logs/scan.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "logs/line.h"
#include "logs/parse.h"
#include "logs/source.h"

#define CHUNK_SIZE ((size_t)256 << 10) /* stays in the second-level cache */

static const char too_long[] = "line is longer than the limit of 4 MiB";

struct scanner {
    struct line_parser *parser;
    bool is_checked; /* the lines' checksums need not be looked at */
    char *chunk;     /* holds the bytes from chunk_offset on that are not visited yet */
    size_t chunk_len, chunk_capacity;
    int64_t chunk_offset;

    /* of the range that is read */
    const struct scan_range *range;
    const struct log_visitor *visitor;
    struct log_segment found;
    struct event_place place;
    int64_t n_lines;
    bool is_aligning; /* the newline before the first line is still to come */
    bool is_skipping; /* inside a line that is too long */
    bool is_past_end;
    int64_t skipping_from;
    struct error *error;
};

struct scanner *scanner_new(unsigned skip)
{
    struct scanner *s = calloc(1, sizeof *s);
    if (s) {
        s->parser = line_parser_new();
        if (!s->parser) {
            free(s);
            return NULL;
        }
        line_parser_skip(s->parser, skip);
        s->is_checked = (skip & LOG_SKIP_CHECKSUMS) != 0;
    }
    return s;
}

void scanner_free(struct scanner *scanner)
{
    if (scanner) {
        line_parser_free(scanner->parser);
        free(scanner->chunk);
        free(scanner);
    }
}

static int visit_damage(struct scanner *s, int64_t offset, int64_t size,
                        const char *reason)
{
    s->found.n_damaged++;
    if (s->visitor->on_damage) {
        const struct log_damage damage = {s->range->file, offset, size, reason};
        return s->visitor->on_damage(s->visitor->context, &damage);
    }
    return 0;
}

static int visit_line(struct scanner *s, struct slice line, int64_t offset)
{
    struct event event;
    s->n_lines++;
    const char *reason = line.len > LOG_LINE_MAX ? too_long
                         : s->is_checked         ? NULL
                                                 : line_check_crc(line);
    if (!reason) {
        const enum parse_result result = line_parse(s->parser, line, &event, &reason);
        if (result == PARSE_NOMEM) {
            error_set(s->error, ERROR_NOMEM, "%s: no memory for the line at byte %lld",
                      s->range->file, (long long)offset);
            return -1;
        }
        if (result == PARSE_DONE) {
            reason = NULL;
        }
    }
    if (reason) {
        return visit_damage(s, offset, (int64_t)line.len + 1, reason);
    }
    s->found.n_events++;
    if (!s->visitor->on_event) {
        return 0;
    }
    s->place.offset = offset;
    s->place.line = s->range->start == 0 ? s->n_lines : 0;
    s->place.text = line;
    event.place = &s->place;
    return s->visitor->on_event(s->visitor->context, &event);
}

/* Drops the first `n` bytes of the chunk. */
static void drop(struct scanner *s, size_t n)
{
    memmove(s->chunk, s->chunk + n, s->chunk_len - n);
    s->chunk_len -= n;
    s->chunk_offset += (int64_t)n;
}

/* Ends a line that was too long, whose newline is at chunk[newline]. */
static int end_skipping(struct scanner *s, size_t newline)
{
    const int64_t end = s->chunk_offset + (int64_t)newline + 1;
    s->is_skipping = false;
    s->n_lines++;
    return visit_damage(s, s->skipping_from, end - s->skipping_from, too_long);
}

/* The line chunk[start, newline). */
static int visit_next(struct scanner *s, size_t start, size_t newline)
{
    if (s->is_aligning) {
        s->is_aligning = false;
        return 0;
    }
    if (s->is_skipping) {
        return end_skipping(s, newline);
    }
    return visit_line(s, (struct slice){s->chunk + start, newline - start},
                      s->chunk_offset + (int64_t)start);
}

/* Visits every whole line of the chunk and keeps what is behind the last newline. */
static int visit_lines(struct scanner *s)
{
    size_t start = 0;
    while (start < s->chunk_len) {
        const bool is_inside_line = s->is_aligning || s->is_skipping;
        if (!is_inside_line && s->chunk_offset + (int64_t)start >= s->range->end) {
            s->is_past_end = true;
            return 0;
        }
        const char *newline = memchr(s->chunk + start, '\n', s->chunk_len - start);
        if (!newline) {
            break;
        }
        const size_t end = (size_t)(newline - s->chunk);
        if (visit_next(s, start, end) != 0) {
            return -1;
        }
        start = end + 1;
    }
    drop(s, start);
    if (s->is_skipping || s->is_aligning) {
        drop(s, s->chunk_len);
        /* One line covers the whole range: nobody has to look for its end here. */
        s->is_past_end = s->is_aligning && s->chunk_offset >= s->range->end;
    } else if (s->chunk_len > LOG_LINE_MAX) {
        s->is_skipping = true;
        s->skipping_from = s->chunk_offset;
        drop(s, s->chunk_len);
    }
    return 0;
}

/* Makes room behind the unfinished line; it is at most LOG_LINE_MAX long here. */
static int make_room(struct scanner *s)
{
    if (s->chunk_capacity - s->chunk_len >= CHUNK_SIZE / 2) {
        return 0;
    }
    const size_t capacity = s->chunk_capacity ? 2 * s->chunk_capacity : CHUNK_SIZE;
    char *chunk = realloc(s->chunk, capacity);
    if (!chunk) {
        error_set(s->error, ERROR_NOMEM, "%s: no memory for a long line",
                  s->range->file);
        return -1;
    }
    s->chunk = chunk;
    s->chunk_capacity = capacity;
    return 0;
}

/* Bytes are lost: the line that is cut by it goes with them. How many is what the
 * header of a damaged frame claims: a number that leads past the end of any file is not
 * believed. */
static int visit_gap(struct scanner *s, size_t lost)
{
    const int64_t from = s->is_skipping ? s->skipping_from : s->chunk_offset;
    const int64_t here = s->chunk_offset + (int64_t)s->chunk_len;
    const int64_t end =
        lost < (size_t)(INT64_MAX / 2 - here) ? here + (int64_t)lost : here;
    s->is_skipping = false;
    s->chunk_len = 0;
    s->chunk_offset = end;
    return visit_damage(s, from, end - from, "compressed frame does not decompress");
}

static void end_range(struct scanner *s)
{
    const int64_t end = s->chunk_offset + (int64_t)s->chunk_len;
    const int64_t from = s->is_skipping ? s->skipping_from : s->chunk_offset;
    const int64_t stop = end < s->range->end ? end : s->range->end;
    s->found.n_bytes = stop > s->range->start ? stop - s->range->start : 0;
    /* A last line that another range began belongs to that one. */
    if (!s->is_past_end && !s->is_aligning && from < s->range->end) {
        s->found.torn_bytes = end - from;
    }
}

static int scan_source(struct scanner *s, struct source *source)
{
    while (!s->is_past_end) {
        size_t len = 0;
        if (make_room(s) != 0) {
            return -1;
        }
        switch (source_read(source, s->chunk + s->chunk_len,
                            s->chunk_capacity - s->chunk_len, &len, s->error)) {
        case SOURCE_BYTES:
            s->chunk_len += len;
            if (visit_lines(s) != 0) {
                return -1;
            }
            break;
        case SOURCE_GAP:
            if (visit_gap(s, len) != 0) {
                return -1;
            }
            break;
        case SOURCE_END:
            end_range(s);
            return 0;
        case SOURCE_FAILED:
            return -1;
        }
    }
    end_range(s);
    return 0;
}

int scan(struct scanner *scanner, const struct scan_range *range,
         const struct log_visitor *visitor, struct log_segment *found,
         struct error *error)
{
    struct source *source = NULL;
    struct scanner *s = scanner;
    int rc = -1;
    s->range = range;
    s->visitor = visitor;
    s->found = (struct log_segment){.file = range->file};
    s->place = (struct event_place){.file = range->file, .segment = range->segment};
    s->chunk_len = 0;
    /* A line begins at `start` if a newline stands before it. */
    s->chunk_offset = range->start > 0 ? range->start - 1 : 0;
    s->is_aligning = range->start > 0;
    s->n_lines = 0;
    s->is_skipping = false;
    s->is_past_end = false;
    s->error = error;
    if (source_open(range->file, &source, error) != 0) {
        return -1;
    }
    if (s->chunk_offset == 0 || source_skip(source, s->chunk_offset, error) == 0) {
        rc = scan_source(s, source);
    }
    source_close(source);
    if (rc == 0) {
        *found = s->found;
    }
    return rc;
}
