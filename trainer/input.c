#include "trainer/input.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#define STORED_CAPACITY ((size_t)1 << 18)
#define MAGIC_LEN       4

enum encoding { ENCODING_PLAIN, ENCODING_GZIP, ENCODING_ZSTD };

struct input {
    char *path;
    int fd;
    enum encoding encoding;
    int64_t size;          /* bytes in the file, or -1 */
    int64_t position;      /* bytes read from the descriptor */
    unsigned char *stored; /* (STORED_CAPACITY) read, not yet handed out */
    size_t stored_at, stored_len;
    bool at_end;     /* the descriptor has no more */
    bool in_frame;   /* inside a compressed frame: an end now is damage */
    bool has_stream; /* `gzip` is initialised */
    z_stream gzip;
    ZSTD_DStream *zstd;
};

int64_t input_position(const struct input *input)
{
    return input->position - (int64_t)(input->stored_len - input->stored_at);
}

int64_t input_size(const struct input *input)
{
    return input->size;
}

static int read_stored(struct input *input, void *to, size_t capacity, size_t *got,
                       struct error *error)
{
    for (;;) {
        const ssize_t n = read(input->fd, to, capacity);
        if (n >= 0) {
            input->position += n;
            input->at_end = n == 0;
            *got = (size_t)n;
            return 0;
        }
        if (errno != EINTR) {
            error_set(error, ERROR_IO, "%s: cannot read: %s", input->path,
                      strerror(errno));
            return -1;
        }
    }
}

/* Appends what is there to `stored`, after moving the rest to the front. */
static int refill(struct input *input, struct error *error)
{
    size_t got = 0;
    const size_t rest = input->stored_len - input->stored_at;
    memmove(input->stored, input->stored + input->stored_at, rest);
    input->stored_at = 0;
    input->stored_len = rest;
    if (read_stored(input, input->stored + rest, STORED_CAPACITY - rest, &got, error) !=
        0) {
        return -1;
    }
    input->stored_len += got;
    return 0;
}

static int damaged(const struct input *input, const char *what, struct error *error)
{
    error_set(error, ERROR_DAMAGED, "%s: byte %lld: %s", input->path,
              (long long)input_position(input), what);
    return -1;
}

static int start_decoder(struct input *input, struct error *error)
{
    static const unsigned char gzip_magic[] = {0x1F, 0x8B};
    static const unsigned char zstd_magic[] = {0x28, 0xB5, 0x2F, 0xFD};
    while (input->stored_len < MAGIC_LEN && !input->at_end) {
        if (refill(input, error) != 0) {
            return -1;
        }
    }
    bool started = true;
    if (input->stored_len >= sizeof zstd_magic &&
        memcmp(input->stored, zstd_magic, sizeof zstd_magic) == 0) {
        input->encoding = ENCODING_ZSTD;
        input->zstd = ZSTD_createDStream();
        started = input->zstd && !ZSTD_isError(ZSTD_initDStream(input->zstd));
    } else if (input->stored_len >= sizeof gzip_magic &&
               memcmp(input->stored, gzip_magic, sizeof gzip_magic) == 0) {
        input->encoding = ENCODING_GZIP;
        started = inflateInit2(&input->gzip, 16 + MAX_WBITS) == Z_OK;
        input->has_stream = started;
    }
    if (!started) {
        error_set(error, ERROR_NOMEM, "%s: no memory to decompress it", input->path);
        return -1;
    }
    return 0;
}

int input_open(const char *path, struct input **input, struct error *error)
{
    struct stat status;
    struct input *made = calloc(1, sizeof *made);
    if (made) {
        made->fd = -1;
        made->path = strdup(path);
        made->stored = malloc(STORED_CAPACITY);
    }
    if (!made || !made->path || !made->stored) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto fail;
    }
    made->fd = strcmp(path, "-") == 0 ? dup(STDIN_FILENO)
                                      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (made->fd < 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", path, strerror(errno));
        goto fail;
    }
    made->size =
        fstat(made->fd, &status) == 0 && S_ISREG(status.st_mode) ? status.st_size : -1;
    if (start_decoder(made, error) != 0) {
        goto fail;
    }
    *input = made;
    return 0;

fail:
    input_close(made);
    return -1;
}

void input_close(struct input *input)
{
    if (!input) {
        return;
    }
    if (input->has_stream) {
        inflateEnd(&input->gzip);
    }
    ZSTD_freeDStream(input->zstd);
    if (input->fd >= 0) {
        close(input->fd);
    }
    free(input->stored);
    free(input->path);
    free(input);
}

static int read_plain(struct input *input, char *to, size_t capacity, size_t *got,
                      struct error *error)
{
    const size_t rest = input->stored_len - input->stored_at;
    if (rest == 0) {
        return read_stored(input, to, capacity, got, error);
    }
    const size_t n = rest < capacity ? rest : capacity;
    memcpy(to, input->stored + input->stored_at, n);
    input->stored_at += n;
    *got = n;
    return 0;
}

/* One step of inflate. A gzip file may be several members, one after the other. */
static int step_gzip(struct input *input, char *to, size_t capacity, size_t *got,
                     struct error *error)
{
    z_stream *z = &input->gzip;
    if (!input->in_frame && inflateReset(z) != Z_OK) {
        return damaged(input, "cannot restart gzip", error);
    }
    z->next_in = input->stored + input->stored_at;
    z->avail_in = (uInt)(input->stored_len - input->stored_at);
    z->next_out = (Bytef *)to;
    z->avail_out = capacity > UINT32_MAX / 2 ? UINT32_MAX / 2 : (uInt)capacity;
    const uInt room = z->avail_out;
    const int status = inflate(z, Z_NO_FLUSH);
    input->stored_at = input->stored_len - z->avail_in;
    *got = room - z->avail_out;
    if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
        return damaged(input, "damaged gzip data", error);
    }
    input->in_frame = status != Z_STREAM_END;
    return 0;
}

static int step_zstd(struct input *input, char *to, size_t capacity, size_t *got,
                     struct error *error)
{
    ZSTD_inBuffer in = {input->stored, input->stored_len, input->stored_at};
    ZSTD_outBuffer out = {to, capacity, 0};
    const size_t status = ZSTD_decompressStream(input->zstd, &out, &in);
    input->stored_at = in.pos;
    *got = out.pos;
    if (ZSTD_isError(status)) {
        return damaged(input, ZSTD_getErrorName(status), error);
    }
    input->in_frame = status != 0;
    return 0;
}

int input_read(struct input *input, char *to, size_t capacity, size_t *got,
               struct error *error)
{
    if (input->encoding == ENCODING_PLAIN) {
        return read_plain(input, to, capacity, got, error);
    }
    for (;;) {
        if (input->stored_at == input->stored_len && !input->at_end &&
            refill(input, error) != 0) {
            return -1;
        }
        const bool is_starved = input->stored_at == input->stored_len;
        if (is_starved && !input->in_frame) {
            *got = 0;
            return 0;
        }
        const int rc = input->encoding == ENCODING_GZIP
                           ? step_gzip(input, to, capacity, got, error)
                           : step_zstd(input, to, capacity, got, error);
        if (rc != 0 || *got) {
            return rc;
        }
        if (is_starved && input->at_end && input->in_frame) {
            return damaged(input, "the compressed file is cut off", error);
        }
    }
}
