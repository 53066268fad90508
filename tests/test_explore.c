#include "tests/testing.h"

#include <string.h>

#include "serve/explore.h"

static struct topk_result candidates = {
    .n = 4, .items = {9, 4, 7, 1}, .scores = {2.0, 1.5, 1.5, -1.0}};

/* The probability of drawing places a, b by the definition in explore.h. */
static double probability(int a, int b, double temperature)
{
    double all = 0;
    for (int i = 0; i < candidates.n; i++) {
        all += exp(candidates.scores[i] / temperature);
    }
    const double first = exp(candidates.scores[a] / temperature);
    return first / all * exp(candidates.scores[b] / temperature) / (all - first);
}

static void explore_draws_each_list_with_its_probability(void **state)
{
    (void)state;
    enum { N = 60000 };
    static struct topk_result list;
    double propensities[2];
    int counts[4][4] = {{0}};
    for (int i = 0; i < N; i++) {
        char id[32];
        snprintf(id, sizeof id, "node-1.%d", i);

        explore(&candidates, 0.8, 2, slice_of(id), &list, propensities);

        int place[2] = {0, 0};
        for (int j = 0; j < 2; j++) {
            while (candidates.items[place[j]] != list.items[j]) {
                place[j]++;
            }
            assert_close(list.scores[j], candidates.scores[place[j]], 0);
        }
        counts[place[0]][place[1]]++;
        assert_close(propensities[0] * propensities[1],
                     probability(place[0], place[1], 0.8), 1e-12);
    }
    for (int a = 0; a < 4; a++) {
        for (int b = 0; b < 4; b++) {
            const double p = a == b ? 0 : probability(a, b, 0.8);
            assert_close(counts[a][b], N * p, 1 + 4.5 * sqrt(N * p * (1 - p)));
        }
    }
}

static void explore_draws_the_same_list_for_the_same_request(void **state)
{
    (void)state;
    static struct topk_result a, b;
    double p[4], q[4];

    explore(&candidates, 0.5, 4, slice_of("r-1"), &a, p);
    explore(&candidates, 0.5, 4, slice_of("r-1"), &b, q);

    assert_memory_equal(a.items, b.items, 4 * sizeof a.items[0]);
    assert_memory_equal(p, q, sizeof p);
    assert_close(p[3], 1, 1e-12); /* the last one left */
}

static void explore_hardly_samples_when_cold_and_shortens_to_what_there_is(void **state)
{
    (void)state;
    static struct topk_result list, nothing;
    double p[9];
    for (int i = 0; i < 100; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);

        explore(&candidates, 1e-3, 9, slice_of(id), &list, p);

        assert_int_equal(list.n, 4);
        assert_int_equal(list.items[0], 9);
        assert_int_equal(list.items[3], 1);
    }
    explore(&nothing, 1, 5, slice_of("x"), &list, p);
    assert_int_equal(list.n, 0);
    assert_int_equal(explore_n_candidates(1), 100);
    assert_int_equal(explore_n_candidates(30), 300);
    assert_int_equal(explore_n_candidates(1000), TOPK_MAX);
}

/* However far apart the scores are in temperatures: once the far better ones are drawn,
 * those that are left have the chances that they have among themselves. */
static void explore_states_the_chances_of_what_is_left_when_cold(void **state)
{
    (void)state;
    static struct topk_result list;
    static const double temperatures[] = {1e-2, 1e-3, 5e-4, 1e-4, 1e-5};
    for (size_t i = 0; i < sizeof temperatures / sizeof temperatures[0]; i++) {
        const double temperature = temperatures[i];
        const double near = 1.5 - temperature; /* weighs 1/e of the one above it */
        const struct topk_result far_apart = {
            .n = 4, .items = {9, 4, 7, 1}, .scores = {2.0, 1.5, near, -1.0}};
        double p[4];

        explore(&far_apart, temperature, 4, slice_of("r-1"), &list, p);

        const double expected = 1 / (1 + exp(list.items[1] == 4 ? -1 : 1));
        assert_int_equal(list.items[0], 9);
        assert_close(p[0], 1, 1e-12);
        assert_close(p[1], expected, 1e-9);
        assert_close(p[2], 1, 1e-12);
        assert_close(p[3], 1, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(explore_draws_each_list_with_its_probability),
        cmocka_unit_test(explore_draws_the_same_list_for_the_same_request),
        cmocka_unit_test(
            explore_hardly_samples_when_cold_and_shortens_to_what_there_is),
        cmocka_unit_test(explore_states_the_chances_of_what_is_left_when_cold),
    };
    return cmocka_run_group_tests_name("explore", tests, NULL, NULL);
}
