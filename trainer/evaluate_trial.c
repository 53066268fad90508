/* The inputs of an evaluation under one numbering. */
#include "trainer/evaluate_internal.h"

#include <math.h>
#include <stdlib.h>

/* Catalogue index of each id of `from`; ids that the model lacks are added to `extra`.
 */
static int number_items(const struct model *model, struct id_map *extra,
                        const struct ratings *from, int32_t *index)
{
    for (int32_t i = 0; i < from->n_items; i++) {
        const struct slice id = id_map_id(from->items, i);
        index[i] = model_find_item(model, id);
        if (index[i] < 0) {
            const int32_t at = id_map_add(extra, id);
            if (at == ID_NONE || at > INT32_MAX - model->n_items - 1) {
                return -1;
            }
            index[i] = model->n_items + at;
        }
    }
    return 0;
}

static int number_catalogue(struct trial *t)
{
    int rc = -1;
    struct id_map *extra = id_map_new();
    t->train_item = malloc(((size_t)t->train->n_items + 1) * sizeof *t->train_item);
    t->test_item = malloc(((size_t)t->test->n_items + 1) * sizeof *t->test_item);
    if (!extra || !t->train_item || !t->test_item ||
        number_items(t->model, extra, t->train, t->train_item) != 0 ||
        number_items(t->model, extra, t->test, t->test_item) != 0) {
        goto out;
    }
    t->n_catalogue = t->model->n_items + id_map_count(extra);
    t->item_train = malloc(((size_t)t->n_catalogue + 1) * sizeof *t->item_train);
    t->n_times_listed =
        malloc(((size_t)t->n_catalogue + 1) * sizeof *t->n_times_listed);
    t->item_mean = malloc(((size_t)t->n_catalogue + 1) * sizeof *t->item_mean);
    if (!t->item_train || !t->n_times_listed || !t->item_mean) {
        goto out;
    }
    for (int32_t i = 0; i < t->n_catalogue; i++) {
        t->item_train[i] = -1;
    }
    for (int32_t i = 0; i < t->train->n_items; i++) {
        t->item_train[t->train_item[i]] = i;
    }
    rc = 0;
out:
    id_map_free(extra);
    return rc;
}

static int find_people(struct trial *t)
{
    const size_t n = (size_t)t->test->n_users + 1;
    t->people = malloc(n * sizeof *t->people);
    t->ranked = malloc(n * sizeof *t->ranked);
    t->outcomes = malloc(n * sizeof *t->outcomes);
    if (!t->people || !t->ranked || !t->outcomes) {
        return -1;
    }
    for (int32_t p = 0; p < t->test->n_users; p++) {
        const struct slice id = id_map_id(t->test->users, p);
        const int64_t n_ratings = t->test->user_start[p + 1] - t->test->user_start[p];
        t->people[p] = (struct person){model_find_user(t->model, id),
                                       id_map_find(t->train->users, id), p};
        if (t->people[p].model_user >= 0) {
            t->ranked[t->n_ranked++] = p;
        } else {
            t->report->n_unknown_users++;
        }
        if (n_ratings > t->max_positives) {
            t->max_positives = (int32_t)n_ratings;
        }
    }
    return 0;
}

int64_t evaluate_n_trained(const struct trial *t, int32_t catalogue_item)
{
    const int32_t i = t->item_train[catalogue_item];
    return i < 0 ? 0 : t->train->item_start[i + 1] - t->train->item_start[i];
}

static double mean_training_rating(const struct trial *t, int32_t catalogue_item)
{
    const int32_t i = t->item_train[catalogue_item];
    const int64_t n = evaluate_n_trained(t, catalogue_item);
    double sum = 0;
    if (n == 0) {
        return t->mean_rating;
    }
    for (int64_t at = t->train->item_start[i]; at < t->train->item_start[i + 1]; at++) {
        sum += (double)t->train->item_rating[at];
    }
    return sum / (double)n;
}

static void summarize_training(struct trial *t)
{
    double user_bias = 0, item_bias = 0;
    int64_t n_user = 0, n_item = 0;
    t->lowest = INFINITY;
    t->highest = -INFINITY;
    for (int64_t at = 0; at < t->train->n_ratings; at++) {
        const double r = (double)t->train->user_rating[at];
        t->lowest = r < t->lowest ? r : t->lowest;
        t->highest = r > t->highest ? r : t->highest;
    }
    for (int32_t u = 0; u < t->train->n_users; u++) {
        const int32_t m = model_find_user(t->model, id_map_id(t->train->users, u));
        const int64_t n = t->train->user_start[u + 1] - t->train->user_start[u];
        if (m >= 0) {
            user_bias += (double)n * (double)t->model->user_bias[m];
            n_user += n;
        }
    }
    for (int32_t i = 0; i < t->train->n_items; i++) {
        const int64_t n = t->train->item_start[i + 1] - t->train->item_start[i];
        if (t->train_item[i] < t->model->n_items) {
            item_bias += (double)n * (double)t->model->item_bias[t->train_item[i]];
            n_item += n;
        }
    }
    t->mean_rating = ratings_mean(t->train);
    t->mean_user_bias = n_user ? user_bias / (double)n_user : 0;
    t->mean_item_bias = n_item ? item_bias / (double)n_item : 0;
    for (int32_t i = 0; i < t->n_catalogue; i++) {
        t->item_mean[i] = mean_training_rating(t, i);
    }
    for (int64_t at = 0; at < t->test->n_ratings; at++) {
        t->report->n_unknown_items +=
            t->test_item[t->test->user_item[at]] >= t->model->n_items;
    }
}

/* Counts the test pairs that are training pairs too. */
static void count_leaks(struct trial *t)
{
    for (int32_t p = 0; p < t->test->n_users; p++) {
        const int32_t u = t->people[p].train_user;
        for (int64_t at = t->test->user_start[p];
             u >= 0 && at < t->test->user_start[p + 1]; at++) {
            const int32_t item = t->item_train[t->test_item[t->test->user_item[at]]];
            t->report->n_in_training +=
                item >= 0 && !isnan(ratings_get(t->train, u, item));
        }
    }
}

int evaluate_trial_init(struct trial *t)
{
    if (number_catalogue(t) != 0 || find_people(t) != 0) {
        return -1;
    }
    summarize_training(t);
    count_leaks(t);
    return 0;
}

void evaluate_trial_release(struct trial *t)
{
    free(t->train_item);
    free(t->test_item);
    free(t->item_train);
    free(t->item_mean);
    free(t->people);
    free(t->ranked);
    free(t->outcomes);
    free(t->n_times_listed);
}
