#include "common/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BLOCK_SIZE 16384 /* bytes; larger pieces get a block of their own */

struct arena_block {
    struct arena_block *next;
    size_t used, capacity;
    max_align_t data[];
};

static void *take(struct arena_block *block, size_t len)
{
    void *at = (char *)block->data + block->used;
    block->used += len;
    return at;
}

void *arena_zeroed(struct arena *arena, size_t n, size_t size)
{
    const size_t align = _Alignof(max_align_t);
    if (size && n > (SIZE_MAX / 4) / size) {
        return NULL;
    }
    size_t len = (n ? n : 1) * size;
    len = (len + align - 1) / align * align;
    if (arena->blocks && arena->blocks->capacity - arena->blocks->used >= len) {
        return take(arena->blocks, len);
    }
    const size_t capacity = len > BLOCK_SIZE ? len : BLOCK_SIZE;
    struct arena_block *block = calloc(1, sizeof *block + capacity);
    if (!block) {
        return NULL;
    }
    block->capacity = capacity;
    if (len > BLOCK_SIZE && arena->blocks) {
        block->next = arena->blocks->next; /* keep filling the block in use */
        arena->blocks->next = block;
    } else {
        block->next = arena->blocks;
        arena->blocks = block;
    }
    return take(block, len);
}

char *arena_text(struct arena *arena, struct slice text)
{
    char *copy = arena_zeroed(arena, text.len + 1, 1);
    if (copy && text.len) {
        memcpy(copy, text.data, text.len);
    }
    return copy;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    const int len = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *text = len < 0 ? NULL : arena_zeroed(arena, (size_t)len + 1, 1);
    if (text) {
        vsnprintf(text, (size_t)len + 1, format, again);
    }
    va_end(again);
    return text;
}

void arena_free(struct arena *arena)
{
    struct arena_block *block = arena->blocks;
    while (block) {
        struct arena_block *next = block->next;
        free(block);
        block = next;
    }
    arena->blocks = NULL;
}
