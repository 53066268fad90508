#include "logs/compress.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "common/buffer.h"
#include "common/file.h"

#define FRAME_SIZE       ((size_t)1 << 20)
#define PIECE_SIZE       ((size_t)ZSTD_BLOCKSIZE_MAX) /* what zstd takes at a time */
#define REST             4 /* times as long as the work before it */
#define LEVEL            1 /* 3 saves 5 % more and takes twice the time */
#define SEEK_TABLE_MAGIC 0x184D2A5EU
#define SEEK_END_MAGIC   0x8F92EAB1U

struct compression {
    const char *path;
    const struct compress_manners *manners;
    char *compressed_path;
    char *temporary_path;
    int from, to;
    ZSTD_CCtx *zstd;
    char *plain; /* FRAME_SIZE bytes */
    size_t plain_len;
    struct buffer frame;
    struct buffer table;
    uint32_t n_frames;
    int64_t rested_ns; /* what this thread had worked when it last rested */
    struct error *error;
};

static int no_memory(struct compression *c)
{
    error_set(c->error, ERROR_NOMEM, "%s: no memory to compress it", c->path);
    return -1;
}

static int cannot(struct compression *c, const char *what)
{
    error_set(c->error, ERROR_IO, "%s: cannot %s: %s", c->path, what, strerror(errno));
    return -1;
}

static void append_le32(struct buffer *b, uint32_t value)
{
    const unsigned char bytes[4] = {(unsigned char)value, (unsigned char)(value >> 8),
                                    (unsigned char)(value >> 16),
                                    (unsigned char)(value >> 24)};
    buffer_append(b, bytes, sizeof bytes);
}

static int write_out(struct compression *c, struct slice data)
{
    while (data.len) {
        const ssize_t put = write(c->to, data.data, data.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return cannot(c, "write its compressed form");
        }
        data.data += put;
        data.len -= (size_t)put;
    }
    return 0;
}

/* Bytes of `plain` that end with a newline; all of them when a line is longer. */
static size_t whole_lines(const struct compression *c)
{
    for (size_t len = c->plain_len; len > 0; len--) {
        if (c->plain[len - 1] == '\n') {
            return len;
        }
    }
    return c->plain_len;
}

static int64_t spent_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

/* REST times as long as was worked since the last. */
static void rest(struct compression *c)
{
    if (c->manners && !atomic_load(c->manners->hurry) &&
        !atomic_load(c->manners->stop)) {
        const int64_t ns = REST * (spent_ns() - c->rested_ns);
        const struct timespec time = {ns / 1000000000, ns % 1000000000};
        nanosleep(&time, NULL); /* cut short by a signal, it was a shorter rest */
    }
    c->rested_ns = spent_ns();
}

/* Fills `plain` as far as the file goes. */
static int fill(struct compression *c)
{
    while (c->plain_len < FRAME_SIZE) {
        const size_t room = FRAME_SIZE - c->plain_len;
        const ssize_t got = read(c->from, c->plain + c->plain_len,
                                 room < PIECE_SIZE ? room : PIECE_SIZE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            return cannot(c, "read");
        }
        if (got == 0) {
            return 0;
        }
        c->plain_len += (size_t)got;
        rest(c);
    }
    return 0;
}

/* Compresses the first `len` bytes of `plain` into `out`, which has room for them. */
static int compress_frame(struct compression *c, size_t len, ZSTD_outBuffer *out)
{
    ZSTD_inBuffer in = {c->plain, 0, 0};
    ZSTD_CCtx_reset(c->zstd, ZSTD_reset_session_only);
    if (ZSTD_isError(ZSTD_CCtx_setPledgedSrcSize(c->zstd, len))) {
        return no_memory(c);
    }
    while (in.size < len) {
        in.size = len - in.pos < PIECE_SIZE ? len : in.pos + PIECE_SIZE;
        const size_t left = ZSTD_compressStream2(
            c->zstd, out, &in, in.size == len ? ZSTD_e_end : ZSTD_e_continue);
        if (ZSTD_isError(left) || in.pos != in.size || (in.size == len && left != 0)) {
            return no_memory(c); /* all that can go wrong with a full bound */
        }
        rest(c);
    }
    return 0;
}

static int write_frame(struct compression *c, size_t len)
{
    buffer_clear(&c->frame);
    ZSTD_outBuffer out = {NULL, ZSTD_compressBound(len), 0};
    out.dst = buffer_reserve(&c->frame, out.size);
    if (!out.dst) {
        return no_memory(c);
    }
    if (compress_frame(c, len, &out) != 0) {
        return -1;
    }
    append_le32(&c->table, (uint32_t)out.pos);
    append_le32(&c->table, (uint32_t)len);
    c->n_frames++;
    memmove(c->plain, c->plain + len, c->plain_len - len);
    c->plain_len -= len;
    const int rc = write_out(c, (struct slice){out.dst, out.pos});
    file_start_writing(c->to);
    rest(c);
    return rc;
}

