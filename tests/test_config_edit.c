#include "tests/testing.h"

#include <string.h>

#include "experiment/experiment.h"

static const char before[] = "; of a shop\n"
                             "[experiment a]\n"
                             "status = running   ; draft | running\n"
                             "coverage=0.5\n"
                             "[arm a status]\n"
                             "weight = 1\n"
                             "[ experiment  b ] ; another\n"
                             "hypothesis = status = good\n"
                             "status =\n";

static void edits_to(const char *name, const char *key, const char *value,
                     const char *expected)
{
    struct buffer out = {0};
    struct error error = {0};
    assert_int_equal(config_edit(slice_of(before), "experiment", slice_of(name), key,
                                 value, &out, &error),
                     0);
    buffer_append_char(&out, '\0');
    assert_string_equal(out.data, expected);
    buffer_free(&out);
}

static void edit_keeps_comments_and_everything_else(void **state)
{
    (void)state;
    edits_to("a", "status", "paused",
             "; of a shop\n"
             "[experiment a]\n"
             "status = paused   ; draft | running\n"
             "coverage=0.5\n"
             "[arm a status]\n"
             "weight = 1\n"
             "[ experiment  b ] ; another\n"
             "hypothesis = status = good\n"
             "status =\n");
    edits_to("a", "coverage", "1",
             "; of a shop\n"
             "[experiment a]\n"
             "status = running   ; draft | running\n"
             "coverage=1\n"
             "[arm a status]\n"
             "weight = 1\n"
             "[ experiment  b ] ; another\n"
             "hypothesis = status = good\n"
             "status =\n");
}

static void edit_adds_a_key_below_the_header(void **state)
{
    (void)state;
    edits_to("b", "coverage", "0.25",
             "; of a shop\n"
             "[experiment a]\n"
             "status = running   ; draft | running\n"
             "coverage=0.5\n"
             "[arm a status]\n"
             "weight = 1\n"
             "[ experiment  b ] ; another\n"
             "coverage = 0.25\n"
             "hypothesis = status = good\n"
             "status =\n");
}

static void edit_works_without_a_last_newline(void **state)
{
    (void)state;
    struct buffer out = {0};
    assert_int_equal(config_edit(slice_of("[experiment a]"), "experiment",
                                 slice_of("a"), "status", "paused", &out, NULL),
                     0);
    assert_true(slice_is(buffer_slice(&out), "[experiment a]\nstatus = paused\n"));
    buffer_clear(&out);
    assert_int_equal(config_edit(slice_of("[experiment a]\nstatus = x"), "experiment",
                                 slice_of("a"), "status", "paused", &out, NULL),
                     0);
    assert_true(slice_is(buffer_slice(&out), "[experiment a]\nstatus = paused"));
    buffer_free(&out);
}

static void edit_refuses_what_it_cannot_place(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct error error = {0};

    assert_int_equal(config_edit(slice_of(before), "experiment", slice_of("c"),
                                 "status", "paused", &out, &error),
                     -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_string_equal(error.message, "the config has no section [experiment c]");

    assert_int_equal(config_edit(slice_of(before), "experiment", slice_of("a"),
                                 "status", "x\n[server]", &out, &error),
                     -1);
    assert_int_equal(error.code, ERROR_INVALID);
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(edit_keeps_comments_and_everything_else),
        cmocka_unit_test(edit_adds_a_key_below_the_header),
        cmocka_unit_test(edit_works_without_a_last_newline),
        cmocka_unit_test(edit_refuses_what_it_cannot_place),
    };
    return cmocka_run_group_tests_name("config edit", tests, NULL, NULL);
}
