/* The log's life without accidents: what is written is read. */
#include "logs/line.h"
#include "logs/parse.h"
#include "tests/log_testing.h"

#include <fcntl.h>

#include "common/crc32c.h"

static struct log *open_log(const struct log_options *options)
{
    struct log *log = NULL;
    struct error error = {0};
    if (log_open(options, &log, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return log;
}

static void append_new(struct log_shard *shard, int n)
{
    char id[EVENT_ID_SIZE];
    for (int i = 0; i < n; i++) {
        const int len = log_shard_next_id(shard, id);
        const struct event event = log_test_exposure((struct slice){id, (size_t)len});
        assert_int_equal(log_shard_append(shard, &event, NULL), 0);
    }
}

static int check_event(void *context, const struct event *e)
{
    int *n = context;
    ++*n;
    if (e->type == EVENT_CONFIG) {
        assert_true(slice_is(e->config, "9f00000000000000"));
        assert_true(slice_is(e->text, "[server]\nlisten = :0\n"));
        assert_int_equal(e->n_models, 1);
        assert_true(slice_is(e->models[0].name, "als"));
        assert_true(slice_is(e->models[0].hash, "1c00000000000000"));
        assert_true(slice_is(e->version, "0.1.0"));
    } else if (e->type == EVENT_EXPOSURE) {
        assert_int_equal(e->ts_us, 1764000000123456);
        assert_true(slice_is(e->user, "44"));
        assert_int_equal(e->n_assignments, 2);
        assert_true(slice_is(e->assignments[0].experiment, "item-bias"));
        assert_true(slice_is(e->assignments[0].arm, "treatment"));
        assert_close(e->assignments[0].probability, 0.5, 0);
        assert_true(slice_is(e->assignments[1].arm, "\"ten\""));
        assert_int_equal(e->hash_version, 2);
        assert_true(slice_is(e->model, "als:1c00000000000000"));
        assert_int_equal(e->n_items, 2);
        assert_true(slice_is(e->items[1].id, "260"));
        assert_close(e->items[1].score, -0.1234567890123456, 0);
        assert_true(isnan(e->items[1].propensity));
        assert_int_equal(e->latency_us, 212);
    } else {
        assert_true(slice_is(e->event, "satisfied"));
        assert_true(e->has_value);
        assert_close(e->value, 1, 0);
        assert_true(slice_is(e->item, "1198"));
        assert_true(slice_is(e->request, "r-1"));
    }
    assert_int_equal(e->place->line, *n);
    return 0;
}

static void one_of_each_is_read_as_written(void **state)
{
    (void)state;
    struct log_directory directory;
    log_directory_make(&directory);
    const struct log_options options = log_test_options(&directory);
    struct log *log = open_log(&options);
    struct log_shard *shard = log_shard_get(log, 0);
    const struct event feedback = log_test_feedback(slice_of("client-1"));
    append_new(shard, 1);
    assert_int_equal(log_shard_append(shard, &feedback, NULL), 0);
    assert_int_equal(log_shard_commit(shard, NULL), 0);
    assert_int_equal(log_close(log, NULL), 0);

    int n = 0;
    struct log_statistics statistics;
    const struct log_visitor visitor = {.on_event = check_event, .context = &n};
    assert_int_equal(log_read(directory.path, &visitor, &statistics, NULL), 0);

    assert_int_equal(n, 3);
    assert_int_equal(statistics.n_events, 3);
    assert_int_equal(statistics.n_segments, 1);
    assert_int_equal(statistics.n_damaged, 0);
    assert_int_equal(statistics.n_torn_tails, 0);
    log_directory_remove(&directory);
}

/* Both parsers, the one of our own key order and the general one. */
static void forced_arms_and_attributes_are_read_back(void **state)
{
    (void)state;
    static const char *const bodies[] = {
        "{\"type\":\"exposure\",\"ts\":1,\"id\":\"x\",\"user\":\"u\",\"assignments\":{"
        "\"e\":[\"t\",1,\"forced\"],\"f\":[\"c\",0.5]},\"attributes\":{\"country\":"
        "\"N\\\"L\",\"age\":18.5,\"premium\":true,\"new\":false},\"hash\":2,"
        "\"config\":\"9f\"",
        "{\"attributes\":{\"country\":\"N\\\"L\",\"age\":18.5,\"premium\":true,"
        "\"new\":false},\"user\":\"u\",\"type\":\"exposure\",\"ts\":1,\"id\":\"x\","
        "\"assignments\":{\"e\":[\"t\",1,\"forced\"],\"f\":[\"c\",0.5]},\"hash\":2,"
        "\"config\":\"9f\"",
    };
    for (size_t i = 0; i < 2; i++) {
        struct line_parser *parser = line_parser_new();
        struct buffer line = {0};
        struct event e;
        const char *reason = NULL;
        buffer_append_text(&line, bodies[i]);
        line_append_crc(&line, 0);

        assert_int_equal(
            line_parse(parser, (struct slice){line.data, line.len - 1}, &e, &reason),
            PARSE_DONE);

        assert_int_equal(e.n_assignments, 2);
        assert_true(e.assignments[0].is_forced);
        assert_false(e.assignments[1].is_forced);
        assert_int_equal(e.n_attributes, 4);
        assert_true(slice_is(e.attributes[0].name, "country"));
        assert_true(slice_is(e.attributes[0].text, "N\"L"));
        assert_int_equal(e.attributes[1].type, EVENT_ATTRIBUTE_NUMBER);
        assert_close(e.attributes[1].number, 18.5, 0);
        assert_int_equal(e.attributes[2].type, EVENT_ATTRIBUTE_BOOLEAN);
        assert_true(e.attributes[2].boolean);
        assert_false(e.attributes[3].boolean);
        buffer_free(&line);
        line_parser_free(parser);
    }
}

static const char *const contract_lines[] = {
    "{\"type\":\"exposure\",\"ts\":1764000000123456,\"id\":\"x-1\",\"user\":\"44\","
    "\"assignments\":{\"item-bias\":[\"treatment\",0.5],\"k\":[\"\\\"ten\\\"\",1]},"
    "\"hash\":2,\"config\":\"9f00000000000000\",\"model\":\"als:1c00000000000000\","
    "\"items\":[\"1198\",\"260\"],\"scores\":[4.91,-0.1234567890123456],"
    "\"latency_us\":212",
    "{\"type\":\"exposure\",\"ts\":1764000000123456,\"id\":\"x-1\",\"user\":\"44\","
    "\"assignments\":{\"e\":[\"treatment\",1,\"forced\"]},\"attributes\":{"
    "\"country\":\"N\\\"L\",\"age\":18.5,\"premium\":true},"
    "\"hash\":2,\"config\":\"9f00000000000000\","
    "\"model\":\"als:1c00000000000000\",\"items\":[\"7\"],\"scores\":[1.5],"
    "\"propensities\":[0.25]",
    "{\"type\":\"exposure\",\"ts\":1764000000123456,\"id\":\"x-1\",\"user\":\"44\","
    "\"assignments\":{},\"hash\":2,\"config\":\"9f00000000000000\","
    "\"model\":\"als:1c00000000000000\",\"items\":[\"7\"],\"scores\":[1.5],"
    "\"propensities\":[0.25]",
    "{\"type\":\"feedback\",\"ts\":5,\"id\":\"f\",\"user\":\"\\t\xEF\xBF\xBD\","
    "\"event\":\"click\"",
};

static void lines_stand_as_the_contract_says(void **state)
{
    (void)state;
    struct log_directory directory;
    log_directory_make(&directory);
    const struct log_options options = log_test_options(&directory);
    struct log *log = open_log(&options);
    struct log_shard *shard = log_shard_get(log, 0);
    struct event exposure = log_test_exposure(slice_of("x-1"));
    static const struct event_item sampled[] = {{{"7", 1}, 1.5, 0.25}};
    assert_int_equal(log_shard_append(shard, &exposure, NULL), 0);
    exposure.items = sampled;
    exposure.n_items = 1;
    exposure.latency_us = -1;
    static const struct event_assignment forced = {{"e", 1}, {"treatment", 9}, 1, true};
    exposure.assignments = &forced;
    exposure.n_assignments = 1;
    static const struct event_attribute attributes[] = {
        {.name = {"country", 7}, .type = EVENT_ATTRIBUTE_STRING, .text = {"N\"L", 3}},
        {.name = {"age", 3}, .type = EVENT_ATTRIBUTE_NUMBER, .number = 18.5},
        {.name = {"premium", 7}, .type = EVENT_ATTRIBUTE_BOOLEAN, .boolean = true}};
    exposure.attributes = attributes;
    exposure.n_attributes = 3;
    assert_int_equal(log_shard_append(shard, &exposure, NULL), 0);
    exposure.n_attributes = 0;
    exposure.n_assignments = 0;
    assert_int_equal(log_shard_append(shard, &exposure, NULL), 0);
    const struct event feedback = {.type = EVENT_FEEDBACK,
                                   .ts_us = 5,
                                   .id = {"f", 1},
                                   .user = {"\t\xFF", 2},
                                   .event = {"click", 5}};
    assert_int_equal(log_shard_append(shard, &feedback, NULL), 0);
    assert_int_equal(log_close(log, NULL), 0);
    char path[256];
    struct buffer text = {0};
    assert_int_equal(log_directory_each(&directory, ".jsonl", path), 1);
    assert_int_equal(file_read(path, 1 << 20, &text, NULL), 0);
    buffer_append_char(&text, '\0');
    char end[32];
    const char *line = text.data;
    assert_memory_equal(line, "{\"type\":\"config\",\"ts\":", 22);
    for (size_t i = 0; i < 4; i++) {
        const size_t len = strlen(contract_lines[i]);
        line = strchr(line, '\n') + 1;
        assert_memory_equal(line, contract_lines[i], len);
        snprintf(end, sizeof end, ",\"crc\":\"%08x\"}\n", crc32c(0, line, len));
        assert_memory_equal(line + len, end, strlen(end));
    }
    buffer_free(&text);
    log_directory_remove(&directory);
}

static void ids_are_unique_across_restarts_and_segments(void **state)
{
    (void)state;
    struct log_directory directory;
    log_directory_make(&directory);
    struct log_options options = log_test_options(&directory);
    options.segment_size = 2000;
    char first[EVENT_ID_SIZE], second[EVENT_ID_SIZE], node[9] = "";

    for (int run = 0; run < 3; run++) {
        struct log *log = open_log(&options);
        struct log_shard *shard = log_shard_get(log, 0);
        log_shard_next_id(shard, run == 0 ? first : second);
        assert_true(run == 0 || strcmp(first, second) != 0);
        assert_true(run == 0 || memcmp(node, second, 8) == 0);
        memcpy(node, first, 8);
        for (int i = 0; i < 20; i++) {
            append_new(shard, 3);
            assert_int_equal(log_shard_commit(shard, NULL), 0);
        }
        assert_int_equal(log_close(log, NULL), 0);
    }

    struct log_counts counts;
    const struct log_statistics s = log_count(directory.path, &counts);
    assert_int_equal(counts.n_exposure, 180);
    assert_int_equal(counts.n_config, s.n_segments);
    assert_true(s.n_segments >= 15);
    assert_int_equal(counts.n_damage, 0);
    log_directory_remove(&directory);
}

static void ids_of_the_writer_are_told_from_those_of_clients(void **state)
{
    (void)state;
    static const char *const of_clients[] = {
        "",        "9ea85988",       "9ea85988-1.0",    "9ea85988-1.0.",
        "7f9c",    "9ea8598-1.0.0",  "9ea859888-1.0.0", "9ea85988-1.0.0-satisfied",
        "abc-1.0", "9EA85988-1.0.0", "9ea85988-.0.0",   "9ea85988.1.0.0",
    };
    struct log_directory d;
    char id[EVENT_ID_SIZE];
    log_directory_make(&d);
    const struct log_options options = log_test_options(&d);
    struct log *log = open_log(&options);

    for (int i = 0; i < 20; i++) {
        const int len = log_shard_next_id(log_shard_get(log, 0), id);
        assert_true(log_is_own_id((struct slice){id, (size_t)len}));
    }
    for (size_t i = 0; i < sizeof of_clients / sizeof of_clients[0]; i++) {
        assert_false(log_is_own_id(slice_of(of_clients[i])));
    }

    assert_int_equal(log_close(log, NULL), 0);
    log_directory_remove(&d);
}

static void a_second_writer_is_refused(void **state)
{
    (void)state;
    struct log_directory directory;
    log_directory_make(&directory);
    const struct log_options options = log_test_options(&directory);
    struct log *log = open_log(&options), *second = NULL;
    struct error error = {0};

    assert_int_equal(log_open(&options, &second, &error), -1);
    assert_int_equal(error.code, ERROR_BUSY);
    assert_int_equal(log_close(log, NULL), 0);
    assert_int_equal(log_open(&options, &second, &error), 0);
    assert_int_equal(log_close(second, NULL), 0);

    log_directory_remove(&directory);
}

static void old_segments_can_be_left_out(void **state)
{
    (void)state;
    struct log_directory directory;
    char path[256];
    int64_t n = 0;
    log_directory_make(&directory);
    const struct log_options options = log_test_options(&directory);
    struct log *log = open_log(&options);
    append_new(log_shard_get(log, 0), 5);
    assert_int_equal(log_close(log, NULL), 0);
    assert_int_equal(log_directory_each(&directory, ".jsonl", path), 1);
    const struct timespec old[2] = {{.tv_sec = 1000000000}, {.tv_sec = 1000000000}};
    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    assert_int_equal(log_compact(directory.path, NULL, NULL, &n, NULL), 0);
    log = open_log(&options);
    append_new(log_shard_get(log, 0), 7);
    assert_int_equal(log_close(log, NULL), 0);

    struct log_counts counts = {0};
    struct log_visitor visitor = {.on_event = count_event, .context = &counts};
    visitor.since_us = 1000000001LL * 1000000;
    assert_int_equal(log_read(directory.path, &visitor, NULL, NULL), 0);
    assert_int_equal(counts.n_exposure, 7);
    visitor.since_us = 1000000000LL * 1000000;
    assert_int_equal(log_read(directory.path, &visitor, NULL, NULL), 0);
    assert_int_equal(counts.n_exposure, 7 + 12);

    log_directory_remove(&directory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_of_each_is_read_as_written),
        cmocka_unit_test(forced_arms_and_attributes_are_read_back),
        cmocka_unit_test(lines_stand_as_the_contract_says),
        cmocka_unit_test(ids_are_unique_across_restarts_and_segments),
        cmocka_unit_test(ids_of_the_writer_are_told_from_those_of_clients),
        cmocka_unit_test(a_second_writer_is_refused),
        cmocka_unit_test(old_segments_can_be_left_out),
    };
    return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
