#include "tests/testing.h"

#include <string.h>

#include "common/rng.h"
#include "serve/explore.h"
#include "serve/ranking.h"
#include "tests/failing_alloc.h"

enum { N_ITEMS = 400, N_FACTORS = 7 };

static float item_factors[N_ITEMS * N_FACTORS], item_bias[N_ITEMS], vector[N_FACTORS];
static struct model model = {.kind = MODEL_ALS,
                             .n_items = N_ITEMS,
                             .n_factors = N_FACTORS,
                             .item_factors = item_factors,
                             .item_bias = item_bias};
static struct serve_model served = {.model = &model};
static struct ranking ranking;
static void *scratch;

/* Another user; vectors in a few directions, so that neighbours exist; one has no
 * length.
 */
static struct topk_query draw_query(struct rng *rng)
{
    for (int i = 0; i < N_FACTORS; i++) {
        vector[i] = (float)rng_normal(rng);
    }
    return (struct topk_query){.vector = vector, .base = 3.2, .item_bias = 1};
}

static int set_up(void **state)
{
    struct rng rng;
    struct error error = {0};
    (void)state;
    rng_init(&rng, 11, 0);
    for (int i = 0; i < N_ITEMS; i++) {
        item_bias[i] = (float)rng_normal(&rng) / 3;
        for (int f = 0; f < N_FACTORS; f++) {
            item_factors[i * N_FACTORS + f] =
                (float)((f == i % 5) + rng_normal(&rng) / 4) * (float)(i != 17);
        }
    }
    if (topk_new(&model, NULL, &served.topk, &error) != 0) {
        return -1;
    }
    scratch = test_malloc(topk_scratch_size(served.topk) + 64);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    topk_free(served.topk);
    test_free(scratch);
    return 0;
}

static double cosine(int32_t a, int32_t b)
{
    double ab = 0, aa = 0, bb = 0;
    for (int f = 0; f < N_FACTORS; f++) {
        const double u = (double)item_factors[a * N_FACTORS + f];
        const double v = (double)item_factors[b * N_FACTORS + f];
        ab += u * v;
        aa += u * u;
        bb += v * v;
    }
    return aa > 0 && bb > 0 ? ab / sqrt(aa * bb) : 0;
}

/* Carbonell & Goldstein's formula as printed: lambda relevance - (1 - lambda) largest
 * similarity, with the relevance of the best candidate 1 and of the last 0. */
static double margin(const struct topk_result *c, int i, const int32_t *above,
                     int n_above, double lambda)
{
    const double low = c->scores[c->n - 1], high = c->scores[0];
    double nearest = 0;
    for (int j = 0; j < n_above; j++) {
        const double near = cosine(c->items[i], above[j]);
        nearest = j == 0 || near > nearest ? near : nearest;
    }
    return lambda * (c->scores[i] - low) / (high - low) - (1 - lambda) * nearest;
}

static bool has(const int32_t *items, int n, int32_t item)
{
    for (int i = 0; i < n; i++) {
        if (items[i] == item) {
            return true;
        }
    }
    return false;
}

static void a_diverse_list_is_that_of_the_naive_formula(void **state)
{
    static const double diversities[] = {0.05, 0.3, 0.5, 0.9, 1};
    static struct topk_result candidates;
    struct rng rng;
    (void)state;
    rng_init(&rng, 5, 0);
    for (int round = 0; round < 100; round++) {
        const double d = diversities[round % 5];
        const struct serving serving = {.k = 1 + round % 25, .diversity = d};
        struct topk_query query = draw_query(&rng);

        assert_null(
            ranking_make(&ranking, &served, &serving, &query, slice_of("x"), scratch));

        query.k = explore_n_candidates(serving.k);
        topk_find_naive(&model, &query, &candidates);
        assert_int_equal(ranking.list.n, serving.k);
        for (int place = 0; place < serving.k; place++) {
            const int32_t *above = ranking.list.items;
            int best = -1;
            for (int i = 0; i < candidates.n; i++) {
                if (!has(above, place, candidates.items[i]) &&
                    (best < 0 || margin(&candidates, i, above, place, 1 - d) >
                                     margin(&candidates, best, above, place, 1 - d))) {
                    best = i;
                }
            }
            assert_int_equal(ranking.list.items[place], candidates.items[best]);
            assert_close(ranking.list.scores[place], candidates.scores[best], 1e-12);
        }
    }
}

/* Mean cosine of the pairs of a list. */
static double likeness(const struct topk_result *list)
{
    double sum = 0;
    for (int i = 0; i < list->n; i++) {
        for (int j = 0; j < i; j++) {
            sum += cosine(list->items[i], list->items[j]);
        }
    }
    return sum / (0.5 * list->n * (list->n - 1));
}

