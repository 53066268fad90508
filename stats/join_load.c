/* join_load.c - the state of a join back from its file, and what is new since.
 *
 * The checksum of the whole file is held first; every number is then still held against
 * what it counts, because a checksum does not say who wrote the file.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/pages.h"
#include "logs/logs.h"
#include "stats/join_file.h"
#include "stats/join_state.h"

#define DROP_SIZE (1 << 20)

static int damaged(struct join *join)
{
    return join_set_stale(join, "it is damaged");
}

static double get_double(struct bytes *from)
{
    const uint64_t bits = bytes_get(from, 8);
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static exact_sum get_sum(struct bytes *from)
{
    const uint64_t low = bytes_get(from, 8);
    const int64_t high = (int64_t)bytes_get(from, 8);
    return (exact_sum)high * ((exact_sum)1 << 64) + (exact_sum)low;
}

int join_get_text(struct join *join, struct bytes *from, struct slice *text)
{
    const struct slice found = bytes_get_slice(from);
    const char *copy = arena_text(&join->arena, found);
    *text = (struct slice){copy, found.len};
    return copy ? 0 : join_no_memory(join);
}

static int get_segments(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 45);
    join->parts.items = calloc(n + 1, sizeof *join->parts.items);
    join->extents = calloc(n + 1, sizeof *join->extents);
    if (!join->parts.items || !join->extents) {
        return join_no_memory(join);
    }
    join->parts.capacity = n + 1;
    for (size_t i = 0; i < n; i++) {
        struct log_extent *extent = &join->extents[i];
        const struct slice name = bytes_get_slice(from);
        join->parts.items[i].file = strndup(name.data, name.len);
        if (!join->parts.items[i].file) {
            return join_no_memory(join);
        }
        join->parts.n++;
        extent->end = (int64_t)bytes_get(from, 8);
        extent->torn = (int64_t)bytes_get(from, 8);
        extent->is_zst = bytes_get(from, 1) != 0;
        extent->file_size = (int64_t)bytes_get(from, 8);
        extent->written_us = (int64_t)bytes_get(from, 8);
        extent->checked_len = (uint32_t)bytes_get(from, 4);
        extent->checked_crc = (uint32_t)bytes_get(from, 4);
        if (extent->end < 0 || extent->torn < 0 || extent->end > INT64_MAX / 4 ||
            extent->torn > INT64_MAX / 4) {
            from->failed = true;
        }
    }
    return from->failed ? damaged(join) : 0;
}

static int get_evidence(struct join *join, struct bytes *from)
{
    struct evidence *evidence = &join->evidence;
    int64_t *const numbers[JOIN_FILE_NUMBERS - 1] = {
        &evidence->n_events,     &evidence->n_damaged,    &evidence->n_exposures,
        &evidence->n_feedback,   &evidence->n_duplicates, &evidence->n_skewed,
        &evidence->n_bad_values, &evidence->first_ts_us,  &evidence->last_ts_us};
    for (int i = 0; i < JOIN_FILE_NUMBERS - 1; i++) {
        *numbers[i] = (int64_t)bytes_get(from, 8);
    }
    evidence->fingerprint = bytes_get(from, 8);
    const size_t n = bytes_get_count(from, 32);
    if (n > EVIDENCE_MAX_DAMAGE) {
        return damaged(join);
    }
    for (size_t i = 0; i < n; i++) {
        struct evidence_damage *damage = &evidence->damage[i];
        struct slice file, reason;
        if (join_get_text(join, from, &file) != 0 ||
            join_get_text(join, from, &reason) != 0) {
            return -1;
        }
        damage->file = file.data;
        damage->reason = reason.data;
        damage->offset = (int64_t)bytes_get(from, 8);
        damage->size = (int64_t)bytes_get(from, 8);
        evidence->n_damage_listed++;
    }
    return from->failed ? damaged(join) : 0;
}

static int get_models(struct join *join, struct join_config *config, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 16);
    for (size_t m = 0; m < n; m++) {
        const struct slice name = bytes_get_slice(from);
        const struct slice hash = bytes_get_slice(from);
        if (from->failed) {
            return damaged(join);
        }
        if (join_see_model(join, config, name, hash) != 0) {
            return -1;
        }
    }
    return 0;
}

static int get_configs(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 41);
    for (size_t i = 0; i < n; i++) {
        const int at = join_config_index(join, bytes_get_slice(from));
        const bool has_text = bytes_get(from, 1) != 0;
        struct slice text;
        if (at < 0) {
            return -1;
        }
        if (from->failed || (size_t)at != i) {
            return damaged(join);
        }
        if (join_get_text(join, from, &text) != 0) {
            return -1;
        }
        if (has_text) {
            join->configs[at].text = text;
        }
        join->configs[at].first_ts_us = (int64_t)bytes_get(from, 8);
        join->configs[at].newest_ts_us = (int64_t)bytes_get(from, 8);
        if (get_models(join, &join->configs[at], from) != 0) {
            return -1;
        }
    }
    return from->failed ? damaged(join) : 0;
}

void join_drop_decoded(struct join *join, const struct bytes *from)
{
    if (join->is_state_mapped && from->at - join->state_kept >= DROP_SIZE) {
        pages_drop(join->state_kept, from->at);
        join->state_kept = from->at;
    }
}

static int get_users(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 25);
    for (size_t u = 0; u < n; u++) {
        const struct slice id = bytes_get_slice(from);
        if (from->failed) {
            return damaged(join);
        }
        const int32_t at = id_map_add(join->users, id);
        struct join_past *past = at == ID_NONE ? NULL : join_find_past(join, at);
        if (!past) {
            return join_no_memory(join);
        }
        if ((size_t)at != u) {
            return damaged(join);
        }
        past->last_ts_us = (int64_t)bytes_get(from, 8);
        past->n_unexposed = (uint32_t)bytes_get(from, 4);
        past->n_skewed = (uint32_t)bytes_get(from, 4);
        past->is_exposed = bytes_get(from, 1) != 0;
        join_drop_decoded(join, from);
    }
    join->n_old_users = (int32_t)n;
    return from->failed ? damaged(join) : 0;
}

static int get_units(struct join *join, struct join_experiment *experiment,
                     struct bytes *from)
{
    const size_t n = bytes_get_count(from, 24);
    const int n_arms = id_map_count(experiment->arms);
    const int n_configs = id_map_count(join->config_hashes);
    if (from->failed || n > (size_t)join->n_old_users) {
        return damaged(join);
    }
    if (n > 0 && !join_find_unit(experiment, (int32_t)n - 1)) {
        return join_no_memory(join);
    }
    for (size_t u = 0; u < n; u++) {
        struct join_unit *unit = &experiment->units[u];
        unit->first_ts_us = (int64_t)bytes_get(from, 8);
        unit->arm = (int16_t)bytes_get(from, 2);
        unit->config = (int16_t)bytes_get(from, 2);
        unit->n_exposures = (uint32_t)bytes_get(from, 4);
        unit->n_feedback = (uint32_t)bytes_get(from, 4);
        unit->n_early = (uint32_t)bytes_get(from, 4);
        const bool has_arm = unit->arm != JOIN_ARM_NONE;
        if (unit->arm < JOIN_ARM_FORCED || unit->arm >= n_arms || unit->config < 0 ||
            (has_arm && unit->config >= n_configs)) {
            return damaged(join);
        }
        join_drop_decoded(join, from);
    }
    return 0;
}

static void get_values(struct join *join, struct join_metric *metric, size_t n,
                       struct bytes *from)
{
    for (size_t u = 0; metric->counts && u < n; u++) {
        metric->counts[u].sum = (uint32_t)bytes_get(from, 4);
        metric->counts[u].before = (uint32_t)bytes_get(from, 4);
        metric->counts[u].days = (uint32_t)bytes_get(from, 4);
        join_drop_decoded(join, from);
    }
    for (size_t u = 0; metric->values && u < n; u++) {
        metric->values[u].sum = get_sum(from);
        metric->values[u].before = get_sum(from);
        metric->values[u].days = (uint32_t)bytes_get(from, 4);
        metric->values[u].n_bad = (uint32_t)bytes_get(from, 4);
        metric->values[u].has_before = bytes_get(from, 1) != 0;
        join_drop_decoded(join, from);
    }
    for (size_t u = 0; metric->denominators && u < n; u++) {
        metric->denominators[u] = get_sum(from);
    }
}

static int get_metric(struct join *join, struct join_metric *metric, struct bytes *from)
{
    const size_t n = (size_t)join->n_old_users;
    const uint64_t has = bytes_get(from, 1);
    const size_t size =
        (has & 1 ? 12U : 0U) + (has & 2 ? 41U : 0U) + (has & 4 ? 16U : 0U);
    if (from->failed || has > 7 || size * n > bytes_left(from)) {
        return damaged(join);
    }
    metric->counts = has & 1 ? calloc(n + 1, sizeof *metric->counts) : NULL;
    metric->values = has & 2 ? calloc(n + 1, sizeof *metric->values) : NULL;
    metric->denominators = has & 4 ? calloc(n + 1, sizeof *metric->denominators) : NULL;
    if ((has & 1 && !metric->counts) || (has & 2 && !metric->values) ||
        (has & 4 && !metric->denominators)) {
        return join_no_memory(join);
    }
    get_values(join, metric, n, from);
    return join_get_singles(join, &metric->singles, from);
}

static int get_experiment(struct join *join, size_t index, struct bytes *from)
{
    const struct slice name = bytes_get_slice(from);
    const size_t n_arms = bytes_get_count(from, 8);
    struct join_experiment *experiment = join_find_experiment(join, name);
    if (!experiment || !experiment->arms) {
        return join_no_memory(join);
    }
    if (from->failed || (size_t)(experiment - join->experiments) != index) {
        return damaged(join);
    }
    for (size_t a = 0; a < n_arms; a++) {
        const int32_t arm = id_map_add(experiment->arms, bytes_get_slice(from));
        if (arm == ID_NONE) {
            return join_no_memory(join);
        }
        if ((size_t)arm != a || arm > INT16_MAX) {
            return damaged(join);
        }
    }
    if (get_units(join, experiment, from) != 0 ||
        join_get_attributes(join, experiment, from) != 0) {
        return -1;
    }
    experiment->n_early = (int64_t)bytes_get(from, 8);
    experiment->n_late = (int64_t)bytes_get(from, 8);
    const size_t n_metrics = bytes_get_count(from, 10);
    if (n_metrics > INT16_MAX) {
        return damaged(join);
    }
    experiment->metrics =
        n_metrics ? calloc(n_metrics, sizeof *experiment->metrics) : NULL;
    if (n_metrics && !experiment->metrics) {
        return join_no_memory(join);
    }
    experiment->n_metrics = (int)n_metrics;
    for (size_t m = 0; m < n_metrics; m++) {
        if (get_metric(join, &experiment->metrics[m], from) != 0) {
            return -1;
        }
    }
    return join_get_lists(join, &experiment->lists, from);
}

static int get_experiments(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 82);
    for (size_t e = 0; e < n; e++) {
        if (get_experiment(join, e, from) != 0) {
            return -1;
        }
    }
    return from->failed ? damaged(join) : 0;
}

/* The list of an exposure; NULL unless lists are looked at. */
static int get_event_items(struct join *join, struct event *event, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 8);
    if (n != 0 && n != (size_t)event->n_items) {
        return damaged(join);
    }
    struct event_item *items =
        n > 0 ? arena_zeroed(&join->arena, n, sizeof *items) : NULL;
    if (n > 0 && !items) {
        return join_no_memory(join);
    }
    for (size_t i = 0; i < n; i++) {
        if (join_get_text(join, from, &items[i].id) != 0) {
            return -1;
        }
    }
    event->items = items;
    return 0;
}

