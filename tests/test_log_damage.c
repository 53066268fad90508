/* One test for each kind of damage: it is named with file and offset, and everything
 * else is read. */
#include "tests/log_testing.h"

#include <fcntl.h>

#include "common/crc32c.h"
#include "logs/compress.h"

#define N_EVENTS 50

struct sample {
    struct log_directory directory;
    char path[256]; /* of its one segment */
    struct buffer text;
    size_t lines[N_EVENTS + 2]; /* where the lines begin, the config line first */
};

static void find_lines(struct sample *s)
{
    size_t n = 0;
    s->lines[n++] = 0;
    for (size_t i = 0; i < s->text.len; i++) {
        if (s->text.data[i] == '\n' && n < N_EVENTS + 2) {
            s->lines[n++] = i + 1;
        }
    }
    assert_int_equal(n, N_EVENTS + 2);
}

static void make_sample(struct sample *s)
{
    struct log *log = NULL;
    char id[EVENT_ID_SIZE];
    memset(s, 0, sizeof *s);
    log_directory_make(&s->directory);
    const struct log_options options = log_test_options(&s->directory);
    assert_int_equal(log_open(&options, &log, NULL), 0);
    struct log_shard *shard = log_shard_get(log, 0);
    for (int i = 0; i < N_EVENTS; i++) {
        const int len = log_shard_next_id(shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        assert_int_equal(log_shard_append(shard, &event, NULL), 0);
    }
    assert_int_equal(log_close(log, NULL), 0);
    assert_int_equal(log_directory_each(&s->directory, ".jsonl", s->path), 1);
    assert_int_equal(file_read(s->path, 1 << 20, &s->text, NULL), 0);
    find_lines(s);
}

static void free_sample(struct sample *s)
{
    buffer_free(&s->text);
    log_directory_remove(&s->directory);
}

static void store(const struct sample *s)
{
    assert_int_equal(file_replace(s->path, buffer_slice(&s->text), NULL), 0);
}

static void expect_damage_at_line(const struct sample *s, int line, const char *reason)
{
    struct log_counts counts;
    const struct log_statistics statistics = log_count(s->directory.path, &counts);
    assert_int_equal(counts.n_damage, 1);
    assert_string_equal(counts.last_reason, reason);
    assert_int_equal(counts.last_damage.offset, s->lines[line]);
    assert_int_equal(counts.last_damage.size, s->lines[line + 1] - s->lines[line]);
    assert_int_equal(counts.n_exposure, N_EVENTS - 1);
    assert_int_equal(statistics.n_damaged, 1);
    assert_int_equal(statistics.n_torn_tails, 0);
}

/* Every single byte of a line, changed in one bit, is noticed. */
static void any_flipped_bit_is_damage(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    for (size_t i = s.lines[7]; i + 1 < s.lines[8]; i++) {
        s.text.data[i] ^= 1;
        store(&s);
        struct log_counts counts;
        log_count(s.directory.path, &counts);
        /* A bit that makes a newline of a byte makes two damaged lines. */
        assert_true(counts.n_damage >= 1);
        assert_int_equal(counts.last_damage.offset >= (int64_t)s.lines[7], 1);
        assert_int_equal(counts.n_exposure, N_EVENTS - 1);
        s.text.data[i] ^= 1;
    }
    free_sample(&s);
}

static void a_flipped_bit_in_the_last_line_is_damage(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    s.text.data[s.lines[N_EVENTS] + 60] ^= 1;
    store(&s);

    expect_damage_at_line(&s, N_EVENTS, "checksum does not match");

    free_sample(&s);
}

static void a_lost_newline_joins_two_lines(void **state)
{
    (void)state;
    struct sample s;
    struct log_counts counts;
    make_sample(&s);
    s.text.data[s.lines[8] - 1] = ' ';
    store(&s);

    log_count(s.directory.path, &counts);

    assert_int_equal(counts.n_damage, 1);
    assert_int_equal(counts.last_damage.offset, s.lines[7]);
    assert_int_equal(counts.last_damage.size, s.lines[9] - s.lines[7]);
    assert_int_equal(counts.n_exposure, N_EVENTS - 2);
    free_sample(&s);
}

static void a_line_without_checksum_is_damage(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    memset(s.text.data + s.lines[4], 'x', s.lines[5] - s.lines[4] - 1);
    store(&s);

    expect_damage_at_line(&s, 4, "line does not end with a checksum");

    free_sample(&s);
}

static void zeros_in_the_middle_are_damage(void **state)
{
    (void)state;
    struct sample s;
    struct log_counts counts;
    make_sample(&s);
    memset(s.text.data + s.lines[4], 0, s.lines[9] - s.lines[4]);
    store(&s);

    log_count(s.directory.path, &counts);

    assert_int_equal(counts.n_damage, 1); /* the line behind is part of it */
    assert_int_equal(counts.last_damage.offset, s.lines[4]);
    assert_int_equal(counts.n_exposure, N_EVENTS - 6);
    free_sample(&s);
}

static void a_torn_tail_is_counted_and_cut_when_a_writer_opens(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    const struct log_options options = log_test_options(&s.directory);
    for (size_t cut = s.lines[N_EVENTS]; cut < s.text.len; cut += 37) {
        struct log_counts counts;
        struct log *log = NULL;
        struct buffer shorter = s.text;
        struct stat status;
        shorter.len = cut;
        assert_int_equal(file_replace(s.path, buffer_slice(&shorter), NULL), 0);

        struct log_statistics statistics = log_count(s.directory.path, &counts);
        assert_int_equal(counts.n_damage, 0);
        assert_int_equal(statistics.n_torn_tails, cut > s.lines[N_EVENTS]);
        assert_int_equal(counts.n_exposure, N_EVENTS - 1);

        assert_int_equal(log_open(&options, &log, NULL), 0);
        assert_int_equal(log_close(log, NULL), 0);
        statistics = log_count(s.directory.path, &counts);
        assert_int_equal(statistics.n_torn_tails, 0);
        assert_int_equal(counts.n_exposure, N_EVENTS - 1);
        if (stat(s.path, &status) == 0) { /* else compressed meanwhile */
            assert_int_equal(status.st_size, s.lines[N_EVENTS]);
        } else {
            char compressed[300];
            snprintf(compressed, sizeof compressed, "%s.zst", s.path);
            assert_int_equal(unlink(compressed), 0);
        }
    }
    free_sample(&s);
}

static void a_line_above_the_limit_is_skipped_in_bounded_memory(void **state)
{
    (void)state;
    struct sample s;
    struct log_counts counts;
    make_sample(&s);
    const size_t huge = (size_t)3 * LOG_LINE_MAX;
    struct buffer with = {0};
    buffer_append(&with, s.text.data, s.lines[5]);
    char *to = buffer_reserve(&with, huge);
    assert_non_null(to);
    memset(to, '[', huge - 1);
    to[huge - 1] = '\n';
    with.len += huge;
    buffer_append(&with, s.text.data + s.lines[5], s.text.len - s.lines[5]);
    assert_int_equal(file_replace(s.path, buffer_slice(&with), NULL), 0);

    log_count(s.directory.path, &counts);

    assert_int_equal(counts.n_damage, 1);
    assert_string_equal(counts.last_reason, "line is longer than the limit of 4 MiB");
    assert_int_equal(counts.last_damage.offset, s.lines[5]);
    assert_int_equal(counts.last_damage.size, huge);
    assert_int_equal(counts.n_exposure, N_EVENTS);
    buffer_free(&with);
    free_sample(&s);
}

/* A line with a right checksum around `body`, put in place of the whole segment. */
static void store_line(const struct sample *s, const char *body)
{
    struct buffer line = {0};
    buffer_append_text(&line, body);
    buffer_printf(&line, ",\"crc\":\"%08x\"}\n", crc32c(0, line.data, line.len));
    assert_int_equal(file_replace(s->path, buffer_slice(&line), NULL), 0);
    buffer_free(&line);
}

static void sound_lines_that_are_no_events_are_damage(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{\"type\":\"exposure\"", "\"ts\" is missing"},
        {"{\"type\":\"visit\",\"ts\":1",
         "\"type\" is none of config, exposure, feedback"},
        {"{\"type\":\"feedback\",\"ts\":-1,\"id\":\"a\",\"user\":\"u\",\"event\":\"e\"",
         "\"ts\" is out of range"},
        {"{\"type\":\"feedback\",\"ts\":1,\"id\":\"\",\"user\":\"u\",\"event\":\"e\"",
         "\"id\" is empty"},
        {"{\"type\":\"feedback\",\"ts\":1,\"id\":\"a\",\"user\":4,\"event\":\"e\"",
         "\"user\" is not a string"},
        {"{\"type\":\"feedback\",\"ts\":1,\"id\":\"a\",\"user\":\"u\",\"event\":\"e\","
         "\"value\":\"1\"",
         "\"value\" is not a number"},
        {"{\"type\":\"exposure\",\"ts\":1,\"id\":\"a\",\"user\":\"u\",\"assignments\":{"
         "\"x\":[\"a\",0]},\"hash\":2,\"config\":\"c\"",
         "\"assignments\" holds something else than [arm, probability]"},
        {"{\"type\":\"exposure\",\"ts\":1,\"id\":\"a\",\"user\":\"u\",\"assignments\":{"
         "},"
         "\"hash\":2,\"config\":\"c\",\"model\":\"m\",\"items\":[\"1\"],\"scores\":[1,"
         "2]",
         "\"scores\" is not an array as long as \"items\""},
        {"{\"type\":\"exposure\",\"ts\":1,\"id\":\"a\",\"user\":\"u\",\"assignments\":{"
         "},"
         "\"hash\":2,\"config\":\"c\",\"latency_us\":-3",
         "\"latency_us\" is out of range"},
        {"[1", "not JSON: ']' expected near ','"},
    };
    struct sample s;
    make_sample(&s);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct log_counts counts;
        store_line(&s, cases[i][0]);
        log_count(s.directory.path, &counts);
        assert_int_equal(counts.n_damage, 1);
        assert_int_equal(counts.n_exposure + counts.n_feedback, 0);
        if (i + 1 < sizeof cases / sizeof cases[0]) {
            assert_string_equal(counts.last_reason, cases[i][1]);
        }
    }
    free_sample(&s);
}

