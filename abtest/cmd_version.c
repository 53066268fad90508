#include <event2/event.h>
#include <gsl/gsl_version.h>
#include <jansson.h>
#include <stdio.h>

#include "abtest/commands.h"
#include "abtest/options.h"

char *openblas_get_corename(void);

int cmd_version(int argc, char **argv)
{
    const struct command_usage usage = {
        .command = "version",
        .arguments = "",
        .summary = "Prints the version of abtest and of the libraries it runs on.",
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, NULL, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    printf("abtest %s\nlibevent %s, jansson %s, gsl %s, openblas kernels: %s\n",
           ABTEST_VERSION, event_get_version(), JANSSON_VERSION, gsl_version,
           openblas_get_corename());
    return finish_output("version", EXIT_DONE);
}
