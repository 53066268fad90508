#include "tests/testing.h"

#include <jansson.h>
#include <string.h>

#include "report/json_writer.h"
#include "report/report_formats.h"
#include "report/table.h"
#include "tests/analysis_testing.h"

static void json_writer_minds_commas_and_nan(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct json_writer json = {.out = &out};

    json_open(&json, NULL, '{');
    json_text(&json, "a", "x\"y");
    json_number(&json, "b", (double)NAN);
    json_open(&json, "c", '[');
    json_close(&json, ']');
    json_open(&json, "d", '[');
    json_int(&json, NULL, 1);
    json_int(&json, NULL, -2);
    json_close(&json, ']');
    json_bool(&json, "e", true);
    json_text(&json, "f", NULL);
    json_close(&json, '}');
    buffer_append_char(&out, '\0');

    assert_string_equal(out.data, "{\n"
                                  "  \"a\": \"x\\\"y\",\n"
                                  "  \"b\": null,\n"
                                  "  \"c\": [],\n"
                                  "  \"d\": [\n    1,\n    -2\n  ],\n"
                                  "  \"e\": true,\n"
                                  "  \"f\": null\n"
                                  "}");
    buffer_free(&out);
}

static void table_aligns_by_characters_not_bytes(void **state)
{
    (void)state;
    struct buffer out = {0};
    struct table table = {.align = "lr"};

    table_cell(&table, "arm");
    table_cell(&table, "n");
    table_cell(&table, "caf\xC3\xA9");
    table_cell(&table, "10");
    table_write_text(&table, 1, &out);
    table_cell(&table, "a|b");
    table_cell(&table, "c");
    table_write_markdown(&table, &out);
    buffer_append_char(&out, '\0');

    assert_string_equal(out.data, " arm    n\n caf\xC3\xA9  10\n"
                                  "| a\\|b | c |\n|---|---:|\n");
    buffer_free(&out);
}

static void words_name_windows_and_times(void **state)
{
    (void)state;
    char text[REPORT_WORD_SIZE];

    report_window(7 * TRIAL_DAY, text);
    assert_string_equal(text, "7 d");
    report_window(36 * TRIAL_HOUR, text);
    assert_string_equal(text, "36 h");
    report_window(0, text);
    assert_string_equal(text, "without limit");
    report_time(TRIAL_START, text);
    assert_string_equal(text, "2025-11-24 16:00:00 UTC");
    report_time(-1, text);
    assert_string_equal(text, "1969-12-31 23:59:59 UTC");
}

static void numbers_read_as_people_write_them(void **state)
{
    (void)state;
    char text[NUMBER_TEXT_SIZE];

    number_text_value(ANALYSIS_PROPORTION, 0.449, text);
    assert_string_equal(text, "44.90 %");
    number_text_effect(ANALYSIS_MEAN, -1.23456, text);
    assert_string_equal(text, "-1.235");
    number_text_effect(ANALYSIS_MEAN, (double)NAN, text);
    assert_string_equal(text, NUMBER_TEXT_NONE);
    number_text_interval(ANALYSIS_PROPORTION, -0.01, 0.02, text);
    assert_string_equal(text, "-1.00 to +2.00 points");
    number_text_p(0, -412.34, text);
    assert_string_equal(text, "p = 10^-412.3");
    number_text_p(0, -(double)INFINITY, text);
    assert_string_equal(text, "p < 1e-300");
    number_text_p((double)NAN, (double)NAN, text);
    assert_string_equal(text, "not testable");
}

/* Names that a file may hold must not break out of any format. */
static struct analysis *awkward_analysis(struct analysis_experiment *spec)
{
    static const struct analysis_arm arms[] = {{"a,\"b\"", 0.5}, {"x|<y>", 0.5}};
    static struct analysis_metric metric;
    metric = trial_metric;
    metric.name = "m,1";
    const struct evidence evidence = {.fingerprint = 1};
    struct analysis *analysis = analysis_new(&evidence, 1);
    struct unit_table table = {.n_metrics = 1};
    struct unit_metric column = {0};
    table.metrics = &column;
    *spec = trial_experiment(&metric, 1);
    spec->arms = arms;
    assert_non_null(analysis);
    assert_int_equal(analysis_run(analysis, 0, spec, &table, NULL), 0);
    return analysis;
}

static void reports_escape_awkward_names(void **state)
{
    (void)state;
    struct analysis_experiment spec;
    struct analysis *analysis = awkward_analysis(&spec);
    struct buffer text = {0};

    json_t *root = json_loads(trial_report(analysis, REPORT_JSON, &text), 0, NULL);
    assert_non_null(root);
    const json_t *experiment = json_array_get(json_object_get(root, "experiments"), 0);
    assert_string_equal(json_string_value(json_object_get(experiment, "verdict")),
                        "no data");
    json_decref(root);
    assert_non_null(strstr(trial_report(analysis, REPORT_CSV, &text),
                           "bias,no data,\"m,1\",primary,proportion,\"a,\"\"b\"\"\","));
    assert_non_null(strstr(trial_report(analysis, REPORT_MARKDOWN, &text), "x\\|"));
    assert_null(strstr(trial_report(analysis, REPORT_TEXT, &text), "\033["));
    buffer_free(&text);
    analysis_free(analysis);
}

static void text_is_coloured_only_when_asked(void **state)
{
    (void)state;
    struct analysis_experiment spec;
    struct analysis *analysis = awkward_analysis(&spec);
    const struct report_style style = {true};
    struct buffer text = {0};

    assert_int_equal(report_write(analysis, REPORT_TEXT, &style, &text, NULL), 0);
    buffer_append_char(&text, '\0');

    assert_non_null(strstr(text.data, "\033["));
    buffer_free(&text);
    analysis_free(analysis);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_writer_minds_commas_and_nan),
        cmocka_unit_test(table_aligns_by_characters_not_bytes),
        cmocka_unit_test(words_name_windows_and_times),
        cmocka_unit_test(numbers_read_as_people_write_them),
        cmocka_unit_test(reports_escape_awkward_names),
        cmocka_unit_test(text_is_coloured_only_when_asked),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
