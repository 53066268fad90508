/* A model with the users and items of new ratings added. */
#include "trainer/fold_in.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"

/* The rows of one side that are solved for. Row j belongs to id j of the ratings. */
struct rows {
    int32_t n;       /* in the ratings */
    int32_t *target; /* (n) index in the larger model, or -1: not known (yet) */
    bool *is_placed; /* (n) solved for */
    float *vector;   /* (n, k) */
    float *bias;     /* (n) */
    int32_t *added;  /* (n_added) rows of the new ids, in their new order */
    int32_t n_added;
    int32_t n_unplaced;
};

struct extension {
    const struct model *model; /* as it was */
    const struct ratings *ratings;
    const struct item_features *features; /* of the items of `ratings`, or NULL */
    int n_threads;
    struct rows users, items;
    struct model larger; /* its arrays are owned here */
    float *user_factors, *item_factors, *user_bias, *item_bias;
    int32_t *item_count;
    struct buffer settings;
};

static int no_memory(struct error *error)
{
    error_set(error, ERROR_NOMEM, "fold-in: no memory for the larger model");
    return -1;
}

static int rows_new(struct rows *rows, int32_t n, int32_t k)
{
    const size_t size = (size_t)n + 1;
    rows->n = n;
    rows->target = malloc(size * sizeof *rows->target);
    rows->is_placed = calloc(size, sizeof *rows->is_placed);
    rows->vector = malloc(size * (size_t)k * sizeof *rows->vector);
    rows->bias = malloc(size * sizeof *rows->bias);
    rows->added = malloc(size * sizeof *rows->added);
    return rows->target && rows->is_placed && rows->vector && rows->bias && rows->added
               ? 0
               : -1;
}

static void rows_free(struct rows *rows)
{
    free(rows->target);
    free(rows->is_placed);
    free(rows->vector);
    free(rows->bias);
    free(rows->added);
}

/* What row `row` was given by, or gave to, ids that `other` knows. index and rating
 * have room for all of the row. */
static int64_t gather(const struct extension *e, bool is_user, int32_t row,
                      int32_t *index, float *rating)
{
    const struct ratings *r = e->ratings;
    const int64_t *start = is_user ? r->user_start : r->item_start;
    const int32_t *col = is_user ? r->user_item : r->item_user;
    const float *value = is_user ? r->user_rating : r->item_rating;
    const int32_t *target = is_user ? e->items.target : e->users.target;
    int64_t n = 0;
    for (int64_t at = start[row]; at < start[row + 1]; at++) {
        if (target[col[at]] >= 0) {
            index[n] = target[col[at]];
            rating[n++] = value[at];
        }
    }
    return n;
}

/* centre (k + 1) := where the features of an item of the ratings say that it is. */
static void expect_item(const struct extension *e, int32_t item, float *centre)
{
    const struct item_features *f = e->features;
    const size_t n = (size_t)e->model->n_factors + 1;
    for (size_t o = 0; o < n; o++) {
        double sum = 0;
        for (int64_t p = f->start[item]; p < f->start[item + 1]; p++) {
            sum += (double)e->model->feature_map[(size_t)f->column[p] * n + o];
        }
        centre[o] = (float)sum;
    }
}

/* Solves one row; a row that cannot be placed is no error. */
static int place(const struct extension *e, const struct fold_in *f, bool is_user,
                 int32_t row, struct error *error)
{
    const struct ratings *r = e->ratings;
    const struct rows *rows = is_user ? &e->users : &e->items;
    const int64_t *start = is_user ? r->user_start : r->item_start;
    const size_t room = (size_t)(start[row + 1] - start[row]) + 1;
    const size_t k = (size_t)e->model->n_factors;
    struct error why = {0};
    int rc = -1;
    int32_t *index = malloc(room * sizeof *index);
    float *rating = malloc(room * sizeof *rating);
    float *centre = malloc((k + 1) * sizeof *centre);
    if (!index || !rating || !centre) {
        no_memory(&why);
        goto out;
    }
    const struct fold_in_ratings given = {index, rating,
                                          gather(e, is_user, row, index, rating)};
    float *vector = rows->vector + (size_t)row * k, *bias = &rows->bias[row];
    if (!is_user && e->features) {
        expect_item(e, row, centre);
        rc = fold_in_item_near(f, &given, centre, vector, bias, &why);
    } else {
        rc = (is_user ? fold_in_user : fold_in_item)(f, &given, vector, bias, &why);
    }
    rows->is_placed[row] = rc == 0;
    if (rc != 0 && why.code == ERROR_INVALID) {
        rc = 0;
    }
out:
    if (rc != 0) {
        *error = why;
    }
    free(index);
    free(rating);
    free(centre);
    return rc;
}

