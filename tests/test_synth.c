#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/file.h"
#include "trainer/trainer.h"

struct paths {
    char directory[32], ratings[48], titles[48];
};

static void make_paths(struct paths *p)
{
    snprintf(p->directory, sizeof p->directory, "/tmp/synth-XXXXXX");
    assert_non_null(mkdtemp(p->directory));
    snprintf(p->ratings, sizeof p->ratings, "%s/ratings.csv", p->directory);
    snprintf(p->titles, sizeof p->titles, "%s/movies.csv", p->directory);
}

static void remove_paths(const struct paths *p)
{
    unlink(p->ratings);
    unlink(p->titles);
    assert_int_equal(rmdir(p->directory), 0); /* nothing else was left there */
}

static void default_has_the_shape_of_ml_latest_small(void **state)
{
    (void)state;
    enum { N_USERS = 610, N_ITEMS = 9742, N_RATINGS = 100836 };
    struct synth_config config = synth_config_default();
    struct paths p;
    struct error error = {0};
    char line[128];
    make_paths(&p);

    assert_int_equal(synth_write(&config, p.ratings, p.titles, &error), 0);

    FILE *file = fopen(p.ratings, "r");
    char *seen = calloc(N_USERS, N_ITEMS);
    int *by_user = calloc(N_USERS, sizeof *by_user);
    int *by_item = calloc(N_ITEMS, sizeof *by_item);
    double sum = 0;
    int n = 0;
    assert_true(file && seen && by_user && by_item);
    assert_non_null(fgets(line, sizeof line, file));
    assert_string_equal(line, "userId,movieId,rating,timestamp\n");
    while (fgets(line, sizeof line, file)) {
        char *at = line;
        const long u = strtol(at, &at, 10) - 1, i = strtol(at + 1, &at, 10) - 1;
        const double rating = strtod(at + 1, &at);
        assert_in_range(u, 0, N_USERS - 1);
        assert_in_range(i, 0, N_ITEMS - 1);
        assert_true(rating >= 0.5 && rating <= 5 && fmod(2 * rating, 1) == 0);
        assert_false(seen[u * N_ITEMS + i]);
        seen[u * N_ITEMS + i] = 1;
        by_user[u]++;
        by_item[i]++;
        sum += rating;
        n++;
    }
    assert_int_equal(n, N_RATINGS);
    for (int u = 0; u < N_USERS; u++) {
        assert_in_range(by_user[u], 20, N_ITEMS / 3);
    }
    for (int i = 0; i < N_ITEMS; i++) {
        assert_in_range(by_item[i], 1, N_USERS);
    }
    assert_close(sum / n, 3.5, 0.1);
    free(seen);
    free(by_user);
    free(by_item);
    fclose(file);
    remove_paths(&p);
}

static void every_title_can_be_read_back(void **state)
{
    (void)state;
    struct synth_config config = synth_config_default();
    struct paths p;
    struct titles *titles = NULL;
    struct error error = {0};
    config.n_users = 10;
    config.n_ratings = 1000;
    make_paths(&p);

    assert_int_equal(synth_write(&config, p.ratings, p.titles, &error), 0);

    assert_int_equal(titles_load(p.titles, &titles, &error), 0);
    for (int i = 1; i <= config.n_items; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_true(titles_find(titles, slice_of(id)).len > 0);
        assert_true(titles_genres(titles, slice_of(id)).len > 0);
    }
    titles_free(titles);
    remove_paths(&p);
}

static void same_seed_same_bytes_other_seed_other_bytes(void **state)
{
    (void)state;
    struct synth_config config = synth_config_default();
    struct buffer ratings[3] = {{0}}, titles[3] = {{0}};
    struct error error = {0};
    config.n_users = 50;
    config.n_items = 300;
    config.n_ratings = 2000;
    for (int run = 0; run < 3; run++) {
        struct paths p;
        make_paths(&p);
        config.seed = run < 2 ? 7 : 8;

        assert_int_equal(synth_write(&config, p.ratings, p.titles, &error), 0);

        assert_int_equal(file_read(p.ratings, 1 << 20, &ratings[run], &error), 0);
        assert_int_equal(file_read(p.titles, 1 << 20, &titles[run], &error), 0);
        remove_paths(&p);
    }
    assert_true(slice_equal(buffer_slice(&ratings[0]), buffer_slice(&ratings[1])));
    assert_true(slice_equal(buffer_slice(&titles[0]), buffer_slice(&titles[1])));
    assert_false(slice_equal(buffer_slice(&ratings[0]), buffer_slice(&ratings[2])));
    assert_false(slice_equal(buffer_slice(&titles[0]), buffer_slice(&titles[2])));
    for (int run = 0; run < 3; run++) {
        buffer_free(&ratings[run]);
        buffer_free(&titles[run]);
    }
}

static void impossible_sizes_are_refused(void **state)
{
    (void)state;
    struct synth_config config = synth_config_default();
    struct error error = {0};
    config.n_users = 10;
    config.n_items = 10;
    config.n_ratings = 51;

    assert_int_equal(synth_config_check(&config, &error), -1);

    assert_string_equal(error.message,
                        "51 ratings: 10 users and 10 items take between 10 (one a "
                        "user) and 50 (half of all pairs)");
    config.n_ratings = 50;
    assert_int_equal(synth_config_check(&config, &error), 0);
    config.noise = NAN;
    assert_int_equal(synth_config_check(&config, &error), -1);
}

static void the_densest_and_the_smallest_sets_are_made(void **state)
{
    (void)state;
    static const int64_t sizes[][3] = {
        {1, 2, 1}, {10, 10, 50}, {40, 30, 600}, {2, 1, 1}};
    struct error error = {0};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        struct synth_config config = synth_config_default();
        struct paths p;
        config.n_users = sizes[i][0];
        config.n_items = sizes[i][1];
        config.n_ratings = sizes[i][2];
        make_paths(&p);

        const int rc = synth_write(&config, p.ratings, p.titles, &error);

        assert_int_equal(rc, i < 3 ? 0 : -1); /* two users cannot share one rating */
        remove_paths(&p);
    }
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    const struct synth_config config = synth_config_default();
    struct error error = {0};

    assert_int_equal(
        synth_write(&config, "/nonexistent/r.csv", "/nonexistent/m.csv", &error), -1);

    assert_int_equal(error.code, ERROR_IO);
    assert_string_equal(error.message,
                        "/nonexistent/m.csv.part: cannot create: No such file or "
                        "directory");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(default_has_the_shape_of_ml_latest_small),
        cmocka_unit_test(every_title_can_be_read_back),
        cmocka_unit_test(same_seed_same_bytes_other_seed_other_bytes),
        cmocka_unit_test(impossible_sizes_are_refused),
        cmocka_unit_test(the_densest_and_the_smallest_sets_are_made),
        cmocka_unit_test(a_directory_that_is_not_there_is_an_error),
    };
    return cmocka_run_group_tests_name("synth", tests, NULL, NULL);
}
