#include "abtest/train_options.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/buffer.h"

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
    als->feature_ridge = o->feature_ridge;
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
    bpr->bias_rate = o->bias_rate;
    bpr->start_sd = o->start;
    bpr->average = o->average;
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
    } else if (o->tune_table && !o->tune) {
        complain("train", "--tune-table is what --tune N tried: give that too");
    } else if (o->feature_ridge != als_config_default(ALS_COUNT, 1).feature_ridge &&
               !o->features && !o->tags) {
        complain("train", "--feature-ridge needs --features or --tags");
    } else if (o->gibbs && (o->tune || o->patience)) {
        complain("train", "--gibbs has nothing to tune and no best epoch: leave --tune "
                          "and --patience out");
    } else if (o->gibbs && (o->features || o->tags)) {
        complain("train", "--gibbs learns from ratings alone: leave --features and "
                          "--tags out");
    } else {
        return 0;
    }
    return -1;
}

/* Copies the options into the trainers' settings. */
int train_options_recipe(const struct train_options *o, const char *kind,
                         struct recipe *recipe)
{
    if (strcmp(kind, "als") == 0) {
        recipe->kind = MODEL_ALS;
    } else if (strcmp(kind, "bpr") == 0) {
        recipe->kind = MODEL_BPR;
    } else if (strcmp(kind, "ials") == 0) {
        recipe->kind = MODEL_IALS;
    } else {
        complain("train", "no model \"%s\"; als, bpr or ials", kind);
        return -1;
    }
    if (!o->ratings || !o->model) {
        complain("train", "--ratings FILE and --model OUT are needed");
        return -1;
    }
    if ((o->gibbs || o->features || o->tags) && recipe->kind != MODEL_ALS) {
        complain("train", "%s is for als", o->gibbs ? "--gibbs" : "--features");
        return -1;
    }
    configure_als(o, recipe);
    configure_bpr(o, &recipe->bpr);
    configure_ials(o, &recipe->ials);
    return check_options(o);
}

/* The options that say what goes in and out. */
#define N_FILE_OPTIONS 15
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
        {"catalogue", OPTION_TEXT, &o->catalogue, "FILE",
         "movies.csv: items that nobody rated join the model", 0, 0},
        {"features", OPTION_TEXT, &o->features, "FILE",
         "als: movies.csv, whose genres say where an item is expected", 0, 0},
        {"tags", OPTION_TEXT, &o->tags, "FILE", "als: tags.csv, likewise", 0, 0},
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
#define N_MODEL_OPTIONS 22
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
        {"feature-ridge", OPTION_NUMBER, &o->feature_ridge, "R",
         "als: how much the map from features is held towards 0", 0, 1e9},
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
        {"bias-rate", OPTION_NUMBER, &o->bias_rate, "S",
         "bpr: step of an item's bias in learning rates", 0, 1e3},
        {"start", OPTION_NUMBER, &o->start, "SD",
         "bpr: standard deviation of the factors at the start", 0, 1e3},
        {"average", OPTION_NUMBER, &o->average, "F",
         "bpr: average over this share of the epochs, the last ones", 0, 1},
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

/* Who heeds an option; those that are not here are for all. */
enum { FOR_ALS = 1, FOR_GIBBS = 2, FOR_BPR = 4, FOR_IALS = 8 };
static const char *const learner_names[] = {"als", "als --gibbs", "bpr", "ials"};
#define N_LEARNERS (sizeof learner_names / sizeof learner_names[0])

static const struct {
    const char *option;
    unsigned learners;
} heeded_by[] = {
    {"epochs", FOR_ALS | FOR_BPR | FOR_IALS},
    {"lambda", FOR_ALS},
    {"regularization", FOR_ALS},
    {"tau", FOR_ALS},
    {"tau-bias", FOR_ALS},
    {"alpha", FOR_ALS},
    {"feature-ridge", FOR_ALS},
    {"burn-in", FOR_GIBBS},
    {"keep", FOR_GIBBS},
    {"learning-rate", FOR_BPR},
    {"bias-rate", FOR_BPR},
    {"start", FOR_BPR},
    {"average", FOR_BPR},
    {"sampling", FOR_BPR},
    {"candidates", FOR_BPR},
    {"confidence", FOR_IALS},
    {"nu", FOR_IALS},
    {"reg", FOR_BPR | FOR_IALS},
    {"threshold", FOR_BPR | FOR_IALS},
};

