#include "stats/join.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "logs/logs.h"
#include "stats/join_state.h"

/* The earliest of the events that share an id; ties by content, then by spelling. */
struct join_repeat {
    bool is_set, is_conflict;
    uint64_t content, line;
    struct event event; /* its slices and arrays are in the arena */
};

/* ---- first reading: configs, exposures, ids ---- */

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
    return 0;
}

static int read_assignment(struct join *join, int32_t user, int config, int64_t ts_us,
                           const struct event_assignment *assignment)
{
    struct join_experiment *experiment =
        join_find_experiment(join, assignment->experiment);
    if (!experiment || !experiment->arms) {
        return join_no_memory(join);
    }
    int32_t arm = join_find_name(experiment->arms, assignment->arm);
    if (arm == ID_NONE) {
        arm = id_map_add(experiment->arms, assignment->arm);
    }
    struct join_unit *unit = join_find_unit(experiment, user);
    if (arm == ID_NONE || arm > INT16_MAX || !unit) {
        return join_no_memory(join);
    }
    join_see_unit(join, unit, assignment->is_forced ? JOIN_ARM_FORCED : arm, config,
                  ts_us);
    return 0;
}

static int read_exposure(struct join *join, const struct event *event)
{
    const int config = join_config_index(join, event->config);
    const int32_t user = id_map_add(join->users, event->user);
    if (config < 0 || user == ID_NONE) {
        return join_no_memory(join);
    }
    for (int i = 0; i < event->n_assignments; i++) {
        if (read_assignment(join, user, config, event->ts_us, &event->assignments[i]) !=
            0) {
            return -1;
        }
    }
    return 0;
}

static int first_reading(void *context, const struct event *event)
{
    struct join *join = context;
    if (event->type == EVENT_CONFIG) {
        return read_config(join, event);
    }
    if (id_seen_add(join->seen, event->id) < 0) {
        return join_no_memory(join);
    }
    return event->type == EVENT_EXPOSURE ? read_exposure(join, event) : 0;
}

static int note_damage(void *context, const struct log_damage *damage)
{
    struct join *join = context;
    struct evidence *evidence = &join->evidence;
    if (evidence->n_damage_listed == EVIDENCE_MAX_DAMAGE) {
        return 0;
    }
    const char *slash = strrchr(damage->file, '/');
    const char *name = slash ? slash + 1 : damage->file;
    struct evidence_damage *at = &evidence->damage[evidence->n_damage_listed];
    at->file = arena_text(&join->arena, slice_of(name));
    at->reason = arena_text(&join->arena, slice_of(damage->reason));
    at->offset = damage->offset;
    at->size = damage->size;
    if (!at->file || !at->reason) {
        return join_no_memory(join);
    }
    evidence->n_damage_listed++;
    return 0;
}

/* ---- second reading: values ---- */

static int worker_no_memory(struct join_worker *worker)
{
    error_set(&worker->error, ERROR_NOMEM, "%s: no memory for its values",
              worker->join->path);
    return -1;
}

/* Exposure metrics count in the experiments that the exposure belongs to only. */
/* The list of one exposure, in the arm that the unit counts in. */
static int count_list(struct join_worker *worker, const struct event *event, int at,
                      int32_t user)
{
    struct shown_item shown = {.unit = user, .request = hash_slice(event->id)};
    if (worker->join->experiments[at].units[user].arm < 0) {
        return 0;
    }
    for (int i = 0; i < event->n_items && i <= INT16_MAX; i++) {
        shown.position = (int16_t)i;
        shown.item = hash_slice(event->items[i].id);
        if (join_list_item(worker, at, &shown, event->items[i].id) != 0) {
            return -1;
        }
    }
    return event->latency_us < 0
               ? 0
               : join_list_latency(worker, at, user, event->latency_us);
}

/* Feedback to an item of a list, where the experiment says what a click is. */
static int count_answer(struct join_worker *worker, const struct event *event, int at,
                        int32_t user)
{
    const struct join_experiment *experiment = &worker->join->experiments[at];
    if (!experiment->spec->click || experiment->units[user].arm < 0 ||
        event->request.len == 0 || event->item.len == 0 ||
        !slice_is(event->event, experiment->spec->click)) {
        return 0;
    }
    const struct shown_item answer = {user, SHOWN_ANSWER, hash_slice(event->request),
                                      hash_slice(event->item)};
    return join_list_item(worker, at, &answer, event->item);
}

