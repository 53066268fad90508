/* join_extract.c - writes the extract, and keeps its parts. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/file.h"
#include "stats/join_extract_part.h"

struct join_extract *join_extract_new(int n_threads)
{
    struct join_extract *extract = calloc(1, sizeof *extract);
    if (!extract) {
        return NULL;
    }
    extract->fd = -1;
    pthread_mutex_init(&extract->lock, NULL);
    extract->parts = calloc((size_t)n_threads, sizeof *extract->parts);
    extract->n_parts = extract->parts ? n_threads : 0;
    bool is_short = !extract->parts;
    for (int t = 0; t < extract->n_parts; t++) {
        struct join_extract_part *part = &extract->parts[t];
        part->extract = extract;
        part->names = id_map_new();
        part->bytes = malloc(EXTRACT_BLOCK);
        is_short |= !part->names || !part->bytes;
    }
    if (is_short) {
        join_extract_free(extract);
        return NULL;
    }
    return extract;
}

void join_extract_free(struct join_extract *extract)
{
    if (!extract) {
        return;
    }
    for (int t = 0; t < extract->n_parts; t++) {
        struct join_extract_part *part = &extract->parts[t];
        id_map_free(part->names);
        free(part->bytes);
        free(part->blocks);
        free(part->user_of);
        free(part->experiment_of);
        free(part->targets);
    }
    free(extract->parts);
    free(extract->copies);
    free(extract->is_copy);
    if (extract->fd >= 0) {
        close(extract->fd);
    }
    pthread_mutex_destroy(&extract->lock);
    free(extract);
}

struct join_extract_part *join_extract_part(struct join_extract *extract, int thread)
{
    return &extract->parts[thread];
}

bool join_extract_is_whole(const struct join_extract *extract)
{
    return !atomic_load(&extract->is_lost);
}

int32_t join_extract_name(struct join_extract_part *part, struct slice event)
{
    const int32_t found = join_find_name(part->names, event);
    if (found != ID_NONE) {
        return found;
    }
    if (id_map_count(part->names) == EXTRACT_NAMES_MAX) {
        atomic_store(&part->extract->is_lost, true);
        return 0;
    }
    return id_map_add(part->names, event);
}

void join_extract_add_line(struct join_extract_part *part, uint64_t line)
{
    part->fingerprint += line;
}

/* Room for `len` bytes in the file, which is made with the first block; -1: there is
 * none. */
static int64_t take_room(struct join_extract *extract, size_t len)
{
    struct error error = {0};
    int64_t at = -1;
    pthread_mutex_lock(&extract->lock);
    if (extract->fd < 0 && !atomic_load(&extract->is_lost)) {
        extract->fd = file_temporary(&extract->room, &error);
    }
    if (extract->fd >= 0 && extract->room - extract->len >= (int64_t)len) {
        at = extract->len;
        extract->len += (int64_t)len;
    }
    pthread_mutex_unlock(&extract->lock);
    return at;
}

static bool write_at(int fd, const char *bytes, size_t len, int64_t offset)
{
    while (len > 0) {
        const ssize_t put = pwrite(fd, bytes, len, (off_t)offset);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return false;
        }
        bytes += put;
        len -= (size_t)put;
        offset += put;
    }
    return true;
}

/* Moves the block into the file; a new one begins. */
static int end_block(struct join_extract_part *part)
{
    struct join_extract *extract = part->extract;
    if (part->n_blocks == part->blocks_capacity) {
        const size_t capacity = part->blocks_capacity ? 2 * part->blocks_capacity : 64;
        struct extract_block *blocks =
            realloc(part->blocks, capacity * sizeof *part->blocks);
        if (!blocks) {
            return -1;
        }
        part->blocks = blocks;
        part->blocks_capacity = capacity;
    }
    const int64_t offset = take_room(extract, part->len);
    if (offset < 0 || !write_at(extract->fd, part->bytes, part->len, offset)) {
        atomic_store(&extract->is_lost, true);
    }
    part->blocks[part->n_blocks++] = (struct extract_block){
        offset, (uint32_t)part->len, crc32c(0, part->bytes, part->len),
        part->last.group_end - part->last.group_start};
    part->len = 0;
    part->last = (struct extract_last){0};
    return 0;
}

static char *put_number(char *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (char)(value | 0x80);
        value >>= 7;
    }
    *at++ = (char)value;
    return at;
}

static char *put_difference(char *at, int64_t now, int64_t before)
{
    const uint64_t difference = (uint64_t)now - (uint64_t)before;
    return put_number(at, difference << 1 ^ (difference >> 63 ? UINT64_MAX : 0));
}

/* The user; *flags says how. */
static char *put_user(char *at, struct extract_last *last, int32_t index,
                      struct slice id, unsigned *flags)
{
    if (index == ID_NONE) {
        *flags |= EXTRACT_USER_ID;
        at = put_number(at, id.len);
        if (id.len) {
            memcpy(at, id.data, id.len);
        }
        return at + id.len;
    }
    if (index == last->user) {
        *flags |= EXTRACT_USER_AS_BEFORE;
        return at;
    }
    at = put_difference(at, index, last->user);
    last->user = index;
    return at;
}