static int get_event(struct join *join, struct event *event, struct bytes *from)
{
    const uint64_t type = bytes_get(from, 1);
    event->type = type == EVENT_EXPOSURE ? EVENT_EXPOSURE : EVENT_FEEDBACK;
    event->ts_us = (int64_t)bytes_get(from, 8);
    event->latency_us = (int64_t)bytes_get(from, 8);
    event->n_items = (int)(bytes_get(from, 4) & INT32_MAX);
    event->has_value = bytes_get(from, 1) != 0;
    event->value = get_double(from);
    if (join_get_text(join, from, &event->id) != 0 ||
        join_get_text(join, from, &event->user) != 0 ||
        join_get_text(join, from, &event->event) != 0 ||
        join_get_text(join, from, &event->model) != 0 ||
        join_get_text(join, from, &event->item) != 0 ||
        join_get_text(join, from, &event->request) != 0) {
        return -1;
    }
    if (get_event_items(join, event, from) != 0) {
        return -1;
    }
    const size_t n = bytes_get_count(from, 16);
    struct event_assignment *assignments =
        arena_zeroed(&join->arena, n, sizeof *assignments);
    if (!assignments) {
        return join_no_memory(join);
    }
    for (size_t i = 0; i < n; i++) {
        if (join_get_text(join, from, &assignments[i].experiment) != 0 ||
            join_get_text(join, from, &assignments[i].arm) != 0) {
            return -1;
        }
    }
    event->assignments = assignments;
    event->n_assignments = (int)n;
    return from->failed || id_map_find(join->users, event->user) == ID_NONE
               ? damaged(join)
               : 0;
}

