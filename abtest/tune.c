#include "abtest/tune.h"

#include <math.h>
#include <stdio.h>

#include "common/rng.h"

#define PATIENCE 3 /* epochs without progress that end a trial */

struct trial {
    const struct recipe *recipe;
    double best; /* quality on the validation part */
    int best_epoch;
    int n_worse;
};

static bool note_epoch(void *context, const struct epoch_report *report)
{
    struct trial *trial = context;
    if (recipe_is_better(trial->recipe, report->test_quality, trial->best)) {
        trial->best = report->test_quality;
        trial->best_epoch = report->epoch;
        trial->n_worse = 0;
    } else {
        trial->n_worse++;
    }
    return trial->n_worse < PATIENCE;
}

/* Uniform on a logarithmic scale. */
static double log_uniform(struct rng *rng, double low, double high)
{
    return low * pow(high / low, rng_uniform(rng));
}

/* Draws the settings of one trial. Not the share of BPR's epochs that are averaged: it
 * counts from the last epoch, which a trial that ends early does not reach. */
static void draw_settings(struct recipe *recipe, struct rng *rng)
{
    const int32_t k = (int32_t)(log_uniform(rng, 8, 64) + 0.5);
    switch (recipe->kind) {
    case MODEL_ALS:
        recipe->als.n_factors = k;
        recipe->als.has_mean = true;
        recipe->als.alpha = rng_uniform(rng);
        recipe->als.tau = log_uniform(rng, 0.2, 20);
        recipe->als.tau_bias = log_uniform(rng, 0.2, 5);
        if (recipe->als.features) {
            recipe->als.feature_ridge = log_uniform(rng, 10, 1000);
        }
        break;
    case MODEL_BPR:
        recipe->bpr.n_factors = k;
        recipe->bpr.learning_rate = log_uniform(rng, 0.01, 0.2);
        recipe->bpr.reg = log_uniform(rng, 1e-4, 0.03);
        recipe->bpr.sampling = rng_below(rng, 2) ? BPR_PAIRS : BPR_USERS;
        recipe->bpr.bias_rate = log_uniform(rng, 0.1, 1);
        recipe->bpr.start_sd = log_uniform(rng, 0.005, 0.2);
        recipe->bpr.n_candidates = 1 + (int)rng_below(rng, 3);
        break;
    case MODEL_IALS:
        recipe->ials.n_factors = k;
        recipe->ials.confidence = log_uniform(rng, 0.5, 50);
        recipe->ials.nu = rng_uniform(rng);
        recipe->ials.reg = log_uniform(rng, 0.3, 30) /
                           pow(1000, recipe->ials.nu); /* a ridge of 0.3 to 30 or so */
        break;
    }
}

static void set_epochs(struct recipe *recipe, int n_epochs)
{
    recipe->als.n_epochs = recipe->bpr.n_epochs = recipe->ials.n_epochs = n_epochs;
}

static void append_row(const struct trial *trial, int number, struct buffer *table)
{
    buffer_printf(table, "%d\t%.9g\t%d\t", number, trial->best, trial->best_epoch);
    const size_t at = table->len;
    recipe_append_settings(trial->recipe, table);
    if (!table->failed) {
        table->data[at] = '{'; /* it was a comma */
    }
    buffer_append_text(table, "}\n");
}

static int run_trial(const struct recipe *recipe, const struct ratings *fit,
                     const struct ratings *validation, struct trial *trial,
                     struct error *error)
{
    struct factors *factors = NULL;
    const struct training_observer observer = {.epoch = note_epoch, .context = trial};
    *trial = (struct trial){.recipe = recipe, .best = (double)NAN};
    if (recipe_train(recipe, fit, validation, &observer, &factors, error) != 0) {
        return -1;
    }
    factors_free(factors);
    return 0;
}

static int search(const struct tune_options *options, const struct ratings *fit,
                  const struct ratings *validation, struct recipe *recipe,
                  struct buffer *table, struct error *error)
{
    struct rng rng;
    struct recipe best = *recipe;
    double best_quality = (double)NAN;
    int best_epoch = 0;
    rng_init(&rng, options->seed, 1);
    buffer_printf(table, "trial\tvalidation_%s\tepochs\tsettings\n",
                  recipe_quality_name(recipe));
    for (int t = 0; t < options->n_trials; t++) {
        struct recipe tried = *recipe;
        struct trial trial;
        if (t > 0) {
            draw_settings(&tried, &rng);
        }
        const size_t begin = table->len;
        if (run_trial(&tried, fit, validation, &trial, error) != 0) {
            if (error->code != ERROR_NUMERIC) {
                return -1;
            }
            continue; /* settings that diverge are only bad settings */
        }
        append_row(&trial, t + 1, table);
        if (options->command && !table->failed) {
            fprintf(stderr, "%.*s", (int)(table->len - begin), table->data + begin);
        }
        if (recipe_is_better(recipe, trial.best, best_quality)) {
            best = tried;
            best_quality = trial.best;
            best_epoch = trial.best_epoch;
        }
    }
    *recipe = best;
    set_epochs(recipe, best_epoch);
    return 0;
}

int tune_recipe(const struct tune_options *options, const struct ratings *train,
                struct recipe *recipe, struct buffer *table, struct error *error)
{
    struct ratings *fit = NULL, *validation = NULL;
    /* Another seed than that of the test split: with the same one, and a larger
     * fraction than was held out, the hash would choose nothing new. */
    if (split_ratings(train, options->fraction, options->seed + 0x5EED, &fit,
                      &validation, error) != 0) {
        return -1;
    }
    const int rc = search(options, fit, validation, recipe, table, error);
    ratings_free(fit);
    ratings_free(validation);
    return rc;
}
