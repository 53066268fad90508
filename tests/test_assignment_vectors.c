/* GrowthBook's published vectors against bucket.h, function by function. */
#include "tests/testing.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "experiment/bucket.h"

#define MAX_ARMS 16

/* The shared copy of the whole file where there is one, else the part of it that stands
 * in tests/data. */
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
    assert_true(json_array_size(vectors) > 0);
    return vectors;
}

static struct slice slice_of_json(const json_t *text)
{
    return (struct slice){json_string_value(text), json_string_length(text)};
}

static double number_at(const json_t *array, size_t index)
{
    return json_number_value(json_array_get(array, index));
}

/* [seed, value, version, bucket or null]; versions but 1 and 2 give null. */
static void hash_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("hash");
    size_t index = 0;
    int n_of_version[3] = {0};
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const struct slice seed = slice_of_json(json_array_get(vector, 0));
        const struct slice unit = slice_of_json(json_array_get(vector, 1));
        const json_int_t version = json_integer_value(json_array_get(vector, 2));
        if (version == 2) {
            assert_close(bucket_number(bucket_state(seed), unit) / 10000.0,
                         number_at(vector, 3), 0);
        } else if (version == 1) {
            assert_close(bucket_version_1(seed, unit), number_at(vector, 3), 0);
        } else {
            continue;
        }
        n_of_version[version]++;
    }
    assert_true(n_of_version[1] >= 7 && n_of_version[2] >= 7);
    json_decref(vectors);
}

static int read_ranges(const json_t *from, struct bucket_range ranges[MAX_ARMS])
{
    const size_t n = json_array_size(from);
    assert_true(n <= MAX_ARMS);
    for (size_t i = 0; i < n; i++) {
        const json_t *range = json_array_get(from, i);
        ranges[i] = (struct bucket_range){number_at(range, 0), number_at(range, 1)};
    }
    return (int)n;
}

/* [name, [n, coverage, weights or null], ranges], the ranges rounded to six decimals.
 * Weights of another number than n are what no caller of bucket_ranges can pass; the
 * SDKs replace them by equal ones, which NULL asks for. */
static void get_bucket_range_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("getBucketRange");
    size_t index = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const json_t *input = json_array_get(vector, 1);
        const json_t *given = json_array_get(input, 2);
        const int n = (int)json_integer_value(json_array_get(input, 0));
        double weights[MAX_ARMS];
        struct bucket_range expected[MAX_ARMS], ranges[MAX_ARMS];
        for (size_t i = 0; i < json_array_size(given); i++) {
            weights[i] = number_at(given, i);
        }
        assert_int_equal(read_ranges(json_array_get(vector, 2), expected), n);

        bucket_ranges(n, number_at(input, 1),
                      json_array_size(given) == (size_t)n ? weights : NULL, ranges);

        for (int i = 0; i < n; i++) {
            assert_close(ranges[i].start, expected[i].start, 5e-7);
            assert_close(ranges[i].end, expected[i].end, 5e-7);
        }
    }
    json_decref(vectors);
}

/* [name, bucket, ranges, index] */
static void choose_variation_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("chooseVariation");
    size_t index = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        struct bucket_range ranges[MAX_ARMS];
        const int n = read_ranges(json_array_get(vector, 2), ranges);
        assert_int_equal(bucket_choose(number_at(vector, 1), n, ranges),
                         json_integer_value(json_array_get(vector, 3)));
    }
    json_decref(vectors);
}

/* [name, unit, [namespace, start, end], expected] */
static void in_namespace_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("inNamespace");
    size_t index = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const json_t *space = json_array_get(vector, 2);
        const struct bucket_range range = {number_at(space, 1), number_at(space, 2)};
        assert_int_equal(bucket_in_namespace(slice_of_json(json_array_get(vector, 1)),
                                             slice_of_json(json_array_get(space, 0)),
                                             range),
                         json_is_true(json_array_get(vector, 3)));
    }
    json_decref(vectors);
}