static int get_repeats(struct join *join, struct bytes *from)
{
    const size_t n = bytes_get_count(from, 1);
    join->repeats = arena_zeroed(&join->arena, n, sizeof *join->repeats);
    if (!join->repeats) {
        return join_no_memory(join);
    }
    if (from->failed || n != (size_t)id_seen_n_repeated(join->seen)) {
        return damaged(join);
    }
    join->n_old_repeats = (int32_t)n;
    for (size_t i = 0; i < n; i++) {
        struct join_repeat *repeat = &join->repeats[i];
        const uint64_t is = bytes_get(from, 1);
        repeat->is_set = is & 1;
        repeat->is_conflict = is >> 1 & 1;
        if (repeat->is_set) {
            repeat->content = bytes_get(from, 8);
            repeat->line = bytes_get(from, 8);
            if (get_event(join, &repeat->event, from) != 0) {
                return -1;
            }
        }
    }
    return from->failed || bytes_left(from) ? damaged(join) : 0;
}

int join_decode(struct join *join, struct slice file)
{
    const size_t head = JOIN_FILE_MAGIC_LEN + 4 + 8;
    if (file.len < head + 4) {
        return damaged(join);
    }
    struct bytes from = {file.data + JOIN_FILE_MAGIC_LEN, file.data + file.len - 4,
                         false};
    struct bytes end = {from.end, from.end + 4, false};
    const uint64_t version = bytes_get(&from, 4);
    if (crc32c(0, file.data, file.len - 4) != bytes_get(&end, 4)) {
        return damaged(join);
    }
    if (version != JOIN_FILE_VERSION) {
        return join_set_stale(join, "it is of version %llu, this program's is %d",
                              (unsigned long long)version, JOIN_FILE_VERSION);
    }
    if (join->is_state_mapped) {
        pages_drop(file.data, file.data + file.len);
        join->state_kept = file.data;
    }
    join->spec_hash = bytes_get(&from, 8);
    if (join->spec_hash == 0) {
        return damaged(join);
    }
    if (get_segments(join, &from) != 0 || get_evidence(join, &from) != 0 ||
        get_configs(join, &from) != 0 || get_users(join, &from) != 0 ||
        join_get_attribute_sets(join, &from) != 0 ||
        get_experiments(join, &from) != 0) {
        return -1;
    }
    if (id_seen_load(join->seen, &from) != 0) {
        return from.failed ? damaged(join) : join_no_memory(join);
    }
    return get_repeats(join, &from);
}

