/* count_alloc.c - a library for LD_PRELOAD that counts allocations of the whole
 * program, those inside libraries too, in the file named by COUNT_ALLOC_FILE: a 64-bit
 * number that tests/e2e_allocations.sh reads while the program runs.
 *
 * glibc's own names for its allocator are used, for dlsym allocates itself. What they
 * get and give is the allocator's; here it is only counted. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

/* Reserved names, but exported by glibc for this purpose.
 * NOLINTBEGIN(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
 */
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void *__libc_memalign(size_t alignment, size_t size);

static _Atomic uint64_t before_mapping;
static _Atomic(_Atomic uint64_t *) counter;

__attribute__((constructor)) static void map_counter(void)
{
    const char *path = getenv("COUNT_ALLOC_FILE");
    const int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0) {
        return;
    }
    void *at = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED) {
        atomic_store(&counter, at);
    }
}

static void count(void)
{
    _Atomic uint64_t *at = atomic_load(&counter);
    atomic_fetch_add(at ? at : &before_mapping, 1);
}

void *malloc(size_t size)
{
    count();
    return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
    count();
    return __libc_calloc(n, size);
}

void *realloc(void *old, size_t size)
{
    count();
    return __libc_realloc(old, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    count();
    return __libc_memalign(alignment, size);
}

int posix_memalign(void **result, size_t alignment, size_t size)
{
    count();
    *result = __libc_memalign(alignment, size);
    return *result ? 0 : ENOMEM;
}

/* NOLINTEND(bugprone-reserved-identifier,readability-inconsistent-declaration-parameter-name)
 */
