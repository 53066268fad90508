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
    int32_t pending;    /* the worker whose batch holds it, or NOBODY: final */
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
};

struct dedup {
    pthread_mutex_t lock;
    struct generation young, old;
    size_t n_slots;        /* a power of two */
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
    error_set(error, ERROR_NOMEM, "no memory to remember %zu feedback ids", capacity);
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

static bool is_known(const struct dedup *dedup, XXH128_hash_t hash, int worker,
                     enum dedup_result *result)
{
    const struct generation *both[] = {&dedup->young, &dedup->old};
    for (int i = 0; i < 2; i++) {
        const struct entry *entry = find(dedup, both[i], hash);
        if (!is_free(entry) && entry->pending != FORGOTTEN) {
            *result = entry->pending == NOBODY || entry->pending == worker ? DEDUP_SEEN
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
            memset(dedup->young.entries, 0, dedup->n_slots * sizeof(struct entry));
            dedup->young.n_used = 0;
        }
        struct entry *entry = find(dedup, &dedup->young, hash);
        if (remember(&dedup->batches[worker], hash) != 0) {
            result = DEDUP_NO_MEMORY;
        } else {
            dedup->young.n_used += is_free(entry);
            *entry = (struct entry){hash, worker};
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

void dedup_undo(struct dedup *dedup, int worker, size_t mark)
{
    struct batch *batch = &dedup->batches[worker];
    pthread_mutex_lock(&dedup->lock);
    while (batch->n > mark) {
        settle(dedup, batch->hashes[--batch->n], FORGOTTEN);
    }
    pthread_mutex_unlock(&dedup->lock);
}
