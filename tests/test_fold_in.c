#include "tests/testing.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/failing_alloc.h"
#include "trainer/trainer.h"

enum { N_USERS = 40, N_ITEMS = 60, K = 4 };

#define ALS_SETTINGS                                                                   \
    "{\"kind\":\"als\",\"lambda\":1,\"tau\":0.5,\"tau_bias\":0,\"alpha\":0}"
#define BPR_SETTINGS                                                                   \
    "{\"kind\":\"bpr\",\"learning_rate\":0.05,\"reg\":0.0025,\"threshold\":2.5}"

static struct slice numbered_user(const void *context, int32_t u)
{
    static char text[16];
    (void)context;
    snprintf(text, sizeof text, "u%d", u);
    return slice_of(text);
}

static struct slice numbered_item(const void *context, int32_t i)
{
    static char text[16];
    (void)context;
    snprintf(text, sizeof text, "i%d", i);
    return slice_of(text);
}

static void temporary_path(char path[32])
{
    snprintf(path, 32, "/tmp/fold-XXXXXX");
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
}

static struct model *random_model(enum model_kind kind, const char *settings)
{
    static float x[N_USERS * K], y[N_ITEMS * K], b[N_USERS], c[N_ITEMS];
    static int32_t count[N_ITEMS];
    const struct model_ids ids = {numbered_user, numbered_item, NULL};
    char path[32];
    struct rng rng;
    struct model *model = NULL;
    struct error error = {0};
    rng_init(&rng, 2, 0);
    for (int j = 0; j < N_USERS * K; j++) {
        x[j] = (float)rng_normal(&rng);
    }
    for (int j = 0; j < N_ITEMS * K; j++) {
        y[j] = (float)rng_normal(&rng);
    }
    for (int j = 0; j < N_USERS; j++) {
        b[j] = kind == MODEL_ALS ? (float)rng_normal(&rng) : 0;
    }
    for (int j = 0; j < N_ITEMS; j++) {
        c[j] = (float)rng_normal(&rng);
        count[j] = j;
    }
    const struct model made = {.kind = kind,
                               .n_users = N_USERS,
                               .n_items = N_ITEMS,
                               .n_factors = K,
                               .mean = kind == MODEL_ALS ? 3 : 0,
                               .user_factors = x,
                               .item_factors = y,
                               .user_bias = b,
                               .item_bias = c,
                               .item_count = count,
                               .settings = slice_of(settings)};
    temporary_path(path);
    assert_int_equal(model_save(&made, &ids, path, NULL, &error), 0);
    assert_int_equal(model_load(path, &model, &error), 0);
    unlink(path);
    return model;
}

/* At the solution the loss does not change to first order in any direction. */
static void check_gradient(const char *settings, double tau, double tau_bias)
{
    struct model *m = random_model(MODEL_ALS, settings);
    struct fold_in *f = NULL;
    struct error error = {0};
    const int32_t index[] = {3, 50, 7, 21, 33, 12, 59};
    const float rating[] = {5, 1, 4, 3.5F, 0.5F, 2, 4.5F};
    const struct fold_in_ratings given = {index, rating, 7};
    float vector[K], bias = 0;
    assert_int_equal(fold_in_new(m, &f, &error), 0);

    assert_int_equal(fold_in_user(f, &given, vector, &bias, &error), 0);

    double gradient[K + 1] = {0};
    for (int j = 0; j < 7; j++) {
        const float *y = m->item_factors + (size_t)index[j] * K;
        double e =
            (double)rating[j] - 3 - (double)bias - (double)m->item_bias[index[j]];
        for (int p = 0; p < K; p++) {
            e -= (double)vector[p] * (double)y[p];
        }
        for (int p = 0; p < K; p++) {
            gradient[p] -= e * (double)y[p];
        }
        gradient[K] -= e;
    }
    for (int p = 0; p < K; p++) {
        assert_close(gradient[p] + tau * (double)vector[p], 0, 1e-5);
    }
    assert_close(gradient[K] + tau_bias * (double)bias, 0, 1e-5);
    fold_in_free(f);
    model_free(m);
}

