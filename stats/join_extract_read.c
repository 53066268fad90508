/* join_extract_read.c - the second reading, of the extract in place of the log. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "stats/join_extract_part.h"

struct reading {
    struct join_extract *extract;
    atomic_size_t next; /* block, of all parts one after the other */
    atomic_bool is_stopping;
};

struct reader {
    struct reading *reading;
    struct join_worker *worker;
    struct extract_windows windows;
    char *block;
    pthread_t thread;
    bool is_running, has_failed;
};

static uint64_t get_number(const char **from)
{
    const char *at = *from;
    uint64_t value = 0;
    int shift = 0;
    while ((unsigned char)*at & 0x80) {
        value |= (uint64_t)(*at++ & 0x7F) << shift;
        shift += 7;
    }
    value |= (uint64_t)(unsigned char)*at++ << shift;
    *from = at;
    return value;
}

static int64_t get_difference(const char **from, int64_t before)
{
    const uint64_t value = get_number(from);
    return (int64_t)((uint64_t)before + (value >> 1 ^ (value & 1 ? UINT64_MAX : 0)));
}

/* The place of the record's line; what was in the group before is known then. -1 when
 * memory ran out. */
static int get_place(const char **from, struct extract_windows *windows,
                     struct extract_last *last, bool *has_copy)
{
    const int64_t len = (int64_t)get_number(from);
    const int64_t end = last->group_start + len;
    if (*has_copy &&
        extract_add_window(windows, last->segment, last->group_start, end) != 0) {
        return -1;
    }
    *has_copy = false;
    last->segment = (int32_t)get_number(from);
    last->group_start = get_difference(from, end);
    return 0;
}

static struct id_key get_id(const char **from, unsigned flags,
                            struct extract_last *last)
{
    struct id_key id = last->id;
    if (!(flags & EXTRACT_ID)) {
        last->id.number++;
        return last->id;
    }
    const char kind = *(*from)++;
    if (kind == EXTRACT_ID_HASH) {
        id.prefix = 0;
        memcpy(&id.number, *from, sizeof id.number);
        *from += sizeof id.number;
        return id;
    }
    if (kind == EXTRACT_ID_PREFIX) {
        memcpy(&id.prefix, *from, sizeof id.prefix);
        *from += sizeof id.prefix;
    }
    id.number = (uint64_t)get_difference(from, (int64_t)id.number);
    last->id = id;
    return id;
}

/* Index of the user in the join, or ID_NONE where it was never exposed. */
static int32_t get_user(const char **from, unsigned flags, struct extract_last *last,
                        const struct join_extract_part *part, const struct join *join)
{
    if (flags & EXTRACT_USER_ID) {
        const size_t len = (size_t)get_number(from);
        const struct slice id = {*from, len};
        *from += len;
        return id_map_find(join->users, id);
    }
    if (!(flags & EXTRACT_USER_AS_BEFORE)) {
        last->user = (int32_t)get_difference(from, last->user);
    }
    return part->user_of ? part->user_of[last->user] : last->user;
}

/* Those of the experiments that are asked for. */
static void get_shape(const char **from, const struct join_extract_part *part,
                      const struct join *join, struct join_shape *shape)
{
    const int n = (int)get_number(from);
    shape->n = 0;
    for (int i = 0; i < n; i++) {
        const int number = (int)get_number(from);
        const int at = part->experiment_of ? part->experiment_of[number] : number;
        if (join->experiments[at].spec) {
            shape->experiment[shape->n++] = at;
        }
    }
}

static int window_no_memory(struct reader *reader)
{
    error_set(&reader->worker->error, ERROR_NOMEM,
              "%s: no memory to find copies of its events", reader->worker->join->path);
    return -1;
}

static void note_fact(struct evidence *evidence, const struct join_fact *fact)
{
    evidence->n_exposures += fact->is_exposure && !fact->is_rest;
    evidence->n_feedback += !fact->is_exposure;
    if (fact->ts_us < evidence->first_ts_us) {
        evidence->first_ts_us = fact->ts_us;
    }
    if (fact->ts_us > evidence->last_ts_us) {
        evidence->last_ts_us = fact->ts_us;
    }
}

