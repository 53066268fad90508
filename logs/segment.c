#include "logs/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"

int segment_open(const char *directory, const char *name, struct segment **segment,
                 struct error *error)
{
    struct segment *s = calloc(1, sizeof *s);
    const size_t size = strlen(directory) + 1 + strlen(name) + 1;
    if (!s) {
        goto no_memory;
    }
    s->fd = -1;
    s->opened_ns = clock_monotonic_ns();
    s->path = malloc(size);
    if (!s->path) {
        goto no_memory;
    }
    snprintf(s->path, size, "%s/%s", directory, name);
    do {
        s->fd = open(s->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (s->fd < 0 && errno == EINTR);
    if (s->fd < 0) {
        error_set(error, ERROR_IO, "%s: cannot create: %s", s->path, strerror(errno));
        segment_free(s);
        return -1;
    }
    *segment = s;
    return 0;

no_memory:
    error_set(error, ERROR_NOMEM, "%s/%s: no memory for a log segment", directory,
              name);
    segment_free(s);
    return -1;
}

void segment_close(struct segment *segment)
{
    if (segment->fd >= 0) {
        close(segment->fd);
        segment->fd = -1;
    }
}

void segment_free(struct segment *segment)
{
    if (segment) {
        segment_close(segment);
        free(segment->path);
        free(segment);
    }
}

int segment_write(struct segment *segment, struct slice data, struct error *error)
{
    int64_t at = segment->len;
    while (data.len) {
        const ssize_t put = pwrite(segment->fd, data.data, data.len, (off_t)at);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            error_set(error, ERROR_IO, "%s: cannot write at %lld: %s", segment->path,
                      (long long)at, put < 0 ? strerror(errno) : "no bytes accepted");
            return -1;
        }
        at += put;
        data.data += put;
        data.len -= (size_t)put;
    }
    segment->len = at;
    return 0;
}

int segment_sync(struct segment *segment, struct error *error)
{
    const int64_t len = segment->len;
    if (segment->synced == len) {
        return 0;
    }
    int rc = 0;
    do {
        rc = fdatasync(segment->fd);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        segment->is_sync_failed = true;
        segment->is_sealed = true;
        error_set(error, ERROR_IO, "%s: cannot sync: %s", segment->path,
                  strerror(errno));
        return -1;
    }
    segment->synced = len;
    return 0;
}

int segment_seal(struct segment *segment, int64_t len, struct error *error)
{
    int rc = 0;
    segment->is_sealed = true;
    segment->len = len;
    if (segment->synced > len) {
        segment->synced = len;
    }
    do {
        rc = ftruncate(segment->fd, (off_t)len);
    } while (rc != 0 && errno == EINTR);
    if (rc != 0) {
        error_set(error, ERROR_IO, "%s: cannot cut at %lld: %s", segment->path,
                  (long long)len, strerror(errno));
        return -1;
    }
    return 0;
}

void segment_unlink(struct segment *segment)
{
    segment->is_sealed = true;
    segment->len = 0;
    if (unlink(segment->path) != 0 && ftruncate(segment->fd, 0) != 0) {
        return; /* the caller goes on with the failure that made it unlink */
    }
}
