/* join_attributes.c - what exposures said of their users: country, age, ...
 *
 * All attributes of an exposure are one id of join.attribute_sets: of each its name,
 * its type, and its value. Many users say the same, so a unit keeps one number; and
 * only what may be a first exposure is kept, so that memory grows with units where a
 * number is different every time.
 */
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "stats/join.h"
#include "stats/join_state.h"

int join_encode_attributes(struct join *join, const struct event *event,
                           struct slice *set)
{
    struct buffer *to = &join->attribute_set;
    const size_t start = to->len;
    for (int i = 0; i < event->n_attributes; i++) {
        const struct event_attribute *attribute = &event->attributes[i];
        uint64_t bits = attribute->boolean;
        bytes_put_slice(to, attribute->name);
        bytes_put(to, (uint64_t)attribute->type, 1);
        if (attribute->type == EVENT_ATTRIBUTE_NUMBER) {
            memcpy(&bits, &attribute->number, sizeof bits);
        }
        if (attribute->type == EVENT_ATTRIBUTE_STRING) {
            bytes_put_slice(to, attribute->text);
        } else {
            bytes_put(to, bits, 8);
        }
    }
    *set = event->n_attributes ? (struct slice){to->data + start, to->len - start}
                               : (struct slice){"", 0};
    return to->failed ? join_no_memory(join) : 0;
}

struct slice join_attributes_of(const struct join *join,
                                const struct join_experiment *experiment, int32_t user)
{
    const int32_t at =
        user < experiment->attributes_capacity ? experiment->attributes[user] : ID_NONE;
    return at == ID_NONE ? (struct slice){"", 0} : id_map_id(join->attribute_sets, at);
}

/* Room for `user`'s. */
static int grow(struct join *join, struct join_experiment *experiment, int32_t user)
{
    int32_t capacity =
        experiment->attributes_capacity ? experiment->attributes_capacity : 512;
    while (capacity <= user) {
        capacity = capacity > INT32_MAX / 2 ? INT32_MAX : capacity * 2;
    }
    int32_t *attributes =
        realloc(experiment->attributes, (size_t)capacity * sizeof *attributes);
    if (!attributes) {
        return join_no_memory(join);
    }
    for (int32_t i = experiment->attributes_capacity; i < capacity; i++) {
        attributes[i] = ID_NONE;
    }
    experiment->attributes = attributes;
    experiment->attributes_capacity = capacity;
    return 0;
}

int join_see_attributes(struct join *join, struct join_experiment *experiment,
                        int32_t user, int64_t first_ts_us, int64_t ts_us,
                        struct slice set)
{
    const bool is_room = user < experiment->attributes_capacity;
    if (ts_us > first_ts_us || (set.len == 0 && !is_room)) {
        return 0;
    }
    if (ts_us == first_ts_us &&
        slice_compare(set, join_attributes_of(join, experiment, user)) <= 0) {
        return 0;
    }
    if (!is_room && grow(join, experiment, user) != 0) {
        return -1;
    }
    int32_t at = ID_NONE;
    if (set.len > 0) {
        at = id_map_add(join->attribute_sets, set);
        if (at == ID_NONE) {
            return join_no_memory(join);
        }
    }
    experiment->attributes[user] = at;
    return 0;
}

int join_n_attribute_sets(const struct join *join)
{
    return id_map_count(join->attribute_sets);
}

bool join_attribute(const struct join *join, int set, struct slice name,
                    struct join_attribute *attribute)
{
    const struct slice text = id_map_id(join->attribute_sets, set);
    struct bytes from = {text.data, text.data + text.len, false};
    while (!from.failed && bytes_left(&from)) {
        struct join_attribute found = {0};
        const struct slice is = bytes_get_slice(&from);
        const uint64_t type = bytes_get(&from, 1);
        if (type == EVENT_ATTRIBUTE_STRING) {
            found.type = JOIN_ATTRIBUTE_STRING;
            found.text = bytes_get_slice(&from);
        } else {
            const uint64_t bits = bytes_get(&from, 8);
            found.type = type == EVENT_ATTRIBUTE_NUMBER ? JOIN_ATTRIBUTE_NUMBER
                                                        : JOIN_ATTRIBUTE_BOOLEAN;
            found.number = bits != 0;
            if (type == EVENT_ATTRIBUTE_NUMBER) {
                memcpy(&found.number, &bits, sizeof bits);
            }
        }
        if (!from.failed && slice_equal(is, name)) {
            *attribute = found;
            return true;
        }
    }
    return false;
}

void join_unit_attributes(const struct join *join, int experiment,
                          const struct unit_table *table, int *set)
{
    const int at = join->spec_experiment[experiment];
    for (int i = 0; i < table->n_units; i++) {
        const int32_t user =
            at == ID_NONE ? ID_NONE : id_map_find(join->users, table->id[i]);
        set[i] = user != ID_NONE && user < join->experiments[at].attributes_capacity
                     ? join->experiments[at].attributes[user]
                     : -1;
    }
}

static int damaged(struct join *join)
{
    return join_set_stale(join, "it is damaged");
}

int join_get_attribute_sets(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 8);
    for (size_t i = 0; i < n; i++) {
        const struct slice set = bytes_get_slice(from);
        if (from->failed) {
            return damaged(join);
        }
        const int32_t at = id_map_add(join->attribute_sets, set);
        if (at == ID_NONE) {
            return join_no_memory(join);
        }
        if ((size_t)at != i) {
            return damaged(join);
        }
    }
    return from->failed ? damaged(join) : 0;
}

int join_get_attributes(struct join *join, struct join_experiment *experiment,
                        struct bytes *from)
{
    const size_t n = bytes_get_count(from, 4);
    if (from->failed || n > (size_t)join->n_old_users) {
        return damaged(join);
    }
    experiment->attributes = n ? calloc(n, sizeof *experiment->attributes) : NULL;
    if (n && !experiment->attributes) {
        return join_no_memory(join);
    }
    experiment->attributes_capacity = (int32_t)n;
    for (size_t u = 0; u < n; u++) {
        experiment->attributes[u] = (int32_t)bytes_get(from, 4);
        if (experiment->attributes[u] < ID_NONE ||
            experiment->attributes[u] >= id_map_count(join->attribute_sets)) {
            return damaged(join);
        }
    }
    return 0;
}
