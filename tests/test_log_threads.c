/* Shards in threads of their own, a reader beside them, rotation and compression on. */
#include "tests/log_testing.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>

#include "tests/failing_io.h"

#define N_THREADS 4
#define N_COMMITS 60
#define N_BATCH   8

static void *write_events(void *context)
{
    struct log_shard *shard = context;
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_nothing_without_sync),
        cmocka_unit_test(threads_lose_nothing_with_everysec),
        cmocka_unit_test(threads_lose_nothing_with_always),
        cmocka_unit_test(committers_confirm_what_is_on_disk),
        cmocka_unit_test(committers_survive_failing_disks),
    };
    return cmocka_run_group_tests_name("log_threads", tests, NULL, NULL);
}
