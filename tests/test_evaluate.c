#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/failing_alloc.h"
#include "trainer/trainer.h"

/* A model, training and test ratings over users u0.. and items i0.. */
struct world {
    struct model *model;
    struct ratings *train, *test;
};

struct text_rating {
    const char *user, *item;
    float rating;
};

static struct slice map_id(const void *map, int32_t index)
{
    return id_map_id(map, index);
}

struct two_maps {
    const struct id_map *users, *items;
};

static struct slice user_id(const void *context, int32_t u)
{
    return map_id(((const struct two_maps *)context)->users, u);
}

static struct slice item_id(const void *context, int32_t i)
{
    return map_id(((const struct two_maps *)context)->items, i);
}

static struct id_map *numbered(char letter, int32_t first, int32_t n)
{
    struct id_map *map = id_map_new();
    assert_non_null(map);
    for (int32_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%c%d", letter, first + i);
        assert_int_equal(id_map_add(map, slice_of(id)), i);
    }
    return map;
}

/* Saves and loads, because ids are only found in loaded models. */
static struct model *loaded(const struct model *made, int32_t first_user)
{
    char path[] = "/tmp/evaluate-XXXXXX";
    struct model *model = NULL;
    struct error error = {0};
    struct id_map *users = numbered('u', first_user, made->n_users);
    struct id_map *items = numbered('i', 0, made->n_items);
    const struct two_maps maps = {users, items};
    const struct model_ids ids = {user_id, item_id, &maps};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(model_save(made, &ids, path, NULL, &error), 0);
    assert_int_equal(model_load(path, &model, &error), 0);
    unlink(path);
    id_map_free(users);
    id_map_free(items);
    return model;
}

static struct ratings *built(const struct text_rating *list, int n)
{
    struct id_map *users = id_map_new(), *items = id_map_new();
    int32_t u[64], i[64];
    float r[64];
    struct ratings *ratings = NULL;
    assert_true(users && items && n <= 64);
    for (int j = 0; j < n; j++) {
        u[j] = id_map_add(users, slice_of(list[j].user));
        i[j] = id_map_add(items, slice_of(list[j].item));
        r[j] = list[j].rating;
    }
    const struct rating_triples triples = {u, i, r, n};
    assert_int_equal(ratings_build(&triples, users, items, &ratings, NULL), 0);
    return ratings;
}

static void world_free(struct world *w)
{
    model_free(w->model);
    ratings_free(w->train);
    ratings_free(w->test);
}

/* One factor, four items, two users: every number below can be checked by hand. */
static struct world small_world(enum model_kind kind)
{
    static const float user_factors[] = {1, -1}, item_factors[] = {0.5F, 0, -0.5F, 1};
    static const float user_bias[] = {0.1F, -0.1F},
                       item_bias[] = {0, 0.2F, 0.2F, -0.2F};
    static const int32_t count[] = {2, 1, 0, 1};
    static const struct text_rating train[] = {
        {"u0", "i0", 5}, {"u0", "i1", 1}, {"u1", "i0", 2}, {"u1", "i3", 4}};
    static const struct text_rating test[] = {{"u0", "i3", 5}, {"u0", "i9", 4},
                                              {"u1", "i2", 3}, {"u1", "i1", 2},
                                              {"u9", "i0", 4}, {"u1", "i0", 2}};
    const struct model made = {.kind = kind,
                               .n_users = 2,
                               .n_items = 4,
                               .n_factors = 1,
                               .mean = 3,
                               .user_factors = user_factors,
                               .item_factors = item_factors,
                               .user_bias = user_bias,
                               .item_bias = item_bias,
                               .item_count = count};
    return (struct world){loaded(&made, 0), built(train, 4), built(test, 6)};
}

