/* join_save.c - the state of a join as a file; docs/formats.md has its bytes. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/bytes.h"
#include "common/crc32c.h"
#include "common/file.h"
#include "common/hash.h"
#include "logs/logs.h"
#include "stats/join_file.h"
#include "stats/join_state.h"

static void put_text(struct buffer *to, const char *text)
{
    bytes_put_slice(to, slice_of(text ? text : ""));
}

static void put_double(struct buffer *to, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    bytes_put(to, bits, 8);
}

static void put_sum(struct buffer *to, exact_sum sum)
{
    bytes_put(to, (uint64_t)sum, 8);
    bytes_put(to, (uint64_t)(sum >> 64), 8);
}

/* Lists are counted by arm, in the order of the spec. */
static void put_list_spec(const struct analysis_experiment *experiment,
                          struct buffer *to)
{
    put_text(to, experiment->click);
    bytes_put(to, (uint64_t)experiment->n_arms, 8);
    for (int a = 0; a < experiment->n_arms; a++) {
        put_text(to, experiment->arms[a].name);
    }
}

uint64_t join_spec_hash(const struct analysis_spec *spec, bool wants_items)
{
    struct buffer text = {0};
    for (int e = 0; e < spec->n_experiments; e++) {
        const struct analysis_experiment *experiment = &spec->experiments[e];
        put_text(&text, experiment->name);
        bytes_put(&text, (uint64_t)experiment->n_metrics, 8);
        for (int m = 0; m < experiment->n_metrics; m++) {
            const struct analysis_metric *metric = &experiment->metrics[m];
            bytes_put(&text, (uint64_t)metric->kind, 8);
            put_text(&text, metric->event);
            put_text(&text, metric->denominator);
            bytes_put(&text, (uint64_t)metric->window_us, 8);
        }
        if (wants_items) {
            put_list_spec(experiment, &text);
        }
    }
    const uint64_t hash = text.failed ? 0 : hash_bytes(text.data, text.len);
    buffer_free(&text);
    return hash;
}

static void put_segments(const struct join *join, struct buffer *to)
{
    bytes_put(to, join->parts.n, 8);
    for (size_t i = 0; i < join->parts.n; i++) {
        const struct log_extent *extent = &join->extents[i];
        bytes_put_slice(to, join_segment_name(join->parts.items[i].file));
        bytes_put(to, (uint64_t)extent->end, 8);
        bytes_put(to, (uint64_t)extent->torn, 8);
        bytes_put(to, extent->is_zst, 1);
        bytes_put(to, (uint64_t)extent->file_size, 8);
        bytes_put(to, (uint64_t)extent->written_us, 8);
        bytes_put(to, extent->checked_len, 4);
        bytes_put(to, extent->checked_crc, 4);
    }
}

static void put_evidence(const struct evidence *evidence, struct buffer *to)
{
    const int64_t numbers[JOIN_FILE_NUMBERS] = {
        evidence->n_events,     evidence->n_damaged,
        evidence->n_exposures,  evidence->n_feedback,
        evidence->n_duplicates, evidence->n_skewed,
        evidence->n_bad_values, evidence->first_ts_us,
        evidence->last_ts_us,   (int64_t)evidence->fingerprint};
    for (int i = 0; i < JOIN_FILE_NUMBERS; i++) {
        bytes_put(to, (uint64_t)numbers[i], 8);
    }
    bytes_put(to, (uint64_t)evidence->n_damage_listed, 8);
    for (int i = 0; i < evidence->n_damage_listed; i++) {
        const struct evidence_damage *damage = &evidence->damage[i];
        bytes_put_slice(to, join_segment_name(damage->file));
        put_text(to, damage->reason);
        bytes_put(to, (uint64_t)damage->offset, 8);
        bytes_put(to, (uint64_t)damage->size, 8);
    }
}

static void put_configs(const struct join *join, struct buffer *to)
{
    const int n = id_map_count(join->config_hashes);
    bytes_put(to, (uint64_t)n, 8);
    for (int i = 0; i < n; i++) {
        const struct join_config *config = &join->configs[i];
        bytes_put_slice(to, config->hash);
        bytes_put(to, config->text.data != NULL, 1);
        bytes_put_slice(to, config->text);
        bytes_put(to, (uint64_t)config->first_ts_us, 8);
        bytes_put(to, (uint64_t)config->newest_ts_us, 8);
        bytes_put(to, (uint64_t)config->n_models, 8);
        for (int m = 0; m < config->n_models; m++) {
            put_text(to, config->models[m].name);
            put_text(to, config->models[m].hash);
        }
    }
}

