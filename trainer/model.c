#include "trainer/model.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/hash.h"
#include "common/pages.h"
#include "trainer/format.h"
#include "trainer/id_index.h"

/* What a loaded model is; callers see the `public` part. */
struct loaded_model {
    struct model public;
    void *map;
    size_t map_len;
    struct id_index users, items;
};

static const struct loaded_model *loaded(const struct model *model)
{
    return (const struct loaded_model *)(const void *)model;
}

const char *model_kind_name(enum model_kind kind)
{
    switch (kind) {
    case MODEL_ALS:
        return "als";
    case MODEL_BPR:
        return "bpr";
    case MODEL_IALS:
        return "ials";
    }
    return "?";
}

static int damaged(const char *path, size_t offset, const char *what,
                   struct error *error)
{
    error_set(error, ERROR_DAMAGED, "%s: byte %zu: %s; train or copy the model again",
              path, offset, what);
    return -1;
}

static bool all_zero(const uint8_t *bytes, size_t len)
{
    uint8_t seen = 0;
    for (size_t i = 0; i < len; i++) {
        seen |= bytes[i];
    }
    return seen == 0;
}

static int check_header(const char *path, const struct model_header *h, size_t len,
                        struct error *error)
{
    if (len < sizeof *h) {
        error_set(error, ERROR_DAMAGED,
                  "%s: byte %zu: the file ends inside the header; is this a model?",
                  path, len);
        return -1;
    }
    if (memcmp(h->magic, MODEL_MAGIC, sizeof h->magic) != 0) {
        return damaged(path, 0, "not a model of abtest", error);
    }
    if (h->version < 1 || h->version > MODEL_VERSION) {
        error_set(error, ERROR_DAMAGED,
                  "%s: byte 8: model format %u, this program reads 1 to %d; train the "
                  "model "
                  "again",
                  path, h->version, MODEL_VERSION);
        return -1;
    }
    const size_t crc_at = offsetof(struct model_header, crc);
    if (crc32c(0, h, crc_at) != h->crc) {
        return damaged(path, crc_at, "the header's checksum does not match", error);
    }
    if (h->kind < MODEL_ALS || h->kind > MODEL_IALS) {
        return damaged(path, 12, "unknown kind of model", error);
    }
    if (h->n_users > INT32_MAX || h->n_items > INT32_MAX || h->n_factors < 1 ||
        h->n_factors > MODEL_MAX_FACTORS || !isfinite(h->mean)) {
        return damaged(path, 16, "impossible counts", error);
    }
    if (h->file_len != len) {
        error_set(error, ERROR_DAMAGED,
                  "%s: byte %zu: the file has %zu bytes, its header says %llu; copy it "
                  "again",
                  path, len < h->file_len ? len : (size_t)h->file_len, len,
                  (unsigned long long)h->file_len);
        return -1;
    }
    const uint32_t n_sections = h->version == 1 ? N_SECTIONS_1 : N_SECTIONS;
    if (h->n_sections != n_sections ||
        !all_zero((const uint8_t *)&h->section[n_sections],
                  (N_SECTIONS - n_sections) * sizeof h->section[0]) ||
        !all_zero(h->zero, sizeof h->zero) ||
        !all_zero(h->more_zero, sizeof h->more_zero)) {
        return damaged(path, 40, "unknown sections", error);
    }
    return 0;
}

/* The length that a section must have, or SIZE_MAX where any will do. */
static size_t section_len(const struct model_header *h, enum model_section section)
{
    const size_t n_users = h->n_users, n_items = h->n_items;
    switch (section) {
    case SECTION_USER_FACTORS:
        return n_users * h->n_factors * sizeof(float);
    case SECTION_ITEM_FACTORS:
        return n_items * h->n_factors * sizeof(float);
    case SECTION_USER_BIAS:
        return n_users * sizeof(float);
    case SECTION_ITEM_BIAS:
    case SECTION_ITEM_COUNT:
        return n_items * sizeof(float);
    case SECTION_USER_ID_START:
        return (n_users + 1) * sizeof(uint64_t);
    case SECTION_ITEM_ID_START:
        return (n_items + 1) * sizeof(uint64_t);
    case SECTION_USER_ID_BYTES:
    case SECTION_USER_ID_SLOTS:
    case SECTION_ITEM_ID_BYTES:
    case SECTION_ITEM_ID_SLOTS:
    case SECTION_SETTINGS:
    case SECTION_FEATURE_NAMES:
    case SECTION_FEATURE_MAP:
    case N_SECTIONS:
        break;
    }
    return SIZE_MAX;
}

/* No early end, so that it runs in vectors: a model is many million numbers. */
static bool are_finite(const float *values, size_t n)
{
    uint32_t is_bad = 0;
    for (size_t i = 0; i < n; i++) {
        uint32_t bits = 0;
        memcpy(&bits, &values[i], sizeof bits);
        is_bad |= (bits & 0x7F800000) == 0x7F800000;
    }
    return !is_bad;
}

