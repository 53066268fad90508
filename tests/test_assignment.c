#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "experiment/experiment.h"

/* Expected values: the same formula in Python over the code units of
 * str.encode("utf-16-le"), which is what charCodeAt gives the SDK. */
static void bucket_hashes_utf16_code_units(void **state)
{
    (void)state;
    const struct slice seed = slice_of("seed");

    assert_close(assignment_bucket(seed, slice_of("\u00E9")), 0.8663, 0);
    assert_close(assignment_bucket(seed, slice_of("\u65E5\u672C")), 0.9652, 0);
    assert_close(assignment_bucket(seed, slice_of("\U0001F600")), 0.4346, 0);
    assert_close(assignment_bucket(slice_of("\u043F\u0440\u0438\u0431\u043E\u0440"),
                                   slice_of("u\U0001F600"
                                            "1")),
                 0.944, 0);
    assert_close(assignment_bucket(seed, slice_of("a\uFFFD"
                                                  "b")),
                 0.7404, 0);
}

static void bucket_takes_a_bad_byte_for_the_replacement_character(void **state)
{
    (void)state;
    const struct slice seed = slice_of("seed");
    const double replaced = assignment_bucket(seed, slice_of("a\uFFFD"
                                                             "b"));

    assert_close(assignment_bucket(seed, slice_of("a\xFF"
                                                  "b")),
                 replaced, 0);
    assert_close(assignment_bucket(seed, slice_of("a\xC0"
                                                  "b")),
                 replaced, 0);
}

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

#define MODEL "[model m]\nfile = m\n"

#define TWO_ARMS                                                                       \
    "[arm e control]\nweight = 0.5\nitem_bias = 1\n"                                   \
    "[arm e treatment]\nweight = 0.5\nitem_bias = 0\n"

static int arm_of(const struct config *config, const char *unit)
{
    const struct assignment_request request = {slice_of(unit), 0, NULL};
    return config_assign_one(config, 0, &request).arm;
}

static void raising_the_coverage_moves_nobody(void **state)
{
    (void)state;
    struct config *low =
        parse(MODEL "[experiment e]\nstatus = running\ncoverage = 0.2\n" TWO_ARMS);
    struct config *high =
        parse(MODEL "[experiment e]\nstatus = running\ncoverage = 0.6\n" TWO_ARMS);
    int n_low = 0, n_high = 0;
    for (int i = 0; i < 10000; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "%d", i);
        const int before = arm_of(low, unit), after = arm_of(high, unit);
        n_low += before != ARM_NONE;
        n_high += after != ARM_NONE;
        assert_true(before == ARM_NONE || before == after);
    }
    assert_in_range(n_low, 1800, 2200); /* 5 standard deviations of 10000 units: 200 */
    assert_in_range(n_high, 5755, 6245);
    config_free(low);
    config_free(high);
}

static void disjoint_layer_ranges_share_no_unit(void **state)
{
    (void)state;
    struct config *config =
        parse(MODEL "[experiment e]\nstatus = running\nlayer = ranking 0 0.5\n" TWO_ARMS
                    "[experiment f]\nstatus = running\nlayer = ranking 0.5 1\n"
                    "[arm f a]\nweight = 0.3\nitem_bias = 1\n"
                    "[arm f b]\nweight = 0.7\nitem_bias = 0\n");
    int n_e = 0;
    for (int i = 0; i < 10000; i++) {
        char unit[16];
        snprintf(unit, sizeof unit, "%d", i);
        const bool in_e = arm_of(config, unit) != ARM_NONE;
        const struct assignment_request request = {slice_of(unit), 0, NULL};
        const bool in_f = config_assign_one(config, 1, &request).arm != ARM_NONE;
        assert_true(in_e != in_f);
        n_e += in_e;
    }
    assert_in_range(n_e, 4750, 5250);
    config_free(config);
}

static void only_running_experiments_and_named_units_get_an_arm(void **state)
{
    (void)state;
    static const char *const statuses[] = {"draft", "paused", "stopped"};
    for (int i = 0; i < 3; i++) {
        char text[512];
        snprintf(text, sizeof text, MODEL "[experiment e]\nstatus = %s\n" TWO_ARMS,
                 statuses[i]);
        struct config *config = parse(text);
        assert_int_equal(arm_of(config, "44"), ARM_NONE);
        config_free(config);
    }
    struct config *config = parse(MODEL "[experiment e]\nstatus = running\n" TWO_ARMS);
    const struct assignment_request no_one = {slice_of(""), 0, NULL};
    const struct assignment_request some_one = {slice_of("44"), 0, NULL};
    const struct assignment nobody = config_assign_one(config, 0, &no_one);
    const struct assignment somebody = config_assign_one(config, 0, &some_one);
    assert_int_equal(nobody.arm, ARM_NONE);
    assert_close(nobody.bucket, 0, 0);
    assert_close(nobody.probability, 0, 0);
    assert_int_not_equal(somebody.arm, ARM_NONE);
    assert_close(somebody.bucket, assignment_bucket(slice_of("e"), slice_of("44")), 0);
    assert_close(somebody.probability, 0.5, 0);
    config_free(config);
}

