#include "serve/dedup.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <xxhash.h>

#define NOBODY (-1)

struct entry {
    XXH128_hash_t hash; /* all zero: free */
    int32_t pending;    /* the batch that holds it (filling_of), or NOBODY: final */
};

/* Open addressing at most half full; a forgotten entry keeps its slot with the worker
 * set to FORGOTTEN, so that probing goes on over it. */
#define FORGOTTEN (-2)

struct generation {
    struct entry *entries; /* (n_slots) */
    size_t n_used;
};

struct batch {
    XXH128_hash_t *hashes; /* added since the last settling */
    size_t n, capacity;
    bool is_odd; /* changes with every batch that is sealed: two at most are pending */
};

struct dedup {
    pthread_mutex_t lock;
    struct generation young, old;
    size_t n_slots;        /* a power of two */
    unsigned n_turns;      /* how often a generation was forgotten */
    uint64_t key;          /* so that nobody can make ids collide on purpose */
    struct batch *batches; /* (n_workers) */
    int n_workers;
};

struct dedup *dedup_new(size_t capacity, int n_workers, struct error *error)
{
    struct dedup *dedup = calloc(1, sizeof *dedup);
    if (!dedup) {
        goto no_memory;
    }
    pthread_mutex_init(&dedup->lock, NULL);
    dedup->n_slots = 16;
    while (dedup->n_slots < 2 * capacity) {
        dedup->n_slots *= 2;
    }
    dedup->n_workers = n_workers;
    if (getrandom(&dedup->key, sizeof dedup->key, 0) != sizeof dedup->key) {
        dedup->key = (uint64_t)time(NULL);
    }
    dedup->young.entries = calloc(dedup->n_slots, sizeof(struct entry));
    dedup->old.entries = calloc(dedup->n_slots, sizeof(struct entry));
    dedup->batches = calloc((size_t)n_workers, sizeof *dedup->batches);
    if (!dedup->young.entries || !dedup->old.entries || !dedup->batches) {
        goto no_memory;
    }
    return dedup;
no_memory:
    dedup_free(dedup);
    error_set(error, ERROR_NOMEM, "no memory to remember %zu ids", capacity);
    return NULL;
}

void dedup_free(struct dedup *dedup)
{
    if (!dedup) {
        return;
    }
    for (int i = 0; dedup->batches && i < dedup->n_workers; i++) {
        free(dedup->batches[i].hashes);
    }
    free(dedup->batches);
    free(dedup->young.entries);
    free(dedup->old.entries);
    pthread_mutex_destroy(&dedup->lock);
    free(dedup);
}

static bool is_free(const struct entry *entry)
{
    return entry->hash.low64 == 0 && entry->hash.high64 == 0;
}

/* The entry of `hash`, or the free one where it would go. */
static struct entry *find(const struct dedup *dedup,
                          const struct generation *generation, XXH128_hash_t hash)
{
    size_t at = hash.low64 & (dedup->n_slots - 1);
    struct entry *entry = &generation->entries[at];
    while (!is_free(entry) && !XXH128_isEqual(entry->hash, hash)) {
        at = (at + 1) & (dedup->n_slots - 1);
        entry = &generation->entries[at];
    }
    return entry;
}

static XXH128_hash_t hash_of(const struct dedup *dedup, struct slice id)
{
    XXH128_hash_t hash = XXH3_128bits_withSeed(id.data, id.len, dedup->key);
    hash.low64 |= (hash.low64 | hash.high64) == 0; /* zero means free */
    return hash;
}

static int remember(struct batch *batch, XXH128_hash_t hash)
{
    if (batch->n == batch->capacity) {
        const size_t capacity = batch->capacity ? 2 * batch->capacity : 64;
        XXH128_hash_t *hashes = realloc(batch->hashes, capacity * sizeof *hashes);
        if (!hashes) {
            return -1;
        }
        batch->hashes = hashes;
        batch->capacity = capacity;
    }
    batch->hashes[batch->n++] = hash;
    return 0;
}

/* Names the batch that the worker is filling. */
static int32_t filling_of(const struct dedup *dedup, int worker)
{
    return 2 * worker + (dedup->batches[worker].is_odd ? 1 : 0);
}