/* Index among the segments of the state of what `file` is called, or -1. */
static int64_t find_segment(const struct log_parts *parts, struct slice name)
{
    for (size_t i = 0; i < parts->n; i++) {
        if (slice_equal(join_segment_name(parts->items[i].file), name)) {
            return (int64_t)i;
        }
    }
    return -1;
}

/* The segment that is `part` of the log now, from where it was read to. */
static int follow(struct join *join, struct log_part *part, struct log_extent *extent,
                  struct error *error)
{
    enum log_change change = LOG_CHANGED;
    const struct slice name = join_segment_name(part->file);
    if (log_extent_compare(part->file, extent, &change, error) != 0) {
        return -1;
    }
    if (change == LOG_CHANGED) {
        return join_set_stale(join, "segment %.*s is not any more what was read",
                              (int)name.len, name.data);
    }
    part->start = extent->end;
    join->carried_bytes += extent->end;
    if (change == LOG_UNCHANGED) {
        part->end = extent->end;
        extent->torn = extent->is_zst ? extent->torn : 0;
        join->carried_bytes += extent->torn;
        join->n_carried_torn += extent->torn > 0;
    }
    return 0;
}

/* Damage is told with the name that its segment has now. */
static int rename_damage(struct join *join, const struct log_parts *parts)
{
    for (int i = 0; i < join->evidence.n_damage_listed; i++) {
        struct evidence_damage *damage = &join->evidence.damage[i];
        const int64_t at = find_segment(parts, slice_of(damage->file));
        const char *file = at < 0 ? damage->file : parts->items[at].file;
        const char *slash = strrchr(file, '/');
        damage->file = arena_text(&join->arena, slice_of(slash ? slash + 1 : file));
        if (!damage->file) {
            return join_no_memory(join);
        }
    }
    return 0;
}

