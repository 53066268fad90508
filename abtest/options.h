/* options.h - one table per command: it parses the arguments and prints the help.
 *
 * Defaults shown by --help are read from the variables that hold them, so they are
 * true.
 */
#ifndef ABTEST_OPTIONS_H
#define ABTEST_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

enum option_type {
    OPTION_FLAG, /* bool *: --name */
    OPTION_TEXT, /* const char **: --name VALUE, borrowed from argv */
    OPTION_LIST, /* const char **, NULL-terminated, room for `max` values: repeatable */
    OPTION_INT,  /* int64_t *: within [min, max] */
    OPTION_NUMBER, /* double *: within [min, max] */
};

struct option_spec {
    const char *name; /* without the dashes; "k" gives -k, longer ones --name */
    enum option_type type;
    void *value;             /* where it goes; holds the default */
    const char *placeholder; /* "FILE", "N"; NULL for flags */
    const char *help;        /* one line */
    double min, max; /* for OPTION_INT, OPTION_NUMBER; max alone for OPTION_LIST */
};

struct command_usage {
    const char *command;   /* "train" */
    const char *arguments; /* "als|bpr --ratings FILE --model OUT" */
    const char *summary;   /* a paragraph */
    const struct option_spec *options;
    int n_options;
    int min_arguments, max_arguments; /* how many non-option arguments */
};

/* What options_parse returns when there is a command to run; else it is an exit status.
 */
#define OPTIONS_RUN (-1)

/* Parses argv[1..]. Options may stand anywhere, as --name VALUE or --name=VALUE; "--"
 * ends them; "-" alone is an argument. `arguments` has room for max_arguments pointers.
 * Returns OPTIONS_RUN, or the exit status of a command that is over: --help was
 * printed, or the mistake was. */
int options_parse(const struct command_usage *usage, int argc, char **argv,
                  const char **arguments, int *n_arguments);

/* Prints "abtest <command>: <message>" to stderr. */
void complain(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Flushes stdout and returns `status`, or EXIT_FAILED with a message when what was
 * printed could not be written (disk full, closed pipe). */
int finish_output(const char *command, int status);

#endif
