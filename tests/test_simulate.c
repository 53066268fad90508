#include "tests/testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/simulate.h"

#define N_ITEMS 10

static const struct slice items[N_ITEMS] = {{"0", 1}, {"1", 1}, {"2", 1}, {"3", 1},
                                            {"4", 1}, {"5", 1}, {"6", 1}, {"7", 1},
                                            {"8", 1}, {"9", 1}};

/* Item "4" and none other is liked by everybody. */
static bool likes_item_4(const void *context, struct slice user, struct slice item)
{
    (void)context;
    (void)user;
    return slice_is(item, "4");
}

static struct encounter meet(char id[16], int user, int visit, int arm)
{
    const int len = snprintf(id, 16, "%d", user);
    return (struct encounter){{id, (size_t)len}, visit, arm, items, N_ITEMS};
}

static void coins_fall_at_the_rate_of_the_arm(void **state)
{
    (void)state;
    const double rates[] = {0.45, 0.72};
    const struct behaviour behaviour = {RULE_RATES, 1, 1, rates, .eta = 0};
    struct reaction reaction;
    const int n = 100000;
    for (int arm = 0; arm < 2; arm++) {
        int n_satisfied = 0;
        for (int user = 0; user < n; user++) {
            char id[16];
            const struct encounter e = meet(id, user, 0, arm);
            behaviour_react(&behaviour, &e, &reaction);
            n_satisfied += reaction.is_satisfied;
        }
        const double p = rates[arm];
        assert_close(n_satisfied, n * p, 3.29 * sqrt(n * p * (1 - p)));
    }
}

/* Potential outcomes: who is satisfied at a lower rate is so at a higher one. */
static void coin_is_the_users_not_the_arms(void **state)
{
    (void)state;
    const double rates[] = {0.3, 0.6};
    const struct behaviour behaviour = {RULE_RATES, 7, 1, rates, .eta = 0};
    struct reaction low, high;
    for (int user = 0; user < 1000; user++) {
        char id[16];
        const struct encounter in_low = meet(id, user, 0, 0);
        behaviour_react(&behaviour, &in_low, &low);
        const struct encounter in_high = meet(id, user, 0, 1);
        behaviour_react(&behaviour, &in_high, &high);
        assert_true(!low.is_satisfied || high.is_satisfied);
    }
}

static void one_visit_of_several_satisfies(void **state)
{
    (void)state;
    const double rates[] = {1};
    const struct behaviour behaviour = {RULE_RATES, 3, 4, rates, .eta = 0};
    int by_visit[4] = {0};
    for (int user = 0; user < 4000; user++) {
        int n_satisfied = 0;
        for (int visit = 0; visit < 4; visit++) {
            char id[16];
            struct reaction reaction;
            const struct encounter e = meet(id, user, visit, 0);
            behaviour_react(&behaviour, &e, &reaction);
            n_satisfied += reaction.is_satisfied;
            by_visit[visit] += reaction.is_satisfied;
        }
        assert_int_equal(n_satisfied, 1);
    }
    for (int visit = 0; visit < 4; visit++) {
        assert_close(by_visit[visit], 1000, 3.29 * sqrt(4000 * 0.25 * 0.75));
    }
}

static void a_user_in_no_arm_has_no_coin(void **state)
{
    (void)state;
    const double rates[] = {1, 1};
    const struct behaviour behaviour = {RULE_RATES, 1, 1, rates, .eta = 0};
    char id[16];
    struct reaction reaction;
    const struct encounter e = meet(id, 1, 0, ARM_NONE);

    behaviour_react(&behaviour, &e, &reaction);

    assert_false(reaction.is_satisfied);
}

static void truth_finds_the_first_liked_item(void **state)
{
    (void)state;
    const struct behaviour behaviour = {RULE_TRUTH,   1,    1,       NULL,
                                        likes_item_4, NULL, .eta = 0};
    char id[16];
    struct reaction reaction;
    struct encounter e = meet(id, 1, 0, 0);

    behaviour_react(&behaviour, &e, &reaction);
    assert_true(reaction.is_satisfied);
    assert_int_equal(reaction.item, 4);

    e.n_items = 4;
    behaviour_react(&behaviour, &e, &reaction);
    assert_false(reaction.is_satisfied);
    assert_int_equal(reaction.item, -1);
}

static void positions_are_examined_and_clicked_as_planted(void **state)
{
    (void)state;
    const struct behaviour behaviour = {.rule = RULE_CLICKS,
                                        .seed = 5,
                                        .n_visits = 2,
                                        .likes = likes_item_4,
                                        .eta = 0.7,
                                        .click_liked = 0.8,
                                        .click_other = 0.1};
    const int n = 40000;
    int examined[N_ITEMS] = {0}, clicked[N_ITEMS] = {0}, n_satisfied = 0;
    for (int i = 0; i < n; i++) {
        char id[16];
        struct reaction reaction;
        const struct encounter e = meet(id, i / 2, i % 2, 0);
        behaviour_react(&behaviour, &e, &reaction);
        int n_clicks = 0;
        for (int r = 0; r < N_ITEMS; r++) {
            examined[r] += reaction.is_examined[r];
            clicked[r] += reaction.is_clicked[r];
            n_clicks += reaction.is_clicked[r];
            assert_true(reaction.is_examined[r] || !reaction.is_clicked[r]);
        }
        assert_int_equal(n_clicks, reaction.n_clicks);
        assert_true(reaction.is_satisfied == reaction.is_clicked[4]);
        n_satisfied += reaction.is_satisfied;
    }
    assert_int_equal(n_satisfied, clicked[4]);
    for (int r = 0; r < N_ITEMS; r++) {
        const double p = pow(r + 1, -0.7), q = p * (r == 4 ? 0.8 : 0.1);
        assert_close(examined[r], n * p, 3.5 * sqrt(n * p * (1 - p)) + 1e-9);
        assert_close(clicked[r], n * q, 3.5 * sqrt(n * q * (1 - q)));
    }
}

static void ids_are_encoded_for_urls(void **state)
{
    (void)state;
    struct buffer out = {0};

    url_append_encoded(&out, (struct slice){"a-b ._~/?&=%\xC3\xA9\0", 15});

    assert_true(slice_is(buffer_slice(&out), "a-b%20._~%2F%3F%26%3D%25%C3%A9%00"));
    buffer_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(coins_fall_at_the_rate_of_the_arm),
        cmocka_unit_test(coin_is_the_users_not_the_arms),
        cmocka_unit_test(one_visit_of_several_satisfies),
        cmocka_unit_test(a_user_in_no_arm_has_no_coin),
        cmocka_unit_test(truth_finds_the_first_liked_item),
        cmocka_unit_test(positions_are_examined_and_clicked_as_planted),
        cmocka_unit_test(ids_are_encoded_for_urls),
    };
    return cmocka_run_group_tests_name("simulate", tests, NULL, NULL);
}
