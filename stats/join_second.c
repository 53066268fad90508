/* join_second.c - the second reading: the values of each unit's metrics. */
#include <sched.h>
#include <string.h>

#include "common/hash.h"
#include "stats/join_state.h"

static int worker_no_memory(struct join_worker *worker)
{
    error_set(&worker->error, ERROR_NOMEM, "%s: no memory for its values",
              worker->join->path);
    return -1;
}

/* Units are held for a few nanoseconds and seldom by two: a mutex each would take more
 * memory than the unit. */
static void hold(const struct join *join, int32_t user)
{
    for (int i = 1;
         join->n_threads > 1 &&
         atomic_exchange_explicit(&join->marks[user].is_busy, 1, memory_order_acquire);
         i++) {
        if (i % 64 == 0) {
            sched_yield(); /* whoever holds it may have lost its processor */
        }
    }
}

static void let_go(const struct join *join, int32_t user)
{
    if (join->n_threads > 1) {
        atomic_store_explicit(&join->marks[user].is_busy, 0, memory_order_release);
    }
}

static uint64_t hash_slice(struct slice text)
{
    return hash_bytes(text.data, text.len);
}

/* The arm that a unit counts in, by the spec; -1: it does not count. */
static int spec_arm(const struct join_experiment *experiment, int32_t unit)
{
    const int arm = experiment->units[unit].arm;
    return arm < 0 ? -1 : experiment->spec_arm[arm];
}

/* The list of one exposure, in the arm that the unit counts in. */
static int count_list(struct join_worker *worker, const struct join_fact *fact, int at)
{
    const struct event *event = fact->event;
    const int arm = spec_arm(&worker->join->experiments[at], fact->user);
    struct shown_item shown = {
        .unit = fact->user, .arm = (int16_t)arm, .request = hash_slice(event->id)};
    if (arm < 0) {
        return 0;
    }
    for (int i = 0; event->items && i < event->n_items && i <= INT16_MAX; i++) {
        shown.position = (int16_t)i;
        shown.item = hash_slice(event->items[i].id);
        if (join_list_item(worker, at, &shown, event->items[i].id) != 0) {
            return -1;
        }
    }
    return event->latency_us < 0
               ? 0
               : join_list_latency(worker, at, fact->user, event->latency_us);
}

/* Feedback to an item of a list, where the experiment says what a click is. Like all
 * feedback it counts from the first exposure on. */
static int count_answer(struct join_worker *worker, const struct join_fact *fact,
                        int at)
{
    const struct join_experiment *experiment = &worker->join->experiments[at];
    const struct event *event = fact->event;
    const int arm = spec_arm(experiment, fact->user);
    if (!experiment->spec->click || arm < 0 ||
        fact->ts_us < experiment->units[fact->user].first_ts_us ||
        event->request.len == 0 || event->item.len == 0 ||
        !slice_is(event->event, experiment->spec->click)) {
        return 0;
    }
    const struct shown_item answer = {fact->user, SHOWN_ANSWER, (int16_t)arm,
                                      hash_slice(event->request),
                                      hash_slice(event->item)};
    return join_list_item(worker, at, &answer, event->item);
}

static int count_exposure(struct join_worker *worker, const struct join_fact *fact)
{
    const struct join *join = worker->join;
    const int32_t user = fact->user;
    for (int i = 0; i < fact->shape.n; i++) {
        const int at = fact->shape.experiment[i];
        join->experiments[at].units[user].n_exposures++;
        if (fact->event && count_list(worker, fact, at) != 0) {
            return -1;
        }
    }
    if (fact->is_rest) {
        return 0;
    }
    if (join_add_to_targets(worker, join->target_exposure, user, fact->ts_us, 1) != 0) {
        return -1;
    }
    if (fact->latency_us >= 0 &&
        join_add_to_targets(worker, join->target_latency, user, fact->ts_us,
                            (double)fact->latency_us) != 0) {
        return -1;
    }
    return fact->has_list ? join_add_to_targets(worker, join->target_items, user,
                                                fact->ts_us, (double)fact->n_items)
                          : 0; /* reported by a client: its list is not in the log */
}

