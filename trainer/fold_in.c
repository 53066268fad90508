/* Letters as in fold_in.h. */
#include "trainer/fold_in.h"

#include <jansson.h>
#include <lapacke.h>
#include <math.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"

struct lazy_gram {
    pthread_mutex_t lock;
    bool is_made; /* under the lock */
    double gram[];
};

struct fold_in {
    const struct model *model;
    double lambda, tau, tau_bias, alpha;  /* ALS, as in als.h */
    double learning_rate, reg, threshold; /* BPR; the last two iALS too */
    double confidence, nu;                /* iALS, as in ials.h */
    /* iALS: (k, k) Y^T Y, lower triangles; NULL otherwise */
    double *item_gram;
    struct lazy_gram *user_gram;
};

/* The side that stays as it is. */
struct fixed_side {
    const float *factors; /* (n, k) */
    const float *bias;    /* (n) */
    int32_t n;
    bool is_items;
};

/* ---- what the model says about its training ---- */

struct wanted {
    const char *key;
    double *value;
};

static int read_numbers(const json_t *settings, const struct wanted *wanted, int n,
                        struct error *error)
{
    for (int i = 0; i < n; i++) {
        const json_t *number = json_object_get(settings, wanted[i].key);
        if (!json_is_number(number)) {
            error_set(error, ERROR_INVALID,
                      "fold-in: the model's settings do not say \"%s\"; train it again "
                      "with abtest train",
                      wanted[i].key);
            return -1;
        }
        *wanted[i].value = json_number_value(number);
    }
    return 0;
}

static int read_settings(struct fold_in *f, struct error *error)
{
    const struct wanted als[] = {{"lambda", &f->lambda},
                                 {"tau", &f->tau},
                                 {"tau_bias", &f->tau_bias},
                                 {"alpha", &f->alpha}};
    const struct wanted bpr[] = {{"learning_rate", &f->learning_rate},
                                 {"reg", &f->reg},
                                 {"threshold", &f->threshold}};
    const struct wanted ials[] = {{"confidence", &f->confidence},
                                  {"reg", &f->reg},
                                  {"nu", &f->nu},
                                  {"threshold", &f->threshold}};
    const struct slice text = f->model->settings;
    json_t *settings = text.len ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    int rc = -1;
    if (json_object_get(settings, "gibbs_draws")) {
        error_set(error, ERROR_INVALID,
                  "fold-in: not for a model of Gibbs draws, which has many vectors a "
                  "user; train als or bpr");
    } else if (f->model->kind == MODEL_ALS) {
        rc = read_numbers(settings, als, 4, error);
    } else if (f->model->kind == MODEL_BPR) {
        rc = read_numbers(settings, bpr, 3, error);
    } else {
        rc = read_numbers(settings, ials, 4, error);
    }
    json_decref(settings);
    return rc;
}

/* Adds Y^T Y of rows Y (n, k) to gram (k, k), lower triangle. Rows are taken four at a
 * time, to go through `gram` a fourth as often; each sum still grows row by row, so
 * that no bit depends on it. */
__attribute__((always_inline)) static inline void
add_gram_inline(const float *Y, int32_t n, int k, double *gram)
{
    static const float nothing[MODEL_MAX_FACTORS];
    for (int32_t i = 0; i < n; i += 4) {
        const float *y[4];
        for (int j = 0; j < 4; j++) {
            y[j] = i + j < n ? Y + (size_t)(i + j) * (size_t)k : nothing;
        }
        for (int p = 0; p < k; p++) {
            const double a = (double)y[0][p], b = (double)y[1][p], c = (double)y[2][p],
                         d = (double)y[3][p];
            double *row = gram + (size_t)p * (size_t)k;
            for (int q = 0; q <= p; q++) {
                row[q] = (((row[q] + a * (double)y[0][q]) + b * (double)y[1][q]) +
                          c * (double)y[2][q]) +
                         d * (double)y[3][q];
            }
        }
    }
}

#if defined(__x86_64__)
__attribute__((target("avx2"))) static void add_gram_avx2(const float *Y, int32_t n,
                                                          int k, double *gram)
{
    add_gram_inline(Y, n, k, gram);
}
#endif

static void add_gram(const float *Y, int32_t n, int k, double *gram)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2")) {
        add_gram_avx2(Y, n, k, gram);
        return;
    }
#endif
    add_gram_inline(Y, n, k, gram);
}

/* The gramian of the users is for new items, which a server never solves for: it is
 * made when the first asks. */
static const double *user_gram(const struct fold_in *f)
{
    struct lazy_gram *lazy = f->user_gram;
    pthread_mutex_lock(&lazy->lock);
    if (!lazy->is_made) {
        add_gram(f->model->user_factors, f->model->n_users, f->model->n_factors,
                 lazy->gram);
        lazy->is_made = true;
    }
    pthread_mutex_unlock(&lazy->lock);
    return lazy->gram;
}