static void more_diversity_makes_lists_less_alike_and_none_leaves_them(void **state)
{
    static struct topk_result exact;
    struct serving serving = {.k = 10, .diversity = 1e-12};
    struct rng rng;
    (void)state;
    rng_init(&rng, 6, 0);
    struct topk_query query = draw_query(&rng);
    query.k = 10;
    topk_find_naive(&model, &query, &exact);

    ranking_make(&ranking, &served, &serving, &query, slice_of("x"), scratch);
    assert_memory_equal(ranking.list.items, exact.items, 10 * sizeof(int32_t));
    serving.diversity = 0.5;
    ranking_make(&ranking, &served, &serving, &query, slice_of("x"), scratch);

    assert_true(likeness(&ranking.list) < likeness(&exact) - 0.1);
    assert_int_equal(ranking.list.items[0], exact.items[0]); /* the best stays first */
}

enum { C = 4 };

/* Weight of candidate i behind those above, at diversity 0.4 and temperature 0.6. */
static double weight_of(const struct topk_result *c, int i, const int32_t *above,
                        int n_above)
{
    const double spread = c->scores[0] - c->scores[c->n - 1];
    return has(above, n_above, c->items[i])
               ? 0
               : exp(spread * margin(c, i, above, n_above, 0.6) / 0.6);
}

/* Probability of the list a, b. */
static double pair_probability(const struct topk_result *c, int a, int b)
{
    double sums[2] = {0, 0};
    for (int i = 0; i < C; i++) {
        sums[0] += weight_of(c, i, NULL, 0);
        sums[1] += weight_of(c, i, &c->items[a], 1);
    }
    return weight_of(c, a, NULL, 0) / sums[0] * weight_of(c, b, &c->items[a], 1) /
           sums[1];
}

/* Two places of few candidates: every pair comes as often as the propensities say, and
 * they are those of the definition. */
static void sampled_diverse_lists_come_as_often_as_their_propensities_say(void **state)
{
    enum { N = 40000 };
    const struct serving serving = {.k = 2, .diversity = 0.4, .explore = 0.6};
    static struct topk_result candidates;
    static int32_t seen[N_ITEMS];
    int counts[C][C] = {{0}};
    struct rng rng;
    (void)state;
    rng_init(&rng, 8, 0);
    struct topk_query query = draw_query(&rng);
    for (int i = 0; i < N_ITEMS - C; i++) {
        seen[i] = i + (i >= 100 ? C : 0); /* all but items 100 .. 103 */
    }
    query.seen = seen;
    query.n_seen = N_ITEMS - C;
    query.k = C;
    topk_find_naive(&model, &query, &candidates);
    for (int n = 0; n < N; n++) {
        char id[32];
        snprintf(id, sizeof id, "node-1.%d", n);

        const double *p =
            ranking_make(&ranking, &served, &serving, &query, slice_of(id), scratch);

        int at[2] = {0, 0};
        for (int place = 0; place < 2; place++) {
            double sum = 0;
            for (int i = 0; i < C; i++) {
                sum += weight_of(&candidates, i, ranking.list.items, place);
                at[place] =
                    candidates.items[i] == ranking.list.items[place] ? i : at[place];
            }
            const double weight =
                weight_of(&candidates, at[place], ranking.list.items, place);
            assert_close(p[place], weight / sum, 1e-9);
        }
        counts[at[0]][at[1]]++;
        if (n == 0) { /* again: the same list */
            const int32_t first = ranking.list.items[0];
            ranking_make(&ranking, &served, &serving, &query, slice_of(id), scratch);
            assert_int_equal(ranking.list.items[0], first);
        }
    }
    for (int a = 0; a < C; a++) {
        for (int b = 0; b < C; b++) {
            const double p = pair_probability(&candidates, a, b);
            assert_close(counts[a][b], N * p, 1 + 4.5 * sqrt(N * p * (1 - p)));
        }
    }
}

static void lists_are_made_without_allocating_and_end_with_the_catalogue(void **state)
{
    static int32_t seen[N_ITEMS];
    struct rng rng;
    (void)state;
    rng_init(&rng, 9, 0);
    struct topk_query query = draw_query(&rng);
    for (int i = 0; i < 4; i++) {
        const struct serving serving = {
            .k = 10, .diversity = i % 2 ? 0.3 : 0, .explore = i / 2 ? 0.3 : 0};
        failing_alloc_at(0);
        ranking_make(&ranking, &served, &serving, &query, slice_of("x"), scratch);
        assert_false(failing_alloc_stop());
        assert_int_equal(ranking.list.n, 10);
    }
    for (int i = 0; i < N_ITEMS; i++) {
        seen[i] = i;
    }
    query.seen = seen;
    const struct serving serving = {.k = 10, .diversity = 0.3};
    for (int left = 0; left < 3; left++) {
        query.n_seen = N_ITEMS - left;
        ranking_make(&ranking, &served, &serving, &query, slice_of("x"), scratch);
        assert_int_equal(ranking.list.n, left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_diverse_list_is_that_of_the_naive_formula),
        cmocka_unit_test(more_diversity_makes_lists_less_alike_and_none_leaves_them),
        cmocka_unit_test(sampled_diverse_lists_come_as_often_as_their_propensities_say),
        cmocka_unit_test(lists_are_made_without_allocating_and_end_with_the_catalogue),
    };
    return cmocka_run_group_tests_name("diversity", tests, set_up, tear_down);
}
