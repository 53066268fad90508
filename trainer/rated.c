/* rated.c - checks the bytes of rated_format.h and points into them. */
#include "trainer/rated.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/crc32c.h"
#include "trainer/rated_format.h"

uint64_t rated_section_len(const struct rated_header *h, enum rated_section section)
{
    switch (section) {
    case RATED_START:
    case RATED_USER_ID_START:
        return ((uint64_t)h->n_users + 1) * sizeof(uint64_t);
    case RATED_ITEM_ID_START:
        return ((uint64_t)h->n_items + 1) * sizeof(uint64_t);
    case RATED_ITEM:
        return h->n_ratings * sizeof(int32_t);
    case RATED_RATING:
        return h->n_ratings * (h->n_values ? sizeof(uint8_t) : sizeof(float));
    case RATED_VALUE:
        return h->n_values * sizeof(float);
    case RATED_USER_ID_BYTES:
        return h->user_id_len;
    case RATED_USER_ID_SLOTS:
        return h->user_slots_len;
    case RATED_ITEM_ID_BYTES:
        return h->item_id_len;
    case RATED_ITEM_ID_SLOTS:
        return h->item_slots_len;
    case N_RATED_SECTIONS:
        break;
    }
    return 0;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        seen |= bytes[i];
    }
    return seen == 0;
}

/* Whether the sections take up the whole file. No length is above the file's, so the
 * sum does not overflow. */
static bool fills_file(const struct rated_header *h, size_t len)
{
    uint64_t at = sizeof *h;
    if (h->n_ratings > len || h->user_id_len > len || h->user_slots_len > len ||
        h->item_id_len > len || h->item_slots_len > len) {
        return false;
    }
    for (int s = 0; s < N_RATED_SECTIONS; s++) {
        const uint64_t section = rated_section_len(h, (enum rated_section)s);
        at += (section + RATED_ALIGNMENT - 1) / RATED_ALIGNMENT * RATED_ALIGNMENT;
    }
    return at == len;
}

const char *rated_check_header(const char *file, size_t len)
{
    struct rated_header h;
    if (len < sizeof h) {
        return "the file ends inside the header";
    }
    memcpy(&h, file, sizeof h);
    if (memcmp(h.magic, RATED_MAGIC, sizeof h.magic) != 0) {
        return "not a file of ratings by user";
    }
    if (h.version != RATED_VERSION) {
        return "another version of the format";
    }
    if (crc32c(0, &h, offsetof(struct rated_header, crc)) != h.crc) {
        return "the header's checksum does not match";
    }
    if (h.n_users > INT32_MAX || h.n_items > INT32_MAX ||
        h.n_values > RATED_MAX_VALUES || h.file_len != len ||
        !all_zero(h.zero, sizeof h.zero) || !fills_file(&h, len)) {
        return "impossible counts";
    }
    return NULL;
}

/* Each user's range within the ratings, and within it items that exist, ascending. An
 * item that is not above the one before it must be the first of its user: so as many of
 * these are counted as there are places where users begin, and the loop over the
 * ratings runs in vectors. */
static const char *check_ratings(const struct rated *r)
{
    uint32_t is_outside = 0;
    int64_t n_falls = 0, n_begin = 0;
    if (r->start[0] != 0 || r->start[r->n_users] != r->n_ratings) {
        return "the users' offsets are wrong";
    }
    for (int32_t u = 0; u < r->n_users; u++) {
        if (r->start[u] > r->start[u + 1] || r->start[u + 1] > r->n_ratings) {
            return "the users' offsets are wrong";
        }
        if (u > 0 && r->start[u] > 0 && r->start[u] < r->start[u + 1]) {
            n_begin += r->item[r->start[u] - 1] >= r->item[r->start[u]];
        }
    }
    for (int64_t i = 0; i < r->n_ratings; i++) {
        is_outside |= (uint32_t)r->item[i] >= (uint32_t)r->n_items;
    }
    for (int64_t i = 1; i < r->n_ratings; i++) {
        n_falls += r->item[i - 1] >= r->item[i];
    }
    return is_outside           ? "an item is outside"
           : n_falls != n_begin ? "a user's items are not in order"
                                : NULL;
}

static const char *check_values(const struct rated *r, uint32_t n_values)
{
    const int64_t n = r->code ? (int64_t)n_values : r->n_ratings;
    uint32_t largest = 0;
    for (int64_t i = 0; r->code && i < r->n_ratings; i++) {
        largest = r->code[i] > largest ? r->code[i] : largest;
    }
    if (r->code && r->n_ratings > 0 && largest >= n_values) {
        return "a rating is outside";
    }
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(r->value[i])) {
            return "a rating is not a finite number";
        }
    }
    return NULL;
}

static const char *take_ids(const struct rated_header *h, const void *const *section,
                            enum rated_section first, int32_t n, struct id_index *ids)
{
    struct id_index_fault fault;
    ids->start = section[first];
    ids->bytes = section[first + 1];
    ids->slots = section[first + 2];
    return id_index_check(ids, (size_t)n, rated_section_len(h, first + 1),
                          rated_section_len(h, first + 2), &fault) == 0
               ? NULL
               : fault.what;
}

const char *rated_decode(const char *file, size_t len, struct rated *rated)
{
    struct rated_header h;
    const void *section[N_RATED_SECTIONS];
    const char *at = file + sizeof h;
    memcpy(&h, file, sizeof h);
    if (crc32c(0, at, len - sizeof h) != h.body_crc) {
        return "the checksum does not match";
    }
    for (int s = 0; s < N_RATED_SECTIONS; s++) {
        const uint64_t n = rated_section_len(&h, (enum rated_section)s);
        section[s] = at;
        at += (n + RATED_ALIGNMENT - 1) / RATED_ALIGNMENT * RATED_ALIGNMENT;
    }
    *rated = (struct rated){.n_users = (int32_t)h.n_users,
                            .n_items = (int32_t)h.n_items,
                            .n_ratings = (int64_t)h.n_ratings,
                            .start = section[RATED_START],
                            .item = section[RATED_ITEM],
                            .code = h.n_values ? section[RATED_RATING] : NULL,
                            .value = section[h.n_values ? RATED_VALUE : RATED_RATING]};
    const char *wrong = check_ratings(rated);
    wrong = wrong ? wrong : check_values(rated, h.n_values);
    wrong = wrong ? wrong
                  : take_ids(&h, section, RATED_USER_ID_START, rated->n_users,
                             &rated->users);
    return wrong ? wrong
                 : take_ids(&h, section, RATED_ITEM_ID_START, rated->n_items,
                            &rated->items);
}

void rated_free(struct rated *rated)
{
    if (rated) {
        if (rated->is_mapped) {
            munmap(rated->bytes, rated->len);
        } else {
            free(rated->bytes);
        }
        free(rated);
    }
}