static int check_feedback(void *context, const struct event *e)
{
    int *n = context;
    ++*n;
    assert_int_equal(e->type, EVENT_FEEDBACK);
    assert_int_equal(e->ts_us, 12);
    assert_true(slice_is(e->id, "a\"\xC3\xA9"));
    assert_true(slice_is(e->user, "u"));
    assert_true(slice_is(e->event, "e"));
    assert_close(e->value, -1.5e-7, 0);
    return 0;
}

static void keys_in_another_order_and_unknown_ones_are_read(void **state)
{
    (void)state;
    struct sample s;
    make_sample(&s);
    static const char *const lines[] = {
        "{ \"user\" : \"u\", \"id\":\"a\\\"\\u00e9\",\"extra\":{\"a\":[1]}, "
        "\"value\":-1.5E-7,\"event\":\"e\",\"ts\":12,\"type\":\"feedback\"",
        "{\"type\":\"feedback\",\"ts\":12,\"id\":\"a\\\"\xC3\xA9\",\"user\":\"u\","
        "\"event\":\"e\",\"value\":-0.00000015",
    };
    for (size_t i = 0; i < 2; i++) {
        int n = 0;
        store_line(&s, lines[i]);
        const struct log_visitor visitor = {.on_event = check_feedback, .context = &n};
        assert_int_equal(log_read(s.directory.path, &visitor, NULL, NULL), 0);
        assert_int_equal(n, 1);
    }
    free_sample(&s);
}

