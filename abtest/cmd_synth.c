#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "trainer/trainer.h"

/* DIRECTORY/name; the caller frees. */
static char *path_in(const char *directory, const char *name)
{
    const size_t len = strlen(directory) + strlen(name) + 2;
    char *path = malloc(len);
    if (path) {
        snprintf(path, len, "%s/%s", directory, name);
    }
    return path;
}

static int synth_into(const char *directory, const struct synth_config *config)
{
    struct error error = {0};
    char *ratings = path_in(directory, "ratings.csv");
    char *titles = path_in(directory, "movies.csv");
    int status = EXIT_FAILED;
    if (!ratings || !titles) {
        complain("synth", "no memory");
    } else if (synth_config_check(config, &error) != 0) {
        complain("synth", "%s", error.message);
        status = EXIT_USAGE;
    } else if (mkdir(directory, 0777) != 0 && errno != EEXIST) {
        complain("synth", "%s: cannot create: %s", directory, strerror(errno));
    } else if (synth_write(config, ratings, titles, &error) != 0) {
        complain("synth", "%s", error.message);
    } else {
        printf("%s: %lld ratings by %lld users\n%s: %lld items\n", ratings,
               (long long)config->n_ratings, (long long)config->n_users, titles,
               (long long)config->n_items);
        status = EXIT_DONE;
    }
    free(titles);
    free(ratings);
    return status;
}

int cmd_synth(int argc, char **argv)
{
    struct synth_config config = synth_config_default();
    int64_t seed = (int64_t)config.seed;
    const struct option_spec options[] = {
        {"users", OPTION_INT, &config.n_users, "N", "users", 1, INT32_MAX},
        {"items", OPTION_INT, &config.n_items, "N", "items", 1, INT32_MAX},
        {"ratings", OPTION_INT, &config.n_ratings, "N", "ratings, exactly", 1, 1e15},
        {"factors", OPTION_INT, &config.n_factors, "K", "planted factors", 1, 256},
        {"noise", OPTION_NUMBER, &config.noise, "SD",
         "standard deviation of a rating around its planted mean", 0, 10},
        {"seed", OPTION_INT, &seed, "N", "same seed, same bytes", 0, 9e18},
    };
    const struct command_usage usage = {
        .command = "synth",
        .arguments = "DIRECTORY [options]",
        .summary =
            "Writes ratings.csv and movies.csv in the format and with the shape of "
            "MovieLens into\nDIRECTORY, which is created when absent: planted taste "
            "factors, genres that tell part of\nthem, power laws of activity and "
            "popularity. Ratings are streamed, so that tens of\nmillions take little "
            "memory.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    const char *directory = NULL;
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &directory, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    config.seed = (uint64_t)seed;
    return finish_output("synth", synth_into(directory, &config));
}
