/* rated_encode.c - makes the bytes of rated_format.h. */
#include <stdlib.h>
#include <string.h>

#include "common/crc32c.h"
#include "trainer/rated_format.h"

#define N_PLACES 1024 /* of the table of ratings: four for each, a power of two */

/* Distinct ratings in the order of first sight, as long as there are few. */
struct values {
    float value[RATED_MAX_VALUES];
    int n;
    int16_t place[N_PLACES]; /* index + 1; 0: empty */
};

static uint32_t bits_of(float value)
{
    uint32_t bits = 0;
    memcpy(&bits, &value, sizeof bits);
    return bits;
}

/* Index of a rating, added when it is new; -1 when there are too many. */
static int code_of(struct values *values, float value)
{
    uint32_t at = bits_of(value) * UINT32_C(2654435761) >> 22;
    for (; values->place[at]; at = (at + 1) % N_PLACES) {
        const int index = values->place[at] - 1;
        if (bits_of(values->value[index]) == bits_of(value)) {
            return index;
        }
    }
    if (values->n == RATED_MAX_VALUES) {
        return -1;
    }
    values->value[values->n] = value;
    values->place[at] = (int16_t)++values->n;
    return values->n - 1;
}

static void find_values(const struct ratings *ratings, struct values *values)
{
    for (int64_t i = 0; i < ratings->n_ratings; i++) {
        if (code_of(values, ratings->user_rating[i]) < 0) {
            values->n = 0;
            return;
        }
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

/* What a file is made of. */
struct parts {
    const struct ratings *ratings;
    struct rated_header header;
    struct values values;
    struct id_sections users, items;
};

static void put_ratings(struct parts *parts, char *to)
{
    const struct ratings *ratings = parts->ratings;
    if (parts->header.n_values == 0) {
        memcpy(to, ratings->user_rating,
               (size_t)ratings->n_ratings * sizeof *ratings->user_rating);
        return;
    }
    for (int64_t i = 0; i < ratings->n_ratings; i++) {
        to[i] = (char)code_of(&parts->values, ratings->user_rating[i]);
    }
}

static void put_sections(struct parts *parts, char *file)
{
    const void *from[N_RATED_SECTIONS] = {
        [RATED_START] = parts->ratings->user_start,
        [RATED_ITEM] = parts->ratings->user_item,
        [RATED_VALUE] = parts->values.value,
        [RATED_USER_ID_START] = parts->users.start,
        [RATED_USER_ID_BYTES] = parts->users.bytes.data,
        [RATED_USER_ID_SLOTS] = parts->users.slots,
        [RATED_ITEM_ID_START] = parts->items.start,
        [RATED_ITEM_ID_BYTES] = parts->items.bytes.data,
        [RATED_ITEM_ID_SLOTS] = parts->items.slots,
    };
    char *to = file + sizeof parts->header;
    for (int s = 0; s < N_RATED_SECTIONS; s++) {
        const size_t n = rated_section_len(&parts->header, (enum rated_section)s);
        if (s == RATED_RATING) {
            put_ratings(parts, to);
        } else if (n > 0) {
            memcpy(to, from[s], n);
        }
        to += (n + RATED_ALIGNMENT - 1) / RATED_ALIGNMENT * RATED_ALIGNMENT;
    }
}

static size_t file_len(const struct rated_header *h)
{
    size_t len = sizeof *h;
    for (int s = 0; s < N_RATED_SECTIONS; s++) {
        const size_t n = rated_section_len(h, (enum rated_section)s);
        len += (n + RATED_ALIGNMENT - 1) / RATED_ALIGNMENT * RATED_ALIGNMENT;
    }
    return len;
}

static void fill_header(struct parts *parts, const struct rated_source *source)
{
    struct rated_header *h = &parts->header;
    *h = (struct rated_header){
        .version = RATED_VERSION,
        .n_users = (uint32_t)parts->ratings->n_users,
        .n_items = (uint32_t)parts->ratings->n_items,
        .n_values = (uint32_t)parts->values.n,
        .n_ratings = (uint64_t)parts->ratings->n_ratings,
        .source = *source,
        .user_id_len = parts->users.bytes.len,
        .user_slots_len = parts->users.n_slots * sizeof *parts->users.slots,
        .item_id_len = parts->items.bytes.len,
        .item_slots_len = parts->items.n_slots * sizeof *parts->items.slots,
    };
    memcpy(h->magic, RATED_MAGIC, sizeof h->magic);
    h->file_len = file_len(h);
}

int rated_encode(const struct ratings *ratings, const struct rated_source *source,
                 char **file, size_t *len, struct error *error)
{
    struct parts parts = {.ratings = ratings};
    struct rated_header *h = &parts.header;
    char *made = NULL;
    int rc = -1;
    if (id_sections_make(user_id, ratings, ratings->n_users, &parts.users, error) !=
            0 ||
        id_sections_make(item_id, ratings, ratings->n_items, &parts.items, error) !=
            0) {
        goto out;
    }
    find_values(ratings, &parts.values);
    fill_header(&parts, source);
    made = calloc(1, h->file_len);
    if (!made) {
        error_set(error, ERROR_NOMEM, "no memory for %lld ratings",
                  (long long)ratings->n_ratings);
        goto out;
    }
    put_sections(&parts, made);
    h->body_crc = crc32c(0, made + sizeof *h, h->file_len - sizeof *h);
    h->crc = crc32c(0, h, offsetof(struct rated_header, crc));
    memcpy(made, h, sizeof *h);
    *file = made;
    *len = h->file_len;
    rc = 0;
out:
    id_sections_free(&parts.users);
    id_sections_free(&parts.items);
    return rc;
}
