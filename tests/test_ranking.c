#include "tests/testing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "trainer/trainer.h"

enum { MAX = 700 };

static void measure(const struct ranking_case *c, int32_t k, int32_t recall_k,
                    struct ranking_metrics *m)
{
    const struct ranking_cutoffs cut = {k, recall_k};
    int32_t top[100];
    float levels[MAX];
    struct ranking_scratch scratch = {.top = top, .levels = levels};
    ranking_measure(c, &cut, &scratch, m);
}

/* Items a to f score 6 to 1; c is excluded. The order is a b d e f; b and e are
 * positive, so they stand at ranks 2 and 4. */
static void metrics_of_a_small_list_match_hand_calculation(void **state)
{
    (void)state;
    float scores[] = {6, 5, 4, 3, 2, 1};
    const int32_t excluded[] = {2}, positives[] = {4, 1};
    const struct ranking_case c = {.scores = scores,
                                   .n_items = 6,
                                   .excluded = excluded,
                                   .n_excluded = 1,
                                   .positives = positives,
                                   .n_positives = 2};
    struct ranking_metrics m;

    measure(&c, 3, 4, &m);

    assert_close(m.auc, 3.0 / 6, 1e-15); /* b beats d and f, e beats f */
    assert_close(m.ndcg, (1 / log2(3)) / (1 / log2(2) + 1 / log2(3)), 1e-15);
    assert_close(m.average_precision, (1.0 / 2) / 2, 1e-15);
    assert_close(m.recall, 1, 0);
    assert_close(m.reciprocal_rank, 0.5, 0);
}

static void tied_scores_count_half_and_rank_by_index(void **state)
{
    (void)state;
    float scores[] = {1, 1, 1, 1};
    const int32_t positives[] = {2};
    const struct ranking_case c = {
        .scores = scores, .n_items = 4, .positives = positives, .n_positives = 1};
    struct ranking_metrics m;

    measure(&c, 2, 3, &m);

    assert_close(m.auc, 0.5, 0);
    assert_close(m.ndcg, 0, 0);
    assert_close(m.recall, 1, 0);
    assert_close(m.reciprocal_rank, 1.0 / 3, 1e-15);
}

static void unknown_items_rank_last_and_are_never_listed(void **state)
{
    (void)state;
    float scores[] = {2, 1};
    const int32_t positives[] = {1};
    const struct ranking_case c = {.scores = scores,
                                   .n_items = 2,
                                   .positives = positives,
                                   .n_positives = 1,
                                   .n_unknown = 3,
                                   .n_unknown_positives = 1};
    struct ranking_metrics m;

    measure(&c, 10, 10, &m);

    /* Negatives: item 0 and two unknown. The known positive beats the two; the unknown
     * one loses to item 0 and ties with the two. */
    assert_close(m.auc, (2 + 2 * 0.5) / (2.0 * 3), 1e-15);
    assert_close(m.recall, 0.5, 0);
    assert_close(m.reciprocal_rank, 0.5, 0);
    assert_close(m.average_precision, 0.5 / 2, 1e-15);
}

static void no_negative_leaves_the_auc_undefined(void **state)
{
    (void)state;
    float scores[] = {1, 2};
    const int32_t positives[] = {0, 1};
    const struct ranking_case c = {
        .scores = scores, .n_items = 2, .positives = positives, .n_positives = 2};
    struct ranking_metrics m;

    measure(&c, 10, 10, &m);

    assert_true(isnan(m.auc));
    assert_close(m.ndcg, 1, 0);
    assert_close(m.average_precision, 1, 0);
}

