/* evaluate_internal.h - what the files of evaluate.h share. */
#ifndef TRAINER_EVALUATE_INTERNAL_H
#define TRAINER_EVALUATE_INTERNAL_H

#include <stdbool.h>
#include <stdint.h>

#include "trainer/draws.h"
#include "trainer/evaluate.h"
#include "trainer/ranking.h"

/* One user of the test ratings; -1 where an id is not known. */
struct person {
    int32_t model_user, train_user, test_user;
};

/* Sums over test pairs. */
struct error_sums {
    int64_t n;
    double squared, squared_clipped, absolute;
};

struct interval_sums {
    int64_t n, n_within[EVALUATE_N_LEVELS];
    double sd, width[EVALUATE_N_LEVELS];
};

/* What a subject made of one person. */
struct outcome {
    struct error_sums errors[EVALUATE_N_ITEM_SLICES];
    struct interval_sums intervals;
    bool is_ranked;
    struct ranking_metrics metrics;
    int32_t n_listed;
    double novelty; /* sum over the list */
};

/* The inputs under one numbering of items, the catalogue: the model's first. */
struct trial {
    const struct model *model;
    const struct ratings *train, *test;
    const struct evaluate_config *config;
    const struct draws *draws; /* of the model, or NULL */
    int32_t n_catalogue;
    int32_t *train_item;   /* (train->n_items) catalogue index */
    int32_t *test_item;    /* (test->n_items) */
    int32_t *item_train;   /* (n_catalogue) index in train, or -1 */
    double *item_mean;     /* (n_catalogue) of the training ratings */
    struct person *people; /* (test->n_users) */
    int32_t *ranked;       /* (n_ranked) people whom the model knows */
    int32_t n_ranked;
    int32_t max_positives;
    double mean_rating, lowest, highest;   /* of the training ratings */
    double mean_user_bias, mean_item_bias; /* over the training ratings */
    struct outcome *outcomes;              /* (test->n_users), per subject */
    int32_t *n_times_listed;               /* (n_catalogue), per subject */
    struct evaluate_report *report;
};

/* How a subject scores: the model by [user vector, item_bias] . items[i], a baseline by
 * items[i]. */
struct scorer {
    const char *name;
    bool is_model;
    bool predicts_ratings;
    int32_t n_known;   /* the first items of the catalogue; the rest have no score */
    int32_t n_columns; /* factors + 1 */
    float *items;      /* (n_known, n_columns) */
    struct ranking_order order; /* of a baseline, which scores the same for everybody */
};

/* Numbers the catalogue, finds the people, sums up the training ratings and counts the
 * leaks. Returns -1 when memory ran out; release in any case. */
int evaluate_trial_init(struct trial *t);
void evaluate_trial_release(struct trial *t);

/* Ratings that the item has in training. */
int64_t evaluate_n_trained(const struct trial *t, int32_t catalogue_item);

/* The last slice that begins at `n` or before. */
int evaluate_slice_of(const int64_t *first, int n_slices, int64_t n);

/* Measures all people with one scorer into t->outcomes and t->n_times_listed. Returns
 * -1 when memory ran out. */
int evaluate_measure(struct trial *t, const struct scorer *s, int n_threads);

#endif
