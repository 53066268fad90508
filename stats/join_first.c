/* join_first.c - the first reading: configs, which unit met which arm first, and ids.
 */
#include <string.h>

#include "common/hash.h"
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

/* An event that does not fit into a batch, or says more than its user's arms. */
static int read_large(struct join *join, const struct event *event)
{
    struct join_shape shape;
    struct slice attributes;
    if (join_encode_attributes(join, event, &attributes) != 0) {
        return -1;
    }
    const int32_t user = id_map_add(join->users, event->user);
    if (user == ID_NONE) {
        return join_no_memory(join);
    }
    const bool is_exposure = event->type == EVENT_EXPOSURE;
    if (keep_user(join, user, is_exposure) != 0) {
        return -1;
    }
    int from = 0;
    while (is_exposure && (from == 0 || from < event->n_assignments)) {
        if (make_shape(join, event, from, &shape) != 0 ||
            see_shape(join, &shape, user, event->ts_us, attributes) != 0) {
            return -1;
        }
        from += JOIN_SHAPE_ARMS;
    }
    return 0;
}

int join_first_end(struct join *join)
{
    struct join_batch *batch = &join->batch;
    join_prefetch(join->users, batch);
    for (int i = 0; i < batch->n; i++) {
        struct join_fact *fact = &batch->facts[i];
        fact->user = id_map_add_hashed(join->users, join_fact_user(fact), fact->hash);
        if (fact->user == ID_NONE) {
            return join_no_memory(join);
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
        if (keep_user(join, fact->user, fact->is_exposure) != 0 ||
            see_shape(join, &fact->shape, fact->user, fact->ts_us,
                      (struct slice){"", 0}) != 0) {
            return -1;
        }
    }
    batch->n = 0;
    return 0;
}

/* An exposure, or feedback of a user to be kept. */
static int read_user(struct join *join, const struct event *event)
{
    const bool is_exposure = event->type == EVENT_EXPOSURE;
    if (event->user.len > JOIN_USER_MAX || event->n_assignments > JOIN_SHAPE_ARMS ||
        event->n_attributes > 0) {
        return read_large(join, event);
    }
    struct join_shape *shape = &join->shapes[event->shape % JOIN_SHAPES];
    if (is_exposure && (event->shape == 0 || shape->number != event->shape)) {
        if (make_shape(join, event, 0, shape) != 0) {
            return -1;
        }
        shape->number = event->shape;
    }
    struct join_fact *fact = &join->batch.facts[join->batch.n++];
    fact->hash = hash_bytes(event->user.data, event->user.len);
    id_map_prefetch(join->users, fact->hash);
    fact->is_exposure = is_exposure;
    fact->ts_us = event->ts_us;
    fact->shape.n = 0;
    if (is_exposure) {
        fact->shape = *shape;
    }
    fact->user_len = event->user.len;
    if (event->user.len) {
        memcpy(fact->user_id, event->user.data, event->user.len);
    }
    return join->batch.n == JOIN_BATCH ? join_first_end(join) : 0;
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
    return event->type == EVENT_EXPOSURE || join->keeps_state ? read_user(join, event)
                                                              : 0;
}
