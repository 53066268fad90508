/* main.c - finds the command and runs it. */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "abtest/blas_core.h"
#include "abtest/commands.h"
#include "abtest/options.h"

struct command {
    const char *name;
    const char *summary;
    int (*run)(int argc, char **argv);
};

static const struct command commands[] = {
#define ABTEST_ENTRY(name, summary) {#name, summary, cmd_##name},
    ABTEST_COMMANDS(ABTEST_ENTRY)
#undef ABTEST_ENTRY
};

#define N_COMMANDS (sizeof commands / sizeof commands[0])

/* Names are C identifiers here and have dashes outside: fold_in is "fold-in". */
static bool is_named(const struct command *command, const char *typed)
{
    const char *name = command->name;
    while (*name && (*name == *typed || (*name == '_' && *typed == '-'))) {
        name++;
        typed++;
    }
    return *name == *typed;
}

static void print_name(FILE *to, const char *name)
{
    int width = 0;
    for (; *name; name++, width++) {
        fputc(*name == '_' ? '-' : *name, to);
    }
    fprintf(to, "%*s", width < 10 ? 10 - width : 0, "");
}

static void print_usage(FILE *to)
{
    fprintf(to, "usage: abtest COMMAND [options]\n\n"
                "A/B experimentation with logged serving for recommenders.\n\n");
    for (size_t i = 0; i < N_COMMANDS; i++) {
        fputs("  ", to);
        print_name(to, commands[i].name);
        fprintf(to, " %s\n", commands[i].summary);
    }
    fprintf(to,
            "\nabtest COMMAND --help tells more. Results go to standard output, all "
            "else to standard error.\n"
            "exit status: 0 done, 1 failed, 2 usage, 3 do not trust the result, "
            "4 roll back, or a treatment does harm (--gate)\n");
}

int main(int argc, char **argv)
{
    signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error that write() reports */
    blas_core_ensure(argv);
    if (argc < 2) {
        print_usage(stderr);
        return EXIT_USAGE;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_usage(stdout);
        return finish_output("help", EXIT_DONE);
    }
    const char *name = strcmp(argv[1], "--version") == 0 ? "version" : argv[1];
    for (size_t i = 0; i < N_COMMANDS; i++) {
        if (is_named(&commands[i], name)) {
            return commands[i].run(argc - 1, argv + 1);
        }
    }
    fprintf(stderr, "abtest: no command \"%s\" (abtest --help lists them)\n", argv[1]);
    return EXIT_USAGE;
}
