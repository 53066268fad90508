/* Letters as in fold_in.h. */
#include "trainer/fold_in.h"

#include <jansson.h>
#include <lapacke.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"

struct fold_in {
    const struct model *model;
    double lambda, tau, tau_bias, alpha;  /* ALS, as in als.h */
    double learning_rate, reg, threshold; /* BPR */
};

/* The side that stays as it is. */
struct fixed_side {
    const float *factors; /* (n, k) */
    const float *bias;    /* (n) */
    int32_t n;
    bool is_items;
};

/* ---- what the model says about its training ---- */

static int read_number(const json_t *settings, const char *key, double *value,
                       struct error *error)
{
    const json_t *number = json_object_get(settings, key);
    if (!json_is_number(number)) {
        error_set(
            error, ERROR_INVALID,
            "fold-in: the model's settings do not say \"%s\"; train it again with "
            "abtest train",
            key);
        return -1;
    }
    *value = json_number_value(number);
    return 0;
}

static int read_settings(struct fold_in *f, struct error *error)
{
    const struct slice text = f->model->settings;
    json_t *settings = text.len ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    int rc = -1;
    switch (f->model->kind) {
    case MODEL_ALS:
        rc = read_number(settings, "lambda", &f->lambda, error);
        rc = rc == 0 ? read_number(settings, "tau", &f->tau, error) : rc;
        rc = rc == 0 ? read_number(settings, "tau_bias", &f->tau_bias, error) : rc;
        rc = rc == 0 ? read_number(settings, "alpha", &f->alpha, error) : rc;
        break;
    case MODEL_BPR:
        rc = read_number(settings, "learning_rate", &f->learning_rate, error);
        rc = rc == 0 ? read_number(settings, "reg", &f->reg, error) : rc;
        rc = rc == 0 ? read_number(settings, "threshold", &f->threshold, error) : rc;
        break;
    case MODEL_IALS:
        error_set(error, ERROR_INVALID, "fold-in: not for implicit ALS models yet");
        break;
    }
    json_decref(settings);
    return rc;
}

int fold_in_new(const struct model *model, struct fold_in **fold_in,
                struct error *error)
{
    struct fold_in *f = calloc(1, sizeof *f);
    if (!f) {
        error_set(error, ERROR_NOMEM, "fold-in: no memory");
        return -1;
    }
    f->model = model;
    if (read_settings(f, error) != 0) {
        free(f);
        return -1;
    }
    *fold_in = f;
    return 0;
}

void fold_in_free(struct fold_in *fold_in)
{
    free(fold_in);
}

/* ---- ALS ---- */

static int solve_als(const struct fold_in *f, const struct fixed_side *side,
                     const struct fold_in_ratings *r, float *vector, float *bias,
                     struct error *error)
{
    const int k = f->model->n_factors, n = k + 1;
    const size_t size = (size_t)n * (size_t)n;
    double *A = calloc(size + 2 * (size_t)n, sizeof *A);
    if (!A) {
        error_set(error, ERROR_NOMEM, "fold-in: no memory for %d x %d equations", n, n);
        return -1;
    }
    double *b = A + size, *y = b + n;
    y[k] = 1;
    for (int64_t j = 0; j < r->n; j++) {
        const float *row = side->factors + (size_t)r->index[j] * (size_t)k;
        const double x = (double)r->rating[j] - (double)f->model->mean -
                         (double)side->bias[r->index[j]];
        for (int p = 0; p < k; p++) {
            y[p] = (double)row[p];
        }
        for (int p = 0; p < n; p++) {
            for (int q = 0; q <= p; q++) {
                A[p * n + q] += f->lambda * y[p] * y[q];
            }
            b[p] += f->lambda * x * y[p];
        }
    }
    const double weight = pow((double)r->n, f->alpha);
    for (int p = 0; p < n; p++) {
        A[p * n + p] += weight * (p < k ? f->tau : f->tau_bias);
    }
    /* Our row-major lower triangle is LAPACK's column-major upper one. */
    const int info = LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', n, 1, A, n, b, n);
    if (info == 0) {
        for (int p = 0; p < k; p++) {
            vector[p] = (float)b[p];
        }
        *bias = (float)b[k];
    } else {
        error_set(error, ERROR_NUMERIC, "fold-in: cannot solve (dposv %d); tau is %g",
                  info, f->tau);
    }
    free(A);
    return info == 0 ? 0 : -1;
}

/* ---- BPR ---- */

/* One way uphill: `z` (k + 1: vector, bias) starts at zero, `mean` gets the mean of its
 * second half. */
struct climb {
    double *z, *mean, *y, *other;
    const int32_t *positive;
    int64_t n_positives;
    const int32_t *rated; /* (n_rated) ascending */
    int64_t n_rated;
};

