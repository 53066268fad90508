/* Writes the file of format.h. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/buffer.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/hash.h"
#include "trainer/format.h"
#include "trainer/id_index.h"
#include "trainer/model.h"

static void append_section(struct buffer *file, enum model_section section,
                           const void *data, size_t len)
{
    static const char zeros[MODEL_ALIGNMENT] = {0};
    const size_t offset = file->len;
    const size_t padding = (MODEL_ALIGNMENT - len % MODEL_ALIGNMENT) % MODEL_ALIGNMENT;
    buffer_append(file, data, len);
    buffer_append(file, zeros, padding);
    if (file->failed) {
        return;
    }
    struct model_header header;
    memcpy(&header, file->data, sizeof header);
    header.section[section] = (struct model_section_entry){
        .offset = offset,
        .len = len,
        .crc = crc32c(0, file->data + offset, len + padding),
    };
    memcpy(file->data, &header, sizeof header);
}

static void append_ids(struct buffer *file, enum model_section first, int32_t n,
                       const struct id_sections *ids)
{
    append_section(file, first, ids->start, ((size_t)n + 1) * sizeof *ids->start);
    append_section(file, first + 1, ids->bytes.data, ids->bytes.len);
    append_section(file, first + 2, ids->slots, ids->n_slots * sizeof *ids->slots);
}

static void encode(const struct model *model, const struct id_sections *users,
                   const struct id_sections *items, struct buffer *file)
{
    const size_t n_users = (size_t)model->n_users, n_items = (size_t)model->n_items;
    const size_t row = (size_t)model->n_factors * sizeof(float);
    struct model_header header = {
        .version = model->n_features ? 2 : 1,
        .kind = (uint32_t)model->kind,
        .n_users = (uint32_t)model->n_users,
        .n_items = (uint32_t)model->n_items,
        .n_factors = (uint32_t)model->n_factors,
        .mean = model->mean,
        .n_sections = model->n_features ? N_SECTIONS : N_SECTIONS_1,
    };
    memcpy(header.magic, MODEL_MAGIC, sizeof header.magic);
    buffer_append(file, &header, sizeof header);
    append_section(file, SECTION_USER_FACTORS, model->user_factors, n_users * row);
    append_section(file, SECTION_ITEM_FACTORS, model->item_factors, n_items * row);
    append_section(file, SECTION_USER_BIAS, model->user_bias, n_users * sizeof(float));
    append_section(file, SECTION_ITEM_BIAS, model->item_bias, n_items * sizeof(float));
    append_section(file, SECTION_ITEM_COUNT, model->item_count,
                   n_items * sizeof(int32_t));
    append_ids(file, SECTION_USER_ID_START, model->n_users, users);
    append_ids(file, SECTION_ITEM_ID_START, model->n_items, items);
    append_section(file, SECTION_SETTINGS, model->settings.data, model->settings.len);
    if (model->n_features) {
        append_section(file, SECTION_FEATURE_NAMES, model->feature_names.data,
                       model->feature_names.len);
        append_section(file, SECTION_FEATURE_MAP, model->feature_map,
                       (size_t)model->n_features * (row + sizeof(float)));
    }
    if (!file->failed) {
        memcpy(&header, file->data, sizeof header);
        header.file_len = file->len;
        header.crc = crc32c(0, &header, offsetof(struct model_header, crc));
        memcpy(file->data, &header, sizeof header);
    }
}

static int check_finite(const char *what, const float *values, size_t n,
                        struct error *error)
{
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(values[i])) {
            error_set(error, ERROR_NUMERIC,
                      "model: %s[%zu] is %g; training diverged: lower the learning "
                      "rate or raise the regularisation",
                      what, i, (double)values[i]);
            return -1;
        }
    }
    return 0;
}

static int check(const struct model *model, struct error *error)
{
    const size_t k = (size_t)model->n_factors;
    const size_t n_users = (size_t)model->n_users, n_items = (size_t)model->n_items;
    if (model->n_factors < 1 || model->n_factors > MODEL_MAX_FACTORS) {
        error_set(error, ERROR_INVALID, "model: %d factors, not 1 to %d",
                  model->n_factors, MODEL_MAX_FACTORS);
        return -1;
    }
    if (check_finite("mean", &model->mean, 1, error) != 0 ||
        check_finite("user factors", model->user_factors, n_users * k, error) != 0 ||
        check_finite("item factors", model->item_factors, n_items * k, error) != 0 ||
        check_finite("feature map", model->feature_map,
                     (size_t)model->n_features * (k + 1), error) != 0 ||
        check_finite("user bias", model->user_bias, n_users, error) != 0) {
        return -1;
    }
    return check_finite("item bias", model->item_bias, n_items, error);
}

int model_save(const struct model *model, const struct model_ids *ids, const char *path,
               uint64_t *hash, struct error *error)
{
    struct id_sections users = {0}, items = {0};
    struct buffer file = {0};
    int rc = -1;
    if (check(model, error) != 0) {
        goto out;
    }
    if (id_sections_make(ids->user_id, ids->context, model->n_users, &users, error) !=
            0 ||
        id_sections_make(ids->item_id, ids->context, model->n_items, &items, error) !=
            0) {
        error_prefix(error, "%s", path);
        goto out;
    }
    encode(model, &users, &items, &file);
    if (file.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory for the file's contents", path);
        goto out;
    }
    if (file_replace(path, buffer_slice(&file), error) != 0) {
        goto out;
    }
    if (hash) {
        *hash = hash_bytes(file.data, file.len);
    }
    rc = 0;

out:
    buffer_free(&file);
    id_sections_free(&users);
    id_sections_free(&items);
    return rc;
}
