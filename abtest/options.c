#include "abtest/options.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"

void complain(const char *command, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "abtest %s: ", command);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}

int finish_output(const char *command, int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        complain(command, "cannot write to standard output: %s", strerror(errno));
        return EXIT_FAILED;
    }
    return status;
}

static void print_default(const struct option_spec *spec)
{
    switch (spec->type) {
    case OPTION_TEXT:
        if (*(const char **)spec->value) {
            printf(" (default %s)", *(const char **)spec->value);
        }
        break;
    case OPTION_INT:
        printf(" (default %lld)", (long long)*(int64_t *)spec->value);
        break;
    case OPTION_NUMBER:
        if (!isnan(*(double *)spec->value)) {
            printf(" (default %g)", *(double *)spec->value);
        }
        break;
    case OPTION_LIST:
        printf(" (may be repeated)");
        break;
    case OPTION_FLAG:
        break;
    }
}

static void print_help(const struct command_usage *usage)
{
    printf("usage: abtest %s %s\n\n%s\n\noptions:\n", usage->command, usage->arguments,
           usage->summary);
    for (int i = 0; i < usage->n_options; i++) {
        const struct option_spec *spec = &usage->options[i];
        char left[64];
        snprintf(left, sizeof left, "%s%s%s%s", spec->name[1] ? "--" : "-", spec->name,
                 spec->placeholder ? " " : "",
                 spec->placeholder ? spec->placeholder : "");
        printf("  %-26s %s", left, spec->help);
        print_default(spec);
        putchar('\n');
    }
    printf("  %-26s %s\n", "-h, --help", "print this and exit");
}

static int store_number(const struct option_spec *spec, const char *text)
{
    char *end = NULL;
    errno = 0;
    if (spec->type == OPTION_INT) {
        const long long value = strtoll(text, &end, 10);
        if (end == text || *end || errno || (double)value < spec->min ||
            (double)value > spec->max) {
            return -1;
        }
        *(int64_t *)spec->value = value;
        return 0;
    }
    const double value = strtod(text, &end);
    if (end == text || *end || errno || !(value >= spec->min && value <= spec->max)) {
        return -1;
    }
    *(double *)spec->value = value;
    return 0;
}

static int store_list(const struct option_spec *spec, const char *text)
{
    const char **values = spec->value;
    for (int i = 0; i < (int)spec->max; i++) {
        if (!values[i]) {
            values[i] = text;
            return 0;
        }
    }
    return -1;
}

static int store(const struct command_usage *usage, const struct option_spec *spec,
                 const char *text)
{
    switch (spec->type) {
    case OPTION_TEXT:
        *(const char **)spec->value = text;
        return 0;
    case OPTION_LIST:
        if (store_list(spec, text) != 0) {
            complain(usage->command, "--%s given more than %d times", spec->name,
                     (int)spec->max);
            return -1;
        }
        return 0;
    case OPTION_INT:
    case OPTION_NUMBER:
        if (store_number(spec, text) != 0) {
            complain(usage->command, "%s%s: \"%s\" is not %s between %g and %g",
                     spec->name[1] ? "--" : "-", spec->name, text,
                     spec->type == OPTION_INT ? "a whole number" : "a number",
                     spec->min, spec->max);
            return -1;
        }
        return 0;
    case OPTION_FLAG:
        break;
    }
    return -1;
}

static const struct option_spec *find_option(const struct command_usage *usage,
                                             const char *name, size_t len)
{
    for (int i = 0; i < usage->n_options; i++) {
        const struct option_spec *spec = &usage->options[i];
        if (strlen(spec->name) == len && memcmp(spec->name, name, len) == 0) {
            return spec;
        }
    }
    return NULL;
}

/* Takes the option at argv[*at] and its value; moves *at past them. */
static int take_option(const struct command_usage *usage, int argc, char **argv,
                       int *at)
{
    const char *name = argv[*at] + 1;
    if (*name == '-') {
        name++;
    }
    const char *equals = strchr(name, '=');
    const size_t len = equals ? (size_t)(equals - name) : strlen(name);
    const struct option_spec *spec = find_option(usage, name, len);
    if (!spec) {
        complain(usage->command, "unknown option %s (--help lists them)", argv[*at]);
        return -1;
    }
    ++*at;
    if (spec->type == OPTION_FLAG) {
        if (equals) {
            complain(usage->command, "--%s takes no value", spec->name);
            return -1;
        }
        *(bool *)spec->value = true;
        return 0;
    }
    const char *text = equals ? equals + 1 : *at < argc ? argv[(*at)++] : NULL;
    if (!text) {
        complain(usage->command, "%s%s needs a value: %s", spec->name[1] ? "--" : "-",
                 spec->name, spec->placeholder);
        return -1;
    }
    return store(usage, spec, text);
}

int options_parse(const struct command_usage *usage, int argc, char **argv,
                  const char **arguments, int *n_arguments)
{
    bool options_ended = false;
    int n = 0;
    for (int i = 1; i < argc;) {
        const char *arg = argv[i];
        if (!options_ended && strcmp(arg, "--") == 0) {
            options_ended = true;
            i++;
        } else if (!options_ended &&
                   (strcmp(arg, "--help") == 0 || strcmp(arg, "-h") == 0)) {
            print_help(usage);
            return finish_output(usage->command, EXIT_DONE);
        } else if (!options_ended && arg[0] == '-' && arg[1]) {
            if (take_option(usage, argc, argv, &i) != 0) {
                return EXIT_USAGE;
            }
        } else if (n == usage->max_arguments) {
            complain(usage->command, "unexpected argument \"%s\"", arg);
            return EXIT_USAGE;
        } else {
            arguments[n++] = arg;
            i++;
        }
    }
    if (n < usage->min_arguments) {
        complain(usage->command, "usage: abtest %s %s", usage->command,
                 usage->arguments);
        return EXIT_USAGE;
    }
    *n_arguments = n;
    return OPTIONS_RUN;
}
