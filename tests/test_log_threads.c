/* Shards in threads of their own, a reader beside them, rotation and compression on. */
#include "tests/log_testing.h"

#include <pthread.h>

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(threads_lose_nothing_without_sync),
        cmocka_unit_test(threads_lose_nothing_with_everysec),
        cmocka_unit_test(threads_lose_nothing_with_always),
    };
    return cmocka_run_group_tests_name("log_threads", tests, NULL, NULL);
}
