#include "logs/reader.h"

#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "logs/scan.h"
#include "logs/segment_name.h"

/* A thread takes this much of a plain segment at a time. */
#define RANGE_SIZE ((int64_t)32 << 20)

/* A thread remembers so many damages of a range one by one. */
#define N_DAMAGES_MAX 1000

struct damage_note {
    int64_t offset, size;
    char reason[160];
};

/* One piece of work and what came of it. */
struct unit {
    struct scan_range range;
    char *file; /* of the first range of a segment, which owns the name */
    bool is_first_of_segment, is_last_of_segment;
    struct log_segment found;
    struct damage_note *notes;
    int n_notes, notes_capacity;
    bool has_failed;
    struct error error;
};

struct plan {
    struct unit *units;
    size_t n, capacity;
};

struct parallel {
    struct plan plan;
    atomic_size_t next;
    atomic_bool is_stopping;
};

struct worker {
    struct parallel *parallel;
    const struct log_visitor *visitor;
    struct log_visitor inner; /* as the visitor's, but for damage */
    struct scanner *scanner;
    struct unit *unit;
    pthread_t thread;
    bool is_running;
};

static int no_memory(const char *path, struct error *error)
{
    error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
    return -1;
}

static char *name_of(const struct segment_entry *entry, bool is_zst)
{
    const size_t size = strlen(entry->path) + sizeof ".zst";
    char *name = malloc(size);
    if (name) {
        snprintf(name, size, "%s%s", entry->path, is_zst ? ".zst" : "");
    }
    return name;
}

static int add_unit(struct plan *plan, struct unit unit)
{
    if (plan->n == plan->capacity) {
        const size_t capacity = plan->capacity ? 2 * plan->capacity : 64;
        struct unit *units = realloc(plan->units, capacity * sizeof *units);
        if (!units) {
            return -1;
        }
        plan->units = units;
        plan->capacity = capacity;
    }
    plan->units[plan->n++] = unit;
    return 0;
}

static void plan_free(struct plan *plan)
{
    for (size_t i = 0; i < plan->n; i++) {
        free(plan->units[i].file);
        free(plan->units[i].notes);
    }
    free(plan->units);
}

/* The ranges of one part. */
static int plan_part(struct plan *plan, const struct log_part *part, int32_t segment,
                     int64_t range_size)
{
    struct stat status;
    char *file = strdup(part->file);
    const size_t len = strlen(part->file);
    if (!file) {
        return -1;
    }
    const bool is_zst = len > 4 && strcmp(file + len - 4, ".zst") == 0;
    const int64_t size = is_zst || stat(file, &status) != 0 ? 0 : status.st_size;
    const int64_t stop = size < part->end ? size : part->end;
    int64_t start = part->start;
    do {
        const bool is_first = start == part->start;
        const bool is_last = stop - start <= range_size;
        const struct unit unit = {
            .range = {file, segment, start, is_last ? part->end : start + range_size},
            .file = is_first ? file : NULL,
            .is_first_of_segment = is_first,
            .is_last_of_segment = is_last,
        };
        if (add_unit(plan, unit) != 0) {
            if (is_first) {
                free(file);
            }
            return -1;
        }
        start += range_size;
    } while (start < stop);
    return 0;
}

/* When the segment was last written to; compressing keeps the time. INT64_MAX when it
 * cannot be told. */
static int64_t written_us(const char *file)
{
    struct stat status;
    return file && stat(file, &status) == 0 ? (int64_t)status.st_mtim.tv_sec * 1000000 +
                                                  status.st_mtim.tv_nsec / 1000
                                            : INT64_MAX;
}

/* Takes `file` over; NULL is no memory. */
static int add_part(struct log_parts *parts, char *file)
{
    if (file && parts->n == parts->capacity) {
        const size_t capacity = parts->capacity ? 2 * parts->capacity : 64;
        struct log_part *items = realloc(parts->items, capacity * sizeof *items);
        if (!items) {
            free(file);
            return -1;
        }
        parts->items = items;
        parts->capacity = capacity;
    }
    if (file) {
        parts->items[parts->n++] = (struct log_part){file, 0, INT64_MAX};
    }
    return file ? 0 : -1;
}