static int count_exposure(struct join_worker *worker, const struct event *event,
                          int32_t user)
{
    const struct join *join = worker->join;
    for (int i = 0; i < event->n_assignments; i++) {
        const int at =
            join_find_name(join->experiment_names, event->assignments[i].experiment);
        if (at != ID_NONE && join->experiments[at].spec) {
            join->experiments[at].units[user].n_exposures++;
            if (join->wants_items && count_list(worker, event, at, user) != 0) {
                return -1;
            }
        }
    }
    if (join_add_to_targets(worker, join->target_exposure, user, event->ts_us, 1) !=
        0) {
        return -1;
    }
    if (event->latency_us >= 0 &&
        join_add_to_targets(worker, join->target_latency, user, event->ts_us,
                            (double)event->latency_us) != 0) {
        return -1;
    }
    return event->model.len ? join_add_to_targets(worker, join->target_items, user,
                                                  event->ts_us, (double)event->n_items)
                            : 0; /* reported by a client: its list is not in the log */
}

/* Feedback of a user who was exposed; the user's lock is held. */
static int count_feedback(struct join_worker *worker, const struct event *event,
                          int32_t user)
{
    const struct join *join = worker->join;
    int64_t first_us = INT64_MAX;
    for (int e = 0; e < join->n_experiments; e++) {
        if (join->experiments[e].spec) {
            struct join_unit *unit = &join->experiments[e].units[user];
            unit->n_feedback += event->ts_us >= unit->first_ts_us;
            first_us = unit->first_ts_us < first_us ? unit->first_ts_us : first_us;
            if (join->wants_items && count_answer(worker, event, e, user) != 0) {
                return -1;
            }
        }
    }
    worker->evidence.n_skewed +=
        event->request.len && first_us != INT64_MAX && event->ts_us < first_us;
    return join_add_to_targets(worker, join_find_name(join->event_names, event->event),
                               user, event->ts_us, event->has_value ? event->value : 1);
}

/* `line` is the hash of the event's line. */
static int count_event(struct join_worker *worker, const struct event *event,
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
    const int32_t user = id_map_find(worker->join->users, event->user);
    evidence->n_exposures += is_exposure;
    evidence->n_feedback += !is_exposure;
    if (user == ID_NONE) {
        evidence->n_unexposed += !is_exposure;
        return 0;
    }
    pthread_mutex_t *lock = &worker->join->locks[user % JOIN_LOCKS];
    pthread_mutex_lock(lock);
    const int rc = is_exposure ? count_exposure(worker, event, user)
                               : count_feedback(worker, event, user);
    pthread_mutex_unlock(lock);
    return rc == 0 ? 0 : worker_no_memory(worker);
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
    return copy_items(join, event);
}

/* Of events with one id the earliest counts, whichever is read first; ties by content.
 */
