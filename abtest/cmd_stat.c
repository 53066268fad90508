#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/stat_problem.h"
#include "common/buffer.h"

static bool is_blank(const char *text, size_t len)
{
    return strspn(text, " \t\r\n") >= len;
}

static int answer_all(void)
{
    char *text = NULL;
    size_t capacity = 0;
    ssize_t len = 0;
    int status = EXIT_DONE;
    struct buffer line = {0};

    while ((len = getline(&text, &capacity, stdin)) >= 0) {
        if (is_blank(text, (size_t)len)) {
            continue;
        }
        buffer_clear(&line);
        if (stat_answer_line(text, (size_t)len, &line) != 0) {
            status = EXIT_FAILED;
        }
        if (line.failed) {
            complain("stat", "out of memory");
            status = EXIT_FAILED;
            break;
        }
        fwrite(line.data, 1, line.len, stdout);
        fflush(stdout); /* a program may wait for this answer before it asks on */
    }
    if (ferror(stdin)) {
        complain("stat", "cannot read standard input: %s", strerror(errno));
        status = EXIT_FAILED;
    }
    buffer_free(&line);
    free(text);
    return status;
}

int cmd_stat(int argc, char **argv)
{
    const struct command_usage usage = {
        .command = "stat",
        .arguments = "< PROBLEMS > ANSWERS",
        .summary =
            "Every statistic of abtest as a calculator: one JSON problem a line on "
            "standard input,\none JSON answer a line on standard output, in the same "
            "order. A problem that cannot\nbe solved is answered {\"error\": ...} and "
            "makes the exit status 1. docs/stat.md has\nan example of every "
            "problem:\n\n"
            "  echo '{\"test\":\"proportions\",\"control\":[132,294],"
            "\"treatment\":[226,316]}' | abtest stat",
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, NULL, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    return finish_output("stat", answer_all());
}
