#include "logs/source.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "common/slice.h"

#define INPUT_SIZE ((size_t)256 << 10)

struct source {
    int fd;
    char *path;

    /* compressed segments only */
    ZSTD_DCtx *zstd;
    char *input; /* INPUT_SIZE bytes of the file */
    size_t input_at, input_len;
    bool is_end;             /* of the file */
    bool is_inside;          /* of a frame */
    bool is_lost;            /* looking for the next frame */
    uint64_t frame_left;     /* bytes of this frame not given yet; if known */
    bool is_frame_len_known; /* the frame's header says how long it is */
};

int source_open(const char *path, struct source **source, struct error *error)
{
    struct source *s = calloc(1, sizeof *s);
    const size_t len = strlen(path);
    if (!s) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        return -1;
    }
    s->fd = open(path, O_RDONLY | O_CLOEXEC);
    if (s->fd < 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", path, strerror(errno));
        goto failed;
    }
    s->path = strdup(path);
    if (!s->path) {
        goto no_memory;
    }
    if (len > 4 && strcmp(path + len - 4, ".zst") == 0) {
        s->zstd = ZSTD_createDCtx();
        s->input = malloc(INPUT_SIZE);
        if (!s->zstd || !s->input) {
            goto no_memory;
        }
    }
    *source = s;
    return 0;

no_memory:
    error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
failed:
    source_close(s);
    return -1;
}

void source_close(struct source *source)
{
    if (source) {
        if (source->fd >= 0) {
            close(source->fd);
        }
        ZSTD_freeDCtx(source->zstd);
        free(source->input);
        free(source->path);
        free(source);
    }
}

/* As read(), but for signals. */
static ssize_t read_some(struct source *s, char *to, size_t capacity,
                         struct error *error)
{
    ssize_t got = 0;
    do {
        got = read(s->fd, to, capacity);
    } while (got < 0 && errno == EINTR);
    if (got < 0) {
        error_set(error, ERROR_IO, "%s: cannot read: %s", s->path, strerror(errno));
    }
    return got;
}

/* Makes at least `wanted` bytes of input available unless the file ends before. */
static int fill_input(struct source *s, size_t wanted, struct error *error)
{
    while (!s->is_end && s->input_len - s->input_at < wanted) {
        if (s->input_at > 0) {
            memmove(s->input, s->input + s->input_at, s->input_len - s->input_at);
            s->input_len -= s->input_at;
            s->input_at = 0;
        }
        const ssize_t got =
            read_some(s, s->input + s->input_len, INPUT_SIZE - s->input_len, error);
        if (got < 0) {
            return -1;
        }
        s->is_end = got == 0;
        s->input_len += (size_t)got;
    }
    return 0;
}

/* After damage: moves to the next four bytes that may begin a frame. A false match
 * fails to decompress and the search goes on behind it. */
static int seek_frame(struct source *s, struct error *error)
{
    static const char magic[4] = {'\x28', '\xB5', '\x2F', '\xFD'};
    for (;;) {
        if (fill_input(s, sizeof magic, error) != 0) {
            return -1;
        }
        while (s->input_len - s->input_at >= sizeof magic) {
            if (memcmp(s->input + s->input_at, magic, sizeof magic) == 0) {
                s->is_lost = false;
                return 0;
            }
            s->input_at++;
        }
        if (s->is_end) {
            s->input_at = s->input_len;
            s->is_lost = false;
            return 0;
        }
    }
}

static enum source_result give_gap(struct source *s, size_t *len)
{
    *len = s->is_inside && s->is_frame_len_known ? s->frame_left : 0;
    s->is_inside = false;
    s->is_lost = true;
    ZSTD_DCtx_reset(s->zstd, ZSTD_reset_session_only);
    return SOURCE_GAP;
}

static void begin_frame(struct source *s)
{
    const unsigned long long content =
        ZSTD_getFrameContentSize(s->input + s->input_at, s->input_len - s->input_at);
    s->is_inside = true;
    s->is_frame_len_known =
        content != ZSTD_CONTENTSIZE_UNKNOWN && content != ZSTD_CONTENTSIZE_ERROR;
    s->frame_left = s->is_frame_len_known ? content : 0;
}

static enum source_result read_zstd(struct source *s, char *to, size_t capacity,
                                    size_t *len, struct error *error)
{
    ZSTD_outBuffer out = {to, capacity, 0};
    while (out.pos == 0) {
        if (s->is_lost && seek_frame(s, error) != 0) {
            return SOURCE_FAILED;
        }
        /* 18 bytes: the longest header of a frame. */
        if (fill_input(s, s->is_inside ? 1 : 18, error) != 0) {
            return SOURCE_FAILED;
        }
        if (s->input_at == s->input_len) {
            if (s->is_inside) {
                return give_gap(s, len); /* the file ends within a frame */
            }
            return SOURCE_END;
        }
        if (!s->is_inside) {
            begin_frame(s);
        }
        ZSTD_inBuffer in = {s->input, s->input_len, s->input_at};
        const size_t hint = ZSTD_decompressStream(s->zstd, &out, &in);
        if (ZSTD_isError(hint)) {
            if (ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation) {
                error_set(error, ERROR_NOMEM, "%s: no memory to decompress it",
                          s->path);
                return SOURCE_FAILED;
            }
            s->input_at += s->input_at < s->input_len;
            return give_gap(s, len);
        }
        s->input_at = in.pos;
        s->is_inside = hint != 0;
    }
    s->frame_left -= s->frame_left < out.pos ? s->frame_left : out.pos;
    *len = out.pos;
    return SOURCE_BYTES;
}

enum source_result source_read(struct source *source, char *to, size_t capacity,
                               size_t *len, struct error *error)
{
    if (source->zstd) {
        return read_zstd(source, to, capacity, len, error);
    }
    const ssize_t got = read_some(source, to, capacity, error);
    *len = got > 0 ? (size_t)got : 0;
    return got < 0 ? SOURCE_FAILED : got == 0 ? SOURCE_END : SOURCE_BYTES;
}

int source_skip(struct source *source, int64_t n, struct error *error)
{
    if (!source->zstd) {
        if (lseek(source->fd, (off_t)n, SEEK_SET) < 0) {
            error_set(error, ERROR_IO, "%s: cannot seek: %s", source->path,
                      strerror(errno));
            return -1;
        }
        return 0;
    }
    static const size_t step = (size_t)128 << 10;
    char *ignored = malloc(step);
    int rc = -1;
    if (!ignored) {
        error_set(error, ERROR_NOMEM, "%s: no memory to decompress it", source->path);
        return -1;
    }
    while (n > 0) {
        size_t len = 0;
        const enum source_result result = source_read(
            source, ignored, n < (int64_t)step ? (size_t)n : step, &len, error);
        if (result == SOURCE_FAILED) {
            goto out;
        }
        if (result == SOURCE_END) {
            break;
        }
        n -= (int64_t)len;
    }
    rc = 0;

out:
    free(ignored);
    return rc;
}
