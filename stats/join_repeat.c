/* join_repeat.c - of events that share an id, the one that counts. */
#include <string.h>

#include "common/hash.h"
#include "logs/logs.h"
#include "stats/join_state.h"

/* A step of splitmix64 over both: what is combined is hashes already. */
static uint64_t mix(uint64_t a, uint64_t b)
{
    uint64_t z = a * UINT64_C(0x9E3779B97F4A7C15) + b;
    z = (z ^ z >> 30) * UINT64_C(0xBF58476D1CE4E5B9);
    z = (z ^ z >> 27) * UINT64_C(0x94D049BB133111EB);
    return z ^ z >> 31;
}

static uint64_t hash_slice(struct slice text)
{
    return hash_bytes(text.data, text.len);
}

/* What an exposure or feedback event says, but for its time, which differs between a
 * request and its retry: for telling copies from conflicts. */
static uint64_t content_hash(const struct event *event)
{
    uint64_t hash = mix((uint64_t)event->type, hash_slice(event->id));
    hash = mix(hash, hash_slice(event->user));
    if (event->type == EVENT_FEEDBACK) {
        uint64_t bits = 0;
        memcpy(&bits, &event->value, sizeof bits);
        hash = mix(hash, hash_slice(event->event));
        hash = mix(hash, event->has_value ? bits : 1);
        hash = mix(hash, hash_slice(event->item));
        return mix(hash, hash_slice(event->request));
    }
    for (int i = 0; i < event->n_assignments; i++) {
        hash = mix(hash, hash_slice(event->assignments[i].experiment));
        hash = mix(hash, hash_slice(event->assignments[i].arm));
    }
    for (int i = 0; i < event->n_items; i++) {
        hash = mix(hash, hash_slice(event->items[i].id));
    }
    return mix(hash, (uint64_t)event->latency_us);
}

static int copy_slice(struct join *join, struct slice *text)
{
    char *copy = arena_text(&join->arena, *text);
    if (!copy) {
        return join_no_memory(join);
    }
    text->data = copy;
    return 0;
}

static int copy_items(struct join *join, struct event *event)
{
    const int n = join->wants_items ? event->n_items : 0;
    struct event_item *items = arena_zeroed(&join->arena, (size_t)n, sizeof *items);
    if (!items) {
        return join_no_memory(join);
    }
    for (int i = 0; i < n; i++) {
        items[i] = event->items[i];
        if (copy_slice(join, &items[i].id) != 0) {
            return -1;
        }
    }
    event->items = items;
    return 0;
}

static int copy_event(struct join *join, struct event *event)
{
    struct event_assignment *assignments =
        arena_zeroed(&join->arena, (size_t)event->n_assignments, sizeof *assignments);
    if (!assignments || copy_slice(join, &event->id) != 0 ||
        copy_slice(join, &event->user) != 0 || copy_slice(join, &event->event) != 0 ||
        copy_slice(join, &event->model) != 0 || copy_slice(join, &event->item) != 0 ||
        copy_slice(join, &event->request) != 0) {
        return join_no_memory(join);
    }
    for (int i = 0; i < event->n_assignments; i++) {
        assignments[i] = event->assignments[i];
        if (copy_slice(join, &assignments[i].experiment) != 0 ||
            copy_slice(join, &assignments[i].arm) != 0) {
            return -1;
        }
    }
    event->assignments = assignments;
    event->attributes = NULL;
    event->n_attributes = 0;
    event->place = NULL;
    event->shape = 0; /* of a reader that is not there any more */
    return copy_items(join, event);
}

/* Of events with one id the earliest counts, whichever is read first; ties by content.
 */
int join_keep_repeat(struct join *join, struct join_repeat *repeat,
                     const struct event *event, uint64_t line)
{
    const uint64_t content = content_hash(event);
    if (repeat->is_set) {
        join->evidence.n_duplicates++;
        repeat->is_conflict |= repeat->content != content;
        if (event->ts_us > repeat->event.ts_us ||
            (event->ts_us == repeat->event.ts_us &&
             (content > repeat->content ||
              (content == repeat->content && line >= repeat->line)))) {
            return 0;
        }
    }
    repeat->is_set = true;
    repeat->content = content;
    repeat->line = line;
    repeat->event = *event;
    return copy_event(join, &repeat->event);
}
