#include "tests/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logs/logs.h"

struct seen {
    int n;
    char last[EVENT_ID_SIZE];
};

static void see(void *context, const struct event *event)
{
    struct seen *seen = context;
    if (event->type != EVENT_CONFIG) {
        seen->n++;
        snprintf(seen->last, sizeof seen->last, "%.*s", (int)event->id.len,
                 event->id.data);
    }
}

static struct log *open_log(const char *directory, int64_t segment_size)
{
    const struct log_options options = {
        .directory = directory,
        .sync = LOG_SYNC_NO,
        .segment_size = segment_size,
        .segment_age_us = 3600000000,
        .n_shards = 1,
        .config = {.type = EVENT_CONFIG,
                   .config = slice_of("0123456789abcdef"),
                   .text = slice_of("[server]\n"),
                   .version = slice_of("test")},
    };
    struct log *log = NULL;
    struct error error = {0};
    if (log_open(&options, &log, &error) != 0) {
        print_error("%s\n", error.message);
    }
    return log;
}

static void write_feedback(struct log *log, int n)
{
    struct log_shard *shard = log_shard_get(log, 0);
    for (int i = 0; i < n; i++) {
        char id[EVENT_ID_SIZE];
        const int len = log_shard_next_id(shard, id);
        const struct event event = {
            .type = EVENT_FEEDBACK,
            .ts_us = 1764000000000000 + i,
            .id = {id, (size_t)len},
            .user = slice_of("44"),
            .event = slice_of("satisfied"),
        };
        assert_int_equal(log_shard_append(shard, &event, NULL), 0);
    }
    assert_int_equal(log_shard_commit(shard, NULL), 0);
}

static void remove_directory(const char *directory)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", directory);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own name */
}

static void tail_sees_what_is_written_between_looks(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX";
    struct log_tail *tail = NULL;
    struct seen seen = {0};
    assert_non_null(mkdtemp(directory));
    struct log *log = open_log(directory, 1 << 20);
    assert_non_null(log);
    write_feedback(log, 5);
    assert_int_equal(log_tail_open(directory, 1 << 20, 1 << 20, &tail, NULL), 0);

    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_int_equal(seen.n, 5);
    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_int_equal(seen.n, 5);
    write_feedback(log, 3);
    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_int_equal(seen.n, 8);

    log_tail_free(tail);
    assert_int_equal(log_close(log, NULL), 0);
    remove_directory(directory);
}

static void tail_starts_near_the_end_and_skips_what_is_too_much(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX";
    struct log_tail *tail = NULL;
    struct seen seen = {0};
    assert_non_null(mkdtemp(directory));
    struct log *log = open_log(directory, 64 << 20);
    assert_non_null(log);
    write_feedback(log, 1000);
    assert_int_equal(log_tail_open(directory, 1000, 20000, &tail, NULL), 0);

    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_true(seen.n >= 5 && seen.n <= 10); /* lines of 110 to 140 bytes */
    seen.n = 0;
    write_feedback(log, 100);
    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_int_equal(seen.n, 100);
    seen.n = 0;
    write_feedback(log, 1000);
    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
    assert_true(seen.n >= 5 && seen.n <= 10);

    log_tail_free(tail);
    assert_int_equal(log_close(log, NULL), 0);
    remove_directory(directory);
}

/* Segments of 1 KiB are closed and compressed in the background while they are
 * followed; each look comes before the next commit, so none is missed. */
static void tail_follows_from_segment_to_segment(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX";
    struct log_tail *tail = NULL;
    struct seen seen = {0};
    assert_non_null(mkdtemp(directory));
    struct log *log = open_log(directory, 1024);
    assert_non_null(log);
    assert_int_equal(log_tail_open(directory, 1 << 20, 1 << 20, &tail, NULL), 0);

    for (int round = 0; round < 20; round++) {
        write_feedback(log, 1);
        assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);
        assert_int_equal(seen.n, round + 1);
    }

    log_tail_free(tail);
    assert_int_equal(log_close(log, NULL), 0);
    remove_directory(directory);
}

static void tail_passes_over_bad_and_unfinished_lines(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX", path[64];
    struct log_tail *tail = NULL;
    struct seen seen = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/01234567-20260101T000000-000001.jsonl", directory);
    const int fd = open(path, O_WRONLY | O_CREAT, 0600);
    assert_true(fd >= 0);
    assert_int_equal(log_tail_open(directory, 1 << 20, 1 << 20, &tail, NULL), 0);

    const char bad[] = "rubbish\n{\"type\":\"feedback\"}\n{\"unfinished\"";
    assert_int_equal(write(fd, bad, strlen(bad)), strlen(bad));
    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);

    assert_int_equal(seen.n, 0);
    log_tail_free(tail);
    close(fd);
    remove_directory(directory);
}

static void tail_of_a_directory_that_is_not_there_is_empty(void **state)
{
    (void)state;
    struct log_tail *tail = NULL;
    struct seen seen = {0};
    assert_int_equal(log_tail_open("/no/such/directory", 1000, 1000, &tail, NULL), 0);

    assert_int_equal(log_tail_read(tail, see, &seen, NULL), 0);

    assert_int_equal(seen.n, 0);
    log_tail_free(tail);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tail_sees_what_is_written_between_looks),
        cmocka_unit_test(tail_starts_near_the_end_and_skips_what_is_too_much),
        cmocka_unit_test(tail_follows_from_segment_to_segment),
        cmocka_unit_test(tail_passes_over_bad_and_unfinished_lines),
        cmocka_unit_test(tail_of_a_directory_that_is_not_there_is_empty),
    };
    return cmocka_run_group_tests_name("log tail", tests, NULL, NULL);
}