static void als_user_has_no_gradient_left(void **state)
{
    (void)state;
    check_gradient(ALS_SETTINGS, 0.5, 0);
    check_gradient("{\"lambda\":1,\"tau\":1.35,\"tau_bias\":1.3,\"alpha\":0.5}",
                   1.35 * sqrt(7), 1.3 * sqrt(7));
}

static void als_gives_a_trained_user_and_item_back(void **state)
{
    (void)state;
    /* Next to no regularisation, and ratings that a user's own vector explains. */
    struct model *m = random_model(
        MODEL_ALS, "{\"lambda\":1,\"tau\":1e-9,\"tau_bias\":0,\"alpha\":0}");
    struct fold_in *f = NULL;
    struct error error = {0};
    int32_t index[N_ITEMS];
    float rating[N_ITEMS], vector[K], bias = 0;
    assert_int_equal(fold_in_new(m, &f, &error), 0);
    for (int32_t i = 0; i < N_ITEMS; i++) {
        index[i] = i;
        rating[i] = (float)model_score(m, 5, i, 1);
    }
    const struct fold_in_ratings by_user = {index, rating, N_ITEMS};

    assert_int_equal(fold_in_user(f, &by_user, vector, &bias, &error), 0);

    assert_close(bias, m->user_bias[5], 1e-5);
    for (int p = 0; p < K; p++) {
        assert_close(vector[p], m->user_factors[5 * K + p], 1e-5);
    }
    for (int32_t u = 0; u < N_USERS; u++) {
        rating[u] = (float)model_score(m, u, 9, 1);
    }
    const struct fold_in_ratings of_item = {index, rating, N_USERS};

    assert_int_equal(fold_in_item(f, &of_item, vector, &bias, &error), 0);

    assert_close(bias, m->item_bias[9], 1e-5);
    for (int p = 0; p < K; p++) {
        assert_close(vector[p], m->item_factors[9 * K + p], 1e-5);
    }
    fold_in_free(f);
    model_free(m);
}

