#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "tests/failing_alloc.h"
#include "tests/planted.h"
#include "trainer/feature_map.h"
#include "trainer/trainer.h"

static void write_text(const char *path, const char *text)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(text, 1, strlen(text), file), strlen(text));
    assert_int_equal(fclose(file), 0);
}

struct files {
    char directory[64], genres[96], tags[96];
};

static struct files written(const char *genres, const char *tags)
{
    struct files f = {.directory = "/tmp/features-XXXXXX"};
    assert_non_null(mkdtemp(f.directory));
    snprintf(f.genres, sizeof f.genres, "%s/movies.csv", f.directory);
    snprintf(f.tags, sizeof f.tags, "%s/tags.csv", f.directory);
    write_text(f.genres, genres);
    write_text(f.tags, tags);
    return f;
}

static void files_remove(const struct files *f)
{
    unlink(f->genres);
    unlink(f->tags);
    rmdir(f->directory);
}

/* ---- what the files say ---- */

static void assert_columns(const struct item_features *f, const struct ratings *r,
                           const char *id, const int32_t *columns, int64_t n)
{
    const int32_t i = id_map_find(r->items, slice_of(id));
    assert_true(i >= 0);
    assert_int_equal(f->start[i + 1] - f->start[i], n);
    assert_memory_equal(f->column + f->start[i], columns, (size_t)n * sizeof *columns);
}

static void genres_and_common_tags_become_columns(void **state)
{
    (void)state;
    /* Items x0, x1, x2 are rated; a and b are not. */
    const struct files files =
        written("movieId,title,genres\nx1,One,Comedy|Drama\n"
                "a,New,drama\nx2,Two,(no genres listed)\n",
                "userId,movieId,tag,timestamp\nu,x0,Dark,1\nv,x0, dark ,2\n"
                "u,x1,\"long, slow\",3\nu,x2,LONG,4\nw,x2,dark,5\nw,b,dark,6\n"
                "w,x1,rare,7\nw,x2,rare,7\n");
    struct ratings *r = planted_ratings(4, 3, 1, 0, 1);
    struct item_features *f = NULL;
    struct error error = {0};

    assert_int_equal(item_features_load(files.genres, files.tags, r, &f, &error), 0);

    assert_int_equal(r->n_items, 5);
    assert_int_equal(id_map_count(r->items), 5);
    assert_int_equal(r->item_start[5], r->n_ratings);
    assert_int_equal(f->n_items, 5);
    assert_int_equal(f->n_genres, 2); /* comedy 1, drama 2 */
    assert_int_equal(f->n_tags, 1);   /* dark 3, on three items; "rare" on two */
    assert_int_equal(f->n_columns, 4);
    assert_columns(f, r, "x0", (const int32_t[]){0, 3}, 2);
    assert_columns(f, r, "x1", (const int32_t[]){0, 1, 2}, 3);
    assert_columns(f, r, "x2", (const int32_t[]){0, 3}, 2);
    assert_columns(f, r, "a", (const int32_t[]){0, 2}, 2);
    assert_columns(f, r, "b", (const int32_t[]){0, 3}, 2);
    item_features_free(f);
    ratings_free(r);
    files_remove(&files);
}

static void bad_lines_are_named(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(4, 3, 1, 0, 1);
    struct item_features *f = NULL;
    struct error error = {0};
    char expected[256];
    struct files files = written("1,A,B\n", "userId,movieId,tag,timestamp\nu,x0\n");

    assert_int_equal(item_features_load(NULL, files.tags, r, &f, &error), -1);
    snprintf(expected, sizeof expected,
             "%s:2: expected userId,movieId,tag[,timestamp] (quote a tag that holds a "
             "comma)",
             files.tags);
    assert_string_equal(error.message, expected);
    files_remove(&files);
    files = written("1,A,B\n1,C,D\n", "");
    assert_int_equal(item_features_load(files.genres, NULL, r, &f, &error), -1);
    snprintf(expected, sizeof expected, "%s:2: item \"1\" has a title already",
             files.genres);
    assert_string_equal(error.message, expected);
    assert_int_equal(item_features_load("/nowhere", NULL, r, &f, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_null(f);
    ratings_free(r);
    files_remove(&files);
}

static void lack_of_memory_while_loading_is_reported(void **state)
{
    (void)state;
    const struct files files =
        written("1,A,B|C\n2,B,C\n3,C,C\n", "u,1,x\nu,2,x\nu,3,x\n");
    for (long n = 0;; n++) {
        struct ratings *r = planted_ratings(4, 3, 1, 0, 1);
        struct item_features *f = NULL;
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = item_features_load(files.genres, files.tags, r, &f, &error);
        const bool failed = failing_alloc_stop();
        assert_int_equal(rc, failed ? -1 : 0);
        assert_true(!failed || error.code == ERROR_NOMEM);
        item_features_free(f);
        ratings_free(r);
        if (!failed) {
            assert_true(n > 10);
            break;
        }
    }
    files_remove(&files);
}

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
        cmocka_unit_test(genres_and_common_tags_become_columns),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(lack_of_memory_while_loading_is_reported),
        cmocka_unit_test(the_map_stands_where_its_gradient_is_zero),
        cmocka_unit_test(loss_is_the_formula_and_items_are_its_minimum),
        cmocka_unit_test(loss_never_rises_with_features),
        cmocka_unit_test(an_item_without_ratings_gets_what_its_features_say),
        cmocka_unit_test(features_need_a_penalty_on_biases),
    };
    return cmocka_run_group_tests_name("features", tests, NULL, NULL);
}
