/* join_values.c - which events feed which metrics, and what they add. */
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "stats/join_state.h"

uint64_t join_user_hash(const struct join *join, int32_t user)
{
    const struct slice id = id_map_id(join->users, user);
    return hash_bytes(id.data, id.len);
}

static int add_target(struct join *join, const char *event, struct join_target target,
                      int capacity)
{
    const int32_t at = id_map_add(join->event_names, slice_of(event));
    if (at == ID_NONE) {
        return join_no_memory(join);
    }
    struct join_targets *targets = &join->targets[at];
    if (!targets->items) {
        targets->items = arena_zeroed(&join->arena, (size_t)capacity, sizeof target);
        if (!targets->items) {
            return join_no_memory(join);
        }
    }
    targets->items[targets->n++] = target;
    return 0;
}

/* Makes *array of `size` bytes an element as long as the users are many; the elements
 * of the state, if there is one, stay. */
static int make_room(struct join *join, void *array, size_t size)
{
    char *old;
    memcpy(&old, array, sizeof old);
    const size_t n_old = old ? (size_t)join->n_old_users : 0;
    const size_t n = (size_t)id_map_count(join->users) + 1;
    char *grown = old ? realloc(old, n * size) : calloc(n, size);
    if (!grown) {
        return join_no_memory(join);
    }
    if (old) {
        memset(grown + n_old * size, 0, (n - n_old) * size);
    }
    memcpy(array, &grown, sizeof grown);
    return 0;
}

static int prepare_metric(struct join *join, const struct analysis_metric *metric,
                          struct join_metric *to)
{
    const bool is_counted =
        metric->kind == ANALYSIS_COUNT || metric->kind == ANALYSIS_PROPORTION;
    if ((to->counts && !is_counted) || (to->values && is_counted)) {
        return join_set_stale(join, "it is damaged");
    }
    if (metric->kind == ANALYSIS_QUANTILE) {
        return 0;
    }
    if (is_counted ? make_room(join, (void *)&to->counts, sizeof *to->counts) != 0
                   : make_room(join, (void *)&to->values, sizeof *to->values) != 0) {
        return -1;
    }
    return metric->denominator
               ? make_room(join, (void *)&to->denominators, sizeof *to->denominators)
               : 0;
}

