#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "tests/planted.h"
#include "trainer/feature_map.h"
#include "trainer/trainer.h"

/* ---- the map and the training ---- */

enum { N_USERS = 60, N_ITEMS = 50, N_COLUMNS = 5, N_FACTORS = 3 };

/* Item i has column 0 and the columns whose bit is set in i. */
static struct item_features bit_features(int64_t start[N_ITEMS + 1],
                                         int32_t column[N_ITEMS * N_COLUMNS])
{
    start[0] = 0;
    for (int32_t i = 0; i < N_ITEMS; i++) {
        int64_t end = start[i];
        column[end++] = 0;
        for (int32_t c = 1; c < N_COLUMNS; c++) {
            if (i >> (c - 1) & 1) {
                column[end++] = c;
            }
        }
        start[i + 1] = end;
    }
    return (struct item_features){.n_items = N_ITEMS,
                                  .n_genres = N_COLUMNS - 1,
                                  .n_columns = N_COLUMNS,
                                  .start = start,
                                  .column = column};
}

/* r = 3 + u . v_i + c_i + noise with v_i, c_i sums over the item's columns. The last
 * ten items are rated in `all` alone, not in `train`. */
static void plant(const struct item_features *f, struct ratings **train,
                  struct ratings **all)
{
    static double map[N_COLUMNS][3], user[N_USERS][2];
    static int32_t users[N_USERS * N_ITEMS], items[N_USERS * N_ITEMS];
    static float rating[N_USERS * N_ITEMS];
    struct rng rng;
    rng_init(&rng, 3, 4);
    for (int j = 0; j < N_COLUMNS * 3; j++) {
        map[j / 3][j % 3] = rng_normal(&rng);
    }
    for (int j = 0; j < N_USERS * 2; j++) {
        user[j / 2][j % 2] = 0.7 * rng_normal(&rng);
    }
    for (int part = 0; part < 2; part++) {
        struct id_map *user_ids = id_map_new(), *item_ids = id_map_new();
        int64_t n = 0;
        assert_true(user_ids && item_ids);
        rng_init(&rng, 5, 6);
        for (int32_t i = 0; i < N_ITEMS; i++) {
            double v[3] = {0, 0, 0};
            char id[16];
            snprintf(id, sizeof id, "x%d", i);
            assert_int_equal(id_map_add(item_ids, slice_of(id)), i);
            for (int64_t p = f->start[i]; p < f->start[i + 1]; p++) {
                for (int j = 0; j < 3; j++) {
                    v[j] += map[f->column[p]][j];
                }
            }
            for (int32_t u = 0; u < N_USERS; u++) {
                snprintf(id, sizeof id, "u%d", u);
                assert_int_equal(id_map_add(user_ids, slice_of(id)), u);
                const double noise = 0.2 * rng_normal(&rng);
                if (rng_uniform(&rng) < 0.4 && (part || i < N_ITEMS - 10)) {
                    users[n] = u;
                    items[n] = i;
                    rating[n++] = (float)(3 + user[u][0] * v[0] + user[u][1] * v[1] +
                                          v[2] + noise);
                }
            }
        }
        const struct rating_triples triples = {users, items, rating, n};
        assert_int_equal(
            ratings_build(&triples, user_ids, item_ids, part ? all : train, NULL), 0);
    }
}

struct log {
    double loss[64];
    int n;
};

static bool note(void *context, const struct epoch_report *report)
{
    struct log *log = context;
    log->loss[log->n++] = report->loss;
    return true;
}

static struct als_config feature_config(const struct item_features *features)
{
    struct als_config config = als_config_default(ALS_COUNT, N_FACTORS);
    config.features = features;
    config.feature_ridge = 0.7;
    config.lambda = 1.3;
    return config;
}

