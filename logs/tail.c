#include "logs/tail.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "logs/line.h"
#include "logs/parse.h"
#include "logs/reader.h"
#include "logs/segment_name.h"

#define CHUNK_SIZE ((size_t)LOG_LINE_MAX + 1) /* a whole line always fits */

/* A segment that is being followed. Its file stays open, so that its last lines can be
 * read even after it was compressed and its name is gone. */
struct followed {
    char *path;
    int fd;
    int64_t offset; /* of the first byte that was not looked at */
    bool is_listed; /* in the directory at this look */
};

struct log_tail {
    char *directory;
    int64_t back_bytes, max_bytes;
    bool has_looked; /* segments that appear later are read from their start */
    struct followed *segments;
    size_t n_segments;
    struct line_parser *parser;
    char *chunk; /* (CHUNK_SIZE) */
};

int log_tail_open(const char *directory, int64_t back_bytes, int64_t max_bytes,
                  struct log_tail **result, struct error *error)
{
    struct log_tail *tail = calloc(1, sizeof *tail);
    if (tail) {
        tail->directory = strdup(directory);
        tail->back_bytes = back_bytes;
        tail->max_bytes = max_bytes;
        tail->parser = line_parser_new();
        tail->chunk = malloc(CHUNK_SIZE);
    }
    if (!tail || !tail->directory || !tail->parser || !tail->chunk) {
        log_tail_free(tail);
        error_set(error, ERROR_NOMEM, "%s: no memory to follow the log", directory);
        return -1;
    }
    *result = tail;
    return 0;
}

static void close_followed(struct followed *segment)
{
    close(segment->fd);
    free(segment->path);
}

void log_tail_free(struct log_tail *tail)
{
    if (!tail) {
        return;
    }
    for (size_t i = 0; i < tail->n_segments; i++) {
        close_followed(&tail->segments[i]);
    }
    free(tail->segments);
    line_parser_free(tail->parser);
    free(tail->chunk);
    free(tail->directory);
    free(tail);
}

/* Moves to the first line that begins in the last back_bytes. */
static void skip_to_end(struct log_tail *tail, struct followed *segment, int64_t size)
{
    const int64_t from = size - tail->back_bytes;
    if (from <= 0) {
        return;
    }
    segment->offset = from;
    const ssize_t n = pread(segment->fd, tail->chunk, CHUNK_SIZE, from - 1);
    const char *newline = n > 0 ? memchr(tail->chunk, '\n', (size_t)n) : NULL;
    if (newline) {
        segment->offset = from + (newline - tail->chunk);
    }
}

static int follow(struct log_tail *tail, const char *path, struct error *error)
{
    struct followed *grown =
        realloc(tail->segments, (tail->n_segments + 1) * sizeof *grown);
    if (!grown) {
        error_set(error, ERROR_NOMEM, "%s: no memory to follow the log", path);
        return -1;
    }
    tail->segments = grown;
    struct followed *segment = &grown[tail->n_segments];
    *segment = (struct followed){.path = strdup(path), .is_listed = true};
    segment->fd = segment->path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (segment->fd < 0) {
        free(segment->path);
        return 0; /* compressed or removed since it was listed */
    }
    struct stat status;
    if (!tail->has_looked && fstat(segment->fd, &status) == 0) {
        skip_to_end(tail, segment, status.st_size);
    }
    tail->n_segments++;
    return 0;
}

static int look_for_segments(struct log_tail *tail, struct error *error)
{
    struct segment_list list = {0};
    struct error ignored = {0};
    if (segment_list_read(tail->directory, &list, &ignored) != 0) {
        segment_list_free(&list);
        if (ignored.code == ERROR_NOT_FOUND) {
            return 0;
        }
        error_set(error, ignored.code, "%s", ignored.message);
        return -1;
    }
    int rc = 0;
    for (size_t j = 0; j < tail->n_segments; j++) {
        tail->segments[j].is_listed = false;
    }
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        size_t j = 0;
        while (j < tail->n_segments &&
               strcmp(tail->segments[j].path, list.items[i].path) != 0) {
            j++;
        }
        if (j < tail->n_segments) {
            tail->segments[j].is_listed = list.items[i].is_plain;
        } else if (list.items[i].is_plain) {
            rc = follow(tail, list.items[i].path, error);
        }
    }
    segment_list_free(&list);
    tail->has_looked = tail->has_looked || rc == 0;
    return rc;
}

/* Delivers the whole lines among `len` bytes; returns how many bytes they are. */
static size_t deliver(struct log_tail *tail, size_t len,
                      void (*on_event)(void *context, const struct event *event),
                      void *context)
{
    size_t at = 0;
    const char *newline = NULL;
    while (at < len && (newline = memchr(tail->chunk + at, '\n', len - at))) {
        const struct slice line = {tail->chunk + at,
                                   (size_t)(newline - tail->chunk) - at};
        struct event event;
        const char *reason = NULL;
        if (!line_check_crc(line) &&
            line_parse(tail->parser, line, &event, &reason) == PARSE_DONE) {
            on_event(context, &event);
        }
        at += line.len + 1;
    }
    return at;
}

static int read_segment(struct log_tail *tail, struct followed *segment,
                        void (*on_event)(void *context, const struct event *event),
                        void *context, struct error *error)
{
    struct stat status;
    if (fstat(segment->fd, &status) == 0 &&
        status.st_size - segment->offset > tail->max_bytes) {
        skip_to_end(tail, segment, status.st_size);
    }
    for (;;) {
        const ssize_t n = pread(segment->fd, tail->chunk, CHUNK_SIZE, segment->offset);
        if (n < 0) {
            error_set(error, ERROR_IO, "%s: cannot read: %s", segment->path,
                      strerror(errno));
            return -1;
        }
        size_t used = deliver(tail, (size_t)n, on_event, context);
        if (used == 0 && (size_t)n == CHUNK_SIZE) {
            used = CHUNK_SIZE; /* no newline in all that: not a line of ours */
        }
        if (used == 0) {
            return 0; /* the end, or a line that is being written */
        }
        segment->offset += (int64_t)used;
    }
}

int log_tail_read(struct log_tail *tail,
                  void (*on_event)(void *context, const struct event *event),
                  void *context, struct error *error)
{
    if (look_for_segments(tail, error) != 0) {
        return -1;
    }
    size_t kept = 0;
    int rc = 0;
    for (size_t i = 0; i < tail->n_segments; i++) {
        struct followed *segment = &tail->segments[i];
        if (rc == 0) {
            rc = read_segment(tail, segment, on_event, context, error);
        }
        if (segment->is_listed) {
            tail->segments[kept++] = *segment;
        } else {
            close_followed(segment);
        }
    }
    tail->n_segments = kept;
    return rc;
}