static int count_feedback(struct join_worker *worker, const struct join_fact *fact)
{
    const struct join *join = worker->join;
    int64_t first_us = INT64_MAX; /* of all experiments, and of none */
    for (int e = 0; e < join->n_experiments; e++) {
        const struct join_experiment *experiment = &join->experiments[e];
        if (fact->user >= experiment->capacity) {
            continue;
        }
        struct join_unit *unit = &experiment->units[fact->user];
        first_us = unit->first_ts_us < first_us ? unit->first_ts_us : first_us;
        if (experiment->spec) {
            unit->n_feedback += fact->ts_us >= unit->first_ts_us;
            if (fact->event && count_answer(worker, fact, e) != 0) {
                return -1;
            }
        }
    }
    if (first_us != INT64_MAX) {
        worker->evidence.n_skewed += fact->has_request && fact->ts_us < first_us;
    } else if (join->keeps_state) {
        join->past[fact->user].n_skewed += fact->has_request;
    }
    return join_add_to_targets(worker, fact->targets, fact->user, fact->ts_us,
                               fact->value);
}

static void keep_past(const struct join *join, const struct join_fact *fact)
{
    struct join_past *past = &join->past[fact->user];
    past->n_unexposed += !fact->is_exposure && !past->is_exposed;
    past->last_ts_us = fact->ts_us > past->last_ts_us ? fact->ts_us : past->last_ts_us;
}

int join_count_fact(struct join_worker *worker, const struct join_fact *fact)
{
    if (fact->user == ID_NONE) {
        worker->evidence.n_unexposed += !fact->is_exposure;
        return 0;
    }
    hold(worker->join, fact->user);
    if (worker->join->keeps_state) {
        keep_past(worker->join, fact);
    }
    const int rc =
        fact->is_exposure ? count_exposure(worker, fact) : count_feedback(worker, fact);
    let_go(worker->join, fact->user);
    return rc == 0 ? 0 : worker_no_memory(worker);
}

void join_prefetch(const struct id_map *users, struct join_batch *batch)
{
    for (int i = 0; i < batch->n; i++) {
        batch->facts[i].user = id_map_guess(users, batch->facts[i].hash);
    }
    for (int i = 0; i < batch->n; i++) {
        if (batch->facts[i].user != ID_NONE) {
            id_map_prefetch_id(users, batch->facts[i].user);
        }
    }
}

/* What the targets at index `at` (or ID_NONE) have of `user`. */
static void prefetch_targets(const struct join *join, int at, int32_t user)
{
    const int n = at == ID_NONE ? 0 : join->targets[at].n;
    for (int i = 0; i < n; i++) {
        const struct join_target *target = &join->targets[at].items[i];
        const struct join_metric *metric =
            &join->experiments[target->experiment].metrics[target->metric];
        if (metric->counts) {
            __builtin_prefetch(&metric->counts[user], 1);
        } else if (metric->values) {
            __builtin_prefetch(&metric->values[user], 1);
        }
    }
}

void join_prefetch_fact(const struct join *join, const struct join_fact *fact)
{
    const int32_t user = fact->user;
    if (user == ID_NONE) {
        return;
    }
    __builtin_prefetch(&join->marks[user], 1);
    for (int e = 0; e < join->n_experiments; e++) {
        const struct join_experiment *experiment = &join->experiments[e];
        if (experiment->spec) {
            __builtin_prefetch(&experiment->units[user], 1);
        }
    }
    if (fact->is_exposure) {
        prefetch_targets(join, join->target_exposure, user);
        prefetch_targets(join, join->target_latency, user);
    } else {
        prefetch_targets(join, fact->targets, user);
    }
}

int join_second_end(struct join_worker *worker)
{
    const struct join *join = worker->join;
    struct join_batch *batch = &worker->batch;
    join_prefetch(join->users, batch);
    for (int i = 0; i < batch->n; i++) {
        struct join_fact *fact = &batch->facts[i];
        fact->user = id_map_find_hashed(join->users, join_fact_user(fact), fact->hash);
        join_prefetch_fact(join, fact);
    }
    for (int i = 0; i < batch->n; i++) {
        if (join_count_fact(worker, &batch->facts[i]) != 0) {
            return -1;
        }
    }
    batch->n = 0;
    return 0;
}

