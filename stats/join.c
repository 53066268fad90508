#include "stats/join.h"

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

static int no_memory(struct join *join)
{
    error_set(join->error, ERROR_NOMEM, "%s: no memory to join its events by unit",
              join->path);
    return -1;
}

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

/* Index of the config called `hash`, added when it is new; -1 when memory ran out. */
static int config_index(struct join *join, struct slice hash)
{
    if (join->config_capacity &&
        slice_equal(join->configs[join->last_config].hash, hash)) {
        return join->last_config;
    }
    const int32_t at = id_map_add(join->config_hashes, hash);
    if (at == ID_NONE || at > INT16_MAX) {
        return no_memory(join);
    }
    if (at >= join->config_capacity) {
        const int capacity = join->config_capacity ? join->config_capacity * 2 : 8;
        struct join_config *configs =
            realloc(join->configs, (size_t)capacity * sizeof *configs);
        if (!configs) {
            return no_memory(join);
        }
        memset(configs + join->config_capacity, 0,
               (size_t)(capacity - join->config_capacity) * sizeof *configs);
        join->configs = configs;
        join->config_capacity = capacity;
    }
    struct join_config *config = &join->configs[at];
    if (!config->hash.data) {
        char *text = arena_text(&join->arena, hash);
        if (!text) {
            return no_memory(join);
        }
        config->hash = (struct slice){text, hash.len};
        config->first_ts_us = INT64_MAX;
        config->newest_ts_us = INT64_MIN;
    }
    join->last_config = at;
    return at;
}

static int read_config(struct join *join, const struct event *event)
{
    const int at = config_index(join, event->config);
    if (at < 0) {
        return -1;
    }
    struct join_config *config = &join->configs[at];
    if (!config->text.data) {
        char *text = arena_text(&join->arena, event->text);
        if (!text) {
            return no_memory(join);
        }
        config->text = (struct slice){text, event->text.len};
    }
    if (event->ts_us < config->first_ts_us) {
        config->first_ts_us = event->ts_us;
    }
    if (event->ts_us > config->newest_ts_us) {
        config->newest_ts_us = event->ts_us;
    }
    return 0;
}

/* Index of `name`, most often one of the first few. */
static int32_t find_among_few(const struct id_map *names, struct slice name)
{
    const int32_t n = id_map_count(names) < 4 ? id_map_count(names) : 4;
    for (int32_t i = 0; i < n; i++) {
        if (slice_equal(id_map_id(names, i), name)) {
            return i;
        }
    }
    return n < 4 ? ID_NONE : id_map_find(names, name);
}

static struct join_experiment *find_experiment(struct join *join, struct slice name)
{
    const int32_t found = find_among_few(join->experiment_names, name);
    if (found != ID_NONE) {
        return &join->experiments[found];
    }
    const int32_t at = id_map_add(join->experiment_names, name);
    if (at == ID_NONE) {
        return NULL;
    }
    if (at >= join->n_experiments) {
        struct join_experiment *grown =
            realloc(join->experiments, ((size_t)at + 1) * sizeof *grown);
        if (!grown) {
            return NULL;
        }
        join->experiments = grown;
        grown[at] = (struct join_experiment){.arms = id_map_new()};
        join->n_experiments = at + 1;
    }
    return &join->experiments[at];
}

static struct join_unit *find_unit(struct join_experiment *experiment, int32_t unit)
{
    if (unit >= experiment->capacity) {
        int32_t capacity = experiment->capacity ? experiment->capacity : 512;
        while (capacity <= unit) {
            capacity = capacity > INT32_MAX / 2 ? INT32_MAX : capacity * 2;
        }
        struct join_unit *units =
            realloc(experiment->units, (size_t)capacity * sizeof *units);
        if (!units) {
            return NULL;
        }
        for (int32_t i = experiment->capacity; i < capacity; i++) {
            units[i] =
                (struct join_unit){.first_ts_us = INT64_MAX, .arm = JOIN_ARM_NONE};
        }
        experiment->units = units;
        experiment->capacity = capacity;
    }
    return &experiment->units[unit];
}