/* What else the record of an exposure, or of feedback, says. */
static void get_exposure(const char **from, unsigned flags,
                         const struct join_extract_part *part, const struct join *join,
                         struct join_shape *shape, struct join_fact *fact)
{
    if (!(flags & EXTRACT_KIND_AS_BEFORE)) {
        get_shape(from, part, join, shape);
    }
    fact->shape = *shape;
    fact->is_rest = (flags & EXTRACT_MORE) != 0;
    fact->latency_us = flags & EXTRACT_EXTRA ? (int64_t)get_number(from) : INT64_C(-1);
}

static void get_feedback(const char **from, unsigned flags,
                         const struct join_extract_part *part,
                         struct extract_last *last, struct join_fact *fact)
{
    if (!(flags & EXTRACT_KIND_AS_BEFORE)) {
        last->name = (int32_t)get_number(from);
    }
    fact->shape.n = 0;
    fact->is_rest = false;
    fact->targets = part->targets[last->name];
    fact->has_request = (flags & EXTRACT_EXTRA) != 0;
    fact->value = 1;
    if (flags & EXTRACT_MORE) {
        memcpy(&fact->value, *from, sizeof fact->value);
        *from += sizeof fact->value;
    }
}

/* `group_len` is of the last group of the block. */
static int count_block(struct reader *reader, const struct join_extract_part *part,
                       const char *at, size_t len, int64_t group_len)
{
    struct join_worker *worker = reader->worker;
    const struct join *join = worker->join;
    const char *const end = at + len;
    struct extract_last last = {0};
    struct join_shape shape = {0};
    bool has_copy = false;
    struct join_fact *const facts = worker->batch.facts;
    unsigned n = 0; /* facts; those that are not counted yet wait for their memory */
    while (at < end) {
        struct join_fact *fact = &facts[n % JOIN_BATCH];
        const unsigned flags = (unsigned char)*at++;
        if (flags & EXTRACT_GROUP &&
            get_place(&at, &reader->windows, &last, &has_copy) != 0) {
            return window_no_memory(reader);
        }
        const struct id_key id = get_id(&at, flags, &last);
        fact->is_exposure = (flags & EXTRACT_EXPOSURE) != 0;
        fact->event = NULL;
        fact->user = get_user(&at, flags, &last, part, join);
        fact->ts_us = last.ts_us = get_difference(&at, last.ts_us);
        fact->has_list = false;
        if (fact->is_exposure) {
            get_exposure(&at, flags, part, join, &shape, fact);
        } else {
            get_feedback(&at, flags, part, &last, fact);
        }
        if (extract_is_copy(part->extract, id)) {
            has_copy = true;
            continue;
        }
        note_fact(&worker->evidence, fact);
        join_prefetch_fact(join, fact);
        n++;
        if (n >= JOIN_BATCH && join_count_fact(worker, &facts[n % JOIN_BATCH]) != 0) {
            return -1;
        }
    }
    for (unsigned i = n < JOIN_BATCH ? 0 : n - JOIN_BATCH + 1; i < n; i++) {
        if (join_count_fact(worker, &facts[i % JOIN_BATCH]) != 0) {
            return -1;
        }
    }
    if (has_copy && extract_add_window(&reader->windows, last.segment, last.group_start,
                                       last.group_start + group_len) != 0) {
        return window_no_memory(reader);
    }
    return 0;
}

static int read_block(const struct join_extract *extract,
                      const struct extract_block *block, char *to, struct error *error)
{
    size_t got = 0;
    while (got < block->len) {
        const ssize_t n = pread(extract->fd, to + got, block->len - got,
                                (off_t)(block->offset + (int64_t)got));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            error_set(error, ERROR_IO, "cannot read the temporary file: %s",
                      n < 0 ? strerror(errno) : "it is cut off");
            return -1;
        }
        got += (size_t)n;
    }
    if (crc32c(0, to, block->len) != block->crc) {
        error_set(error, ERROR_IO,
                  "the temporary file does not give back what was written to it; set "
                  "TMPDIR to a directory on another disk");
        return -1;
    }
    return 0;
}

