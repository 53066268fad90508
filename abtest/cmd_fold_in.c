#include <omp.h>
#include <stdio.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "trainer/trainer.h"

struct job {
    const char *model_path, *ratings_path, *output_path;
    const char *features_path, *tags_path; /* or NULL */
    int64_t n_threads;
    bool as_json;
};

static void print_summary(const struct job *job, const struct fold_in_summary *s)
{
    if (job->as_json) {
        printf(
            "{\"new_users\":%d,\"solved_again\":%d,\"new_items\":%d,"
            "\"new_unrated_items\":%d,\"unplaced_users\":%d,\"unplaced_items\":%d}\n",
            s->n_new_users, s->n_solved_again, s->n_new_items, s->n_new_unrated,
            s->n_unplaced_users, s->n_unplaced_items);
        return;
    }
    printf("%s: %d users and %d items added, %d users solved again\n", job->output_path,
           s->n_new_users, s->n_new_items, s->n_solved_again);
    if (s->n_new_unrated) {
        printf("%d of the items have no ratings and stand where their genres and tags "
               "say\n",
               s->n_new_unrated);
    }
    if (s->n_unplaced_users || s->n_unplaced_items) {
        printf("%d users and %d items left out: no rating that the model can learn "
               "from\n",
               s->n_unplaced_users, s->n_unplaced_items);
    }
}

/* Items that only those files name join the ratings. */
static int read_features(const struct job *job, const struct model *model,
                         struct ratings *ratings, struct item_features **features,
                         struct error *error)
{
    if (!job->features_path && !job->tags_path) {
        return 0;
    }
    if (model->n_features == 0) {
        error_set(error, ERROR_INVALID,
                  "%s: has no map from features; train it with abtest train als "
                  "--features, or leave --features and --tags out",
                  job->model_path);
        return -1;
    }
    return item_features_load_known(job->features_path, job->tags_path,
                                    model->feature_names, ratings, features, error);
}

static int run(const struct job *job)
{
    struct item_features *features = NULL;
    struct model *model = NULL;
    struct ratings *ratings = NULL;
    struct fold_in_summary summary;
    struct error error = {0};
    int status = EXIT_FAILED;
    const int n_threads = job->n_threads ? (int)job->n_threads : omp_get_max_threads();
    if (model_load(job->model_path, &model, &error) != 0 ||
        ratings_load(job->ratings_path, &ratings, &error) != 0 ||
        read_features(job, model, ratings, &features, &error) != 0 ||
        fold_in_extend(model, ratings, features, n_threads, job->output_path, &summary,
                       &error) != 0) {
        complain("fold-in", "%s", error.message);
    } else {
        print_summary(job, &summary);
        status = EXIT_DONE;
    }
    item_features_free(features);
    ratings_free(ratings);
    model_free(model);
    return status;
}

int cmd_fold_in(int argc, char **argv)
{
    struct job job = {0};
    const struct option_spec options[] = {
        {"ratings", OPTION_TEXT, &job.ratings_path, "FILE",
         "ratings of the new users and items", 0, 0},
        {"features", OPTION_TEXT, &job.features_path, "FILE",
         "movies.csv with the new items' genres, for a model that was trained with "
         "--features",
         0, 0},
        {"tags", OPTION_TEXT, &job.tags_path, "FILE",
         "tags.csv with their tags, likewise", 0, 0},
        {"output", OPTION_TEXT, &job.output_path, "OUT",
         "where the larger model goes (MODEL itself is fine)", 0, 0},
        {"threads", OPTION_INT, &job.n_threads, "N", "0: one a core", 0, 1024},
        {"json", OPTION_FLAG, &job.as_json, NULL, "answer in JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "fold-in",
        .arguments = "MODEL --ratings FILE --output OUT [options]",
        .summary =
            "Adds users and items to a model without training it again: only the new "
            "vectors are\nsolved for. Users first, from the items that the model "
            "knows, "
            "then new items from\nthose users. A user whom the model knows is solved "
            "again from FILE alone, which must\ntherefore hold all that the user ever "
            "rated. With --features a new item with few\nratings is drawn towards what "
            "its genres and tags say, and one of the features' files\nwithout ratings "
            "stands there.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &job.model_path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    if (!job.ratings_path || !job.output_path) {
        complain("fold-in", "needs --ratings FILE and --output OUT");
        return EXIT_USAGE;
    }
    return finish_output("fold-in", run(&job));
}