static void errors_match_hand_calculation(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_ALS);
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), 0);

    /* Fallbacks: mean user bias 0, mean item bias (0 + 0.2 + 0 - 0.2) / 4 = 0.
     * u0,i3: 3 + .1 + 1 - .2 = 3.9 of 5; u0,i9: 3.1 of 4; u1,i2: 3 - .1 + .5 + .2 = 3.6
     * of 3; u1,i1: 3.1 of 2; u9,i0: 3 of 4; u1,i0: 3 - .1 - .5 = 2.4 of 2. */
    const double e[] = {1.1, 0.9, 0.6, 1.1, 1, 0.4};
    double squared = 0, absolute = 0;
    for (int j = 0; j < 6; j++) {
        squared += e[j] * e[j];
        absolute += e[j];
    }
    assert_string_equal(r.subject[0].name, "als");
    assert_int_equal(r.subject[0].all.n_pairs, 6);
    assert_close(r.subject[0].all.rmse, sqrt(squared / 6), 1e-6);
    assert_close(r.subject[0].all.mae, absolute / 6, 1e-6);
    assert_close(r.subject[0].all.rmse_clipped, sqrt(squared / 6), 1e-6);
    assert_int_equal(r.n_unknown_users, 1);
    assert_int_equal(r.n_unknown_items, 1);
    assert_int_equal(r.n_in_training, 1);
    assert_int_equal(r.n_catalogue, 5);
    /* Item means: i0 3.5, i1 1, i3 4, others 3 (of all). */
    assert_close(r.subject[2].all.rmse, sqrt((1 + 1 + 0 + 1 + 0.25 + 2.25) / 6), 1e-6);
    assert_true(isnan(r.subject[1].all.rmse));
    world_free(&w);
}

static void rankings_match_hand_calculation(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_ALS);
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};
    config.k = 1;

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), 0);

    /* u0: candidates i2 (-.5 + .2), i3 (1 - .2), i9 (unknown); positives i3, i9; pairs:
     * i3 > i2, i9 < i2: AUC 1/2; the list is i3: NDCG 1, recall 1/2, MRR 1.
     * u1: candidates i1 (.2), i2 (.5 + .2), i9; positive i2 (i0 is in training, i1 is
     * not liked): AUC 1; the list is i2. */
    const struct evaluate_metrics *m = &r.subject[0].all;
    assert_int_equal(m->n_users, 2);
    assert_close(m->auc, 0.75, 1e-12);
    assert_close(m->ndcg, 1, 1e-12);
    assert_close(m->recall, 0.75, 1e-12);
    assert_close(m->map, 1, 1e-12);
    assert_close(m->mrr, 1, 1e-12);
    assert_close(m->coverage, 2.0 / 5, 1e-12);
    /* Lists hold 0 0 0 1 1: (2 + 4) / (5 * 2). */
    assert_close(m->gini, 0.6, 1e-12);
    /* i3 has one of two users' ratings, i2 none, which counts as one. */
    assert_close(m->novelty, 1, 1e-12);
    /* Both users have two training ratings. */
    assert_int_equal(r.subject[0].slice[0].n_users, 2);
    assert_int_equal(r.subject[0].slice[1].n_users, 0);
    assert_true(isnan(r.subject[0].slice[1].auc));
    /* Popularity, u0: i3 1, i2 0, i9 0. u1: i1 1, i2 0, i9 0: the liked i2 ties i9. */
    assert_close(r.subject[1].all.auc, ((1 + 0.5) / 2 + 0.5 / 2) / 2, 1e-12);
    world_free(&w);
}

static void item_bias_weight_changes_the_ranking_not_the_errors(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_ALS);
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report with, without;
    struct error error = {0};

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &with, &error), 0);
    config.item_bias = 10; /* u0: i2 1.5 before i3 -1 */
    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &without, &error), 0);

    assert_close(with.subject[0].all.rmse, without.subject[0].all.rmse, 0);
    assert_close(without.subject[0].all.auc, 0.5, 1e-12);
    world_free(&w);
}

static void models_of_preference_have_no_rating_error(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_BPR);
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), 0);

    assert_true(isnan(r.subject[0].all.rmse));
    assert_true(isnan(r.subject[0].all.mae));
    assert_close(r.subject[0].all.auc, 0.75, 1e-12);
    world_free(&w);
}

/* ---- a larger world, against a naive evaluation ---- */

enum { N_USERS = 97, N_ITEMS = 203, N_FACTORS = 5 };

