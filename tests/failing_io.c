#include "tests/failing_io.h"

#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <sys/types.h>
#include <unistd.h>

/* The linker's --wrap gives these names; they are reserved to it on purpose. */
ssize_t __real_pwrite(int fd, const void *data, size_t len, off_t at);
int __real_fdatasync(int fd);
int __real_fsync(int fd);
int __real_ftruncate(int fd, off_t len);
ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at);
int __wrap_fdatasync(int fd);
int __wrap_fsync(int fd);
int __wrap_ftruncate(int fd, off_t len);

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    int n_pass, n_fail, error_number, n_calls;
} plans[N_FAILING_CALLS];
static int n_failed;

void failing_io_set(enum failing_call call, int n_pass, int n_fail, int error_number)
{
    pthread_mutex_lock(&lock);
    plans[call].n_pass = n_pass;
    plans[call].n_fail = n_fail;
    plans[call].error_number = error_number;
    pthread_mutex_unlock(&lock);
}

int failing_io_clear(void)
{
    pthread_mutex_lock(&lock);
    const int n = n_failed;
    n_failed = 0;
    for (int i = 0; i < N_FAILING_CALLS; i++) {
        plans[i].n_pass = plans[i].n_fail = plans[i].error_number = plans[i].n_calls =
            0;
    }
    pthread_mutex_unlock(&lock);
    return n;
}

int failing_io_count(enum failing_call call)
{
    pthread_mutex_lock(&lock);
    const int n = plans[call].n_calls;
    pthread_mutex_unlock(&lock);
    return n;
}

static bool must_fail(enum failing_call call, int *error_number)
{
    bool is_failing = false;
    pthread_mutex_lock(&lock);
    plans[call].n_calls++;
    if (plans[call].n_pass > 0) {
        plans[call].n_pass--;
    } else if (plans[call].n_fail > 0) {
        plans[call].n_fail--;
        n_failed++;
        is_failing = true;
        *error_number = plans[call].error_number;
    }
    pthread_mutex_unlock(&lock);
    return is_failing;
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t len, off_t at)
{
    int error_number = 0;
    if (!must_fail(FAILING_PWRITE, &error_number)) {
        return __real_pwrite(fd, data, len, at);
    }
    const ssize_t part = __real_pwrite(fd, data, (len + 1) / 2, at);
    if (error_number == 0) {
        return part;
    }
    errno = error_number;
    return -1;
}

int __wrap_fdatasync(int fd)
{
    int error_number = 0;
    if (!must_fail(FAILING_FDATASYNC, &error_number)) {
        return __real_fdatasync(fd);
    }
    errno = error_number;
    return -1;
}

int __wrap_fsync(int fd)
{
    int error_number = 0;
    if (!must_fail(FAILING_FSYNC, &error_number)) {
        return __real_fsync(fd);
    }
    errno = error_number;
    return -1;
}

int __wrap_ftruncate(int fd, off_t len)
{
    int error_number = 0;
    if (!must_fail(FAILING_FTRUNCATE, &error_number)) {
        return __real_ftruncate(fd, len);
    }
    errno = error_number;
    return -1;
}