/* Bytes that stay in a core's cache while they are looked at for one thing after the
 * other: reading a model from memory once instead of three times is a third of what
 * loading it costs. */
#define BLOCK_SIZE 131072

/* What is found out about the bytes of a file while they are read. */
struct scan {
    struct hash_parts *hash;
    bool is_finite[N_SECTIONS]; /* its floats; true where there are none */
};

/* The checksum of a section with the zeros behind it. */
static uint32_t scan_section(const struct model_header *h, const char *file,
                             enum model_section section, size_t padded,
                             struct scan *scan)
{
    const bool is_float =
        section <= SECTION_ITEM_BIAS || section == SECTION_FEATURE_MAP;
    const char *at = file + h->section[section].offset;
    uint32_t crc = 0;
    scan->is_finite[section] = true;
    for (size_t done = 0; done < padded; done += BLOCK_SIZE) {
        const size_t len = padded - done < BLOCK_SIZE ? padded - done : BLOCK_SIZE;
        crc = crc32c(crc, at + done, len);
        hash_parts_add(scan->hash, at + done, len);
        scan->is_finite[section] &=
            !is_float ||
            are_finite((const float *)(const void *)(at + done), len / sizeof(float));
    }
    return crc;
}

/* Each section begins where the one before it ends, has the length it must have, and
 * its checksum. So every byte of the file is covered by a check. */
static int check_sections(const char *path, const struct model_header *h,
                          const char *file, struct scan *scan, struct error *error)
{
    size_t at = sizeof *h;
    for (int s = 0; s < (int)h->n_sections; s++) {
        const struct model_section_entry *entry = &h->section[s];
        const size_t entry_at =
            offsetof(struct model_header, section) + (size_t)s * sizeof *entry;
        const size_t expected = section_len(h, (enum model_section)s);
        if (entry->offset != at || entry->len > h->file_len - at || entry->zero != 0 ||
            (expected != SIZE_MAX && entry->len != expected)) {
            return damaged(path, entry_at, "a section's place or length is wrong",
                           error);
        }
        const size_t padded =
            (entry->len + MODEL_ALIGNMENT - 1) / MODEL_ALIGNMENT * MODEL_ALIGNMENT;
        if (padded > h->file_len - at) {
            return damaged(path, entry_at, "a section reaches behind the end", error);
        }
        if (scan_section(h, file, (enum model_section)s, padded, scan) != entry->crc) {
            error_set(error, ERROR_DAMAGED,
                      "%s: bytes %zu to %zu: the checksum does not match; train or "
                      "copy the model again",
                      path, at, at + padded);
            return -1;
        }
        at += padded;
    }
    if (at != h->file_len) {
        return damaged(path, at, "bytes behind the last section", error);
    }
    return 0;
}

/* A checksum says that the bytes are those that were written, not that what wrote them
 * was right: what a lookup trusts is checked as well. */
static int take_ids(const char *path, const struct model_header *h, const char *file,
                    enum model_section first, size_t n, struct id_index *ids,
                    struct error *error)
{
    const struct model_section_entry *start = &h->section[first];
    const struct model_section_entry *bytes = &h->section[first + 1];
    const struct model_section_entry *slots = &h->section[first + 2];
    ids->start = (const uint64_t *)(const void *)(file + start->offset);
    ids->bytes = file + bytes->offset;
    ids->slots = (const uint32_t *)(const void *)(file + slots->offset);
    struct id_index_fault fault;
    if (id_index_check(ids, n, bytes->len, slots->len, &fault) != 0) {
        return damaged(path, start[fault.section].offset + fault.at, fault.what, error);
    }
    return 0;
}

static int check_numbers(const char *path, const struct model_header *h,
                         const char *file, const struct scan *scan, struct error *error)
{
    for (int s = 0; s < (int)h->n_sections; s++) {
        const struct model_section_entry *entry = &h->section[s];
        const float *values = (const float *)(const void *)(file + entry->offset);
        for (size_t i = 0; !scan->is_finite[s] && i < entry->len / sizeof *values;
             i++) {
            if (!isfinite(values[i])) {
                return damaged(path, entry->offset + i * sizeof *values,
                               "not a finite number", error);
            }
        }
    }
    return 0;
}

/* As many names as the map has rows. */
static int take_features(const char *path, const struct model_header *h,
                         const char *file, struct model *m, struct error *error)
{
    const struct model_section_entry *names = &h->section[SECTION_FEATURE_NAMES];
    const struct model_section_entry *map = &h->section[SECTION_FEATURE_MAP];
    const size_t row = ((size_t)h->n_factors + 1) * sizeof(float), n = map->len / row;
    const char *text = file + names->offset;
    size_t n_names = 0;
    if (h->version == 1) {
        return 0;
    }
    if (map->len % row != 0 || n < 1 || n > INT32_MAX) {
        return damaged(path, map->offset, "the map from features has no whole rows",
                       error);
    }
    for (size_t i = 0; i < names->len; i++) {
        if ((unsigned char)text[i] < ' ' && text[i] != '\n') {
            return damaged(path, names->offset + i,
                           "a control character in a feature's name", error);
        }
        n_names += text[i] == '\n';
    }
    if (n_names != n || text[names->len - 1] != '\n') {
        return damaged(path, names->offset, "the features' names do not fit their map",
                       error);
    }
    m->n_features = (int32_t)n;
    m->feature_names = (struct slice){text, names->len};
    m->feature_map = (const float *)(const void *)(file + map->offset);
    return 0;
}

