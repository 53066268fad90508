#include "tests/testing.h"

#include <string.h>

#include "common/rng.h"
#include "tests/planted.h"
#include "trainer/bpr_step.h"
#include "trainer/trainer.h"

static struct factors *train(const struct ratings *r, const struct bpr_config *config)
{
    struct factors *f = NULL;
    struct error error = {0};
    if (bpr_train(r, NULL, config, NULL, &f, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return f;
}

/* One user, three items: it likes the first, dislikes the second, never met the third.
 * So the only sample there can be is (0, 0, 2). */
static struct ratings *one_sample(void)
{
    static const int32_t user[] = {0, 0}, item[] = {0, 1};
    static const float rating[] = {5, 1};
    const struct rating_triples triples = {user, item, rating, 2};
    struct id_map *users = id_map_new(), *items = id_map_new();
    struct ratings *r = NULL;
    assert_true(users && items);
    assert_int_equal(id_map_add(users, slice_of("u")), 0);
    assert_int_equal(id_map_add(items, slice_of("a")), 0);
    assert_int_equal(id_map_add(items, slice_of("b")), 1);
    assert_int_equal(id_map_add(items, slice_of("c")), 2);
    assert_int_equal(ratings_build(&triples, users, items, &r, NULL), 0);
    return r;
}

/* ln sigma(x) - reg |Theta|^2 of that sample, Theta = u, v_0, v_2, c_0, c_2. */
static double objective(const struct factors *f, double reg)
{
    double x = (double)f->item_bias[0] - (double)f->item_bias[2], norm = 0;
    for (int32_t k = 0; k < f->n_factors; k++) {
        const double u = (double)f->user_factors[k];
        const double p = (double)f->item_factors[k];
        const double q = (double)f->item_factors[2 * f->n_factors + k];
        x += u * (p - q);
        norm += u * u + p * p + q * q;
    }
    norm += (double)f->item_bias[0] * (double)f->item_bias[0] +
            (double)f->item_bias[2] * (double)f->item_bias[2];
    return -log1p(exp(-x)) - reg * norm;
}

static void check_step(float *before, float after, struct factors *f,
                       const struct bpr_config *config, double rate)
{
    const float value = *before, h = 0x1p-7F;
    *before = value + h;
    const double above = objective(f, config->reg);
    *before = value - h;
    const double below = objective(f, config->reg);
    *before = value;
    const double gradient = (above - below) / (2 * (double)h);
    assert_close(((double)after - (double)value) / rate, gradient, 1e-4);
}

static void a_step_follows_the_gradient(void **state)
{
    (void)state;
    struct ratings *r = one_sample();
    struct bpr_config config = bpr_config_default();
    config.n_factors = 3;
    config.learning_rate = 0.1;
    config.reg = 0.2;
    config.bias_rate = 0.5;
    config.start_sd = 0.3;
    config.n_epochs = 0;
    struct factors *before = train(r, &config);
    config.n_epochs = 1;

    struct factors *after = train(r, &config);

    for (int k = 0; k < 3; k++) {
        check_step(&before->user_factors[k], after->user_factors[k], before, &config,
                   0.1);
    }
    for (int k = 0; k < 9; k++) {
        check_step(&before->item_factors[k], after->item_factors[k], before, &config,
                   0.1);
    }
    for (int k = 0; k < 3; k++) {
        check_step(&before->item_bias[k], after->item_bias[k], before, &config, 0.05);
    }
    factors_free(before);
    factors_free(after);
    ratings_free(r);
}

enum { STRIDE = 16, N_STEP_USERS = 8, N_STEP_ITEMS = 40, N_GROUPS = 12 };

struct step_rows {
    float X[N_STEP_USERS * STRIDE], Y[N_STEP_ITEMS * STRIDE];
};

/* One step as bpr.h has it, in double precision. */
static double naive_step(struct step_rows *rows, int32_t user, int32_t i, int32_t j)
{
    float *u = rows->X + (ptrdiff_t)user * STRIDE;
    float *vi = rows->Y + (ptrdiff_t)i * STRIDE, *vj = rows->Y + (ptrdiff_t)j * STRIDE;
    double x = 0;
    for (int f = 0; f < STRIDE; f++) {
        x += (double)u[f] * ((double)vi[f] - (double)vj[f]);
    }
    const double sigma = 1 / (1 + exp(-x)), g = 1 - sigma;
    for (int f = 0; f < STRIDE; f++) {
        const double uf = (double)u[f], p = (double)vi[f], q = (double)vj[f];
        u[f] = (float)(uf + 0.1 * (g * (p - q) - 0.02 * uf));
        vi[f] = (float)(p + 0.05 * (g * uf - 0.02 * p));
        vj[f] = (float)(q + 0.05 * (-g * uf - 0.02 * q));
    }
    return sigma;
}

/* Four users a group; where items are few, most groups share one and some items are
 * wanted by one user of the group and not by another. */
static void check_steps(int32_t n_items, int lane)
{
    /* Static: vectors want their alignment, and rows of a group their place. */
    static _Alignas(64) struct step_rows fast, naive;
    static _Alignas(64) float rate[3][STRIDE];
    struct bpr_group groups[N_GROUPS];
    double product[BPR_GROUP] = {1, 1, 1, 1}, expected[BPR_GROUP] = {1, 1, 1, 1};
    struct rng rng;
    rng_init(&rng, 9, (uint64_t)n_items);
    for (int f = 0; f < STRIDE; f++) {
        rate[0][f] = 0.1F, rate[1][f] = 0.05F, rate[2][f] = 0.02F;
    }
    for (size_t f = 0; f < sizeof fast / sizeof(float); f++) {
        ((float *)&fast)[f] = (float)(0.5 * rng_normal(&rng));
    }
    naive = fast;
    for (int g = 0; g < N_GROUPS; g++) {
        for (int l = 0; l < BPR_GROUP; l++) {
            groups[g].user[l] = l + 4 * (int32_t)rng_below(&rng, 2);
            groups[g].item[l] = (int32_t)rng_below(&rng, (uint64_t)n_items);
            do {
                groups[g].item[4 + l] = (int32_t)rng_below(&rng, (uint64_t)n_items);
            } while (groups[g].item[4 + l] == groups[g].item[l]);
        }
    }
    const struct bpr_rates rates = {STRIDE, rate[0], rate[1], rate[2]};
    const struct bpr_rows rows = {fast.X, fast.Y};
    const struct bpr_samples samples = {groups, NULL, N_GROUPS, 1};

    if (lane < 0) {
        bpr_steps(&rates, &rows, &samples, product);
    } else {
        bpr_steps_of_lane(&rates, &rows, &samples, lane, product);
    }

    for (int g = 0; g < N_GROUPS; g++) {
        for (int l = 0; l < BPR_GROUP; l++) {
            if (lane < 0 || l == lane) {
                expected[l] *= naive_step(&naive, groups[g].user[l], groups[g].item[l],
                                          groups[g].item[4 + l]);
            }
        }
    }
    for (size_t f = 0; f < sizeof fast / sizeof(float); f++) {
        assert_close((double)((float *)&fast)[f], (double)((float *)&naive)[f], 2e-6);
    }
    for (int l = 0; l < BPR_GROUP; l++) {
        assert_close(product[l] / expected[l], 1, 2e-5);
    }
}

/* Users of a group differ, so a group whose items differ may be done in any order, and
 * one that shares an item must be done in the order of the lanes. */
static void steps_in_groups_are_steps_one_by_one(void **state)
{
    (void)state;
    check_steps(N_STEP_ITEMS, -1);
    check_steps(12, -1);
    check_steps(3, -1);
    for (int lane = 0; lane < BPR_GROUP; lane++) {
        check_steps(12, lane);
    }
}

struct epochs {
    struct factors *factors[8]; /* a copy of each */
    const struct ratings *ratings;
    int n;
};

static bool keep_epoch(void *context, const struct epoch_report *report)
{
    struct epochs *epochs = context;
    struct factors *copy = factors_new(epochs->ratings, report->factors->n_factors);
    assert_non_null(copy);
    factors_copy(copy, report->factors);
    epochs->factors[epochs->n++] = copy;
    return true;
}

static void the_result_is_the_mean_of_the_last_epochs(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(40, 50, 0.4, 0, 5);
    struct bpr_config config = bpr_config_default();
    struct epochs epochs = {.ratings = r};
    const struct training_observer observer = {.epoch = keep_epoch, .context = &epochs};
    struct factors *last = NULL;
    config.n_factors = 3;
    config.n_epochs = 8;
    assert_int_equal(bpr_train(r, NULL, &config, &observer, &last, NULL), 0);
    config.average = 0.25; /* of eight: two */

    struct factors *mean = train(r, &config);

    double moved = 0;
    for (int32_t p = 0; p < r->n_items * 3; p++) {
        const double a = (double)epochs.factors[6]->item_factors[p];
        const double b = (double)epochs.factors[7]->item_factors[p];
        assert_close((double)mean->item_factors[p], (a + b) / 2, 1e-6);
        moved = fmax(moved, fabs(a - b));
    }
    for (int32_t p = 0; p < r->n_users * 3; p++) {
        assert_close((double)mean->user_factors[p],
                     ((double)epochs.factors[6]->user_factors[p] +
                      (double)epochs.factors[7]->user_factors[p]) /
                         2,
                     1e-6);
    }
    for (int32_t p = 0; p < r->n_items; p++) {
        assert_close((double)mean->item_bias[p],
                     ((double)epochs.factors[6]->item_bias[p] +
                      (double)epochs.factors[7]->item_bias[p]) /
                         2,
                     1e-6);
    }
    assert_true(moved > 0.01);
    for (int e = 0; e < epochs.n; e++) {
        factors_free(epochs.factors[e]);
    }
    factors_free(mean);
    factors_free(last);
    ratings_free(r);
}

static void a_strong_regulariser_shrinks(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(40, 40, 0.5, 0, 1);
    struct bpr_config config = bpr_config_default();
    config.reg = 1;
    config.n_epochs = 40;

    struct factors *f = train(r, &config);

    for (int32_t i = 0; i < 40 * f->n_factors; i++) {
        assert_true(fabsf(f->user_factors[i]) < 0.05F);
    }
    factors_free(f);
    ratings_free(r);
}

static void training_learns_the_planted_order(void **state)
{
    (void)state;
    struct ratings *all = planted_ratings(200, 150, 0.3, 0, 2);
    struct ratings *train_part = NULL, *test = NULL;
    assert_int_equal(split_ratings(all, 0.2, 5, &train_part, &test, NULL), 0);
    struct bpr_config config = bpr_config_default();
    config.n_factors = 8;
    config.threshold = 3;
    config.n_epochs = 0;
    struct factors *start = train(train_part, &config);
    config.n_epochs = 60;

    struct factors *f = train(train_part, &config);

    const double before = factors_auc(start, train_part, train_part, 3, 1000, 1);
    const double after = factors_auc(f, train_part, train_part, 3, 1000, 1);
    const double held_out = factors_auc(f, test, train_part, 3, 1000, 1);
    assert_close(before, 0.5, 0.05);
    assert_true(after > 0.75);
    assert_true(held_out > 0.6);
    factors_free(start);
    factors_free(f);
    ratings_free(all);
    ratings_free(train_part);
    ratings_free(test);
}

/* Two users, four items; scores 4, 3, 2, 1 for both. User 0 has item 0 held out and
 * item 1 seen: its negatives are 2, 3, all below: 1. User 1 has item 2 held out: below
 * it 3, above it 0 and 1: 1/3. */
static void auc_counts_pairs_in_order(void **state)
{
    (void)state;
    static const int32_t user[] = {0, 1}, item[] = {0, 2};
    static const float rating[] = {5, 5};
    static const int32_t seen_user[] = {0}, seen_item[] = {1};
    const struct rating_triples of = {user, item, rating, 2};
    const struct rating_triples before = {seen_user, seen_item, rating, 1};
    struct ratings *r[2] = {NULL, NULL};
    for (int k = 0; k < 2; k++) {
        struct id_map *users = id_map_new(), *items = id_map_new();
        assert_true(users && items);
        for (int i = 0; i < 4; i++) {
            const char id[2] = {(char)('a' + i), 0};
            assert_int_equal(id_map_add(items, slice_of(id)), i);
            assert_true(i >= 2 || id_map_add(users, slice_of(id)) == i);
        }
        assert_int_equal(ratings_build(k ? &before : &of, users, items, &r[k], NULL),
                         0);
    }
    struct factors *f = factors_new(r[0], 1);
    assert_non_null(f);
    for (int i = 0; i < 4; i++) {
        f->item_bias[i] = (float)(4 - i);
    }

    assert_close(factors_auc(f, r[0], r[1], 2.5F, 1000, 1), (1 + 1.0 / 3) / 2, 1e-12);
    f->item_bias[3] = 2; /* a tie counts half */
    assert_close(factors_auc(f, r[0], r[1], 2.5F, 1000, 1), (1 + 0.5 / 3) / 2, 1e-12);
    assert_true(isnan(factors_auc(f, r[0], r[1], 6, 1000, 1)));
    factors_free(f);
    ratings_free(r[0]);
    ratings_free(r[1]);
}

static void nothing_positive_is_an_error(void **state)
{
    (void)state;
    struct ratings *r = one_sample();
    struct bpr_config config = bpr_config_default();
    struct factors *f = NULL;
    struct error error = {0};
    config.threshold = 5;

    assert_int_equal(bpr_train(r, NULL, &config, NULL, &f, &error), -1);

    assert_int_equal(error.code, ERROR_INVALID);
    assert_null(f);
    ratings_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_step_follows_the_gradient),
        cmocka_unit_test(steps_in_groups_are_steps_one_by_one),
        cmocka_unit_test(the_result_is_the_mean_of_the_last_epochs),
        cmocka_unit_test(a_strong_regulariser_shrinks),
        cmocka_unit_test(training_learns_the_planted_order),
        cmocka_unit_test(auc_counts_pairs_in_order),
        cmocka_unit_test(nothing_positive_is_an_error),
    };
    return cmocka_run_group_tests_name("bpr", tests, NULL, NULL);
}