static void a_damaged_frame_costs_only_its_own_lines(void **state)
{
    (void)state;
    struct log_directory directory;
    struct log *log = NULL;
    char id[EVENT_ID_SIZE], path[256];
    log_directory_make(&directory);
    struct log_options options = log_test_options(&directory);
    options.segment_size = 64 << 20;
    assert_int_equal(log_open(&options, &log, NULL), 0);
    struct log_shard *shard = log_shard_get(log, 0);
    for (int i = 0; i < 12000; i++) { /* about 4 MB: several frames */
        const int len = log_shard_next_id(shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        assert_int_equal(log_shard_append(shard, &event, NULL), 0);
    }
    assert_int_equal(log_close(log, NULL), 0);
    int64_t n = 0;
    assert_int_equal(log_compact(directory.path, NULL, NULL, &n, NULL), 0);
    assert_int_equal(n, 1);
    assert_int_equal(log_directory_each(&directory, ".jsonl.zst", path), 1);
    struct log_counts counts;
    assert_int_equal(log_count(directory.path, &counts).n_damaged, 0);
    assert_int_equal(counts.n_exposure, 12000);
    struct buffer file = {0};
    assert_int_equal(file_read(path, 64 << 20, &file, NULL), 0);

    file.data[file.len / 2] ^= 0x10;
    assert_int_equal(file_replace(path, buffer_slice(&file), NULL), 0);
    log_count(directory.path, &counts);

    assert_true(counts.n_damage >= 1);
    assert_string_equal(counts.last_reason, "compressed frame does not decompress");
    assert_true(counts.n_exposure >= 8000 && counts.n_exposure < 12000);
    assert_string_equal(counts.last_id, id); /* the last frame was read */

    file.len /= 2; /* and a file that ends too early */
    assert_int_equal(file_replace(path, buffer_slice(&file), NULL), 0);
    log_count(directory.path, &counts);
    assert_true(counts.n_damage >= 1);
    assert_true(counts.n_exposure >= 3000);
    buffer_free(&file);
    log_directory_remove(&directory);
}

static void write_lines(const char *path, int n)
{
    struct buffer lines = {0};
    for (int i = 0; i < n; i++) {
        buffer_printf(&lines, "line %d of %u\n", i, (unsigned)i * 2654435761U);
    }
    assert_int_equal(file_replace(path, buffer_slice(&lines), NULL), 0);
    buffer_free(&lines);
}

static void
compressing_with_rests_gives_the_same_bytes_and_stops_when_told(void **state)
{
    (void)state;
    struct log_directory directory;
    char path[300], compressed[310];
    atomic_bool stop = false, hurry = false;
    const struct compress_manners manners = {&stop, &hurry};
    struct buffer without = {0}, with = {0};
    log_directory_make(&directory);
    snprintf(path, sizeof path, "%s/a.jsonl", directory.path);
    snprintf(compressed, sizeof compressed, "%s.zst", path);
    write_lines(path, 150000); /* several frames of several pieces */
    assert_int_equal(compress_segment(path, NULL, NULL), 0);
    assert_int_equal(file_read(compressed, 64 << 20, &without, NULL), 0);

    write_lines(path, 150000);
    assert_int_equal(compress_segment(path, &manners, NULL), 0);
    assert_int_equal(file_read(compressed, 64 << 20, &with, NULL), 0);

    assert_int_equal(with.len, without.len);
    assert_memory_equal(with.data, without.data, with.len);
    assert_int_not_equal(access(path, F_OK), 0);

    /* Whoever had opened the plain file still finds all of it. */
    write_lines(path, 150000);
    struct buffer before = {0};
    assert_int_equal(file_read(path, 64 << 20, &before, NULL), 0);
    const int reader = open(path, O_RDONLY | O_CLOEXEC);
    assert_true(reader >= 0);
    assert_int_equal(compress_segment(path, &manners, NULL), 0);
    buffer_clear(&with);
    assert_non_null(buffer_reserve(&with, before.len + 1));
    assert_int_equal(pread(reader, with.data, before.len + 1, 0), before.len);
    assert_memory_equal(with.data, before.data, before.len);
    close(reader);
    buffer_free(&before);

    stop = true;
    write_lines(path, 150000);
    assert_int_equal(unlink(compressed), 0);
    assert_int_equal(compress_segment(path, &manners, NULL), 0);
    assert_int_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(compressed, F_OK), 0);

    buffer_free(&with);
    buffer_free(&without);
    log_directory_remove(&directory);
}

