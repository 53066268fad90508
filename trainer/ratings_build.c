#include "trainer/ratings_build.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/pages.h"

#define FEW          24 /* ratings that are sorted by insertion */
#define RADIX_BITS   8
#define RADIX        (1 << RADIX_BITS)
#define STORES_AHEAD 16

/* Counts how often each value in [0, n_values) occurs and turns the counts into starts:
 * start[v] is where the first v goes, start[n_values] = n. */
static void count_starts(const int32_t *value, int64_t n, int64_t *start,
                         int32_t n_values)
{
    memset(start, 0, ((size_t)n_values + 1) * sizeof *start);
    for (int64_t i = 0; i < n; i++) {
        start[value[i] + 1]++;
    }
    for (int32_t v = 0; v < n_values; v++) {
        start[v + 1] += start[v];
    }
}

/* The starts have been moved to the ends by a scatter: moves them back. */
static void rewind_starts(int64_t *start, int32_t n_values)
{
    memmove(start + 1, start, (size_t)n_values * sizeof *start);
    start[0] = 0;
}

/* A counting sort leaves each rating in a place that no cache foresees, but it is known
 * a few ratings before: fetch it for writing. */
static void fetch_place(const struct ratings *r, int64_t at)
{
    if (at < r->n_ratings) {
        const int64_t to = r->item_start[r->user_item[at]];
        __builtin_prefetch(r->item_user + to, 1);
        __builtin_prefetch(r->item_rating + to, 1);
    }
}

static void fill_by_item(struct ratings *r)
{
    count_starts(r->user_item, r->n_ratings, r->item_start, r->n_items);
    for (int32_t user = 0; user < r->n_users; user++) {
        for (int64_t i = r->user_start[user]; i < r->user_start[user + 1]; i++) {
            fetch_place(r, i + STORES_AHEAD);
            const int64_t to = r->item_start[r->user_item[i]]++;
            r->item_user[to] = user;
            r->item_rating[to] = r->user_rating[i];
        }
    }
    rewind_starts(r->item_start, r->n_items);
}

/* Keeps the last of equal neighbours in the by-user arrays. */
static void drop_duplicates(struct ratings *r)
{
    int64_t kept = 0;
    for (int32_t user = 0; user < r->n_users; user++) {
        const int64_t begin = r->user_start[user], end = r->user_start[user + 1];
        r->user_start[user] = kept;
        for (int64_t i = begin; i < end; i++) {
            if (i + 1 < end && r->user_item[i + 1] == r->user_item[i]) {
                continue;
            }
            r->user_item[kept] = r->user_item[i];
            r->user_rating[kept++] = r->user_rating[i];
        }
    }
    r->user_start[r->n_users] = kept;
    r->n_ratings = kept;
}

/* One user's ratings while they are sorted: the item above the rating's bits. */
struct sorter {
    uint64_t *key, *other; /* (most ratings of a user) */
    int n_bits;            /* that an item may have */
};

static uint64_t key_of(int32_t item, float rating)
{
    uint32_t bits;
    memcpy(&bits, &rating, sizeof bits);
    return (uint64_t)(uint32_t)item << 32 | bits;
}

/* Stable: only the items are compared. */
static void sort_few(uint64_t *key, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        const uint64_t moving = key[i];
        int64_t to = i;
        for (; to > 0 && key[to - 1] >> 32 > moving >> 32; to--) {
            key[to] = key[to - 1];
        }
        key[to] = moving;
    }
}

/* Stable counting sorts by the digits of the item, the lowest first. */
static void sort_many(struct sorter *sorter, int64_t n)
{
    for (int shift = 32; shift < 32 + sorter->n_bits; shift += RADIX_BITS) {
        int64_t start[RADIX + 1] = {0};
        for (int64_t i = 0; i < n; i++) {
            start[(sorter->key[i] >> shift) % RADIX + 1]++;
        }
        for (int digit = 0; digit < RADIX; digit++) {
            start[digit + 1] += start[digit];
        }
        for (int64_t i = 0; i < n; i++) {
            sorter->other[start[(sorter->key[i] >> shift) % RADIX]++] = sorter->key[i];
        }
        uint64_t *sorted = sorter->other;
        sorter->other = sorter->key;
        sorter->key = sorted;
    }
}

