#include "stats/id_seen.h"

#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/hash.h"
#include "common/id_map.h"

/* Small pages: numbers that do not count up, but are random, then cost 100 bytes each
 * and not a kilobyte. Longer numbers (the end of a UUID) are not taken for counters. */
#define PAGE_BITS   512
#define PAGE_WORDS  (PAGE_BITS / 64)
#define MAX_DIGITS  8
#define MIN_PREFIX  2 /* bytes: of a node and its dot */
#define PREFIX_SIZE 64

struct page {
    int32_t node;
    int64_t number; /* first id of the page / PAGE_BITS */
    uint64_t bits[PAGE_WORDS];
};

/* Open addressing; slots is a power of two; a slot that is empty holds 0. */
struct id_seen {
    struct id_map *nodes;
    struct page **pages;
    size_t n_pages, page_slots;
    struct page *recent;      /* numbers count up: the next id is most often here, */
    char prefix[PREFIX_SIZE]; /* after the same prefix */
    size_t prefix_len;
    uint64_t prefix_hash;
    struct id_key last; /* that was added */
    uint64_t *hashes;
    size_t n_hashes, hash_slots;
    bool has_zero_hash;
    struct id_map *repeated;
};

struct id_seen *id_seen_new(void)
{
    struct id_seen *seen = calloc(1, sizeof *seen);
    if (!seen) {
        return NULL;
    }
    seen->nodes = id_map_new();
    seen->repeated = id_map_new();
    seen->page_slots = 64;
    seen->pages = calloc(seen->page_slots, sizeof(struct page *));
    seen->hash_slots = 64;
    seen->hashes = calloc(seen->hash_slots, sizeof *seen->hashes);
    if (!seen->nodes || !seen->repeated || !seen->pages || !seen->hashes) {
        id_seen_free(seen);
        return NULL;
    }
    return seen;
}

void id_seen_free(struct id_seen *seen)
{
    if (!seen) {
        return;
    }
    for (size_t i = 0; seen->pages && i < seen->page_slots; i++) {
        free(seen->pages[i]);
    }
    free(seen->pages);
    free(seen->hashes);
    id_map_free(seen->nodes);
    id_map_free(seen->repeated);
    free(seen);
}