/* A crash between the compressed file's rename and the plain one's removal. */
static void a_segment_that_is_there_twice_counts_once(void **state)
{
    (void)state;
    struct sample s;
    struct log_counts counts;
    int64_t n = 0;
    make_sample(&s);
    assert_int_equal(log_compact(s.directory.path, NULL, NULL, &n, NULL), 0);
    store(&s);
    assert_int_equal(log_directory_each(&s.directory, ".jsonl", NULL), 1);
    assert_int_equal(log_directory_each(&s.directory, ".jsonl.zst", NULL), 1);

    assert_int_equal(log_count(s.directory.path, &counts).n_segments, 1);
    assert_int_equal(counts.n_exposure, N_EVENTS);
    assert_int_equal(log_compact(s.directory.path, NULL, NULL, &n, NULL), 0);
    assert_int_equal(log_directory_each(&s.directory, ".jsonl", NULL), 0);
    log_count(s.directory.path, &counts);
    assert_int_equal(counts.n_exposure, N_EVENTS);

    free_sample(&s);
}

static void a_missing_directory_is_not_found(void **state)
{
    (void)state;
    struct error error = {0};
    const struct log_visitor visitor = {0};
    assert_int_equal(log_read("/nonexistent/logs", &visitor, NULL, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_flipped_bit_is_damage),
        cmocka_unit_test(a_flipped_bit_in_the_last_line_is_damage),
        cmocka_unit_test(a_lost_newline_joins_two_lines),
        cmocka_unit_test(a_line_without_checksum_is_damage),
        cmocka_unit_test(zeros_in_the_middle_are_damage),
        cmocka_unit_test(a_torn_tail_is_counted_and_cut_when_a_writer_opens),
        cmocka_unit_test(a_line_above_the_limit_is_skipped_in_bounded_memory),
        cmocka_unit_test(sound_lines_that_are_no_events_are_damage),
        cmocka_unit_test(keys_in_another_order_and_unknown_ones_are_read),
        cmocka_unit_test(a_damaged_frame_costs_only_its_own_lines),
        cmocka_unit_test(
            compressing_with_rests_gives_the_same_bytes_and_stops_when_told),
        cmocka_unit_test(a_segment_that_is_there_twice_counts_once),
        cmocka_unit_test(a_missing_directory_is_not_found),
    };
    return cmocka_run_group_tests_name("log_damage", tests, NULL, NULL);
}
