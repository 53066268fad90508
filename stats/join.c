#include "stats/join.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/file.h"
#include "common/pages.h"
#include "logs/logs.h"
#include "stats/join_extract.h"
#include "stats/join_file.h"
#include "stats/join_state.h"

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

/* What was read of a part is what the second reading reads of it. */
static int note_segment(void *context, const struct log_segment *segment)
{
    struct join *join = context;
    size_t *at = &join->n_parts_read;
    while (join->parts.items[*at].start == join->parts.items[*at].end) {
        ++*at; /* nothing was new */
    }
    struct log_part *part = &join->parts.items[*at];
    part->end = part->start + segment->n_bytes - segment->torn_bytes;
    if (join->extents) {
        join->extents[*at].torn = segment->torn_bytes;
    }
    ++*at;
    return 0;
}

static void drop_lost_extract(struct join *join)
{
    if (join->extract && !join_extract_is_whole(join->extract)) {
        join_extract_free(join->extract);
        join->extract = NULL;
        join->extract_part = NULL;
    }
}

/* The first reading of what parts[0] is to read, by parts[t] each what a thread finds.
 */
static int read_first(struct join **parts, int n_threads, struct error *error)
{
    struct join *first = parts[0];
    struct log_statistics statistics = {0};
    struct log_visitor *visitors = calloc((size_t)n_threads, sizeof *visitors);
    if (!visitors) {
        return join_no_memory(first);
    }
    for (int t = 0; t < n_threads; t++) {
        parts[t]->keeps_state = first->keeps_state;
        parts[t]->extract_part =
            first->extract ? join_extract_part(first->extract, t) : NULL;
        visitors[t] = (struct log_visitor){.on_event = join_first_reading,
                                           .on_damage = note_damage,
                                           .on_segment = note_segment,
                                           .skip = LOG_SKIP_ITEMS,
                                           .context = parts[t]};
    }
    int rc = log_read_parts(first->path, &first->parts, visitors, n_threads,
                            &statistics, error);
    free(visitors);
    for (int t = 0; t < n_threads && rc == 0; t++) {
        rc = join_first_end(parts[t]);
    }
    for (int t = 1; t < n_threads && rc == 0; t++) {
        rc = join_merge(first, parts[t]);
        if (rc == 0) {
            join_free(parts[t]);
            parts[t] = NULL;
        }
    }
    drop_lost_extract(first);
    first->n_threads = n_threads;
    first->evidence.n_segments = statistics.n_segments;
    first->evidence.n_bytes = statistics.n_bytes;
    first->evidence.n_events = statistics.n_events;
    first->evidence.n_damaged = statistics.n_damaged;
    first->evidence.n_torn_tails = statistics.n_torn_tails;
    return rc;
}

/* Reads the parts of `join`, which is new or is a state. */
static int read_parts(struct join *join, int n_threads, struct error *error)
{
    const bool has_state = join->spec_hash != 0;
    int rc = -1;
    bool is_short = n_threads < 1;
    struct join **parts =
        is_short ? NULL : calloc((size_t)n_threads, sizeof(struct join *));
    is_short |= !parts;
    for (int t = 0; t < n_threads && !is_short; t++) {
        parts[t] = t > 0 || has_state ? join_new(join->path) : join;
        is_short = !parts[t];
    }
    if (is_short) {
        join_no_memory(join);
    } else {
        /* What a state is to take in is little, and read twice. */
        join->extract = has_state ? NULL : join_extract_new(n_threads);
        if (has_state) {
            parts[0]->keeps_state = true;
            parts[0]->parts = join->parts;
            parts[0]->extents = join->extents;
            join->parts = (struct log_parts){0};
            join->extents = NULL;
        }
        rc = has_state || join->extract ? read_first(parts, n_threads, error)
                                        : join_no_memory(join);
        if (rc == 0 && has_state) {
            rc = join_continue(join, parts[0]);
        }
        if (rc == 0) {
            rc = join_order_configs(join);
        }
    }
    for (int t = 0; parts && t < n_threads; t++) {
        if (parts[t] && parts[t]->error.code != ERROR_NONE) {
            join->error = parts[t]->error;
        }
        if (parts[t] != join) {
            join_free(parts[t]);
        }
    }
    free(parts);
    return rc;
}

