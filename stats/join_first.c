/* join_first.c - the first reading: configs, which unit met which arm first, and ids.
 */
#include <string.h>

#include "common/hash.h"
#include "stats/join_extract.h"
#include "stats/join_state.h"

static int read_config(struct join *join, const struct event *event)
{
    const int at = join_config_index(join, event->config);
    if (at < 0) {
        return -1;
    }
    struct join_config *config = &join->configs[at];
    if (!config->text.data) {
        char *text = arena_text(&join->arena, event->text);
        if (!text) {
            return join_no_memory(join);
        }
        config->text = (struct slice){text, event->text.len};
    }
    join_see_config(config, event->ts_us, event->ts_us);
    for (int m = 0; m < event->n_models; m++) {
        if (join_see_model(join, config, event->models[m].name,
                           event->models[m].hash) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Index of the experiment and of its arm (or JOIN_ARM_FORCED). */
static int find_assignment(struct join *join, const struct event_assignment *assignment,
                           int32_t *experiment, int16_t *arm)
{
    const struct join_experiment *at =
        join_find_experiment(join, assignment->experiment);
    if (!at || !at->arms) {
        return join_no_memory(join);
    }
    int32_t index = join_find_name(at->arms, assignment->arm);
    if (index == ID_NONE) {
        index = id_map_add(at->arms, assignment->arm);
    }
    if (index == ID_NONE || index > INT16_MAX) {
        return join_no_memory(join);
    }
    *experiment = (int32_t)(at - join->experiments);
    *arm = assignment->is_forced ? JOIN_ARM_FORCED : (int16_t)index;
    return 0;
}

/* The arms of `user`, its index, and what was said of it. */
static int see_shape(struct join *join, const struct join_shape *shape, int32_t user,
                     int64_t ts_us, struct slice attributes)
{
    for (int i = 0; i < shape->n; i++) {
        struct join_experiment *experiment = &join->experiments[shape->experiment[i]];
        struct join_unit *unit = join_find_unit(experiment, user);
        if (!unit) {
            return join_no_memory(join);
        }
        if (join_see_attributes(join, experiment, user, unit->first_ts_us, ts_us,
                                attributes) != 0) {
            return -1;
        }
        join_see_unit(join, unit, shape->arm[i], shape->config, ts_us);
    }
    return 0;
}

/* Exposures outside of all experiments: of one without a name, so that feedback to them
 * is not taken for feedback to something that was not shown yet. */
static const struct event_assignment no_experiment = {{"", 0}, {"", 0}, 1, false};

/* Assignments [from, n) of an event, or the first JOIN_SHAPE_ARMS of them. */
static int make_shape(struct join *join, const struct event *event, int from,
                      struct join_shape *shape)
{
    const bool has_none = event->n_assignments == 0;
    const int left = has_none ? 1 : event->n_assignments - from;
    shape->number = 0;
    shape->config = join_config_index(join, event->config);
    shape->n = left < JOIN_SHAPE_ARMS ? left : JOIN_SHAPE_ARMS;
    if (shape->config < 0) {
        return -1;
    }
    for (int i = 0; i < shape->n; i++) {
        if (find_assignment(join,
                            has_none ? &no_experiment : &event->assignments[from + i],
                            &shape->experiment[i], &shape->arm[i]) != 0) {
            return -1;
        }
    }
    return 0;
}

static int keep_user(struct join *join, int32_t user, bool is_exposed)
{
    struct join_past *past = join->keeps_state ? join_find_past(join, user) : NULL;
    if (join->keeps_state && !past) {
        return join_no_memory(join);
    }
    if (past) {
        past->is_exposed |= is_exposed;
    }
    return 0;
}

/* All of the fact but its user and what its assignments are. */
static int make_fact(struct join *join, const struct event *event,
                     struct join_fact *fact)
{
    fact->is_exposure = event->type == EVENT_EXPOSURE;
    fact->is_rest = false;
    fact->has_request = event->request.len > 0;
    fact->ts_us = event->ts_us;
    fact->latency_us = event->latency_us;
    fact->value = event->has_value ? event->value : 1;
    fact->shape.n = 0;
    fact->targets = ID_NONE;
    if (join->extract_part) {
        fact->id = id_seen_last(join->seen);
        fact->segment = event->place->segment;
        fact->offset = event->place->offset;
        fact->line_len = (int32_t)event->place->text.len;
    }
    if (!fact->is_exposure && join->extract_part) {
        fact->targets = join_extract_name(join->extract_part, event->event);
        return fact->targets == ID_NONE ? join_no_memory(join) : 0;
    }
    return 0;
}

/* Only those are kept who were exposed, unless a state is: who else answered is looked
 * for once more when all exposures are known. */
static int find_user(struct join *join, struct join_fact *fact, struct slice id)
{
    const bool is_kept = fact->is_exposure || join->keeps_state;
    fact->user = is_kept ? id_map_add_hashed(join->users, id, fact->hash)
                         : id_map_find_hashed(join->users, id, fact->hash);
    return is_kept && fact->user == ID_NONE ? join_no_memory(join) : 0;
}

/* A fact whose user was looked up. */
static int see_fact(struct join *join, const struct join_fact *fact, struct slice id,
                    struct slice attributes)
{
    if (fact->user != ID_NONE &&
        (keep_user(join, fact->user, fact->is_exposure) != 0 ||
         see_shape(join, &fact->shape, fact->user, fact->ts_us, attributes) != 0)) {
        return -1;
    }
    return join->extract_part && join_extract_add(join->extract_part, fact, id) != 0
               ? join_no_memory(join)
               : 0;
}

/* An event that does not fit into a batch. */
static int read_large(struct join *join, const struct event *event)
{
    struct join_fact fact;
    struct slice attributes;
    if (join_first_end(join) != 0 || make_fact(join, event, &fact) != 0 ||
        join_encode_attributes(join, event, &attributes) != 0) {
        return -1;
    }
    fact.hash = hash_bytes(event->user.data, event->user.len);
    if (find_user(join, &fact, event->user) != 0) {
        return -1;
    }
    int from = 0;
    do {
        if (fact.is_exposure && make_shape(join, event, from, &fact.shape) != 0) {
            return -1;
        }
        if (see_fact(join, &fact, event->user, attributes) != 0) {
            return -1;
        }
        fact.is_rest = true;
        from += JOIN_SHAPE_ARMS;
    } while (from < event->n_assignments);
    join->attribute_set.len = 0;
    return 0;
}

int join_first_end(struct join *join)
{
    struct join_batch *batch = &join->batch;
    join_prefetch(join->users, batch);
    for (int i = 0; i < batch->n; i++) {
        struct join_fact *fact = &batch->facts[i];
        if (find_user(join, fact, join_fact_user(fact)) != 0) {
            return -1;
        }
        for (int e = 0; e < fact->shape.n; e++) {
            const struct join_experiment *at =
                &join->experiments[fact->shape.experiment[e]];
            if (fact->user < at->capacity) {
                __builtin_prefetch(&at->units[fact->user], 1);
            }
        }
    }
    for (int i = 0; i < batch->n; i++) {
        const struct join_fact *fact = &batch->facts[i];
        const struct slice said = {
            fact->attributes_len ? join->attribute_set.data + fact->attributes : "",
            fact->attributes_len};
        if (see_fact(join, fact, join_fact_user(fact), said) != 0) {
            return -1;
        }
    }
    batch->n = 0;
    join->attribute_set.len = 0;
    return 0;
}

/* An exposure, or feedback of a user to be kept or extracted. */
static int read_user(struct join *join, const struct event *event)
{
    if (event->user.len > JOIN_USER_MAX || event->n_assignments > JOIN_SHAPE_ARMS) {
        return read_large(join, event);
    }
    struct join_fact *fact = &join->batch.facts[join->batch.n];
    if (make_fact(join, event, fact) != 0) {
        return -1;
    }
    if (fact->is_exposure) {
        struct join_shape *shape = &join->shapes[event->shape % JOIN_SHAPES];
        if (event->shape == 0 || shape->number != event->shape) {
            if (make_shape(join, event, 0, shape) != 0) {
                return -1;
            }
            shape->number = event->shape;
        }
        fact->shape = *shape;
    }
    fact->attributes = fact->attributes_len = 0;
    if (event->n_attributes > 0) {
        struct slice said;
        fact->attributes = join->attribute_set.len;
        if (join_encode_attributes(join, event, &said) != 0) {
            return -1;
        }
        fact->attributes_len = said.len;
    }
    fact->hash = hash_bytes(event->user.data, event->user.len);
    id_map_prefetch(join->users, fact->hash);
    fact->user_len = event->user.len;
    if (event->user.len) {
        memcpy(fact->user_id, event->user.data, event->user.len);
    }
    return ++join->batch.n == JOIN_BATCH ? join_first_end(join) : 0;
}

int join_first_reading(void *context, const struct event *event)
{
    struct join *join = context;
    if (event->type == EVENT_CONFIG) {
        return read_config(join, event);
    }
    if (id_seen_add(join->seen, event->id) < 0) {
        return join_no_memory(join);
    }
    if (join->extract_part) {
        join_extract_add_line(join->extract_part, hash_bytes(event->place->text.data,
                                                             event->place->text.len));
    }
    return event->type == EVENT_EXPOSURE || join->keeps_state || join->extract_part
               ? read_user(join, event)
               : 0;
}
