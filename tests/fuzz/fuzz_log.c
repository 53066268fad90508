/* fuzz_log.c - hostile log lines and segments: no crash, no leak, bounded memory, and
 * the two parsers of a line agree.
 *
 * The input is a segment. Each of its lines is also given a right checksum, so that the
 * parsers are reached without guessing CRCs. */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "logs/line.h"
#include "logs/logs.h"
#include "logs/parse.h"
#include "logs/parse_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool is_true, const char *what)
{
    if (!is_true) {
        fprintf(stderr, "%s\n", what);
        abort();
    }
}

/* An event encoded again, as the bytes to compare. */
static void encode(struct buffer *to, const struct event *event)
{
    buffer_clear(to);
    line_append(to, event);
    check(!to->failed, "no memory");
}

static void parse_line(struct line_parser *parser, struct line_parser *general,
                       struct slice body)
{
    struct buffer line = {0}, ours = {0}, theirs = {0};
    struct event event, same;
    const char *reason = NULL;
    buffer_append(&line, body.data, body.len);
    line_append_crc(&line, 0);
    line.len--; /* the newline */
    check(line_check_crc(buffer_slice(&line)) == NULL, "own checksum does not match");
    if (line_parse(parser, buffer_slice(&line), &event, &reason) == PARSE_DONE) {
        encode(&ours, &event);
        /* What was parsed and written again is one of our own lines, and reads back. */
        check(line_parse_general(general, (struct slice){ours.data, ours.len - 1},
                                 &same, &reason) == PARSE_DONE,
              "the general parser refuses one of our own lines");
        encode(&theirs, &same);
        check(slice_equal(buffer_slice(&ours), buffer_slice(&theirs)),
              "the parsers differ");
    }
    buffer_free(&theirs);
    buffer_free(&ours);
    buffer_free(&line);
}

static int ignore_event(void *context, const struct event *event)
{
    (void)context;
    check(event->place && event->place->text.len <= LOG_LINE_MAX, "place is wrong");
    return 0;
}

static void read_segment(const uint8_t *data, size_t size, const char *suffix)
{
    char path[64];
    struct error error = {0};
    const struct log_visitor visitor = {.on_event = ignore_event};
    snprintf(path, sizeof path, "/tmp/fuzz-log-%ld%s", (long)getpid(), suffix);
    FILE *file = fopen(path, "wb");
    check(file && fwrite(data, 1, size, file) == size && fclose(file) == 0,
          "cannot write");
    check(log_read(path, &visitor, NULL, &error) == 0, error.message);
    unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct line_parser *parser = line_parser_new(), *general = line_parser_new();
    const char *at = (const char *)data, *end = at + size;
    check(parser && general, "no memory");
    while (at < end) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        const char *stop = newline ? newline : end;
        if (stop > at) {
            parse_line(parser, general, (struct slice){at, (size_t)(stop - at)});
        }
        at = stop + 1;
    }
    line_parser_free(general);
    line_parser_free(parser);
    read_segment(data, size, ".jsonl");
    read_segment(data, size, ".jsonl.zst");
    return 0;
}
