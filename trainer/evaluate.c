#include "trainer/evaluate.h"

#include <cblas.h>
#include <math.h>
#include <omp.h>
#include <stdlib.h>
#include <string.h>

#include "trainer/evaluate_internal.h"

const int64_t evaluate_slice_first[EVALUATE_N_SLICES] = {0, 20, 50, 100, 200, 500};
const int64_t evaluate_item_slice_first[EVALUATE_N_ITEM_SLICES] = {0,  1,  4,
                                                                   10, 50, 200};
const double evaluate_level[EVALUATE_N_LEVELS] = {0.5, 0.8, 0.95};

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
        s->items[i] = (float)(predicts_ratings ? t->item_mean[i]
                                               : (double)evaluate_n_trained(t, i));
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

/* ---- sums, in the order of the people ---- */

struct sums {
    struct error_sums errors;
    int64_t n_users, n_auc, n_listed;
    double auc, ndcg, recall, map, mrr, novelty;
};

static void add_errors(struct error_sums *sums, const struct error_sums *of)
{
    sums->n += of->n;
    sums->squared += of->squared;
    sums->squared_clipped += of->squared_clipped;
    sums->absolute += of->absolute;
}

static void add_outcome(struct sums *sums, const struct outcome *o)
{
    for (int i = 0; i < EVALUATE_N_ITEM_SLICES; i++) {
        add_errors(&sums->errors, &o->errors[i]);
    }
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

static struct evaluate_errors errors_of(const struct error_sums *s)
{
    return (struct evaluate_errors){.n_pairs = s->n,
                                    .rmse = sqrt(mean_of(s->squared, s->n)),
                                    .rmse_clipped =
                                        sqrt(mean_of(s->squared_clipped, s->n)),
                                    .mae = mean_of(s->absolute, s->n)};
}

static struct evaluate_metrics metrics_of(const struct sums *s)
{
    const struct evaluate_errors errors = errors_of(&s->errors);
    return (struct evaluate_metrics){.n_pairs = errors.n_pairs,
                                     .rmse = errors.rmse,
                                     .rmse_clipped = errors.rmse_clipped,
                                     .mae = errors.mae,
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

int evaluate_slice_of(const int64_t *first, int n_slices, int64_t n)
{
    int slice = n_slices - 1;
    while (n < first[slice]) {
        slice--;
    }
    return slice;
}

static int slice_of_person(const struct trial *t, const struct person *p)
{
    return evaluate_slice_of(evaluate_slice_first, EVALUATE_N_SLICES,
                             p->train_user < 0
                                 ? 0
                                 : t->train->user_start[p->train_user + 1] -
                                       t->train->user_start[p->train_user]);
}

static void summarize_intervals(const struct trial *t,
                                struct evaluate_intervals *intervals)
{
    struct interval_sums sums = {0};
    for (int32_t p = 0; p < t->test->n_users; p++) {
        const struct interval_sums *of = &t->outcomes[p].intervals;
        sums.n += of->n;
        sums.sd += of->sd;
        for (int l = 0; l < EVALUATE_N_LEVELS; l++) {
            sums.n_within[l] += of->n_within[l];
            sums.width[l] += of->width[l];
        }
    }
    intervals->n_pairs = sums.n;
    intervals->mean_score_sd = mean_of(sums.sd, sums.n);
    intervals->noise = t->draws->noise;
    for (int l = 0; l < EVALUATE_N_LEVELS; l++) {
        intervals->within[l] = mean_of((double)sums.n_within[l], sums.n);
        intervals->mean_width[l] = mean_of(sums.width[l], sums.n);
    }
}

static void summarize(const struct trial *t, const struct scorer *s,
                      struct evaluate_subject *subject)
{
    struct sums all = {0}, slices[EVALUATE_N_SLICES] = {0};
    struct error_sums by_item[EVALUATE_N_ITEM_SLICES] = {0};
    for (int32_t p = 0; p < t->test->n_users; p++) {
        add_outcome(&all, &t->outcomes[p]);
        add_outcome(&slices[slice_of_person(t, &t->people[p])], &t->outcomes[p]);
        for (int i = 0; i < EVALUATE_N_ITEM_SLICES; i++) {
            add_errors(&by_item[i], &t->outcomes[p].errors[i]);
        }
    }
    for (int i = 0; i < EVALUATE_N_ITEM_SLICES; i++) {
        subject->item_slice[i] = errors_of(&by_item[i]);
    }
    if (s->is_model && t->draws) {
        summarize_intervals(t, &t->report->intervals);
    }
    subject->name = s->name;
    subject->all = metrics_of(&all);
    for (int i = 0; i < EVALUATE_N_SLICES; i++) {
        subject->slice[i] = metrics_of(&slices[i]);
    }
    measure_spread(t->n_times_listed, t->n_catalogue, &subject->all);
}

/* ---- a subject, a trial ---- */

static int measure_subject(struct trial *t, const struct scorer *s,
                           struct evaluate_subject *subject)
{
    const int n_threads =
        t->config->n_threads ? (int)t->config->n_threads : omp_get_max_threads();
    if (evaluate_measure(t, s, n_threads) != 0) {
        return -1;
    }
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
    struct draws draws;
    int rc = -1;
    if (check(config, test, train, error) != 0) {
        return -1;
    }
    if (draws_of(model, &draws, NULL) == 0) {
        t.draws = &draws;
    }
    /* The threads are ours: one matrix product must not start others. */
    const int blas_threads = openblas_get_num_threads();
    openblas_set_num_threads(1);
    if (evaluate_trial_init(&t) != 0) {
        no_memory(error);
        goto out;
    }
    result.n_catalogue = t.n_catalogue;
    if (measure_all(&t) != 0) {
        no_memory(error);
        goto out;
    }
    *report = result;
    rc = 0;
out:
    openblas_set_num_threads(blas_threads);
    evaluate_trial_release(&t);
    return rc;
}
