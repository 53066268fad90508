/* Shards in threads of their own, a reader beside them, rotation and compression on. */
#include "tests/log_testing.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "common/hash.h"
#include "logs/scan.h"
#include "tests/failing_io.h"

#define N_THREADS 4
#define N_COMMITS 60
#define N_BATCH   8

static void *write_events_of(struct log_shard *shard)
{
    char id[EVENT_ID_SIZE];
    for (int i = 0; i < N_COMMITS; i++) {
        for (int j = 0; j < N_BATCH; j++) {
            const int len = log_shard_next_id(shard, id);
            const struct event event =
                log_test_exposure((struct slice){id, (size_t)len});
            if (log_shard_append(shard, &event, NULL) != 0) {
                return shard; /* not NULL: failed */
            }
        }
        if (log_shard_commit(shard, NULL) != 0) {
            return shard;
        }
    }
    return NULL;
}

static void *write_events(void *context)
{
    return write_events_of(context);
}

static void write_in_threads(enum log_sync sync)
{
    struct log_directory directory;
    struct log *log = NULL;
    pthread_t threads[N_THREADS];
    log_directory_make(&directory);
    struct log_options options = log_test_options(&directory);
    options.sync = sync;
    options.n_shards = N_THREADS;
    options.segment_size = 20000; /* rotates every few commits, so it compresses, too */
    assert_int_equal(log_open(&options, &log, NULL), 0);

    for (int i = 0; i < N_THREADS; i++) {
        assert_int_equal(
            pthread_create(&threads[i], NULL, write_events, log_shard_get(log, i)), 0);
    }
    struct log_counts counts;
    int n_before = 0;
    for (int i = 0; i < 10; i++) { /* while it is being written and compressed */
        log_count(directory.path, &counts);
        assert_int_equal(counts.n_damage, 0);
        assert_true(counts.n_exposure >= n_before);
        n_before = counts.n_exposure;
    }
    for (int i = 0; i < N_THREADS; i++) {
        void *failure = NULL;
        pthread_join(threads[i], &failure);
        assert_null(failure);
    }
    assert_int_equal(log_close(log, NULL), 0);

    const struct log_statistics s = log_count(directory.path, &counts);
    assert_int_equal(counts.n_exposure, N_THREADS * N_COMMITS * N_BATCH);
    assert_int_equal(counts.n_config, s.n_segments);
    assert_int_equal(counts.n_damage, 0);
    assert_int_equal(s.n_torn_tails, 0);
    log_directory_remove(&directory);
}

static void threads_lose_nothing_without_sync(void **state)
{
    (void)state;
    write_in_threads(LOG_SYNC_NO);
}

static void threads_lose_nothing_with_everysec(void **state)
{
    (void)state;
    write_in_threads(LOG_SYNC_EVERYSEC);
}

static void threads_lose_nothing_with_always(void **state)
{
    (void)state;
    write_in_threads(LOG_SYNC_ALWAYS);
}

/* An owner as an event loop is one: submits every tick, reaps when told to. */
struct owner {
    struct log_shard *shard;
    int n_submitted; /* events */
    int n_committed;
    int n_refused;
    bool has_failed;
    int batch_events[4096]; /* events of each batch not reaped yet */
};

static void reap(struct owner *o, uint64_t *reaped)
{
    struct log_done done;
    while (log_shard_reap(o->shard, &done)) {
        for (uint64_t b = *reaped + 1; b <= done.batch; b++) {
            *(done.is_committed ? &o->n_committed : &o->n_refused) +=
                o->batch_events[b];
        }
        o->has_failed |= done.batch <= *reaped || done.commit_ns < 0;
        *reaped = done.batch;
    }
}

static void *own(void *context)
{
    struct owner *o = context;
    uint64_t batch = 0, reaped = 0;
    char id[EVENT_ID_SIZE];
    for (int tick = 0; tick < 600; tick++) {
        for (int j = 0; j < 1 + tick % 3; j++) {
            const int len = log_shard_next_id(o->shard, id);
            const struct event event =
                log_test_exposure((struct slice){id, (size_t)len});
            o->has_failed |= log_shard_append(o->shard, &event, NULL) != 0;
            o->n_submitted++;
        }
        o->has_failed |= log_shard_submit(o->shard, &batch, NULL) != 0;
        o->batch_events[batch] += 1 + tick % 3;
        reap(o, &reaped);
    }
    while (reaped < batch) {
        struct pollfd ready = {.fd = log_shard_done_fd(o->shard), .events = POLLIN};
        poll(&ready, 1, -1);
        reap(o, &reaped);
    }
    o->has_failed |= log_shard_submit(o->shard, &batch, NULL) != 0 || batch != 0;
    return NULL;
}