/* The gradient of all pairs' loss, written out: positives want 1, all others 0. */
static void implicit_user_has_no_gradient_left(void **state)
{
    (void)state;
    struct model *m = random_model(
        MODEL_IALS, "{\"confidence\":9,\"reg\":0.03,\"nu\":0.5,\"threshold\":2.5}");
    struct fold_in *f = NULL;
    struct error error = {0};
    const int32_t index[] = {3, 50, 7, 21}, liked[] = {3, 7, 21};
    const float rating[] = {5, 1, 4, 3};
    const struct fold_in_ratings given = {index, rating, 4},
                                 disliked = {index + 1, rating + 1, 1};
    const double ridge = 0.03 * sqrt(9 * 3 + N_ITEMS);
    float vector[K], bias = 7;
    double gradient[K];
    assert_int_equal(fold_in_new(m, &f, &error), 0);

    assert_int_equal(fold_in_user(f, &given, vector, &bias, &error), 0);

    for (int p = 0; p < K; p++) {
        gradient[p] = ridge * (double)vector[p];
    }
    for (int32_t i = 0; i < N_ITEMS; i++) {
        const float *y = m->item_factors + (size_t)i * K;
        const bool wanted = i == liked[0] || i == liked[1] || i == liked[2];
        double e = wanted ? 1 : 0;
        for (int p = 0; p < K; p++) {
            e -= (double)vector[p] * (double)y[p];
        }
        for (int p = 0; p < K; p++) {
            gradient[p] -= (wanted ? 10 : 1) * e * (double)y[p];
        }
    }
    for (int p = 0; p < K; p++) {
        assert_close(gradient[p], 0, 1e-4);
    }
    assert_close(bias, 0, 0);
    assert_int_equal(fold_in_user(f, &disliked, vector, &bias, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    fold_in_free(f);
    model_free(m);
}

static double mean_margin(const struct model *m, const float *vector,
                          const int32_t *liked, int n_liked)
{
    double mean = 0;
    for (int j = 0; j < n_liked; j++) {
        for (int32_t i = 0; i < N_ITEMS; i++) {
            double margin = (double)m->item_bias[liked[j]] - (double)m->item_bias[i];
            for (int p = 0; p < K; p++) {
                margin +=
                    (double)vector[p] * ((double)m->item_factors[liked[j] * K + p] -
                                         (double)m->item_factors[i * K + p]);
            }
            mean += margin / n_liked / N_ITEMS;
        }
    }
    return mean;
}

static void bpr_user_prefers_what_was_liked(void **state)
{
    (void)state;
    struct model *m = random_model(MODEL_BPR, BPR_SETTINGS);
    struct fold_in *f = NULL;
    struct error error = {0};
    const int32_t index[] = {3, 50, 7, 21}, shuffled[] = {21, 7, 3, 50};
    const float rating[] = {5, 1, 4, 3}, moved[] = {3, 4, 5, 1};
    const struct fold_in_ratings given = {index, rating, 4},
                                 same = {shuffled, moved, 4};
    const int32_t liked[] = {3, 7, 21};
    float vector[K], again[K], nothing[K] = {0}, bias = 7;
    assert_int_equal(fold_in_new(m, &f, &error), 0);

    assert_int_equal(fold_in_user(f, &given, vector, &bias, &error), 0);
    assert_int_equal(fold_in_user(f, &same, again, &bias, &error), 0);

    assert_true(mean_margin(m, vector, liked, 3) >
                mean_margin(m, nothing, liked, 3) + 0.5);
    assert_close(bias, 0, 0);
    assert_memory_equal(vector, again, sizeof vector);
    fold_in_free(f);
    model_free(m);
}

static void bpr_item_is_near_those_who_like_it(void **state)
{
    (void)state;
    struct model *m = random_model(MODEL_BPR, BPR_SETTINGS);
    struct fold_in *f = NULL;
    struct error error = {0};
    const int32_t index[] = {1, 2, 3, 8, 13, 21};
    const float rating[] = {5, 5, 4, 5, 4, 1};
    const struct fold_in_ratings given = {index, rating, 6};
    float vector[K], bias = 0;
    double fans = 0, all = 0;
    assert_int_equal(fold_in_new(m, &f, &error), 0);

    assert_int_equal(fold_in_item(f, &given, vector, &bias, &error), 0);

    for (int p = 0; p < K; p++) {
        for (int j = 0; j < 5; j++) {
            fans += (double)vector[p] * (double)m->user_factors[index[j] * K + p] / 5;
        }
        for (int u = 0; u < N_USERS; u++) {
            all += (double)vector[p] * (double)m->user_factors[u * K + p] / N_USERS;
        }
    }
    assert_true(fans > all);
    fold_in_free(f);
    model_free(m);
}

static void nothing_to_learn_from_is_an_error(void **state)
{
    (void)state;
    struct model *als = random_model(MODEL_ALS, ALS_SETTINGS);
    struct model *bpr = random_model(MODEL_BPR, BPR_SETTINGS);
    struct model *mute = random_model(MODEL_ALS, "{}");
    struct fold_in *f = NULL;
    struct error error = {0};
    const int32_t index[] = {3};
    const float rating[] = {2};
    const struct fold_in_ratings none = {index, rating, 0},
                                 disliked = {index, rating, 1};
    float vector[K] = {9}, bias = 9;

    assert_int_equal(fold_in_new(als, &f, &error), 0);
    assert_int_equal(fold_in_user(f, &none, vector, &bias, &error), -1);
    assert_string_equal(error.message, "fold-in: there are no ratings");
    fold_in_free(f);
    assert_int_equal(fold_in_new(bpr, &f, &error), 0);
    assert_int_equal(fold_in_user(f, &disliked, vector, &bias, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    fold_in_free(f);
    assert_int_equal(fold_in_new(mute, &f, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_close(vector[0], 9, 0);
    assert_close(bias, 9, 0);
    model_free(als);
    model_free(bpr);
    model_free(mute);
    mute = random_model(MODEL_ALS, "{\"gibbs_draws\":100}");
    assert_int_equal(fold_in_new(mute, &f, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    model_free(mute);
}

/* u3 is known, n1 and n2 are new; j1 is new, rated by n1; n2 rates only j2, which
 * nobody else knows. */
static struct ratings *later_ratings(void)
{
    static const char *const user[] = {"u3", "u3", "n1", "n1", "n1", "n2"};
    static const char *const item[] = {"i1", "i2", "i1", "i5", "j1", "j2"};
    static const float rating[] = {5, 1, 4, 3, 5, 5};
    struct id_map *users = id_map_new(), *items = id_map_new();
    struct ratings *ratings = NULL;
    int32_t u[6], i[6];
    assert_true(users && items);
    for (int j = 0; j < 6; j++) {
        u[j] = id_map_add(users, slice_of(user[j]));
        i[j] = id_map_add(items, slice_of(item[j]));
    }
    const struct rating_triples triples = {u, i, rating, 6};
    assert_int_equal(ratings_build(&triples, users, items, &ratings, NULL), 0);
    return ratings;
}

static void extend_adds_users_and_items_and_leaves_the_rest(void **state)
{
    (void)state;
    struct model *m = random_model(MODEL_ALS, ALS_SETTINGS), *larger = NULL;
    struct ratings *later = later_ratings();
    struct fold_in_summary s;
    struct error error = {0};
    uint64_t hash = 0;
    char path[32];
    temporary_path(path);
    for (int n_threads = 1; n_threads <= 4; n_threads *= 2) {
        assert_int_equal(fold_in_extend(m, later, NULL, n_threads, path, &s, &error),
                         0);

        assert_int_equal(model_load(path, &larger, &error), 0);
        assert_true(n_threads == 1 || larger->hash == hash);
        hash = larger->hash;
        assert_int_equal(s.n_new_users, 1);
        assert_int_equal(s.n_solved_again, 1);
        assert_int_equal(s.n_new_items, 1);
        assert_int_equal(s.n_unplaced_users, 1);
        assert_int_equal(s.n_unplaced_items, 1);
        assert_int_equal(model_find_user(larger, slice_of("n1")), N_USERS);
        assert_int_equal(model_find_item(larger, slice_of("j1")), N_ITEMS);
        assert_int_equal(model_find_user(larger, slice_of("n2")), -1);
        assert_close(model_score(larger, 7, 8, 1), model_score(m, 7, 8, 1), 0);
        assert_true(model_score(larger, 3, 1, 1) > model_score(larger, 3, 2, 1));
        assert_true(fabs(model_score(larger, N_USERS, N_ITEMS, 1) - 5) < 1);
        assert_int_equal(larger->item_count[N_ITEMS], 1);
        assert_int_equal(larger->item_count[5], 6); /* 5 in training and n1's */
        assert_int_equal(larger->item_count[2], 2); /* u3's may have been counted */
        model_free(larger);
    }
    unlink(path);
    ratings_free(later);
    model_free(m);
}

static void check_lack_of_memory(enum model_kind kind, const char *settings)
{
    struct model *m = random_model(kind, settings);
    struct ratings *later = later_ratings();
    char path[32];
    temporary_path(path);
    for (long n = 0;; n++) {
        struct fold_in_summary s;
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = fold_in_extend(m, later, NULL, 1, path, &s, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            assert_true(n > 15);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
    unlink(path);
    ratings_free(later);
    model_free(m);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    check_lack_of_memory(MODEL_ALS, ALS_SETTINGS);
    check_lack_of_memory(MODEL_BPR, BPR_SETTINGS);
    check_lack_of_memory(
        MODEL_IALS, "{\"confidence\":9,\"reg\":0.03,\"nu\":0.5,\"threshold\":2.5}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(als_user_has_no_gradient_left),
        cmocka_unit_test(als_gives_a_trained_user_and_item_back),
        cmocka_unit_test(implicit_user_has_no_gradient_left),
        cmocka_unit_test(bpr_user_prefers_what_was_liked),
        cmocka_unit_test(bpr_item_is_near_those_who_like_it),
        cmocka_unit_test(nothing_to_learn_from_is_an_error),
        cmocka_unit_test(extend_adds_users_and_items_and_leaves_the_rest),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests_name("fold_in", tests, NULL, NULL);
}