static int write_table(struct compression *c)
{
    struct buffer head = {0};
    append_le32(&c->table, c->n_frames);
    buffer_append_char(&c->table, '\0'); /* descriptor: no checksums in the table */
    append_le32(&c->table, SEEK_END_MAGIC);
    append_le32(&head, SEEK_TABLE_MAGIC);
    append_le32(&head, (uint32_t)c->table.len);
    int rc = -1;
    if (c->table.failed || head.failed) {
        rc = no_memory(c);
    } else if (write_out(c, buffer_slice(&head)) == 0) {
        rc = write_out(c, buffer_slice(&c->table));
    }
    buffer_free(&head);
    return rc;
}

static char *with_suffix(const char *path, const char *suffix)
{
    const size_t size = strlen(path) + strlen(suffix) + 1;
    char *text = malloc(size);
    if (text) {
        snprintf(text, size, "%s%s", path, suffix);
    }
    return text;
}

static int open_files(struct compression *c)
{
    c->compressed_path = with_suffix(c->path, ".zst");
    c->temporary_path = with_suffix(c->path, ".zst.tmp");
    c->plain = malloc(FRAME_SIZE);
    c->zstd = ZSTD_createCCtx();
    if (!c->compressed_path || !c->temporary_path || !c->plain || !c->zstd ||
        ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_compressionLevel, LEVEL)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(c->zstd, ZSTD_c_checksumFlag, 1))) {
        return no_memory(c);
    }
    c->from = open(c->path, O_RDONLY | O_CLOEXEC);
    if (c->from < 0) {
        error_set(c->error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", c->path, strerror(errno));
        return -1;
    }
    c->to = open(c->temporary_path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return c->to < 0 ? cannot(c, "create its compressed form") : 0;
}

/* Returns 1 when it was stopped. */
static int write_frames(struct compression *c)
{
    for (;;) {
        if (c->manners && atomic_load(c->manners->stop)) {
            return 1;
        }
        if (fill(c) != 0) {
            return -1;
        }
        if (c->plain_len == 0) {
            return write_table(c);
        }
        if (write_frame(c, whole_lines(c)) != 0) {
            return -1;
        }
    }
}

/* Frees the cached pages of the plain file, which is gone, in pieces: closing it would
 * free all of them in one go, 50 ms of a core that has answers to give. Who still reads
 * the file finds all of it, as after a truncation they would not. */
static void let_go(struct compression *c, off_t size)
{
    for (off_t at = 0; at < size; at += (off_t)FRAME_SIZE) {
        posix_fadvise(c->from, at, (off_t)FRAME_SIZE, POSIX_FADV_DONTNEED);
        rest(c);
    }
}

static int replace(struct compression *c)
{
    /* The time of the last write stays, for readers who want what is recent. */
    struct stat status;
    if (fstat(c->from, &status) != 0) {
        return cannot(c, "look at");
    }
    const struct timespec times[2] = {status.st_atim, status.st_mtim};
    if (futimens(c->to, times) != 0 || fsync(c->to) != 0) {
        return cannot(c, "sync its compressed form");
    }
    const int closed = close(c->to);
    c->to = -1;
    if (closed != 0 || rename(c->temporary_path, c->compressed_path) != 0) {
        return cannot(c, "name its compressed form");
    }
    c->temporary_path[0] = '\0';
    if (file_sync_directory_of(c->path, c->error) != 0) {
        return -1;
    }
    if (unlink(c->path) != 0) {
        return cannot(c, "remove after compressing");
    }
    let_go(c, status.st_size);
    return 0;
}

int compress_segment(const char *path, const struct compress_manners *manners,
                     struct error *error)
{
    struct compression c = {.path = path,
                            .manners = manners,
                            .from = -1,
                            .to = -1,
                            .error = error,
                            .rested_ns = spent_ns()};
    int rc = open_files(&c);
    if (rc == 0) {
        rc = write_frames(&c);
        rc = rc == 1 ? 0 : rc == 0 ? replace(&c) : -1;
    }
    if (c.from >= 0) {
        close(c.from);
    }
    if (c.to >= 0) {
        close(c.to);
    }
    if (c.to >= 0 || (rc != 0 && c.temporary_path && c.temporary_path[0])) {
        unlink(c.temporary_path);
    }
    ZSTD_freeCCtx(c.zstd);
    buffer_free(&c.table);
    buffer_free(&c.frame);
    free(c.plain);
    free(c.temporary_path);
    free(c.compressed_path);
    return rc;
}