/* [n, weights], rounded to eight decimals */
static void get_equal_weights_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("getEqualWeights");
    size_t index = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const json_t *expected = json_array_get(vector, 1);
        double weights[MAX_ARMS] = {0};
        bucket_equal_weights((int)json_integer_value(json_array_get(vector, 0)),
                             weights);
        for (size_t i = 0; i < json_array_size(expected); i++) {
            assert_close(weights[i], number_at(expected, i), 5e-9);
        }
        assert_close(weights[json_array_size(expected)], 0, 0);
    }
    json_decref(vectors);
}

/* Of a `run` case, what an experiment of a config can say too: unit, seed, weights,
 * coverage, ranges, filters on the unit, namespace. The cases use hash version 1 unless
 * they say otherwise, so the test picks the hash. */
struct run_case {
    struct slice unit, seed;
    bool is_version_2;
    int n;
    struct bucket_range ranges[MAX_ARMS];
    const json_t *filters, *name_space;
};

static bool is_in_ranges(const json_t *from, double bucket)
{
    struct bucket_range ranges[MAX_ARMS];
    return bucket_choose(bucket, read_ranges(from, ranges), ranges) >= 0;
}

/* The arm, or -1 when the unit takes no part. */
static int run(const struct run_case *c)
{
    size_t index = 0;
    json_t *filter = NULL;
    if (c->unit.len == 0 || c->n < 2) {
        return -1;
    }
    json_array_foreach(c->filters, index, filter)
    {
        const struct slice seed = slice_of_json(json_object_get(filter, "seed"));
        const double bucket = bucket_number(bucket_state(seed), c->unit) / 10000.0;
        if (!is_in_ranges(json_object_get(filter, "ranges"), bucket)) {
            return -1;
        }
    }
    if (c->name_space && !c->filters) {
        const struct bucket_range range = {number_at(c->name_space, 1),
                                           number_at(c->name_space, 2)};
        if (!bucket_in_namespace(
                c->unit, slice_of_json(json_array_get(c->name_space, 0)), range)) {
            return -1;
        }
    }
    const double bucket = c->is_version_2
                              ? bucket_number(bucket_state(c->seed), c->unit) / 10000.0
                              : bucket_version_1(c->seed, c->unit);
    return bucket_choose(bucket, c->n, c->ranges);
}

/* Keys of a case that a config has no word for: conditions of another language, URLs,
 * sticky buckets, other hash attributes, prerequisites. */
