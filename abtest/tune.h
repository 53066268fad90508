/* tune.h - a small seeded search over a trainer's settings. */
#ifndef ABTEST_TUNE_H
#define ABTEST_TUNE_H

#include "abtest/recipe.h"
#include "common/buffer.h"

struct tune_options {
    int n_trials;        /* > 0; the first is the recipe as it was given */
    double fraction;     /* of the training ratings, held out to choose by */
    uint64_t seed;       /* of that split and of the settings tried */
    const char *command; /* for messages; NULL: none */
};

/* Replaces the settings of `recipe`, number of epochs included, by those that did best
 * on a validation split of `train` (held-out test ratings must not be in it). Draws
 * settings at random around what is sensible for the kind of model: random search needs
 * fewer trials than a grid where few settings matter (Bergstra & Bengio, JMLR 13 (2012)
 * 281). Appends a TSV line a trial, header first, to `table`. */
MUST_CHECK int tune_recipe(const struct tune_options *options,
                           const struct ratings *train, struct recipe *recipe,
                           struct buffer *table, struct error *error);

#endif