/* The state in the file, if there is one that is to be gone on from. */
static int read_state(struct join *join, struct error *error)
{
    struct stat status;
    char *map = NULL;
    size_t len = 0;
    int rc = -1;
    const int fd = open(join->state_path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && errno == ENOENT) {
        return 1; /* the first time */
    }
    if (fd < 0 || fstat(fd, &status) != 0) {
        error_set(error, ERROR_IO, "%s: cannot open: %s", join->state_path,
                  strerror(errno));
        goto out;
    }
    len = S_ISREG(status.st_mode) ? (size_t)status.st_size : 0;
    if (len >= JOIN_FILE_MAGIC_LEN) {
        map = pages_map(fd, len);
        if (!map) {
            error_set(error, ERROR_IO, "%s: cannot map: %s", join->state_path,
                      strerror(errno));
            goto out;
        }
    }
    if (!map || memcmp(map, JOIN_FILE_MAGIC, JOIN_FILE_MAGIC_LEN) != 0) {
        error_set(error, ERROR_INVALID,
                  "%s: not a state of analyze; remove it or name another file",
                  join->state_path);
        goto out;
    }
    join->is_state_mapped = true;
    rc = join_decode(join, (struct slice){map, len});

out:
    if (map) {
        munmap(map, len);
    }
    if (fd >= 0) {
        close(fd);
    }
    return rc;
}

static int open_join(struct join *join, const struct join_state_options *state,
                     int n_threads, struct error *error)
{
    int rc = 1;
    if (state) {
        join->keeps_state = true;
        join->state_path = state->file;
        rc = state->is_fresh ? 1 : read_state(join, error);
    }
    if (rc == 0) {
        rc = join_find_new(join, error);
    } else if (rc > 0) {
        rc = log_parts_list(join->path, &join->parts, error);
        if (rc == 0 && state) {
            join->extents = calloc(join->parts.n + 1, sizeof *join->extents);
            rc = join->extents ? 0 : join_no_memory(join);
        }
    }
    return rc == 0 ? read_parts(join, n_threads, error) : -1;
}

int join_open_state(const char *path, const struct join_state_options *state,
                    int n_threads, struct join **result, struct error *error)
{
    struct error reading = {0};
    struct join *join = join_new(path);
    if (!join) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        return -1;
    }
    if (open_join(join, state, n_threads, &reading) != 0 && !join->stale) {
        if (error) {
            *error = join->error.code != ERROR_NONE ? join->error : reading;
        }
        join_free(join);
        return -1;
    }
    *result = join;
    return 0;
}

int join_open(const char *path, int n_threads, struct join **join, struct error *error)
{
    return join_open_state(path, NULL, n_threads, join, error);
}

