#include "tests/testing.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "experiment/experiment.h"
#include "tests/failing_alloc.h"

#define CASES TEST_DATA "/config"

static void append_problems(struct buffer *to, const char *name,
                            const struct config_problems *problems)
{
    for (int i = 0; i < problems->n; i++) {
        const struct config_problem *problem = &problems->items[i];
        buffer_printf(to, "%s:%d: %s%s\n", name, problem->line,
                      problem->is_warning ? "warning: " : "", problem->message);
    }
}

/* CASES/NAME.ini must give exactly the problems in CASES/NAME.expected, in order. */
static int check_case(const char *name)
{
    char path[512];
    struct buffer found = {0}, expected = {0};
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    snprintf(path, sizeof path, CASES "/%s.ini", name);
    const int rc = config_load(path, &config, &problems, &error);
    append_problems(&found, name, &problems);
    snprintf(path, sizeof path, CASES "/%s.expected", name);
    if (file_read(path, 1 << 20, &expected, &error) != 0) {
        print_error("%s\n", error.message);
    }
    const bool is_same = slice_equal(buffer_slice(&found), buffer_slice(&expected)) &&
                         (rc == 0) == (problems.n_errors == 0);
    if (!is_same) {
        print_error("%s.ini gives\n%.*sbut %s says\n%.*s", name, (int)found.len,
                    found.data ? found.data : "", path, (int)expected.len,
                    expected.data ? expected.data : "");
    }
    buffer_free(&found);
    buffer_free(&expected);
    config_problems_free(&problems);
    config_free(config);
    return is_same ? 0 : 1;
}

static void every_case_gives_its_problems(void **state)
{
    (void)state;
    int n_cases = 0, n_wrong = 0;
    DIR *directory = opendir(CASES);
    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory));) {
        char name[256];
        const size_t len = strlen(entry->d_name);
        if (len > 4 && strcmp(entry->d_name + len - 4, ".ini") == 0) {
            snprintf(name, sizeof name, "%.*s", (int)(len - 4), entry->d_name);
            n_wrong += check_case(name);
            n_cases++;
        }
    }
    closedir(directory);
    assert_true(n_cases >= 10);
    assert_int_equal(n_wrong, 0);
}

static struct config *parse(const char *text, const char *directory)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    if (config_parse(slice_of(text), "test.ini", directory, &config, &problems,
                     &error) != 0) {
        fail_msg("%s", error.message);
    }
    config_problems_free(&problems);
    return config;
}

static void everything_said_is_read(void **state)
{
    (void)state;
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    assert_int_equal(setenv("ABTEST_TEST_TOKEN", "s3cret", 1), 0);
    if (config_load(CASES "/good.ini", &config, &problems, &error) != 0) {
        fail_msg("%s", error.message);
    }
    const struct experiment *experiment = &config->experiments[0];

    assert_string_equal(config->server.host, "::1");
    assert_int_equal(config->server.port, 9090);
    assert_int_equal(config->server.threads, 3);
    assert_string_equal(config->server.admin_token, "s3cret");
    assert_string_equal(config->log.directory, "/var/log/abtest");
    assert_int_equal(config->log.fsync, FSYNC_ALWAYS);
    assert_true(config->log.segment_size == 64 << 20);
    assert_true(config->log.segment_age_us == INT64_C(90) * 60 * 1000000);
    assert_string_equal(config->data.ratings, CASES "/ratings.csv");
    assert_null(config->data.titles);
    assert_string_equal(config->models[1].name, "bpr");
    assert_string_equal(config->models[1].file, CASES "/bpr.model");
    assert_int_equal(config->serving.model, 1);
    assert_int_equal(config->serving.k, 25);
    assert_close(config->serving.item_bias, 0.25, 0);
    assert_int_equal(config->n_metrics, 3);
    assert_int_equal(config->metrics[0].kind, METRIC_PROPORTION);
    assert_true(config->metrics[0].window_us == INT64_C(7) * 86400 * 1000000);
    assert_int_equal(config->metrics[0].direction, DIRECTION_UP);
    assert_int_equal(config->metrics[1].kind, METRIC_QUANTILE);
    assert_close(config->metrics[1].quantile, 0.99, 0);
    assert_string_equal(config->metrics[2].denominator, "shown");
    assert_string_equal(experiment->hypothesis, "Less bias = more joy");
    assert_int_equal(experiment->status, STATUS_RUNNING);
    assert_string_equal(experiment->seed, "bias 2");
    assert_string_equal(experiment->layer, "ranking");
    assert_close(experiment->layer_end, 0.5, 0);
    assert_int_equal(experiment->primary, 0);
    assert_int_equal(experiment->n_guardrails, 2);
    assert_int_equal(experiment->guardrails[1], 2);
    assert_close(experiment->alpha, 0.01, 0);
    assert_true(experiment->sequential);
    assert_int_equal(experiment->arms[1].overrides, SERVING_ITEM_BIAS | SERVING_K);
    assert_int_equal(config_find_experiment(config, slice_of("nobody")), -1);
    assert_int_equal(experiment_find_arm(experiment, slice_of("treatment")), 1);
    config_problems_free(&problems);
    config_free(config);
}