static bool is_known(const struct dedup *dedup, XXH128_hash_t hash, int worker,
                     enum dedup_result *result)
{
    const struct generation *both[] = {&dedup->young, &dedup->old};
    for (int i = 0; i < 2; i++) {
        const struct entry *entry = find(dedup, both[i], hash);
        if (!is_free(entry) && entry->pending != FORGOTTEN) {
            *result =
                entry->pending == NOBODY || entry->pending == filling_of(dedup, worker)
                    ? DEDUP_SEEN
                    : DEDUP_BUSY;
            return true;
        }
    }
    return false;
}

enum dedup_result dedup_add(struct dedup *dedup, struct slice id, int worker)
{
    const XXH128_hash_t hash = hash_of(dedup, id);
    enum dedup_result result = DEDUP_NEW;
    pthread_mutex_lock(&dedup->lock);
    if (!is_known(dedup, hash, worker, &result)) {
        if (dedup->young.n_used >= dedup->n_slots / 2) {
            const struct generation oldest = dedup->old;
            dedup->old = dedup->young;
            dedup->young = oldest;
            dedup->n_turns++;
            memset(dedup->young.entries, 0, dedup->n_slots * sizeof(struct entry));
            dedup->young.n_used = 0;
        }
        struct entry *entry = find(dedup, &dedup->young, hash);
        if (remember(&dedup->batches[worker], hash) != 0) {
            result = DEDUP_NO_MEMORY;
        } else {
            dedup->young.n_used += is_free(entry);
            *entry = (struct entry){hash, filling_of(dedup, worker)};
        }
    }
    pthread_mutex_unlock(&dedup->lock);
    return result;
}

static void settle(struct dedup *dedup, XXH128_hash_t hash, int32_t becomes)
{
    const struct generation *both[] = {&dedup->young, &dedup->old};
    for (int i = 0; i < 2; i++) {
        struct entry *entry = find(dedup, both[i], hash);
        if (!is_free(entry) && entry->pending >= 0) {
            entry->pending = becomes;
        }
    }
}

void dedup_settle(struct dedup *dedup, int worker, size_t n, bool is_logged)
{
    struct batch *batch = &dedup->batches[worker];
    if (n == 0) {
        return;
    }
    pthread_mutex_lock(&dedup->lock);
    for (size_t i = 0; i < n; i++) {
        settle(dedup, batch->hashes[i], is_logged ? NOBODY : FORGOTTEN);
    }
    pthread_mutex_unlock(&dedup->lock);
    batch->n -= n;
    memmove(batch->hashes, batch->hashes + n, batch->n * sizeof *batch->hashes);
}

size_t dedup_mark(const struct dedup *dedup, int worker)
{
    return dedup->batches[worker].n;
}

size_t dedup_seal(struct dedup *dedup, int worker)
{
    struct batch *batch = &dedup->batches[worker];
    batch->is_odd = !batch->is_odd; /* the worker's own, as is the list */
    return batch->n;
}

void dedup_undo(struct dedup *dedup, int worker, size_t mark)
{
    struct batch *batch = &dedup->batches[worker];
    pthread_mutex_lock(&dedup->lock);
    while (batch->n > mark) {
        settle(dedup, batch->hashes[--batch->n], FORGOTTEN);
    }
    pthread_mutex_unlock(&dedup->lock);
}

/* ---- for a checkpoint ---- */

#define COPY_AT_ONCE 4096 /* slots: the others wait some microseconds for the lock */

void dedup_copy_free(struct dedup_copy *copy)
{
    free(copy->ids);
    free(copy->pending);
    *copy = (struct dedup_copy){0};
}

static int note_pending(struct dedup_copy *copy, size_t index)
{
    if (copy->n_pending == copy->pending_capacity) {
        const size_t capacity =
            copy->pending_capacity ? 2 * copy->pending_capacity : 64;
        size_t *pending = realloc(copy->pending, capacity * sizeof *pending);
        if (!pending) {
            return -1;
        }
        copy->pending = pending;
        copy->pending_capacity = capacity;
    }
    copy->pending[copy->n_pending++] = index;
    return 0;
}

/* Some slots of a generation. */
static int copy_slots(const struct generation *generation, size_t from, size_t to,
                      struct dedup_copy *copy)
{
    for (size_t i = from; i < to; i++) {
        const struct entry *entry = &generation->entries[i];
        if (is_free(entry) || entry->pending == FORGOTTEN) {
            continue;
        }
        if (entry->pending >= 0 && note_pending(copy, copy->n) != 0) {
            return -1;
        }
        copy->ids[copy->n++] = (struct dedup_id){entry->hash.low64, entry->hash.high64};
    }
    return 0;
}

