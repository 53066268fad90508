#include "tests/testing.h"

#include <string.h>

#include "experiment/experiment.h"

static struct config *parse(const char *text)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    if (config_parse(slice_of(text), "test.ini", "", &config, &problems, &error) != 0) {
        fail_msg("%s", error.message);
    }
    config_problems_free(&problems);
    return config;
}

#define EXPERIMENT "[model m]\nfile = m\n[experiment e]\nstatus = running\n"
#define ARMS(a, b)                                                                     \
    "[arm e a]\nweight = " a "\nk = 5\n[arm e b]\nweight = " b "\nk = 6\n"
#define HALVES ARMS("0.5", "0.5")

/* What reload_count_moved says, held against a count over real units. */
static int moved(const char *before_text, const char *after_text)
{
    enum { N_UNITS = 40000 };
    struct config *before = parse(before_text), *after = parse(after_text);
    const int n_moved = reload_count_moved(before, 0, after, 0);
    int n_counted = 0;
    for (int i = 0; i < N_UNITS; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "%d", i);
        const struct assignment_request request = {slice_of(unit), 0, NULL};
        const int was = config_assign_one(before, 0, &request).arm;
        const int is = config_assign_one(after, 0, &request).arm;
        n_counted +=
            was != ARM_NONE &&
            (is == ARM_NONE || strcmp(before->experiments[0].arms[was].name,
                                      after->experiments[0].arms[is].name) != 0);
    }
    /* Six standard deviations of a count of N_UNITS coins, in buckets. */
    assert_close(n_moved, 10000.0 * n_counted / N_UNITS, 150);
    assert_int_equal(n_moved == 0, n_counted == 0);
    config_free(before);
    config_free(after);
    return n_moved;
}

static void what_moves_nobody_is_counted_as_0(void **state)
{
    (void)state;
    assert_int_equal(moved(EXPERIMENT HALVES, EXPERIMENT HALVES), 0);
    assert_int_equal(moved(EXPERIMENT "coverage = 0.2\n" HALVES,
                           EXPERIMENT "coverage = 0.7\n" HALVES),
                     0);
    assert_int_equal(moved(EXPERIMENT "layer = l 0.2 0.4\n" HALVES,
                           EXPERIMENT "layer = l 0.1 0.5\n" HALVES),
                     0);
    assert_int_equal(moved("[holdout]\nshare = 0.2\n" EXPERIMENT HALVES,
                           "[holdout]\nshare = 0.1\n" EXPERIMENT HALVES),
                     0);
    assert_int_equal(moved(EXPERIMENT "layer = l 0.2 0.4\n" HALVES, EXPERIMENT HALVES),
                     0);
}

static void what_moves_units_is_counted(void **state)
{
    (void)state;
    assert_int_equal(moved(EXPERIMENT HALVES, EXPERIMENT ARMS("0.4", "0.6")), 1000);
    assert_int_equal(moved(EXPERIMENT "coverage = 0.7\n" HALVES,
                           EXPERIMENT "coverage = 0.2\n" HALVES),
                     5000);
    assert_int_equal(moved(EXPERIMENT "layer = l 0.2 0.4\n" HALVES,
                           EXPERIMENT "layer = l 0.3 0.5\n" HALVES),
                     1000);
    assert_int_equal(moved(EXPERIMENT "layer = l 0 0.5\n" HALVES,
                           EXPERIMENT "layer = other 0 0.5\n" HALVES),
                     2500);
    assert_int_equal(
        moved(EXPERIMENT HALVES, "[holdout]\nshare = 0.1\n" EXPERIMENT HALVES), 1000);
    assert_int_equal(moved("[holdout]\nshare = 0.1\nseed = x\n" EXPERIMENT HALVES,
                           "[holdout]\nshare = 0.1\nseed = y\n" EXPERIMENT HALVES),
                     900);
    assert_int_equal(
        moved(EXPERIMENT HALVES, EXPERIMENT "namespace = n 0 0.4\n" HALVES), 6000);
    /* arms in another order */
    assert_int_equal(moved(EXPERIMENT "[arm e b]\nweight = 0.5\nk = 6\n"
                                      "[arm e a]\nweight = 0.5\nk = 5\n",
                           EXPERIMENT HALVES),
                     10000);
    /* an arm renamed */
    assert_int_equal(moved(EXPERIMENT HALVES,
                           EXPERIMENT "[arm e a]\nweight = 0.5\nk = 5\n"
                                      "[arm e c]\nweight = 0.5\nk = 6\n"),
                     5000);
}

