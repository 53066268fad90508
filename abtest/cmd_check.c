#include <stdio.h>

#include "abtest/check_config.h"
#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/json_text.h"
#include "experiment/experiment.h"

static void print_text(const char *path, const struct config_problems *problems)
{
    for (int i = 0; i < problems->n; i++) {
        const struct config_problem *problem = &problems->items[i];
        printf("%s:%d: %s%s\n", path, problem->line,
               problem->is_warning ? "warning: " : "", problem->message);
    }
    if (problems->n == 0) {
        printf("%s: no mistakes\n", path);
    }
}

/* Returns -1 when memory ran out. */
static int print_json(const char *path, const struct config_problems *problems)
{
    struct buffer out = {0};
    buffer_append_text(&out, "{\"file\":");
    json_append_string(&out, slice_of(path));
    buffer_printf(&out, ",\"errors\":%d,\"warnings\":%d,\"problems\":[",
                  problems->n_errors, problems->n - problems->n_errors);
    for (int i = 0; i < problems->n; i++) {
        const struct config_problem *problem = &problems->items[i];
        buffer_printf(&out,
                      "%s{\"line\":%d,\"severity\":\"%s\",\"message\":", i ? "," : "",
                      problem->line, problem->is_warning ? "warning" : "error");
        json_append_string(&out, slice_of(problem->message));
        buffer_append_char(&out, '}');
    }
    buffer_append_text(&out, "]}\n");
    const int rc = out.failed ? -1 : 0;
    if (rc == 0) {
        fwrite(out.data, 1, out.len, stdout);
    }
    buffer_free(&out);
    return rc;
}

/* What needs a config without mistakes. */
static int check_further(const char *path, bool text_only, const char *against,
                         struct config_problems *problems, struct error *error)
{
    struct config *config = NULL;
    struct config_problems again = {0};
    int rc = config_load(path, &config, &again, error);
    if (rc == 0) {
        rc = check_power(config, problems, error);
    }
    if (rc == 0 && against) {
        rc = check_against(config, against, false, problems, error);
    } else if (rc == 0 && !text_only) {
        rc = check_against_log(config, problems, error);
    }
    config_problems_free(&again);
    config_free(config);
    return rc;
}

static int check(const char *path, bool text_only, const char *against,
                 struct config_problems *problems, struct error *error)
{
    if (config_check_file(path, !text_only, problems, error) != 0) {
        return -1;
    }
    return problems->n_errors
               ? 0
               : check_further(path, text_only, against, problems, error);
}

int cmd_check(int argc, char **argv)
{
    bool as_json = false, text_only = false;
    const char *against = NULL;
    const struct option_spec options[] = {
        {"json", OPTION_FLAG, &as_json, NULL, "print one JSON object", 0, 0},
        {"text-only", OPTION_FLAG, &text_only, NULL,
         "do not look for the files and variables it names", 0, 0},
        {"against", OPTION_TEXT, &against, "OLD",
         "a config, or a log: count whom this one would move", 0, 0},
    };
    const struct command_usage usage = {
        .command = "check",
        .arguments = "CONFIG",
        .summary = "Prints every mistake in a config at once, each as file:line: "
                   "message (remedy), and\nwarns of what is legal but unwise. Exits "
                   "with 1 when there is a mistake.",
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
    struct config_problems problems = {0};
    struct error error = {0};
    int status = EXIT_FAILED;
    if (check(path, text_only, against, &problems, &error) != 0) {
        complain("check", "%s", error.message);
    } else if (as_json && print_json(path, &problems) != 0) {
        complain("check", "no memory for the answer");
    } else {
        if (!as_json) {
            print_text(path, &problems);
        }
        status = problems.n_errors ? EXIT_FAILED : EXIT_DONE;
    }
    config_problems_free(&problems);
    return finish_output("check", status);
}