int log_parts_list(const char *path, struct log_parts *parts, struct error *error)
{
    struct stat status;
    struct segment_list list;
    int rc = 0;
    *parts = (struct log_parts){0};
    if (stat(path, &status) != 0) {
        error_set(error, errno == ENOENT ? ERROR_NOT_FOUND : ERROR_IO,
                  "%s: cannot read: %s", path, strerror(errno));
        return -1;
    }
    if (!S_ISDIR(status.st_mode)) {
        return add_part(parts, strdup(path)) == 0 ? 0 : no_memory(path, error);
    }
    if (segment_list_read(path, &list, error) != 0) {
        return -1;
    }
    for (size_t i = 0; i < list.n && rc == 0; i++) {
        /* The plain file if it is there: it is whole where both are, since compressing
         * ends by removing it. */
        rc = add_part(parts, name_of(&list.items[i], !list.items[i].is_plain));
    }
    segment_list_free(&list);
    return rc == 0 ? 0 : no_memory(path, error);
}

void log_parts_free(struct log_parts *parts)
{
    for (size_t i = 0; i < parts->n; i++) {
        free(parts->items[i].file);
    }
    free(parts->items);
    *parts = (struct log_parts){0};
}

static int plan_parts(struct plan *plan, const struct log_parts *parts,
                      int64_t range_size, int64_t since_us)
{
    for (size_t i = 0; i < parts->n; i++) {
        const struct log_part *part = &parts->items[i];
        if (part->start < part->end &&
            (since_us <= 0 || written_us(part->file) >= since_us) &&
            plan_part(plan, &parts->items[i], (int32_t)i, range_size) != 0) {
            return -1;
        }
    }
    return 0;
}

static int make_plan(struct plan *plan, const char *path, int64_t range_size,
                     int64_t since_us, struct error *error)
{
    struct log_parts parts;
    int rc = log_parts_list(path, &parts, error);
    if (rc == 0 && plan_parts(plan, &parts, range_size, since_us) != 0) {
        rc = no_memory(path, error);
    }
    log_parts_free(&parts);
    return rc;
}

/* Reads a range. A plain file that is gone since it was listed was compressed
 * meanwhile; its bytes stand at the same offsets. */
static int scan_unit(struct scanner *scanner, struct unit *unit,
                     const struct log_visitor *visitor, struct error *error)
{
    struct error first = {0};
    if (scan(scanner, &unit->range, visitor, &unit->found, &first) == 0) {
        return 0;
    }
    if (first.code != ERROR_NOT_FOUND) {
        if (first.code) { /* else it was the visitor that stopped */
            error_set(error, first.code, "%s", first.message);
        }
        return -1;
    }
    const size_t size = strlen(unit->range.file) + sizeof ".zst";
    char *compressed = malloc(size);
    if (!compressed) {
        return no_memory(unit->range.file, error);
    }
    snprintf(compressed, size, "%s.zst", unit->range.file);
    struct scan_range range = unit->range;
    range.file = compressed;
    const int rc = scan(scanner, &range, visitor, &unit->found, error);
    unit->found.file = unit->range.file;
    free(compressed);
    return rc;
}

/* Adds a range to its segment, which begins anew with each first range. */
static int end_unit(const struct unit *unit, struct log_segment *segment,
                    struct log_statistics *total, const struct log_visitor *visitor)
{
    if (unit->is_first_of_segment) {
        *segment = (struct log_segment){.file = unit->range.file};
    }
    segment->n_events += unit->found.n_events;
    segment->n_bytes += unit->found.n_bytes;
    segment->n_damaged += unit->found.n_damaged;
    segment->torn_bytes += unit->found.torn_bytes;
    total->n_events += unit->found.n_events;
    total->n_bytes += unit->found.n_bytes;
    total->n_damaged += unit->found.n_damaged;
    total->n_torn_tails += unit->found.torn_bytes > 0;
    if (!unit->is_last_of_segment) {
        return 0;
    }
    total->n_segments++;
    return visitor->on_segment ? visitor->on_segment(visitor->context, segment) : 0;
}