/* Assignments [from, n) of an event to experiments that are asked for, or those of the
 * first JOIN_SHAPE_ARMS of them. */
static void make_shape(const struct join *join, const struct event *event, int from,
                       struct join_shape *shape)
{
    shape->number = 0;
    shape->n = 0;
    for (int i = from; i < event->n_assignments && i < from + JOIN_SHAPE_ARMS; i++) {
        const int at =
            join_find_name(join->experiment_names, event->assignments[i].experiment);
        if (at != ID_NONE && join->experiments[at].spec) {
            shape->experiment[shape->n++] = at;
        }
    }
}

/* All of the fact but its user's id and shape. */
static void make_fact(const struct join *join, const struct event *event,
                      struct join_fact *fact)
{
    fact->is_exposure = event->type == EVENT_EXPOSURE;
    fact->is_rest = false;
    fact->has_list = event->model.len > 0;
    fact->has_request = event->request.len > 0;
    fact->n_items = event->n_items;
    fact->event = join->wants_items ? event : NULL;
    fact->targets =
        fact->is_exposure ? ID_NONE : join_feedback_targets(join, event->event);
    fact->hash = hash_bytes(event->user.data, event->user.len);
    fact->ts_us = event->ts_us;
    fact->latency_us = event->latency_us;
    fact->value = event->has_value ? event->value : 1;
}

/* An event that does not fit into a batch. */
static int count_large(struct join_worker *worker, const struct event *event)
{
    const struct join *join = worker->join;
    struct join_fact fact;
    int from = 0;
    make_fact(join, event, &fact);
    fact.user = id_map_find_hashed(join->users, event->user, fact.hash);
    do {
        make_shape(join, event, from, &fact.shape);
        if (join_count_fact(worker, &fact) != 0) {
            return -1;
        }
        fact.is_rest = true;
        from += JOIN_SHAPE_ARMS;
    } while (from < event->n_assignments);
    return 0;
}

int join_count_event(struct join_worker *worker, const struct event *event,
                     uint64_t line)
{
    struct evidence *evidence = &worker->evidence;
    const bool is_exposure = event->type == EVENT_EXPOSURE;
    evidence->fingerprint += line;
    if (event->ts_us < evidence->first_ts_us) {
        evidence->first_ts_us = event->ts_us;
    }
    if (event->ts_us > evidence->last_ts_us) {
        evidence->last_ts_us = event->ts_us;
    }
    evidence->n_exposures += is_exposure;
    evidence->n_feedback += !is_exposure;
    if (event->user.len > JOIN_USER_MAX || event->n_assignments > JOIN_SHAPE_ARMS ||
        worker->join->wants_items) {
        return count_large(worker, event);
    }
    struct join_shape *shape = &worker->shapes[event->shape % JOIN_SHAPES];
    if (is_exposure && (event->shape == 0 || shape->number != event->shape)) {
        make_shape(worker->join, event, 0, shape);
        shape->number = event->shape;
    }
    struct join_fact *fact = &worker->batch.facts[worker->batch.n++];
    make_fact(worker->join, event, fact);
    id_map_prefetch(worker->join->users, fact->hash);
    fact->shape.n = 0;
    if (is_exposure) {
        fact->shape = *shape;
    }
    fact->user_len = event->user.len;
    if (event->user.len) {
        memcpy(fact->user_id, event->user.data, event->user.len);
    }
    return worker->batch.n == JOIN_BATCH ? join_second_end(worker) : 0;
}

int join_second_reading(void *context, const struct event *event)
{
    struct join_worker *worker = context;
    struct join *join = worker->join;
    if (event->type == EVENT_CONFIG) {
        return 0;
    }
    const uint64_t line = hash_bytes(event->place->text.data, event->place->text.len);
    const int32_t repeat = id_seen_repeated(join->seen, event->id);
    if (repeat == ID_NONE) {
        return join_count_event(worker, event, line);
    }
    pthread_mutex_lock(&join->shared_lock);
    const int rc = join_keep_repeat(join, &join->repeats[repeat], event, line);
    pthread_mutex_unlock(&join->shared_lock);
    return rc;
}