/* Where the line stands. Lines that follow each other are a group. */
static char *put_place(char *at, struct extract_last *last,
                       const struct join_fact *fact, unsigned *flags)
{
    if (last->n_group == 0 || last->n_group == EXTRACT_GROUP_MAX ||
        last->segment != fact->segment || last->group_end != fact->offset) {
        *flags |= EXTRACT_GROUP;
        at = put_number(at, (uint64_t)(last->group_end - last->group_start));
        at = put_number(at, (uint64_t)fact->segment);
        at = put_difference(at, fact->offset, last->group_end);
        last->segment = fact->segment;
        last->group_start = fact->offset;
        last->n_group = 0;
    }
    last->n_group++;
    last->group_end = fact->offset + fact->line_len + 1;
    return at;
}

static char *put_id(char *at, struct extract_last *last, struct id_key id,
                    unsigned *flags)
{
    if (id.prefix == last->id.prefix && id.number == last->id.number + 1) {
        last->id = id;
        return at;
    }
    *flags |= EXTRACT_ID;
    if (id.prefix == 0) {
        *at++ = EXTRACT_ID_HASH;
        memcpy(at, &id.number, sizeof id.number);
        return at + sizeof id.number;
    }
    if (id.prefix == last->id.prefix) {
        *at++ = EXTRACT_ID_NUMBER;
    } else {
        *at++ = EXTRACT_ID_PREFIX;
        memcpy(at, &id.prefix, sizeof id.prefix);
        at += sizeof id.prefix;
    }
    at = put_difference(at, (int64_t)id.number, (int64_t)last->id.number);
    last->id = id;
    return at;
}

static char *put_exposure(char *at, struct extract_last *last,
                          const struct join_fact *fact, unsigned *flags)
{
    const struct join_shape *shape = &fact->shape;
    const size_t size = (size_t)shape->n * sizeof shape->experiment[0];
    *flags |= EXTRACT_EXPOSURE;
    if (shape->n == last->n && memcmp(shape->experiment, last->experiment, size) == 0) {
        *flags |= EXTRACT_KIND_AS_BEFORE;
    } else {
        at = put_number(at, (uint64_t)shape->n);
        for (int i = 0; i < shape->n; i++) {
            at = put_number(at, (uint64_t)shape->experiment[i]);
        }
        last->n = shape->n;
        memcpy(last->experiment, shape->experiment, size);
    }
    if (fact->latency_us >= 0) {
        *flags |= EXTRACT_EXTRA;
        at = put_number(at, (uint64_t)fact->latency_us);
    }
    *flags |= fact->is_rest ? EXTRACT_MORE : 0;
    return at;
}

static char *put_feedback(char *at, struct extract_last *last,
                          const struct join_fact *fact, unsigned *flags)
{
    if (fact->targets == last->name) {
        *flags |= EXTRACT_KIND_AS_BEFORE;
    } else {
        at = put_number(at, (uint64_t)fact->targets);
        last->name = fact->targets;
    }
    *flags |= fact->has_request ? EXTRACT_EXTRA : 0;
    if (fact->value != 1) {
        *flags |= EXTRACT_MORE;
        memcpy(at, &fact->value, sizeof fact->value);
        at += sizeof fact->value;
    }
    return at;
}

int join_extract_add(struct join_extract_part *part, const struct join_fact *fact,
                     struct slice user)
{
    struct extract_last *last = &part->last;
    if (fact->user == ID_NONE && user.len > EXTRACT_USER_MAX) {
        atomic_store(&part->extract->is_lost, true);
    }
    if (atomic_load_explicit(&part->extract->is_lost, memory_order_relaxed)) {
        return 0;
    }
    if (part->len + EXTRACT_RECORD_MAX > EXTRACT_BLOCK && end_block(part) != 0) {
        return -1;
    }
    char *const start = part->bytes + part->len;
    unsigned flags = 0;
    char *at = put_place(start + 1, last, fact, &flags);
    at = put_id(at, last, fact->id, &flags);
    at = put_user(at, last, fact->user, user, &flags);
    at = put_difference(at, fact->ts_us, last->ts_us);
    last->ts_us = fact->ts_us;
    at = fact->is_exposure ? put_exposure(at, last, fact, &flags)
                           : put_feedback(at, last, fact, &flags);
    *start = (char)flags;
    part->len += (size_t)(at - start);
    return 0;
}

int join_extract_map(struct join_extract_part *part, int32_t *user_of,
                     const int *experiment_of, int n_experiments)
{
    part->experiment_of = malloc(((size_t)n_experiments + 1) * sizeof(int));
    if (!part->experiment_of) {
        return -1;
    }
    for (int e = 0; e < n_experiments; e++) {
        part->experiment_of[e] = experiment_of[e];
    }
    part->user_of = user_of;
    return 0;
}
