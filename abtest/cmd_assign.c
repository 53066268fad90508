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

#define CHUNK ((size_t)1 << 17)

struct job {
    const struct config *config;
    struct attribute_value attributes[CONFIG_MAX_ATTRIBUTES];
    struct assignment *assignments; /* (n_experiments) workspace */
    struct buffer label_text;
    /* "\tEXPERIMENT\tARM\t0." of each arm, after that of "-"; those of experiment i
     * begin at first_label[i]. */
    struct slice *labels;
    int *first_label; /* (n_experiments) */
    int64_t now_us;
    bool with_reason;
};

static int make_labels(struct job *job)
{
    const struct config *config = job->config;
    struct buffer *text = &job->label_text;
    int n = 0;
    for (int i = 0; i < config->n_experiments; i++) {
        n += config->experiments[i].n_arms + 1;
    }
    job->labels = calloc((size_t)n + 1, sizeof *job->labels);
    job->first_label =
        calloc((size_t)config->n_experiments + 1, sizeof *job->first_label);
    if (!job->labels || !job->first_label) {
        return -1;
    }
    /* Twice: the text moves while it grows, so slices are cut of it when it is whole.
     */
    for (int pass = 0; pass < 2; pass++) {
        size_t at = 0;
        n = 0;
        for (int i = 0; i < config->n_experiments; i++) {
            const struct experiment *experiment = &config->experiments[i];
            job->first_label[i] = n;
            for (int arm = ARM_NONE; arm < experiment->n_arms; arm++) {
                const char *name = arm == ARM_NONE ? "-" : experiment->arms[arm].name;
                const size_t len = strlen(experiment->name) + strlen(name) + 5;
                if (pass == 0) {
                    buffer_printf(text, "\t%s\t%s\t0.", experiment->name, name);
                } else {
                    job->labels[n] = (struct slice){text->data + at, len};
                }
                at += len;
                n++;
            }
        }
        if (text->failed) {
            return -1;
        }
    }
    return 0;
}

static void free_job(struct job *job)
{
    buffer_free(&job->label_text);
    free(job->labels);
    free(job->first_label);
    free(job->assignments);
}

/* One line: a bucket is a whole number of ten-thousandths. */
static void append_line(struct buffer *out, const struct job *job, struct slice unit,
                        int experiment)
{
    const struct assignment *assignment = &job->assignments[experiment];
    const struct slice label =
        job->labels[job->first_label[experiment] + 1 + assignment->arm];
    const char *reason =
        job->with_reason ? assignment_reason_name(assignment->reason) : NULL;
    const size_t reason_len = reason ? strlen(reason) + 1 : 0;
    const size_t len = unit.len + label.len + 5 + reason_len;
    char *to = buffer_reserve(out, len);
    if (!to) {
        return;
    }
    memcpy(to, unit.len ? unit.data : "", unit.len);
    to += unit.len;
    memcpy(to, label.data, label.len);
    to += label.len;
    const unsigned bucket = (unsigned)(assignment->bucket * 10000 + 0.5);
    to[0] = (char)('0' + bucket / 1000);
    to[1] = (char)('0' + bucket / 100 % 10);
    to[2] = (char)('0' + bucket / 10 % 10);
    to[3] = (char)('0' + bucket % 10);
    if (reason) {
        to[4] = '\t';
        memcpy(to + 5, reason, reason_len - 1);
    }
    to[4 + reason_len] = '\n';
    out->len += len;
}

static void append_unit(struct buffer *out, const struct job *job, struct slice unit)
{
    const struct assignment_request request = {unit, job->now_us, job->attributes};
    config_assign(job->config, &request, job->assignments);
    for (int i = 0; i < job->config->n_experiments; i++) {
        append_line(out, job, unit, i);
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
    if (!job.assignments || make_labels(&job) != 0) {
        complain("assign", "no memory for %d experiments", config->n_experiments);
        goto out;
    }
    rc = arguments->user ? assign_one(&job, arguments->user) : assign_stream(&job);

out:
    free_job(&job);
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
    const int parsed = options_parse(&usage, argc, argv, &arguments.path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    const int rc = assign(&arguments);
    return finish_output("assign", rc == 0 ? EXIT_DONE : EXIT_FAILED);
}
