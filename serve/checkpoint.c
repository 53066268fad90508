#include "serve/checkpoint.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"

#define MAGIC     "ABTCHECK"
#define MAGIC_LEN 8
#define VERSION   2 /* 1: ratings had no times */
#define CRC_LEN   4
#define MARK_SIZE (5 * 8 + 1) /* the least that a segment takes */

/* Ids are copied as they stand. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the format is little-endian");

void checkpoint_encode(const struct checkpoint *checkpoint, struct buffer *to)
{
    const size_t start = to->len;
    buffer_append(to, MAGIC, MAGIC_LEN);
    bytes_put(to, VERSION, 4);
    bytes_put(to, 0, 4);
    bytes_put(to, checkpoint->marks.n, 8);
    for (size_t i = 0; i < checkpoint->marks.n; i++) {
        const struct log_extent *extent = &checkpoint->marks.items[i].extent;
        bytes_put_slice(to, slice_of(checkpoint->marks.items[i].name));
        bytes_put(to, (uint64_t)extent->end, 8);
        bytes_put(to, (uint64_t)extent->file_size, 8);
        bytes_put(to, (uint64_t)extent->written_us, 8);
        bytes_put(to, extent->checked_len, 4);
        bytes_put(to, extent->checked_crc, 4);
        bytes_put(to, extent->is_zst, 1);
    }
    bytes_put(to, checkpoint->key, 8);
    bytes_put(to, checkpoint->n_old, 8);
    bytes_put(to, checkpoint->n_ids, 8);
    buffer_append(to, checkpoint->ids, 16 * checkpoint->n_ids);
    bytes_put_slice(to, checkpoint->newcomers);
    if (!to->failed) {
        bytes_put(to, crc32c(0, to->data + start, to->len - start), CRC_LEN);
    }
}

static int damaged(const char *what, struct error *error)
{
    error_set(error, ERROR_DAMAGED, "the checkpoint %s", what);
    return -1;
}

static int decode_mark(struct bytes *from, struct log_marks *marks, struct error *error)
{
    const struct slice name = bytes_get_slice(from);
    struct log_extent extent = {.end = (int64_t)bytes_get(from, 8),
                                .file_size = (int64_t)bytes_get(from, 8),
                                .written_us = (int64_t)bytes_get(from, 8),
                                .checked_len = (uint32_t)bytes_get(from, 4),
                                .checked_crc = (uint32_t)bytes_get(from, 4)};
    const uint64_t is_zst = bytes_get(from, 1);
    extent.is_zst = is_zst == 1;
    if (from->failed || is_zst > 1 || extent.end < 0 || extent.file_size < 0 ||
        extent.checked_len > LOG_EXTENT_CHECKED ||
        (int64_t)extent.checked_len > extent.end || name.len == 0 ||
        memchr(name.data, '\0', name.len) || memchr(name.data, '/', name.len)) {
        return damaged("names a segment that cannot be", error);
    }
    if (log_marks_add(marks, name, &extent) != 0) {
        error_set(error, ERROR_NOMEM, "no memory for the checkpoint");
        return -1;
    }
    /* They are looked up by name. */
    return marks->n > 1 && strcmp(marks->items[marks->n - 2].name,
                                  marks->items[marks->n - 1].name) >= 0
               ? damaged("has segments out of order", error)
               : 0;
}

int checkpoint_decode(struct slice bytes, struct checkpoint *checkpoint,
                      struct error *error)
{
    *checkpoint = (struct checkpoint){.key = 0};
    if (bytes.len < MAGIC_LEN + 8 + CRC_LEN ||
        memcmp(bytes.data, MAGIC, MAGIC_LEN) != 0) {
        return damaged("is none", error);
    }
    struct bytes from = {bytes.data + MAGIC_LEN, bytes.data + bytes.len - CRC_LEN,
                         false};
    struct bytes end = {from.end, from.end + CRC_LEN, false};
    if (bytes_get(&from, 4) != VERSION || bytes_get(&from, 4) != 0) {
        return damaged("is of another version", error);
    }
    if (crc32c(0, bytes.data, bytes.len - CRC_LEN) != bytes_get(&end, CRC_LEN)) {
        return damaged("does not have its checksum", error);
    }
    const size_t n_marks = bytes_get_count(&from, MARK_SIZE);
    for (size_t i = 0; i < n_marks; i++) {
        if (decode_mark(&from, &checkpoint->marks, error) != 0) {
            return -1;
        }
    }
    checkpoint->key = bytes_get(&from, 8);
    checkpoint->n_old = bytes_get(&from, 8);
    checkpoint->n_ids = bytes_get_count(&from, 16);
    checkpoint->ids = from.at;
    from.at += 16 * checkpoint->n_ids;
    checkpoint->newcomers = bytes_get_slice(&from);
    return from.failed || bytes_left(&from) || checkpoint->n_old > checkpoint->n_ids
               ? damaged("does not hold what it says", error)
               : 0;
}

void checkpoint_free(struct checkpoint *checkpoint)
{
    log_marks_free(&checkpoint->marks);
    *checkpoint = (struct checkpoint){.key = 0};
}