static void run_owners(enum log_sync sync, int n_fail, bool is_disk_full)
{
    static struct owner owners[2];
    struct log_directory directory;
    struct log *log = NULL;
    pthread_t threads[2];
    log_directory_make(&directory);
    struct log_options options = log_test_options(&directory);
    options.sync = sync;
    options.n_shards = 2;
    options.has_committers = true;
    memset(owners, 0, sizeof owners);
    assert_int_equal(log_open(&options, &log, NULL), 0);
    failing_io_clear();
    failing_io_set(FAILING_FDATASYNC, 5, n_fail, EIO);
    failing_io_set(FAILING_PWRITE, 3, is_disk_full ? 40 : 0, ENOSPC);

    for (int i = 0; i < 2; i++) {
        owners[i].shard = log_shard_get(log, i);
        assert_int_equal(pthread_create(&threads[i], NULL, own, &owners[i]), 0);
    }
    for (int i = 0; i < 2; i++) {
        pthread_join(threads[i], NULL);
    }
    failing_io_clear();
    struct log_counters counters;
    log_counters_get(log, &counters);
    assert_int_equal(log_close(log, NULL), 0);

    struct log_counts counts;
    log_count(directory.path, &counts);
    const int n_committed = owners[0].n_committed + owners[1].n_committed;
    assert_false(owners[0].has_failed || owners[1].has_failed);
    assert_int_equal(n_committed + owners[0].n_refused + owners[1].n_refused, 2 * 1200);
    assert_int_equal(counts.n_exposure, n_committed);
    assert_int_equal(counters.n_events, n_committed);
    assert_int_equal(counters.n_waiting_bytes, 0);
    assert_true(is_disk_full || n_fail > 3 || n_committed == 2 * 1200);
    assert_int_equal(counts.n_damage, 0);
    log_directory_remove(&directory);
}

static void committers_confirm_what_is_on_disk(void **state)
{
    (void)state;
    run_owners(LOG_SYNC_ALWAYS, 0, false);
    run_owners(LOG_SYNC_NO, 0, false);
}

static void committers_survive_failing_disks(void **state)
{
    (void)state;
    run_owners(LOG_SYNC_ALWAYS, 1, false);
    run_owners(LOG_SYNC_ALWAYS, 9, false);
    run_owners(LOG_SYNC_ALWAYS, 0, true);
}

/* What a reading saw, independent of its order. */
struct seen {
    int64_t n_events;
    uint64_t sum; /* of a hash of each event's place and text */
    int64_t n_damages;
    int64_t n_told;       /* segments */
    uint64_t damages_sum; /* depends on the order of damages */
};

static int see_event(void *context, const struct event *event)
{
    struct seen *seen = context;
    const struct event_place *place = event->place;
    seen->n_events++;
    seen->sum +=
        (hash_bytes(place->text.data, place->text.len) ^ (uint64_t)place->offset) *
        (uint64_t)(2 * place->segment + 1);
    return 0;
}

static int see_damage(void *context, const struct log_damage *damage)
{
    struct seen *seen = context;
    seen->n_damages++;
    seen->damages_sum = seen->damages_sum * 31 + (uint64_t)damage->offset * 7 +
                        (uint64_t)damage->size +
                        hash_bytes(damage->file, strlen(damage->file)) +
                        hash_bytes(damage->reason, strlen(damage->reason));
    return 0;
}

static int see_segment(void *context, const struct log_segment *segment)
{
    struct seen *seen = context;
    seen->n_told++;
    seen->damages_sum = seen->damages_sum * 31 + (uint64_t)segment->n_events +
                        (uint64_t)segment->n_bytes + (uint64_t)segment->torn_bytes;
    return 0;
}

/* Three segments, the first compressed; the others with damage, a line of 300 kB, and a
 * torn tail. */
