#include "logs/extent.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "common/crc32c.h"
#include "logs/source.h"

static bool is_compressed(const char *file)
{
    const size_t len = strlen(file);
    return len > 4 && strcmp(file + len - 4, ".zst") == 0;
}

static int look_at(const char *file, struct stat *status, struct error *error)
{
    if (stat(file, status) != 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot read: %s", file, strerror(errno));
        return -1;
    }
    return 0;
}

static int64_t written_us(const struct stat *status)
{
    return (int64_t)status->st_mtim.tv_sec * 1000000 + status->st_mtim.tv_nsec / 1000;
}

/* Reads up to `len` bytes, fewer only where the segment ends or has a gap. */
static int read_up_to(struct source *source, char *to, size_t len, size_t *got,
                      struct error *error)
{
    *got = 0;
    while (*got < len) {
        size_t n = 0;
        const enum source_result result =
            source_read(source, to + *got, len - *got, &n, error);
        if (result == SOURCE_FAILED) {
            return -1;
        }
        if (result != SOURCE_BYTES) {
            return 0;
        }
        *got += n;
    }
    return 0;
}

/* The last bytes before `end`, at most LOG_EXTENT_CHECKED: *len is 0 when they are not
 * all there. *has_more: there is something behind them. */
static int check_bytes(const char *file, int64_t end, uint32_t *len, uint32_t *crc,
                       bool *has_more, struct error *error)
{
    char bytes[LOG_EXTENT_CHECKED], next;
    const size_t wanted =
        end < LOG_EXTENT_CHECKED ? (size_t)end : (size_t)LOG_EXTENT_CHECKED;
    struct source *source = NULL;
    size_t got = 0, n_more = 0;
    if (source_open(file, &source, error) != 0) {
        return -1;
    }
    const int64_t start = end - (int64_t)wanted;
    int rc = start > 0 ? source_skip(source, start, error) : 0;
    if (rc == 0) {
        rc = read_up_to(source, bytes, wanted, &got, error);
    }
    if (rc == 0) {
        rc = read_up_to(source, &next, 1, &n_more, error);
    }
    source_close(source);
    *len = got == wanted ? (uint32_t)wanted : 0;
    *crc = crc32c(0, bytes, *len);
    *has_more = n_more > 0;
    return rc;
}

int log_extent_take(const char *file, int64_t end, int64_t torn,
                    struct log_extent *extent, struct error *error)
{
    struct stat status;
    struct log_extent found = {.end = end, .torn = torn, .is_zst = is_compressed(file)};
    bool has_more = false;
    if (look_at(file, &status, error) != 0 ||
        (!found.is_zst && check_bytes(file, end, &found.checked_len, &found.checked_crc,
                                      &has_more, error) != 0)) {
        return -1;
    }
    found.file_size = status.st_size;
    found.written_us = written_us(&status);
    *extent = found;
    return 0;
}

int log_extent_compare(const char *file, const struct log_extent *extent,
                       enum log_change *change, struct error *error)
{
    struct stat status;
    uint32_t len = 0, crc = 0;
    bool has_more = false;
    if (look_at(file, &status, error) != 0) {
        return -1;
    }
    if (extent->is_zst) {
        *change = is_compressed(file) && status.st_size == extent->file_size &&
                          written_us(&status) == extent->written_us
                      ? LOG_UNCHANGED
                      : LOG_CHANGED;
        return 0;
    }
    if (check_bytes(file, extent->end, &len, &crc, &has_more, error) != 0) {
        return -1;
    }
    *change = len != extent->checked_len || crc != extent->checked_crc ? LOG_CHANGED
              : has_more                                               ? LOG_GROWN
                                                                       : LOG_UNCHANGED;
    return 0;
}
