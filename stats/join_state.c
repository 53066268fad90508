/* join_state.c - what the first reading gathers, and how two parts of it become one. */
#include "stats/join_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/join_extract.h"

int join_no_memory(struct join *join)
{
    error_set(&join->error, ERROR_NOMEM, "%s: no memory to join its events by unit",
              join->path ? join->path : "log");
    return -1;
}

int join_set_stale(struct join *join, const char *format, ...)
{
    char reason[256];
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    join->stale = arena_text(&join->arena, slice_of(reason));
    return join->stale ? -1 : join_no_memory(join);
}

struct join *join_new(const char *path)
{
    struct join *join = calloc(1, sizeof *join);
    if (!join) {
        return NULL;
    }
    pthread_mutex_init(&join->shared_lock, NULL);
    join->path = arena_text(&join->arena, slice_of(path));
    join->n_records_max = JOIN_MAX_VALUES;
    join->seen = id_seen_new();
    join->users = id_map_new();
    join->experiment_names = id_map_new();
    join->config_hashes = id_map_new();
    join->event_names = id_map_new();
    join->attribute_sets = id_map_new();
    join->evidence.first_ts_us = INT64_MAX;
    join->evidence.last_ts_us = INT64_MIN;
    if (!join->path || !join->seen || !join->users || !join->experiment_names ||
        !join->config_hashes || !join->event_names || !join->attribute_sets) {
        join_free(join);
        return NULL;
    }
    return join;
}

int join_config_index(struct join *join, struct slice hash)
{
    if (join->config_capacity &&
        slice_equal(join->configs[join->last_config].hash, hash)) {
        return join->last_config;
    }
    const int32_t at = id_map_add(join->config_hashes, hash);
    if (at == ID_NONE || at > INT16_MAX) {
        return join_no_memory(join);
    }
    if (at >= join->config_capacity) {
        const int capacity = join->config_capacity ? join->config_capacity * 2 : 8;
        struct join_config *configs =
            realloc(join->configs, (size_t)capacity * sizeof *configs);
        if (!configs) {
            return join_no_memory(join);
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
            return join_no_memory(join);
        }
        config->hash = (struct slice){text, hash.len};
        config->first_ts_us = INT64_MAX;
        config->newest_ts_us = INT64_MIN;
    }
    join->last_config = at;
    return at;
}

int32_t join_find_name(const struct id_map *names, struct slice name)
{
    const int32_t n = id_map_count(names) < 4 ? id_map_count(names) : 4;
    for (int32_t i = 0; i < n; i++) {
        if (slice_equal(id_map_id(names, i), name)) {
            return i;
        }
    }
    return n < 4 ? ID_NONE : id_map_find(names, name);
}