static int compare_indices(const void *a, const void *b)
{
    const int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void load_row(const struct fixed_side *side, int k, int32_t i, double *row)
{
    for (int p = 0; p < k; p++) {
        row[p] = (double)side->factors[(size_t)i * (size_t)k + (size_t)p];
    }
    row[k] = (double)side->bias[i];
}

/* A user prefers a positive item to one that the user has not rated. */
static void step_user(const struct fold_in *f, const struct fixed_side *items,
                      struct climb *c, struct rng *rng)
{
    const int k = f->model->n_factors;
    int32_t j = 0;
    double x = 0;
    const int32_t i = c->positive[rng_below(rng, (uint64_t)c->n_positives)];
    do {
        j = (int32_t)rng_below(rng, (uint64_t)items->n);
    } while (c->n_rated < items->n &&
             bsearch(&j, c->rated, (size_t)c->n_rated, sizeof j, compare_indices));
    load_row(items, k, i, c->y);
    load_row(items, k, j, c->other);
    for (int p = 0; p < k; p++) {
        x += c->z[p] * (c->y[p] - c->other[p]);
    }
    x += c->y[k] - c->other[k];
    const double g = 1 / (1 + exp(x));
    for (int p = 0; p < k; p++) {
        c->z[p] +=
            f->learning_rate * (g * (c->y[p] - c->other[p]) - 2 * f->reg * c->z[p]);
    }
}

/* An item is preferred by its users to an item that is drawn at random. */
static void step_item(const struct fold_in *f, const struct fixed_side *users,
                      struct climb *c, struct rng *rng)
{
    const struct fixed_side items = {f->model->item_factors, f->model->item_bias,
                                     f->model->n_items, true};
    const int k = f->model->n_factors;
    const int32_t u = c->positive[rng_below(rng, (uint64_t)c->n_positives)];
    const int32_t j = (int32_t)rng_below(rng, (uint64_t)items.n);
    double x = 0;
    load_row(users, k, u, c->y);
    load_row(&items, k, j, c->other);
    for (int p = 0; p < k; p++) {
        x += c->y[p] * (c->z[p] - c->other[p]);
    }
    x += c->z[k] - c->other[k];
    const double g = 1 / (1 + exp(x));
    for (int p = 0; p < k; p++) {
        c->z[p] += f->learning_rate * (g * c->y[p] - 2 * f->reg * c->z[p]);
    }
    c->z[k] += f->learning_rate * (g - 2 * f->reg * c->z[k]);
}

static void climb(const struct fold_in *f, const struct fixed_side *side,
                  struct climb *c)
{
    const int n = f->model->n_factors + 1;
    const int64_t n_steps = FOLD_IN_PASSES * c->n_positives, half = n_steps / 2;
    struct rng rng;
    rng_init(&rng, hash_bytes(c->rated, (size_t)c->n_rated * sizeof *c->rated),
             hash_bytes(c->positive, (size_t)c->n_positives * sizeof *c->positive));
    for (int64_t step = 0; step < n_steps; step++) {
        if (side->is_items) {
            step_user(f, side, c, &rng);
        } else {
            step_item(f, side, c, &rng);
        }
        for (int p = 0; p < n && step >= half; p++) {
            c->mean[p] += c->z[p] / (double)(n_steps - half);
        }
    }
}

static int solve_bpr(const struct fold_in *f, const struct fixed_side *side,
                     const struct fold_in_ratings *r, float *vector, float *bias,
                     struct error *error)
{
    const size_t n = (size_t)f->model->n_factors + 1;
    double *values = calloc(4 * n, sizeof *values);
    int32_t *indices = malloc(2 * (size_t)r->n * sizeof *indices);
    int rc = -1;
    if (!values || !indices) {
        error_set(error, ERROR_NOMEM, "fold-in: no memory for %lld ratings",
                  (long long)r->n);
        goto out;
    }
    int32_t *positive = indices + r->n;
    struct climb c = {.z = values,
                      .mean = values + n,
                      .y = values + 2 * n,
                      .other = values + 3 * n,
                      .positive = positive,
                      .rated = indices,
                      .n_rated = r->n};
    for (int64_t j = 0; j < r->n; j++) {
        indices[j] = r->index[j];
        if ((double)r->rating[j] > f->threshold) {
            positive[c.n_positives++] = r->index[j];
        }
    }
    if (c.n_positives == 0) {
        error_set(error, ERROR_INVALID,
                  "fold-in: no rating above %g, and BPR learns from nothing else",
                  f->threshold);
        goto out;
    }
    qsort(indices, (size_t)r->n, sizeof *indices, compare_indices);
    qsort(positive, (size_t)c.n_positives, sizeof *positive, compare_indices);
    climb(f, side, &c);
    for (size_t p = 0; p + 1 < n; p++) {
        vector[p] = (float)c.mean[p];
    }
    *bias = side->is_items ? 0 : (float)c.mean[n - 1];
    rc = 0;
out:
    free(indices);
    free(values);
    return rc;
}

/* ---- one row ---- */

static int solve(const struct fold_in *f, const struct fixed_side *side,
                 const struct fold_in_ratings *r, float *vector, float *bias,
                 struct error *error)
{
    if (r->n <= 0) {
        error_set(error, ERROR_INVALID, "fold-in: there are no ratings");
        return -1;
    }
    return f->model->kind == MODEL_BPR ? solve_bpr(f, side, r, vector, bias, error)
                                       : solve_als(f, side, r, vector, bias, error);
}

int fold_in_user(const struct fold_in *fold_in, const struct fold_in_ratings *ratings,
                 float *vector, float *bias, struct error *error)
{
    const struct model *m = fold_in->model;
    const struct fixed_side items = {m->item_factors, m->item_bias, m->n_items, true};
    return solve(fold_in, &items, ratings, vector, bias, error);
}

int fold_in_item(const struct fold_in *fold_in, const struct fold_in_ratings *ratings,
                 float *vector, float *bias, struct error *error)
{
    const struct model *m = fold_in->model;
    const struct fixed_side users = {m->user_factors, m->user_bias, m->n_users, false};
    return solve(fold_in, &users, ratings, vector, bias, error);
}
