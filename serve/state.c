#include "serve/state.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "common/search.h"
#include "serve/item_order.h"

static int rank_popular(struct serve_model *served, struct error *error)
{
    const size_t n = (size_t)served->model->n_items;
    struct item_order_entry *order = malloc((n + 1) * sizeof *order);
    struct item_order_entry *sorted = malloc((n + 1) * sizeof *sorted);
    served->popular = malloc((n + 1) * sizeof *served->popular);
    if (!order || !sorted || !served->popular) {
        free(order);
        free(sorted);
        error_set(error, ERROR_NOMEM, "no memory for %zu popular items", n);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        order[i] = (struct item_order_entry){
            item_order_falling_int(served->model->item_count[i]), (int32_t)i};
    }
    item_order_sort(order, sorted, n);
    for (size_t i = 0; i < n; i++) {
        served->popular[i] = sorted[i].item;
    }
    free(order);
    free(sorted);
    return 0;
}

static int compare_items(const void *a, const void *b)
{
    const int32_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

/* Whether the model numbers its items as the ratings do, as it does when it learned
 * from them or from what they were before more was appended: items that only one of the
 * two knows come last. */
static bool is_numbered_alike(const struct rated *rated, const struct model *model)
{
    const int32_t n = rated->n_items < model->n_items ? rated->n_items : model->n_items;
    for (int32_t i = 0; i < n; i++) {
        if (!slice_equal(id_index_at(&rated->items, i), model_item_id(model, i))) {
            return false;
        }
    }
    return true;
}

/* Item indices of the ratings in the model's numbering: (rated->n_items), -1 for an
 * item that the model does not know. */
static int32_t *map_items(const struct rated *rated, const struct model *model)
{
    int32_t *map = malloc(((size_t)rated->n_items + 1) * sizeof *map);
    for (int32_t i = 0; map && i < rated->n_items; i++) {
        map[i] = model_find_item(model, id_index_at(&rated->items, i));
    }
    return map;
}

static int translate_seen(struct serve_model *served, const struct rated *rated,
                          struct error *error)
{
    struct seen_items *seen = &served->seen;
    if (is_numbered_alike(rated, served->model)) {
        seen->start = rated->start;
        seen->item = rated->item;
        return 0;
    }
    int32_t *map = map_items(rated, served->model);
    seen->own_start = malloc(((size_t)rated->n_users + 1) * sizeof *seen->own_start);
    seen->own_item = malloc(((size_t)rated->n_ratings + 1) * sizeof *seen->own_item);
    seen->start = seen->own_start;
    seen->item = seen->own_item;
    if (!map || !seen->own_start || !seen->own_item) {
        error_set(error, ERROR_NOMEM, "no memory for the items that users have rated");
        free(map);
        return -1;
    }
    int64_t n = 0;
    for (int32_t u = 0; u < rated->n_users; u++) {
        const int64_t start = n;
        seen->own_start[u] = n;
        for (int64_t i = rated->start[u]; i < rated->start[u + 1]; i++) {
            const int32_t item = map[rated->item[i]];
            if (item >= 0) {
                seen->own_item[n++] = item;
            }
        }
        qsort(seen->own_item + start, (size_t)(n - start), sizeof *seen->own_item,
              compare_items);
    }
    seen->own_start[rated->n_users] = n;
    free(map);
    return 0;
}

static int make_labels(struct serve_model *served, struct error *error)
{
    char hash[HASH_TEXT_LEN + 1];
    const size_t size = strlen(served->name) + sizeof hash + sizeof "::popular";
    hash_text(served->model->hash, hash);
    served->label = malloc(size);
    served->popular_label = malloc(size);
    served->folded_label = malloc(size);
    if (!served->label || !served->popular_label || !served->folded_label) {
        error_set(error, ERROR_NOMEM, "no memory for a model's name");
        return -1;
    }
    snprintf(served->label, size, "%s:%s", served->name, hash);
    snprintf(served->popular_label, size, "%s:%s:popular", served->name, hash);
    snprintf(served->folded_label, size, "%s:%s:folded", served->name, hash);
    return 0;
}

static char *put_text(char *to, const char *text)
{
    const size_t len = strlen(text);
    memcpy(to, text, len);
    return to + len;
}

/* Ids and titles are escaped once, here, and copied into answers. */
static int write_pieces(struct serve_model *served, const struct titles *titles,
                        struct error *error)
{
    const int32_t n = served->model->n_items;
    struct buffer *text = &served->text;
    served->pieces = malloc((2 * (size_t)n + 1) * sizeof *served->pieces);
    for (int32_t i = 0; served->pieces && i < n; i++) {
        uint32_t *pieces = served->pieces + 2 * (size_t)i;
        const struct slice id = model_item_id(served->model, i);
        const struct slice title = titles ? titles_find(titles, id) : (struct slice){0};
        char *to = buffer_reserve(text, JSON_STRING_MAX(id.len) +
                                            JSON_STRING_MAX(title.len) + 64);
        if (!to) {
            break;
        }
        pieces[0] = (uint32_t)text->len;
        char *at =
            put_text(json_put_string(put_text(to, "{\"item\":"), id), ",\"score\":");
        pieces[1] = (uint32_t)(text->len + (size_t)(at - to));
        if (titles) {
            at = json_put_string(put_text(at, ",\"title\":"), title);
        }
        *at++ = '}';
        text->len += (size_t)(at - to);
    }
    if (!served->pieces || text->failed || text->len > UINT32_MAX) {
        error_set(error, ERROR_NOMEM, "no memory for the titles of %d items", n);
        return -1;
    }
    served->pieces[2 * (size_t)n] = (uint32_t)text->len;
    return 0;
}

/* What of a model does not need the ratings and titles. */
static int load_model(struct serve_state *state, int i, struct error *error)
{
    const struct model_config *config = &state->config->models[i];
    struct serve_model *served = &state->models[i];
    served->name = config->name;
    if (model_load(config->file, &served->model, error) != 0) {
        error_prefix(error, "model %s", config->name);
        return -1;
    }
    if (make_labels(served, error) != 0 || rank_popular(served, error) != 0 ||
        topk_new(served->model, NULL, &served->topk, error) != 0) {
        return -1;
    }
    struct error why;
    if (fold_in_new(served->model, &served->fold_in, &why) != 0) {
        served->fold_in = NULL; /* new users get the popular items then */
    }
    return 0;
}

static int complete_model(struct serve_state *state, int i, struct error *error)
{
    struct serve_model *served = &state->models[i];
    return write_pieces(served, state->titles, error) == 0 &&
                   (!state->rated || translate_seen(served, state->rated, error) == 0)
               ? 0
               : -1;
}

/* One of the things that a start reads. None needs another, so each has a thread. */
struct reading {
    int (*read)(struct serve_state *state, struct error *error);
    struct serve_state *state;
    pthread_t thread;
    bool has_thread;
    int rc;
    struct error error;
};

static int read_ratings(struct serve_state *state, struct error *error)
{
    const char *path = state->config->data.ratings;
    return path ? rated_load(path, NULL, &state->rated, &state->notice, error) : 0;
}

static int read_titles(struct serve_state *state, struct error *error)
{
    const char *path = state->config->data.titles;
    return path ? titles_load(path, &state->titles, error) : 0;
}

static int read_models(struct serve_state *state, struct error *error)
{
    for (int i = 0; i < state->config->n_models; i++) {
        if (load_model(state, i, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static void *run_reading(void *context)
{
    struct reading *reading = context;
    reading->rc = reading->read(reading->state, &reading->error);
    return NULL;
}

static int read_files(struct serve_state *state, struct error *error)
{
    struct reading readings[] = {{.read = read_ratings, .state = state},
                                 {.read = read_titles, .state = state},
                                 {.read = read_models, .state = state}};
    const int n = sizeof readings / sizeof readings[0];
    int rc = 0;
    for (int i = 0; i < n; i++) {
        readings[i].has_thread =
            i < n - 1 &&
            pthread_create(&readings[i].thread, NULL, run_reading, &readings[i]) == 0;
        if (!readings[i].has_thread) {
            run_reading(&readings[i]);
        }
    }
    for (int i = 0; i < n; i++) {
        if (readings[i].has_thread) {
            pthread_join(readings[i].thread, NULL);
        }
        if (readings[i].rc != 0 && rc == 0) {
            *error = readings[i].error;
            rc = -1;
        }
    }
    return rc;
}

static void free_state(struct serve_state *state)
{
    for (int i = 0; state->models && i < state->config->n_models; i++) {
        struct serve_model *served = &state->models[i];
        topk_free(served->topk);
        free(served->label);
        free(served->popular_label);
        free(served->folded_label);
        fold_in_free(served->fold_in); /* borrows the model */
        model_free(served->model);
        free(served->popular);
        free(served->pieces);
        buffer_free(&served->text);
        free(served->seen.own_start);
        free(served->seen.own_item);
    }
    free(state->models);
    rated_free(state->rated);
    titles_free(state->titles);
}

int serve_state_load(struct config *config, struct serve_state **result,
                     struct error *error)
{
    struct serve_state *state = calloc(1, sizeof *state);
    if (!state) {
        error_set(error, ERROR_NOMEM, "no memory for the models");
        return -1;
    }
    atomic_init(&state->n_references, 1);
    state->config = config;
    state->loaded_us = clock_wall_us();
    state->models = calloc((size_t)config->n_models + 1, sizeof *state->models);
    if (!state->models) {
        error_set(error, ERROR_NOMEM, "no memory for the models");
        goto fail;
    }
    if (read_files(state, error) != 0) {
        goto fail;
    }
    for (int i = 0; i < config->n_models; i++) {
        if (complete_model(state, i, error) != 0) {
            goto fail;
        }
    }
    *result = state;
    return 0;
fail:
    free_state(state);
    free(state);
    return -1;
}

struct serve_state *serve_state_ref(struct serve_state *state)
{
    atomic_fetch_add(&state->n_references, 1);
    return state;
}

void serve_state_unref(struct serve_state *state)
{
    if (state && atomic_fetch_sub(&state->n_references, 1) == 1) {
        free_state(state);
        config_free(state->config);
        free(state);
    }
}

const int32_t *serve_state_seen(const struct serve_state *state, int model,
                                struct slice user, int32_t *n)
{
    const struct serve_model *served = &state->models[model];
    const struct seen_items *seen = &served->seen;
    *n = 0;
    if (!state->rated) {
        return NULL;
    }
    const int32_t index = id_index_find(&state->rated->users, user);
    if (index < 0) {
        return NULL;
    }
    const int32_t *items = seen->item + seen->start[index];
    *n = (int32_t)lower_bound(items, 0, seen->start[index + 1] - seen->start[index],
                              served->model->n_items);
    return items;
}
