#include "tests/testing.h"

#include <string.h>
#include <unistd.h>

#include "tests/failing_alloc.h"
#include "tests/planted.h"
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
    assert_true(slice_equal(buffer_slice(&f->names),
                            slice_of("1\ngenre:comedy\ngenre:drama\ntag:dark\n")));
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

static void known_names_give_the_same_columns(void **state)
{
    (void)state;
    const struct files files =
        written("movieId,title,genres\nx1,One,Western|Drama\n"
                "a,New,drama\nx2,Two,(no genres listed)\n",
                "userId,movieId,tag,timestamp\nu,x0,Dark,1\nv,x1,dark,2\nu,b,slow,3\n");
    struct ratings *r = planted_ratings(4, 3, 1, 0, 1);
    struct item_features *f = NULL;
    struct error error = {0};
    const struct slice names = slice_of("1\ngenre:comedy\ngenre:drama\ntag:dark\n");

    assert_int_equal(
        item_features_load_known(files.genres, files.tags, names, r, &f, &error), 0);

    assert_int_equal(f->n_columns, 4);
    assert_int_equal(f->n_genres, 2);
    assert_int_equal(f->n_tags, 1); /* on two items: rare, yet the model's */
    assert_true(slice_equal(buffer_slice(&f->names), names));
    assert_columns(f, r, "x0", (const int32_t[]){0, 3}, 2);
    assert_columns(f, r, "x1", (const int32_t[]){0, 2, 3}, 3);
    assert_columns(f, r, "x2", (const int32_t[]){0}, 1);
    assert_columns(f, r, "a", (const int32_t[]){0, 2}, 2);
    assert_columns(f, r, "b", (const int32_t[]){0}, 1);
    item_features_free(f);
    f = NULL;
    assert_int_equal(item_features_load_known(files.genres, NULL, slice_of("1\nx\nx\n"),
                                              r, &f, &error),
                     -1);
    assert_non_null(strstr(error.message, "\"x\" twice"));
    assert_null(f);
    ratings_free(r);
    files_remove(&files);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(genres_and_common_tags_become_columns),
        cmocka_unit_test(bad_lines_are_named),
        cmocka_unit_test(lack_of_memory_while_loading_is_reported),
        cmocka_unit_test(known_names_give_the_same_columns),
    };
    return cmocka_run_group_tests_name("item features", tests, NULL, NULL);
}
