#include "trainer/evaluate.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/ranking.h"

/* Fixed, so that which users share a matrix product never depends on the threads. */
#define BLOCK_USERS 32

const int64_t evaluate_slice_first[EVALUATE_N_SLICES] = {0, 20, 50, 100, 200, 500};

/* One user of the test ratings; -1 where an id is not known. */
struct person {
    int32_t model_user, train_user, test_user;
};

/* What a subject made of one person. */
struct outcome {
    int64_t n_pairs;
    double squared, squared_clipped, absolute; /* sums over the pairs */
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

struct workspace {
    float *users;  /* (BLOCK_USERS, n_columns) */
    float *scores; /* (BLOCK_USERS, n_known) */
    int32_t *excluded, *positives;
    int32_t *stamp; /* (n_catalogue): last person who rated the item in training, + 1 */
    struct ranking_scratch scratch;
};

struct evaluate_config evaluate_config_default(void)
{
    return (struct evaluate_config){
        .k = 10, .recall_k = 20, .threshold = 2.5, .item_bias = 1, .n_threads = 0};
}

static int no_memory(struct error *error)
{
    error_set(error, ERROR_NOMEM, "evaluate: no memory");
    return -1;
}

/* ---- one numbering for three inputs ---- */

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

static int64_t n_trained(const struct trial *t, int32_t catalogue_item)
{
    const int32_t i = t->item_train[catalogue_item];
    return i < 0 ? 0 : t->train->item_start[i + 1] - t->train->item_start[i];
}

static double mean_training_rating(const struct trial *t, int32_t catalogue_item)
{
    const int32_t i = t->item_train[catalogue_item];
    const int64_t n = n_trained(t, catalogue_item);
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

/* ---- scorers ---- */

static int scorer_of_model(struct scorer *s, const struct trial *t)
{
    const struct model *m = t->model;
    const size_t k = (size_t)m->n_factors;
    *s = (struct scorer){.name = model_kind_name(m->kind),
                         .is_model = true,
                         .predicts_ratings = m->kind == MODEL_ALS,
                         .n_known = m->n_items,
                         .n_columns = m->n_factors + 1};
    s->items = malloc(((size_t)m->n_items * (k + 1) + 1) * sizeof *s->items);
    if (!s->items) {
        return -1;
    }
    for (size_t i = 0; i < (size_t)m->n_items; i++) {
        memcpy(s->items + i * (k + 1), m->item_factors + i * k, k * sizeof *s->items);
        s->items[i * (k + 1) + k] = m->item_bias[i];
    }
    return 0;
}

static int scorer_of_items(struct scorer *s, const struct trial *t, const char *name,
                           bool predicts_ratings)
{
    const size_t n = (size_t)t->n_catalogue + 1;
    *s = (struct scorer){.name = name,
                         .predicts_ratings = predicts_ratings,
                         .n_known = t->n_catalogue,
                         .n_columns = 1};
    s->items = malloc(n * sizeof *s->items);
    s->order.by_score = malloc(n * sizeof *s->order.by_score);
    s->order.position = malloc(n * sizeof *s->order.position);
    s->order.doubled_below = malloc(n * sizeof *s->order.doubled_below);
    struct ranking_scored *scratch = malloc(n * sizeof *scratch);
    if (!s->items || !s->order.by_score || !s->order.position ||
        !s->order.doubled_below || !scratch) {
        free(scratch);
        return -1;
    }
    for (int32_t i = 0; i < t->n_catalogue; i++) {
        s->items[i] =
            (float)(predicts_ratings ? t->item_mean[i] : (double)n_trained(t, i));
    }
    ranking_sort(s->items, t->n_catalogue, scratch, &s->order);
    /* measure_all releases the scorer, failed or not, which the analyzer does not see.
     */
    free(scratch); /* NOLINT(clang-analyzer-unix.Malloc) */
    return 0;
}

static void scorer_release(struct scorer *s)
{
    free(s->items);
    free(s->order.by_score);
    free(s->order.position);
    free(s->order.doubled_below);
}

/* ---- ratings predicted ---- */

static double predict(const struct trial *t, const struct scorer *s,
                      const struct person *person, int32_t item)
{
    const struct model *m = t->model;
    if (!s->predicts_ratings) {
        return (double)NAN;
    }
    if (!s->is_model) {
        return t->item_mean[item];
    }
    if (person->model_user >= 0 && item < m->n_items) {
        return model_score(m, person->model_user, item, 1);
    }
    return (double)m->mean +
           (person->model_user >= 0 ? (double)m->user_bias[person->model_user]
                                    : t->mean_user_bias) +
           (item < m->n_items ? (double)m->item_bias[item] : t->mean_item_bias);
}

static void measure_errors(const struct trial *t, const struct scorer *s,
                           const struct person *person, struct outcome *o)
{
    const int64_t end = t->test->user_start[person->test_user + 1];
    for (int64_t at = t->test->user_start[person->test_user]; at < end; at++) {
        const double rating = (double)t->test->user_rating[at];
        const double predicted =
            predict(t, s, person, t->test_item[t->test->user_item[at]]);
        const double clipped =
            isnan(predicted) ? predicted : fmin(fmax(predicted, t->lowest), t->highest);
        o->squared += (rating - predicted) * (rating - predicted);
        o->squared_clipped += (rating - clipped) * (rating - clipped);
        o->absolute += fabs(rating - predicted);
        o->n_pairs++;
    }
}

/* ---- rankings ---- */

/* Splits what the person rated into excluded items and positives, known and unknown. */
static void gather_case(const struct trial *t, const struct scorer *s,
                        const struct person *person, struct workspace *w,
                        struct ranking_case *c)
{
    const struct ratings *train = t->train, *test = t->test;
    const int32_t mark = person->test_user + 1;
    c->n_items = s->n_known;
    c->n_unknown = t->n_catalogue - s->n_known;
    c->excluded = w->excluded;
    c->positives = w->positives;
    if (person->train_user >= 0) {
        const int64_t end = train->user_start[person->train_user + 1];
        for (int64_t at = train->user_start[person->train_user]; at < end; at++) {
            const int32_t i = t->train_item[train->user_item[at]];
            w->stamp[i] = mark;
            if (i < s->n_known) {
                w->excluded[c->n_excluded++] = i;
            } else {
                c->n_unknown--;
            }
        }
    }
    const int64_t end = test->user_start[person->test_user + 1];
    for (int64_t at = test->user_start[person->test_user]; at < end; at++) {
        const int32_t i = t->test_item[test->user_item[at]];
        if (!((double)test->user_rating[at] > t->config->threshold) ||
            w->stamp[i] == mark) {
            continue;
        }
        if (i < s->n_known) {
            w->positives[c->n_positives++] = i;
        } else {
            c->n_unknown_positives++;
        }
    }
}

static void measure_ranking(const struct trial *t, const struct scorer *s,
                            int32_t person, struct workspace *w, float *scores)
{
    const struct ranking_cutoffs cut = {(int32_t)t->config->k,
                                        (int32_t)t->config->recall_k};
    struct ranking_case c = {.scores = scores, .order = s->is_model ? NULL : &s->order};
    struct outcome *o = &t->outcomes[person];
    gather_case(t, s, &t->people[person], w, &c);
    if (c.n_positives + c.n_unknown_positives == 0) {
        return;
    }
    ranking_measure(&c, &cut, &w->scratch, &o->metrics);
    o->is_ranked = true;
    o->n_listed = w->scratch.n_top < cut.k ? w->scratch.n_top : cut.k;
    for (int32_t r = 0; r < o->n_listed; r++) {
        const int32_t item = w->scratch.top[r];
        const int64_t n = n_trained(t, item);
        o->novelty += log2((double)t->train->n_users / (double)(n ? n : 1));
#pragma omp atomic
        t->n_times_listed[item]++;
    }
}

/* All users of a block by one matrix product. */
static void score_block(const struct trial *t, const struct scorer *s, int32_t first,
                        int32_t n, struct workspace *w)
{
    const size_t k = (size_t)t->model->n_factors;
    for (int32_t j = 0; j < n; j++) {
        const size_t user = (size_t)t->people[t->ranked[first + j]].model_user;
        float *row = w->users + (size_t)j * (k + 1);
        memcpy(row, t->model->user_factors + user * k, k * sizeof *row);
        row[k] = (float)t->config->item_bias;
    }
    if (s->n_known > 0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, s->n_known,
                    s->n_columns, 1, w->users, s->n_columns, s->items, s->n_columns, 0,
                    w->scores, s->n_known);
    }
}

static void measure_block(const struct trial *t, const struct scorer *s, int32_t block,
                          struct workspace *w)
{
    const int32_t first = block * BLOCK_USERS;
    const int32_t left = t->n_ranked - first;
    const int32_t n = left < BLOCK_USERS ? left : BLOCK_USERS;
    if (s->is_model) {
        score_block(t, s, first, n, w);
    }
    for (int32_t j = 0; j < n; j++) {
        /* A baseline's row is shared; the measuring leaves it as it was. */
        const size_t row = s->is_model ? (size_t)j : 0;
        measure_ranking(t, s, t->ranked[first + j], w,
                        w->scores + row * (size_t)s->n_known);
    }
}

static void workspaces_free(struct workspace *w, int n)
{
    for (int i = 0; w && i < n; i++) {
        free(w[i].users);
        free(w[i].scores);
        free(w[i].excluded);
        free(w[i].positives);
        free(w[i].stamp);
        free(w[i].scratch.top);
        free(w[i].scratch.levels);
    }
    free(w);
}

static struct workspace *workspaces_new(const struct trial *t, const struct scorer *s,
                                        int n)
{
    const size_t k = (size_t)(t->config->k > t->config->recall_k ? t->config->k
                                                                 : t->config->recall_k);
    const size_t n_rows = s->is_model ? BLOCK_USERS : 1;
    const size_t n_known = (size_t)s->n_known, n_catalogue = (size_t)t->n_catalogue,
                 n_positives = (size_t)t->max_positives + 1;
    struct workspace *w = calloc((size_t)n, sizeof *w);
    for (int i = 0; w && i < n; i++) {
        w[i].users = malloc(BLOCK_USERS * (size_t)s->n_columns * sizeof *w->users);
        w[i].scores = malloc((n_rows * n_known + 1) * sizeof *w->scores);
        w[i].excluded = malloc((n_catalogue + 1) * sizeof *w->excluded);
        w[i].positives = malloc(n_positives * sizeof *w->positives);
        w[i].stamp = calloc(n_catalogue + 1, sizeof *w->stamp);
        w[i].scratch.top = malloc(k * sizeof *w->scratch.top);
        w[i].scratch.levels = malloc(n_positives * sizeof *w->scratch.levels);
        if (!w[i].users || !w[i].scores || !w[i].excluded || !w[i].positives ||
            !w[i].stamp || !w[i].scratch.top || !w[i].scratch.levels) {
            workspaces_free(w, n);
            return NULL;
        }
        if (!s->is_model) {
            memcpy(w[i].scores, s->items, n_known * sizeof *w->scores);
        }
    }
    return w;
}

/* ---- sums, in the order of the people ---- */

struct sums {
    int64_t n_pairs, n_users, n_auc, n_listed;
    double squared, squared_clipped, absolute;
    double auc, ndcg, recall, map, mrr, novelty;
};

static void add_outcome(struct sums *sums, const struct outcome *o)
{
    sums->n_pairs += o->n_pairs;
    sums->squared += o->squared;
    sums->squared_clipped += o->squared_clipped;
    sums->absolute += o->absolute;
    if (!o->is_ranked) {
        return;
    }
    sums->n_users++;
    if (!isnan(o->metrics.auc)) {
        sums->n_auc++;
        sums->auc += o->metrics.auc;
    }
    sums->ndcg += o->metrics.ndcg;
    sums->recall += o->metrics.recall;
    sums->map += o->metrics.average_precision;
    sums->mrr += o->metrics.reciprocal_rank;
    sums->n_listed += o->n_listed;
    sums->novelty += o->novelty;
}

static double mean_of(double sum, int64_t n)
{
    return n ? sum / (double)n : (double)NAN;
}

static struct evaluate_metrics metrics_of(const struct sums *s)
{
    return (struct evaluate_metrics){.n_pairs = s->n_pairs,
                                     .rmse = sqrt(mean_of(s->squared, s->n_pairs)),
                                     .rmse_clipped =
                                         sqrt(mean_of(s->squared_clipped, s->n_pairs)),
                                     .mae = mean_of(s->absolute, s->n_pairs),
                                     .n_users = s->n_users,
                                     .auc = mean_of(s->auc, s->n_auc),
                                     .ndcg = mean_of(s->ndcg, s->n_users),
                                     .recall = mean_of(s->recall, s->n_users),
                                     .map = mean_of(s->map, s->n_users),
                                     .mrr = mean_of(s->mrr, s->n_users),
                                     .coverage = NAN,
                                     .gini = NAN,
                                     .novelty = mean_of(s->novelty, s->n_listed)};
}

static int compare_counts(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

/* Sorts counts (n). */
static void measure_spread(int32_t *counts, int32_t n, struct evaluate_metrics *m)
{
    double total = 0, weighted = 0;
    int32_t n_listed = 0;
    qsort(counts, (size_t)n, sizeof *counts, compare_counts);
    for (int32_t j = 0; j < n; j++) {
        n_listed += counts[j] > 0;
        total += counts[j];
        weighted += (2 * ((double)j + 1) - n - 1) * counts[j];
    }
    m->coverage = mean_of(n_listed, n);
    m->gini = total > 0 ? weighted / (n * total) : (double)NAN;
}

static int slice_of_person(const struct trial *t, const struct person *p)
{
    const int64_t n = p->train_user < 0 ? 0
                                        : t->train->user_start[p->train_user + 1] -
                                              t->train->user_start[p->train_user];
    int slice = EVALUATE_N_SLICES - 1;
    while (n < evaluate_slice_first[slice]) {
        slice--;
    }
    return slice;
}

static void summarize(const struct trial *t, const struct scorer *s,
                      struct evaluate_subject *subject)
{
    struct sums all = {0}, slices[EVALUATE_N_SLICES] = {{0}};
    for (int32_t p = 0; p < t->test->n_users; p++) {
        add_outcome(&all, &t->outcomes[p]);
        add_outcome(&slices[slice_of_person(t, &t->people[p])], &t->outcomes[p]);
    }
    subject->name = s->name;
    subject->all = metrics_of(&all);
    for (int i = 0; i < EVALUATE_N_SLICES; i++) {
        subject->slice[i] = metrics_of(&slices[i]);
    }
    measure_spread(t->n_times_listed, t->n_catalogue, &subject->all);
}

/* ---- a subject, a trial ---- */

static int measure_subject(struct trial *t, struct scorer *s,
                           struct evaluate_subject *subject)
{
    const int n_threads =
        t->config->n_threads ? (int)t->config->n_threads : omp_get_max_threads();
    const int32_t n_blocks = (t->n_ranked + BLOCK_USERS - 1) / BLOCK_USERS;
    struct workspace *w = workspaces_new(t, s, n_threads);
    if (!w) {
        return -1;
    }
    memset(t->outcomes, 0, (size_t)t->test->n_users * sizeof *t->outcomes);
    memset(t->n_times_listed, 0, (size_t)t->n_catalogue * sizeof *t->n_times_listed);
#pragma omp parallel num_threads(n_threads)
    {
#pragma omp for schedule(dynamic, 64)
        for (int32_t p = 0; p < t->test->n_users; p++) {
            measure_errors(t, s, &t->people[p], &t->outcomes[p]);
        }
#pragma omp for schedule(dynamic)
        for (int32_t block = 0; block < n_blocks; block++) {
            measure_block(t, s, block, &w[omp_get_thread_num()]);
        }
    }
    workspaces_free(w, n_threads);
    summarize(t, s, subject);
    return 0;
}

static int measure_all(struct trial *t)
{
    int rc = 0;
    for (int i = 0; i < EVALUATE_N_SUBJECTS && rc == 0; i++) {
        struct scorer s = {0};
        rc = i == 0   ? scorer_of_model(&s, t)
             : i == 1 ? scorer_of_items(&s, t, "popularity", false)
                      : scorer_of_items(&s, t, "item mean", true);
        if (rc == 0) {
            rc = measure_subject(t, &s, &t->report->subject[i]);
        }
        scorer_release(&s);
    }
    return rc;
}

static int check(const struct evaluate_config *c, const struct ratings *test,
                 const struct ratings *train, struct error *error)
{
    if (c->k < 1 || c->k > 1000 || c->recall_k < 1 || c->recall_k > 1000 ||
        c->n_threads < 0 || c->n_threads > 1024 || !isfinite(c->item_bias) ||
        !isfinite(c->threshold)) {
        error_set(
            error, ERROR_INVALID,
            "evaluate: k and recall k must be in [1, 1000], threads in [0, 1024], "
            "threshold and item bias finite");
        return -1;
    }
    if (test->n_ratings == 0 || train->n_ratings == 0) {
        error_set(error, ERROR_INVALID, "evaluate: the %s ratings are empty",
                  test->n_ratings == 0 ? "test" : "training");
        return -1;
    }
    return 0;
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

int evaluate(const struct model *model, const struct ratings *train,
             const struct ratings *test, const struct evaluate_config *config,
             struct evaluate_report *report, struct error *error)
{
    struct evaluate_report result = {.n_test = test->n_ratings};
    struct trial t = {.model = model,
                      .train = train,
                      .test = test,
                      .config = config,
                      .report = &result};
    int rc = -1;
    if (check(config, test, train, error) != 0) {
        return -1;
    }
    /* The threads are ours: one matrix product must not start others. */
    const int blas_threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    if (number_catalogue(&t) != 0 || find_people(&t) != 0) {
        no_memory(error);
        goto out;
    }
    summarize_training(&t);
    count_leaks(&t);
    result.n_catalogue = t.n_catalogue;
    if (measure_all(&t) != 0) {
        no_memory(error);
        goto out;
    }
    *report = result;
    rc = 0;
out:
    openblas_set_num_threads(blas_threads);
    free(t.train_item);
    free(t.test_item);
    free(t.item_train);
    free(t.item_mean);
    free(t.people);
    free(t.ranked);
    free(t.outcomes);
    free(t.n_times_listed);
    return rc;
}