/* One generation; 1 when one ended meanwhile. */
static int copy_generation(struct dedup *dedup, const struct generation *generation,
                           unsigned n_turns, struct dedup_copy *copy)
{
    int rc = 0;
    for (size_t from = 0; from < dedup->n_slots && rc == 0; from += COPY_AT_ONCE) {
        const size_t to =
            from + COPY_AT_ONCE < dedup->n_slots ? from + COPY_AT_ONCE : dedup->n_slots;
        pthread_mutex_lock(&dedup->lock);
        rc = n_turns != dedup->n_turns ? 1 : copy_slots(generation, from, to, copy);
        pthread_mutex_unlock(&dedup->lock);
    }
    return rc;
}

static int copy_all(struct dedup *dedup, struct dedup_copy *copy)
{
    pthread_mutex_lock(&dedup->lock);
    const unsigned n_turns = dedup->n_turns;
    pthread_mutex_unlock(&dedup->lock);
    int rc = copy_generation(dedup, &dedup->old, n_turns, copy);
    copy->n_old = copy->n;
    return rc == 0 ? copy_generation(dedup, &dedup->young, n_turns, copy) : rc;
}

int dedup_copy_make(struct dedup *dedup, struct dedup_copy *copy, struct error *error)
{
    *copy = (struct dedup_copy){.key = dedup->key};
    /* Both generations are at most half full; room that is not used is not touched. */
    copy->ids = malloc((dedup->n_slots + 2) * sizeof *copy->ids);
    const int rc = copy->ids ? copy_all(dedup, copy) : -1;
    if (rc != 0) {
        error_set(error, rc > 0 ? ERROR_BUSY : ERROR_NOMEM,
                  rc > 0 ? "a generation of ids ended while they were copied"
                         : "no memory to copy the ids");
    }
    return rc == 0 ? 0 : -1;
}

/* What became of an id: a worker, NOBODY, FORGOTTEN. */
static int32_t state_of(const struct dedup *dedup, struct dedup_id id)
{
    const struct generation *both[] = {&dedup->young, &dedup->old};
    int32_t state = FORGOTTEN;
    for (int i = 0; i < 2; i++) {
        const struct entry *entry =
            find(dedup, both[i], (XXH128_hash_t){id.low, id.high});
        if (!is_free(entry) && entry->pending != FORGOTTEN) {
            state = entry->pending;
        }
    }
    return state;
}

bool dedup_copy_settle(struct dedup *dedup, struct dedup_copy *copy)
{
    bool is_settled = true;
    pthread_mutex_lock(&dedup->lock);
    for (size_t i = 0; i < copy->n_pending && is_settled; i++) {
        struct dedup_id *id = &copy->ids[copy->pending[i]];
        const int32_t state =
            id->low || id->high ? state_of(dedup, *id) : (int32_t)NOBODY;
        is_settled = state < 0;
        if (state == FORGOTTEN) {
            *id = (struct dedup_id){0, 0};
        }
    }
    pthread_mutex_unlock(&dedup->lock);
    if (!is_settled) {
        return false;
    }
    size_t kept = 0, kept_old = 0;
    for (size_t i = 0; i < copy->n && copy->n_pending; i++) {
        if (copy->ids[i].low || copy->ids[i].high) {
            copy->ids[kept++] = copy->ids[i];
            kept_old += i < copy->n_old;
        }
    }
    if (copy->n_pending) {
        copy->n = kept;
        copy->n_old = kept_old;
        copy->n_pending = 0;
    }
    return true;
}

int dedup_restore(struct dedup *dedup, uint64_t key, const char *ids, size_t n_old,
                  size_t n, struct error *error)
{
    if (n_old > n || n_old > dedup->n_slots / 2 || n - n_old > dedup->n_slots / 2) {
        error_set(error, ERROR_INVALID, "%zu ids do not fit", n);
        return -1;
    }
    dedup->key = key;
    for (size_t i = 0; i < n; i++) {
        struct generation *generation = i < n_old ? &dedup->old : &dedup->young;
        XXH128_hash_t hash;
        memcpy(&hash.low64, ids + 16 * i, 8);
        memcpy(&hash.high64, ids + 16 * i + 8, 8);
        struct entry *entry = find(dedup, generation, hash);
        if (is_free(entry) && (hash.low64 || hash.high64)) {
            *entry = (struct entry){hash, NOBODY};
            generation->n_used++;
        }
    }
    return 0;
}
