#include "trainer/factors.h"

#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#define USERS_PER_BLOCK 64

struct factors *factors_new(const struct ratings *ratings, int32_t n_factors)
{
    struct factors *f = calloc(1, sizeof *f);
    if (!f) {
        return NULL;
    }
    const size_t n_users = (size_t)ratings->n_users, n_items = (size_t)ratings->n_items;
    f->n_users = ratings->n_users;
    f->n_items = ratings->n_items;
    f->n_factors = n_factors;
    f->user_factors = calloc(n_users * (size_t)n_factors + 1, sizeof(float));
    f->item_factors = calloc(n_items * (size_t)n_factors + 1, sizeof(float));
    f->user_bias = calloc(n_users + 1, sizeof(float));
    f->item_bias = calloc(n_items + 1, sizeof(float));
    if (!f->user_factors || !f->item_factors || !f->user_bias || !f->item_bias) {
        factors_free(f);
        return NULL;
    }
    return f;
}

static size_t map_size(const struct factors *f)
{
    return f->features ? (size_t)f->features->n_columns * ((size_t)f->n_factors + 1)
                       : 0;
}

int factors_add_map(struct factors *factors, const struct item_features *features)
{
    factors->features = features;
    if (features) {
        factors->feature_map = calloc(map_size(factors) + 1, sizeof(float));
    }
    return !features || factors->feature_map ? 0 : -1;
}

void factors_free(struct factors *factors)
{
    if (factors) {
        free(factors->user_factors);
        free(factors->item_factors);
        free(factors->user_bias);
        free(factors->item_bias);
        free(factors->feature_map);
        free(factors);
    }
}

void factors_copy(struct factors *to, const struct factors *from)
{
    const size_t n_users = (size_t)from->n_users, n_items = (size_t)from->n_items;
    const size_t row = (size_t)from->n_factors * sizeof(float);
    to->mean = from->mean;
    to->noise = from->noise;
    memcpy(to->user_factors, from->user_factors, n_users * row);
    memcpy(to->item_factors, from->item_factors, n_items * row);
    memcpy(to->user_bias, from->user_bias, n_users * sizeof(float));
    memcpy(to->item_bias, from->item_bias, n_items * sizeof(float));
    if (from->features) {
        memcpy(to->feature_map, from->feature_map, map_size(from) * sizeof(float));
    }
}

static struct slice user_id(const void *context, int32_t user)
{
    return id_map_id(((const struct ratings *)context)->users, user);
}

static struct slice item_id(const void *context, int32_t item)
{
    return id_map_id(((const struct ratings *)context)->items, item);
}

int factors_save(const struct factors *factors, enum model_kind kind,
                 const struct ratings *train, struct slice settings, const char *path,
                 uint64_t *hash, struct error *error)
{
    const struct model_ids ids = {user_id, item_id, train};
    int32_t *count = malloc(((size_t)train->n_items + 1) * sizeof *count);
    if (!count) {
        error_set(error, ERROR_NOMEM, "%s: no memory to save it", path);
        return -1;
    }
    for (int32_t i = 0; i < train->n_items; i++) {
        count[i] = (int32_t)(train->item_start[i + 1] - train->item_start[i]);
    }
    const struct item_features *features = factors->features;
    const struct model model = {
        .kind = kind,
        .n_users = factors->n_users,
        .n_items = factors->n_items,
        .n_factors = factors->n_factors,
        .mean = factors->mean,
        .user_factors = factors->user_factors,
        .item_factors = factors->item_factors,
        .user_bias = factors->user_bias,
        .item_bias = factors->item_bias,
        .item_count = count,
        .settings = settings,
        .n_features = features ? features->n_columns : 0,
        .feature_names = features ? buffer_slice(&features->names) : (struct slice){0},
        .feature_map = factors->feature_map,
    };
    const int rc = model_save(&model, &ids, path, hash, error);
    free(count);
    return rc;
}

/* Without the user's bias and the mean, which order nothing. Four sums, so that the
 * additions need not wait for each other. */
static float item_score(const struct factors *f, const float *u, int32_t item)
{
    const int32_t k = f->n_factors;
    const float *v = f->item_factors + (size_t)item * (size_t)k;
    float sum[4] = {f->item_bias[item], 0, 0, 0};
    int32_t i = 0;
    for (; i + 4 <= k; i += 4) {
        for (int lane = 0; lane < 4; lane++) {
            sum[lane] += u[i + lane] * v[i + lane];
        }
    }
    for (; i < k; i++) {
        sum[0] += u[i] * v[i];
    }
    return (sum[0] + sum[1]) + (sum[2] + sum[3]);
}

static double squared_error(const struct factors *f, const struct ratings *r,
                            int32_t user)
{
    double sum = 0;
    const float *u = f->user_factors + (size_t)user * (size_t)f->n_factors;
    const float base = f->mean + f->user_bias[user];
    for (int64_t i = r->user_start[user]; i < r->user_start[user + 1]; i++) {
        const float e = r->user_rating[i] - base - item_score(f, u, r->user_item[i]);
        sum += (double)e * (double)e;
    }
    return sum;
}