static struct world random_world(void)
{
    static float x[N_USERS * N_FACTORS], y[N_ITEMS * N_FACTORS], b[N_USERS], c[N_ITEMS];
    static int32_t count[N_ITEMS];
    static int32_t user[2][N_USERS * N_ITEMS], item[2][N_USERS * N_ITEMS];
    static float rating[2][N_USERS * N_ITEMS];
    int64_t n[2] = {0, 0};
    struct rng rng;
    struct world w = {0};
    rng_init(&rng, 11, 0);
    for (int j = 0; j < N_USERS * N_FACTORS; j++) {
        x[j] = (float)rng_normal(&rng);
    }
    for (int j = 0; j < N_ITEMS * N_FACTORS; j++) {
        y[j] = (float)rng_normal(&rng);
    }
    for (int j = 0; j < N_USERS; j++) {
        b[j] = (float)rng_normal(&rng);
    }
    for (int j = 0; j < N_ITEMS; j++) {
        c[j] = (float)rng_normal(&rng);
    }
    for (int32_t u = 0; u < N_USERS; u++) {
        for (int32_t i = 0; i < N_ITEMS; i++) {
            const double draw = rng_uniform(&rng);
            const int part = draw < 0.02 + u / 150.0 ? 0 : 1;
            if (draw < 0.1 + u / 150.0) {
                user[part][n[part]] = u;
                item[part][n[part]] = i;
                rating[part][n[part]++] = (float)(1 + rng_below(&rng, 10)) / 2;
                count[i] += part == 0;
            }
        }
    }
    const struct model made = {.kind = MODEL_ALS,
                               .n_users = N_USERS - 4,
                               .n_items = N_ITEMS - 7,
                               .n_factors = N_FACTORS,
                               .mean = 3,
                               .user_factors = x,
                               .item_factors = y,
                               .user_bias = b,
                               .item_bias = c,
                               .item_count = count};
    w.model = loaded(&made, 0);
    for (int part = 0; part < 2; part++) {
        const struct rating_triples t = {user[part], item[part], rating[part], n[part]};
        assert_int_equal(ratings_build(&t, numbered('u', 0, N_USERS),
                                       numbered('i', 0, N_ITEMS),
                                       part == 0 ? &w.train : &w.test, NULL),
                         0);
    }
    return w;
}

/* The score in the ranking; what the model does not know is last. */
static double naive_score(const struct world *w, int32_t u, int32_t i)
{
    return i < w->model->n_items ? model_score(w->model, u, i, 1) : -1e30;
}

struct naive {
    double auc, recall, mrr;
    int n_users;
};

static void add_naively(const struct world *w, int32_t u, struct naive *sum)
{
    double wins = 0, pairs = 0, best_rank = 1e9;
    int n_positives = 0, n_recalled = 0;
    for (int32_t p = 0; p < N_ITEMS; p++) {
        const float rating = ratings_get(w->test, u, p);
        if (isnan(rating) || rating <= 2.5F || !isnan(ratings_get(w->train, u, p))) {
            continue;
        }
        const double s = naive_score(w, u, p);
        int rank = 1;
        n_positives++;
        for (int32_t i = 0; i < N_ITEMS; i++) {
            const float other = ratings_get(w->test, u, i);
            if (!isnan(ratings_get(w->train, u, i)) || i == p) {
                continue;
            }
            rank += naive_score(w, u, i) > s;
            if (isnan(other) || other <= 2.5F) {
                pairs++;
                wins += s > naive_score(w, u, i)    ? 1
                        : s == naive_score(w, u, i) ? 0.5
                                                    : 0;
            }
        }
        if (p < w->model->n_items) {
            n_recalled += rank <= 20;
            best_rank = rank < best_rank ? rank : best_rank;
        }
    }
    if (n_positives) {
        sum->auc += wins / pairs;
        sum->recall += (double)n_recalled / n_positives;
        sum->mrr += best_rank < 1e9 ? 1 / best_rank : 0;
        sum->n_users++;
    }
}

