#define _GNU_SOURCE /* realpath, sync_file_range */
#include "common/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

static int read_all(int fd, const char *path, size_t max_bytes, struct buffer *contents,
                    struct error *error)
{
    for (;;) {
        char *to = buffer_reserve(contents, 65536);
        if (!to) {
            error_set(error, ERROR_NOMEM, "%s: no memory for its contents", path);
            return -1;
        }
        const ssize_t got = read(fd, to, 65536);
        if (got == 0) {
            return 0;
        }
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got < 0) {
            error_set(error, ERROR_IO, "%s: cannot read: %s", path, strerror(errno));
            return -1;
        }
        contents->len += (size_t)got;
        if (contents->len > max_bytes) {
            error_set(error, ERROR_INVALID, "%s: larger than %zu bytes", path,
                      max_bytes);
            return -1;
        }
    }
}

int file_read(const char *path, size_t max_bytes, struct buffer *contents,
              struct error *error)
{
    buffer_clear(contents);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot open: %s", path, strerror(errno));
        return -1;
    }
    const int rc = read_all(fd, path, max_bytes, contents, error);
    close(fd);
    return rc;
}

int file_temporary(int64_t *room, struct error *error)
{
    static const char name[] = "/abtest.XXXXXX";
    const char *directory = getenv("TMPDIR");
    directory = directory && *directory ? directory : "/var/tmp";
    struct statvfs status;
    const size_t len = strlen(directory);
    char *path = malloc(len + sizeof name);
    if (!path) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a temporary name", directory);
        return -1;
    }
    memcpy(path, directory, len);
    memcpy(path + len, name, sizeof name);
    const int fd = mkstemp(path);
    if (fd >= 0) {
        unlink(path);
    }
    if (fd < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0 || fstatvfs(fd, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot make a temporary file there: %s",
                  directory, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        free(path);
        return -1;
    }
    free(path);
    const uint64_t n_blocks = status.f_bavail / 2;
    *room = status.f_frsize && n_blocks > (uint64_t)INT64_MAX / status.f_frsize
                ? INT64_MAX
                : (int64_t)(n_blocks * status.f_frsize);
    return fd;
}

void file_start_writing(int fd)
{
    (void)sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
}

int file_sync_directory_of(const char *path, struct error *error)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? strndup(path, (size_t)(slash - path) + 1) : strdup(".");
    if (!directory) {
        error_set(error, ERROR_NOMEM, "%s: no memory for its directory's name", path);
        return -1;
    }
    int rc = -1;
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0 || fsync(fd) != 0) {
        error_set(error, ERROR_IO, "%s: cannot sync directory: %s", directory,
                  strerror(errno));
    } else {
        rc = 0;
    }
    if (fd >= 0) {
        close(fd);
    }
    free(directory);
    return rc;
}

int file_write(int fd, struct slice data)
{
    while (data.len) {
        const ssize_t put = write(fd, data.data, data.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put < 0) {
            return -1;
        }
        data.data += put;
        data.len -= (size_t)put;
    }
    return 0;
}

/* Where the bytes for `path` go. */
struct target {
    char *path;     /* owned: behind symbolic links */
    bool is_stream; /* a device, FIFO or the like: written to, for a rename would put a
                       file in its place */
    mode_t mode;    /* of the file that will be there */
};

static int find_target(const char *path, struct target *target, struct error *error)
{
    struct stat status;
    struct stat link = {0};
    const bool exists = stat(path, &status) == 0;
    if (exists && S_ISDIR(status.st_mode)) {
        error_set(error, ERROR_IO, "%s: is a directory, not a file to write", path);
        return -1;
    }
    const bool is_link = lstat(path, &link) == 0 && S_ISLNK(link.st_mode);
    target->is_stream = exists && !S_ISREG(status.st_mode);
    /* /dev/stdout leads to a pipe, which has no path to resolve. */
    target->path =
        exists && is_link && !target->is_stream ? realpath(path, NULL) : strdup(path);
    if (!target->path) {
        error_set(error, errno == ENOMEM ? ERROR_NOMEM : ERROR_IO,
                  "%s: cannot follow: %s", path, strerror(errno));
        return -1;
    }
    if (exists) {
        target->mode = status.st_mode & 0777;
    } else {
        const mode_t mask = umask(0);
        umask(mask);
        target->mode = 0666 & ~mask;
    }
    return 0;
}

/* What writes them: 0, or -1 with errno. */
struct contents {
    int (*write_to)(void *context, int fd);
    void *context;
};

static int write_stream(const char *path, const struct contents *contents,
                        struct error *error)
{
    const int fd = open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
    int rc = fd < 0 ? -1 : contents->write_to(contents->context, fd);
    if (rc != 0) {
        error_set(error, ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

/* `path` as the caller gave it, for messages. */
static int write_beside_and_rename(const struct target *target, const char *path,
                                   const struct contents *contents, struct error *error)
{
    int rc = -1, fd = -1;
    const size_t path_len = strlen(target->path);
    char *temporary = malloc(path_len + sizeof ".XXXXXX");
    if (!temporary) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a temporary name", path);
        return -1;
    }
    memcpy(temporary, target->path, path_len);
    memcpy(temporary + path_len, ".XXXXXX", sizeof ".XXXXXX");

    fd = mkstemp(temporary);
    if (fd < 0) {
        error_set(error, ERROR_IO, "%s: cannot create a file beside it: %s", path,
                  strerror(errno));
        temporary[0] = '\0';
        goto out;
    }
    if (fchmod(fd, target->mode) != 0 ||
        contents->write_to(contents->context, fd) != 0 || fsync(fd) != 0) {
        error_set(error, ERROR_IO, "%s: cannot write: %s", path, strerror(errno));
        goto out;
    }
    const int closed = close(fd);
    fd = -1;
    if (closed != 0 || rename(temporary, target->path) != 0) {
        error_set(error, ERROR_IO, "%s: cannot replace: %s", path, strerror(errno));
        goto out;
    }
    temporary[0] = '\0';
    rc = file_sync_directory_of(target->path, error);

out:
    if (fd >= 0) {
        close(fd);
    }
    if (rc != 0 && temporary[0]) {
        unlink(temporary);
    }
    free(temporary);
    return rc;
}

int file_replace_by(const char *path, int (*write_to)(void *context, int fd),
                    void *context, struct error *error)
{
    const struct contents contents = {write_to, context};
    struct target target;
    if (find_target(path, &target, error) != 0) {
        return -1;
    }
    const int rc = target.is_stream
                       ? write_stream(path, &contents, error)
                       : write_beside_and_rename(&target, path, &contents, error);
    free(target.path);
    return rc;
}

static int write_slice(void *context, int fd)
{
    return file_write(fd, *(const struct slice *)context);
}

int file_replace(const char *path, struct slice data, struct error *error)
{
    return file_replace_by(path, write_slice, &data, error);
}

int file_check_replaceable(const char *path, struct error *error)
{
    struct target target;
    if (find_target(path, &target, error) != 0) {
        return -1;
    }
    char *slash = strrchr(target.path, '/');
    const char *place = target.path;
    int mode = W_OK;
    if (!target.is_stream) {
        mode = W_OK | X_OK;
        if (slash) {
            slash[1] = '\0';
        } else {
            place = ".";
        }
    }
    const int rc = access(place, mode);
    if (rc != 0) {
        error_set(error, ERROR_IO, "%s: cannot write there: %s", path, strerror(errno));
    }
    free(target.path);
    return rc;
}
