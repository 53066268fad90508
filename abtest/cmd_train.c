#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/progress.h"
#include "abtest/train_options.h"
#include "abtest/tune.h"
#include "common/buffer.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

/* What one run has in hand. */
struct run {
    const struct train_options *options;
    struct recipe recipe;
    struct ratings *train, *test;
    struct item_features *features; /* or NULL */
    struct factors *factors;
    struct factors *best_factors; /* with --patience */
    struct epoch_report best, last;
    struct progress progress;
    int64_t n_bad, n_duplicates;
    double seconds;         /* of training, all epochs */
    struct buffer history;  /* the TSV */
    struct buffer tuning;   /* the TSV */
    struct buffer settings; /* the JSON in the model */
    uint64_t hash;
};

static const char *quality_name(const struct run *run)
{
    return recipe_quality_name(&run->recipe);
}

static const char *sample_name(const struct run *run)
{
    return run->recipe.kind == MODEL_BPR ? "samples" : "ratings";
}

static void append_cell(struct buffer *tsv, double value)
{
    if (isnan(value)) {
        buffer_append_text(tsv, "\t");
    } else {
        buffer_printf(tsv, "\t%.9g", value);
    }
}

static void append_history(struct run *run, const struct epoch_report *report)
{
    buffer_printf(&run->history, "%d", report->epoch);
    append_cell(&run->history, report->loss);
    append_cell(&run->history, report->train_quality);
    append_cell(&run->history, report->test_quality);
    append_cell(&run->history, report->seconds);
    buffer_append_char(&run->history, '\n');
}

/* "train auc 0.9123"; a dash where there is nothing to measure, as when nobody left an
 * item unrated that could be ordered behind the liked ones. */
static void print_quality(FILE *to, const char *part, const struct run *run,
                          double quality)
{
    fprintf(to, "%s %s ", part, quality_name(run));
    if (isnan(quality)) {
        fputc('-', to);
    } else {
        fprintf(to, "%.4f", quality);
    }
}

static void print_epoch(struct run *run, const struct epoch_report *report)
{
    progress_wipe(&run->progress);
    if (!run->options->quiet) {
        fprintf(stderr, "epoch %*d/%d  loss %.6g", report->n_epochs > 99 ? 3 : 2,
                report->epoch, report->n_epochs, report->loss);
        print_quality(stderr, "  train", run, report->train_quality);
        if (run->test) {
            print_quality(stderr, "  test", run, report->test_quality);
        }
        fprintf(stderr, "  %.3f s, %.3g M %s/s\n", report->seconds,
                (double)report->n_samples / report->seconds * 1e-6, sample_name(run));
    }
    if (report->epoch < report->n_epochs) {
        progress_draw(&run->progress, (double)report->epoch / report->n_epochs,
                      report->epoch * report->n_samples, sample_name(run));
    }
}

/* Keeps the best factors so far; false when they have stood for too long. */
static bool is_worth_going_on(struct run *run, const struct epoch_report *report)
{
    if (!run->best_factors || !report->factors) {
        return true;
    }
    if (recipe_is_better(&run->recipe, report->test_quality, run->best.test_quality)) {
        run->best = *report;
        factors_copy(run->best_factors, report->factors);
    }
    return report->epoch < run->best.epoch + run->options->patience;
}

static bool on_epoch(void *context, const struct epoch_report *report)
{
    struct run *run = context;
    run->last = *report;
    run->seconds += report->seconds;
    append_history(run, report);
    print_epoch(run, report);
    return is_worth_going_on(run, report);
}

static void on_read(void *context, int64_t position, int64_t size, int64_t n_ratings)
{
    struct progress *progress = context;
    progress_draw(progress, size > 0 ? (double)position / (double)size : -1, n_ratings,
                  "ratings");
}

static int read_ratings(struct run *run, struct error *error)
{
    const struct train_options *o = run->options;
    struct ratings_options reading = {
        .skip_bad = o->skip_bad,
        .progress = on_read,
        .context = &run->progress,
    };
    struct ratings *all = NULL;
    int rc = 0;
    progress_start(&run->progress, "reading ");
    if (o->test) {
        rc = ratings_load_pair(o->ratings, o->test, &reading, &run->train, &run->test,
                               error);
    } else {
        rc = ratings_load_with(o->ratings, &reading, &all, error);
    }
    progress_wipe(&run->progress);
    if (rc == 0 && all && o->test_fraction > 0) {
        rc = split_ratings(all, o->test_fraction, (uint64_t)o->seed, &run->train,
                           &run->test, error);
        ratings_free(all);
    } else if (all) {
        run->train = all;
    }
    run->n_bad = reading.n_bad;
    run->n_duplicates = reading.n_duplicates;
    if (rc == 0 && reading.n_bad) {
        complain("train", "skipped %lld bad lines; the first: %s",
                 (long long)reading.n_bad, reading.first_bad);
    }
    return rc;
}

