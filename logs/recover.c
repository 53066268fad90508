#include "logs/recover.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "common/file.h"

static int make_directory(const char *directory, struct error *error)
{
    if (mkdir(directory, 0777) == 0) {
        return file_sync_directory_of(directory, error);
    }
    if (errno != EEXIST) {
        error_set(error, ERROR_IO, "%s: cannot make the log directory: %s", directory,
                  strerror(errno));
        return -1;
    }
    return 0;
}

static char *path_in(const char *directory, const char *name, struct error *error)
{
    const size_t size = strlen(directory) + 1 + strlen(name) + 1;
    char *path = malloc(size);
    if (!path) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a name in it", directory);
        return NULL;
    }
    snprintf(path, size, "%s/%s", directory, name);
    return path;
}

/* Others look whether there is a writer by taking the lock for a moment (ship.c), so a
 * lock that is taken gets a few more chances. */
static int take_lock(int fd)
{
    const struct timespec pause = {.tv_nsec = 20000000};
    for (int i = 0; i < 5; i++) {
        if (flock(fd, LOCK_EX | LOCK_NB) == 0) {
            return 0;
        }
        if (errno != EWOULDBLOCK) {
            return -1;
        }
        nanosleep(&pause, NULL);
    }
    return flock(fd, LOCK_EX | LOCK_NB);
}

int recover_lock(const char *directory, int *lock_fd, struct error *error)
{
    if (make_directory(directory, error) != 0) {
        return -1;
    }
    char *path = path_in(directory, "lock", error);
    if (!path) {
        return -1;
    }
    int rc = -1;
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) {
        error_set(error, ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
    } else if (take_lock(fd) != 0) {
        if (errno == EWOULDBLOCK) {
            error_set(error, ERROR_BUSY,
                      "%s: another process writes to this log directory; stop it, or "
                      "give this one a directory of its own",
                      directory);
        } else {
            error_set(error, ERROR_IO, "%s: cannot lock: %s", path, strerror(errno));
        }
        close(fd);
    } else {
        *lock_fd = fd;
        rc = 0;
    }
    free(path);
    return rc;
}

static int damaged(const char *path, const char *what, struct error *error)
{
    error_set(error, ERROR_DAMAGED,
              "%s: is not %s; remove it, and the log goes on under a new node name",
              path, what);
    return -1;
}

/* Returns 1 when the file is there and right, 0 when there is none. */
static int read_node(const char *path, char node[SEGMENT_NODE_LEN + 1],
                     struct error *error)
{
    struct buffer text = {0};
    struct error problem = {0};
    int rc = -1;
    if (file_read(path, 4096, &text, &problem) != 0) {
        if (problem.code == ERROR_NOT_FOUND) {
            rc = 0;
        } else {
            error_set(error, problem.code, "%s", problem.message);
        }
        goto out;
    }
    if (text.len != SEGMENT_NODE_LEN + 1 || text.data[SEGMENT_NODE_LEN] != '\n') {
        rc = damaged(path, "eight hexadecimal digits", error);
        goto out;
    }
    for (int i = 0; i < SEGMENT_NODE_LEN; i++) {
        if (!strchr("0123456789abcdef", text.data[i])) {
            rc = damaged(path, "eight hexadecimal digits", error);
            goto out;
        }
        node[i] = text.data[i];
    }
    node[SEGMENT_NODE_LEN] = '\0';
    rc = 1;

out:
    buffer_free(&text);
    return rc;
}

/* As read_node. */
static int read_starts(const char *path, uint64_t *n_starts, struct error *error)
{
    struct buffer text = {0};
    struct error problem = {0};
    int rc = -1;
    if (file_read(path, 4096, &text, &problem) != 0) {
        if (problem.code == ERROR_NOT_FOUND) {
            rc = 0;
        } else {
            error_set(error, problem.code, "%s", problem.message);
        }
        goto out;
    }
    char *end = NULL;
    buffer_append(&text, "", 1);
    if (text.failed) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto out;
    }
    errno = 0;
    *n_starts = strtoull(text.data, &end, 10);
    rc = text.len < 3 || errno || *end != '\n' || text.data[0] < '0' ||
                 text.data[0] > '9' || *n_starts > UINT32_MAX
             ? damaged(path, "a count of starts", error)
             : 1;

