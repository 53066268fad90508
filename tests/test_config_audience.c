#include "tests/testing.h"

#include <string.h>

#include "experiment/audience.h"

static const struct attribute attributes[] = {
    {.name = (char[]){"country"}, .type = ATTRIBUTE_STRING},
    {.name = (char[]){"age"}, .type = ATTRIBUTE_NUMBER},
    {.name = (char[]){"premium"}, .type = ATTRIBUTE_BOOLEAN},
};

#define N_ATTRIBUTES 3

static struct audience *read(const char *text)
{
    char problem[200];
    bool no_memory = false;
    struct audience *audience =
        audience_parse(text, attributes, N_ATTRIBUTES, problem, &no_memory);
    if (!audience) {
        fail_msg("%s: %s", text, problem);
    }
    return audience;
}

/* A row of what is known; NULL, NAN and -1 stand for unknown. */
static bool matches(const char *text, const char *country, double age, int premium)
{
    const struct attribute_value values[N_ATTRIBUTES] = {
        {.is_known = country != NULL, .text = slice_of(country ? country : "")},
        {.is_known = !isnan(age), .number = age},
        {.is_known = premium >= 0, .boolean = premium == 1},
    };
    struct audience *audience = read(text);
    const bool result = audience_matches(audience, values);
    audience_free(audience);
    return result;
}

static void operators_compare(void **state)
{
    (void)state;
    assert_true(matches("country = NL", "NL", NAN, -1));
    assert_false(matches("country = NL", "nl", NAN, -1));
    assert_true(matches("country != NL", "ZA", NAN, -1));
    assert_true(matches("country in (NL, ZA)", "ZA", NAN, -1));
    assert_false(matches("country in (NL, ZA)", "DE", NAN, -1));
    assert_true(matches("country not in (NL, ZA)", "DE", NAN, -1));
    assert_true(matches("country = \"Ivory Coast\"", "Ivory Coast", NAN, -1));
    assert_true(matches("country = \"\"", "", NAN, -1));
    assert_true(matches("age >= 18", NULL, 18, -1));
    assert_false(matches("age > 18", NULL, 18, -1));
    assert_true(matches("age < 18.5", NULL, 18, -1));
    assert_true(matches("age <= 18", NULL, 18, -1));
    assert_true(matches("age in (1, 2, 1.8e1)", NULL, 18, -1));
    assert_true(matches("age = -3", NULL, -3, -1));
    assert_true(matches("premium", NULL, NAN, 1));
    assert_false(matches("premium", NULL, NAN, 0));
    assert_true(matches("premium = false", NULL, NAN, 0));
    assert_true(matches("not premium", NULL, NAN, 0));
}

static void unknown_attributes_equal_nothing(void **state)
{
    (void)state;
    assert_false(matches("country = NL", NULL, NAN, -1));
    assert_false(matches("country in (NL)", NULL, NAN, -1));
    assert_true(matches("country != NL", NULL, NAN, -1));
    assert_true(matches("country not in (NL)", NULL, NAN, -1));
    assert_false(matches("age < 18", NULL, NAN, -1));
    assert_false(matches("age >= 18", NULL, NAN, -1));
    assert_true(matches("not (age < 18)", NULL, NAN, -1));
    assert_false(matches("premium", NULL, NAN, -1));
    assert_false(matches("premium = false", NULL, NAN, -1));

    struct audience *audience = read("country != NL");
    assert_true(audience_matches(audience, NULL));
    audience_free(audience);
}

static void not_binds_tighter_than_and_than_or(void **state)
{
    (void)state;
    /* or is last: NL or (ZA and 18+) */
    const char *text = "country = NL or country = ZA and age >= 18";
    assert_true(matches(text, "NL", 1, -1));
    assert_false(matches(text, "ZA", 1, -1));
    assert_true(matches(text, "ZA", 18, -1));

    assert_false(matches("(country = NL or country = ZA) and age >= 18", "NL", 1, -1));
    assert_true(matches("not country = NL and age = 1", "ZA", 1, -1));
    assert_false(matches("not (country = ZA or age = 1)", "ZA", 2, -1));
    assert_true(matches("not not premium", NULL, NAN, 1));
}

static void json_is_growthbooks(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"country = NL", "{\"country\":{\"$eq\":\"NL\"}}"},
        {"country != \"a b\"", "{\"$not\":{\"country\":{\"$eq\":\"a b\"}}}"},
        {"country in (NL, ZA)", "{\"country\":{\"$in\":[\"NL\",\"ZA\"]}}"},
        {"age < 18", "{\"age\":{\"$exists\":true,\"$lt\":18}}"},
        {"premium", "{\"premium\":{\"$eq\":true}}"},
        {"age >= 1.5 and (premium or not country = NL)",
         "{\"$and\":[{\"age\":{\"$exists\":true,\"$gte\":1.5}},{\"$or\":[{\"premium\":"
         "{\"$eq\":true}},{\"$not\":{\"country\":{\"$eq\":\"NL\"}}}]}]}"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct audience *audience = read(cases[i][0]);
        struct buffer out = {0};
        audience_append_json(audience, &out);
        buffer_append_char(&out, '\0');
        assert_string_equal(out.data, cases[i][1]);
        buffer_free(&out);
        audience_free(audience);
    }
}

static void too_deep_or_too_long_is_refused(void **state)
{
    (void)state;
    char text[1200], problem[200];
    bool no_memory = false;
    memset(text, '(', 1000);
    text[1000] = '\0';
    assert_null(audience_parse(text, attributes, N_ATTRIBUTES, problem, &no_memory));
    assert_string_equal(problem, "condition is nested deeper than 64");

    size_t len = (size_t)snprintf(text, sizeof text, "premium");
    for (int i = 0; i < 80; i++) {
        len += (size_t)snprintf(text + len, sizeof text - len, " or premium");
    }
    assert_null(audience_parse(text, attributes, N_ATTRIBUTES, problem, &no_memory));
    assert_string_equal(problem, "condition is too long (at most 128 parts)");
    assert_false(no_memory);
}

static void values_are_read_by_type(void **state)
{
    (void)state;
    struct attribute_value value = {0};

    assert_true(attribute_read(ATTRIBUTE_NUMBER, slice_of("18"), &value));
    assert_close(value.number, 18, 0);
    assert_false(attribute_read(ATTRIBUTE_NUMBER, slice_of("nan"), &value));
    assert_false(attribute_read(ATTRIBUTE_NUMBER, slice_of(""), &value));
    assert_false(attribute_read(ATTRIBUTE_NUMBER, (struct slice){"1\0002", 3}, &value));
    assert_true(attribute_read(ATTRIBUTE_BOOLEAN, slice_of("false"), &value));
    assert_false(value.boolean);
    assert_false(attribute_read(ATTRIBUTE_BOOLEAN, slice_of("1"), &value));
    assert_true(attribute_read(ATTRIBUTE_STRING, slice_of(""), &value));
    assert_true(value.is_known);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(operators_compare),
        cmocka_unit_test(unknown_attributes_equal_nothing),
        cmocka_unit_test(not_binds_tighter_than_and_than_or),
        cmocka_unit_test(json_is_growthbooks),
        cmocka_unit_test(too_deep_or_too_long_is_refused),
        cmocka_unit_test(values_are_read_by_type),
    };
    return cmocka_run_group_tests_name("config audience", tests, NULL, NULL);
}