static int prepare_metrics(struct join *join, int index,
                           const struct analysis_experiment *spec, int n_targets)
{
    struct join_experiment *experiment = &join->experiments[index];
    experiment->spec = spec;
    if (!experiment->metrics) {
        experiment->metrics =
            calloc((size_t)spec->n_metrics + 1, sizeof *experiment->metrics);
        experiment->n_metrics = experiment->metrics ? spec->n_metrics : 0;
    }
    if (!experiment->metrics) {
        return join_no_memory(join);
    }
    if (experiment->n_metrics != spec->n_metrics) {
        return join_set_stale(join, "it is damaged");
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        const struct analysis_metric *metric = &spec->metrics[m];
        struct join_target target = {.experiment = index, .metric = m};
        if (prepare_metric(join, metric, &experiment->metrics[m]) != 0 ||
            add_target(join, metric->event, target, n_targets) != 0) {
            return -1;
        }
        target.is_denominator = true;
        if (metric->denominator &&
            add_target(join, metric->denominator, target, n_targets) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Is `a` the longer window? 0 is one without an end. */
static bool is_longer(int64_t a_us, int64_t b_us)
{
    return b_us > 0 && (a_us <= 0 || a_us > b_us);
}

/* An event is early, whatever it feeds, and late when every window that it could count
 * in is over: each is counted once an experiment, by the first target and by the one
 * with the longest window. */
static void choose_tellers(struct join_targets *targets,
                           const struct analysis_experiment *spec, int index)
{
    struct join_target *first = NULL, *longest = NULL;
    for (int i = 0; i < targets->n; i++) {
        struct join_target *target = &targets->items[i];
        if (target->experiment != index) {
            continue;
        }
        if (!first) {
            first = longest = target;
        } else if (is_longer(spec->metrics[target->metric].window_us,
                             spec->metrics[longest->metric].window_us)) {
            longest = target;
        }
    }
    if (first) {
        first->tells_early = longest->tells_late = true;
    }
}

int32_t join_feedback_targets(const struct join *join, struct slice event)
{
    const int32_t at = join_find_name(join->event_names, event);
    return at == join->target_exposure || at == join->target_latency ||
                   at == join->target_items
               ? ID_NONE
               : at;
}

/* Only feedback: what the log itself says is never early. */
static void choose_all_tellers(struct join *join)
{
    const int32_t n_names = id_map_count(join->event_names);
    for (int32_t name = 0; name < n_names; name++) {
        const bool is_feedback =
            join_feedback_targets(join, id_map_id(join->event_names, name)) != ID_NONE;
        for (int e = 0; e < join->n_experiments && is_feedback; e++) {
            if (join->experiments[e].spec) {
                choose_tellers(&join->targets[name], join->experiments[e].spec, e);
            }
        }
    }
}

/* Index in the spec of each arm that exposures name, -1 where the config has none. */
static int map_arms(struct join *join, struct join_experiment *experiment)
{
    const struct analysis_experiment *spec = experiment->spec;
    const int n = id_map_count(experiment->arms);
    experiment->spec_arm =
        arena_zeroed(&join->arena, (size_t)n, sizeof *experiment->spec_arm);
    if (!experiment->spec_arm) {
        return join_no_memory(join);
    }
    for (int a = 0; a < n; a++) {
        experiment->spec_arm[a] = -1;
        for (int s = 0; s < spec->n_arms; s++) {
            if (slice_is(id_map_id(experiment->arms, a), spec->arms[s].name)) {
                experiment->spec_arm[a] = s;
            }
        }
    }
    return 0;
}

/* Of an experiment that nobody was exposed to a state keeps what came before, too. */
static int prepare_experiment(struct join *join, int index, int n_targets)
{
    const struct analysis_experiment *spec = &join->spec->experiments[index];
    const int32_t n_users = id_map_count(join->users);
    if (join->keeps_state && !join_find_experiment(join, slice_of(spec->name))) {
        return join_no_memory(join);
    }
    const int at = id_map_find(join->experiment_names, slice_of(spec->name));
    join->spec_experiment[index] = at;
    if (at == ID_NONE) {
        return 0;
    }
    if (!join->experiments[at].arms) {
        return join_no_memory(join);
    }
    /* A unit index from a later exposure may be past the end of the array. */
    if (n_users > 0 && !join_find_unit(&join->experiments[at], n_users - 1)) {
        return join_no_memory(join);
    }
    return prepare_metrics(join, at, spec, n_targets) == 0 &&
                   map_arms(join, &join->experiments[at]) == 0 &&
                   join_lists_take_back(join, &join->experiments[at]) == 0
               ? 0
               : -1;
}

int join_prepare(struct join *join, const struct analysis_spec *spec)
{
    int n_targets = 0;
    const int32_t n_users = id_map_count(join->users);
    for (int e = 0; e < spec->n_experiments; e++) {
        n_targets += 2 * spec->experiments[e].n_metrics;
    }
    join->spec = spec;
    if (join->spec_hash && join->spec_hash != join_spec_hash(spec, join->wants_items)) {
        return join_set_stale(join, "it was made for other experiments or metrics");
    }
    join->spec_experiment =
        arena_zeroed(&join->arena, (size_t)spec->n_experiments, sizeof(int));
    join->targets =
        arena_zeroed(&join->arena, (size_t)n_targets, sizeof *join->targets);
    join->marks = calloc((size_t)n_users + 1, sizeof *join->marks);
    if (!join->spec_experiment || !join->targets || !join->marks) {
        return join_no_memory(join);
    }
    for (int32_t u = 0; u < n_users; u++) {
        const uint64_t bits = join_user_hash(join, u) >> 20;
        join->marks[u].n_zeros = bits ? (unsigned char)__builtin_ctzll(bits) : 64;
    }
    for (int e = 0; e < spec->n_experiments; e++) {
        if (prepare_experiment(join, e, n_targets) != 0) {
            return -1;
        }
    }
    join->target_exposure = id_map_find(join->event_names, slice_of("exposure"));
    join->target_latency =
        id_map_find(join->event_names, slice_of("exposure.latency_us"));
    join->target_items = id_map_find(join->event_names, slice_of("exposure.items"));
    choose_all_tellers(join);
    return 0;
}

static uint32_t day_bit(int64_t delay_us)
{
    const int64_t day = delay_us / INT64_C(86400000000);
    return (uint32_t)1 << (day < UNIT_DAYS - 1 ? day : UNIT_DAYS - 1);
}

/* Adds `value` of an event at `ts_us` to one metric of one unit, which is held. */
static int add_value(struct join_worker *worker, const struct join_target *target,
                     int32_t unit, int64_t ts_us, double value)
{
    struct join *join = worker->join;
    struct join_experiment *experiment = &join->experiments[target->experiment];
    const struct analysis_metric *spec = &experiment->spec->metrics[target->metric];
    struct join_metric *metric = &experiment->metrics[target->metric];
    struct join_unit *row = &experiment->units[unit];
    struct join_tally *tally = &worker->tallies[target->experiment];
    const bool has_arm = row->arm != JOIN_ARM_NONE;
    if (!has_arm && !join->keeps_state) {
        return 0;
    }
    const int64_t delay_us = has_arm ? ts_us - row->first_ts_us : -1;
    const bool is_early = delay_us < 0;
    if (!is_early && spec->window_us > 0 && delay_us >= spec->window_us) {
        tally->n_late += target->tells_late;
        return 0;
    }
    if (is_early && target->tells_early) {
        tally->n_early += has_arm;
        row->n_early += !has_arm;
    }
    if (spec->kind == ANALYSIS_QUANTILE) {
        return is_early ? 0
                        : join_sample_put(join, &tally->singles[target->metric],
                                          &metric->singles,
                                          &(struct join_single){unit, value},
                                          sizeof(struct join_single));
    }
    if (metric->counts) {
        struct join_count *count = &metric->counts[unit];
        if (spec->kind == ANALYSIS_PROPORTION && value == 0) {
            return 0;
        }
        count->before += is_early;
        count->sum += !is_early;
        count->days |= is_early ? 0 : day_bit(delay_us);
        return 0;
    }
    if (target->is_denominator) {
        worker->evidence.n_bad_values +=
            !is_early && !exact_sum_add(&metric->denominators[unit], value);
        return 0;
    }
    struct join_value *at = &metric->values[unit];
    const bool is_bad = !exact_sum_add(is_early ? &at->before : &at->sum, value);
    worker->evidence.n_bad_values += is_bad && has_arm;
    at->n_bad += is_bad && !has_arm;
    at->has_before |= is_early;
    at->days |= is_early ? 0 : day_bit(delay_us);
    return 0;
}

int join_add_to_targets(struct join_worker *worker, int at, int32_t unit, int64_t ts_us,
                        double value)
{
    if (at == ID_NONE) {
        return 0;
    }
    const struct join_targets *targets = &worker->join->targets[at];
    for (int i = 0; i < targets->n; i++) {
        if (add_value(worker, &targets->items[i], unit, ts_us, value) != 0) {
            return -1;
        }
    }
    return 0;
}

void join_workers_free(struct join_worker *workers, const struct join *join,
                       int n_threads)
{
    for (int t = 0; workers && t < n_threads; t++) {
        struct join_tally *tallies = workers[t].tallies;
        for (int e = 0; tallies && e < join->n_experiments; e++) {
            const struct analysis_experiment *spec = join->experiments[e].spec;
            for (int m = 0; tallies[e].singles && m < spec->n_metrics; m++) {
                free(tallies[e].singles[m].records);
            }
            free(tallies[e].singles);
            join_lists_free(&tallies[e].lists);
        }
        free(tallies);
    }
    free(workers);
}

void join_worker_clear(struct join_worker *worker)
{
    worker->evidence =
        (struct evidence){.first_ts_us = INT64_MAX, .last_ts_us = INT64_MIN};
}

struct join_worker *join_workers_new(struct join *join, int n_threads)
{
    struct join_worker *workers = calloc((size_t)n_threads, sizeof *workers);
    for (int t = 0; workers && t < n_threads; t++) {
        struct join_tally *tallies =
            calloc((size_t)join->n_experiments + 1, sizeof *tallies);
        workers[t].join = join;
        join_worker_clear(&workers[t]);
        workers[t].tallies = tallies;
        bool is_short = !tallies;
        for (int e = 0; tallies && e < join->n_experiments; e++) {
            const struct analysis_experiment *spec = join->experiments[e].spec;
            if (spec) {
                tallies[e].singles =
                    calloc((size_t)spec->n_metrics + 1, sizeof *tallies[e].singles);
                is_short |= !tallies[e].singles;
            }
        }
        if (is_short) {
            join_workers_free(workers, join, n_threads);
            return NULL;
        }
    }
    return workers;
}
