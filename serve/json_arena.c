#include "serve/json_arena.h"

#include <stdint.h>
#include <stdlib.h>

#include <jansson.h>

#define ALIGNMENT 16

struct arena {
    char *begin, *end, *at; /* all NULL outside of begin and end */
};

static _Thread_local struct arena arena;

static void *take(size_t size)
{
    const size_t left = (size_t)(arena.end - arena.at);
    if (size > left) {
        return malloc(size);
    }
    void *piece = arena.at;
    const size_t rounded = (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
    arena.at += rounded < left ? rounded : left;
    return piece;
}

static void give_back(void *piece)
{
    /* As numbers: pointers into different objects have no order in C. */
    const uintptr_t at = (uintptr_t)piece;
    if (at < (uintptr_t)arena.begin || at >= (uintptr_t)arena.end) {
        free(piece);
    }
}

void json_arena_install(void)
{
    json_set_alloc_funcs(take, give_back);
}

void json_arena_begin(void *memory, size_t size)
{
    arena = (struct arena){memory, (char *)memory + size, memory};
}

void json_arena_end(void)
{
    arena = (struct arena){NULL, NULL, NULL};
}