const char *join_stale(const struct join *join)
{
    return join->stale;
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

/* What the workers counted apart; they begin anew. */
static int gather(struct join *join, struct join_worker *workers, int n_threads)
{
    for (int t = 0; t < n_threads; t++) {
        add_evidence(&join->evidence, &workers[t].evidence);
        join_worker_clear(&workers[t]);
        for (int e = 0; e < join->n_experiments; e++) {
            struct join_experiment *experiment = &join->experiments[e];
            struct join_tally *tally = &workers[t].tallies[e];
            experiment->n_early += tally->n_early;
            experiment->n_late += tally->n_late;
            tally->n_early = tally->n_late = 0;
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
        if (repeat->is_set &&
            join_count_event(worker, &repeat->event, repeat->line) != 0) {
            return -1;
        }
    }
    return join_second_end(worker);
}

/* The log once more, each event by one of the workers. */
static int read_log(struct join *join, struct join_worker *workers, int n_threads,
                    struct error *error)
{
    int rc = 0;
    struct log_visitor *visitors = calloc((size_t)n_threads, sizeof *visitors);
    if (!visitors) {
        return join_no_memory(join);
    }
    unsigned skip = join->target_items == ID_NONE && !join->wants_items
                        ? LOG_SKIP_ITEMS
                        : LOG_SKIP_SCORES;
    if (join->evidence.n_damaged == 0) {
        skip |= LOG_SKIP_CHECKSUMS; /* the first reading found every one right */
    }
    for (int t = 0; t < n_threads; t++) {
        visitors[t] = (struct log_visitor){
            .on_event = join_second_reading, .skip = skip, .context = &workers[t]};
    }
    rc = log_read_parts(join->path, &join->parts, visitors, n_threads, NULL, error);
    for (int t = 0; t < n_threads && rc == 0; t++) {
        rc = join_second_end(&workers[t]);
    }
    free(visitors);
    return rc;
}

static int read_values(struct join *join, struct join_worker *workers, int n_threads,
                       struct error *error)
{
    const bool is_extract_enough =
        join->extract && join->target_items == ID_NONE && !join->wants_items;
    int rc = is_extract_enough ? join_extract_count(join->extract, workers, error)
                               : read_log(join, workers, n_threads, error);
    if (rc == 0) {
        rc = gather(join, workers, n_threads);
    }
    if (rc == 0 && join->keeps_state) {
        rc = join_save(join, error); /* which repeat counts may change yet */
    }
    if (rc == 0 &&
        (count_repeats(join, &workers[0]) != 0 || gather(join, workers, 1) != 0)) {
        rc = -1;
    }
    for (int t = 0; t < n_threads; t++) {
        if (workers[t].error.code != ERROR_NONE) {
            join->error = workers[t].error;
        }
    }
    return rc;
}

void join_want_items(struct join *join)
{
    join->wants_items = true;
}

/* Room for the repeats, of which the state may have some. */
static int make_repeats(struct join *join)
{
    struct join_repeat *repeats = arena_zeroed(
        &join->arena, (size_t)id_seen_n_repeated(join->seen), sizeof *repeats);
    if (!repeats) {
        return join_no_memory(join);
    }
    for (int32_t i = 0; i < join->n_old_repeats; i++) {
        repeats[i] = join->repeats[i];
    }
    join->repeats = repeats;
    return 0;
}

static void end_evidence(struct join *join)
{
    struct evidence *evidence = &join->evidence;
    for (int32_t u = 0; join->keeps_state && u < id_map_count(join->users); u++) {
        evidence->n_unexposed +=
            join->past[u].is_exposed ? 0 : join->past[u].n_unexposed;
    }
    if (evidence->last_ts_us == INT64_MIN) {
        evidence->first_ts_us = evidence->last_ts_us = 0;
    }
}

int join_measure(struct join *join, const struct analysis_spec *spec,
                 struct error *error)
{
    struct error reading = {0};
    int rc = -1;
    struct join_worker *workers = NULL;
    if (!join->stale && make_repeats(join) == 0 && join_prepare(join, spec) == 0) {
        workers = join_workers_new(join, join->n_threads);
        rc = workers ? read_values(join, workers, join->n_threads, &reading)
                     : join_no_memory(join);
    }
    join_workers_free(workers, join, join->n_threads);
    if (rc != 0 && join->stale) {
        error_set(&reading, ERROR_INVALID, "%s: %s", join->state_path, join->stale);
    }
    if (rc != 0 && error) {
        *error = join->error.code != ERROR_NONE ? join->error : reading;
    }
    end_evidence(join);
    free(join->past);
    join->past = NULL;
    join->past_capacity = 0;
    /* Nothing is read any more. */
    join_extract_free(join->extract);
    join->extract = NULL;
    id_seen_free(join->seen);
    free(join->marks);
    join->seen = NULL;
    join->marks = NULL;
    return rc;
}
