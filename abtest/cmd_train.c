#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/progress.h"
#include "common/buffer.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

struct train_options {
    enum model_kind kind;
    const char *ratings, *model, *test, *history;
    double test_fraction;
    int64_t factors, epochs, seed, threads;
    const char *regularization;          /* als */
    double lambda, tau, tau_bias, alpha; /* als; NAN: as the regularisation has it */
    double learning_rate, reg;           /* BPR */
    double threshold;
    const char *sampling;
    bool json, skip_bad, quiet;
};

/* What one run has in hand. */
struct run {
    const struct train_options *options;
    struct als_config als;
    struct bpr_config bpr;
    struct ratings *train, *test;
    struct factors *factors;
    struct progress progress;
    int64_t n_bad, n_duplicates;
    double seconds; /* of training, all epochs */
    struct epoch_report last;
    struct buffer history;  /* the TSV */
    struct buffer settings; /* the JSON in the model */
    uint64_t hash;
};

static const char *quality_name(const struct run *run)
{
    return run->options->kind == MODEL_ALS ? "rmse" : "auc";
}

static void append_cell(struct buffer *tsv, double value)
{
    if (isnan(value)) {
        buffer_append_text(tsv, "\t");
    } else {
        buffer_printf(tsv, "\t%.9g", value);
    }
}

