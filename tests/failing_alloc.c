#include "tests/failing_alloc.h"

#include <stddef.h>

/* The linker's --wrap gives these names; they are reserved to it on purpose. */
void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *old, size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *old, size_t size);

static _Thread_local long passes_left = -1; /* -1: nothing is to fail */
static _Thread_local bool has_failed;

void failing_alloc_at(long n)
{
    passes_left = n;
    has_failed = false;
}

bool failing_alloc_stop(void)
{
    passes_left = -1;
    return has_failed;
}

static bool must_fail(void)
{
    if (passes_left < 0 || has_failed) {
        return false;
    }
    has_failed = passes_left-- == 0;
    return has_failed;
}

void *__wrap_malloc(size_t size)
{
    return must_fail() ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return must_fail() ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *old, size_t size)
{
    return must_fail() ? NULL : __real_realloc(old, size);
}
