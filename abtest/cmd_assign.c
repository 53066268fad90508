/* cmd_assign.c - arms of units, without a server. Streaming is the hot path: lines are
 * taken straight from the read buffer and answers appended to the write buffer. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "experiment/experiment.h"

#define CHUNK ((size_t)1 << 16)

/* "\t0.1234": a bucket is a whole number of ten-thousandths. */
static void append_bucket(struct buffer *out, double bucket)
{
    char *to = buffer_reserve(out, 7);
    if (!to) {
        return;
    }
    unsigned rest = (unsigned)(bucket * 10000 + 0.5);
    to[0] = '\t';
    to[1] = '0';
    to[2] = '.';
    for (int i = 6; i >= 3; i--) {
        to[i] = (char)('0' + rest % 10);
        rest /= 10;
    }
    out->len += 7;
}

struct job {
    const struct config *config;
    struct attribute_value attributes[CONFIG_MAX_ATTRIBUTES];
    struct assignment *assignments; /* (n_experiments) workspace */
    int64_t now_us;
    bool with_reason;
};

static void append_unit(struct buffer *out, const struct job *job, struct slice unit)
{
    const struct assignment_request request = {unit, job->now_us, job->attributes};
    config_assign(job->config, &request, job->assignments);
    for (int i = 0; i < job->config->n_experiments; i++) {
        const struct experiment *experiment = &job->config->experiments[i];
        const struct assignment *assignment = &job->assignments[i];
        buffer_append(out, unit.data, unit.len);
        buffer_append_char(out, '\t');
        buffer_append_text(out, experiment->name);
        buffer_append_char(out, '\t');
        buffer_append_text(out, assignment->arm == ARM_NONE
                                    ? "-"
                                    : experiment->arms[assignment->arm].name);
        append_bucket(out, assignment->bucket);
        if (job->with_reason) {
            buffer_append_char(out, '\t');
            buffer_append_text(out, assignment_reason_name(assignment->reason));
        }
        buffer_append_char(out, '\n');
    }
}

static int flush(struct buffer *out)
{
    if (out->failed) {
        complain("assign", "no memory for the answer");
        return -1;
    }
    const size_t written = fwrite(out->data, 1, out->len, stdout);
    const bool is_written = written == out->len;
    buffer_clear(out);
    return is_written ? 0 : -1; /* finish_output tells why */
}

/* Answers every whole line of `in` and keeps the rest at its beginning. */
static int answer_lines(const struct job *job, struct buffer *in, struct buffer *out)
{
    const char *at = in->data;
    const char *end = in->data + in->len;
    for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at)));
         at = newline + 1) {
        struct slice unit = {at, (size_t)(newline - at)};
        unit.len -= unit.len && unit.data[unit.len - 1] == '\r';
        append_unit(out, job, unit);
        if (out->len >= CHUNK && flush(out) != 0) {
            return -1;
        }
    }
    in->len = (size_t)(end - at);
    memmove(in->data, at, in->len);
    return 0;
}

static int assign_stream(const struct job *job)
{
    int rc = -1;
    struct buffer in = {0}, out = {0};
    for (;;) {
        char *to = buffer_reserve(&in, CHUNK);
        if (!to) {
            complain("assign", "no memory for a line of %zu bytes", in.len);
            goto out;
        }
        const ssize_t got = read(STDIN_FILENO, to, CHUNK);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            complain("assign", "cannot read standard input: %s", strerror(errno));
            goto out;
        }
        if (got == 0) {
            break;
        }
        in.len += (size_t)got;
        if (answer_lines(job, &in, &out) != 0) {
            goto out;
        }
    }
    if (in.len) {
        append_unit(&out, job, buffer_slice(&in)); /* no newline at the end */
    }
    rc = flush(&out);

out:
    buffer_free(&in);
    buffer_free(&out);
    return rc;
}

static int assign_one(const struct job *job, const char *user)
{
    struct buffer out = {0};
    append_unit(&out, job, slice_of(user));
    const int rc = flush(&out);
    buffer_free(&out);
    return rc;
}

/* "NAME=VALUE" of one --attribute. */
static int take_attribute(struct job *job, const char *text)
{
    const char *equals = strchr(text, '=');
    const struct slice name = {text, equals ? (size_t)(equals - text) : strlen(text)};
    const int index = config_find_attribute(job->config, name);
    if (!equals || index < 0) {
        complain("assign", "--attribute %s: %s", text,
                 equals ? "the config does not declare it (add it to [attributes])"
                        : "write NAME=VALUE");
        return -1;
    }
    const enum attribute_type type = job->config->attributes[index].type;
    if (!attribute_read(type, slice_of(equals + 1), &job->attributes[index])) {
        complain("assign", "--attribute %s is not a %s, which the config declares",
                 text, attribute_type_name(type));
        return -1;
    }
    return 0;
}

#define MAX_ATTRIBUTES 64

struct arguments {
    const char *path;
    const char *user;
    const char *at;
    const char *attributes[MAX_ATTRIBUTES + 1];
    bool with_reason;
};

static int assign(const struct arguments *arguments)
{
    int rc = -1;
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    struct job job = {.now_us = clock_wall_us(), .with_reason = arguments->with_reason};
    if (config_load(arguments->path, &config, &problems, &error) != 0) {
        complain("assign", "%s (abtest check %s tells all)", error.message,
                 arguments->path);
        goto out;
    }
    job.config = config;
    if (arguments->at && !config_read_time(arguments->at, &job.now_us)) {
        complain("assign", "--at %s is not a time (write it like 2026-03-01T08:00:00Z)",
                 arguments->at);
        goto out;
    }
    for (int i = 0; arguments->attributes[i]; i++) {
        if (take_attribute(&job, arguments->attributes[i]) != 0) {
            goto out;
        }
    }
    job.assignments =
        calloc((size_t)config->n_experiments + 1, sizeof *job.assignments);
    if (!job.assignments) {
        complain("assign", "no memory for %d assignments", config->n_experiments);
        goto out;
    }
    rc = arguments->user ? assign_one(&job, arguments->user) : assign_stream(&job);

out:
    free(job.assignments);
    config_problems_free(&problems);
    config_free(config);
    return rc;
}

int cmd_assign(int argc, char **argv)
{
    struct arguments arguments = {0};
    const struct option_spec options[] = {
        {"user", OPTION_TEXT, &arguments.user, "U", "this user alone", 0, 0},
        {"attribute", OPTION_LIST, arguments.attributes, "NAME=VALUE",
         "what is known of every user, for audiences", 0, MAX_ATTRIBUTES},
        {"at", OPTION_TEXT, &arguments.at, "TIME",
         "as at this time, for start and end; now when absent", 0, 0},
        {"reason", OPTION_FLAG, &arguments.with_reason, NULL,
         "add a column that says why", 0, 0},
    };
    const struct command_usage usage = {
        .command = "assign",
        .arguments = "CONFIG [--user U]",
        .summary = "Prints user, experiment, arm and bucket, parted by tabs, for one "
                   "user or for each line\nof standard input; \"-\" stands for no arm.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    switch (options_parse(&usage, argc, argv, &arguments.path, &n_arguments)) {
    case OPTIONS_HELP:
        return finish_output("assign", EXIT_DONE);
    case OPTIONS_BAD:
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    const int rc = assign(&arguments);
    return finish_output("assign", rc == 0 ? EXIT_DONE : EXIT_FAILED);
}
