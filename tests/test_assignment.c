#include "tests/testing.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/experiment.h"

/* GrowthBook's published vectors: the shared copy of the whole file where there is one,
 * else the part of it that stands in tests/data. */
static json_t *load_vectors(const char *list)
{
    const char *path = SHARED_DATA "/growthbook/cases.json";
    json_error_t error;
    if (access(path, F_OK) != 0) {
        path = TEST_DATA "/growthbook/vectors.json";
    }
    json_t *root = json_load_file(path, 0, &error);
    if (!root) {
        fail_msg("%s:%d: %s", path, error.line, error.text);
    }
    json_t *vectors = json_incref(json_object_get(root, list));
    json_decref(root);
    assert_true(json_is_array(vectors));
    return vectors;
}

static struct slice slice_of_json(const json_t *text)
{
    return (struct slice){json_string_value(text), json_string_length(text)};
}

static void bucket_is_growthbooks_hash_version_2(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("hash");
    size_t index = 0;
    int n_checked = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const json_t *expected = json_array_get(vector, 3);
        if (json_integer_value(json_array_get(vector, 2)) != 2) {
            continue;
        }
        const double bucket =
            assignment_bucket(slice_of_json(json_array_get(vector, 0)),
                              slice_of_json(json_array_get(vector, 1)));
        assert_close(bucket, json_number_value(expected), 0);
        n_checked++;
    }
    assert_true(n_checked >= 6); /* the file has not lost them */
    json_decref(vectors);
}

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

static void ranges_are_growthbooks_to_the_last_bit(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("getBucketRange");
    size_t index = 0;
    json_t *vector = NULL;
    int n_checked = 0;
    json_array_foreach(vectors, index, vector)
    {
        /* [name, [n_variations, coverage, weights or null], ranges] */
        const json_t *input = json_array_get(vector, 1);
        const json_t *ranges = json_array_get(vector, 2);
        const json_t *weights = json_array_get(input, 2);
        const double coverage = json_number_value(json_array_get(input, 1));
        const size_t n = (size_t)json_integer_value(json_array_get(input, 0));
        double sum = 0;
        for (size_t i = 0; i < json_array_size(weights); i++) {
            sum += json_number_value(json_array_get(weights, i));
        }
        /* What the SDK mends silently (weights of another sum or number, a coverage
         * outside [0, 1]) a config may not hold. */
        if (coverage < 0 || coverage > 1 ||
            (json_is_array(weights) &&
             (json_array_size(weights) != n || fabs(sum - 1) > 1e-6))) {
            continue;
        }
        char text[1024];
        int len = snprintf(text, sizeof text,
                           MODEL "[experiment e]\nstatus = running\ncoverage = %.17g\n",
                           coverage);
        for (size_t i = 0; i < n; i++) {
            const double weight = json_is_array(weights)
                                      ? json_number_value(json_array_get(weights, i))
                                      : 1.0 / (double)n;
            len += snprintf(text + len, sizeof text - (size_t)len,
                            "[arm e a%zu]\nweight = %.17g\n", i, weight);
        }
        struct config *config = parse(text);
        for (size_t i = 0; i < n; i++) {
            const struct arm *arm = &config->experiments[0].arms[i];
            const json_t *range = json_array_get(ranges, i);
            /* The published ranges are rounded to six decimals. */
            assert_close(arm->range_start, json_number_value(json_array_get(range, 0)),
                         5e-7);
            assert_close(arm->range_end, json_number_value(json_array_get(range, 1)),
                         5e-7);
        }
        config_free(config);
        n_checked++;
    }
    assert_true(n_checked >= 6);
    json_decref(vectors);
}

#define TWO_ARMS                                                                       \
    "[arm e control]\nweight = 0.5\nitem_bias = 1\n"                                   \
    "[arm e treatment]\nweight = 0.5\nitem_bias = 0\n"

static int arm_of(const struct config *config, const char *unit)
{
    return experiment_assign(&config->experiments[0], slice_of(unit)).arm;
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
        const bool in_f =
            experiment_assign(&config->experiments[1], slice_of(unit)).arm != ARM_NONE;
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
    const struct assignment nobody =
        experiment_assign(&config->experiments[0], slice_of(""));
    const struct assignment somebody =
        experiment_assign(&config->experiments[0], slice_of("44"));
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_is_growthbooks_hash_version_2),
        cmocka_unit_test(bucket_hashes_utf16_code_units),
        cmocka_unit_test(bucket_takes_a_bad_byte_for_the_replacement_character),
        cmocka_unit_test(ranges_are_growthbooks_to_the_last_bit),
        cmocka_unit_test(raising_the_coverage_moves_nobody),
        cmocka_unit_test(disjoint_layer_ranges_share_no_unit),
        cmocka_unit_test(only_running_experiments_and_named_units_get_an_arm),
        cmocka_unit_test(resolve_lets_arms_override_serving),
    };
    return cmocka_run_group_tests_name("assignment", tests, NULL, NULL);
}
