#define _DEFAULT_SOURCE /* madvise, MAP_POPULATE */

#include "common/pages.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define HUGE_PAGE ((size_t)2 << 20)

void *pages_alloc(size_t bytes, size_t alignment)
{
    if (bytes > SIZE_MAX / 2) {
        return NULL;
    }
    if (bytes < HUGE_PAGE && !alignment) {
        return malloc(bytes ? bytes : 1);
    }
    alignment = bytes < HUGE_PAGE ? alignment : HUGE_PAGE;
    bytes = (bytes / alignment + 1) * alignment;
    void *memory = aligned_alloc(alignment, bytes);
    if (memory && alignment == HUGE_PAGE) {
        (void)madvise(memory, bytes, MADV_HUGEPAGE); /* only a hint */
    }
    return memory;
}

void *pages_map(int fd, size_t len)
{
    void *map = mmap(NULL, len, PROT_READ, MAP_PRIVATE | MAP_POPULATE, fd, 0);
    return map == MAP_FAILED ? NULL : map;
}

void pages_drop(const char *start, const char *end)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const size_t before = (uintptr_t)start % page, behind = (uintptr_t)end % page;
    const size_t len = (size_t)(end - start) + before;
    if (len > behind) {
        void *from; /* the map is ours, only its bytes are not to be changed */
        memcpy(&from, &start, sizeof from);
        (void)madvise((char *)from - before, len - behind, MADV_DONTNEED);
    }
}