static int keep_repeat(struct join *join, struct join_repeat *repeat,
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

static int second_reading(void *context, const struct event *event)
{
    struct join_worker *worker = context;
    struct join *join = worker->join;
    if (event->type == EVENT_CONFIG) {
        return 0;
    }
    const uint64_t line = hash_slice(event->place->text);
    const int32_t repeat = id_seen_repeated(join->seen, event->id);
    if (repeat == ID_NONE) {
        return count_event(worker, event, line);
    }
    pthread_mutex_lock(&join->repeat_lock);
    const int rc = keep_repeat(join, &join->repeats[repeat], event, line);
    pthread_mutex_unlock(&join->repeat_lock);
    return rc;
}

/* ---- both readings by several threads ---- */

int join_open(const char *path, int n_threads, struct join **result,
              struct error *error)
{
    struct log_statistics statistics = {0};
    int rc = -1;
    struct join **parts = calloc((size_t)n_threads, sizeof(struct join *));
    struct log_visitor *visitors = calloc((size_t)n_threads, sizeof *visitors);
    error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
    if (n_threads < 1 || !parts || !visitors) {
        goto out;
    }
    for (int t = 0; t < n_threads; t++) {
        parts[t] = join_new(path);
        if (!parts[t]) {
            goto out;
        }
        visitors[t] = (struct log_visitor){.on_event = first_reading,
                                           .on_damage = note_damage,
                                           .skip = LOG_SKIP_ITEMS,
                                           .context = parts[t]};
    }
    if (log_read_parallel(path, visitors, n_threads, &statistics, error) != 0) {
        goto failed;
    }
    for (int t = 1; t < n_threads; t++) {
        if (join_merge(parts[0], parts[t]) != 0) {
            goto failed;
        }
        join_free(parts[t]);
        parts[t] = NULL;
    }
    if (join_order_configs(parts[0]) != 0) {
        goto failed;
    }
    parts[0]->n_threads = n_threads;
    parts[0]->evidence.n_segments = statistics.n_segments;
    parts[0]->evidence.n_bytes = statistics.n_bytes;
    parts[0]->evidence.n_events = statistics.n_events;
    parts[0]->evidence.n_damaged = statistics.n_damaged;
    parts[0]->evidence.n_torn_tails = statistics.n_torn_tails;
    *result = parts[0];
    parts[0] = NULL;
    rc = 0;
    goto out;

failed:
    for (int t = 0; t < n_threads; t++) {
        if (parts[t] && parts[t]->error.code != ERROR_NONE && error) {
            *error = parts[t]->error;
        }
    }

out:
    for (int t = 0; parts && t < n_threads; t++) {
        join_free(parts[t]);
    }
    free(parts);
    free(visitors);
    if (rc == 0 && error) {
        *error = (struct error){0};
    }
    return rc;
}

int join_n_configs(const struct join *join)
{
    return id_map_count(join->config_hashes);
}

const struct join_config *join_config(const struct join *join, int index)
{
    return &join->configs[join->config_order[index]];
}

const struct evidence *join_evidence(const struct join *join)
{
    return &join->evidence;
}

static void add_evidence(struct evidence *to, const struct evidence *from)
{
    to->n_exposures += from->n_exposures;
    to->n_feedback += from->n_feedback;
    to->n_unexposed += from->n_unexposed;
    to->n_skewed += from->n_skewed;
    to->n_bad_values += from->n_bad_values;
    to->fingerprint += from->fingerprint;
    if (from->first_ts_us < to->first_ts_us) {
        to->first_ts_us = from->first_ts_us;
    }
    if (from->last_ts_us > to->last_ts_us) {
        to->last_ts_us = from->last_ts_us;
    }
}

/* What the workers counted apart; their singles are freed. */
static int gather(struct join *join, struct join_worker *workers, int n_threads)
{
    for (int t = 0; t < n_threads; t++) {
        add_evidence(&join->evidence, &workers[t].evidence);
        for (int e = 0; e < join->n_experiments; e++) {
            struct join_experiment *experiment = &join->experiments[e];
            struct join_tally *tally = &workers[t].tallies[e];
            experiment->n_early += tally->n_early;
            experiment->n_late += tally->n_late;
            if (join_lists_merge(join, &experiment->lists, &tally->lists) != 0) {
                return join_no_memory(join);
            }
            for (int m = 0; experiment->spec && m < experiment->spec->n_metrics; m++) {
                if (join_sample_merge(join, &experiment->metrics[m].singles,
                                      &tally->singles[m],
                                      sizeof(struct join_single)) != 0) {
                    return join_no_memory(join);
                }
            }
        }
    }
    return 0;
}

/* Of ids that came more than once, the event that counts. */
static int count_repeats(struct join *join, struct join_worker *worker)
{
    for (int32_t i = 0; i < id_seen_n_repeated(join->seen); i++) {
        const struct join_repeat *repeat = &join->repeats[i];
        join->evidence.n_conflicts += repeat->is_conflict;
        if (repeat->is_set && count_event(worker, &repeat->event, repeat->line) != 0) {
            return -1;
        }
    }
    return 0;
}

static int read_values(struct join *join, struct join_worker *workers, int n_threads,
                       struct error *error)
{
    int rc = -1;
    struct log_visitor *visitors = calloc((size_t)n_threads, sizeof *visitors);
    if (!visitors) {
        return join_no_memory(join);
    }
    for (int t = 0; t < n_threads; t++) {
        visitors[t] = (struct log_visitor){.on_event = second_reading,
                                           .skip = join->target_items == ID_NONE &&
                                                           !join->wants_items
                                                       ? LOG_SKIP_ITEMS
                                                       : LOG_SKIP_SCORES,
                                           .context = &workers[t]};
    }
    if (log_read_parallel(join->path, visitors, n_threads, NULL, error) == 0 &&
        count_repeats(join, &workers[0]) == 0 &&
        gather(join, workers, n_threads) == 0) {
        rc = 0;
    }
    for (int t = 0; t < n_threads; t++) {
        if (workers[t].error.code != ERROR_NONE) {
            join->error = workers[t].error;
        }
    }
    free(visitors);
    return rc;
}

void join_want_items(struct join *join)
{
    join->wants_items = true;
}

int join_measure(struct join *join, const struct analysis_spec *spec,
                 struct error *error)
{
    struct error reading = {0};
    int rc = -1;
    join->repeats = arena_zeroed(&join->arena, (size_t)id_seen_n_repeated(join->seen),
                                 sizeof *join->repeats);
    struct join_worker *workers = NULL;
    if (join->repeats && join_prepare(join, spec) == 0) {
        workers = join_workers_new(join, join->n_threads);
    }
    if (workers) {
        rc = read_values(join, workers, join->n_threads, &reading);
    } else {
        join_no_memory(join);
    }
    join_workers_free(workers, join, join->n_threads);
    if (rc != 0 && error) {
        *error = join->error.code != ERROR_NONE ? join->error : reading;
    }
    if (join->evidence.last_ts_us == INT64_MIN) {
        join->evidence.first_ts_us = join->evidence.last_ts_us = 0;
    }
    return rc;
}