static void resolve_lets_arms_override_serving(void **state)
{
    (void)state;
    struct config *config =
        parse("[model a]\nfile = a\n[model b]\nfile = b\n"
              "[serving]\nmodel = a\nk = 7\nitem_bias = 0.5\n"
              "[experiment e]\nstatus = running\n"
              "[arm e control]\nweight = 0.5\n"
              "[arm e treatment]\nweight = 0.5\nmodel = b\nexplore = 0.2\n"
              "[experiment f]\nstatus = running\n"
              "[arm f control]\nweight = 0.5\n"
              "[arm f treatment]\nweight = 0.5\nk = 20\nitem_bias = 0\n");

    const struct serving none = config_resolve(config, (int[]){ARM_NONE, ARM_NONE});
    const struct serving both = config_resolve(config, (int[]){1, 1});

    assert_int_equal(none.model, 0);
    assert_int_equal(none.k, 7);
    assert_close(none.item_bias, 0.5, 0);
    assert_close(none.explore, 0, 0);
    assert_int_equal(both.model, 1);
    assert_int_equal(both.k, 20);
    assert_close(both.item_bias, 0, 0);
    assert_close(both.explore, 0.2, 0);
    config_free(config);
}

static struct assignment assign_at(const struct config *config, const char *unit,
                                   int64_t now_us,
                                   const struct attribute_value *attributes)
{
    const struct assignment_request request = {slice_of(unit), now_us, attributes};
    return config_assign_one(config, 0, &request);
}

static void a_held_out_unit_is_in_no_experiment(void **state)
{
    (void)state;
    struct config *config =
        parse(MODEL "[holdout]\nshare = 0.1\nseed = h\n"
                    "[experiment e]\nstatus = running\n" TWO_ARMS
                    "[experiment f]\nstatus = running\n"
                    "[arm f a]\nweight = 0.5\nk = 5\n[arm f b]\nweight = 0.5\n");
    int n_held_out = 0;
    for (int i = 0; i < 10000; i++) {
        char unit[16];
        struct assignment both[2];
        snprintf(unit, sizeof unit, "%d", i);
        const struct assignment_request request = {slice_of(unit), 0, NULL};
        config_assign(config, &request, both);
        const bool held_out = assignment_bucket(slice_of("h"), slice_of(unit)) < 0.1;
        assert_int_equal(both[0].reason == REASON_HELD_OUT, held_out);
        assert_int_equal(both[0].arm == ARM_NONE, held_out);
        assert_int_equal(both[1].arm == ARM_NONE, held_out);
        n_held_out += held_out;
    }
    assert_in_range(n_held_out, 850, 1150); /* 5 standard deviations */
    config_free(config);
}

static void a_forced_unit_gets_its_arm_whatever_else_holds(void **state)
{
    (void)state;
    struct config *config =
        parse(MODEL "[holdout]\nshare = 1\n[attributes]\ncountry = string\n"
                    "[experiment e]\nstatus = running\ncoverage = 0\n"
                    "audience = country = NL\nlayer = l 0 0.001\n" TWO_ARMS
                    "[force e]\n44 = treatment\nuser:7 = control\na%3Db = treatment\n");

    const struct assignment forced = assign_at(config, "44", 0, NULL);
    assert_int_equal(forced.arm, 1);
    assert_int_equal(forced.reason, REASON_FORCED);
    assert_close(forced.probability, 1, 0);
    assert_int_equal(assign_at(config, "user:7", 0, NULL).arm, 0);
    assert_int_equal(assign_at(config, "a=b", 0, NULL).arm, 1);
    assert_int_equal(assign_at(config, "45", 0, NULL).reason, REASON_HELD_OUT);
    config_free(config);

    config = parse(MODEL "[experiment e]\nstatus = paused\n" TWO_ARMS
                         "[force e]\n44 = treatment\n");
    assert_int_equal(assign_at(config, "44", 0, NULL).reason, REASON_NOT_RUNNING);
    config_free(config);
}