static unsigned heeded_by_whom(const char *option)
{
    for (size_t i = 0; i < sizeof heeded_by / sizeof heeded_by[0]; i++) {
        if (strcmp(heeded_by[i].option, option) == 0) {
            return heeded_by[i].learners;
        }
    }
    return ~0U;
}

/* Whether the option holds something else than it does by default. */
static bool is_changed(const struct option_spec *spec, const struct option_spec *before)
{
    switch (spec->type) {
    case OPTION_TEXT:
        return *(const char **)spec->value != *(const char **)before->value;
    case OPTION_INT:
        return *(int64_t *)spec->value != *(int64_t *)before->value;
    case OPTION_NUMBER:
        return !isnan(*(double *)spec->value) &&
               *(double *)spec->value != *(double *)before->value;
    case OPTION_FLAG:
    case OPTION_LIST:
        break;
    }
    return false;
}

/* An option that the model would pass over in silence is a mistake of who gave it. */
static int refuse_unheeded(const struct option_spec *specs,
                           const struct option_spec *defaults, int n_specs,
                           unsigned learner)
{
    for (int i = 0; i < n_specs; i++) {
        const unsigned whom = heeded_by_whom(specs[i].name);
        if ((whom & learner) || !is_changed(&specs[i], &defaults[i])) {
            continue;
        }
        const char *chosen = "";
        struct buffer names = {0};
        for (size_t l = 0; l < N_LEARNERS; l++) {
            if (whom & (1U << l)) {
                buffer_printf(&names, "%s%s", names.len ? ", " : "", learner_names[l]);
            }
            chosen = learner == 1U << l ? learner_names[l] : chosen;
        }
        complain("train", "--%s has no part in %s, it is for %.*s: leave it out",
                 specs[i].name, chosen, (int)names.len, names.len ? names.data : "");
        buffer_free(&names);
        return -1;
    }
    return 0;
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
        .feature_ridge = als.feature_ridge,
        .tau = (double)NAN,
        .tau_bias = (double)NAN,
        .alpha = (double)NAN,
        .burn_in = gibbs.n_burn_in,
        .keep = gibbs.n_kept,
        .learning_rate = bpr.learning_rate,
        .bias_rate = bpr.bias_rate,
        .start = bpr.start_sd,
        .average = bpr.average,
        .reg = (double)NAN,
        .candidates = bpr.n_candidates,
        .confidence = ials.confidence,
        .nu = ials.nu,
        .threshold = bpr.threshold,
        .sampling = "users",
    };
}

/* 0 for a name that is none; train_options_recipe says so. */
static unsigned learner_of(const char *kind, const struct train_options *o)
{
    if (strcmp(kind, "als") == 0) {
        return o->gibbs ? FOR_GIBBS : FOR_ALS;
    }
    return strcmp(kind, "bpr") == 0    ? FOR_BPR
           : strcmp(kind, "ials") == 0 ? FOR_IALS
                                       : 0;
}

#define N_OPTIONS (N_FILE_OPTIONS + N_MODEL_OPTIONS)

int train_options_parse(int argc, char **argv, struct train_options *o,
                        const char **kind)
{
    struct train_options unchanged = default_options();
    struct option_spec specs[N_OPTIONS], defaults[N_OPTIONS];
    *o = unchanged;
    file_options(o, specs);
    model_options(o, specs + N_FILE_OPTIONS);
    file_options(&unchanged, defaults);
    model_options(&unchanged, defaults + N_FILE_OPTIONS);
    const struct command_usage usage = {
        .command = "train",
        .arguments = "als|bpr|ials --ratings FILE --model OUT [options]",
        .summary =
            "Learns a model from ratings: als predicts ratings, bpr and ials order "
            "items.\ndocs/models.md has the equations. Each epoch's loss and quality "
            "go to standard error.",
        .options = specs,
        .n_options = N_OPTIONS,
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, kind, &n_arguments);
    const unsigned learner = parsed == OPTIONS_RUN ? learner_of(*kind, o) : 0;
    if (learner && refuse_unheeded(specs, defaults, N_OPTIONS, learner) != 0) {
        return EXIT_USAGE;
    }
    return parsed;
}
