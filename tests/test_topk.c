#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "serve/topk.h"

/* A model with no file behind it. */
struct made {
    struct model model;
    float *user_factors, *item_factors, *user_bias, *item_bias;
};

enum shape { SMOOTH, COARSE, CONSTANT, LOPSIDED, N_SHAPES };

/* COARSE values tie often; LOPSIDED lengths span six orders of magnitude. */
static float draw(struct rng *rng, enum shape shape)
{
    switch (shape) {
    case SMOOTH:
        return (float)rng_normal(rng);
    case COARSE:
        return (float)rng_below(rng, 5) - 2;
    case CONSTANT:
        return 0.25F;
    default:
        return (float)(rng_normal(rng) * pow(10, 6 * rng_uniform(rng) - 3));
    }
}

static float *draw_many(struct rng *rng, enum shape shape, size_t n)
{
    float *values = malloc((n + 1) * sizeof *values);
    assert_non_null(values);
    for (size_t i = 0; i < n; i++) {
        values[i] = draw(rng, shape);
    }
    return values;
}

static void make(struct made *made, struct rng *rng, enum shape shape, int32_t n_items,
                 int32_t n_factors)
{
    const int32_t n_users = 50;
    const size_t users = (size_t)n_users, items = (size_t)n_items,
                 factors = (size_t)n_factors;
    *made = (struct made){
        .user_factors = draw_many(rng, shape, users * factors),
        .item_factors = draw_many(rng, shape, items * factors),
        .user_bias = draw_many(rng, shape, users),
        .item_bias = draw_many(rng, shape, items),
    };
    made->model = (struct model){.kind = MODEL_ALS,
                                 .n_users = n_users,
                                 .n_items = n_items,
                                 .n_factors = n_factors,
                                 .mean = 3.5F,
                                 .user_factors = made->user_factors,
                                 .item_factors = made->item_factors,
                                 .user_bias = made->user_bias,
                                 .item_bias = made->item_bias};
}

static void unmake(struct made *made)
{
    free(made->user_factors);
    free(made->item_factors);
    free(made->user_bias);
    free(made->item_bias);
}

static int32_t draw_seen(struct rng *rng, int32_t n_items, int32_t *seen)
{
    int32_t n = 0;
    const uint64_t one_in = 1 + rng_below(rng, 12);
    for (int32_t i = 0; i < n_items; i++) {
        if (rng_below(rng, one_in) == 0 && rng_below(rng, 2) == 0) {
            seen[n++] = i;
        }
    }
    return n;
}

static void assert_same(const struct topk_result *a, const struct topk_result *b)
{
    assert_int_equal(a->n, b->n);
    assert_memory_equal(a->items, b->items, (size_t)a->n * sizeof a->items[0]);
    assert_memory_equal(a->scores, b->scores, (size_t)a->n * sizeof a->scores[0]);
}

/* Asks `n_queries` questions of one model, of four searches and the reference. */
static void compare(struct rng *rng, const struct model *model, int n_queries)
{
    static const double weights[] = {1, 0, 0.5, 0.3, -1, 2.5};
    static const struct topk_options options[] = {{TOPK_ALL, false},
                                                  {TOPK_AVX2, false},
                                                  {TOPK_PORTABLE, false},
                                                  {TOPK_ALL, true}};
    enum { N_OPTIONS = sizeof options / sizeof options[0] };
    static struct topk_result found, naive;
    struct topk *topk[N_OPTIONS];
    int32_t *seen = malloc(((size_t)model->n_items + 1) * sizeof *seen);
    assert_non_null(seen);
    for (int i = 0; i < N_OPTIONS; i++) {
        assert_int_equal(topk_new(model, &options[i], &topk[i], NULL), 0);
    }
    void *scratch = malloc(topk_scratch_size(topk[0]));
    assert_non_null(scratch);
    for (int q = 0; q < n_queries; q++) {
        struct topk_query query = {
            .item_bias = weights[rng_below(rng, sizeof weights / sizeof weights[0])],
            .k = 1 + (int)rng_below(rng, rng_below(rng, 20) ? 15 : TOPK_MAX),
            .seen = seen,
            .n_seen = draw_seen(rng, model->n_items, seen)};
        topk_query_user(model, (int32_t)rng_below(rng, (uint64_t)model->n_users),
                        &query);
        topk_find_naive(model, &query, &naive);

        topk_find(topk[q % 8 ? 0 : q / 8 % N_OPTIONS], &query, scratch, &found, NULL);

        assert_same(&found, &naive);
    }
    for (int i = 0; i < N_OPTIONS; i++) {
        topk_free(topk[i]);
    }
    free(scratch);
    free(seen);
}

static void topk_finds_what_the_naive_ranking_finds_100000_times(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 7, 1);
    for (int m = 0; m < 250; m++) {
        struct made made;
        const int32_t n_items = (int32_t)rng_below(&rng, m % 25 ? 300 : 3000);
        make(&made, &rng, (enum shape)(m % N_SHAPES), n_items,
             1 + (int32_t)rng_below(&rng, 40));
        compare(&rng, &made.model, 400);
        unmake(&made);
    }
}

