/* Writes and syncs that fail: what was confirmed is there once, the rest is not
 * confirmed, and service resumes. */
#include "tests/log_testing.h"

#include <errno.h>
#include <stdatomic.h>
#include <time.h>

#include "tests/failing_alloc.h"
#include "tests/failing_io.h"

struct bench {
    struct log_directory directory;
    struct log *log;
    struct log_shard *shard;
    atomic_int n_reports;
    char last_report[700];
};

static void remember(void *context, const char *message)
{
    struct bench *b = context;
    snprintf(b->last_report, sizeof b->last_report, "%s", message);
    b->n_reports++;
}

static void begin(struct bench *b, enum log_sync sync)
{
    struct error error = {0};
    memset(b, 0, sizeof *b);
    log_directory_make(&b->directory);
    struct log_options options = log_test_options(&b->directory);
    options.sync = sync;
    options.report = remember;
    options.report_context = b;
    if (log_open(&options, &b->log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    b->shard = log_shard_get(b->log, 0);
    failing_io_clear();
}

static void end(struct bench *b)
{
    failing_io_clear();
    assert_int_equal(log_close(b->log, NULL), 0);
}

/* Appends n exposures and commits; returns what the commit did. */
static int commit(struct bench *b, int n, struct error *error)
{
    char id[EVENT_ID_SIZE];
    for (int i = 0; i < n; i++) {
        const int len = log_shard_next_id(b->shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        assert_int_equal(log_shard_append(b->shard, &event, NULL), 0);
    }
    return log_shard_commit(b->shard, error);
}

static void expect(struct bench *b, int n_exposures, int n_segments)
{
    struct log_counts counts;
    const struct log_statistics s = log_count(b->directory.path, &counts);
    assert_int_equal(counts.n_exposure, n_exposures);
    assert_int_equal(counts.n_damage, 0);
    assert_int_equal(s.n_torn_tails, 0);
    assert_int_equal(s.n_segments, n_segments);
    log_directory_remove(&b->directory);
}

static void short_writes_and_signals_are_gone_on_with(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, LOG_SYNC_NO);
    assert_int_equal(commit(&b, 1, NULL), 0);

    failing_io_set(FAILING_PWRITE, 0, 4, 0);
    assert_int_equal(commit(&b, 5, NULL), 0);
    failing_io_set(FAILING_PWRITE, 0, 2, EINTR);
    assert_int_equal(commit(&b, 5, NULL), 0);

    assert_int_equal(failing_io_clear(), 6);
    end(&b);
    expect(&b, 11, 1);
}

static void a_failed_write_seals_and_goes_to_a_new_segment(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, LOG_SYNC_NO);
    assert_int_equal(commit(&b, 3, NULL), 0);

    failing_io_set(FAILING_PWRITE, 0, 1, ENOSPC);
    assert_int_equal(commit(&b, 4, NULL), 0);

    assert_int_equal(b.n_reports, 1);
    assert_non_null(strstr(b.last_report, "sealed at"));
    end(&b);
    expect(&b, 7, 2);
}

static void a_full_disk_refuses_and_resumes(void **state)
{
    (void)state;
    struct bench b;
    struct error error = {0};
    begin(&b, LOG_SYNC_ALWAYS);
    assert_int_equal(commit(&b, 3, NULL), 0);

    failing_io_set(FAILING_PWRITE, 0, 1000, ENOSPC);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(commit(&b, 2, &error), -1);
        assert_int_equal(error.code, ERROR_IO);
        assert_non_null(strstr(error.message, strerror(ENOSPC)));
    }
    failing_io_clear();
    assert_int_equal(commit(&b, 4, NULL), 0);

    end(&b);
    expect(&b, 7, 2);
}

static int n_failing(const struct bench *b)
{
    struct log_counters counters;
    log_counters_get(b->log, &counters);
    return counters.n_failing;
}

static void rest(void)
{
    const struct timespec pause = {.tv_nsec = 10000000};
    nanosleep(&pause, NULL);
}