static void what_is_not_said_has_its_default(void **state)
{
    (void)state;
    struct config *config = parse("[model m]\nfile = m.model\n", "dir");

    assert_string_equal(config->server.host, "127.0.0.1");
    assert_int_equal(config->server.port, 8080);
    assert_int_equal(config->server.threads, 0);
    assert_null(config->server.admin_token);
    assert_string_equal(config->log.directory, "dir/logs");
    assert_int_equal(config->log.fsync, FSYNC_EVERYSEC);
    assert_true(config->log.segment_size == 256 << 20);
    assert_true(config->log.segment_age_us == INT64_C(3600) * 1000000);
    assert_null(config->data.ratings);
    assert_int_equal(config->serving.model, 0);
    assert_int_equal(config->serving.k, 10);
    assert_close(config->serving.item_bias, 1, 0);
    assert_close(config->serving.explore, 0, 0);
    config_free(config);
}

static void text_and_hash_are_those_of_the_file(void **state)
{
    (void)state;
    static const char text[] = "[model m]\nfile = m.model\n";
    char hash[HASH_TEXT_LEN + 1];
    struct config *config = parse(text, "");
    hash_text(hash_bytes(text, strlen(text)), hash);

    assert_string_equal(config->text, text);
    assert_true(config->text_len == strlen(text));
    assert_string_equal(config->hash, hash);
    config_free(config);
}

static void the_error_tells_the_first_problem_and_how_many(void **state)
{
    (void)state;
    static const char text[] = "[model m]\nfile = m\n[serving]\nk = 0\nitem_bias = x\n";
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};

    assert_int_equal(
        config_parse(slice_of(text), "a.ini", "", &config, &problems, &error), -1);

    assert_int_equal(error.code, ERROR_INVALID);
    assert_string_equal(error.message,
                        "a.ini:4: k = 0 is out of range (between 1 and 1000); "
                        "and 1 more");
    assert_int_equal(problems.n_errors, 2);
    assert_null(config);
    config_problems_free(&problems);
}

static void environment_names_missing_files_and_tokens(void **state)
{
    (void)state;
    static const char text[] = "[server]\nadmin_token = env:ABTEST_NOT_SET\n"
                               "[data]\nratings = no.csv\n[model m]\nfile = no.model\n";
    struct config_problems problems = {0};
    struct buffer found = {0};
    struct error error = {0};
    struct config *config = parse(text, "/no/such");

    assert_int_equal(config_check_environment(config, "a.ini", &problems, &error), -1);

    append_problems(&found, "a.ini", &problems);
    buffer_append_char(&found, '\0');
    assert_string_equal(
        found.data,
        "a.ini:2: environment variable ABTEST_NOT_SET of admin_token is not set or "
        "empty (export it, or remove the key)\n"
        "a.ini:3: ratings /no/such/no.csv cannot be read: No such file or directory "
        "(paths are relative to the config's directory)\n"
        "a.ini:5: model file /no/such/no.model cannot be read: No such file or "
        "directory (paths are relative to the config's directory)\n");
    buffer_free(&found);
    config_problems_free(&problems);
    config_free(config);
}

static void any_bytes_are_read_or_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "\n",
        "[",
        "]",
        "[]",
        "[ ]",
        "=",
        "[model",
        "[a b c d]",
        "\xEF\xBB\xBF",
        "[server]\n=",
        "[server]\n = 3",
        "[arm a b]",
        "[experiment a]",
        "[force a b]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct config *config = NULL;
        struct config_problems problems = {0};
        struct error error = {0};
        assert_int_equal(
            config_parse(slice_of(texts[i]), "x", "", &config, &problems, &error), -1);
        assert_true(problems.n_errors > 0);
        config_problems_free(&problems);
    }
}

/* Good configs and bad ones, every allocation of theirs. Memory that is lost or used
 * after it is freed shows under the asan preset. */
static void every_failing_allocation_is_told(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "[model m]\nfile = m\n[attributes]\ncountry = string\n[holdout]\nshare = 0.1\n"
        "[metric p]\nkind = proportion\nevent = x\n[server]\nlisten = [::1]:1\n"
        "admin_token = env:X\nallow_origin = *\n"
        "[experiment e]\nhypothesis = h\naudience = country in (NL, ZA)\n"
        "layer = l 0 1\nnamespace = n 0 1\nprimary = p\nguardrails = p\n"
        "[arm e a]\nweight = 0.5\nk = 5\n[arm e b]\nweight = 0.5\n"
        "[force e]\n1 = a\n2 = b\n",
        "[model m]\n[sever]\n[serving]\nk = x\nk = 3\nq = 1\nno\n[arm e b]\n"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        for (long n = 0;; n++) {
            struct config *config = NULL;
            struct config_problems problems = {0};
            struct error error = {0};
            failing_alloc_at(n);
            const int rc = config_parse(slice_of(texts[i]), "x", "directory", &config,
                                        &problems, &error);
            const bool has_failed = failing_alloc_stop();
            assert_int_equal(error.code, has_failed ? ERROR_NOMEM
                                         : rc == 0  ? ERROR_NONE
                                                    : ERROR_INVALID);
            config_problems_free(&problems);
            config_free(config);
            if (!has_failed) {
                assert_true(n > 5);
                assert_int_equal(rc == 0, i == 0);
                break;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_case_gives_its_problems),
        cmocka_unit_test(everything_said_is_read),
        cmocka_unit_test(what_is_not_said_has_its_default),
        cmocka_unit_test(text_and_hash_are_those_of_the_file),
        cmocka_unit_test(the_error_tells_the_first_problem_and_how_many),
        cmocka_unit_test(environment_names_missing_files_and_tokens),
        cmocka_unit_test(any_bytes_are_read_or_refused),
        cmocka_unit_test(every_failing_allocation_is_told),
    };
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