/* Takes `now` and `extents` over in place of what the state listed. */
static void take_parts(struct join *join, struct log_parts *now,
                       struct log_extent *extents)
{
    log_parts_free(&join->parts);
    free(join->extents);
    join->parts = *now;
    join->extents = extents;
    *now = (struct log_parts){0};
}

int join_find_new(struct join *join, struct error *error)
{
    struct log_parts now = {0};
    struct log_extent *extents = NULL;
    size_t n_found = 0;
    int rc = -1;
    if (log_parts_list(join->path, &now, error) != 0) {
        goto out;
    }
    extents = calloc(now.n + 1, sizeof *extents);
    if (!extents) {
        join_no_memory(join);
        goto out;
    }
    for (size_t i = 0; i < now.n; i++) {
        const int64_t at =
            find_segment(&join->parts, join_segment_name(now.items[i].file));
        if (at < 0) {
            continue;
        }
        n_found++;
        extents[i] = join->extents[at];
        if (follow(join, &now.items[i], &extents[i], error) != 0) {
            goto out;
        }
    }
    if (n_found < join->parts.n) {
        join_set_stale(join, "the log has lost %zu of the segments that were read",
                       join->parts.n - n_found);
        goto out;
    }
    if (rename_damage(join, &now) == 0) {
        take_parts(join, &now, extents);
        extents = NULL;
        rc = 0;
    }

out:
    free(extents);
    log_parts_free(&now);
    return rc;
}

static bool is_damage_before(const struct evidence_damage *a,
                             const struct evidence_damage *b)
{
    const int order = strcmp(a->file, b->file);
    return order ? order < 0 : a->offset < b->offset;
}

/* The first of both lists, which are in order of segment and place. */
static int merge_damage(struct join *into, const struct evidence *from)
{
    struct evidence *to = &into->evidence;
    for (int i = 0; i < from->n_damage_listed; i++) {
        struct evidence_damage damage = from->damage[i];
        int at = to->n_damage_listed;
        damage.file = arena_text(&into->arena, slice_of(damage.file));
        damage.reason = arena_text(&into->arena, slice_of(damage.reason));
        if (!damage.file || !damage.reason) {
            return join_no_memory(into);
        }
        while (at > 0 && is_damage_before(&damage, &to->damage[at - 1])) {
            at--;
        }
        if (at == EVIDENCE_MAX_DAMAGE) {
            continue;
        }
        const int last = to->n_damage_listed < EVIDENCE_MAX_DAMAGE
                             ? to->n_damage_listed++
                             : EVIDENCE_MAX_DAMAGE - 1;
        memmove(&to->damage[at + 1], &to->damage[at],
                (size_t)(last - at) * sizeof damage);
        to->damage[at] = damage;
    }
    return 0;
}

int join_continue(struct join *into, struct join *from)
{
    struct evidence *to = &into->evidence;
    const struct evidence *new = &from->evidence;
    if (join_merge(into, from) != 0 || merge_damage(into, new) != 0) {
        return -1;
    }
    to->n_segments = (int64_t)from->parts.n;
    to->n_bytes = into->carried_bytes + new->n_bytes;
    to->n_torn_tails = into->n_carried_torn + new->n_torn_tails;
    to->n_events += new->n_events;
    to->n_damaged += new->n_damaged;
    take_parts(into, &from->parts, from->extents);
    from->extents = NULL;
    into->n_threads = from->n_threads;
    return 0;
}
