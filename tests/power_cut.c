/* power_cut.c - a library for LD_PRELOAD that remembers what a power cut would spare.
 *
 * Appends a line to the file named by POWER_CUT_JOURNAL for each name that appears and
 * each sync of a file or directory:
 *
 *     created PATH        not in its directory on disk yet
 *     synced PATH SIZE    so many bytes are on disk
 *     named DIRECTORY     its names are on disk
 *     renamed OLD NEW     not on disk yet
 *
 * After the process was killed, tests/e2e_crash.sh takes away what is not on disk. The
 * journal itself survives, for only processes die here.
 *
 * POWER_CUT_FAIL=N lets every N-th sync of a file fail with EIO, not done, and
 * POWER_CUT_FAIL_WRITES=N every N-th write of a log segment, half done. While the file
 * named by POWER_CUT_SWITCH exists, all of them fail.
 */
#define _GNU_SOURCE /* RTLD_NEXT */ /* NOLINT(bugprone-reserved-identifier) */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void journal(const char *format, ...) __attribute__((format(printf, 1, 2)));

static void *real(const char *name)
{
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) {
        abort();
    }
    return function;
}

/* dlsym gives a data pointer; POSIX promises that it may be a function. */
#define REAL(variable, name)                                                           \
    do {                                                                               \
        void *found = real(name);                                                      \
        memcpy(&(variable), &found, sizeof found);                                     \
    } while (0)

static void journal(const char *format, ...)
{
    static int fd = -1;
    char line[8400];
    const char *path = getenv("POWER_CUT_JOURNAL");
    int (*real_open)(const char *, int, ...);
    if (!path) {
        return;
    }
    if (fd < 0) {
        REAL(real_open, "open");
        fd = real_open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    }
    va_list args;
    va_start(args, format);
    const int len = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (len < 0 || write(fd, line, (size_t)len) != len) {
        abort();
    }
}

static const char *path_of(int fd, char path[4096])
{
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    const ssize_t len = readlink(link, path, 4095);
    path[len > 0 ? len : 0] = '\0';
    return path;
}

static int open_as(const char *name, const char *path, int flags, va_list args)
{
    int (*real_open)(const char *, int, ...);
    char absolute[4096];
    const mode_t mode = flags & O_CREAT ? va_arg(args, mode_t) : 0;
    const int is_new = (flags & O_CREAT) && access(path, F_OK) != 0;
    REAL(real_open, name);
    const int fd = real_open(path, flags, mode);
    if (fd >= 0 && is_new) {
        journal("created %s\n", path_of(fd, absolute));
    }
    return fd;
}

/* The parameters of the functions replaced have reserved names in the system's headers,
 * and open64 is declared only where large files are asked for.
 * NOLINTBEGIN(readability-inconsistent-declaration-parameter-name,readability-redundant-declaration)
 */
int open(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const int fd = open_as("open", path, flags, args);
    va_end(args);
    return fd;
}

int open64(const char *path, int flags, ...);
int open64(const char *path, int flags, ...)
{
    va_list args;
    va_start(args, flags);
    const int fd = open_as("open64", path, flags, args);
    va_end(args);
    return fd;
}

/* Whether this call is one that `variable` lets fail. */
static int must_fail(const char *variable, atomic_long *n_calls)
{
    const char *every = getenv(variable), *file = getenv("POWER_CUT_SWITCH");
    const long n = every ? strtol(every, NULL, 10) : 0;
    return (n > 0 && atomic_fetch_add(n_calls, 1) % n == n - 1) ||
           (file && access(file, F_OK) == 0);
}

static int sync_as(const char *name, int fd)
{
    static atomic_long n_syncs;
    int (*real_sync)(int);
    struct stat status;
    char path[4096];
    REAL(real_sync, name);
    if (fstat(fd, &status) != 0) {
        return -1;
    }
    if (S_ISREG(status.st_mode) && must_fail("POWER_CUT_FAIL", &n_syncs)) {
        errno = EIO;
        return -1;
    }
    const int rc = real_sync(fd);
    if (rc == 0 && S_ISDIR(status.st_mode)) {
        journal("named %s\n", path_of(fd, path));
    } else if (rc == 0) {
        journal("synced %s %lld\n", path_of(fd, path), (long long)status.st_size);
    }
    return rc;
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t offset)
{
    static atomic_long n_writes;
    ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
    char path[4096];
    const char *end = strrchr(path_of(fd, path), '.');
    REAL(real_pwrite, "pwrite");
    if (end && strcmp(end, ".jsonl") == 0 &&
        must_fail("POWER_CUT_FAIL_WRITES", &n_writes)) {
        (void)!real_pwrite(fd, bytes, n / 2, offset); /* as a bad block does */
        errno = EIO;
        return -1;
    }
    return real_pwrite(fd, bytes, n, offset);
}

int fsync(int fd)
{
    return sync_as("fsync", fd);
}

int fdatasync(int fd)
{
    return sync_as("fdatasync", fd);
}

int rename(const char *from, const char *to)
{
    int (*real_rename)(const char *, const char *);
    char old[4096], new[4096];
    REAL(real_rename, "rename");
    if (!realpath(from, old)) {
        return -1;
    }
    const int rc = real_rename(from, to);
    if (rc == 0 && realpath(to, new)) {
        journal("renamed %s %s\n", old, new);
    }
    return rc;
}

/* NOLINTEND(readability-inconsistent-declaration-parameter-name,readability-redundant-declaration)
 */