/* Counts block `index` of all; 1 when there are not so many. */
static int count_next(struct reader *reader, size_t index)
{
    const struct join_extract *extract = reader->reading->extract;
    for (int t = 0; t < extract->n_parts; t++) {
        const struct join_extract_part *part = &extract->parts[t];
        if (index == part->n_blocks) {
            return count_block(reader, part, part->bytes, part->len,
                               part->last.group_end - part->last.group_start);
        }
        if (index < part->n_blocks) {
            const struct extract_block *block = &part->blocks[index];
            return read_block(extract, block, reader->block, &reader->worker->error) !=
                           0
                       ? -1
                       : count_block(reader, part, reader->block, block->len,
                                     block->group_len);
        }
        index -= part->n_blocks + 1;
    }
    return 1;
}

static void *run(void *context)
{
    struct reader *reader = context;
    struct reading *reading = reader->reading;
    int rc = 0;
    while (rc == 0 && !atomic_load(&reading->is_stopping)) {
        rc = count_next(reader, atomic_fetch_add(&reading->next, 1));
    }
    if (rc < 0) {
        reader->has_failed = true;
        atomic_store(&reading->is_stopping, true);
    }
    return NULL;
}

/* What the names of each part feed. -1 when memory ran out. */
static int find_targets(struct join_extract *extract, const struct join *join)
{
    for (int t = 0; t < extract->n_parts; t++) {
        struct join_extract_part *part = &extract->parts[t];
        const int32_t n = id_map_count(part->names);
        part->targets = malloc(((size_t)n + 1) * sizeof *part->targets);
        if (!part->targets) {
            return -1;
        }
        for (int32_t i = 0; i < n; i++) {
            part->targets[i] = join_feedback_targets(join, id_map_id(part->names, i));
        }
    }
    return 0;
}

/* The calling thread is the first reader. */
static int run_all(struct reading *reading, struct reader *readers, int n,
                   struct error *error)
{
    int rc = 0;
    for (int t = 0; t < n; t++) {
        readers[t].reading = reading;
    }
    for (int t = 1; t < n && rc == 0; t++) {
        rc = pthread_create(&readers[t].thread, NULL, run, &readers[t]);
        readers[t].is_running = rc == 0;
    }
    if (rc != 0) {
        error_set(error, ERROR_NOMEM, "cannot start a thread: %s", strerror(rc));
        atomic_store(&reading->is_stopping, true);
    }
    run(&readers[0]);
    rc = rc ? -1 : 0;
    for (int t = 0; t < n; t++) {
        if (readers[t].is_running) {
            pthread_join(readers[t].thread, NULL);
        }
        rc = readers[t].has_failed ? -1 : rc;
    }
    return rc;
}

/* What the readers found, in one list, which is read. */
static int read_copies(const struct join_extract *extract, struct reader *readers,
                       struct join_worker *workers, struct error *error)
{
    struct extract_windows all = {0};
    int rc = 0;
    for (int t = 0; t < extract->n_parts && rc == 0; t++) {
        for (size_t i = 0; i < readers[t].windows.n && rc == 0; i++) {
            const struct extract_window *window = &readers[t].windows.items[i];
            rc = extract_add_window(&all, window->segment, window->start, window->end);
        }
    }
    rc = rc != 0 ? window_no_memory(&readers[0])
                 : extract_read_copies(extract, &all, workers, error);
    free(all.items);
    return rc;
}

int join_extract_count(struct join_extract *extract, struct join_worker *workers,
                       struct error *error)
{
    struct reading reading = {.extract = extract};
    const struct join *join = workers[0].join;
    const int n = extract->n_parts;
    assert(n >= 1);
    struct reader *readers = calloc((size_t)n, sizeof *readers);
    bool is_short = !readers || find_targets(extract, join) != 0 ||
                    extract_find_copies(extract, join->seen) != 0;
    for (int t = 0; t < n && !is_short; t++) {
        readers[t] = (struct reader){.worker = &workers[t]};
        readers[t].block = malloc(EXTRACT_BLOCK);
        is_short = !readers[t].block;
        workers[0].evidence.fingerprint += extract->parts[t].fingerprint;
    }
    int rc = -1;
    if (is_short) {
        error_set(error, ERROR_NOMEM, "%s: no memory to join its events by unit",
                  join->path);
    } else {
        rc = run_all(&reading, readers, n, error);
    }
    if (rc == 0 && extract->n_slots > 0) {
        rc = read_copies(extract, readers, workers, error);
    }
    for (int t = 0; readers && t < n; t++) {
        free(readers[t].block);
        free(readers[t].windows.items);
    }
    free(readers);
    return rc;
}
