/* pages.h - memory for arrays that are read or written at random, and files as memory.
 *
 * Every access to another small page may need a walk through the page tables; a block
 * of some megabytes gets large pages where the system has them.
 */
#ifndef COMMON_PAGES_H
#define COMMON_PAGES_H

#include <stddef.h>

#include "common/error.h"

/* Uninitialised; at least one byte; aligned to `alignment`, a power of two, 0 meaning
 * what malloc gives. Freed with free. NULL when memory ran out. */
MUST_CHECK void *pages_alloc(size_t bytes, size_t alignment);

/* Maps the first `len` (> 0) bytes of a file to be read, all of them present from the
 * start: for files of which every byte is checked. Unmapped with munmap. NULL and errno
 * when that fails. */
MUST_CHECK void *pages_map(int fd, size_t len);

/* Of such a map: the pages from that of `start` to the one before that of `end` leave
 * the memory of this process. If they are read again they come from the file. */
void pages_drop(const char *start, const char *end);

#endif
