/* cmd_logs.c - abtest logs: looks after a log directory. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/json_text.h"
#include "logs/logs.h"

#define COMMAND "logs"

static int print_line(void *context, const struct event *event)
{
    const struct slice line = event->place->text;
    (void)context;
    /* A closed pipe ends the reading; finish_output says so. */
    return fwrite(line.data, 1, line.len, stdout) == line.len && putchar('\n') != EOF
               ? 0
               : -1;
}

static int complain_of_damage(void *context, const struct log_damage *damage)
{
    (void)context;
    complain(COMMAND, "%s: damaged at byte %" PRId64 " (%" PRId64 " bytes): %s",
             damage->file, damage->offset, damage->size, damage->reason);
    return 0;
}

static int complain_of_tail(void *context, const struct log_segment *segment)
{
    (void)context;
    if (segment->torn_bytes) {
        complain(COMMAND,
                 "%s: a torn last line of %" PRId64 " bytes at byte %" PRId64
                 ", as a crash leaves it",
                 segment->file, segment->torn_bytes,
                 segment->n_bytes - segment->torn_bytes);
    }
    return 0;
}

static int status_of(const struct log_statistics *statistics)
{
    return statistics->n_damaged ? EXIT_DO_NOT_TRUST : EXIT_DONE;
}

static int cat(const char *path)
{
    struct error error = {0};
    struct log_statistics statistics = {0};
    const struct log_visitor visitor = {.on_event = print_line,
                                        .on_damage = complain_of_damage,
                                        .on_segment = complain_of_tail};
    if (log_read(path, &visitor, &statistics, &error) != 0) {
        if (error.code) {
            complain(COMMAND, "%s", error.message);
        }
        return finish_output(COMMAND, EXIT_FAILED);
    }
    return finish_output(COMMAND, status_of(&statistics));
}

/* Under --json the damages are collected while the segments are printed. */
struct verification {
    bool is_json;
    struct buffer segments;
    struct buffer damages;
};

static int verify_damage(void *context, const struct log_damage *damage)
{
    struct verification *v = context;
    if (!v->is_json) {
        printf("damage: %s: byte %" PRId64 ", %" PRId64 " bytes: %s\n", damage->file,
               damage->offset, damage->size, damage->reason);
        return 0;
    }
    buffer_append_text(&v->damages, v->damages.len ? ",{\"file\":" : "{\"file\":");
    json_append_string(&v->damages, slice_of(damage->file));
    buffer_printf(&v->damages,
                  ",\"offset\":%" PRId64 ",\"size\":%" PRId64 ",\"reason\":",
                  damage->offset, damage->size);
    json_append_string(&v->damages, slice_of(damage->reason));
    buffer_append_char(&v->damages, '}');
    return 0;
}

static int verify_segment(void *context, const struct log_segment *segment)
{
    struct verification *v = context;
    if (!v->is_json) {
        printf("%s: %" PRId64 " events, %" PRId64 " bytes", segment->file,
               segment->n_events, segment->n_bytes);
        if (segment->n_damaged) {
            printf(", %" PRId64 " damaged", segment->n_damaged);
        }
        if (segment->torn_bytes) {
            printf(", torn last line of %" PRId64 " bytes at byte %" PRId64,
                   segment->torn_bytes, segment->n_bytes - segment->torn_bytes);
        }
        putchar('\n');
        return 0;
    }
    buffer_append_text(&v->segments, v->segments.len ? ",{\"file\":" : "{\"file\":");
    json_append_string(&v->segments, slice_of(segment->file));
    buffer_printf(&v->segments,
                  ",\"events\":%" PRId64 ",\"bytes\":%" PRId64 ",\"damaged\":%" PRId64
                  ",\"torn_bytes\":%" PRId64 "}",
                  segment->n_events, segment->n_bytes, segment->n_damaged,
                  segment->torn_bytes);
    return 0;
}

static void print_json(const struct verification *v, const struct log_statistics *s)
{
    printf("{\"segments\":[");
    fwrite(v->segments.data ? v->segments.data : "", 1, v->segments.len, stdout);
    printf("],\"damages\":[");
    fwrite(v->damages.data ? v->damages.data : "", 1, v->damages.len, stdout);
    printf("],\"events\":%" PRId64 ",\"bytes\":%" PRId64 ",\"damaged\":%" PRId64
           ",\"torn_tails\":%" PRId64 "}\n",
           s->n_events, s->n_bytes, s->n_damaged, s->n_torn_tails);
}