static void a_larger_evaluation_matches_the_naive_one(void **state)
{
    (void)state;
    struct world w = random_world();
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};
    struct naive sum = {0};

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), 0);

    for (int32_t u = 0; u < w.model->n_users; u++) {
        add_naively(&w, u, &sum);
    }
    assert_true(sum.n_users > 80);
    assert_int_equal(r.subject[0].all.n_users, sum.n_users);
    assert_close(r.subject[0].all.auc, sum.auc / sum.n_users, 1e-9);
    assert_close(r.subject[0].all.recall, sum.recall / sum.n_users, 1e-9);
    assert_close(r.subject[0].all.mrr, sum.mrr / sum.n_users, 1e-9);
    world_free(&w);
}

/* Calculated from the same model file and ratings by a program of its own in Python
 * with numpy 1.24.2 (Debian 12's python3-numpy), after the definitions in
 * docs/evaluation.md: one user at a time, full sort, all pairs. */
static void every_number_matches_numpy(void **state)
{
    (void)state;
    struct world w = random_world();
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};

    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), 0);

    const struct evaluate_metrics *m = &r.subject[0].all;
    assert_int_equal(m->n_users, 93);
    assert_close(m->rmse, 3.0579828431265472, 1e-6);
    assert_close(m->mae, 2.4551048411108716, 1e-6);
    assert_close(m->auc, 0.5085234624839219, 1e-9);
    assert_close(m->ndcg, 0.08035309713003438, 1e-9);
    assert_close(m->recall, 0.17480915142205464, 1e-9);
    assert_close(m->map, 0.029099687565189356, 1e-9);
    assert_close(m->mrr, 0.18264935455590098, 1e-9);
    assert_close(m->coverage, 0.6650246305418719, 1e-9);
    assert_close(m->gini, 0.6317707505694158, 1e-9);
    assert_close(m->novelty, 1.5500450456132202, 1e-9);
    world_free(&w);
}

static void any_number_of_threads_gives_the_same_result(void **state)
{
    (void)state;
    struct world w = random_world();
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r[3];
    struct error error = {0};
    for (int j = 0; j < 3; j++) {
        config.n_threads = 1 << j;
        assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r[j], &error), 0);
    }
    for (int j = 1; j < 3; j++) {
        for (int s = 0; s < EVALUATE_N_SUBJECTS; s++) {
            assert_memory_equal(&r[0].subject[s].all, &r[j].subject[s].all,
                                sizeof r[0].subject[s].all);
            assert_memory_equal(&r[0].subject[s].slice, &r[j].subject[s].slice,
                                sizeof r[0].subject[s].slice);
        }
    }
    world_free(&w);
}

static void wrong_settings_and_empty_ratings_are_refused(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_ALS);
    struct ratings *empty = built(NULL, 0);
    struct evaluate_config config = evaluate_config_default();
    struct evaluate_report r;
    struct error error = {0};

    assert_int_equal(evaluate(w.model, w.train, empty, &config, &r, &error), -1);
    assert_string_equal(error.message, "evaluate: the test ratings are empty");
    config.k = 0;
    assert_int_equal(evaluate(w.model, w.train, w.test, &config, &r, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    ratings_free(empty);
    world_free(&w);
}

static void lack_of_memory_is_reported(void **state)
{
    (void)state;
    struct world w = small_world(MODEL_ALS);
    struct evaluate_config config = evaluate_config_default();
    config.n_threads = 1;
    for (long n = 0;; n++) {
        struct evaluate_report r;
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = evaluate(w.model, w.train, w.test, &config, &r, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            assert_true(n > 20);
            break;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
    }
    world_free(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_match_hand_calculation),
        cmocka_unit_test(rankings_match_hand_calculation),
        cmocka_unit_test(item_bias_weight_changes_the_ranking_not_the_errors),
        cmocka_unit_test(models_of_preference_have_no_rating_error),
        cmocka_unit_test(a_larger_evaluation_matches_the_naive_one),
        cmocka_unit_test(every_number_matches_numpy),
        cmocka_unit_test(any_number_of_threads_gives_the_same_result),
        cmocka_unit_test(wrong_settings_and_empty_ratings_are_refused),
        cmocka_unit_test(lack_of_memory_is_reported),
    };
    return cmocka_run_group_tests_name("evaluate", tests, NULL, NULL);
}