struct join_experiment *join_find_experiment(struct join *join, struct slice name)
{
    const int32_t found = join_find_name(join->experiment_names, name);
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

struct join_unit *join_find_unit(struct join_experiment *experiment, int32_t unit)
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

struct join_past *join_find_past(struct join *join, int32_t user)
{
    if (user >= join->past_capacity) {
        int32_t capacity = join->past_capacity ? join->past_capacity : 512;
        while (capacity <= user) {
            capacity = capacity > INT32_MAX / 2 ? INT32_MAX : capacity * 2;
        }
        struct join_past *past = realloc(join->past, (size_t)capacity * sizeof *past);
        if (!past) {
            return NULL;
        }
        for (int32_t i = join->past_capacity; i < capacity; i++) {
            past[i] = (struct join_past){.last_ts_us = INT64_MIN};
        }
        join->past = past;
        join->past_capacity = capacity;
    }
    return &join->past[user];
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

int join_order_configs(struct join *join)
{
    const int n = id_map_count(join->config_hashes);
    const struct join_config **sorted =
        arena_zeroed(&join->arena, (size_t)n, sizeof(const struct join_config *));
    join->config_order = arena_zeroed(&join->arena, (size_t)n, sizeof(int));
    if (!sorted || !join->config_order) {
        return join_no_memory(join);
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

void join_see_config(struct join_config *config, int64_t first_ts_us,
                     int64_t newest_ts_us)
{
    if (first_ts_us < config->first_ts_us) {
        config->first_ts_us = first_ts_us;
    }
    if (newest_ts_us > config->newest_ts_us) {
        config->newest_ts_us = newest_ts_us;
    }
}

static int compare_models(const struct analysis_model *model, struct slice name,
                          struct slice hash)
{
    const int by_name = slice_compare(slice_of(model->name), name);
    return by_name != 0 ? by_name : slice_compare(slice_of(model->hash), hash);
}

int join_see_model(struct join *join, struct join_config *config, struct slice name,
                   struct slice hash)
{
    const size_t n = (size_t)config->n_models;
    size_t at = 0;
    while (at < n && compare_models(&config->models[at], name, hash) < 0) {
        at++;
    }
    if (at < n && compare_models(&config->models[at], name, hash) == 0) {
        return 0;
    }
    /* A config has few models, and few files are replaced while it is in force. */
    struct analysis_model *models = arena_zeroed(&join->arena, n + 1, sizeof *models);
    const struct analysis_model model = {arena_text(&join->arena, name),
                                         arena_text(&join->arena, hash)};
    if (!models || !model.name || !model.hash) {
        return join_no_memory(join);
    }
    for (size_t i = 0; i < n; i++) {
        models[i + (i >= at)] = config->models[i];
    }
    models[at] = model;
    config->models = models;
    config->n_models++;
    return 0;
}

void join_see_unit(const struct join *join, struct join_unit *unit, int arm, int config,
                   int64_t ts_us)
{
    if (arm == JOIN_ARM_FORCED) {
        unit->arm = JOIN_ARM_FORCED; /* somebody's test by hand, and stays that */
    } else if (unit->arm == JOIN_ARM_NONE) {
        unit->arm = (int16_t)arm;
    } else if (unit->arm != JOIN_ARM_FORCED && unit->arm != arm) {
        unit->arm = JOIN_ARM_CROSSOVER;
    }
    if (ts_us < unit->first_ts_us ||
        (ts_us == unit->first_ts_us &&
         slice_compare(join->configs[config].hash, join->configs[unit->config].hash) <
             0)) {
        unit->first_ts_us = ts_us;
        unit->config = (int16_t)config;
    }
}

static int merge_configs(struct join *into, const struct join *from, int *config_of)
{
    for (int c = 0; c < id_map_count(from->config_hashes); c++) {
        const struct join_config *config = &from->configs[c];
        const int at = join_config_index(into, config->hash);
        if (at < 0) {
            return -1;
        }
        config_of[c] = at;
        struct join_config *to = &into->configs[at];
        if (!to->text.data && config->text.data) {
            char *text = arena_text(&into->arena, config->text);
            if (!text) {
                return join_no_memory(into);
            }
            to->text = (struct slice){text, config->text.len};
        }
        join_see_config(to, config->first_ts_us, config->newest_ts_us);
        for (int m = 0; m < config->n_models; m++) {
            if (join_see_model(into, to, slice_of(config->models[m].name),
                               slice_of(config->models[m].hash)) != 0) {
                return -1;
            }
        }
    }
    return 0;
}

/* A unit of the state `join` is seen again, or at last. What was counted of it stands
 * only if its first exposure is where it was, or behind all that is known of the unit.
 */
static int go_on(struct join *join, struct join_experiment *experiment,
                 struct join_unit *old, int32_t user, const struct join_unit *new)
{
    struct join_past *past = join_find_past(join, user);
    if (!past) {
        return join_no_memory(join);
    }
    if (old->arm != JOIN_ARM_NONE) {
        return new->first_ts_us >= old->first_ts_us
                   ? 0
                   : join_set_stale(join,
                                    "an exposure came in that is earlier than its "
                                    "unit's first one so far");
    }
    if (new->first_ts_us <= past->last_ts_us) {
        return join_set_stale(join, "a first exposure came in that is earlier than "
                                    "events of its unit that were counted");
    }
    experiment->n_early += old->n_early;
    old->n_early = 0;
    join->evidence.n_skewed += past->n_skewed;
    past->n_skewed = 0;
    for (int m = 0; m < experiment->n_metrics; m++) {
        if (experiment->metrics[m].values && user < join->n_old_users) {
            join->evidence.n_bad_values += experiment->metrics[m].values[user].n_bad;
            experiment->metrics[m].values[user].n_bad = 0;
        }
    }
    return 0;
}

static int merge_past(struct join *into, const struct join *from, int32_t n_users,
                      const int32_t *user_of)
{
    for (int32_t u = 0; u < n_users && u < from->past_capacity; u++) {
        struct join_past *past = join_find_past(into, user_of[u]);
        if (!past) {
            return join_no_memory(into);
        }
        past->is_exposed |= from->past[u].is_exposed;
    }
    return 0;
}

static int merge_experiment(struct join *into, const struct join *from, int index,
                            const int32_t *user_of, const int *config_of)
{
    const struct join_experiment *experiment = &from->experiments[index];
    struct join_experiment *to =
        join_find_experiment(into, id_map_id(from->experiment_names, index));
    const int n_arms = id_map_count(experiment->arms);
    int *arm_of = calloc((size_t)n_arms + 1, sizeof *arm_of);
    if (!to || !arm_of) {
        free(arm_of);
        return join_no_memory(into);
    }
    for (int a = 0; a < n_arms; a++) {
        arm_of[a] = id_map_add(to->arms, id_map_id(experiment->arms, a));
        if (arm_of[a] == ID_NONE) {
            free(arm_of);
            return join_no_memory(into);
        }
    }
    const int32_t n_units = experiment->capacity < id_map_count(from->users)
                                ? experiment->capacity
                                : id_map_count(from->users);
    for (int32_t u = 0; u < n_units; u++) {
        const struct join_unit *unit = &experiment->units[u];
        if (unit->arm == JOIN_ARM_NONE) {
            continue;
        }
        struct join_unit *at = join_find_unit(to, user_of[u]);
        if (!at) {
            free(arm_of);
            return join_no_memory(into);
        }
        if (into->spec_hash && go_on(into, to, at, user_of[u], unit) != 0) {
            free(arm_of);
            return -1;
        }
        if (join_see_attributes(into, to, user_of[u], at->first_ts_us,
                                unit->first_ts_us,
                                join_attributes_of(from, experiment, u)) != 0) {
            free(arm_of);
            return -1;
        }
        const bool had_arm = at->arm >= 0;
        join_see_unit(into, at, unit->arm >= 0 ? arm_of[unit->arm] : unit->arm,
                      config_of[unit->config], unit->first_ts_us);
        if (had_arm && at->arm < 0 && join_lists_are_thinned(&to->lists)) {
            free(arm_of);
            return join_set_stale(into, "a unit of which not all lists were kept was "
                                        "seen in a second arm");
        }
    }
    free(arm_of);
    return 0;
}

/* Takes user_of over, unless it fails. */
static int map_extract(struct join *into, const struct join *from, int32_t *user_of)
{
    const int n = from->n_experiments;
    int *experiment_of = calloc((size_t)n + 1, sizeof *experiment_of);
    int rc = experiment_of ? 0 : -1;
    for (int e = 0; e < n && rc == 0; e++) {
        experiment_of[e] =
            id_map_find(into->experiment_names, id_map_id(from->experiment_names, e));
    }
    if (rc == 0) {
        rc = join_extract_map(from->extract_part, user_of, experiment_of, n);
    }
    free(experiment_of);
    return rc == 0 ? 0 : join_no_memory(into);
}

int join_merge(struct join *into, const struct join *from)
{
    const int32_t n_users = id_map_count(from->users);
    int rc = -1;
    int32_t *user_of = calloc((size_t)n_users + 1, sizeof *user_of);
    int *config_of =
        calloc((size_t)id_map_count(from->config_hashes) + 1, sizeof *config_of);
    if (into->spec_hash && id_seen_meets_single(into->seen, from->seen)) {
        join_set_stale(into, "an event came in again that had been counted");
        goto out;
    }
    if (!user_of || !config_of || id_seen_merge(into->seen, from->seen) != 0) {
        join_no_memory(into);
        goto out;
    }
    for (int32_t u = 0; u < n_users; u++) {
        user_of[u] = id_map_add(into->users, id_map_id(from->users, u));
        if (user_of[u] == ID_NONE) {
            join_no_memory(into);
            goto out;
        }
    }
    if (merge_configs(into, from, config_of) != 0 ||
        merge_past(into, from, n_users, user_of) != 0) {
        goto out;
    }
    for (int e = 0; e < from->n_experiments; e++) {
        if (merge_experiment(into, from, e, user_of, config_of) != 0) {
            goto out;
        }
    }
    rc = from->extract_part ? map_extract(into, from, user_of) : 0;
    if (rc == 0 && from->extract_part) {
        user_of = NULL;
    }

out:
    free(user_of);
    free(config_of);
    return rc;
}

void join_free(struct join *join)
{
    if (!join) {
        return;
    }
    for (int e = 0; e < join->n_experiments; e++) {
        struct join_experiment *experiment = &join->experiments[e];
        for (int m = 0; experiment->metrics && m < experiment->n_metrics; m++) {
            free(experiment->metrics[m].counts);
            free(experiment->metrics[m].values);
            free(experiment->metrics[m].denominators);
            free(experiment->metrics[m].singles.records);
        }
        free(experiment->metrics);
        join_lists_free(&experiment->lists);
        free(experiment->units);
        free(experiment->unit_arms);
        free(experiment->attributes);
        id_map_free(experiment->arms);
    }
    free(join->marks);
    join_extract_free(join->extract);
    log_parts_free(&join->parts);
    free(join->extents);
    free(join->past);
    pthread_mutex_destroy(&join->shared_lock);
    free(join->experiments);
    free(join->configs);
    id_seen_free(join->seen);
    id_map_free(join->users);
    id_map_free(join->experiment_names);
    id_map_free(join->config_hashes);
    id_map_free(join->event_names);
    id_map_free(join->attribute_sets);
    buffer_free(&join->attribute_set);
    arena_free(&join->arena);
    free(join);
}