int log_read(const char *path, const struct log_visitor *visitor,
             struct log_statistics *statistics, struct error *error)
{
    struct plan plan = {0};
    struct log_segment segment = {0};
    struct log_statistics total = {0};
    struct scanner *scanner = scanner_new(visitor->skip);
    int rc = -1;
    if (!scanner) {
        rc = no_memory(path, error);
        goto out;
    }
    if (make_plan(&plan, path, INT64_MAX, visitor->since_us, error) != 0) {
        goto out;
    }
    for (size_t i = 0; i < plan.n; i++) {
        struct unit *unit = &plan.units[i];
        if (scan_unit(scanner, unit, visitor, error) != 0 ||
            end_unit(unit, &segment, &total, visitor) != 0) {
            goto out;
        }
    }
    if (statistics) {
        *statistics = total;
    }
    rc = 0;

out:
    scanner_free(scanner);
    plan_free(&plan);
    return rc;
}

/* Keeps a damage until it is its turn. */
static int note_damage(void *context, const struct log_damage *damage)
{
    struct worker *worker = context;
    struct unit *unit = worker->unit;
    if (unit->n_notes == N_DAMAGES_MAX) {
        struct damage_note *last = &unit->notes[N_DAMAGES_MAX - 1];
        last->size = damage->offset + damage->size - last->offset;
        snprintf(last->reason, sizeof last->reason,
                 "and everything damaged behind it, up to there");
        return 0;
    }
    if (unit->n_notes == unit->notes_capacity) {
        const int capacity = unit->notes_capacity ? 2 * unit->notes_capacity : 8;
        struct damage_note *notes =
            realloc(unit->notes, (size_t)capacity * sizeof *notes);
        if (!notes) {
            return no_memory(damage->file, &unit->error);
        }
        unit->notes = notes;
        unit->notes_capacity = capacity;
    }
    struct damage_note *note = &unit->notes[unit->n_notes++];
    note->offset = damage->offset;
    note->size = damage->size;
    snprintf(note->reason, sizeof note->reason, "%s", damage->reason);
    return 0;
}

static int pass_event(void *context, const struct event *event)
{
    const struct worker *worker = context;
    return worker->visitor->on_event(worker->visitor->context, event);
}

static void *work(void *context)
{
    struct worker *worker = context;
    struct parallel *parallel = worker->parallel;
    while (!atomic_load(&parallel->is_stopping)) {
        const size_t i = atomic_fetch_add(&parallel->next, 1);
        if (i >= parallel->plan.n) {
            break;
        }
        struct unit *unit = worker->unit = &parallel->plan.units[i];
        if (scan_unit(worker->scanner, unit, &worker->inner, &unit->error) != 0) {
            unit->has_failed = true;
            atomic_store(&parallel->is_stopping, true);
        }
    }
    return NULL;
}

/* What the threads found, told in the order of segments. */
static int tell(const struct plan *plan, const struct log_visitor *visitor,
                struct log_statistics *total)
{
    struct log_segment segment = {0};
    for (size_t i = 0; i < plan->n; i++) {
        const struct unit *unit = &plan->units[i];
        for (int j = 0; visitor->on_damage && j < unit->n_notes; j++) {
            const struct log_damage damage = {unit->range.file, unit->notes[j].offset,
                                              unit->notes[j].size,
                                              unit->notes[j].reason};
            if (visitor->on_damage(visitor->context, &damage) != 0) {
                return -1;
            }
        }
        if (end_unit(unit, &segment, total, visitor) != 0) {
            return -1;
        }
    }
    return 0;
}