/* The definitions, word for word, over an explicit order of all candidates. */
static void measure_naively(const struct ranking_case *c, int32_t k, int32_t recall_k,
                            struct ranking_metrics *m)
{
    double score[2 * MAX];
    bool positive[2 * MAX], used[2 * MAX] = {0};
    int n = 0, n_positive = 0;
    for (int32_t i = 0; i < c->n_items; i++) {
        bool skip_item = false, is_positive = false;
        for (int32_t j = 0; j < c->n_excluded; j++) {
            skip_item |= c->excluded[j] == i;
        }
        for (int32_t j = 0; j < c->n_positives; j++) {
            is_positive |= c->positives[j] == i;
        }
        if (!skip_item) {
            score[n] = (double)c->scores[i];
            positive[n++] = is_positive;
        }
    }
    const int n_known = n;
    for (int32_t j = 0; j < c->n_unknown; j++) {
        score[n] = -1e30;
        positive[n++] = j < c->n_unknown_positives;
    }
    double wins = 0, pairs = 0;
    for (int i = 0; i < n; i++) {
        n_positive += positive[i];
        for (int j = 0; j < n && positive[i]; j++) {
            if (!positive[j]) {
                pairs++;
                wins += score[i] > score[j] ? 1 : score[i] == score[j] ? 0.5 : 0;
            }
        }
    }
    double gain = 0, ideal = 0, precision = 0;
    int hits = 0, recalled = 0;
    *m = (struct ranking_metrics){.auc = wins / pairs};
    for (int rank = 1; rank <= n_known; rank++) {
        int best = -1;
        for (int i = 0; i < n_known; i++) {
            if (!used[i] && (best < 0 || score[i] > score[best])) {
                best = i;
            }
        }
        used[best] = true;
        if (positive[best]) {
            hits++;
            gain += rank <= k ? 1 / log2(rank + 1) : 0;
            precision += rank <= k ? (double)hits / rank : 0;
            recalled += rank <= recall_k;
            if (hits == 1) {
                m->reciprocal_rank = 1.0 / rank;
            }
        }
    }
    const int reachable = n_positive < k ? n_positive : k;
    for (int rank = 1; rank <= reachable; rank++) {
        ideal += 1 / log2(rank + 1);
    }
    m->ndcg = gain / ideal;
    m->average_precision = precision / reachable;
    m->recall = (double)recalled / n_positive;
}

/* The way by a shared order gives the same to the last bit, and leaves the scores. */
static void check_in_order(const struct ranking_case *c, const float *scores, int32_t k,
                           const struct ranking_metrics *expected)
{
    static int32_t by_score[MAX], position[MAX];
    static int64_t doubled_below[MAX];
    static struct ranking_scored scratch[MAX];
    struct ranking_order order = {
        .by_score = by_score, .position = position, .doubled_below = doubled_below};
    struct ranking_case shared = *c;
    struct ranking_metrics m;
    float row[MAX];
    memcpy(row, scores, (size_t)c->n_items * sizeof *row);
    ranking_sort(scores, c->n_items, scratch, &order);
    shared.scores = row;
    shared.order = &order;
    for (int round = 0; round < 2; round++) {
        measure(&shared, k, 20, &m);
        assert_memory_equal(&m, expected, sizeof m);
    }
    assert_memory_equal(row, scores, (size_t)c->n_items * sizeof *row);
}

/* Few distinct scores make ties; some cases have more positives than are counted in
 * passes, so that both ways of counting are held against the definition. */
static void metrics_match_the_definitions_on_random_cases(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 3, 0);
    for (int round = 0; round < 120; round++) {
        float scores[MAX], kept[MAX];
        int32_t excluded[MAX], positives[MAX];
        const int32_t n = round % 10 == 9 ? MAX : 2 + (int32_t)rng_below(&rng, 60);
        const uint64_t n_levels = round % 2 ? 7 : 1U << 20;
        struct ranking_case c = {
            .n_items = n, .excluded = excluded, .positives = positives};
        for (int32_t i = 0; i < n; i++) {
            const double draw = rng_uniform(&rng);
            kept[i] = scores[i] = (float)rng_below(&rng, n_levels) - 3;
            if (draw < 0.2) {
                excluded[c.n_excluded++] = i;
            } else if (draw < (n == MAX ? 0.7 : 0.3)) {
                positives[c.n_positives++] = i;
            }
        }
        c.n_unknown = 1 + (int32_t)rng_below(&rng, 5);
        c.n_unknown_positives = round % 3 == 0 || c.n_positives == 0;
        struct ranking_metrics expected, m;
        const int32_t k = 1 + (int32_t)rng_below(&rng, 30);

        c.scores = kept;
        measure_naively(&c, k, 20, &expected);
        c.scores = scores;
        measure(&c, k, 20, &m);

        check_in_order(&c, kept, k, &m);
        if (!isnan(expected.auc)) {
            assert_close(m.auc, expected.auc, 1e-12);
        }
        assert_close(m.ndcg, expected.ndcg, 1e-12);
        assert_close(m.recall, expected.recall, 1e-12);
        assert_close(m.average_precision, expected.average_precision, 1e-12);
        assert_close(m.reciprocal_rank, expected.reciprocal_rank, 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(metrics_of_a_small_list_match_hand_calculation),
        cmocka_unit_test(tied_scores_count_half_and_rank_by_index),
        cmocka_unit_test(unknown_items_rank_last_and_are_never_listed),
        cmocka_unit_test(no_negative_leaves_the_auc_undefined),
        cmocka_unit_test(metrics_match_the_definitions_on_random_cases),
    };
    return cmocka_run_group_tests_name("ranking", tests, NULL, NULL);
}