static int read_assignment(struct join *join, int32_t user, int config, int64_t ts_us,
                           const struct event_assignment *assignment)
{
    struct join_experiment *experiment = find_experiment(join, assignment->experiment);
    if (!experiment || !experiment->arms) {
        return no_memory(join);
    }
    int32_t arm = find_among_few(experiment->arms, assignment->arm);
    if (arm == ID_NONE) {
        arm = id_map_add(experiment->arms, assignment->arm);
    }
    struct join_unit *unit = find_unit(experiment, user);
    if (arm == ID_NONE || arm > INT16_MAX || !unit) {
        return no_memory(join);
    }
    if (assignment->is_forced) {
        unit->arm = JOIN_ARM_FORCED; /* somebody's test by hand, and stays that */
    } else if (unit->arm == JOIN_ARM_FORCED) {
        return 0;
    } else if (unit->arm == JOIN_ARM_NONE) {
        unit->arm = (int16_t)arm;
    } else if (unit->arm != arm) {
        unit->arm = JOIN_ARM_CROSSOVER;
    }
    if (ts_us < unit->first_ts_us ||
        (ts_us == unit->first_ts_us &&
         slice_compare(join->configs[config].hash, join->configs[unit->config].hash) <
             0)) {
        unit->first_ts_us = ts_us;
        unit->config = (int16_t)config;
    }
    return 0;
}

static int read_exposure(struct join *join, const struct event *event)
{
    const int config = config_index(join, event->config);
    const int32_t user = id_map_add(join->users, event->user);
    if (config < 0 || user == ID_NONE) {
        return no_memory(join);
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
        return no_memory(join);
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
        return no_memory(join);
    }
    evidence->n_damage_listed++;
    return 0;
}

static int compare_configs(const void *a, const void *b)
{
    const struct join_config *x = *(const struct join_config *const *)a;
    const struct join_config *y = *(const struct join_config *const *)b;
    if (x->newest_ts_us != y->newest_ts_us) {
        return x->newest_ts_us > y->newest_ts_us ? -1 : 1;
    }
    return slice_compare(x->hash, y->hash);
}

static int order_configs(struct join *join)
{
    const int n = id_map_count(join->config_hashes);
    const struct join_config **sorted =
        arena_zeroed(&join->arena, (size_t)n, sizeof(const struct join_config *));
    join->config_order = arena_zeroed(&join->arena, (size_t)n, sizeof(int));
    if (!sorted || !join->config_order) {
        return no_memory(join);
    }
    for (int i = 0; i < n; i++) {
        sorted[i] = &join->configs[i];
    }
    qsort(sorted, (size_t)n, sizeof(const struct join_config *), compare_configs);
    for (int i = 0; i < n; i++) {
        join->config_order[i] = (int)(sorted[i] - join->configs);
    }
    return 0;
}

int join_open(const char *path, struct join **result, struct error *error)
{
    struct log_statistics statistics = {0};
    int rc = -1;
    struct join *join = calloc(1, sizeof *join);
    if (!join) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        return -1;
    }
    join->error = error;
    join->path = arena_text(&join->arena, slice_of(path));
    join->seen = id_seen_new();
    join->users = id_map_new();
    join->experiment_names = id_map_new();
    join->config_hashes = id_map_new();
    join->event_names = id_map_new();
    if (!join->path || !join->seen || !join->users || !join->experiment_names ||
        !join->config_hashes || !join->event_names) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto out;
    }

    const struct log_visitor visitor = {
        .on_event = first_reading, .on_damage = note_damage, .context = join};
    if (log_read(path, &visitor, &statistics, error) != 0 || order_configs(join) != 0) {
        goto out;
    }
    join->evidence.n_segments = statistics.n_segments;
    join->evidence.n_bytes = statistics.n_bytes;
    join->evidence.n_events = statistics.n_events;
    join->evidence.n_damaged = statistics.n_damaged;
    join->evidence.n_torn_tails = statistics.n_torn_tails;
    join->evidence.first_ts_us = INT64_MAX;
    join->evidence.last_ts_us = INT64_MIN;
    *result = join;
    join = NULL;
    rc = 0;

out:
    join_free(join);
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

/* ---- second reading: values ---- */