static int digit_of(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Splits "<prefix>.<number>"; false when the id is not of that form, or is spelt in a
 * way that another id of the same number could be (a leading zero). */
static bool split_number(struct slice id, struct slice *prefix, int64_t *number)
{
    size_t start = id.len;
    int shift = 0;
    *number = 0;
    while (start > 0 && digit_of(id.data[start - 1]) >= 0 && shift <= 4 * MAX_DIGITS) {
        start--;
        *number += (int64_t)digit_of(id.data[start]) * (INT64_C(1) << shift);
        shift += 4;
    }
    const size_t n_digits = id.len - start;
    if (start < MIN_PREFIX || n_digits == 0 || n_digits > MAX_DIGITS ||
        (n_digits > 1 && id.data[start] == '0') ||
        (id.data[start - 1] != '.' && id.data[start - 1] != '-')) {
        return false;
    }
    *prefix = (struct slice){id.data, start};
    return true;
}

static size_t page_slot(struct page *const *pages, size_t slots, int32_t node,
                        int64_t number)
{
    const uint64_t key[2] = {(uint64_t)node, (uint64_t)number};
    size_t at = (size_t)hash_bytes(key, sizeof key) & (slots - 1);
    while (pages[at] && (pages[at]->node != node || pages[at]->number != number)) {
        at = (at + 1) & (slots - 1);
    }
    return at;
}

static int grow_pages(struct id_seen *seen)
{
    const size_t slots = seen->page_slots * 2;
    struct page **pages = calloc(slots, sizeof(struct page *));
    if (!pages) {
        return -1;
    }
    for (size_t i = 0; i < seen->page_slots; i++) {
        struct page *page = seen->pages[i];
        if (page) {
            pages[page_slot(pages, slots, page->node, page->number)] = page;
        }
    }
    free(seen->pages);
    seen->pages = pages;
    seen->page_slots = slots;
    return 0;
}

static struct page *find_page(struct id_seen *seen, struct slice prefix, int64_t number)
{
    const bool is_same_prefix = prefix.len == seen->prefix_len &&
                                memcmp(prefix.data, seen->prefix, prefix.len) == 0;
    if (is_same_prefix && seen->recent->number == number) {
        return seen->recent;
    }
    const int32_t node =
        is_same_prefix ? seen->recent->node : id_map_add(seen->nodes, prefix);
    if (node == ID_NONE ||
        (seen->n_pages * 2 >= seen->page_slots && grow_pages(seen) != 0)) {
        return NULL;
    }
    const size_t at = page_slot(seen->pages, seen->page_slots, node, number);
    if (!seen->pages[at]) {
        struct page *page = calloc(1, sizeof *page);
        if (!page) {
            return NULL;
        }
        page->node = node;
        page->number = number;
        seen->pages[at] = page;
        seen->n_pages++;
    }
    seen->recent = seen->pages[at];
    if (!is_same_prefix) {
        seen->prefix_hash = hash_bytes(prefix.data, prefix.len);
    }
    seen->prefix_len = 0;
    if (prefix.len <= PREFIX_SIZE) {
        memcpy(seen->prefix, prefix.data, prefix.len);
        seen->prefix_len = prefix.len;
    }
    return seen->recent;
}

static int add_to_page(struct page *page, int64_t number)
{
    const uint64_t bit = (uint64_t)1 << number % 64;
    uint64_t *word = &page->bits[number % PAGE_BITS / 64];
    const int was_there = (*word & bit) != 0;
    *word |= bit;
    return was_there;
}

static int add_number(struct id_seen *seen, struct slice prefix, int64_t number)
{
    struct page *page = find_page(seen, prefix, number / PAGE_BITS);
    return page ? add_to_page(page, number) : -1;
}

static size_t hash_slot(const uint64_t *hashes, size_t slots, uint64_t hash)
{
    size_t at = (size_t)hash & (slots - 1);
    while (hashes[at] && hashes[at] != hash) {
        at = (at + 1) & (slots - 1);
    }
    return at;
}

static int grow_hashes(struct id_seen *seen)
{
    const size_t slots = seen->hash_slots * 2;
    uint64_t *hashes = calloc(slots, sizeof *hashes);
    if (!hashes) {
        return -1;
    }
    for (size_t i = 0; i < seen->hash_slots; i++) {
        if (seen->hashes[i]) {
            hashes[hash_slot(hashes, slots, seen->hashes[i])] = seen->hashes[i];
        }
    }
    free(seen->hashes);
    seen->hashes = hashes;
    seen->hash_slots = slots;
    return 0;
}

static int add_hash(struct id_seen *seen, uint64_t hash)
{
    if (hash == 0) {
        const int was_there = seen->has_zero_hash;
        seen->has_zero_hash = true;
        return was_there;
    }
    if (seen->n_hashes * 3 >= seen->hash_slots * 2 && grow_hashes(seen) != 0) {
        return -1;
    }
    const size_t at = hash_slot(seen->hashes, seen->hash_slots, hash);
    if (seen->hashes[at]) {
        return 1;
    }
    seen->hashes[at] = hash;
    seen->n_hashes++;
    return 0;
}

/* An id whose prefix is that of the one before: as split_number and find_page would
 * have it, in one go. Returns NULL when it is of another prefix, form or page. */
static struct page *find_recent(const struct id_seen *seen, struct slice id,
                                int64_t *number)
{
    const size_t start = seen->prefix_len;
    const size_t n_digits = id.len - start;
    if (start == 0 || id.len <= start || n_digits > MAX_DIGITS ||
        memcmp(id.data, seen->prefix, start) != 0 ||
        (n_digits > 1 && id.data[start] == '0')) {
        return NULL;
    }
    *number = 0;
    for (size_t i = start; i < id.len; i++) {
        const int digit = digit_of(id.data[i]);
        if (digit < 0) {
            return NULL;
        }
        *number = *number * 16 + digit;
    }
    return seen->recent->number == *number / PAGE_BITS ? seen->recent : NULL;
}

#define KEY_SIZE (PREFIX_SIZE + 16)

/* What a repeated id is kept under: itself, or a NUL and its hash, because that is all
 * that is left of it when two parts are merged. */
static struct slice hash_key(uint64_t hash, char key[KEY_SIZE])
{
    key[0] = '\0';
    memcpy(key + 1, &hash, sizeof hash);
    return (struct slice){key, 1 + sizeof hash};
}

int id_seen_add(struct id_seen *seen, struct slice id)
{
    struct slice prefix = {0};
    int64_t number = 0;
    char key[KEY_SIZE];
    int was_there;
    struct slice repeated = id;
    struct page *recent = find_recent(seen, id, &number);
    if (recent) {
        was_there = add_to_page(recent, number);
        seen->last = (struct id_key){seen->prefix_hash, (uint64_t)number};
    } else if (split_number(id, &prefix, &number)) {
        was_there = add_number(seen, prefix, number);
        seen->last = (struct id_key){seen->prefix_hash, (uint64_t)number};
    } else {
        const uint64_t hash = hash_bytes(id.data, id.len);
        was_there = add_hash(seen, hash);
        seen->last = (struct id_key){0, hash};
        repeated = hash_key(hash, key);
    }
    if (was_there == 1 && id_map_add(seen->repeated, repeated) == ID_NONE) {
        return -1;
    }
    return was_there;
}

static int merge_page(struct id_seen *into, const struct id_seen *from,
                      const struct page *page)
{
    const struct slice prefix = id_map_id(from->nodes, page->node);
    struct page *to = find_page(into, prefix, page->number);
    if (!to) {
        return -1;
    }
    for (int w = 0; w < PAGE_WORDS; w++) {
        for (uint64_t both = to->bits[w] & page->bits[w]; both; both &= both - 1) {
            const int64_t number =
                page->number * PAGE_BITS + w * 64 + __builtin_ctzll(both);
            struct buffer id = {0};
            buffer_append(&id, prefix.data, prefix.len);
            buffer_printf(&id, "%llx", (unsigned long long)number);
            const bool is_lost =
                id.failed || id_map_add(into->repeated, buffer_slice(&id)) == ID_NONE;
            buffer_free(&id);
            if (is_lost) {
                return -1;
            }
        }
        to->bits[w] |= page->bits[w];
    }
    return 0;
}

static int merge_hash(struct id_seen *into, uint64_t hash)
{
    char key[KEY_SIZE];
    const int was_there = add_hash(into, hash);
    if (was_there == 1 && id_map_add(into->repeated, hash_key(hash, key)) == ID_NONE) {
        return -1;
    }
    return was_there < 0 ? -1 : 0;
}

int id_seen_merge(struct id_seen *into, const struct id_seen *from)
{
    for (int32_t i = 0; i < id_map_count(from->repeated); i++) {
        if (id_map_add(into->repeated, id_map_id(from->repeated, i)) == ID_NONE) {
            return -1;
        }
    }
    for (size_t i = 0; i < from->page_slots; i++) {
        if (from->pages[i] && merge_page(into, from, from->pages[i]) != 0) {
            return -1;
        }
    }
    for (size_t i = 0; i < from->hash_slots; i++) {
        if (from->hashes[i] && merge_hash(into, from->hashes[i]) != 0) {
            return -1;
        }
    }
    return from->has_zero_hash ? merge_hash(into, 0) : 0;
}

int32_t id_seen_repeated(const struct id_seen *seen, struct slice id)
{
    struct slice prefix = {0};
    int64_t number = 0;
    char key[KEY_SIZE];
    if (id_map_count(seen->repeated) == 0) {
        return ID_NONE;
    }
    return id_map_find(seen->repeated,
                       split_number(id, &prefix, &number)
                           ? id
                           : hash_key(hash_bytes(id.data, id.len), key));
}

int32_t id_seen_n_repeated(const struct id_seen *seen)
{
    return id_map_count(seen->repeated);
}

struct id_key id_key_of(struct slice id)
{
    struct slice prefix = {0};
    int64_t number = 0;
    return split_number(id, &prefix, &number)
               ? (struct id_key){hash_bytes(prefix.data, prefix.len), (uint64_t)number}
               : (struct id_key){0, hash_bytes(id.data, id.len)};
}

struct id_key id_seen_last(const struct id_seen *seen)
{
    return seen->last;
}

int id_seen_repeated_keys(const struct id_seen *seen, int32_t index,
                          struct id_key keys[2])
{
    const struct slice kept = id_map_id(seen->repeated, index);
    int n = 0;
    keys[n++] = id_key_of(kept);
    if (kept.len == 1 + sizeof(uint64_t) && kept.data[0] == '\0') {
        keys[n].prefix = 0; /* most likely a hash that was kept in place of the id */
        memcpy(&keys[n++].number, kept.data + 1, sizeof(uint64_t));
    }
    return n;
}

/* Whether `key` is one of the repeated; the key of a number is its whole id. */
static bool is_repeated(const struct id_seen *seen, struct slice key)
{
    return id_map_find(seen->repeated, key) != ID_NONE;
}

static bool page_meets_single(const struct id_seen *seen, const struct id_seen *from,
                              const struct page *page)
{
    const struct slice prefix = id_map_id(from->nodes, page->node);
    const int32_t node = id_map_find(seen->nodes, prefix);
    const struct page *mine =
        node == ID_NONE
            ? NULL
            : seen->pages[page_slot(seen->pages, seen->page_slots, node, page->number)];
    for (int w = 0; mine && w < PAGE_WORDS; w++) {
        for (uint64_t both = mine->bits[w] & page->bits[w]; both; both &= both - 1) {
            const int64_t number =
                page->number * PAGE_BITS + w * 64 + __builtin_ctzll(both);
            struct buffer id = {0};
            buffer_append(&id, prefix.data, prefix.len);
            buffer_printf(&id, "%llx", (unsigned long long)number);
            const bool is_single = id.failed || !is_repeated(seen, buffer_slice(&id));
            buffer_free(&id);
            if (is_single) {
                return true;
            }
        }
    }
    return false;
}

static bool hash_meets_single(const struct id_seen *seen, uint64_t hash)
{
    char key[KEY_SIZE];
    const bool was_there =
        hash ? seen->hashes[hash_slot(seen->hashes, seen->hash_slots, hash)] != 0
             : seen->has_zero_hash;
    return was_there && !is_repeated(seen, hash_key(hash, key));
}

bool id_seen_meets_single(const struct id_seen *seen, const struct id_seen *from)
{
    for (size_t i = 0; i < from->page_slots; i++) {
        if (from->pages[i] && page_meets_single(seen, from, from->pages[i])) {
            return true;
        }
    }
    for (size_t i = 0; i < from->hash_slots; i++) {
        if (from->hashes[i] && hash_meets_single(seen, from->hashes[i])) {
            return true;
        }
    }
    return from->has_zero_hash && hash_meets_single(seen, 0);
}

static void save_ids(const struct id_map *ids, struct buffer *to)
{
    bytes_put(to, (uint64_t)id_map_count(ids), 8);
    for (int32_t i = 0; i < id_map_count(ids); i++) {
        bytes_put_slice(to, id_map_id(ids, i));
    }
}

static int load_ids(struct id_map *into, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 8);
    for (size_t i = 0; i < n; i++) {
        const int32_t at = id_map_add(into, bytes_get_slice(from));
        from->failed |= at != ID_NONE && (size_t)at != i;
        if (at == ID_NONE || from->failed) {
            return -1;
        }
    }
    return from->failed ? -1 : 0;
}

