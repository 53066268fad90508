/* What one scorer makes of all people. */
#include "trainer/evaluate_internal.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

/* Fixed, so that which users share a matrix product never depends on the threads. */
#define BLOCK_USERS 32

/* Quantiles of the normal distribution at (1 + evaluate_level) / 2. */
static const double interval_quantile[EVALUATE_N_LEVELS] = {
    0.67448975019608171, 1.2815515655446004, 1.959963984540054};

struct workspace {
    float *users;  /* (BLOCK_USERS, n_columns) */
    float *scores; /* (BLOCK_USERS, n_known) */
    int32_t *excluded, *positives;
    int32_t *stamp; /* (n_catalogue): last person who rated the item in training, + 1 */
    struct ranking_scratch scratch;
};

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

static void add_error(double off, double off_clipped, struct error_sums *sums)
{
    sums->n++;
    sums->squared += off * off;
    sums->squared_clipped += off_clipped * off_clipped;
    sums->absolute += fabs(off);
}

/* Whether the rating lies in the intervals around what the model predicts. */
static void measure_intervals(const struct trial *t, const struct person *person,
                              int32_t item, double off, struct interval_sums *sums)
{
    if (person->model_user < 0 || item >= t->model->n_items) {
        return;
    }
    const double sd = draws_score_sd(t->draws, person->model_user, item);
    const double spread = hypot(sd, t->draws->noise);
    sums->n++;
    sums->sd += sd;
    for (int l = 0; l < EVALUATE_N_LEVELS; l++) {
        sums->n_within[l] += fabs(off) <= interval_quantile[l] * spread;
        sums->width[l] += 2 * interval_quantile[l] * spread;
    }
}

static void measure_errors(const struct trial *t, const struct scorer *s,
                           const struct person *person, struct outcome *o)
{
    const int64_t end = t->test->user_start[person->test_user + 1];
    for (int64_t at = t->test->user_start[person->test_user]; at < end; at++) {
        const double rating = (double)t->test->user_rating[at];
        const int32_t item = t->test_item[t->test->user_item[at]];
        const int slice =
            evaluate_slice_of(evaluate_item_slice_first, EVALUATE_N_ITEM_SLICES,
                              evaluate_n_trained(t, item));
        const double predicted = predict(t, s, person, item);
        const double clipped =
            isnan(predicted) ? predicted : fmin(fmax(predicted, t->lowest), t->highest);
        add_error(rating - predicted, rating - clipped, &o->errors[slice]);
        if (s->is_model && t->draws) {
            measure_intervals(t, person, item, rating - predicted, &o->intervals);
        }
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
        const int64_t n = evaluate_n_trained(t, item);
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

int evaluate_measure(struct trial *t, const struct scorer *s, int n_threads)
{
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
    return 0;
}