/* Nobody commits meanwhile, as when a load balancer sends nothing any more. */
static void a_full_disk_is_tried_until_it_has_room(void **state)
{
    (void)state;
    static const enum failing_call calls[] = {FAILING_PWRITE, FAILING_FDATASYNC};
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        struct bench b;
        begin(&b, LOG_SYNC_ALWAYS);
        assert_int_equal(commit(&b, 3, NULL), 0);
        assert_int_equal(n_failing(&b), 0);

        failing_io_set(calls[i], 0, 1000, ENOSPC);
        assert_int_equal(commit(&b, 2, NULL), -1);
        assert_int_equal(n_failing(&b), 1);
        for (const int n = failing_io_count(calls[i]);
             failing_io_count(calls[i]) < n + 2;) {
            rest();
        }
        assert_int_equal(n_failing(&b), 1); /* it was tried, and failed */
        failing_io_clear();
        while (n_failing(&b) > 0) {
            rest();
        }

        assert_int_equal(commit(&b, 4, NULL), 0);
        end(&b);
        expect(&b, 7, 2);
    }
}

static void a_failed_sync_is_never_repeated_on_its_segment(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, LOG_SYNC_ALWAYS);
    assert_int_equal(commit(&b, 3, NULL), 0);
    failing_io_clear();

    failing_io_set(FAILING_FDATASYNC, 0, 1, EIO);
    assert_int_equal(commit(&b, 4, NULL), 0);

    assert_int_equal(failing_io_count(FAILING_FDATASYNC), 2); /* one on each segment */
    assert_non_null(strstr(b.last_report, "sealed at"));
    end(&b);
    assert_int_equal(failing_io_count(FAILING_FDATASYNC), 0);
    expect(&b, 7, 2);
}

static void what_cannot_be_cut_is_not_tried_again(void **state)
{
    (void)state;
    struct bench b;
    struct error error = {0};
    begin(&b, LOG_SYNC_NO);
    assert_int_equal(commit(&b, 3, NULL), 0);

    failing_io_set(FAILING_PWRITE, 0, 1, EIO);
    failing_io_set(FAILING_FTRUNCATE, 0, 1, EIO);
    assert_int_equal(commit(&b, 4, &error), -1);
    assert_int_equal(commit(&b, 2, NULL), 0);

    end(&b);
    struct log_counts counts;
    log_count(b.directory.path, &counts);
    assert_true(counts.n_exposure >= 5 && counts.n_exposure < 9);
    log_directory_remove(&b.directory);
}

/* Fails each of the first calls in turn, with each error, under each policy. */
static void whatever_fails_once_nothing_confirmed_is_lost_or_doubled(void **state)
{
    (void)state;
    static const enum failing_call calls[] = {FAILING_PWRITE, FAILING_FDATASYNC,
                                              FAILING_FSYNC};
    for (int sync = LOG_SYNC_ALWAYS; sync <= LOG_SYNC_NO; sync++) {
        for (size_t c = 0; c < sizeof calls / sizeof calls[0]; c++) {
            for (int nth = 0; nth < 5; nth++) {
                struct bench b;
                int n_confirmed = 0;
                begin(&b, (enum log_sync)sync);
                failing_io_set(calls[c], nth, 1, EIO);
                for (int i = 0; i < 4; i++) {
                    n_confirmed += commit(&b, 3, NULL) == 0 ? 3 : 0;
                }
                failing_io_clear();
                end(&b);

                struct log_counts counts;
                log_count(b.directory.path, &counts);
                assert_int_equal(counts.n_exposure, n_confirmed);
                assert_int_equal(n_confirmed, 12);
                assert_int_equal(counts.n_damage, 0);
                log_directory_remove(&b.directory);
            }
        }
    }
}

/* Each commit fills a segment, and the next closes it. */
static void begin_small_segments(struct bench *b)
{
    memset(b, 0, sizeof *b);
    log_directory_make(&b->directory);
    struct log_options options = log_test_options(&b->directory);
    options.segment_size = 1;
    options.report = remember;
    options.report_context = b;
    assert_int_equal(log_open(&options, &b->log, NULL), 0);
    b->shard = log_shard_get(b->log, 0);
}

static void wait_for_compressed(const struct bench *b, int n)
{
    while (log_directory_each(&b->directory, ".zst", NULL) < n) {
        rest();
    }
}

/* Something lies in the way of the compressed form, as a full disk would. */
static void what_could_not_be_compressed_is_compressed_later(void **state)
{
    (void)state;
    struct bench b;
    char name[256], obstacle[256 + sizeof ".zst.tmp"];
    begin_small_segments(&b);
    assert_int_equal(commit(&b, 3, NULL), 0);
    assert_int_equal(log_directory_each(&b.directory, ".jsonl", name), 1);
    snprintf(obstacle, sizeof obstacle, "%s.zst.tmp", name);
    assert_int_equal(mkdir(obstacle, 0700), 0);
    assert_int_equal(commit(&b, 3, NULL), 0);
    while (b.n_reports == 0) {
        rest();
    }
    assert_non_null(strstr(b.last_report, name));
    assert_int_equal(rmdir(obstacle), 0);

    assert_int_equal(commit(&b, 3, NULL), 0); /* closes the second segment */

    wait_for_compressed(&b, 2);
    end(&b);
    expect(&b, 9, 3);
}

