/* `abtest stat` with each allocation failing in turn: every example of docs/stat.md is
 * then answered with an error that says so, or not at all; nothing leaks (the asan
 * preset watches). What the answers should be, e2e_stat.sh checks. */
#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/stat_problem.h"
#include "tests/failing_alloc.h"

static long n_failures; /* of all examples together */

static void fail_each(const char *problem, size_t len)
{
    struct buffer whole = {0};
    const int rc_whole = stat_answer_line(problem, len, &whole);
    for (long n = 0;; n++) {
        struct buffer line = {0};
        failing_alloc_at(n);
        const int rc = stat_answer_line(problem, len, &line);
        const bool has_failed = failing_alloc_stop();
        buffer_append_char(&line, '\0');
        if (!line.failed && rc == rc_whole) {
            /* What the failure did not keep from being answered is answered as ever. */
            assert_int_equal(line.len, whole.len + 1);
            assert_memory_equal(line.data, whole.data, whole.len);
        } else if (!line.failed) {
            assert_int_equal(rc, -1);
            assert_non_null(strstr(line.data, "\"error\":"));
            assert_non_null(strstr(line.data, "memory"));
        }
        buffer_free(&line);
        if (!has_failed) {
            assert_int_equal(rc, rc_whole);
            break;
        }
        n_failures++;
    }
    buffer_free(&whole);
}

/* The first line of each example is the problem. */
static void every_example_survives_every_failing_allocation(void **state)
{
    (void)state;
    FILE *doc = fopen(TEST_DATA "/../../docs/stat.md", "r");
    char *line = NULL;
    size_t capacity = 0;
    bool is_problem = false;
    int n_problems = 0;
    ssize_t len = 0;
    assert_non_null(doc);
    while ((len = getline(&line, &capacity, doc)) > 0) {
        if (is_problem) {
            fail_each(line, (size_t)len);
            n_problems++;
        }
        is_problem = strcmp(line, "```json\n") == 0;
    }
    free(line);
    fclose(doc);
    assert_true(n_problems >= 50);
    assert_true(n_failures > 3 * n_problems);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_example_survives_every_failing_allocation),
    };
    return cmocka_run_group_tests_name("stat line", tests, NULL, NULL);
}