out:
    buffer_free(&text);
    return rc;
}

static int new_node(const uint32_t *wanted, char node[SEGMENT_NODE_LEN + 1],
                    struct error *error)
{
    uint32_t random = wanted ? *wanted : 0;
    ssize_t got = (ssize_t)sizeof random;
    if (!wanted) {
        do {
            got = getrandom(&random, sizeof random, 0);
        } while (got < 0 && errno == EINTR);
    }
    if (got != (ssize_t)sizeof random) {
        error_set(error, ERROR_IO, "cannot draw a node name: %s", strerror(errno));
        return -1;
    }
    snprintf(node, SEGMENT_NODE_LEN + 1, "%08" PRIx32, random);
    return 0;
}

int recover_identity(const char *directory, const uint32_t *wanted,
                     struct node_identity *identity, struct error *error)
{
    struct node_identity found = {.n_starts = 0};
    char text[32];
    int rc = -1;
    char *node_path = path_in(directory, "node", error);
    char *starts_path = node_path ? path_in(directory, "starts", error) : NULL;
    if (!starts_path) {
        goto out;
    }
    const int has_node = read_node(node_path, found.node, error);
    const int has_starts =
        has_node < 0 ? -1 : read_starts(starts_path, &found.n_starts, error);
    if (has_starts < 0) {
        goto out;
    }
    const bool is_new = !has_node || !has_starts;
    found.n_starts = is_new ? 1 : found.n_starts + 1;
    if (is_new && new_node(wanted, found.node, error) != 0) {
        goto out;
    }
    /* The count before the name: a crash between them leaves no name, so a new one is
     * drawn, and no pair of them is ever used twice. */
    if (has_node && !has_starts && unlink(node_path) != 0) {
        error_set(error, ERROR_IO, "%s: cannot remove: %s", node_path, strerror(errno));
        goto out;
    }
    int len = snprintf(text, sizeof text, "%" PRIu64 "\n", found.n_starts);
    if (file_replace(starts_path, (struct slice){text, (size_t)len}, error) != 0) {
        goto out;
    }
    len = snprintf(text, sizeof text, "%s\n", found.node);
    if (is_new &&
        file_replace(node_path, (struct slice){text, (size_t)len}, error) != 0) {
        goto out;
    }
    *identity = found;
    rc = 0;

out:
    free(starts_path);
    free(node_path);
    return rc;
}

int64_t recover_line_end(int fd, int64_t size)
{
    char block[4096];
    int64_t end = size;
    while (end > 0) {
        const int64_t start =
            end > (int64_t)sizeof block ? end - (int64_t)sizeof block : 0;
        const ssize_t got = pread(fd, block, (size_t)(end - start), (off_t)start);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        if (got != end - start) {
            return -1;
        }
        for (int64_t i = got; i > 0; i--) {
            if (block[i - 1] == '\n') {
                return start + i;
            }
        }
        end = start;
    }
    return 0;
}

int64_t recover_tail(const char *path, struct error *error)
{
    struct stat status;
    int64_t cut = -1;
    const int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot open: %s", path, strerror(errno));
        goto out;
    }
    const int64_t end = recover_line_end(fd, status.st_size);
    if (end < 0) {
        error_set(error, ERROR_IO, "%s: cannot read its end: %s", path,
                  strerror(errno));
        goto out;
    }
    if (end < status.st_size && (ftruncate(fd, (off_t)end) != 0 || fsync(fd) != 0)) {
        error_set(error, ERROR_IO, "%s: cannot cut its torn last line: %s", path,
                  strerror(errno));
        goto out;
    }
    cut = status.st_size - end;

out:
    if (fd >= 0) {
        close(fd);
    }
    return cut;
}