static int make_grams(struct fold_in *f, struct error *error)
{
    const struct model *model = f->model;
    const size_t size = (size_t)model->n_factors * (size_t)model->n_factors;
    f->item_gram = calloc(size, sizeof *f->item_gram);
    f->user_gram = calloc(1, sizeof *f->user_gram + size * sizeof(double));
    if (f->user_gram) {
        pthread_mutex_init(&f->user_gram->lock, NULL);
    }
    if (!f->item_gram || !f->user_gram) {
        error_set(error, ERROR_NOMEM, "fold-in: no memory for the gramians");
        return -1;
    }
    add_gram(model->item_factors, model->n_items, model->n_factors, f->item_gram);
    return 0;
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
    if (read_settings(f, error) != 0 ||
        (model->kind == MODEL_IALS && make_grams(f, error) != 0)) {
        fold_in_free(f);
        return -1;
    }
    *fold_in = f;
    return 0;
}

void fold_in_free(struct fold_in *fold_in)
{
    if (fold_in) {
        free(fold_in->item_gram);
        if (fold_in->user_gram) {
            pthread_mutex_destroy(&fold_in->user_gram->lock);
            free(fold_in->user_gram);
        }
        free(fold_in);
    }
}

/* ---- ALS ---- */

/* `centre` (k + 1) is where vector and bias are expected; NULL: at zero. */
static int solve_als(const struct fold_in *f, const struct fixed_side *side,
                     const struct fold_in_ratings *r, const float *centre,
                     float *vector, float *bias, struct error *error)
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
        const double ridge = weight * (p < k ? f->tau : f->tau_bias);
        A[p * n + p] += ridge;
        b[p] += centre ? ridge * (double)centre[p] : 0;
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

/* ---- implicit ALS ---- */

static int solve_ials(const struct fold_in *f, const struct fixed_side *side,
                      const struct fold_in_ratings *r, float *vector, float *bias,
                      struct error *error)
{
    const int k = f->model->n_factors;
    const size_t size = (size_t)k * (size_t)k;
    int64_t n_positives = 0;
    int rc = -1;
    double *A = malloc((size + (size_t)k) * sizeof *A);
    if (!A) {
        error_set(error, ERROR_NOMEM, "fold-in: no memory for %d x %d equations", k, k);
        return -1;
    }
    double *b = A + size;
    memcpy(A, side->is_items ? f->item_gram : user_gram(f), size * sizeof *A);
    memset(b, 0, (size_t)k * sizeof *b);
    for (int64_t j = 0; j < r->n; j++) {
        const float *y = side->factors + (size_t)r->index[j] * (size_t)k;
        if (!((double)r->rating[j] > f->threshold)) {
            continue;
        }
        n_positives++;
        for (int p = 0; p < k; p++) {
            for (int q = 0; q <= p; q++) {
                A[p * k + q] += f->confidence * (double)y[p] * (double)y[q];
            }
            b[p] += (1 + f->confidence) * (double)y[p];
        }
    }
    const double ridge =
        f->reg * pow(f->confidence * (double)n_positives + side->n, f->nu);
    for (int p = 0; p < k; p++) {
        A[p * k + p] += ridge;
    }
    const int info =
        n_positives ? LAPACKE_dposv(LAPACK_COL_MAJOR, 'U', k, 1, A, k, b, k) : 0;
    if (n_positives == 0) {
        error_set(error, ERROR_INVALID,
                  "fold-in: no rating above %g, and implicit ALS learns from nothing "
                  "else",
                  f->threshold);
    } else if (info != 0) {
        error_set(error, ERROR_NUMERIC, "fold-in: cannot solve (dposv %d)", info);
    } else {
        for (int p = 0; p < k; p++) {
            vector[p] = (float)b[p];
        }
        *bias = 0;
        rc = 0;
    }
    free(A);
    return rc;
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
    switch (f->model->kind) {
    case MODEL_BPR:
        return solve_bpr(f, side, r, vector, bias, error);
    case MODEL_IALS:
        return solve_ials(f, side, r, vector, bias, error);
    case MODEL_ALS:
        break;
    }
    return solve_als(f, side, r, NULL, vector, bias, error);
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

int fold_in_item_near(const struct fold_in *fold_in,
                      const struct fold_in_ratings *ratings, const float *centre,
                      float *vector, float *bias, struct error *error)
{
    const struct model *m = fold_in->model;
    const struct fixed_side users = {m->user_factors, m->user_bias, m->n_users, false};
    if (m->kind != MODEL_ALS) {
        error_set(error, ERROR_INVALID,
                  "fold-in: only als learns where an item is expected, this is %s",
                  model_kind_name(m->kind));
        return -1;
    }
    if (ratings->n <= 0) { /* the weight of its centre is 0^alpha: nothing to solve */
        memcpy(vector, centre, (size_t)m->n_factors * sizeof *vector);
        *bias = centre[m->n_factors];
        return 0;
    }
    return solve_als(fold_in, &users, ratings, centre, vector, bias, error);
}