static bool is_applicable(const json_t *context, const json_t *experiment)
{
    static const char *const context_keys[] = {"url",    "enabled",  "forcedVariations",
                                               "qaMode", "features", "savedGroups"};
    static const char *const experiment_keys[] = {"condition", "active", "force",
                                                  "parentConditions", "hashAttribute"};
    for (size_t i = 0; i < sizeof context_keys / sizeof *context_keys; i++) {
        if (json_object_get(context, context_keys[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < sizeof experiment_keys / sizeof *experiment_keys; i++) {
        if (json_object_get(experiment, experiment_keys[i])) {
            return false;
        }
    }
    size_t index = 0;
    json_t *filter = NULL;
    json_array_foreach(json_object_get(experiment, "filters"), index, filter)
    {
        if (json_object_get(filter, "attribute")) {
            return false;
        }
    }
    return true;
}

/* `key` is the seed where the experiment has neither seed nor key. */
static struct run_case read_case(const json_t *context, const json_t *experiment,
                                 const json_t *key)
{
    const json_t *unit = json_object_get(json_object_get(context, "attributes"), "id");
    const json_t *seed = json_object_get(experiment, "seed");
    const json_t *coverage = json_object_get(experiment, "coverage");
    const json_t *given = json_object_get(experiment, "weights");
    const json_t *ranges = json_object_get(experiment, "ranges");
    double weights[MAX_ARMS];
    struct run_case c = {
        .unit = slice_of_json(unit), /* empty when it is no string */
        .seed = slice_of_json(seed ? seed : key),
        .is_version_2 =
            json_integer_value(json_object_get(experiment, "hashVersion")) == 2,
        .n = (int)json_array_size(json_object_get(experiment, "variations")),
        .filters = json_object_get(experiment, "filters"),
        .name_space = json_object_get(experiment, "namespace"),
    };
    for (size_t i = 0; i < json_array_size(given); i++) {
        weights[i] = number_at(given, i);
    }
    if (ranges) {
        assert_int_equal(read_ranges(ranges, c.ranges), c.n);
    } else {
        bucket_ranges(c.n, coverage ? json_number_value(coverage) : 1,
                      given ? weights : NULL, c.ranges);
    }
    return c;
}

/* [name, context, experiment, value, in experiment, hash used] */
static void applicable_run_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("run");
    size_t index = 0;
    int n_checked = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        const json_t *context = json_array_get(vector, 1);
        const json_t *experiment = json_array_get(vector, 2);
        if (!is_applicable(context, experiment)) {
            continue;
        }
        const struct run_case c =
            read_case(context, experiment, json_object_get(experiment, "key"));
        const int arm = run(&c);
        const json_t *value = json_array_get(json_object_get(experiment, "variations"),
                                             arm < 0 ? 0 : (size_t)arm);
        if ((arm >= 0) != json_is_true(json_array_get(vector, 4)) ||
            !json_equal(value, json_array_get(vector, 3))) {
            fail_msg("run: %s", json_string_value(json_array_get(vector, 0)));
        }
        n_checked++;
    }
    assert_true(n_checked >= 45);
    json_decref(vectors);
}

/* [name, context, feature, answer]. Applicable: the feature's first rule is an
 * experiment that a config could hold, with no rule before it to pass through. */
static void applicable_feature_vectors_hold(void **state)
{
    (void)state;
    json_t *vectors = load_vectors("feature");
    size_t index = 0;
    int n_checked = 0;
    json_t *vector = NULL;
    json_array_foreach(vectors, index, vector)
    {
        json_t *context = json_copy(json_array_get(vector, 1));
        const json_t *key = json_array_get(vector, 2);
        const json_t *feature = json_object_get(json_object_get(context, "features"),
                                                json_string_value(key));
        const json_t *rule = json_array_get(json_object_get(feature, "rules"), 0);
        const json_t *rule_key = json_object_get(rule, "key");
        const json_t *unit =
            json_object_get(json_object_get(context, "attributes"), "id");
        const json_t *result =
            json_object_get(json_array_get(vector, 3), "experimentResult");
        json_object_del(context, "features");
        if (json_is_string(unit) && json_object_get(rule, "variations") &&
            !json_object_get(rule, "meta") && is_applicable(context, rule)) {
            const struct run_case c =
                read_case(context, rule, rule_key ? rule_key : key);
            const int arm = run(&c);
            const int expected =
                json_is_true(json_object_get(result, "inExperiment"))
                    ? (int)json_integer_value(json_object_get(result, "variationId"))
                    : -1;
            if (arm != expected) {
                fail_msg("feature: %s", json_string_value(json_array_get(vector, 0)));
            }
            n_checked++;
        }
        json_decref(context);
    }
    assert_true(n_checked >= 5);
    json_decref(vectors);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hash_vectors_hold),
        cmocka_unit_test(get_bucket_range_vectors_hold),
        cmocka_unit_test(choose_variation_vectors_hold),
        cmocka_unit_test(in_namespace_vectors_hold),
        cmocka_unit_test(get_equal_weights_vectors_hold),
        cmocka_unit_test(applicable_run_vectors_hold),
        cmocka_unit_test(applicable_feature_vectors_hold),
    };
    return cmocka_run_group_tests_name("assignment vectors", tests, NULL, NULL);
}
