/* Every allocation of the trainer's paths fails once: each says so and leaves nothing
 * behind, which the leak checker of the asan preset watches. */
#include "tests/testing.h"

#include <stdlib.h>
#include <unistd.h>

#include "tests/failing_alloc.h"
#include "tests/planted.h"
#include "trainer/trainer.h"

/* The user, item and rating arrays of two files. */
#define MAX_HARMLESS 6

/* What the paths work on; made while nothing fails. */
struct world {
    struct ratings *train, *test;
    struct item_features features;
    char directory[64];
    char ratings_path[96], other_path[96], model_path[96];
};

/* Runs one path; returns what it returned and frees what it made. */
typedef int (*path_function)(const struct world *w, struct error *error);

/* Fails the first, second, ... allocation of `run` until none is left to fail. */
static void fail_every_allocation(const struct world *w, path_function run,
                                  long at_least)
{
    long n_harmless = 0;
    for (long n = 0;; n++) {
        struct error error = {0};
        failing_alloc_at(n);
        const int rc = run(w, &error);
        if (!failing_alloc_stop()) {
            assert_int_equal(rc, 0);
            assert_true(n - n_harmless >= at_least); /* the loop did fail something */
            assert_true(n_harmless <= MAX_HARMLESS);
            return;
        }
        if (rc == 0) { /* an array that could not be made smaller does no harm */
            n_harmless++;
            continue;
        }
        assert_int_equal(rc, -1);
        assert_int_equal(error.code, ERROR_NOMEM);
        assert_true(error.message[0] != '\0');
    }
}

static void write_ratings(const char *path, const struct ratings *r, bool is_sorted)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    fputs("userId,movieId,rating\n", file);
    for (int32_t n = 0; n < r->n_users; n++) {
        const int32_t u = is_sorted ? n : r->n_users - 1 - n;
        for (int64_t at = r->user_start[u]; at < r->user_start[u + 1]; at++) {
            fprintf(file, "user%d,%d,%.3f\n", u, r->user_item[at],
                    (double)r->user_rating[at]);
        }
    }
    assert_int_equal(fclose(file), 0);
}

static int set_up(void **state)
{
    static int64_t start[31];
    static int32_t column[60];
    struct world *w = calloc(1, sizeof *w);
    struct ratings *all = planted_ratings(40, 30, 0.5, 0.5, 1);
    assert_non_null(w);
    assert_int_equal(split_ratings(all, 0.2, 1, &w->train, &w->test, NULL), 0);
    for (int32_t i = 0; i < 30; i++) {
        start[i + 1] = 2 * (i + 1);
        column[2 * i + 1] = 1 + i % 3;
    }
    w->features = (struct item_features){
        .n_items = 30, .n_genres = 3, .n_columns = 4, .start = start, .column = column};
    snprintf(w->directory, sizeof w->directory, "/tmp/trainer-memory-XXXXXX");
    assert_non_null(mkdtemp(w->directory));
    snprintf(w->ratings_path, sizeof w->ratings_path, "%s/ratings.csv", w->directory);
    snprintf(w->other_path, sizeof w->other_path, "%s/other.csv", w->directory);
    snprintf(w->model_path, sizeof w->model_path, "%s/m.model", w->directory);
    write_ratings(w->ratings_path, w->train, true);
    write_ratings(w->other_path, all, false);
    ratings_free(all);
    *state = w;
    return 0;
}

static int tear_down(void **state)
{
    struct world *w = *state;
    unlink(w->ratings_path);
    unlink(w->other_path);
    unlink(w->model_path);
    rmdir(w->directory);
    ratings_free(w->train);
    ratings_free(w->test);
    free(w);
    return 0;
}

/* ---- training ---- */

static int train_als(const struct world *w, struct error *error)
{
    struct als_config config = als_config_default(ALS_CONSTANT, 3);
    struct factors *f = NULL;
    config.n_epochs = 2;
    const int rc = als_train(w->train, w->test, &config, NULL, &f, error);
    factors_free(f);
    return rc;
}

static bool go_on(void *context, const struct epoch_report *report)
{
    (void)context;
    (void)report;
    return true;
}

/* With an observer quality is measured, which takes memory too. */
static int train_als_with_features(const struct world *w, struct error *error)
{
    const struct training_observer observer = {.epoch = go_on};
    struct als_config config = als_config_default(ALS_COUNT, 3);
    struct factors *f = NULL;
    config.n_epochs = 2;
    config.features = &w->features;
    const int rc = als_train(w->train, w->test, &config, &observer, &f, error);
    factors_free(f);
    return rc;
}

