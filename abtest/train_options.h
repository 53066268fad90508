/* train_options.h - what `abtest train` can be told, and the recipe that it makes. */
#ifndef ABTEST_TRAIN_OPTIONS_H
#define ABTEST_TRAIN_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "abtest/recipe.h"

struct train_options {
    const char *ratings, *model, *test, *history, *tune_table;
    const char *catalogue;       /* movies.csv */
    const char *features, *tags; /* als: movies.csv, tags.csv */
    double test_fraction;
    int64_t factors, epochs, seed, threads; /* factors, epochs 0: the trainer's own */
    int64_t patience, tune, candidates;
    int64_t gibbs, burn_in, keep;
    const char *regularization;          /* als */
    double lambda, tau, tau_bias, alpha; /* als; NAN: as the regularisation has it */
    double feature_ridge;                /* als */
    double bias_rate, start, average;    /* bpr */
    double learning_rate, reg; /* bpr; reg also ials. NAN: the trainer's own */
    double confidence, nu;     /* ials */
    double threshold;
    const char *sampling;
    bool json, skip_bad, quiet;
};

/* Fills the options and the kind of model from the command line, as options_parse. */
int train_options_parse(int argc, char **argv, struct train_options *options,
                        const char **kind);

/* Makes the recipe. Returns 0, or -1 after it said what is wrong with the options. */
MUST_CHECK int train_options_recipe(const struct train_options *options,
                                    const char *kind, struct recipe *recipe);

#endif
