/* json_arena.h - memory for the JSON of one request, so that reading it allocates
 * nothing.
 *
 * jansson asks for memory some twenty times an object. Between json_arena_begin and
 * json_arena_end this thread's share of that comes from the memory given, one piece
 * behind the other, and what does not fit from malloc; giving back does nothing but for
 * the latter. jansson takes its allocator from one place for the whole program, hence
 * the thread-local state behind this header, the only one of its kind here.
 */
#ifndef SERVE_JSON_ARENA_H
#define SERVE_JSON_ARENA_H

#include <stddef.h>

/* Makes jansson ask here. Before threads use jansson; again does no harm. */
void json_arena_install(void);

/* `memory` (size) aligned as malloc aligns. Every json_t made from now on in this
 * thread must be gone before json_arena_end. */
void json_arena_begin(void *memory, size_t size);
void json_arena_end(void);

#endif