static void an_experiment_takes_units_from_its_start_until_before_its_end(void **state)
{
    (void)state;
    struct config *config =
        parse(MODEL "[experiment e]\nstatus = running\nstart = 2026-03-01T01:00:00Z\n"
                    "end = 2026-03-02\n" TWO_ARMS);
    /* date -u -d 2026-03-01T01:00:00Z +%s; and of 2026-03-02 */
    const int64_t start = INT64_C(1772326800) * 1000000;
    const int64_t end = INT64_C(1772409600) * 1000000;

    assert_int_equal(assign_at(config, "44", start - 1, NULL).reason,
                     REASON_NOT_STARTED);
    assert_int_equal(assign_at(config, "44", start, NULL).reason, REASON_SPLIT);
    assert_int_equal(assign_at(config, "44", end - 1, NULL).reason, REASON_SPLIT);
    assert_int_equal(assign_at(config, "44", end, NULL).reason, REASON_ENDED);
    config_free(config);
}

static void a_namespace_takes_the_units_of_growthbooks(void **state)
{
    (void)state;
    struct config *config = parse(MODEL "[experiment e]\nstatus = running\n"
                                        "namespace = namespace2 0 0.4\n" TWO_ARMS);

    /* inNamespace of cases.json: users 1 and 2 are not in it, 3 and 4 are */
    assert_int_equal(assign_at(config, "1", 0, NULL).reason, REASON_NAME_SPACE);
    assert_int_equal(assign_at(config, "2", 0, NULL).reason, REASON_NAME_SPACE);
    assert_int_equal(assign_at(config, "3", 0, NULL).reason, REASON_SPLIT);
    assert_int_equal(assign_at(config, "4", 0, NULL).reason, REASON_SPLIT);
    config_free(config);
}

/* A smaller bench/bench_assignment_uniformity: 200,000 users, a few seeds. Bounds are
 * those of chi-square at p = 1e-6, so that a sound hash fails once in 100,000 runs of
 * all; the ids are fixed, so it does so always or never. */
static void buckets_are_uniform_and_seeds_independent(void **state)
{
    (void)state;
    enum { N_USERS = 200000, N_SEEDS = 4 };
    static const char *const seeds[N_SEEDS] = {"item-bias", "item-bias-2", "a", "b"};
    double by_seed[N_SEEDS][100] = {{0}}, by_pair[100] = {0}, by_modulo[70] = {0};
    for (int i = 0; i < N_USERS; i++) {
        char unit[16];
        int bucket[N_SEEDS];
        snprintf(unit, sizeof unit, "%d", i);
        for (int s = 0; s < N_SEEDS; s++) {
            bucket[s] =
                (int)(assignment_bucket(slice_of(seeds[s]), slice_of(unit)) * 100);
            by_seed[s][bucket[s]]++;
        }
        by_pair[bucket[0] / 10 * 10 + bucket[1] / 10]++;
        by_modulo[i % 7 * 10 + bucket[0] / 10]++;
    }
    double chi_square[N_SEEDS + 2] = {0};
    for (int i = 0; i < 100; i++) {
        const double expected = N_USERS / 100.0;
        for (int s = 0; s < N_SEEDS; s++) {
            chi_square[s] += pow(by_seed[s][i] - expected, 2) / expected;
        }
        chi_square[N_SEEDS] += pow(by_pair[i] - expected, 2) / expected;
    }
    for (int i = 0; i < 70; i++) {
        const double expected = N_USERS / 70.0;
        chi_square[N_SEEDS + 1] += pow(by_modulo[i] - expected, 2) / expected;
    }
    for (int t = 0; t < N_SEEDS + 1; t++) {
        assert_true(chi_square[t] < 180.79); /* R: qchisq(1e-6, 99, lower = FALSE) */
    }
    assert_true(chi_square[N_SEEDS + 1] < 139.83); /* and of 69 degrees of freedom */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_hashes_utf16_code_units),
        cmocka_unit_test(bucket_takes_a_bad_byte_for_the_replacement_character),
        cmocka_unit_test(raising_the_coverage_moves_nobody),
        cmocka_unit_test(disjoint_layer_ranges_share_no_unit),
        cmocka_unit_test(only_running_experiments_and_named_units_get_an_arm),
        cmocka_unit_test(resolve_lets_arms_override_serving),
        cmocka_unit_test(a_held_out_unit_is_in_no_experiment),
        cmocka_unit_test(a_forced_unit_gets_its_arm_whatever_else_holds),
        cmocka_unit_test(an_experiment_takes_units_from_its_start_until_before_its_end),
        cmocka_unit_test(a_namespace_takes_the_units_of_growthbooks),
        cmocka_unit_test(buckets_are_uniform_and_seeds_independent),
    };
    return cmocka_run_group_tests_name("assignment", tests, NULL, NULL);
}