static void put_users(const struct join *join, struct buffer *to)
{
    const int32_t n = id_map_count(join->users);
    bytes_put(to, (uint64_t)n, 8);
    for (int32_t u = 0; u < n; u++) {
        const struct join_past *past = &join->past[u];
        bytes_put_slice(to, id_map_id(join->users, u));
        bytes_put(to, (uint64_t)past->last_ts_us, 8);
        bytes_put(to, past->n_unexposed, 4);
        bytes_put(to, past->n_skewed, 4);
        bytes_put(to, past->is_exposed, 1);
    }
}

static void put_attribute_sets(const struct join *join, struct buffer *to)
{
    const int32_t n = id_map_count(join->attribute_sets);
    bytes_put(to, (uint64_t)n, 8);
    for (int32_t i = 0; i < n; i++) {
        bytes_put_slice(to, id_map_id(join->attribute_sets, i));
    }
}

static void put_attributes(const struct join_experiment *experiment, int32_t n_users,
                           struct buffer *to)
{
    const int32_t n = experiment->attributes_capacity < n_users
                          ? experiment->attributes_capacity
                          : n_users;
    bytes_put(to, (uint64_t)n, 8);
    for (int32_t u = 0; u < n; u++) {
        bytes_put(to, (uint32_t)experiment->attributes[u], 4);
    }
}

static void put_units(const struct join_experiment *experiment, int32_t n_users,
                      struct buffer *to)
{
    const int32_t n = experiment->capacity < n_users ? experiment->capacity : n_users;
    bytes_put(to, (uint64_t)n, 8);
    for (int32_t u = 0; u < n; u++) {
        const struct join_unit *unit = &experiment->units[u];
        bytes_put(to, (uint64_t)unit->first_ts_us, 8);
        bytes_put(to, (uint16_t)unit->arm, 2);
        bytes_put(to, (uint16_t)unit->config, 2);
        bytes_put(to, unit->n_exposures, 4);
        bytes_put(to, unit->n_feedback, 4);
        bytes_put(to, unit->n_early, 4);
    }
}

static void put_metric(const struct join_metric *metric, int32_t n_users,
                       struct buffer *to)
{
    bytes_put(to,
              (metric->counts != NULL) | (metric->values != NULL) << 1 |
                  (metric->denominators != NULL) << 2,
              1);
    for (int32_t u = 0; metric->counts && u < n_users; u++) {
        bytes_put(to, metric->counts[u].sum, 4);
        bytes_put(to, metric->counts[u].before, 4);
        bytes_put(to, metric->counts[u].days, 4);
    }
    for (int32_t u = 0; metric->values && u < n_users; u++) {
        put_sum(to, metric->values[u].sum);
        put_sum(to, metric->values[u].before);
        bytes_put(to, metric->values[u].days, 4);
        bytes_put(to, metric->values[u].n_bad, 4);
        bytes_put(to, metric->values[u].has_before, 1);
    }
    for (int32_t u = 0; metric->denominators && u < n_users; u++) {
        put_sum(to, metric->denominators[u]);
    }
    join_put_singles(&metric->singles, to);
}

static void put_experiments(const struct join *join, struct buffer *to)
{
    const int32_t n_users = id_map_count(join->users);
    bytes_put(to, (uint64_t)join->n_experiments, 8);
    for (int e = 0; e < join->n_experiments; e++) {
        const struct join_experiment *experiment = &join->experiments[e];
        const int n_arms = id_map_count(experiment->arms);
        bytes_put_slice(to, id_map_id(join->experiment_names, e));
        bytes_put(to, (uint64_t)n_arms, 8);
        for (int a = 0; a < n_arms; a++) {
            bytes_put_slice(to, id_map_id(experiment->arms, a));
        }
        put_units(experiment, n_users, to);
        put_attributes(experiment, n_users, to);
        bytes_put(to, (uint64_t)experiment->n_early, 8);
        bytes_put(to, (uint64_t)experiment->n_late, 8);
        const int n_metrics = experiment->spec ? experiment->n_metrics : 0;
        bytes_put(to, (uint64_t)n_metrics, 8);
        for (int m = 0; m < n_metrics; m++) {
            put_metric(&experiment->metrics[m], n_users, to);
        }
        join_put_lists(&experiment->lists, to);
    }
}