static int check(const char *before_text, const char *after_text,
                 struct config_problems *problems)
{
    struct error error = {0};
    struct config *before = parse(before_text), *after = parse(after_text);
    const int rc = reload_check(before, after, "new.ini", problems, &error);
    assert_int_equal(error.code, rc == 0 ? ERROR_NONE : ERROR_INVALID);
    config_free(before);
    config_free(after);
    return rc;
}

static void a_move_is_refused_with_its_number(void **state)
{
    (void)state;
    struct config_problems problems = {0};

    assert_int_equal(check(EXPERIMENT HALVES, EXPERIMENT ARMS("0.4", "0.6"), &problems),
                     -1);

    assert_int_equal(problems.n, 1);
    assert_int_equal(problems.items[0].line, 3);
    assert_string_equal(problems.items[0].message,
                        "experiment \"e\" keeps its seed but would move 1000 of 10000 "
                        "buckets of units out of the arm they have (keep weights, arms "
                        "and ranges, or give it a new seed)");
    config_problems_free(&problems);
}

static void a_new_seed_a_draft_and_a_stop_may_change_all(void **state)
{
    (void)state;
    struct config_problems problems = {0};
    static const char draft[] = "[model m]\nfile = m\n[experiment e]\n" HALVES;
    static const char stopped[] =
        "[model m]\nfile = m\n[experiment e]\nstatus = stopped\n" HALVES;

    assert_int_equal(check(EXPERIMENT HALVES,
                           EXPERIMENT "seed = new\n" ARMS("0.4", "0.6"), &problems),
                     0);
    assert_int_equal(check(draft, EXPERIMENT ARMS("0.4", "0.6"), &problems), 0);
    assert_int_equal(check(EXPERIMENT HALVES, stopped, &problems), 0);
    assert_int_equal(check(EXPERIMENT HALVES, "[model m]\nfile = m\n", &problems), 0);
    assert_int_equal(check(stopped, EXPERIMENT ARMS("0.4", "0.6"), &problems), -1);
    config_problems_free(&problems);
}

static void an_audience_may_be_dropped_but_not_changed(void **state)
{
    (void)state;
    struct config_problems problems = {0};
    static const char nl[] =
        "[attributes]\nc = string\n" EXPERIMENT "audience = c = NL\n" HALVES;
    static const char za[] =
        "[attributes]\nc = string\n" EXPERIMENT "audience = c = ZA\n" HALVES;

    assert_int_equal(check(nl, nl, &problems), 0);
    assert_int_equal(check(nl, EXPERIMENT HALVES, &problems), 0);
    assert_int_equal(check(nl, za, &problems), -1);
    assert_int_equal(check(EXPERIMENT HALVES, za, &problems), -1);
    config_problems_free(&problems);
}

static void server_and_log_need_a_restart(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "[server]\nlisten = 127.0.0.1:1\n", "[server]\nthreads = 3\n",
        "[log]\ndirectory = other\n",       "[log]\nfsync = no\n",
        "[log]\nsegment_size = 1MiB\n",     "[log]\nsegment_age = 2h\n"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        char text[256];
        struct config_problems problems = {0};
        snprintf(text, sizeof text, "[model m]\nfile = m\n%s", lines[i]);
        assert_int_equal(check("[model m]\nfile = m\n", text, &problems), -1);
        assert_non_null(
            strstr(problems.items[0].message, "cannot change while the server runs"));
        config_problems_free(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_moves_nobody_is_counted_as_0),
        cmocka_unit_test(what_moves_units_is_counted),
        cmocka_unit_test(a_move_is_refused_with_its_number),
        cmocka_unit_test(a_new_seed_a_draft_and_a_stop_may_change_all),
        cmocka_unit_test(server_and_log_need_a_restart),
        cmocka_unit_test(an_audience_may_be_dropped_but_not_changed),
    };
    return cmocka_run_group_tests_name("config reload", tests, NULL, NULL);
}