void id_seen_save(const struct id_seen *seen, struct buffer *to)
{
    save_ids(seen->nodes, to);
    bytes_put(to, seen->n_pages, 8);
    for (size_t i = 0; i < seen->page_slots; i++) {
        const struct page *page = seen->pages[i];
        for (int w = 0; page && w < PAGE_WORDS + 2; w++) {
            bytes_put(to,
                      w == 0   ? (uint64_t)page->node
                      : w == 1 ? (uint64_t)page->number
                               : page->bits[w - 2],
                      8);
        }
    }
    bytes_put(to, seen->n_hashes, 8);
    for (size_t i = 0; i < seen->hash_slots; i++) {
        if (seen->hashes[i]) {
            bytes_put(to, seen->hashes[i], 8);
        }
    }
    bytes_put(to, seen->has_zero_hash, 1);
    save_ids(seen->repeated, to);
}

static int load_page(struct id_seen *into, struct bytes *from)
{
    const uint64_t node = bytes_get(from, 8), number = bytes_get(from, 8);
    if (from->failed || node >= (uint64_t)id_map_count(into->nodes) ||
        number > INT64_MAX / PAGE_BITS) {
        from->failed = true;
        return -1;
    }
    const struct slice prefix = id_map_id(into->nodes, (int32_t)node);
    if (prefix.len < MIN_PREFIX) { /* and to find_page an empty one is none yet */
        from->failed = true;
        return -1;
    }
    struct page *page = find_page(into, prefix, (int64_t)number);
    for (int w = 0; page && w < PAGE_WORDS; w++) {
        page->bits[w] |= bytes_get(from, 8);
    }
    return page ? 0 : -1;
}

int id_seen_load(struct id_seen *into, struct bytes *from)
{
    if (load_ids(into->nodes, from) != 0) {
        return -1;
    }
    const size_t n_pages = bytes_get_count(from, 8 * (size_t)(PAGE_WORDS + 2));
    for (size_t i = 0; i < n_pages; i++) {
        if (load_page(into, from) != 0) {
            return -1;
        }
    }
    const size_t n_hashes = bytes_get_count(from, 8);
    for (size_t i = 0; i < n_hashes; i++) {
        if (add_hash(into, bytes_get(from, 8)) < 0) {
            return -1;
        }
    }
    into->has_zero_hash = bytes_get(from, 1) != 0;
    return load_ids(into->repeated, from);
}