static bool is_ascending(const int32_t *item, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        if (item[i] <= item[i - 1]) {
            return false;
        }
    }
    return true;
}

/* Sorts a user's ratings by item, those of one item in the order they had. Returns
 * whether an item came twice. */
static bool sort_user(int32_t *item, float *rating, int64_t n, struct sorter *sorter)
{
    bool is_twice = false;
    if (is_ascending(item, n)) {
        return false;
    }
    for (int64_t i = 0; i < n; i++) {
        sorter->key[i] = key_of(item[i], rating[i]);
    }
    if (n <= FEW) {
        sort_few(sorter->key, n);
    } else {
        sort_many(sorter, n);
    }
    for (int64_t i = 0; i < n; i++) {
        const uint32_t bits = (uint32_t)sorter->key[i];
        item[i] = (int32_t)(sorter->key[i] >> 32);
        memcpy(rating + i, &bits, sizeof bits);
        is_twice = is_twice || (i && item[i] == item[i - 1]);
    }
    return is_twice;
}

/* Sorts each user's part of the by-user arrays; *is_twice: some pair came twice. */
static int sort_users(struct ratings *r, bool *is_twice)
{
    struct sorter sorter = {0};
    int64_t most = 1;
    for (int32_t user = 0; user < r->n_users; user++) {
        const int64_t n = r->user_start[user + 1] - r->user_start[user];
        most = n > most ? n : most;
    }
    while (sorter.n_bits < 31 && r->n_items >> sorter.n_bits) {
        sorter.n_bits++;
    }
    uint64_t *keys = malloc(2 * (size_t)most * sizeof *keys);
    if (!keys) {
        return -1;
    }
    sorter.key = keys;
    sorter.other = keys + most;
    for (int32_t user = 0; user < r->n_users; user++) {
        const int64_t first = r->user_start[user];
        *is_twice |= sort_user(r->user_item + first, r->user_rating + first,
                               r->user_start[user + 1] - first, &sorter);
    }
    free(keys);
    return 0;
}

/* Fills the by-user arrays from triples in any order: by item first, then by user, each
 * scatter stable, so that a user's items ascend and a pair's ratings keep file order.
 * The by-item arrays serve as scratch. */
static void sort_by_user(const struct rating_triples *t, struct ratings *r)
{
    count_starts(t->item, t->n, r->item_start, r->n_items);
    for (int64_t i = 0; i < t->n; i++) {
        const int64_t to = r->item_start[t->item[i]]++;
        r->item_user[to] = t->user[i];
        r->item_rating[to] = t->rating[i];
    }
    rewind_starts(r->item_start, r->n_items);
    count_starts(t->user, t->n, r->user_start, r->n_users);
    for (int32_t item = 0; item < r->n_items; item++) {
        for (int64_t i = r->item_start[item]; i < r->item_start[item + 1]; i++) {
            const int64_t to = r->user_start[r->item_user[i]]++;
            r->user_item[to] = item;
            r->user_rating[to] = r->item_rating[i];
        }
    }
    rewind_starts(r->user_start, r->n_users);
}

static void *array_of(int64_t n, size_t size)
{
    return malloc(n ? (size_t)n * size : size);
}

/* Users in ascending order, as in the files of MovieLens. */
static bool is_grouped_by_user(const int32_t *user, int64_t n)
{
    for (int64_t i = 1; i < n; i++) {
        if (user[i] < user[i - 1]) {
            return false;
        }
    }
    return true;
}

static int allocate_starts(struct ratings *r)
{
    r->user_start = array_of((int64_t)r->n_users + 1, sizeof *r->user_start);
    r->item_start = array_of((int64_t)r->n_items + 1, sizeof *r->item_start);
    return r->user_start && r->item_start ? 0 : -1;
}

static int allocate_by_item(struct ratings *r)
{
    const size_t n = (size_t)r->n_ratings;
    r->item_user = pages_alloc(n * sizeof *r->item_user, 0);
    r->item_rating = pages_alloc(n * sizeof *r->item_rating, 0);
    return r->item_user && r->item_rating ? 0 : -1;
}

/* The by-user arrays hold the items and ratings, users ascending: sorts them and makes
 * the others. */