/* Solves all users of the ratings, or all items that the model does not know. */
static int place_all(struct extension *e, const struct model *model, bool is_user,
                     struct error *error)
{
    struct rows *rows = is_user ? &e->users : &e->items;
    struct fold_in *f = NULL;
    struct error failure = {0};
    if (fold_in_new(model, &f, error) != 0) {
        return -1;
    }
#pragma omp parallel for num_threads(e->n_threads) schedule(dynamic, 16)
    for (int32_t row = 0; row < rows->n; row++) {
        struct error why = {0};
        if ((is_user || rows->target[row] < 0) &&
            place(e, f, is_user, row, &why) != 0) {
#pragma omp critical
            failure = why;
        }
    }
    fold_in_free(f);
    if (failure.code != ERROR_NONE) {
        error_set(error, failure.code, "%s", failure.message);
        return -1;
    }
    return 0;
}

/* Gives the placed rows that the model does not know the indices after `n_known`. */
static void number_added(struct rows *rows, int32_t n_known)
{
    for (int32_t row = 0; row < rows->n; row++) {
        if (rows->target[row] >= 0) {
            continue;
        }
        if (rows->is_placed[row]) {
            rows->target[row] = n_known + rows->n_added;
            rows->added[rows->n_added++] = row;
        } else {
            rows->n_unplaced++;
        }
    }
}

/* `old` (n_old, k) enlarged and overwritten by what was solved; NULL without memory. */
static float *enlarged(const float *old, int32_t n_old, size_t k,
                       const struct rows *rows, const float *solved)
{
    const size_t n = (size_t)n_old + (size_t)rows->n_added;
    float *values = malloc((n * k + 1) * sizeof *values);
    if (values) {
        memcpy(values, old, (size_t)n_old * k * sizeof *values);
        for (int32_t row = 0; row < rows->n; row++) {
            if (rows->is_placed[row]) {
                memcpy(values + (size_t)rows->target[row] * k, solved + (size_t)row * k,
                       k * sizeof *values);
            }
        }
    }
    return values;
}

static int extend_users(struct extension *e, struct error *error)
{
    const struct model *m = e->model;
    struct rows *users = &e->users;
    if (place_all(e, m, true, error) != 0) {
        return -1;
    }
    number_added(users, m->n_users);
    e->user_factors = enlarged(m->user_factors, m->n_users, (size_t)m->n_factors, users,
                               users->vector);
    e->user_bias = enlarged(m->user_bias, m->n_users, 1, users, users->bias);
    if (!e->user_factors || !e->user_bias) {
        return no_memory(error);
    }
    e->larger = *m;
    e->larger.n_users = m->n_users + users->n_added;
    e->larger.user_factors = e->user_factors;
    e->larger.user_bias = e->user_bias;
    return 0;
}

/* Ratings by users that are new; those of others may have been counted in training. */
static void count_ratings(struct extension *e)
{
    const struct ratings *r = e->ratings;
    const int32_t n_old = e->model->n_items;
    memcpy(e->item_count, e->model->item_count, (size_t)n_old * sizeof *e->item_count);
    for (int32_t i = 0; i < r->n_items; i++) {
        const int32_t target = e->items.target[i];
        if (target >= n_old) {
            e->item_count[target] = (int32_t)(r->item_start[i + 1] - r->item_start[i]);
            continue;
        }
        for (int64_t at = r->item_start[i]; target >= 0 && at < r->item_start[i + 1];
             at++) {
            e->item_count[target] +=
                e->users.target[r->item_user[at]] >= e->model->n_users;
        }
    }
}