static int start_workers(struct worker *workers, int n_threads, const char *path,
                         struct error *error)
{
    for (int i = 0; i < n_threads; i++) {
        struct worker *worker = &workers[i];
        worker->scanner = scanner_new(worker->visitor->skip);
        if (!worker->scanner) {
            return no_memory(path, error);
        }
        /* The calling thread is the first worker. */
        if (i > 0) {
            const int rc = pthread_create(&worker->thread, NULL, work, worker);
            if (rc != 0) {
                error_set(error, ERROR_NOMEM, "%s: cannot start a thread: %s", path,
                          strerror(rc));
                return -1;
            }
            worker->is_running = true;
        }
    }
    return 0;
}

static int first_failure(const struct plan *plan, struct error *error)
{
    for (size_t i = 0; i < plan->n; i++) {
        const struct unit *unit = &plan->units[i];
        if (unit->has_failed) {
            if (unit->error.code) {
                error_set(error, unit->error.code, "%s", unit->error.message);
            }
            return -1;
        }
    }
    return 0;
}

/* Reads what is planned, and frees the plan. */
static int read_plan(const char *path, struct parallel *parallel,
                     const struct log_visitor *visitors, int n_threads,
                     struct log_statistics *statistics, struct error *error)
{
    struct log_statistics total = {0};
    int rc = -1;
    assert(n_threads >= 1);
    struct worker *workers = calloc((size_t)n_threads, sizeof *workers);
    if (!workers) {
        plan_free(&parallel->plan);
        return no_memory(path, error);
    }
    for (int i = 0; i < n_threads; i++) {
        workers[i].parallel = parallel;
        workers[i].visitor = &visitors[i];
        workers[i].inner = (struct log_visitor){
            .on_event = visitors[i].on_event ? pass_event : NULL,
            .on_damage = note_damage,
            .context = &workers[i],
        };
    }
    rc = start_workers(workers, n_threads, path, error);
    if (rc == 0) {
        work(&workers[0]);
    } else {
        atomic_store(&parallel->is_stopping, true);
    }
    for (int i = 1; i < n_threads; i++) {
        if (workers[i].is_running) {
            pthread_join(workers[i].thread, NULL);
        }
    }
    if (rc == 0) {
        rc = first_failure(&parallel->plan, error);
    }
    if (rc == 0) {
        rc = tell(&parallel->plan, &visitors[0], &total);
    }
    if (rc == 0 && statistics) {
        *statistics = total;
    }

    for (int i = 0; i < n_threads; i++) {
        scanner_free(workers[i].scanner);
    }
    free(workers);
    plan_free(&parallel->plan);
    return rc;
}

int scan_parallel(const char *path, const struct log_visitor *visitors, int n_threads,
                  int64_t range_size, struct log_statistics *statistics,
                  struct error *error)
{
    struct parallel parallel = {0};
    if (make_plan(&parallel.plan, path, range_size, visitors[0].since_us, error) != 0) {
        plan_free(&parallel.plan);
        return -1;
    }
    return read_plan(path, &parallel, visitors, n_threads, statistics, error);
}

int log_read_parallel(const char *path, const struct log_visitor *visitors,
                      int n_threads, struct log_statistics *statistics,
                      struct error *error)
{
    return scan_parallel(path, visitors, n_threads, RANGE_SIZE, statistics, error);
}

int log_read_parts(const char *path, const struct log_parts *parts,
                   const struct log_visitor *visitors, int n_threads,
                   struct log_statistics *statistics, struct error *error)
{
    struct parallel parallel = {0};
    if (plan_parts(&parallel.plan, parts, RANGE_SIZE, 0) != 0) {
        plan_free(&parallel.plan);
        return no_memory(path, error);
    }
    return read_plan(path, &parallel, visitors, n_threads, statistics, error);
}