static int build_grouped(struct ratings *r)
{
    bool is_twice = false;
    if (sort_users(r, &is_twice) != 0 || allocate_by_item(r) != 0) {
        return -1;
    }
    if (is_twice) {
        drop_duplicates(r);
    }
    fill_by_item(r);
    return 0;
}

static int build_unsorted(const struct rating_triples *triples, struct ratings *r)
{
    r->user_item = array_of(triples->n, sizeof *r->user_item);
    r->user_rating = array_of(triples->n, sizeof *r->user_rating);
    if (!r->user_item || !r->user_rating || allocate_by_item(r) != 0) {
        return -1;
    }
    sort_by_user(triples, r);
    drop_duplicates(r);
    fill_by_item(r);
    return 0;
}

/* Gives back what growing reserved too much; a smaller block cannot fail to be had, but
 * if it does the larger one serves. */
static void *trimmed(void *array, int64_t n, size_t size)
{
    void *smaller = realloc(array, (size_t)n * size);
    return smaller ? smaller : array;
}

static void starts_of_runs(const struct ratings_triples *t, struct ratings *r)
{
    int32_t user = 0;
    for (int64_t i = 0; i < t->n_runs; i++) {
        while (user <= t->run[i].user) {
            r->user_start[user++] = t->run[i].start;
        }
    }
    while (user <= r->n_users) {
        r->user_start[user++] = t->n;
    }
}

static int take_grouped(struct ratings_triples *t, struct ratings *r)
{
    starts_of_runs(t, r);
    r->user_item = trimmed(t->item, t->n, sizeof *r->user_item);
    r->user_rating = trimmed(t->rating, t->n, sizeof *r->user_rating);
    t->item = NULL;
    t->rating = NULL;
    return build_grouped(r);
}

static int copy_grouped(const struct rating_triples *t, struct ratings *r)
{
    r->user_item = array_of(t->n, sizeof *r->user_item);
    r->user_rating = array_of(t->n, sizeof *r->user_rating);
    if (!r->user_item || !r->user_rating) {
        return -1;
    }
    count_starts(t->user, t->n, r->user_start, r->n_users);
    if (t->n) {
        memcpy(r->user_item, t->item, (size_t)t->n * sizeof *t->item);
        memcpy(r->user_rating, t->rating, (size_t)t->n * sizeof *t->rating);
    }
    return build_grouped(r);
}

/* Exactly one of `own` and `triples` is given. */
static int build(struct ratings_triples *own, const struct rating_triples *triples,
                 struct ratings *r)
{
    if (allocate_starts(r) != 0) {
        return -1;
    }
    if (own && !own->user) {
        return take_grouped(own, r);
    }
    if (own) {
        const struct rating_triples lent = {own->user, own->item, own->rating, own->n};
        return build_unsorted(&lent, r);
    }
    return is_grouped_by_user(triples->user, triples->n) ? copy_grouped(triples, r)
                                                         : build_unsorted(triples, r);
}

static int finish(struct ratings *r, int rc, struct ratings **ratings, int64_t n,
                  struct error *error)
{
    if (rc != 0) {
        if (r) {
            r->users = r->items = NULL; /* still the caller's */
        }
        ratings_free(r);
        error_set(error, ERROR_NOMEM, "no memory to sort %lld ratings", (long long)n);
        return -1;
    }
    *ratings = r;
    return 0;
}

static struct ratings *ratings_new(struct id_map *users, struct id_map *items,
                                   int64_t n)
{
    struct ratings *r = calloc(1, sizeof *r);
    if (r) {
        r->n_users = id_map_count(users);
        r->n_items = id_map_count(items);
        r->n_ratings = n;
        r->users = users;
        r->items = items;
    }
    return r;
}

int ratings_take(struct ratings_triples *triples, struct id_map *users,
                 struct id_map *items, struct ratings **ratings, struct error *error)
{
    struct ratings *r = ratings_new(users, items, triples->n);
    const int rc = r ? build(triples, NULL, r) : -1;
    ratings_triples_free(triples);
    return finish(r, rc, ratings, triples->n, error);
}

int ratings_build(const struct rating_triples *triples, struct id_map *users,
                  struct id_map *items, struct ratings **ratings, struct error *error)
{
    struct ratings *r = ratings_new(users, items, triples->n);
    return finish(r, r ? build(NULL, triples, r) : -1, ratings, triples->n, error);
}
