#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "trainer/trainer.h"

/* Loads `text` as a file; on failure leaves the message in `message`. */
static struct titles *load_text(const char *text, char message[512])
{
    char path[] = "/tmp/titles-XXXXXX";
    struct titles *titles = NULL;
    struct error error = {0};
    const int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), strlen(text));
    close(fd);
    if (titles_load(path, &titles, &error) != 0) {
        assert_int_equal(error.code, ERROR_INVALID);
        assert_memory_equal(error.message, path, strlen(path));
        snprintf(message, 512, "%s", error.message + strlen(path));
        titles = NULL;
    }
    unlink(path);
    return titles;
}

static void assert_title(const struct titles *titles, const char *id, const char *title,
                         const char *genres)
{
    const struct slice t = titles_find(titles, slice_of(id));
    const struct slice g = titles_genres(titles, slice_of(id));
    assert_true(slice_equal(t, slice_of(title)));
    assert_true(slice_equal(g, slice_of(genres)));
}

static void titles_are_found_by_id(void **state)
{
    (void)state;
    char message[512] = "";

    struct titles *titles = load_text("movieId,title,genres\r\n"
                                      "1,Toy Story (1995),Animation|Comedy\r\n"
                                      "11,\"American President, The (1995)\",Drama\r\n"
                                      "\r\n"
                                      "x-7,\"The \"\"Best\"\"\nof two lines\",\n"
                                      "8,No genres",
                                      message);

    assert_string_equal(message, "");
    assert_title(titles, "1", "Toy Story (1995)", "Animation|Comedy");
    assert_title(titles, "11", "American President, The (1995)", "Drama");
    assert_title(titles, "x-7", "The \"Best\"\nof two lines", "");
    assert_title(titles, "8", "No genres", "");
    assert_title(titles, "2", "", "");
    assert_title(titles, "movieId", "", "");
    titles_free(titles);
}

static void byte_order_mark_and_missing_header_do_no_harm(void **state)
{
    (void)state;
    char message[512] = "";

    struct titles *titles =
        load_text("\xEF\xBB\xBFmovieId,Title\n1,Am\xC3\xA9lie\n", message);
    struct titles *bare = load_text("1,A,B\n", message);
    struct titles *empty = load_text("", message);

    assert_title(titles, "1", "Am\xC3\xA9lie", "");
    assert_title(bare, "1", "A", "B");
    assert_title(empty, "1", "", "");
    titles_free(titles);
    titles_free(bare);
    titles_free(empty);
}

static void a_bad_line_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"1,A,B\n2,Night, The,C\n",
         ":2: expected movieId,title[,genres] (quote a title that holds a comma)"},
        {"1,A,B\n\n2\n",
         ":3: expected movieId,title[,genres] (quote a title that holds a comma)"},
        {"1,A,B\n2,\"open\nand\non", ":2: a quoted field is never closed"},
        {"1,\"two\nlines\",B\n2,\"a\"b,C\n",
         ":3: text after a closing quote (write a quote inside a quoted field twice)"},
        {"1,a \"quote\",B\n", ":1: a quote inside an unquoted field (quote the field "
                              "and write the quote twice)"},
        {"1,A,B\n1,C,D\n", ":2: item \"1\" has a title already"},
        {",A,B\n", ":1: the item id is empty"},
        {"1,A\rB,C\n", ":1: a carriage return inside the line"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char message[512] = "";

        struct titles *titles = load_text(cases[i].text, message);

        assert_null(titles);
        assert_string_equal(message, cases[i].message);
    }
}

static void a_missing_file_is_not_found(void **state)
{
    (void)state;
    struct titles *titles = NULL;
    struct error error = {0};

    assert_int_equal(titles_load("/nonexistent/movies.csv", &titles, &error), -1);

    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_null(titles);
}

static void movielens_is_read(void **state)
{
    (void)state;
    struct titles *titles = NULL;
    struct error error = {0};
    if (access(SHARED_DATA "/ml-latest-small/movies.csv", R_OK) != 0) {
        skip();
    }

    assert_int_equal(
        titles_load(SHARED_DATA "/ml-latest-small/movies.csv", &titles, &error), 0);

    assert_title(titles, "1", "Toy Story (1995)",
                 "Adventure|Animation|Children|Comedy|Fantasy");
    assert_title(titles, "193609", "Andrew Dice Clay: Dice Rules (1991)", "Comedy");
    titles_free(titles);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(titles_are_found_by_id),
        cmocka_unit_test(byte_order_mark_and_missing_header_do_no_harm),
        cmocka_unit_test(a_bad_line_is_named),
        cmocka_unit_test(a_missing_file_is_not_found),
        cmocka_unit_test(movielens_is_read),
    };
    return cmocka_run_group_tests_name("titles", tests, NULL, NULL);
}