double factors_rmse(const struct factors *factors, const struct ratings *ratings,
                    int n_threads)
{
    const int32_t n_blocks = ratings->n_users / USERS_PER_BLOCK + 1;
    double *partial = calloc((size_t)n_blocks, sizeof *partial);
    if (!partial || ratings->n_ratings == 0) {
        free(partial);
        return NAN;
    }
#pragma omp parallel for schedule(dynamic, 4) num_threads(n_threads)
    for (int32_t b = 0; b < n_blocks; b++) {
        for (int32_t u = b * USERS_PER_BLOCK;
             u < (b + 1) * USERS_PER_BLOCK && u < ratings->n_users; u++) {
            partial[b] += squared_error(factors, ratings, u);
        }
    }
    double sum = 0;
    for (int32_t b = 0; b < n_blocks; b++) {
        sum += partial[b];
    }
    free(partial);
    return sqrt(sum / (double)ratings->n_ratings);
}

/* One thread's scratch for areas under the curve. */
struct auc_scratch {
    float *positive; /* (n_items) scores */
    bool *is_rated;  /* (n_items) */
};

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

static void mark(const struct ratings *r, int32_t user, bool value, bool *is_rated)
{
    for (int64_t i = r->user_start[user]; i < r->user_start[user + 1]; i++) {
        is_rated[r->user_item[i]] = value;
    }
}

/* How many of sorted[0..n) lie below `score`, those equal to it counted half. */
static double rank_of(const float *sorted, int64_t n, float score)
{
    int64_t low = 0, high = n;
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (sorted[middle] < score) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    double rank = (double)low;
    for (; low < n && sorted[low] == score; low++) {
        rank += 0.5;
    }
    return rank;
}

/* Area for one user, or NAN. */
static double user_auc(const struct factors *f, const struct ratings *of,
                       const struct ratings *seen, float threshold, int32_t user,
                       struct auc_scratch *scratch)
{
    const float *u = f->user_factors + (size_t)user * (size_t)f->n_factors;
    int64_t n_positive = 0, n_negative = 0;
    double n_wrong = 0;
    for (int64_t i = of->user_start[user]; i < of->user_start[user + 1]; i++) {
        if (of->user_rating[i] > threshold) {
            scratch->positive[n_positive++] = item_score(f, u, of->user_item[i]);
        }
    }
    if (n_positive == 0) {
        return NAN;
    }
    qsort(scratch->positive, (size_t)n_positive, sizeof(float), compare_floats);
    mark(seen, user, true, scratch->is_rated);
    mark(of, user, true, scratch->is_rated);
    for (int32_t item = 0; item < f->n_items; item++) {
        if (!scratch->is_rated[item]) {
            n_negative++;
            n_wrong += rank_of(scratch->positive, n_positive, item_score(f, u, item));
        }
    }
    mark(seen, user, false, scratch->is_rated);
    mark(of, user, false, scratch->is_rated);
    return 1 - n_wrong / ((double)n_positive * (double)n_negative);
}

static bool has_positive(const struct ratings *r, int32_t user, float threshold)
{
    for (int64_t i = r->user_start[user]; i < r->user_start[user + 1]; i++) {
        if (r->user_rating[i] > threshold) {
            return true;
        }
    }
    return false;
}

/* Fills area[u]: NAN for users left out. */
static int fill_areas(const struct factors *f, const struct ratings *of,
                      const struct ratings *seen, float threshold, int n_threads,
                      double *area)
{
    int n_failed = 0;
#pragma omp parallel num_threads(n_threads) reduction(+ : n_failed)
    {
        struct auc_scratch scratch = {
            malloc(((size_t)f->n_items + 1) * sizeof(float)),
            calloc((size_t)f->n_items + 1, sizeof(bool)),
        };
        n_failed = !scratch.positive || !scratch.is_rated;
#pragma omp for schedule(dynamic, 4)
        for (int32_t u = 0; u < of->n_users; u++) {
            if (!n_failed && !isnan(area[u])) {
                area[u] = user_auc(f, of, seen, threshold, u, &scratch);
            }
        }
        free(scratch.positive);
        free(scratch.is_rated);
    }
    return n_failed ? -1 : 0;
}

double factors_auc(const struct factors *factors, const struct ratings *of,
                   const struct ratings *seen, float threshold, int32_t max_users,
                   int n_threads)
{
    int32_t n_candidates = 0, at = 0, n_areas = 0;
    double sum = 0;
    double *area = malloc(((size_t)of->n_users + 1) * sizeof *area);
    if (!area) {
        return NAN;
    }
    for (int32_t u = 0; u < of->n_users; u++) {
        area[u] = has_positive(of, u, threshold) ? 0 : (double)NAN;
        n_candidates += !isnan(area[u]);
    }
    const int32_t step = (n_candidates + max_users - 1) / max_users;
    for (int32_t u = 0; u < of->n_users; u++) {
        if (!isnan(area[u]) && at++ % step != 0) {
            area[u] = NAN;
        }
    }
    if (fill_areas(factors, of, seen, threshold, n_threads, area) != 0) {
        free(area);
        return NAN;
    }
    for (int32_t u = 0; u < of->n_users; u++) {
        if (!isnan(area[u])) {
            sum += area[u];
            n_areas++;
        }
    }
    free(area);
    return n_areas ? sum / n_areas : (double)NAN;
}
