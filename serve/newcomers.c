#include "serve/newcomers.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct rated {
    int32_t item; /* in newcomers.items */
    float value;
};

struct newcomer {
    struct rated *rated;
    int32_t n, capacity;
};

struct newcomers {
    pthread_mutex_t lock;
    atomic_int n_users; /* read without the lock: mostly there are none */
    int32_t max_users;
    struct id_map *users, *items;
    struct newcomer *of_user; /* (max_users) */
};

struct newcomers *newcomers_new(int32_t max_users, struct error *error)
{
    struct newcomers *newcomers = calloc(1, sizeof *newcomers);
    if (newcomers) {
        pthread_mutex_init(&newcomers->lock, NULL);
        newcomers->max_users = max_users;
        newcomers->users = id_map_new();
        newcomers->items = id_map_new();
        newcomers->of_user = calloc((size_t)max_users, sizeof *newcomers->of_user);
    }
    if (!newcomers || !newcomers->users || !newcomers->items || !newcomers->of_user) {
        newcomers_free(newcomers);
        error_set(error, ERROR_NOMEM, "no memory for new users");
        return NULL;
    }
    return newcomers;
}

void newcomers_free(struct newcomers *newcomers)
{
    if (!newcomers) {
        return;
    }
    for (int32_t i = 0; newcomers->of_user && i < newcomers->n_users; i++) {
        free(newcomers->of_user[i].rated);
    }
    free(newcomers->of_user);
    id_map_free(newcomers->users);
    id_map_free(newcomers->items);
    pthread_mutex_destroy(&newcomers->lock);
    free(newcomers);
}

static struct newcomer *find_or_add(struct newcomers *newcomers, struct slice user)
{
    int32_t index = id_map_find(newcomers->users, user);
    if (index < 0) {
        if (id_map_count(newcomers->users) == newcomers->max_users) {
            return NULL;
        }
        index = id_map_add(newcomers->users, user);
        if (index < 0) {
            return NULL;
        }
        atomic_store(&newcomers->n_users, index + 1);
    }
    return &newcomers->of_user[index];
}

static void rate(struct newcomer *newcomer, int32_t item, float value)
{
    for (int32_t i = 0; i < newcomer->n; i++) {
        if (newcomer->rated[i].item == item) {
            newcomer->rated[i].value = value;
            return;
        }
    }
    if (newcomer->n == newcomer->capacity) {
        const int32_t capacity = newcomer->capacity ? 2 * newcomer->capacity : 8;
        struct rated *rated =
            newcomer->n < NEWCOMERS_MAX_RATINGS
                ? realloc(newcomer->rated, (size_t)capacity * sizeof *rated)
                : NULL;
        if (!rated) {
            return;
        }
        newcomer->rated = rated;
        newcomer->capacity = capacity;
    }
    if (newcomer->n < NEWCOMERS_MAX_RATINGS) {
        newcomer->rated[newcomer->n++] = (struct rated){item, value};
    }
}

void newcomers_rate(struct newcomers *newcomers, struct slice user, struct slice item,
                    double value)
{
    pthread_mutex_lock(&newcomers->lock);
    struct newcomer *newcomer = find_or_add(newcomers, user);
    const int32_t index = newcomer ? id_map_add(newcomers->items, item) : -1;
    if (index >= 0) {
        rate(newcomer, index, (float)value);
    }
    pthread_mutex_unlock(&newcomers->lock);
}

/* Puts an item in its place among the ascending ones. */
static void insert(int32_t *items, float *ratings, int n, int32_t item, float rating)
{
    for (; n > 0 && items[n - 1] > item; n--) {
        items[n] = items[n - 1];
        ratings[n] = ratings[n - 1];
    }
    items[n] = item;
    ratings[n] = rating;
}

int newcomers_ratings(struct newcomers *newcomers, struct slice user,
                      const struct model *model, int32_t *items, float *ratings)
{
    int n = 0;
    if (atomic_load_explicit(&newcomers->n_users, memory_order_relaxed) == 0) {
        return 0;
    }
    pthread_mutex_lock(&newcomers->lock);
    const int32_t index = id_map_find(newcomers->users, user);
    const struct newcomer none = {0};
    const struct newcomer *newcomer = index < 0 ? &none : &newcomers->of_user[index];
    for (int32_t i = 0; i < newcomer->n; i++) {
        const int32_t item = model_find_item(
            model, id_map_id(newcomers->items, newcomer->rated[i].item));
        if (item >= 0) {
            insert(items, ratings, n++, item, newcomer->rated[i].value);
        }
    }
    pthread_mutex_unlock(&newcomers->lock);
    return n;
}