static int verify(const char *path, bool is_json)
{
    struct verification v = {.is_json = is_json};
    struct error error = {0};
    struct log_statistics s = {0};
    int status = EXIT_FAILED;
    const struct log_visitor visitor = {
        .on_damage = verify_damage, .on_segment = verify_segment, .context = &v};
    if (log_read(path, &visitor, &s, &error) != 0) {
        complain(COMMAND, "%s", error.message);
    } else if (v.segments.failed || v.damages.failed) {
        complain(COMMAND, "no memory for the report");
    } else {
        status = status_of(&s);
        if (is_json) {
            print_json(&v, &s);
        } else {
            printf("%" PRId64 " segments, %" PRId64 " events, %" PRId64
                   " bytes, %" PRId64 " damaged, %" PRId64 " torn tails: %s\n",
                   s.n_segments, s.n_events, s.n_bytes, s.n_damaged, s.n_torn_tails,
                   status == EXIT_DONE ? "sound" : "do not trust");
        }
    }
    buffer_free(&v.damages);
    buffer_free(&v.segments);
    return finish_output(COMMAND, status);
}

static void complain_message(void *context, const char *message)
{
    (void)context;
    complain(COMMAND, "%s", message);
}

static int compact(const char *path, bool is_json)
{
    struct error error = {0};
    int64_t n = 0;
    if (log_compact(path, complain_message, NULL, &n, &error) != 0) {
        complain(COMMAND, "%s", error.message);
        return EXIT_FAILED;
    }
    printf(is_json ? "{\"compressed\":%" PRId64 "}\n"
                   : "%" PRId64 " segments compressed\n",
           n);
    return finish_output(COMMAND, EXIT_DONE);
}

static int ship(const char *path, const char *to, const char *cursor)
{
    struct error error = {0};
    struct ship_result result = {0};
    char own[4096];
    snprintf(own, sizeof own, "%s/shipped", path);
    const struct ship_options options = {
        .directory = path,
        .to = to,
        .fd = STDOUT_FILENO,
        .cursor = cursor ? cursor : own,
        .damage = {.on_damage = complain_of_damage},
    };
    if (log_ship(&options, &result, &error) != 0) {
        complain(COMMAND, "%s", error.message);
        return EXIT_FAILED;
    }
    complain(COMMAND,
             "%" PRId64 " segments, %" PRId64 " events, %" PRId64 " bytes sent",
             result.n_segments, result.n_events, result.n_bytes);
    return result.n_damaged ? EXIT_DO_NOT_TRUST : EXIT_DONE;
}

static int run(const char *verb, const char *path, bool is_json, const char *to,
               const char *cursor)
{
    if (strcmp(verb, "cat") == 0) {
        return cat(path);
    }
    if (strcmp(verb, "verify") == 0) {
        return verify(path, is_json);
    }
    if (strcmp(verb, "compact") == 0) {
        return compact(path, is_json);
    }
    if (strcmp(verb, "ship") == 0) {
        return ship(path, to, cursor);
    }
    complain(COMMAND, "\"%s\" is none of cat, verify, compact, ship", verb);
    return EXIT_USAGE;
}

int cmd_logs(int argc, char **argv)
{
    bool is_json = false;
    const char *to = "-", *cursor = NULL;
    const struct option_spec options[] = {
        {.name = "to",
         .type = OPTION_TEXT,
         .value = &to,
         .placeholder = "STREAM",
         .help = "ship: -, tcp://HOST:PORT or unix:PATH"},
        {.name = "cursor",
         .type = OPTION_TEXT,
         .value = &cursor,
         .placeholder = "FILE",
         .help = "ship: remembers what was delivered; LOGS/shipped unless given"},
        {.name = "json",
         .type = OPTION_FLAG,
         .value = &is_json,
         .help = "verify, compact: answer as one JSON object"},
    };
    const struct command_usage usage = {
        .command = COMMAND,
        .arguments = "cat|verify|compact|ship LOGS",
        .summary =
            "Looks after the log directory LOGS (cat and verify also take one "
            "segment).\n"
            "  cat      prints the events as JSON lines, in order of segment\n"
            "  verify   holds every line against its checksum; says where the damage "
            "is\n"
            "  compact  compresses the closed segments of a server that is not "
            "running\n"
            "Exit status 3 when there is damage; a torn last line is none, a crash "
            "leaves it.",
        .options = options,
        .n_options = (int)(sizeof options / sizeof options[0]),
        .min_arguments = 2,
        .max_arguments = 2,
    };
    const char *arguments[2];
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, arguments, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    return run(arguments[0], arguments[1], is_json, to, cursor);
}
