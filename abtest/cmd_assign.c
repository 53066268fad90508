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

static void append_unit(struct buffer *out, const struct config *config,
                        struct slice unit)
{
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        const struct assignment assignment = experiment_assign(experiment, unit);
        buffer_append(out, unit.data, unit.len);
        buffer_append_char(out, '\t');
        buffer_append_text(out, experiment->name);
        buffer_append_char(out, '\t');
        buffer_append_text(out, assignment.arm == ARM_NONE
                                    ? "-"
                                    : experiment->arms[assignment.arm].name);
        append_bucket(out, assignment.bucket);
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
static int answer_lines(const struct config *config, struct buffer *in,
                        struct buffer *out)
{
    const char *at = in->data;
    const char *end = in->data + in->len;
    for (const char *newline; (newline = memchr(at, '\n', (size_t)(end - at)));
         at = newline + 1) {
        struct slice unit = {at, (size_t)(newline - at)};
        unit.len -= unit.len && unit.data[unit.len - 1] == '\r';
        append_unit(out, config, unit);
        if (out->len >= CHUNK && flush(out) != 0) {
            return -1;
        }
    }
    in->len = (size_t)(end - at);
    memmove(in->data, at, in->len);
    return 0;
}

static int assign_stream(const struct config *config)
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
        if (answer_lines(config, &in, &out) != 0) {
            goto out;
        }
    }
    if (in.len) {
        append_unit(&out, config, buffer_slice(&in)); /* no newline at the end */
    }
    rc = flush(&out);

out:
    buffer_free(&in);
    buffer_free(&out);
    return rc;
}

static int assign_one(const struct config *config, const char *user)
{
    struct buffer out = {0};
    append_unit(&out, config, slice_of(user));
    const int rc = flush(&out);
    buffer_free(&out);
    return rc;
}

int cmd_assign(int argc, char **argv)
{
    const char *user = NULL;
    const struct option_spec options[] = {
        {"user", OPTION_TEXT, &user, "U", "this user alone", 0, 0},
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
    const char *path = NULL;
    int n_arguments = 0;
    switch (options_parse(&usage, argc, argv, &path, &n_arguments)) {
    case OPTIONS_HELP:
        return finish_output("assign", EXIT_DONE);
    case OPTIONS_BAD:
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    int rc = config_load(path, &config, &problems, &error);
    if (rc != 0) {
        complain("assign", "%s (abtest check %s tells all)", error.message, path);
    } else {
        rc = user ? assign_one(config, user) : assign_stream(config);
    }
    config_problems_free(&problems);
    config_free(config);
    return finish_output("assign", rc == 0 ? EXIT_DONE : EXIT_FAILED);
}