/* Items that the catalogue names join the model without ratings. */
static int read_catalogue(struct run *run, struct error *error)
{
    struct titles *titles = NULL;
    if (titles_load(run->options->catalogue, &titles, error) != 0) {
        return -1;
    }
    const int rc = ratings_add_items(run->train, titles_ids(titles), error);
    titles_free(titles);
    return rc;
}

/* Reads what is known of the items besides ratings. Items that only those files name
 * join both parts, under the same indices. */
static int read_items(struct run *run, struct error *error)
{
    const struct train_options *o = run->options;
    if (o->catalogue && read_catalogue(run, error) != 0) {
        return -1;
    }
    if (o->features || o->tags) {
        if (item_features_load(o->features, o->tags, run->train, &run->features,
                               error) != 0) {
            return -1;
        }
        run->recipe.als.features = run->features;
    }
    return run->test ? ratings_add_items(run->test, run->train->items, error) : 0;
}

static int tune(struct run *run, struct error *error)
{
    const struct train_options *o = run->options;
    const struct tune_options tuning = {
        .n_trials = (int)o->tune,
        .fraction = 0.1,
        .seed = (uint64_t)o->seed,
        .command = o->quiet ? NULL : "train",
    };
    if (tune_recipe(&tuning, run->train, &run->recipe, &run->tuning, error) != 0) {
        return -1;
    }
    return o->tune_table
               ? file_replace(o->tune_table, buffer_slice(&run->tuning), error)
               : 0;
}

/* With --patience the result is the best epoch's, not the last one's. */
static void take_best(struct run *run)
{
    if (run->best_factors && run->best.epoch) {
        factors_free(run->factors);
        run->factors = run->best_factors;
        run->best_factors = NULL;
        run->last = run->best;
    } else if (run->recipe.is_gibbs) {
        /* The model holds some of the draws; say what it does, not what all do. */
        const int n_threads = (int)run->options->threads;
        run->last.train_quality = factors_rmse(run->factors, run->train, n_threads);
        if (run->test) {
            run->last.test_quality = factors_rmse(run->factors, run->test, n_threads);
        }
    }
}

static int train(struct run *run, struct error *error)
{
    const struct train_options *o = run->options;
    const struct training_observer observer = {
        .epoch = on_epoch,
        .context = run,
        /* Nobody looks at the epochs before: ranking every item takes longer than
         * learning. */
        .measures_last = o->quiet && !o->history && !o->patience,
    };
    if (run->options->tune && tune(run, error) != 0) {
        return -1;
    }
    buffer_printf(&run->history, "epoch\tloss\ttrain_%s\ttest_%s\tseconds\n",
                  quality_name(run), quality_name(run));
    run->best.test_quality = (double)NAN;
    if (run->options->patience) {
        run->best_factors = factors_new(run->train, recipe_n_factors(&run->recipe));
        if (!run->best_factors ||
            factors_add_map(run->best_factors, run->features) != 0) {
            error_set(error, ERROR_NOMEM, "no memory to keep the best epoch");
            return -1;
        }
    }
    progress_start(&run->progress, "training");
    const int rc = recipe_train(&run->recipe, run->train, run->test, &observer,
                                &run->factors, error);
    progress_wipe(&run->progress);
    if (rc == 0) {
        take_best(run);
    }
    return rc;
}

static void append_number(struct buffer *json, const char *name, double value)
{
    buffer_printf(json, ",\"%s\":", name);
    json_append_double(json, value);
}

static void append_quality(struct buffer *json, const struct run *run)
{
    char name[32];
    snprintf(name, sizeof name, "train_%s", quality_name(run));
    append_number(json, name, run->last.train_quality);
    snprintf(name, sizeof name, "test_%s", quality_name(run));
    append_number(json, name, run->last.test_quality);
}

/* What the model file says about itself. Nothing here may differ between two runs with
 * the same data and options: no times, no threads, no paths. */
static void write_settings(struct run *run)
{
    const struct train_options *o = run->options;
    struct buffer *json = &run->settings;
    buffer_printf(json, "{\"kind\":\"%s\"", model_kind_name(run->recipe.kind));
    recipe_append_settings(&run->recipe, json);
    buffer_printf(json, ",\"epochs\":%d,\"seed\":%lld", run->last.epoch,
                  (long long)o->seed);
    append_number(json, "test_fraction", o->test ? (double)NAN : o->test_fraction);
    buffer_printf(json, ",\"n_ratings\":%lld,\"n_test\":%lld",
                  (long long)run->train->n_ratings,
                  (long long)(run->test ? run->test->n_ratings : 0));
    if (run->recipe.is_gibbs) {
        append_number(json, "gibbs_noise", run->factors->noise);
    }
    append_number(json, "loss", run->last.loss);
    append_quality(json, run);
    buffer_append_char(json, '}');
}

