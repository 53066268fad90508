#include "serve/newcomers.h"

#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"

struct rated_item {
    int64_t ts_us;
    int32_t item; /* in newcomers.items */
    float value;
};

/* Of one worker: ratings whose events are being logged. */
struct noted {
    struct buffer ratings;     /* the worker's own */
    uint64_t n_noted, n_ended; /* bytes ever, without undone ones; under the lock */
};

struct newcomer {
    struct rated_item *rated;
    int32_t n, capacity;
};

struct newcomers {
    pthread_mutex_t lock;
    atomic_int n_users; /* read without the lock: mostly there are none */
    int32_t max_users;
    struct id_map *users, *items;
    struct newcomer *of_user; /* (max_users) */
    struct noted *noted;      /* (n_workers) */
    int n_workers;
};

struct newcomers *newcomers_new(int32_t max_users, int n_workers, struct error *error)
{
    struct newcomers *newcomers = calloc(1, sizeof *newcomers);
    if (newcomers) {
        pthread_mutex_init(&newcomers->lock, NULL);
        newcomers->max_users = max_users;
        newcomers->users = id_map_new();
        newcomers->items = id_map_new();
        newcomers->of_user = calloc((size_t)max_users, sizeof *newcomers->of_user);
        newcomers->noted = calloc((size_t)n_workers, sizeof *newcomers->noted);
        newcomers->n_workers = n_workers;
    }
    if (!newcomers || !newcomers->users || !newcomers->items || !newcomers->of_user ||
        !newcomers->noted) {
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
    for (int i = 0; newcomers->noted && i < newcomers->n_workers; i++) {
        buffer_free(&newcomers->noted[i].ratings);
    }
    free(newcomers->noted);
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

static bool is_later(const struct rated_item *a, const struct rated_item *b)
{
    return a->ts_us != b->ts_us ? a->ts_us > b->ts_us : a->value > b->value;
}

static void rate(struct newcomer *newcomer, struct rated_item rated)
{
    for (int32_t i = 0; i < newcomer->n; i++) {
        if (newcomer->rated[i].item == rated.item) {
            if (is_later(&rated, &newcomer->rated[i])) {
                newcomer->rated[i] = rated;
            }
            return;
        }
    }
    if (newcomer->n == NEWCOMERS_MAX_RATINGS) {
        return;
    }
    if (newcomer->n == newcomer->capacity) {
        const int32_t capacity = newcomer->capacity ? 2 * newcomer->capacity : 1;
        struct rated_item *more =
            realloc(newcomer->rated, (size_t)capacity * sizeof *more);
        if (!more) {
            return;
        }
        newcomer->rated = more;
        newcomer->capacity = capacity;
    }
    newcomer->rated[newcomer->n++] = rated;
}

/* The name of an item is kept only where its rating is: anybody may make up names. */
static int32_t item_of(struct newcomers *newcomers, const struct newcomer *newcomer,
                       struct slice name)
{
    const int32_t item = id_map_find(newcomers->items, name);
    return item >= 0 || newcomer->n == NEWCOMERS_MAX_RATINGS ||
                   id_map_count(newcomers->items) == NEWCOMERS_MAX_ITEMS
               ? item
               : id_map_add(newcomers->items, name);
}

static void rate_locked(struct newcomers *newcomers, const struct rating_event *rating)
{
    if (!(fabs(rating->value) <= NEWCOMERS_MAX_VALUE)) {
        return;
    }
    struct newcomer *newcomer = find_or_add(newcomers, rating->user);
    const int32_t item = newcomer ? item_of(newcomers, newcomer, rating->item) : -1;
    if (item >= 0) {
        rate(newcomer, (struct rated_item){rating->ts_us, item, (float)rating->value});
    }
}

void newcomers_rate(struct newcomers *newcomers, const struct rating_event *rating)
{
    pthread_mutex_lock(&newcomers->lock);
    rate_locked(newcomers, rating);
    pthread_mutex_unlock(&newcomers->lock);
}

/* ---- what is being logged ---- */

static void encode_rating(struct buffer *to, const struct rating_event *rating)
{
    uint64_t bits = 0;
    memcpy(&bits, &rating->value, sizeof bits);
    bytes_put(to, (uint64_t)rating->ts_us, 8);
    bytes_put(to, bits, 8);
    bytes_put_slice(to, rating->user);
    bytes_put_slice(to, rating->item);
}

static struct rating_event decode_rating(struct bytes *from)
{
    struct rating_event rating = {.ts_us = (int64_t)bytes_get(from, 8)};
    const uint64_t bits = bytes_get(from, 8);
    memcpy(&rating.value, &bits, sizeof bits);
    rating.user = bytes_get_slice(from);
    rating.item = bytes_get_slice(from);
    return rating;
}

void newcomers_note(struct newcomers *newcomers, int worker,
                    const struct rating_event *rating)
{
    struct noted *noted = &newcomers->noted[worker];
    const size_t before = noted->ratings.len;
    encode_rating(&noted->ratings, rating);
    if (noted->ratings.failed) { /* as when it does not fit */
        noted->ratings.len = before;
        noted->ratings.failed = false;
    }
    pthread_mutex_lock(&newcomers->lock);
    noted->n_noted += noted->ratings.len - before;
    pthread_mutex_unlock(&newcomers->lock);
}

size_t newcomers_mark(const struct newcomers *newcomers, int worker)
{
    return newcomers->noted[worker].ratings.len;
}

void newcomers_undo(struct newcomers *newcomers, int worker, size_t mark)
{
    struct noted *noted = &newcomers->noted[worker];
    pthread_mutex_lock(&newcomers->lock);
    noted->n_noted -= noted->ratings.len - mark;
    pthread_mutex_unlock(&newcomers->lock);
    noted->ratings.len = mark;
}

void newcomers_settle(struct newcomers *newcomers, int worker, size_t mark,
                      bool is_logged)
{
    struct noted *noted = &newcomers->noted[worker];
    struct buffer *ratings = &noted->ratings;
    if (mark == 0) {
        return;
    }
    struct bytes from = {ratings->data, ratings->data + mark, false};
    pthread_mutex_lock(&newcomers->lock);
    while (is_logged && bytes_left(&from)) {
        const struct rating_event rating = decode_rating(&from);
        rate_locked(newcomers, &rating);
    }
    noted->n_ended += mark;
    pthread_mutex_unlock(&newcomers->lock);
    ratings->len -= mark;
    memmove(ratings->data, ratings->data + mark, ratings->len);
}

void newcomers_pending(struct newcomers *newcomers, uint64_t *pending)
{
    pthread_mutex_lock(&newcomers->lock);
    for (int i = 0; i < newcomers->n_workers; i++) {
        pending[i] = newcomers->noted[i].n_noted;
    }
    pthread_mutex_unlock(&newcomers->lock);
}

bool newcomers_are_settled(struct newcomers *newcomers, const uint64_t *pending)
{
    bool are_settled = true;
    pthread_mutex_lock(&newcomers->lock);
    for (int i = 0; i < newcomers->n_workers; i++) {
        const struct noted *noted = &newcomers->noted[i];
        are_settled = are_settled && (noted->n_ended >= pending[i] ||
                                      noted->n_ended == noted->n_noted);
    }
    pthread_mutex_unlock(&newcomers->lock);
    return are_settled;
}

/* ---- lists ---- */

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

/* ---- for a checkpoint ---- */

#define ENCODED_AT_ONCE 64 /* users: the others wait some microseconds for the lock */

static void encode_user(const struct newcomers *newcomers, int32_t index,
                        struct buffer *to)
{
    const struct newcomer *newcomer = &newcomers->of_user[index];
    bytes_put_slice(to, id_map_id(newcomers->users, index));
    bytes_put(to, (uint64_t)newcomer->n, 8);
    for (int32_t i = 0; i < newcomer->n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &newcomer->rated[i].value, sizeof bits);
        bytes_put(to, (uint64_t)newcomer->rated[i].item, 4);
        bytes_put(to, bits, 4);
        bytes_put(to, (uint64_t)newcomer->rated[i].ts_us, 8);
    }
}

/* The items before the users, and first how many bytes they take: they are known last,
 * for users who are yet to be copied may rate new ones meanwhile. */
void newcomers_encode(struct newcomers *newcomers, struct buffer *to)
{
    struct buffer users = {0};
    pthread_mutex_lock(&newcomers->lock);
    const int32_t n_users = newcomers->n_users;
    pthread_mutex_unlock(&newcomers->lock);
    bytes_put(&users, (uint64_t)n_users, 8);
    for (int32_t i = 0; i < n_users;) {
        pthread_mutex_lock(&newcomers->lock);
        for (int j = 0; j < ENCODED_AT_ONCE && i < n_users; j++, i++) {
            encode_user(newcomers, i, &users);
        }
        pthread_mutex_unlock(&newcomers->lock);
    }
    pthread_mutex_lock(&newcomers->lock);
    const int32_t n_items = id_map_count(newcomers->items);
    bytes_put(to, (uint64_t)n_items, 8);
    for (int32_t i = 0; i < n_items; i++) {
        bytes_put_slice(to, id_map_id(newcomers->items, i));
    }
    pthread_mutex_unlock(&newcomers->lock);
    buffer_append(to, users.data, users.len);
    to->failed |= users.failed;
    buffer_free(&users);
}

/* Reads it once to see whether it can be, with `newcomers` NULL, and once to take it.
 */
static int decode(struct newcomers *newcomers, struct bytes from, struct slice *items,
                  size_t n_items)
{
    for (size_t i = 0; i < n_items; i++) {
        items[i] = bytes_get_slice(&from);
    }
    const size_t n_users = bytes_get_count(&from, 16);
    for (size_t u = 0; u < n_users && !from.failed; u++) {
        const struct slice user = bytes_get_slice(&from);
        const size_t n = bytes_get_count(&from, 16);
        for (size_t i = 0; i < n; i++) {
            const uint64_t item = bytes_get(&from, 4);
            const uint32_t bits = (uint32_t)bytes_get(&from, 4);
            const int64_t ts_us = (int64_t)bytes_get(&from, 8);
            float value = 0;
            memcpy(&value, &bits, sizeof value);
            if (item >= n_items) {
                return -1;
            }
            if (newcomers) {
                const struct rating_event rating = {user, items[item], (double)value,
                                                    ts_us};
                newcomers_rate(newcomers, &rating);
            }
        }
    }
    return from.failed || bytes_left(&from) ? -1 : 0;
}

int newcomers_decode(struct newcomers *newcomers, struct slice from,
                     struct error *error)
{
    struct bytes bytes = {from.data, from.data + from.len, false};
    const size_t n_items = bytes_get_count(&bytes, 8);
    struct slice *items = calloc(n_items + 1, sizeof *items);
    int rc = -1;
    if (!items) {
        error_set(error, ERROR_NOMEM, "no memory for the ratings of new users");
    } else if (bytes.failed || decode(NULL, bytes, items, n_items) != 0) {
        error_set(error, ERROR_DAMAGED, "the ratings of new users cannot be that");
    } else {
        rc = decode(newcomers, bytes, items, n_items);
    }
    free(items);
    return rc;
}
