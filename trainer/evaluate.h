/* evaluate.h - how good a model is on ratings that it has not seen, beside two
 * baselines that have learned nothing about taste.
 *
 * Ids tie the three inputs together: the model, the training ratings (what a user has
 * rated is not a candidate) and the test ratings.
 *
 * Error of predicted ratings, over all test pairs; only for explicit models:
 *   RMSE, MAE of rating - (mean + b_u + x_u . y_i + b_i); `rmse_clipped` holds the
 *   prediction within the lowest and highest training rating first. A user or an item
 *   that the model does not know has a zero vector and the bias that the average
 *   training rating has.
 *
 * Ranking, mean over the users whom the model knows and who have a positive, a test
 * rating above `threshold` (ranking.h has the formulas). The catalogue is every item of
 * the model, of the training and of the test ratings.
 *
 * What the lists of the first k items look like, over the same users:
 *   coverage  share of the catalogue that is in some list;
 *   Gini      of how often each item of the catalogue is listed: 0 all equally often, 1
 *             only one item; sum_j (2 j - n - 1) x_(j) / (n sum x), x ascending;
 *   novelty   mean over list places of log2(n_users / max(1, training ratings of the
 *             item)), in bits (Zhou et al., PNAS 107 (2010) 4511).
 *
 * Baselines: popularity scores an item by its number of training ratings; item mean by
 * its mean training rating, the mean of all where it has none.
 *
 * Users are scored in blocks of fixed size by one matrix product each, and sums run in
 * user order: the same result at any number of threads.
 */
#ifndef TRAINER_EVALUATE_H
#define TRAINER_EVALUATE_H

#include <stdint.h>

#include "common/error.h"
#include "trainer/model.h"
#include "trainer/ratings.h"

struct evaluate_config {
    int64_t k;         /* of NDCG, MAP, coverage, Gini, novelty; in [1, 1000] */
    int64_t recall_k;  /* in [1, 1000] */
    double threshold;  /* a test rating above it is a positive */
    double item_bias;  /* weight of the item bias in the ranking; 1 = as trained */
    int64_t n_threads; /* 0: one a core */
};

struct evaluate_metrics {
    int64_t n_pairs;                    /* test ratings in rmse and mae */
    double rmse, rmse_clipped, mae;     /* stars; NAN: the scores are not ratings */
    int64_t n_users;                    /* users in the means below; NAN when 0 */
    double auc, ndcg, recall, map, mrr; /* in [0, 1] */
    double coverage, gini, novelty;     /* NAN in slices */
};

/* How far predicted ratings are off, over some test pairs. */
struct evaluate_errors {
    int64_t n_pairs;
    double rmse, rmse_clipped,
        mae; /* stars; NAN: no pairs, or scores are not ratings */
};

/* Slices begin where these say and end before the next begins: users by how many
 * training ratings they have, pairs by how many their item has. */
#define EVALUATE_N_SLICES      6
#define EVALUATE_N_ITEM_SLICES 6
extern const int64_t evaluate_slice_first[EVALUATE_N_SLICES];
extern const int64_t evaluate_item_slice_first[EVALUATE_N_ITEM_SLICES];

/* Predictive intervals of a model that holds draws (draws.h): score -+ quantile x
 * standard deviation. */
#define EVALUATE_N_LEVELS 3
extern const double evaluate_level[EVALUATE_N_LEVELS]; /* what they should hold */

struct evaluate_intervals {
    int64_t n_pairs;                      /* of users and items that the model knows */
    double within[EVALUATE_N_LEVELS];     /* share of the ratings that they do hold */
    double mean_width[EVALUATE_N_LEVELS]; /* stars */
    double mean_score_sd; /* how sure the model is of the expected rating, stars */
    double noise;         /* and how far ratings lie around that */
};

struct evaluate_subject {
    const char *name; /* "als", "popularity", "item mean"; static */
    struct evaluate_metrics all;
    struct evaluate_metrics slice[EVALUATE_N_SLICES];
    struct evaluate_errors item_slice[EVALUATE_N_ITEM_SLICES];
};

#define EVALUATE_N_SUBJECTS 3

struct evaluate_report {
    struct evaluate_subject subject[EVALUATE_N_SUBJECTS]; /* the model first */
    struct evaluate_intervals intervals; /* n_pairs is 0: the model holds no draws */
    int32_t n_catalogue;                 /* items */
    int64_t n_test;                      /* test ratings */
    int64_t n_unknown_users; /* users in the test whom the model does not know */
    int64_t n_unknown_items; /* test ratings of items that the model does not know */
    int64_t n_in_training;   /* test pairs that are training pairs too: not ranked */
};

struct evaluate_config evaluate_config_default(void);

/* Fails with ERROR_INVALID (setting out of range, empty test set) or ERROR_NOMEM.
 * Borrows everything for the call. */
MUST_CHECK int evaluate(const struct model *model, const struct ratings *train,
                        const struct ratings *test,
                        const struct evaluate_config *config,
                        struct evaluate_report *report, struct error *error);

#endif