static int add_target(struct join *join, const char *event, struct join_target target,
                      int capacity)
{
    const int32_t at = id_map_add(join->event_names, slice_of(event));
    if (at == ID_NONE) {
        return no_memory(join);
    }
    struct join_targets *targets = &join->targets[at];
    if (!targets->items) {
        targets->items = arena_zeroed(&join->arena, (size_t)capacity, sizeof target);
        if (!targets->items) {
            return no_memory(join);
        }
    }
    targets->items[targets->n++] = target;
    return 0;
}

static int prepare_metrics(struct join *join, int index,
                           const struct analysis_experiment *spec, int n_targets)
{
    struct join_experiment *experiment = &join->experiments[index];
    const size_t n_units = (size_t)id_map_count(join->users);
    experiment->spec = spec;
    experiment->metrics =
        calloc((size_t)spec->n_metrics + 1, sizeof *experiment->metrics);
    if (!experiment->metrics) {
        return no_memory(join);
    }
    for (int m = 0; m < spec->n_metrics; m++) {
        const struct analysis_metric *metric = &spec->metrics[m];
        struct join_metric *to = &experiment->metrics[m];
        struct join_target target = {index, m, false};
        if (metric->kind != ANALYSIS_QUANTILE) {
            to->values = calloc(n_units + 1, sizeof *to->values);
            if (!to->values) {
                return no_memory(join);
            }
        }
        if (add_target(join, metric->event, target, n_targets) != 0) {
            return -1;
        }
        if (metric->denominator) {
            target.is_denominator = true;
            to->denominators = calloc(n_units + 1, sizeof *to->denominators);
            if (!to->denominators) {
                return no_memory(join);
            }
            if (add_target(join, metric->denominator, target, n_targets) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

static int prepare(struct join *join, const struct analysis_spec *spec)
{
    int n_targets = 0;
    const int32_t n_users = id_map_count(join->users);
    for (int e = 0; e < spec->n_experiments; e++) {
        n_targets += 2 * spec->experiments[e].n_metrics;
    }
    join->spec = spec;
    join->spec_experiment =
        arena_zeroed(&join->arena, (size_t)spec->n_experiments, sizeof(int));
    join->targets =
        arena_zeroed(&join->arena, (size_t)n_targets, sizeof *join->targets);
    join->user_hash = malloc(((size_t)n_users + 1) * sizeof *join->user_hash);
    join->repeats = arena_zeroed(&join->arena, (size_t)id_seen_n_repeated(join->seen),
                                 sizeof *join->repeats);
    if (!join->spec_experiment || !join->targets || !join->user_hash ||
        !join->repeats) {
        return no_memory(join);
    }
    for (int32_t u = 0; u < n_users; u++) {
        join->user_hash[u] = hash_slice(id_map_id(join->users, u));
    }
    for (int e = 0; e < spec->n_experiments; e++) {
        const struct analysis_experiment *experiment = &spec->experiments[e];
        const int at = id_map_find(join->experiment_names, slice_of(experiment->name));
        join->spec_experiment[e] = at;
        if (at == ID_NONE) {
            continue;
        }
        /* A unit index from a later exposure may be past the end of the array. */
        if (n_users > 0 && !find_unit(&join->experiments[at], n_users - 1)) {
            return no_memory(join);
        }
        if (prepare_metrics(join, at, experiment, n_targets) != 0) {
            return -1;
        }
    }
    join->target_exposure = id_map_find(join->event_names, slice_of("exposure"));
    join->target_latency =
        id_map_find(join->event_names, slice_of("exposure.latency_us"));
    join->target_items = id_map_find(join->event_names, slice_of("exposure.items"));
    return 0;
}

/* Keeps one value of a quantile metric, or drops it when its unit is not in the sample;
 * the sample shrinks by half whenever it outgrows its room. Which units stay depends on
 * their hashes and on the number of values only, so not on order. */
static int add_single(struct join *join, struct join_metric *metric, int32_t unit,
                      double value)
{
#define IN_SAMPLE(u)                                                                   \
    ((join->user_hash[u] >> 20 & ((1U << metric->sample_shift) - 1)) == 0)
    if (!IN_SAMPLE(unit)) {
        return 0;
    }
    if (metric->n_singles == metric->single_capacity) {
        const size_t capacity = metric->n_singles ? metric->n_singles * 2 : 1024;
        struct join_single *grown = realloc(metric->singles, capacity * sizeof *grown);
        if (!grown) {
            return no_memory(join);
        }
        metric->singles = grown;
        metric->single_capacity = capacity;
    }
    metric->singles[metric->n_singles++] = (struct join_single){unit, value};
    while (metric->n_singles > JOIN_MAX_VALUES && metric->sample_shift < 30) {
        metric->sample_shift++;
        size_t kept = 0;
        for (size_t i = 0; i < metric->n_singles; i++) {
            if (IN_SAMPLE(metric->singles[i].unit)) {
                metric->singles[kept++] = metric->singles[i];
            }
        }
        metric->n_singles = kept;
    }
#undef IN_SAMPLE
    return 0;
}

/* Adds `value` of an event at `ts_us` to one metric of one unit. */
static int add_value(struct join *join, const struct join_target *target, int32_t unit,
                     int64_t ts_us, double value)
{
    struct join_experiment *experiment = &join->experiments[target->experiment];
    const struct analysis_metric *spec = &experiment->spec->metrics[target->metric];
    struct join_metric *metric = &experiment->metrics[target->metric];
    struct join_unit *row = &experiment->units[unit];
    if (row->arm == JOIN_ARM_NONE) {
        return 0;
    }
    const int64_t delay_us = ts_us - row->first_ts_us;
    const bool is_early = delay_us < 0;
    if (!is_early && spec->window_us > 0 && delay_us >= spec->window_us) {
        experiment->n_late += !target->is_denominator;
        return 0;
    }
    experiment->n_early += is_early && !target->is_denominator;
    if (spec->kind == ANALYSIS_QUANTILE) {
        return is_early ? 0 : add_single(join, metric, unit, value);
    }
    if (spec->kind == ANALYSIS_PROPORTION && value == 0) {
        return 0;
    }
    const double amount =
        spec->kind == ANALYSIS_COUNT || spec->kind == ANALYSIS_PROPORTION ? 1 : value;
    if (target->is_denominator) {
        if (!is_early) {
            join->evidence.n_bad_values +=
                !exact_sum_add(&metric->denominators[unit], amount);
        }
        return 0;
    }
    struct join_value *at = &metric->values[unit];
    join->evidence.n_bad_values +=
        !exact_sum_add(is_early ? &at->before : &at->sum, amount);
    if (is_early) {
        at->has_before = true;
    } else {
        const int64_t day = delay_us / INT64_C(86400000000);
        at->days |= (uint32_t)1 << (day < UNIT_DAYS - 1 ? day : UNIT_DAYS - 1);
    }
    return 0;
}

static int add_to_targets(struct join *join, int at, int32_t unit, int64_t ts_us,
                          double value)
{
    if (at == ID_NONE) {
        return 0;
    }
    const struct join_targets *targets = &join->targets[at];
    for (int i = 0; i < targets->n; i++) {
        if (add_value(join, &targets->items[i], unit, ts_us, value) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Exposure metrics count in the experiments that the exposure belongs to only. */
static int count_exposure(struct join *join, const struct event *event, int32_t user)
{
    for (int i = 0; i < event->n_assignments; i++) {
        const int at =
            find_among_few(join->experiment_names, event->assignments[i].experiment);
        if (at != ID_NONE && join->experiments[at].spec) {
            join->experiments[at].units[user].n_exposures++;
        }
    }
    if (add_to_targets(join, join->target_exposure, user, event->ts_us, 1) != 0) {
        return -1;
    }
    if (event->latency_us >= 0 &&
        add_to_targets(join, join->target_latency, user, event->ts_us,
                       (double)event->latency_us) != 0) {
        return -1;
    }
    return event->model.len ? add_to_targets(join, join->target_items, user,
                                             event->ts_us, (double)event->n_items)
                            : 0; /* reported by a client: its list is not in the log */
}

/* `line` is the hash of the event's line. */
static int count_event(struct join *join, const struct event *event, uint64_t line)
{
    struct evidence *evidence = &join->evidence;
    evidence->fingerprint += line;
    if (event->ts_us < evidence->first_ts_us) {
        evidence->first_ts_us = event->ts_us;
    }
    if (event->ts_us > evidence->last_ts_us) {
        evidence->last_ts_us = event->ts_us;
    }
    const int32_t user = id_map_find(join->users, event->user);
    if (event->type == EVENT_EXPOSURE) {
        evidence->n_exposures++;
        return user == ID_NONE ? 0 : count_exposure(join, event, user);
    }
    evidence->n_feedback++;
    if (user == ID_NONE) {
        evidence->n_unexposed++;
        return 0;
    }
    int64_t first_us = INT64_MAX;
    for (int e = 0; e < join->n_experiments; e++) {
        if (join->experiments[e].spec) {
            struct join_unit *unit = &join->experiments[e].units[user];
            unit->n_feedback += event->ts_us >= unit->first_ts_us;
            first_us = unit->first_ts_us < first_us ? unit->first_ts_us : first_us;
        }
    }
    evidence->n_skewed +=
        event->request.len && first_us != INT64_MAX && event->ts_us < first_us;
    return add_to_targets(join, find_among_few(join->event_names, event->event), user,
                          event->ts_us, event->has_value ? event->value : 1);
}

static int copy_slice(struct join *join, struct slice *text)
{
    char *copy = arena_text(&join->arena, *text);
    if (!copy) {
        return no_memory(join);
    }
    text->data = copy;
    return 0;
}

static int copy_event(struct join *join, struct event *event)
{
    struct event_assignment *assignments =
        arena_zeroed(&join->arena, (size_t)event->n_assignments, sizeof *assignments);
    if (!assignments || copy_slice(join, &event->id) != 0 ||
        copy_slice(join, &event->user) != 0 || copy_slice(join, &event->event) != 0 ||
        copy_slice(join, &event->model) != 0 ||
        copy_slice(join, &event->request) != 0) {
        return no_memory(join);
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
    event->items = NULL; /* only their number is used */
    return 0;
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
    struct join *join = context;
    if (event->type == EVENT_CONFIG) {
        return 0;
    }
    const uint64_t line = hash_slice(event->place->text);
    const int32_t repeat = id_seen_repeated(join->seen, event->id);
    return repeat == ID_NONE ? count_event(join, event, line)
                             : keep_repeat(join, &join->repeats[repeat], event, line);
}

int join_measure(struct join *join, const struct analysis_spec *spec,
                 struct error *error)
{
    struct log_statistics statistics = {0};
    join->error = error;
    if (prepare(join, spec) != 0) {
        return -1;
    }
    const struct log_visitor visitor = {.on_event = second_reading, .context = join};
    if (log_read(join->path, &visitor, &statistics, error) != 0) {
        return -1;
    }
    for (int32_t i = 0; i < id_seen_n_repeated(join->seen); i++) {
        const struct join_repeat *repeat = &join->repeats[i];
        join->evidence.n_conflicts += repeat->is_conflict;
        if (repeat->is_set && count_event(join, &repeat->event, repeat->line) != 0) {
            return -1;
        }
    }
    if (join->evidence.last_ts_us == INT64_MIN) {
        join->evidence.first_ts_us = join->evidence.last_ts_us = 0;
    }
    return 0;
}

void join_free(struct join *join)
{
    if (!join) {
        return;
    }
    for (int e = 0; e < join->n_experiments; e++) {
        struct join_experiment *experiment = &join->experiments[e];
        for (int m = 0; experiment->metrics && m < experiment->spec->n_metrics; m++) {
            free(experiment->metrics[m].values);
            free(experiment->metrics[m].denominators);
            free(experiment->metrics[m].singles);
        }
        free(experiment->metrics);
        free(experiment->units);
        id_map_free(experiment->arms);
    }
    free(join->experiments);
    free(join->configs);
    free(join->user_hash);
    id_seen_free(join->seen);
    id_map_free(join->users);
    id_map_free(join->experiment_names);
    id_map_free(join->config_hashes);
    id_map_free(join->event_names);
    arena_free(&join->arena);
    free(join);
}