static const void *section_data(const struct model_header *h, const char *file,
                                enum model_section section)
{
    return file + h->section[section].offset;
}

static int decode(const char *path, const char *file, size_t len, struct scan *scan,
                  struct loaded_model *made, struct error *error)
{
    const struct model_header *h = (const struct model_header *)(const void *)file;
    struct model *m = &made->public;
    if (check_header(path, h, len, error) != 0) {
        return -1;
    }
    hash_parts_add(scan->hash, h, sizeof *h);
    if (check_sections(path, h, file, scan, error) != 0 ||
        check_numbers(path, h, file, scan, error) != 0 ||
        take_features(path, h, file, m, error) != 0 ||
        take_ids(path, h, file, SECTION_USER_ID_START, h->n_users, &made->users,
                 error) != 0 ||
        take_ids(path, h, file, SECTION_ITEM_ID_START, h->n_items, &made->items,
                 error) != 0) {
        return -1;
    }
    m->kind = (enum model_kind)h->kind;
    m->n_users = (int32_t)h->n_users;
    m->n_items = (int32_t)h->n_items;
    m->n_factors = (int32_t)h->n_factors;
    m->mean = h->mean;
    m->user_factors = section_data(h, file, SECTION_USER_FACTORS);
    m->item_factors = section_data(h, file, SECTION_ITEM_FACTORS);
    m->user_bias = section_data(h, file, SECTION_USER_BIAS);
    m->item_bias = section_data(h, file, SECTION_ITEM_BIAS);
    m->item_count = section_data(h, file, SECTION_ITEM_COUNT);
    m->settings = (struct slice){section_data(h, file, SECTION_SETTINGS),
                                 h->section[SECTION_SETTINGS].len};
    m->hash = hash_parts_value(scan->hash);
    return 0;
}

static int map_file(const char *path, struct loaded_model *made, struct error *error)
{
    struct stat status;
    int rc = -1;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", path, strerror(errno));
        return -1;
    }
    if (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        error_set(error, ERROR_IO, "%s: not a regular file", path);
        goto out;
    }
    if ((size_t)status.st_size < sizeof(struct model_header)) {
        rc = damaged(path, (size_t)status.st_size,
                     "the file ends inside the header; is this a model?", error);
        goto out;
    }
    made->map_len = (size_t)status.st_size;
    made->map = pages_map(fd, made->map_len);
    if (!made->map) {
        error_set(error, errno == ENOMEM ? ERROR_NOMEM : ERROR_IO, "%s: cannot map: %s",
                  path, strerror(errno));
        goto out;
    }
    rc = 0;

out:
    close(fd);
    return rc;
}

int model_load(const char *path, struct model **model, struct error *error)
{
    struct loaded_model *made = calloc(1, sizeof *made);
    struct scan scan = {.hash = hash_parts_new()};
    int rc = -1;
    if (!made || !scan.hash) {
        error_set(error, ERROR_NOMEM, "%s: no memory to load it", path);
    } else if (map_file(path, made, error) == 0 &&
               decode(path, made->map, made->map_len, &scan, made, error) == 0) {
        *model = &made->public;
        made = NULL;
        rc = 0;
    }
    hash_parts_free(scan.hash);
    if (made) {
        model_free(&made->public);
    }
    return rc;
}

void model_free(struct model *model)
{
    if (model) {
        struct loaded_model *made = (struct loaded_model *)(void *)model;
        if (made->map) {
            munmap(made->map, made->map_len);
        }
        free(made);
    }
}

int32_t model_find_user(const struct model *model, struct slice id)
{
    return id_index_find(&loaded(model)->users, id);
}

int32_t model_find_item(const struct model *model, struct slice id)
{
    return id_index_find(&loaded(model)->items, id);
}

struct slice model_user_id(const struct model *model, int32_t user)
{
    return id_index_at(&loaded(model)->users, user);
}

struct slice model_item_id(const struct model *model, int32_t item)
{
    return id_index_at(&loaded(model)->items, item);
}

double model_score(const struct model *model, int32_t user, int32_t item,
                   double item_bias_weight)
{
    const size_t k = (size_t)model->n_factors;
    const float *u = model->user_factors + (size_t)user * k;
    const float *v = model->item_factors + (size_t)item * k;
    double dot = 0;
    for (size_t f = 0; f < k; f++) {
        dot += (double)u[f] * (double)v[f];
    }
    return (double)model->mean + (double)model->user_bias[user] + dot +
           item_bias_weight * (double)model->item_bias[item];
}
