#include <stdio.h>
#include <stdlib.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/buffer.h"
#include "common/file.h"
#include "trainer/trainer.h"

struct split_options {
    double test_fraction;
    int64_t seed;
    const char *train;
    const char *test;
};

struct part {
    struct buffer lines;
    int64_t n;
};

static void append_line(struct buffer *lines, struct slice line)
{
    buffer_append(lines, line.data, line.len);
    buffer_append_char(lines, '\n');
}

/* Deals the lines of `path` to parts[0] (train) and parts[1] (test). */
static int deal(const char *path, const struct split_options *options,
                struct part parts[2], struct error *error)
{
    struct rating_reader *reader = NULL;
    struct rating_line line;
    int got = 0;
    if (rating_reader_open(path, false, &reader, error) != 0) {
        return -1;
    }
    while ((got = rating_reader_next(reader, &line, error)) > 0) {
        if (parts[0].n + parts[1].n == 0 && rating_reader_header(reader).len) {
            append_line(&parts[0].lines, rating_reader_header(reader));
            append_line(&parts[1].lines, rating_reader_header(reader));
        }
        const bool held_out = split_is_held_out(
            line.user, line.item, (uint64_t)options->seed, options->test_fraction);
        append_line(&parts[held_out].lines, line.text);
        parts[held_out].n++;
    }
    rating_reader_close(reader);
    if (got < 0) {
        return -1;
    }
    if (parts[0].n == 0 || parts[1].n == 0) {
        error_set(error, ERROR_INVALID,
                  "%s: a test fraction of %g leaves %lld lines to train and %lld to "
                  "test; both need some%s",
                  path, options->test_fraction, (long long)parts[0].n,
                  (long long)parts[1].n, parts[0].n ? SPLIT_HINT : "");
        return -1;
    }
    if (parts[0].lines.failed || parts[1].lines.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory to split it", path);
        return -1;
    }
    return 0;
}

static int split_file(const char *path, const struct split_options *options)
{
    struct part parts[2] = {{{0}, 0}, {{0}, 0}};
    struct error error = {0};
    int status = EXIT_FAILED;
    if (deal(path, options, parts, &error) != 0 ||
        file_replace(options->train, buffer_slice(&parts[0].lines), &error) != 0 ||
        file_replace(options->test, buffer_slice(&parts[1].lines), &error) != 0) {
        complain("split", "%s", error.message);
    } else {
        printf("%s: %lld ratings\n%s: %lld ratings\n", options->train,
               (long long)parts[0].n, options->test, (long long)parts[1].n);
        status = EXIT_DONE;
    }
    buffer_free(&parts[0].lines);
    buffer_free(&parts[1].lines);
    return status;
}

int cmd_split(int argc, char **argv)
{
    struct split_options split = {.test_fraction = 0.1, .seed = 1};
    const struct option_spec options[] = {
        {"test-fraction", OPTION_NUMBER, &split.test_fraction, "F",
         "share of the ratings to hold out", 0, 1},
        {"seed", OPTION_INT, &split.seed, "N", "which ones; same seed, same lines", 0,
         9e18},
        {"train", OPTION_TEXT, &split.train, "FILE", "where the rest goes (needed)", 0,
         0},
        {"test", OPTION_TEXT, &split.test, "FILE",
         "where the held-out lines go (needed)", 0, 0},
    };
    const struct command_usage usage = {
        .command = "split",
        .arguments = "RATINGS --train FILE --test FILE [options]",
        .summary =
            "Splits a ratings file in two, line by line as they stand, header and "
            "timestamps\nincluded. What is held out depends on seed, user and item "
            "only: not on the order of the\nlines. abtest train --test-fraction with "
            "the same seed holds out the same ratings.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    const char *path = NULL;
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    if (!split.train || !split.test) {
        complain("split", "--train FILE and --test FILE say where the parts go");
        return EXIT_USAGE;
    }
    return finish_output("split", split_file(path, &split));
}