static void topk_scores_as_the_model_does(void **state)
{
    (void)state;
    struct rng rng;
    struct made made;
    rng_init(&rng, 3, 1);
    make(&made, &rng, SMOOTH, 100, 13);
    for (int32_t u = 0; u < 50; u++) {
        for (int32_t i = 0; i < 100; i++) {
            struct topk_query query = {.item_bias = 0.7};
            topk_query_user(&made.model, u, &query);

            const double score = topk_score(&made.model, &query, i);

            assert_close(score, model_score(&made.model, u, i, 0.7), 0);
        }
    }
    unmake(&made);
}

static void topk_gives_up_its_bounds_where_they_cannot_hold(void **state)
{
    (void)state;
    struct rng rng;
    struct made made;
    rng_init(&rng, 4, 1);
    make(&made, &rng, SMOOTH, 500, 9);
    for (int i = 0; i < 4500; i += 7) {
        made.item_factors[i] *= 1e30F; /* single precision overflows */
    }
    compare(&rng, &made.model, 50);
    unmake(&made);
    make(&made, &rng, CONSTANT, 20000, 3); /* everything ties */
    compare(&rng, &made.model, 5);
    unmake(&made);
    make(&made, &rng, SMOOTH, 300, 5);
    for (int i = 0; i < 1500; i++) {
        made.item_factors[i] *= 1e-33F; /* nothing but the base is left */
        made.item_bias[i / 5] = 0;
    }
    compare(&rng, &made.model, 50);
    unmake(&made);
}

/* Vectors whose lengths fall off, and biases of the given spread. */
static void make_long_tail(struct made *made, struct rng *rng, int32_t n_items,
                           int32_t n_factors, float bias_spread)
{
    make(made, rng, SMOOTH, n_items, n_factors);
    for (int32_t i = 0; i < n_items; i++) {
        for (int32_t f = 0; f < n_factors; f++) {
            made->item_factors[i * n_factors + f] /= 1 + (float)(i % 1000) / 20;
        }
        made->item_bias[i] *= bias_spread;
    }
}

static void topk_of_a_long_tail_is_the_naive_one_in_one_band_and_in_many(void **state)
{
    static const float spreads[] = {0, 1e-30F, 1e-4F, 0.05F, 1, 30, 1e6F};
    (void)state;
    struct rng rng;
    rng_init(&rng, 6, 1);
    for (size_t i = 0; i < sizeof spreads / sizeof spreads[0]; i++) {
        struct made made;
        /* More than 64 chunks: more bands than there may be, were each of its own. */
        make_long_tail(&made, &rng, 6000 + (int32_t)i, 1 + 3 * (int32_t)i, spreads[i]);
        compare(&rng, &made.model, 60);
        unmake(&made);
    }
}

/* One layout serves them all. */
static void topk_skips_most_of_a_long_tail_at_any_weight_of_biases(void **state)
{
    static const float spreads[] = {0, 0.3F, 1, 4};
    static const double weights[] = {0, 0.1, 0.5, 1, 2, 10};
    static struct topk_result found, naive;
    (void)state;
    struct rng rng;
    rng_init(&rng, 5, 1);
    for (int s = 0; s < 4; s++) {
        struct made made;
        struct topk *topk = NULL;
        make_long_tail(&made, &rng, 20000, 16, spreads[s]);
        assert_int_equal(topk_new(&made.model, NULL, &topk, NULL), 0);
        void *scratch = malloc(topk_scratch_size(topk));
        for (size_t w = 0; w < sizeof weights / sizeof weights[0]; w++) {
            int32_t n_scanned = 0;
            for (int32_t u = 0; u < 4; u++) {
                struct topk_query query = {.item_bias = weights[w], .k = 10};
                struct topk_effort effort;
                topk_query_user(&made.model, u, &query);

                topk_find(topk, &query, scratch, &found, &effort);

                topk_find_naive(&made.model, &query, &naive);
                assert_same(&found, &naive);
                assert_false(effort.was_naive);
                assert_true(effort.n_double < 40);
                n_scanned += effort.n_scanned;
            }
            assert_true(n_scanned < 4 * (20000 / 64) / 5);
        }
        free(scratch);
        topk_free(topk);
        unmake(&made);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(topk_finds_what_the_naive_ranking_finds_100000_times),
        cmocka_unit_test(topk_scores_as_the_model_does),
        cmocka_unit_test(topk_gives_up_its_bounds_where_they_cannot_hold),
        cmocka_unit_test(topk_of_a_long_tail_is_the_naive_one_in_one_band_and_in_many),
        cmocka_unit_test(topk_skips_most_of_a_long_tail_at_any_weight_of_biases),
    };
    return cmocka_run_group_tests_name("topk", tests, NULL, NULL);
}