static void put_event(const struct event *event, bool has_items, struct buffer *to)
{
    const int n_items = has_items && event->items ? event->n_items : 0;
    bytes_put(to, (uint64_t)event->type, 1);
    bytes_put(to, (uint64_t)event->ts_us, 8);
    bytes_put(to, (uint64_t)event->latency_us, 8);
    bytes_put(to, (uint64_t)event->n_items, 4);
    bytes_put(to, event->has_value, 1);
    put_double(to, event->value);
    bytes_put_slice(to, event->id);
    bytes_put_slice(to, event->user);
    bytes_put_slice(to, event->event);
    bytes_put_slice(to, event->model);
    bytes_put_slice(to, event->item);
    bytes_put_slice(to, event->request);
    bytes_put(to, (uint64_t)n_items, 8);
    for (int i = 0; i < n_items; i++) {
        bytes_put_slice(to, event->items[i].id);
    }
    bytes_put(to, (uint64_t)event->n_assignments, 8);
    for (int i = 0; i < event->n_assignments; i++) {
        bytes_put_slice(to, event->assignments[i].experiment);
        bytes_put_slice(to, event->assignments[i].arm);
    }
}

static void put_repeats(const struct join *join, struct buffer *to)
{
    const int32_t n = id_seen_n_repeated(join->seen);
    bytes_put(to, (uint64_t)n, 8);
    for (int32_t i = 0; i < n; i++) {
        const struct join_repeat *repeat = &join->repeats[i];
        bytes_put(to, (uint64_t)repeat->is_set | (uint64_t)repeat->is_conflict << 1, 1);
        if (repeat->is_set) {
            bytes_put(to, repeat->content, 8);
            bytes_put(to, repeat->line, 8);
            put_event(&repeat->event, join->wants_items, to);
        }
    }
}

int join_encode(const struct join *join, struct buffer *to)
{
    buffer_append(to, JOIN_FILE_MAGIC, JOIN_FILE_MAGIC_LEN);
    bytes_put(to, JOIN_FILE_VERSION, 4);
    const uint64_t spec_hash = join_spec_hash(join->spec, join->wants_items);
    bytes_put(to, spec_hash, 8);
    put_segments(join, to);
    put_evidence(&join->evidence, to);
    put_configs(join, to);
    put_users(join, to);
    put_attribute_sets(join, to);
    put_experiments(join, to);
    id_seen_save(join->seen, to);
    put_repeats(join, to);
    return to->failed || spec_hash == 0 ? -1 : 0; /* 0: no memory */
}

/* How far each segment was read, and what stands there. One that was compressed since
 * is now under its other name. */
static int take_extents(struct join *join, struct error *error)
{
    for (size_t i = 0; i < join->parts.n; i++) {
        struct log_part *part = &join->parts.items[i];
        struct log_extent *extent = &join->extents[i];
        struct error first = {0};
        int rc = log_extent_take(part->file, part->end, extent->torn, extent, &first);
        if (rc != 0 && first.code == ERROR_NOT_FOUND) {
            const char *name =
                arena_printf(&join->arena, "%s" JOIN_FILE_ZST, part->file);
            if (!name) {
                return join_no_memory(join);
            }
            rc = log_extent_take(name, part->end, extent->torn, extent, error);
        } else if (rc != 0 && error) {
            *error = first;
        }
        if (rc != 0) {
            return -1;
        }
    }
    return 0;
}

/* The file on its way: no more than some pages of it stand in memory at a time. */
struct state_file {
    struct buffer bytes; /* the first member: spill() is given it */
    const struct join *join;
    int fd, errnum; /* of the write that failed, or 0 */
    bool is_short;  /* of memory */
    uint32_t crc;
};

static int spill(struct buffer *bytes)
{
    struct state_file *file = (struct state_file *)bytes;
    file->crc = crc32c(file->crc, bytes->data, bytes->len);
    if (file_write(file->fd, buffer_slice(bytes)) != 0) {
        file->errnum = errno;
        return -1;
    }
    bytes->len = 0;
    return 0;
}

static int write_state(void *context, int fd)
{
    struct state_file *file = context;
    file->fd = fd;
    int rc = join_encode(file->join, &file->bytes);
    if (rc == 0) {
        rc = spill(&file->bytes);
    }
    if (rc == 0) {
        bytes_put(&file->bytes, file->crc, 4);
        rc = file_write(fd, buffer_slice(&file->bytes));
        file->errnum = rc == 0 ? 0 : errno;
    }
    file->is_short = rc != 0 && file->errnum == 0;
    errno = file->is_short ? ENOMEM : file->errnum;
    return rc;
}

int join_save(struct join *join, struct error *error)
{
    struct state_file file = {.bytes.spill = spill, .join = join};
    if (take_extents(join, error) != 0) {
        return -1;
    }
    const int rc = file_replace_by(join->state_path, write_state, &file, error);
    buffer_free(&file.bytes);
    return file.is_short ? join_no_memory(join) : rc;
}