static void make_damaged_log(struct log_directory *directory)
{
    char path[256];
    log_directory_make(directory);
    struct log_options options = log_test_options(directory);
    for (int i = 0; i < 3; i++) {
        struct log *log = NULL;
        assert_int_equal(log_open(&options, &log, NULL), 0);
        assert_null(write_events_of(log_shard_get(log, 0)));
        assert_null(write_events_of(log_shard_get(log, 0)));
        assert_int_equal(log_close(log, NULL), 0);
        if (i == 0) {
            int64_t n = 0;
            assert_int_equal(log_compact(directory->path, NULL, NULL, &n, NULL), 0);
        }
    }
    assert_true(log_directory_each(directory, ".jsonl", path) >= 1);
    struct buffer text = {0}, damaged = {0};
    assert_int_equal(file_read(path, 64 << 20, &text, NULL), 0);
    for (size_t i = 5000; i < text.len; i += 50000) {
        text.data[i] ^= 1;
    }
    buffer_append(&damaged, text.data, text.len / 2);
    for (int i = 0; i < 300000; i++) {
        buffer_append_char(&damaged, 'x');
    }
    buffer_append(&damaged, text.data + text.len / 2, text.len / 2 - 77);
    assert_false(damaged.failed);
    assert_int_equal(file_replace(path, buffer_slice(&damaged), NULL), 0);
    buffer_free(&damaged);
    buffer_free(&text);
}

static void reading_in_parallel_sees_what_reading_in_order_sees(void **state)
{
    (void)state;
    static const int64_t range_sizes[] = {700, 4096, 77777, 1 << 30};
    struct log_directory directory;
    struct log_statistics expected;
    struct seen in_order = {0};
    make_damaged_log(&directory);
    const struct log_visitor visitor = {.on_event = see_event,
                                        .on_damage = see_damage,
                                        .on_segment = see_segment,
                                        .context = &in_order};
    assert_int_equal(log_read(directory.path, &visitor, &expected, NULL), 0);
    assert_true(expected.n_damaged > 3 && expected.n_torn_tails == 1);

    for (size_t i = 0; i < sizeof range_sizes / sizeof range_sizes[0]; i++) {
        for (int n_threads = 1; n_threads <= 4; n_threads += 3) {
            struct seen seen[4] = {{0}};
            struct log_visitor visitors[4];
            struct log_statistics statistics;
            for (int t = 0; t < n_threads; t++) {
                visitors[t] = visitor;
                visitors[t].context = &seen[t];
            }
            assert_int_equal(scan_parallel(directory.path, visitors, n_threads,
                                           range_sizes[i], &statistics, NULL),
                             0);
            for (int t = 1; t < n_threads; t++) {
                seen[0].n_events += seen[t].n_events;
                seen[0].sum += seen[t].sum;
                assert_int_equal(seen[t].n_damages + seen[t].n_told, 0);
            }
            assert_memory_equal(&statistics, &expected, sizeof expected);
            assert_memory_equal(&seen[0], &in_order, sizeof in_order);
        }
    }
    log_directory_remove(&directory);
}

static int stop_at_ten(void *context, const struct event *event)
{
    int *n = context;
    (void)event;
    return ++*n == 10 ? -1 : 0;
}

static void a_visitor_can_stop_a_parallel_reading(void **state)
{
    (void)state;
    struct log_directory directory;
    make_damaged_log(&directory);
    int n[2] = {0};
    struct error error = {0};
    const struct log_visitor visitors[2] = {
        {.on_event = stop_at_ten, .context = &n[0]},
        {.on_event = stop_at_ten, .context = &n[1]}};

    assert_int_equal(scan_parallel(directory.path, visitors, 2, 4096, NULL, &error),
                     -1);

    assert_true(n[0] <= 10 && n[1] <= 10);
    assert_int_equal(error.code, ERROR_NONE);
    log_directory_remove(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_nothing_without_sync),
        cmocka_unit_test(threads_lose_nothing_with_everysec),
        cmocka_unit_test(threads_lose_nothing_with_always),
        cmocka_unit_test(committers_confirm_what_is_on_disk),
        cmocka_unit_test(committers_survive_failing_disks),
        cmocka_unit_test(reading_in_parallel_sees_what_reading_in_order_sees),
        cmocka_unit_test(a_visitor_can_stop_a_parallel_reading),
    };
    return cmocka_run_group_tests_name("log_threads", tests, NULL, NULL);
}