static struct factors *train_epochs(const struct ratings *r, struct als_config config,
                                    int n_epochs, struct log *log)
{
    const struct training_observer observer = {.epoch = note, .context = log};
    struct factors *f = NULL;
    struct error error = {0};
    log->n = 0;
    config.n_epochs = n_epochs;
    if (als_train(r, NULL, &config, &observer, &f, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return f;
}

/* sum_n w_n |z_n - M f_n|^2 + ridge |M|^2 for output o, M (N_COLUMNS) given. */
static double map_objective(const struct item_features *f, const double *weights,
                            double ridge, const float *rows, int stride, int at,
                            const double *M)
{
    double sum = 0;
    for (int32_t i = 0; i < f->n_items; i++) {
        double expected = 0;
        for (int64_t p = f->start[i]; p < f->start[i + 1]; p++) {
            expected += M[f->column[p]];
        }
        const double off = (double)rows[i * stride + at] - expected;
        sum += weights[i] * off * off;
    }
    for (int c = 0; c < N_COLUMNS; c++) {
        sum += ridge * M[c] * M[c];
    }
    return sum;
}

/* M of one output, from the centres of items with none or one of the columns. */
static void read_map(const float *centre, int n_outputs, int o, double M[N_COLUMNS])
{
    M[0] = (double)centre[o];
    for (int c = 1; c < N_COLUMNS; c++) {
        M[c] = (double)centre[(1 << (c - 1)) * n_outputs + o] - M[0];
    }
}

static void the_map_stands_where_its_gradient_is_zero(void **state)
{
    (void)state;
    int64_t start[N_ITEMS + 1];
    int32_t column[N_ITEMS * N_COLUMNS];
    const struct item_features features = bit_features(start, column);
    const double h = 1e-3, ridge = 2.5;
    double weights[N_ITEMS];
    float rows[N_ITEMS * 4], centre[N_ITEMS * 3];
    struct feature_map *map = NULL;
    struct rng rng;
    rng_init(&rng, 1, 2);
    for (int i = 0; i < N_ITEMS; i++) {
        weights[i] = i % 7 ? i : 0;
    }
    for (int j = 0; j < N_ITEMS * 4; j++) {
        rows[j] = (float)rng_normal(&rng);
    }

    assert_int_equal(feature_map_new(&features, weights, ridge, 3, &map, NULL), 0);
    feature_map_learn(map, rows, 4, 3);
    feature_map_apply(map, centre);

    for (int o = 0; o < 3; o++) {
        double M[N_COLUMNS], square = 0;
        read_map(centre, 3, o, M);
        for (int c = 0; c < N_COLUMNS; c++) {
            const double value = M[c];
            M[c] = value + h;
            const double above =
                map_objective(&features, weights, ridge, rows, 4, o < 2 ? o : 3, M);
            M[c] = value - h;
            const double below =
                map_objective(&features, weights, ridge, rows, 4, o < 2 ? o : 3, M);
            M[c] = value;
            assert_close((above - below) / (2 * h), 0, 1e-3);
            square += value * value;
        }
        assert_true(square > 1e-3);
        assert_close(feature_map_square(map, o), square, 1e-5 * square);
    }
    feature_map_free(map);
}

/* The loss of als.h with the given centres, term by term, without the map's own. */
static double naive_loss(const struct factors *f, const struct ratings *r,
                         const struct als_config *config, const float *centre)
{
    double loss = 0;
    for (int32_t u = 0; u < r->n_users; u++) {
        const float *x = f->user_factors + u * f->n_factors;
        const double n = (double)(r->user_start[u + 1] - r->user_start[u]);
        double norm =
            config->tau_bias * (double)f->user_bias[u] * (double)f->user_bias[u];
        for (int k = 0; k < f->n_factors; k++) {
            norm += config->tau * (double)x[k] * (double)x[k];
        }
        loss += pow(n, config->alpha) * norm;
        for (int64_t at = r->user_start[u]; at < r->user_start[u + 1]; at++) {
            const int32_t i = r->user_item[at];
            double e = (double)r->user_rating[at] - (double)f->mean -
                       (double)f->user_bias[u] - (double)f->item_bias[i];
            for (int k = 0; k < f->n_factors; k++) {
                e -= (double)x[k] * (double)f->item_factors[i * f->n_factors + k];
            }
            loss += config->lambda * e * e;
        }
    }
    for (int32_t i = 0; i < r->n_items; i++) {
        const int64_t n = r->item_start[i + 1] - r->item_start[i];
        const float *c = centre + i * (f->n_factors + 1);
        const double off = (double)f->item_bias[i] - (double)c[f->n_factors];
        double norm = config->tau_bias * off * off;
        for (int k = 0; k < f->n_factors; k++) {
            const double o =
                (double)f->item_factors[i * f->n_factors + k] - (double)c[k];
            norm += config->tau * o * o;
        }
        loss += n ? pow((double)n, config->alpha) * norm : 0;
    }
    return loss / 2;
}

/* What the epoch after `f` takes for the items' centres. */
static struct feature_map *next_centres(const struct factors *f,
                                        const struct ratings *r,
                                        const struct als_config *config,
                                        double weights[N_ITEMS],
                                        float centre[N_ITEMS * (N_FACTORS + 1)])
{
    float rows[N_ITEMS * (N_FACTORS + 1)];
    struct feature_map *map = NULL;
    for (int32_t i = 0; i < N_ITEMS; i++) {
        const double n = (double)(r->item_start[i + 1] - r->item_start[i]);
        weights[i] = n > 0 ? pow(n, config->alpha) : 0;
        memcpy(rows + i * (N_FACTORS + 1), f->item_factors + i * N_FACTORS,
               N_FACTORS * sizeof *rows);
        rows[i * (N_FACTORS + 1) + N_FACTORS] = f->item_bias[i];
    }
    assert_int_equal(feature_map_new(config->features, weights, config->feature_ridge,
                                     N_FACTORS + 1, &map, NULL),
                     0);
    feature_map_learn(map, rows, N_FACTORS + 1, N_FACTORS);
    feature_map_apply(map, centre);
    return map;
}

static void loss_is_the_formula_and_items_are_its_minimum(void **state)
{
    (void)state;
    int64_t start[N_ITEMS + 1];
    int32_t column[N_ITEMS * N_COLUMNS];
    const struct item_features features = bit_features(start, column);
    const struct als_config config = feature_config(&features);
    struct ratings *r = NULL, *all = NULL;
    struct log log = {.n = 0};
    double weights[N_ITEMS], map_loss = 0;
    float centre[N_ITEMS * (N_FACTORS + 1)];
    plant(&features, &r, &all);
    struct factors *before = train_epochs(r, config, 2, &log);

    struct factors *f = train_epochs(r, config, 3, &log);

    struct feature_map *map = next_centres(before, r, &config, weights, centre);
    for (int o = 0; o <= N_FACTORS; o++) {
        map_loss += config.feature_ridge / 2 * feature_map_square(map, o) *
                    (o < N_FACTORS ? config.tau : config.tau_bias);
    }
    const double loss = naive_loss(f, r, &config, centre);
    assert_close(log.loss[2], loss + map_loss, 1e-5 * loss);
    assert_true(map_loss > 0.01);
    const float h = 0x1p-6F;
    for (int32_t p = 0; p < N_ITEMS * (N_FACTORS + 1); p++) {
        float *at = p < N_ITEMS * N_FACTORS ? &f->item_factors[p]
                                            : &f->item_bias[p - N_ITEMS * N_FACTORS];
        const float value = *at;
        *at = value + h;
        const double above = naive_loss(f, r, &config, centre);
        *at = value - h;
        const double below = naive_loss(f, r, &config, centre);
        *at = value;
        assert_close((above - below) / (2 * (double)h), 0, 3e-3);
    }
    feature_map_free(map);
    factors_free(before);
    factors_free(f);
    ratings_free(r);
    ratings_free(all);
}

static void loss_never_rises_with_features(void **state)
{
    (void)state;
    int64_t start[N_ITEMS + 1];
    int32_t column[N_ITEMS * N_COLUMNS];
    const struct item_features features = bit_features(start, column);
    struct als_config config = feature_config(&features);
    struct ratings *r = NULL, *all = NULL;
    struct log log = {.n = 0};
    plant(&features, &r, &all);
    for (int k = 0; k < 3; k++) {
        config.alpha = k / 2.0; /* 0 counts an item without ratings as one that has */

        struct factors *f = train_epochs(r, config, 30, &log);

        for (int e = 1; e < log.n; e++) {
            assert_true(log.loss[e] <= log.loss[e - 1] * (1 + 1e-6));
        }
        factors_free(f);
    }
    ratings_free(r);
    ratings_free(all);
}

/* Root mean squared error on the ratings of the last ten items, which nobody rated in
 * the training. */
static double cold_error(const struct factors *f, const struct ratings *all)
{
    double sum = 0;
    int64_t n = 0;
    for (int32_t i = N_ITEMS - 10; i < N_ITEMS; i++) {
        for (int64_t at = all->item_start[i]; at < all->item_start[i + 1]; at++) {
            const int32_t u = all->item_user[at];
            double e = (double)all->item_rating[at] - (double)f->mean -
                       (double)f->user_bias[u] - (double)f->item_bias[i];
            for (int k = 0; k < f->n_factors; k++) {
                e -= (double)f->user_factors[u * f->n_factors + k] *
                     (double)f->item_factors[i * f->n_factors + k];
            }
            sum += e * e;
            n++;
        }
    }
    return sqrt(sum / (double)n);
}

static void an_item_without_ratings_gets_what_its_features_say(void **state)
{
    (void)state;
    int64_t start[N_ITEMS + 1];
    int32_t column[N_ITEMS * N_COLUMNS];
    const struct item_features features = bit_features(start, column);
    struct als_config config = feature_config(&features);
    struct ratings *r = NULL, *all = NULL;
    struct log log = {.n = 0};
    plant(&features, &r, &all);
    config.tau = config.tau_bias = 0.3;
    config.feature_ridge = 0.1;
    struct factors *with = train_epochs(r, config, 30, &log);
    config.features = NULL;

    struct factors *without = train_epochs(r, config, 30, &log);

    assert_true(cold_error(without, all) > 1.0); /* spread of what cannot be known */
    assert_true(cold_error(with, all) < 0.3);    /* the planted noise is 0.2 */
    factors_free(with);
    factors_free(without);
    ratings_free(r);
    ratings_free(all);
}

/* Sum of squared errors on the ratings of item i but the first three, which `way` uses:
 * 0: not at all, 1: drawn towards the map, 2: drawn towards zero. */
static double placed_error(const struct model *m, const struct item_features *features,
                           const struct ratings *all, int32_t i, int way)
{
    struct fold_in *fold = NULL;
    float centre[N_FACTORS + 1] = {0}, vector[N_FACTORS], bias = 0;
    const int64_t first = all->item_start[i];
    const struct fold_in_ratings given = {all->item_user + first,
                                          all->item_rating + first, way == 0 ? 0 : 3};
    double sum = 0;
    for (int64_t p = features->start[i]; p < features->start[i + 1]; p++) {
        for (int o = 0; o <= N_FACTORS; o++) {
            centre[o] += m->feature_map[features->column[p] * (N_FACTORS + 1) + o];
        }
    }
    assert_int_equal(fold_in_new(m, &fold, NULL), 0);
    assert_int_equal(way == 2
                         ? fold_in_item(fold, &given, vector, &bias, NULL)
                         : fold_in_item_near(fold, &given, centre, vector, &bias, NULL),
                     0);
    fold_in_free(fold);
    for (int k = 0; k < N_FACTORS && way == 0; k++) {
        assert_close(vector[k], m->item_factors[i * N_FACTORS + k], 1e-5);
    }
    for (int64_t at = first + 3; at < all->item_start[i + 1]; at++) {
        const int32_t u = all->item_user[at];
        double e = (double)all->item_rating[at] - (double)m->mean -
                   (double)m->user_bias[u] - (double)bias;
        for (int k = 0; k < N_FACTORS; k++) {
            e -= (double)m->user_factors[u * N_FACTORS + k] * (double)vector[k];
        }
        sum += e * e;
    }
    return sum;
}

/* What is planted on the last ten items comes back from a model file: without ratings
 * an item stands where its features say, and three ratings leave it nearer to the truth
 * than they do without features. */
static void a_saved_map_places_items_that_come_later(void **state)
{
    (void)state;
    int64_t start[N_ITEMS + 1];
    int32_t column[N_ITEMS * N_COLUMNS];
    struct item_features features = bit_features(start, column);
    struct als_config config = feature_config(&features);
    struct ratings *r = NULL, *all = NULL;
    struct model *m = NULL;
    struct log log = {.n = 0};
    char path[] = "/tmp/features-XXXXXX";
    double sum[3] = {0}, n = 0;
    plant(&features, &r, &all);
    config.tau = config.tau_bias = 0.3;
    config.feature_ridge = 0.1;
    buffer_append_text(&features.names, "1\ngenre:a\ngenre:b\ngenre:c\ngenre:d\n");
    struct factors *f = train_epochs(r, config, 30, &log);
    const struct slice settings =
        slice_of("{\"lambda\":1,\"tau\":0.3,\"tau_bias\":0.3,\"alpha\":0}");
    close(mkstemp(path));
    assert_int_equal(factors_save(f, MODEL_ALS, r, settings, path, NULL, NULL), 0);
    assert_int_equal(model_load(path, &m, NULL), 0);
    assert_int_equal(m->n_features, N_COLUMNS);

    for (int32_t i = N_ITEMS - 10; i < N_ITEMS; i++) {
        for (int way = 0; way < 3; way++) {
            sum[way] += placed_error(m, &features, all, i, way);
        }
        n += (double)(all->item_start[i + 1] - all->item_start[i] - 3);
    }

    assert_true(sqrt(sum[0] / n) < 0.3); /* the planted noise is 0.2 */
    assert_true(sqrt(sum[1] / n) < 0.4); /* three ratings bring some of their own */
    assert_true(sqrt(sum[1]) < 0.5 * sqrt(sum[2]));
    model_free(m);
    unlink(path);
    factors_free(f);
    buffer_free(&features.names);
    ratings_free(r);
    ratings_free(all);
}

static void features_need_a_penalty_on_biases(void **state)
{
    (void)state;
    struct item_features features = {0};
    struct als_config config = als_config_default(ALS_CONSTANT, 5);
    struct error error = {0};
    config.features = &features;

    assert_int_equal(als_config_check(&config, &error), -1);

    assert_non_null(strstr(error.message, "regularise by count"));
    config.tau_bias = 1;
    assert_int_equal(als_config_check(&config, &error), 0);
    config.feature_ridge = 0;
    assert_int_equal(als_config_check(&config, &error), -1);
    assert_string_equal(error.message, "feature ridge is 0, not above 0");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_map_stands_where_its_gradient_is_zero),
        cmocka_unit_test(loss_is_the_formula_and_items_are_its_minimum),
        cmocka_unit_test(loss_never_rises_with_features),
        cmocka_unit_test(an_item_without_ratings_gets_what_its_features_say),
        cmocka_unit_test(a_saved_map_places_items_that_come_later),
        cmocka_unit_test(features_need_a_penalty_on_biases),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