static int extend_items(struct extension *e, struct error *error)
{
    const struct model *m = e->model;
    struct rows *items = &e->items;
    if (place_all(e, &e->larger, false, error) != 0) {
        return -1;
    }
    number_added(items, m->n_items);
    const size_t n = (size_t)m->n_items + (size_t)items->n_added;
    e->item_factors = enlarged(m->item_factors, m->n_items, (size_t)m->n_factors, items,
                               items->vector);
    e->item_bias = enlarged(m->item_bias, m->n_items, 1, items, items->bias);
    e->item_count = malloc((n + 1) * sizeof *e->item_count);
    if (!e->item_factors || !e->item_bias || !e->item_count) {
        return no_memory(error);
    }
    count_ratings(e);
    e->larger.n_items = (int32_t)n;
    e->larger.item_factors = e->item_factors;
    e->larger.item_bias = e->item_bias;
    e->larger.item_count = e->item_count;
    return 0;
}

static struct slice user_id(const void *context, int32_t user)
{
    const struct extension *e = context;
    return user < e->model->n_users
               ? model_user_id(e->model, user)
               : id_map_id(e->ratings->users, e->users.added[user - e->model->n_users]);
}

static struct slice item_id(const void *context, int32_t item)
{
    const struct extension *e = context;
    return item < e->model->n_items
               ? model_item_id(e->model, item)
               : id_map_id(e->ratings->items, e->items.added[item - e->model->n_items]);
}

/* The settings with a note of what was added; they end in the object's brace. */
static void note_extension(struct extension *e)
{
    struct slice text = e->model->settings;
    while (text.len > 0 && text.data[text.len - 1] != '}') {
        text.len--;
    }
    if (text.len > 0) {
        buffer_append(&e->settings, text.data, text.len - 1);
        buffer_printf(&e->settings, ",\"folded_in_users\":%d,\"folded_in_items\":%d}",
                      e->users.n_added, e->items.n_added);
    }
    e->larger.settings = buffer_slice(&e->settings);
}

static int save(struct extension *e, const char *path, struct error *error)
{
    const struct model_ids ids = {user_id, item_id, e};
    note_extension(e);
    if (e->settings.failed) {
        return no_memory(error);
    }
    return model_save(&e->larger, &ids, path, NULL, error);
}

static void summarize(const struct extension *e, struct fold_in_summary *summary)
{
    *summary = (struct fold_in_summary){.n_new_users = e->users.n_added,
                                        .n_new_items = e->items.n_added,
                                        .n_unplaced_users = e->users.n_unplaced,
                                        .n_unplaced_items = e->items.n_unplaced};
    for (int32_t i = 0; i < e->items.n_added; i++) {
        const int64_t *start = e->ratings->item_start + e->items.added[i];
        summary->n_new_unrated += start[0] == start[1];
    }
    for (int32_t u = 0; u < e->users.n; u++) {
        summary->n_solved_again +=
            e->users.is_placed[u] && e->users.target[u] < e->model->n_users;
    }
}

int fold_in_extend(const struct model *model, const struct ratings *ratings,
                   const struct item_features *features, int n_threads,
                   const char *path, struct fold_in_summary *summary,
                   struct error *error)
{
    struct extension e = {.model = model,
                          .ratings = ratings,
                          .features = features,
                          .n_threads = n_threads};
    int rc = -1;
    if (features && features->n_columns != model->n_features) {
        error_set(
            error, ERROR_INVALID,
            "fold-in: the model has a map from %d features, not %d; train it with "
            "abtest train als --features",
            model->n_features, features->n_columns);
        return -1;
    }
    if (rows_new(&e.users, ratings->n_users, model->n_factors) != 0 ||
        rows_new(&e.items, ratings->n_items, model->n_factors) != 0) {
        no_memory(error);
        goto out;
    }
    for (int32_t u = 0; u < ratings->n_users; u++) {
        e.users.target[u] = model_find_user(model, id_map_id(ratings->users, u));
    }
    for (int32_t i = 0; i < ratings->n_items; i++) {
        e.items.target[i] = model_find_item(model, id_map_id(ratings->items, i));
    }
    if (extend_users(&e, error) != 0 || extend_items(&e, error) != 0 ||
        save(&e, path, error) != 0) {
        goto out;
    }
    summarize(&e, summary);
    rc = 0;
out:
    rows_free(&e.users);
    rows_free(&e.items);
    free(e.user_factors);
    free(e.item_factors);
    free(e.user_bias);
    free(e.item_bias);
    free(e.item_count);
    buffer_free(&e.settings);
    return rc;
}