static void a_segment_that_somebody_removed_is_told_once(void **state)
{
    (void)state;
    struct bench b;
    char name[256];
    begin_small_segments(&b);
    assert_int_equal(commit(&b, 3, NULL), 0);
    assert_int_equal(log_directory_each(&b.directory, ".jsonl", name), 1);
    assert_int_equal(unlink(name), 0);

    for (int i = 0; i < 4; i++) {
        assert_int_equal(commit(&b, 1, NULL), 0);
        wait_for_compressed(&b, i);
    }

    end(&b);
    assert_int_equal(b.n_reports, 1);
    assert_non_null(strstr(b.last_report, name));
    expect(&b, 4, 4);
}

static void opening_survives_any_failed_allocation(void **state)
{
    (void)state;
    struct log_directory directory;
    log_directory_make(&directory);
    const struct log_options options = log_test_options(&directory);
    struct bench b;
    for (long n = 0;; n++) {
        struct error error = {0};
        struct log *log = NULL;
        failing_alloc_at(n);
        const int rc = log_open(&options, &log, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            b = (struct bench){.log = log, .shard = log_shard_get(log, 0)};
            break;
        }
        if (rc == 0) { /* the failure was in something that can be done without */
            assert_int_equal(log_close(log, NULL), 0);
        } else {
            assert_int_equal(error.code, ERROR_NOMEM);
        }
    }
    assert_int_equal(commit(&b, 1, NULL), 0);
    assert_int_equal(log_close(b.log, NULL), 0);
    struct log_counts counts;
    log_count(directory.path, &counts);
    assert_int_equal(counts.n_exposure, 1);
    log_directory_remove(&directory);
}

static void a_batch_survives_any_failed_allocation(void **state)
{
    (void)state;
    struct bench b;
    int n_in = 0;
    begin(&b, LOG_SYNC_NO);
    for (long n = 0; n < 12; n++) {
        char id[EVENT_ID_SIZE];
        const int len = log_shard_next_id(b.shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        struct error error = {0};
        failing_alloc_at(n);
        const int appended = log_shard_append(b.shard, &event, &error);
        const int committed = log_shard_commit(b.shard, &error);
        failing_alloc_stop();
        assert_true(appended == 0 || error.code == ERROR_NOMEM);
        n_in += appended == 0 && committed == 0;
    }
    end(&b);
    expect(&b, n_in, 1);
}

static void reading_survives_any_failed_allocation(void **state)
{
    (void)state;
    struct bench b;
    begin(&b, LOG_SYNC_NO);
    assert_int_equal(commit(&b, 40, NULL), 0);
    end(&b);
    int64_t n_compressed = 0;
    assert_int_equal(log_compact(b.directory.path, NULL, NULL, &n_compressed, NULL), 0);
    assert_int_equal(n_compressed, 1);

    for (long n = 0;; n++) {
        struct log_counts counts = {0};
        struct error error = {0};
        const struct log_visitor visitor = {.on_event = count_event,
                                            .context = &counts};
        failing_alloc_at(n);
        const int rc = log_read(b.directory.path, &visitor, NULL, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            assert_int_equal(counts.n_exposure, 40);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
    log_directory_remove(&b.directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_writes_and_signals_are_gone_on_with),
        cmocka_unit_test(a_failed_write_seals_and_goes_to_a_new_segment),
        cmocka_unit_test(a_full_disk_refuses_and_resumes),
        cmocka_unit_test(a_full_disk_is_tried_until_it_has_room),
        cmocka_unit_test(a_failed_sync_is_never_repeated_on_its_segment),
        cmocka_unit_test(what_cannot_be_cut_is_not_tried_again),
        cmocka_unit_test(whatever_fails_once_nothing_confirmed_is_lost_or_doubled),
        cmocka_unit_test(what_could_not_be_compressed_is_compressed_later),
        cmocka_unit_test(a_segment_that_somebody_removed_is_told_once),
        cmocka_unit_test(opening_survives_any_failed_allocation),
        cmocka_unit_test(a_batch_survives_any_failed_allocation),
        cmocka_unit_test(reading_survives_any_failed_allocation),
    };
    return cmocka_run_group_tests_name("log_faults", tests, NULL, NULL);
}