static int save(struct run *run, struct error *error)
{
    const struct train_options *o = run->options;
    write_settings(run);
    if (run->settings.failed || run->history.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory to describe the model", o->model);
        return -1;
    }
    if (factors_save(run->factors, run->recipe.kind, run->train,
                     buffer_slice(&run->settings), o->model, &run->hash, error) != 0) {
        return -1;
    }
    return o->history ? file_replace(o->history, buffer_slice(&run->history), error)
                      : 0;
}

static int print_json(const struct run *run)
{
    char hash[HASH_TEXT_LEN + 1];
    struct buffer json = {0};
    hash_text(run->hash, hash);
    buffer_append_text(&json, "{\"model\":");
    json_append_string(&json, slice_of(run->options->model));
    buffer_printf(&json,
                  ",\"hash\":\"%s\",\"n_users\":%d,\"n_items\":%d,\"n_bad_lines\":%lld,"
                  "\"n_duplicates\":%lld",
                  hash, run->train->n_users, run->train->n_items, (long long)run->n_bad,
                  (long long)run->n_duplicates);
    append_number(&json, "seconds", run->seconds);
    buffer_append_text(&json, ",\"settings\":");
    buffer_append(&json, run->settings.data, run->settings.len);
    buffer_append_text(&json, "}\n");
    const int rc = json.failed ? -1 : 0;
    fwrite(json.data, 1, json.len, stdout);
    buffer_free(&json);
    return rc;
}

static void print_text(const struct run *run)
{
    char hash[HASH_TEXT_LEN + 1];
    hash_text(run->hash, hash);
    printf("%s: %s, %d users, %d items, %d factors, hash %s\n", run->options->model,
           model_kind_name(run->recipe.kind), run->train->n_users, run->train->n_items,
           run->factors->n_factors, hash);
    if (run->features) {
        printf("%d genres and %d tags say where an item is expected\n",
               run->features->n_genres, run->features->n_tags);
    }
    printf("%d epochs over %lld ratings in %.2f s\n", run->last.epoch,
           (long long)run->train->n_ratings, run->seconds);
    print_quality(stdout, "train", run, run->last.train_quality);
    if (run->test) {
        print_quality(stdout, ", test", run, run->last.test_quality);
        printf(" on %lld held-out ratings", (long long)run->test->n_ratings);
    }
    putchar('\n');
}

/* tau is in the unit of the ratings: s times the ratings with s times tau are the same
 * model in another unit, and with the old tau one that hardly regularises. The defaults
 * were found for half a star to five, which spread by about 1. */
static void warn_of_scale(const struct run *run)
{
    const struct ratings *r = run->train;
    const double mean = ratings_mean(r);
    double squares = 0;
    if (run->recipe.kind != MODEL_ALS || run->recipe.is_gibbs ||
        !isnan(run->options->tau)) {
        return;
    }
    for (int64_t at = 0; at < r->n_ratings; at++) {
        const double off = (double)r->user_rating[at] - mean;
        squares += off * off;
    }
    const double sd = sqrt(squares / (double)r->n_ratings);
    if (sd > 4 || (sd > 0 && sd < 0.25)) {
        complain(
            "train",
            "warning: the ratings' standard deviation is %.3g, and the default tau "
            "is for about 1 (half a star to five); --tau %.3g is as much for these",
            sd, run->recipe.als.tau * sd);
    }
}

/* Before the work, not after it. */
static int check_outputs(const struct train_options *o, struct error *error)
{
    const char *const paths[] = {o->model, o->history, o->tune_table};
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        if (paths[i] && file_check_replaceable(paths[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int run_training(const struct train_options *options, struct run *run)
{
    struct error error = {0};
    if (recipe_check(&run->recipe, &error) != 0) {
        complain("train", "%s", error.message);
        return EXIT_USAGE;
    }
    if (check_outputs(options, &error) != 0 || read_ratings(run, &error) != 0 ||
        read_items(run, &error) != 0) {
        complain("train", "%s", error.message);
        return EXIT_FAILED;
    }
    warn_of_scale(run);
    if (train(run, &error) != 0 || save(run, &error) != 0) {
        complain("train", "%s", error.message);
        return EXIT_FAILED;
    }
    if (!options->json) {
        print_text(run);
    } else if (print_json(run) != 0) {
        complain("train", "no memory");
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static void release(struct run *run)
{
    buffer_free(&run->settings);
    buffer_free(&run->tuning);
    buffer_free(&run->history);
    factors_free(run->best_factors);
    factors_free(run->factors);
    ratings_free(run->test);
    ratings_free(run->train);
    item_features_free(run->features);
}

int cmd_train(int argc, char **argv)
{
    struct train_options o;
    struct run run = {0};
    const char *kind = NULL;
    const int parsed = train_options_parse(argc, argv, &o, &kind);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    int status = EXIT_USAGE;
    run.options = &o;
    if (train_options_recipe(&o, kind, &run.recipe) == 0) {
        status = run_training(&o, &run);
    }
    release(&run);
    return finish_output("train", status);
}
