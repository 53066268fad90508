#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/progress.h"
#include "abtest/recipe.h"
#include "abtest/tune.h"
#include "common/buffer.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/json_text.h"
#include "trainer/trainer.h"

struct train_options {
    const char *ratings, *model, *test, *history, *tune_table;
    double test_fraction;
    int64_t factors, epochs, seed, threads; /* factors, epochs 0: the trainer's own */
    int64_t patience, tune, candidates;
    int64_t gibbs, burn_in, keep;
    const char *regularization;          /* als */
    double lambda, tau, tau_bias, alpha; /* als; NAN: as the regularisation has it */
    double learning_rate, reg; /* bpr; reg also ials. NAN: the trainer's own */
    double confidence, nu;     /* ials */
    double threshold;
    const char *sampling;
    bool json, skip_bad, quiet;
};

/* What one run has in hand. */
struct run {
    const struct train_options *options;
    struct recipe recipe;
    struct ratings *train, *test;
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

static void print_epoch(struct run *run, const struct epoch_report *report)
{
    progress_wipe(&run->progress);
    if (!run->options->quiet) {
        fprintf(stderr, "epoch %*d/%d  loss %.6g  train %s %.4f",
                report->n_epochs > 99 ? 3 : 2, report->epoch, report->n_epochs,
                report->loss, quality_name(run), report->train_quality);
        if (!isnan(report->test_quality)) {
            fprintf(stderr, "  test %s %.4f", quality_name(run), report->test_quality);
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
    const struct training_observer observer = {.epoch = on_epoch, .context = run};
    if (run->options->tune && tune(run, error) != 0) {
        return -1;
    }
    buffer_printf(&run->history, "epoch\tloss\ttrain_%s\ttest_%s\tseconds\n",
                  quality_name(run), quality_name(run));
    run->best.test_quality = (double)NAN;
    if (run->options->patience) {
        run->best_factors = factors_new(run->train, recipe_n_factors(&run->recipe));
        if (!run->best_factors) {
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
    if (recipe_check(&run->recipe, &error) != 0) {
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

static void set_number(double *setting, double option)
{
    if (!isnan(option)) {
        *setting = option;
    }
}

static void configure_als(const struct train_options *o, struct recipe *recipe)
{
    const int32_t k = o->factors ? (int32_t)o->factors : 20;
    struct als_config *als = &recipe->als;
    *als = als_config_default(
        strcmp(o->regularization, "count") == 0 ? ALS_COUNT : ALS_CONSTANT, k);
    als->n_epochs = o->epochs ? (int)o->epochs : als->n_epochs;
    als->lambda = o->lambda;
    set_number(&als->tau, o->tau);
    set_number(&als->tau_bias, o->tau_bias);
    set_number(&als->alpha, o->alpha);
    als->seed = (uint64_t)o->seed;
    als->n_threads = (int)o->threads;

    recipe->is_gibbs = o->gibbs > 0;
    recipe->gibbs = (struct gibbs_config){
        .n_factors = k,
        .n_burn_in = (int)o->burn_in,
        .n_draws = (int)o->gibbs,
        .n_kept = (int)(o->keep < o->gibbs ? o->keep : o->gibbs),
        .seed = (uint64_t)o->seed,
        .n_threads = (int)o->threads,
    };
}

static void configure_bpr(const struct train_options *o, struct bpr_config *bpr)
{
    *bpr = bpr_config_default();
    bpr->n_factors = o->factors ? (int32_t)o->factors : bpr->n_factors;
    bpr->n_epochs = o->epochs ? (int)o->epochs : bpr->n_epochs;
    bpr->learning_rate = o->learning_rate;
    set_number(&bpr->reg, o->reg);
    bpr->threshold = o->threshold;
    bpr->sampling = strcmp(o->sampling, "pairs") == 0 ? BPR_PAIRS : BPR_USERS;
    bpr->n_candidates = (int)o->candidates;
    bpr->seed = (uint64_t)o->seed;
    bpr->n_threads = (int)o->threads;
}

static void configure_ials(const struct train_options *o, struct ials_config *ials)
{
    *ials = ials_config_default();
    ials->n_factors = o->factors ? (int32_t)o->factors : ials->n_factors;
    ials->n_epochs = o->epochs ? (int)o->epochs : ials->n_epochs;
    ials->confidence = o->confidence;
    set_number(&ials->reg, o->reg);
    ials->nu = o->nu;
    ials->threshold = o->threshold;
    ials->seed = (uint64_t)o->seed;
    ials->n_threads = (int)o->threads;
}

/* Says what is wrong with how the options go together; 0 when nothing is. */
static int check_options(const struct train_options *o)
{
    if (strcmp(o->regularization, "constant") != 0 &&
        strcmp(o->regularization, "count") != 0) {
        complain("train", "--regularization is constant or count, not \"%s\"",
                 o->regularization);
    } else if (strcmp(o->sampling, "pairs") != 0 && strcmp(o->sampling, "users") != 0) {
        complain("train", "--sampling is users or pairs, not \"%s\"", o->sampling);
    } else if (o->test && o->test_fraction > 0) {
        complain("train", "--test names the held-out ratings, --test-fraction chooses "
                          "them: give one");
    } else if (o->patience && !o->test && o->test_fraction <= 0) {
        complain("train",
                 "--patience needs held-out ratings: --test-fraction or --test");
    } else if (o->gibbs && (o->tune || o->patience)) {
        complain("train", "--gibbs has nothing to tune and no best epoch: leave --tune "
                          "and --patience out");
    } else {
        return 0;
    }
    return -1;
}

/* Copies the options into the trainers' settings. */
static int configure(const struct train_options *o, const char *kind, struct run *run)
{
    run->options = o;
    if (strcmp(kind, "als") == 0) {
        run->recipe.kind = MODEL_ALS;
    } else if (strcmp(kind, "bpr") == 0) {
        run->recipe.kind = MODEL_BPR;
    } else if (strcmp(kind, "ials") == 0) {
        run->recipe.kind = MODEL_IALS;
    } else {
        complain("train", "no model \"%s\"; als, bpr or ials", kind);
        return -1;
    }
    if (!o->ratings || !o->model) {
        complain("train", "--ratings FILE and --model OUT are needed");
        return -1;
    }
    if (o->gibbs && run->recipe.kind != MODEL_ALS) {
        complain("train", "--gibbs is for als");
        return -1;
    }
    configure_als(o, &run->recipe);
    configure_bpr(o, &run->recipe.bpr);
    configure_ials(o, &run->recipe.ials);
    return check_options(o);
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
}

/* The options that say what goes in and out. */
#define N_FILE_OPTIONS 12
static void file_options(struct train_options *o, struct option_spec *specs)
{
    const struct option_spec options[N_FILE_OPTIONS] = {
        {"ratings", OPTION_TEXT, &o->ratings, "FILE", "what to learn from (needed)", 0,
         0},
        {"model", OPTION_TEXT, &o->model, "FILE", "where the model goes (needed)", 0,
         0},
        {"test-fraction", OPTION_NUMBER, &o->test_fraction, "F",
         "share of the ratings held out to measure", 0, 1},
        {"test", OPTION_TEXT, &o->test, "FILE", "held-out ratings, instead", 0, 0},
        {"seed", OPTION_INT, &o->seed, "N", "same seed, same bytes of model", 0, 9e18},
        {"threads", OPTION_INT, &o->threads, "N", "changes the speed only", 1, 1024},
        {"history", OPTION_TEXT, &o->history, "FILE", "loss and quality as TSV", 0, 0},
        {"tune", OPTION_INT, &o->tune, "N",
         "try N settings on a validation part, then train with the best", 0, 1e5},
        {"tune-table", OPTION_TEXT, &o->tune_table, "FILE", "what was tried, as TSV", 0,
         0},
        {"skip-bad", OPTION_FLAG, &o->skip_bad, NULL,
         "count bad lines instead of stopping at the first", 0, 0},
        {"quiet", OPTION_FLAG, &o->quiet, NULL, "no line per epoch", 0, 0},
        {"json", OPTION_FLAG, &o->json, NULL, "print the result as JSON", 0, 0},
    };
    memcpy(specs, options, sizeof options);
}

/* The options that say how to learn. */
#define N_MODEL_OPTIONS 18
static void model_options(struct train_options *o, struct option_spec *specs)
{
    const struct option_spec options[N_MODEL_OPTIONS] = {
        {"factors", OPTION_INT, &o->factors, "K", "length of a vector; 0: 20", 0,
         MODEL_MAX_FACTORS},
        {"epochs", OPTION_INT, &o->epochs, "N",
         "passes over the ratings; 0: the model's own", 0, 1e6},
        {"patience", OPTION_INT, &o->patience, "N",
         "stop when N epochs bring nothing on the held-out part, keep the best", 0,
         1e6},
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
        {"gibbs", OPTION_INT, &o->gibbs, "N",
         "als: average N draws of the Bayesian model", 0, 1e6},
        {"burn-in", OPTION_INT, &o->burn_in, "N", "gibbs: draws thrown away first", 0,
         1e6},
        {"keep", OPTION_INT, &o->keep, "N", "gibbs: draws that the model holds", 1,
         MODEL_MAX_FACTORS},
        {"learning-rate", OPTION_NUMBER, &o->learning_rate, "R", "bpr: size of a step",
         0, 1e3},
        {"reg", OPTION_NUMBER, &o->reg, "R",
         "bpr, ials: weight of a squared parameter (0.0025, 1.6)", 0, 1e3},
        {"sampling", OPTION_TEXT, &o->sampling, "users|pairs",
         "bpr: draw a user, then one of its positives; or a positive", 0, 0},
        {"candidates", OPTION_INT, &o->candidates, "N",
         "bpr: the negative is the best scored of N draws", 1, 1000},
        {"confidence", OPTION_NUMBER, &o->confidence, "C",
         "ials: what a positive weighs beyond 1", 0, 1e9},
        {"nu", OPTION_NUMBER, &o->nu, "N",
         "ials: power of the frequency in the regulariser", 0, 1},
        {"threshold", OPTION_NUMBER, &o->threshold, "R",
         "bpr, ials: ratings above it are positive", -1e9, 1e9},
    };
    memcpy(specs, options, sizeof options);
}

static int parse(int argc, char **argv, struct train_options *o, const char **kind)
{
    struct option_spec specs[N_FILE_OPTIONS + N_MODEL_OPTIONS];
    file_options(o, specs);
    model_options(o, specs + N_FILE_OPTIONS);
    const struct command_usage usage = {
        .command = "train",
        .arguments = "als|bpr|ials --ratings FILE --model OUT [options]",
        .summary =
            "Learns a model from ratings: als predicts ratings, bpr and ials order "
            "items.\ndocs/models.md has the equations. Each epoch's loss and quality "
            "go to standard error.",
        .options = specs,
        .n_options = N_FILE_OPTIONS + N_MODEL_OPTIONS,
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    return options_parse(&usage, argc, argv, kind, &n_arguments);
}

static struct train_options default_options(void)
{
    const struct als_config als = als_config_default(ALS_CONSTANT, 20);
    const struct bpr_config bpr = bpr_config_default();
    const struct ials_config ials = ials_config_default();
    const struct gibbs_config gibbs = gibbs_config_default();
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    return (struct train_options){
        .seed = (int64_t)als.seed,
        .threads = n_cores > 0 ? n_cores : 1,
        .regularization = "constant",
        .lambda = als.lambda,
        .tau = (double)NAN,
        .tau_bias = (double)NAN,
        .alpha = (double)NAN,
        .burn_in = gibbs.n_burn_in,
        .keep = gibbs.n_kept,
        .learning_rate = bpr.learning_rate,
        .reg = (double)NAN,
        .candidates = bpr.n_candidates,
        .confidence = ials.confidence,
        .nu = ials.nu,
        .threshold = bpr.threshold,
        .sampling = "users",
    };
}

int cmd_train(int argc, char **argv)
{
    struct train_options o = default_options();
    struct run run = {0};
    const char *kind = NULL;
    const int parsed = parse(argc, argv, &o, &kind);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    int status = EXIT_USAGE;
    if (configure(&o, kind, &run) == 0) {
        status = run_training(&o, &run);
    }
    release(&run);
    return finish_output("train", status);
}