static int train_gibbs(const struct world *w, struct error *error)
{
    struct gibbs_config config = gibbs_config_default();
    struct factors *f = NULL;
    config.n_factors = 2;
    config.n_burn_in = 1;
    config.n_draws = config.n_kept = 2;
    const int rc = gibbs_train(w->train, w->test, &config, NULL, &f, error);
    factors_free(f);
    return rc;
}

static int train_bpr(const struct world *w, struct error *error)
{
    struct bpr_config config = bpr_config_default();
    struct factors *f = NULL;
    config.n_epochs = 2;
    config.n_candidates = 2;
    config.average = 0.5;
    const int rc = bpr_train(w->train, w->test, &config, NULL, &f, error);
    factors_free(f);
    return rc;
}

static int train_ials(const struct world *w, struct error *error)
{
    struct ials_config config = ials_config_default();
    struct factors *f = NULL;
    config.n_factors = 3;
    config.n_epochs = 2;
    const int rc = ials_train(w->train, w->test, &config, NULL, &f, error);
    factors_free(f);
    return rc;
}

static void every_trainer_reports_lack_of_memory(void **state)
{
    const struct world *w = *state;
    fail_every_allocation(w, train_als, 8);
    fail_every_allocation(w, train_als_with_features, 15);
    fail_every_allocation(w, train_gibbs, 10);
    fail_every_allocation(w, train_bpr, 15);
    fail_every_allocation(w, train_ials, 6);
}

/* ---- files and parts ---- */

static int load_sorted(const struct world *w, struct error *error)
{
    struct ratings *r = NULL;
    const int rc = ratings_load(w->ratings_path, &r, error);
    ratings_free(r);
    return rc;
}

static int load_unsorted(const struct world *w, struct error *error)
{
    struct ratings *r = NULL;
    const int rc = ratings_load(w->other_path, &r, error);
    ratings_free(r);
    return rc;
}

static int load_pair(const struct world *w, struct error *error)
{
    struct ratings *train = NULL, *test = NULL;
    const int rc =
        ratings_load_pair(w->ratings_path, w->other_path, NULL, &train, &test, error);
    ratings_free(train);
    ratings_free(test);
    return rc;
}

static int split(const struct world *w, struct error *error)
{
    struct ratings *train = NULL, *test = NULL;
    const int rc = split_ratings(w->train, 0.3, 2, &train, &test, error);
    ratings_free(train);
    ratings_free(test);
    return rc;
}

static void reading_and_splitting_report_lack_of_memory(void **state)
{
    const struct world *w = *state;
    fail_every_allocation(w, load_sorted, 10);
    fail_every_allocation(w, load_unsorted, 10);
    fail_every_allocation(w, load_pair, 20);
    fail_every_allocation(w, split, 15);
}

static int save(const struct world *w, struct error *error)
{
    struct factors *f = factors_new(w->train, 3);
    if (!f) {
        error_set(error, ERROR_NOMEM, "no factors to save");
        return -1;
    }
    const int rc = factors_save(f, MODEL_ALS, w->train, slice_of("{}"), w->model_path,
                                NULL, error);
    factors_free(f);
    return rc;
}

static int load(const struct world *w, struct error *error)
{
    struct model *model = NULL;
    const int rc = model_load(w->model_path, &model, error);
    model_free(model);
    return rc;
}

static void models_report_lack_of_memory(void **state)
{
    const struct world *w = *state;
    fail_every_allocation(w, save, 8);
    fail_every_allocation(w, load, 1);
}

static int synthesize(const struct world *w, struct error *error)
{
    const struct synth_config config = {.n_users = 20,
                                        .n_items = 30,
                                        .n_ratings = 200,
                                        .n_factors = 2,
                                        .noise = 0.5,
                                        .seed = 1};
    return synth_write(&config, w->ratings_path, w->model_path, error);
}

static void synthesis_reports_lack_of_memory(void **state)
{
    fail_every_allocation(*state, synthesize, 10);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_trainer_reports_lack_of_memory),
        cmocka_unit_test(reading_and_splitting_report_lack_of_memory),
        cmocka_unit_test(models_report_lack_of_memory),
        cmocka_unit_test(synthesis_reports_lack_of_memory),
    };
    return cmocka_run_group_tests_name("trainer memory", tests, set_up, tear_down);
}