/* The line of an epoch on standard error, and in the history. */
static bool on_epoch(void *context, const struct epoch_report *report)
{
    struct run *run = context;
    run->last = *report;
    run->seconds += report->seconds;
    buffer_printf(&run->history, "%d", report->epoch);
    append_cell(&run->history, report->loss);
    append_cell(&run->history, report->train_quality);
    append_cell(&run->history, report->test_quality);
    append_cell(&run->history, report->seconds);
    buffer_append_char(&run->history, '\n');
    progress_wipe(&run->progress);
    if (!run->options->quiet) {
        fprintf(stderr, "epoch %*d/%d  loss %.6g  train %s %.4f",
                report->n_epochs > 99 ? 3 : 2, report->epoch, report->n_epochs,
                report->loss, quality_name(run), report->train_quality);
        if (!isnan(report->test_quality)) {
            fprintf(stderr, "  test %s %.4f", quality_name(run), report->test_quality);
        }
        fprintf(stderr, "  %.3f s, %.3g M %s/s\n", report->seconds,
                (double)report->n_samples / report->seconds * 1e-6,
                run->options->kind == MODEL_BPR ? "samples" : "ratings");
    }
    if (report->epoch < report->n_epochs) {
        progress_draw(&run->progress, (double)report->epoch / report->n_epochs,
                      report->epoch * report->n_samples,
                      run->options->kind == MODEL_BPR ? "samples" : "ratings");
    }
    return true;
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

static int train(struct run *run, struct error *error)
{
    const struct training_observer observer = {.epoch = on_epoch, .context = run};
    buffer_printf(&run->history, "epoch\tloss\ttrain_%s\ttest_%s\tseconds\n",
                  quality_name(run), quality_name(run));
    progress_start(&run->progress, "training");
    const int rc = run->options->kind == MODEL_ALS
                       ? als_train(run->train, run->test, &run->als, &observer,
                                   &run->factors, error)
                       : bpr_train(run->train, run->test, &run->bpr, &observer,
                                   &run->factors, error);
    progress_wipe(&run->progress);
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
    buffer_printf(json, "{\"kind\":\"%s\",\"factors\":%lld,\"epochs\":%d",
                  model_kind_name(o->kind), (long long)o->factors, run->last.epoch);
    if (o->kind == MODEL_ALS) {
        append_number(json, "lambda", run->als.lambda);
        append_number(json, "tau", run->als.tau);
        append_number(json, "tau_bias", run->als.tau_bias);
        append_number(json, "alpha", run->als.alpha);
        buffer_printf(json, ",\"has_mean\":%s", run->als.has_mean ? "true" : "false");
    } else {
        append_number(json, "learning_rate", run->bpr.learning_rate);
        append_number(json, "reg", run->bpr.reg);
        append_number(json, "threshold", run->bpr.threshold);
        buffer_printf(json, ",\"sampling\":\"%s\"", o->sampling);
    }
    buffer_printf(json, ",\"seed\":%lld", (long long)o->seed);
    append_number(json, "test_fraction", o->test ? (double)NAN : o->test_fraction);
    buffer_printf(json, ",\"n_ratings\":%lld,\"n_test\":%lld",
                  (long long)run->train->n_ratings,
                  (long long)(run->test ? run->test->n_ratings : 0));
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
    if (factors_save(run->factors, o->kind, run->train, buffer_slice(&run->settings),
                     o->model, &run->hash, error) != 0) {
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
           model_kind_name(run->options->kind), run->train->n_users,
           run->train->n_items, run->factors->n_factors, hash);
    printf("%d epochs over %lld ratings in %.2f s\n", run->last.epoch,
           (long long)run->train->n_ratings, run->seconds);
    printf("train %s %.4f", quality_name(run), run->last.train_quality);
    if (run->test) {
        printf(", test %s %.4f on %lld held-out ratings", quality_name(run),
               run->last.test_quality, (long long)run->test->n_ratings);
    }
    putchar('\n');
}

static int run_training(const struct train_options *options, struct run *run)
{
    struct error error = {0};
    const int checked = options->kind == MODEL_ALS
                            ? als_config_check(&run->als, &error)
                            : bpr_config_check(&run->bpr, &error);
    if (checked != 0) {
        complain("train", "%s", error.message);
        return EXIT_USAGE;
    }
    if (read_ratings(run, &error) != 0 || train(run, &error) != 0 ||
        save(run, &error) != 0) {
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

/* Copies the options into the trainers' settings. */
static int configure(const struct train_options *o, struct run *run)
{
    run->options = o;
    const bool is_count = strcmp(o->regularization, "count") == 0;
    run->als =
        als_config_default(is_count ? ALS_COUNT : ALS_CONSTANT, (int32_t)o->factors);
    run->als.n_epochs = (int)o->epochs;
    run->als.lambda = o->lambda;
    run->als.tau = isnan(o->tau) ? run->als.tau : o->tau;
    run->als.tau_bias = isnan(o->tau_bias) ? run->als.tau_bias : o->tau_bias;
    run->als.alpha = isnan(o->alpha) ? run->als.alpha : o->alpha;
    run->als.seed = (uint64_t)o->seed;
    run->als.n_threads = (int)o->threads;
    run->bpr = (struct bpr_config){
        .n_factors = (int32_t)o->factors,
        .n_epochs = (int)o->epochs,
        .learning_rate = o->learning_rate,
        .reg = o->reg,
        .threshold = o->threshold,
        .sampling = strcmp(o->sampling, "pairs") == 0 ? BPR_PAIRS : BPR_USERS,
        .seed = (uint64_t)o->seed,
        .n_threads = (int)o->threads,
    };
    if (!is_count && strcmp(o->regularization, "constant") != 0) {
        complain("train", "--regularization is constant or count, not \"%s\"",
                 o->regularization);
        return -1;
    }
    if (strcmp(o->sampling, "pairs") != 0 && strcmp(o->sampling, "users") != 0) {
        complain("train", "--sampling is users or pairs, not \"%s\"", o->sampling);
        return -1;
    }
    if (o->test && o->test_fraction > 0) {
        complain("train", "--test names the held-out ratings, --test-fraction chooses "
                          "them: give one");
        return -1;
    }
    return 0;
}

static void release(struct run *run)
{
    buffer_free(&run->settings);
    buffer_free(&run->history);
    factors_free(run->factors);
    ratings_free(run->test);
    ratings_free(run->train);
}

static enum options_result parse(int argc, char **argv, struct train_options *o,
                                 const char **kind)
{
    const struct option_spec options[] = {
        {"ratings", OPTION_TEXT, &o->ratings, "FILE", "what to learn from (needed)", 0,
         0},
        {"model", OPTION_TEXT, &o->model, "FILE", "where the model goes (needed)", 0,
         0},
        {"test-fraction", OPTION_NUMBER, &o->test_fraction, "F",
         "share of the ratings held out to measure", 0, 1},
        {"test", OPTION_TEXT, &o->test, "FILE", "held-out ratings, instead", 0, 0},
        {"factors", OPTION_INT, &o->factors, "K", "length of a vector", 1,
         MODEL_MAX_FACTORS},
        {"epochs", OPTION_INT, &o->epochs, "N", "passes over the ratings", 1, 1e6},
        {"lambda", OPTION_NUMBER, &o->lambda, "L", "als: weight of a squared error", 0,
         1e9},
        {"regularization", OPTION_TEXT, &o->regularization, "constant|count",
         "als: count scales tau with the ratings of a user or item", 0, 0},
        {"tau", OPTION_NUMBER, &o->tau, "T",
         "als: weight of a squared factor (3 sqrt(K) / 2.5; count: 1.35)", 0, 1e9},
        {"tau-bias", OPTION_NUMBER, &o->tau_bias, "T",
         "als: weight of a squared bias (0; count: 1.3)", 0, 1e9},
        {"alpha", OPTION_NUMBER, &o->alpha, "A",
         "als: power of the count that scales both (0; count: 0.5)", 0, 2},
        {"learning-rate", OPTION_NUMBER, &o->learning_rate, "R", "bpr: size of a step",
         0, 1e3},
        {"reg", OPTION_NUMBER, &o->reg, "R", "bpr: weight of a squared parameter", 0,
         1e3},
        {"threshold", OPTION_NUMBER, &o->threshold, "R",
         "bpr: ratings above it are positive", -1e9, 1e9},
        {"sampling", OPTION_TEXT, &o->sampling, "users|pairs",
         "bpr: draw a user, then one of its positives; or a positive", 0, 0},
        {"seed", OPTION_INT, &o->seed, "N", "same seed, same bytes of model", 0, 9e18},
        {"threads", OPTION_INT, &o->threads, "N", "changes the speed only", 1, 1024},
        {"history", OPTION_TEXT, &o->history, "FILE", "loss and quality as TSV", 0, 0},
        {"skip-bad", OPTION_FLAG, &o->skip_bad, NULL,
         "count bad lines instead of stopping at the first", 0, 0},
        {"quiet", OPTION_FLAG, &o->quiet, NULL, "no line per epoch", 0, 0},
        {"json", OPTION_FLAG, &o->json, NULL, "print the result as JSON", 0, 0},
    };
    const struct command_usage usage = {
        .command = "train",
        .arguments = "als|bpr --ratings FILE --model OUT [options]",
        .summary = "Learns a model from ratings: als predicts ratings, bpr orders "
                   "items. docs/models.md has the\nequations. Each epoch's loss and "
                   "quality go to standard error.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    return options_parse(&usage, argc, argv, kind, &n_arguments);
}

int cmd_train(int argc, char **argv)
{
    const struct als_config als = als_config_default(ALS_CONSTANT, 20);
    const struct bpr_config bpr = bpr_config_default();
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    struct train_options o = {
        .factors = als.n_factors,
        .epochs = als.n_epochs,
        .seed = (int64_t)als.seed,
        .threads = n_cores > 0 ? n_cores : 1,
        .lambda = als.lambda,
        .regularization = "constant",
        .tau = (double)NAN,
        .tau_bias = (double)NAN,
        .alpha = (double)NAN,
        .learning_rate = bpr.learning_rate,
        .reg = bpr.reg,
        .threshold = bpr.threshold,
        .sampling = "users",
    };
    const char *kind = NULL;
    switch (parse(argc, argv, &o, &kind)) {
    case OPTIONS_HELP:
        return finish_output("train", EXIT_DONE);
    case OPTIONS_BAD:
        return EXIT_USAGE;
    case OPTIONS_RUN:
        break;
    }
    if (strcmp(kind, "als") == 0) {
        o.kind = MODEL_ALS;
    } else if (strcmp(kind, "bpr") == 0) {
        o.kind = MODEL_BPR;
    } else {
        complain("train", "no model \"%s\"; als or bpr", kind);
        return EXIT_USAGE;
    }
    if (!o.ratings || !o.model) {
        complain("train", "--ratings FILE and --model OUT are needed");
        return EXIT_USAGE;
    }
    struct run run = {0};
    int status = EXIT_USAGE;
    if (configure(&o, &run) == 0) {
        status = run_training(&o, &run);
    }
    release(&run);
    return finish_output("train", status);
}
