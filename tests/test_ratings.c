#include "tests/testing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/file.h"
#include "common/rng.h"
#include "trainer/trainer.h"

static char path[] = "/tmp/abtest_ratings_XXXXXX";

static void write_bytes(const void *bytes, size_t len)
{
    const struct slice data = {bytes, len};
    assert_int_equal(file_replace(path, data, NULL), 0);
}

static struct ratings *load(const char *text)
{
    struct ratings *ratings = NULL;
    struct error error = {0};
    write_bytes(text, strlen(text));
    if (ratings_load(path, &ratings, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return ratings;
}

/* The message behind the file's name, or "" when it loads. */
static const char *refusal_of_bytes(const char *text, size_t len)
{
    static struct error error;
    struct ratings *ratings = NULL;
    write_bytes(text, len);
    if (ratings_load(path, &ratings, &error) == 0) {
        ratings_free(ratings);
        return "";
    }
    assert_null(ratings);
    assert_memory_equal(error.message, path, strlen(path));
    return error.message + strlen(path);
}

static const char *refusal(const char *text)
{
    return refusal_of_bytes(text, strlen(text));
}

static int32_t user(const struct ratings *r, const char *id)
{
    return id_map_find(r->users, slice_of(id));
}

static int32_t item(const struct ratings *r, const char *id)
{
    return id_map_find(r->items, slice_of(id));
}

static void check_matrices(const struct ratings *r)
{
    int64_t n = 0;
    for (int32_t i = 0; i < r->n_items; i++) {
        assert_int_equal(r->item_start[i], n);
        for (; n < r->item_start[i + 1]; n++) {
            assert_true(n == r->item_start[i] || r->item_user[n] > r->item_user[n - 1]);
            assert_close((double)r->item_rating[n],
                         (double)ratings_get(r, r->item_user[n], i), 0);
        }
    }
    assert_int_equal(n, r->n_ratings);
    assert_int_equal(r->user_start[r->n_users], n);
    for (int32_t u = 0; u < r->n_users; u++) {
        for (int64_t k = r->user_start[u] + 1; k < r->user_start[u + 1]; k++) {
            assert_true(r->user_item[k] > r->user_item[k - 1]);
        }
    }
}

static void check_same(const struct ratings *a, const struct ratings *b)
{
    assert_int_equal(a->n_users, b->n_users);
    assert_int_equal(a->n_items, b->n_items);
    assert_int_equal(a->n_ratings, b->n_ratings);
    const size_t n = (size_t)a->n_ratings, u = (size_t)a->n_users + 1,
                 i = (size_t)a->n_items + 1;
    assert_memory_equal(a->user_start, b->user_start, u * sizeof *a->user_start);
    assert_memory_equal(a->user_item, b->user_item, n * sizeof *a->user_item);
    assert_memory_equal(a->user_rating, b->user_rating, n * sizeof *a->user_rating);
    assert_memory_equal(a->item_start, b->item_start, i * sizeof *a->item_start);
    assert_memory_equal(a->item_user, b->item_user, n * sizeof *a->item_user);
    assert_memory_equal(a->item_rating, b->item_rating, n * sizeof *a->item_rating);
}

static struct id_map *number_ids(int32_t n)
{
    struct id_map *map = id_map_new();
    assert_non_null(map);
    for (int32_t i = 0; i < n; i++) {
        char id[16];
        snprintf(id, sizeof id, "%d", i);
        assert_int_equal(id_map_add(map, slice_of(id)), i);
    }
    return map;
}

static void load_maps_ids_in_order_and_sorts_both_ways(void **state)
{
    (void)state;
    struct ratings *r = load("userId,movieId,rating,timestamp\n"
                             "7,30,4.0,1\n7,10,3.5,2\nanna,10,5,3\n7,20,0.5,4\n");

    assert_int_equal(r->n_users, 2);
    assert_int_equal(r->n_items, 3);
    assert_int_equal(r->n_ratings, 4);
    assert_int_equal(user(r, "7"), 0);
    assert_int_equal(user(r, "anna"), 1);
    assert_int_equal(item(r, "30"), 0);
    assert_int_equal(item(r, "10"), 1);
    assert_int_equal(item(r, "20"), 2);
    assert_close((double)ratings_get(r, 0, 2), 0.5, 0);
    assert_close((double)ratings_get(r, 1, 1), 5, 0);
    assert_true(isnan(ratings_get(r, 1, 0)));
    assert_close(ratings_mean(r), 13.0 / 4, 1e-12);
    check_matrices(r);
    ratings_free(r);
}

static void load_keeps_the_last_rating_of_a_pair(void **state)
{
    (void)state;
    struct ratings_options options = {0};
    struct ratings *r = load("1,1,1\n2,1,2\n1,1,3\n1,2,4\n1,1,5\n");

    assert_int_equal(r->n_ratings, 3);
    assert_close((double)ratings_get(r, 0, 0), 5, 0);
    check_matrices(r);
    ratings_free(r);

    assert_int_equal(ratings_load_with(path, &options, &r, NULL), 0);
    assert_int_equal(options.n_duplicates, 2);
    ratings_free(r);
}

static void load_takes_every_way_to_write_the_same(void **state)
{
    (void)state;
    static const char *const same[] = {
        "u,i,r\n1,2,3.5\n3,4,1\n",
        "1,2,3.5\n3,4,1",
        "1,2,3.5\r\n3,4,1\r\n",
        "\xEF\xBB\xBFuserId,movieId,rating\r\n1,2,3.5\r\n\r\n3,4,1\r\n\r\n",
        "\"1\",\"2\",\"3.5\",\"99\"\n\"3\",\"4\",1\n",
        "1\t2\t3.5\t99\n3\t4\t1\t98\n",
        "1::2::3.5::99\n3::4::1::98\n",
        "1,2,0.35e1\n3,4,+1.\n",
        "1,2,3.5000000000000000000000000000000000\n3,4,1\n",
    };
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        struct ratings *r = load(same[i]);

        assert_int_equal(r->n_ratings, 2);
        assert_int_equal(r->n_users, 2);
        assert_close((double)ratings_get(r, user(r, "1"), item(r, "2")), 3.5, 0);
        assert_close((double)ratings_get(r, user(r, "3"), item(r, "4")), 1, 0);
        ratings_free(r);
    }
}

static void ids_are_compared_as_written(void **state)
{
    (void)state;
    struct ratings *r = load("1,5,1\n01,5,2\n\"a,\"\"b\"\"\",5,3\n4294967297,5,4\n");

    assert_int_equal(r->n_users, 4);
    assert_close((double)ratings_get(r, user(r, "01"), 0), 2, 0);
    assert_close((double)ratings_get(r, user(r, "a,\"b\""), 0), 3, 0);
    assert_close((double)ratings_get(r, user(r, "4294967297"), 0), 4, 0);
    ratings_free(r);
}

static void load_names_the_line_that_is_bad(void **state)
{
    (void)state;
    assert_string_equal(refusal("1,2,3\n1,3,nan\n"),
                        ":2: rating \"nan\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,inf\n"),
                        ":1: rating \"inf\" is not a finite decimal number");
    assert_string_equal(refusal("u,i,r\n1,2,1e39\n"),
                        ":2: rating \"1e39\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,3\n\n1,2,0x10\n"),
                        ":3: rating \"0x10\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,3\n1,2, 4\n"),
                        ":2: rating \" 4\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,3\n1,2,\n"),
                        ":2: rating \"\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,3\n1,2,.\n"),
                        ":2: rating \".\" is not a finite decimal number");
    assert_string_equal(refusal("1,2,3\n1,2\n"),
                        ":2: 2 fields, not user, item, rating[, timestamp]");
    assert_string_equal(refusal("1,2,3\n1,2,3,4,5\n"), ":2: more than four fields");
    assert_string_equal(refusal("1,2,3\n,2,3\n"), ":2: the user id is empty");
    assert_string_equal(refusal("1,2,3\n1,,3\n"), ":2: the item id is empty");
    assert_string_equal(refusal("1,2,3\n1,\"2,3\n"),
                        ":2: a quote is not closed on its line");
    assert_string_equal(refusal("1,2,3\n1,\"2\"x,3\n"),
                        ":2: text behind a closing quote");
    assert_string_equal(refusal_of_bytes("1,2,3\n1,a\0b,3\n", 14),
                        ":2: the item id holds a zero byte");
    assert_string_equal(refusal(""), ": no ratings in it");
    assert_string_equal(refusal("userId,movieId,rating\n"), ": no ratings in it");
}

static void load_refuses_huge_lines_and_ids(void **state)
{
    (void)state;
    const size_t len = 300000;
    char *text = malloc(len + 16);
    assert_non_null(text);
    memcpy(text, "1,2,3\n", 6);
    memset(text + 6, '7', len);
    memcpy(text + 6 + 600, ",1,3\n", 6);

    assert_string_equal(refusal(text), ":2: the user id has 600 bytes, more than 512");
    text[6 + 600] = text[6 + 601] = text[6 + 602] = text[6 + 603] = '7';
    text[6 + 604] = text[6 + 605] = '7';
    assert_string_equal(refusal_of_bytes(text, len),
                        ":2: longer than 65536 bytes; is this a ratings file?");
    free(text);
}

static void load_says_what_is_missing(void **state)
{
    (void)state;
    struct ratings *r = NULL;
    struct error error = {0};

    assert_int_equal(ratings_load("/nonexistent/ratings.csv", &r, &error), -1);

    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_null(r);
    assert_int_equal(ratings_load("/tmp", &r, &error), -1);
    assert_int_equal(error.code, ERROR_IO);
}

static void skip_bad_counts_and_names_the_first(void **state)
{
    (void)state;
    struct ratings_options options = {.skip_bad = true};
    struct ratings *r = NULL;
    const char text[] = "1,2,3\n1,3,x\n2,2\n2,2,4\n";
    write_bytes(text, strlen(text));

    assert_int_equal(ratings_load_with(path, &options, &r, NULL), 0);

    assert_int_equal(r->n_ratings, 2);
    assert_int_equal(options.n_bad, 2);
    assert_non_null(strstr(options.first_bad, ":2: rating \"x\""));
    ratings_free(r);
}

/* Long enough for several blocks of the reader and of the decompressors. */
static char *long_text(size_t *len)
{
    const size_t n_lines = 100000;
    char *text = malloc(n_lines * 32);
    assert_non_null(text);
    *len = 0;
    for (size_t i = 0; i < n_lines; i++) {
        *len += (size_t)sprintf(text + *len, "%zu,%zu,%zu.5,%zu\n", i / 100,
                                (i % 100) * 97 % 1009, i % 5, 1000000000 + i);
    }
    return text;
}

static void check_long(void)
{
    struct ratings *r = NULL;
    struct error error = {0};
    if (ratings_load(path, &r, &error) != 0) {
        fail_msg("%s", error.message);
    }
    assert_int_equal(r->n_ratings, 100000);
    assert_int_equal(r->n_users, 1000);
    assert_int_equal(r->n_items, 100);
    assert_close((double)ratings_get(r, 999, 99), 4.5, 0);
    check_matrices(r);
    ratings_free(r);
}

static void compressed_files_read_like_plain_ones(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = long_text(&len);
    write_bytes(text, len);
    check_long();

    gzFile gzip = gzopen(path, "wb1");
    assert_non_null(gzip);
    assert_int_equal(gzwrite(gzip, text, (unsigned)(len / 2)), len / 2);
    assert_int_equal(gzclose(gzip), Z_OK);
    gzip = gzopen(path, "ab1"); /* a second member */
    assert_non_null(gzip);
    assert_int_equal(gzwrite(gzip, text + len / 2, (unsigned)(len - len / 2)),
                     len - len / 2);
    assert_int_equal(gzclose(gzip), Z_OK);
    check_long();

    const size_t room = ZSTD_compressBound(len);
    char *packed = malloc(room);
    assert_non_null(packed);
    const size_t packed_len = ZSTD_compress(packed, room, text, len, 1);
    assert_false(ZSTD_isError(packed_len));
    write_bytes(packed, packed_len);
    check_long();

    assert_non_null(strstr(refusal_of_bytes(packed, packed_len - 9),
                           "the compressed file is cut off"));
    packed[packed_len / 2] = (char)(packed[packed_len / 2] + 1);
    packed[packed_len / 2 + 1] = (char)(packed[packed_len / 2 + 1] + 1);
    assert_non_null(strstr(refusal_of_bytes(packed, packed_len), ": "));
    free(packed);
    free(text);
}

static void damaged_gzip_is_an_error(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = long_text(&len);
    gzFile gzip = gzopen(path, "wb1");
    assert_non_null(gzip);
    assert_int_equal(gzwrite(gzip, text, (unsigned)len), len);
    assert_int_equal(gzclose(gzip), Z_OK);
    struct buffer file = {0};
    assert_int_equal(file_read(path, 1 << 24, &file, NULL), 0);

    assert_non_null(strstr(refusal_of_bytes(file.data, file.len - 4), "cut off"));
    file.data[file.len - 6] = (char)(file.data[file.len - 6] ^ 1); /* its CRC */
    assert_non_null(strstr(refusal_of_bytes(file.data, file.len), "damaged gzip"));
    buffer_free(&file);
    free(text);
}

static void pair_shares_indices(void **state)
{
    (void)state;
    struct ratings *train = NULL, *test = NULL;
    char test_path[] = "/tmp/abtest_ratings_test_XXXXXX";
    const int fd = mkstemp(test_path);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(file_replace(test_path, slice_of("9,2,1\n1,8,2\n"), NULL), 0);
    write_bytes("1,2,3\n2,3,4\n", 12);

    assert_int_equal(ratings_load_pair(path, test_path, NULL, &train, &test, NULL), 0);

    assert_int_equal(train->n_users, 3);
    assert_int_equal(test->n_users, 3);
    assert_int_equal(train->n_items, 3);
    assert_int_equal(train->n_ratings, 2);
    assert_int_equal(test->n_ratings, 2);
    assert_int_equal(user(train, "9"), user(test, "9"));
    assert_close((double)ratings_get(test, user(train, "1"), item(train, "8")), 2, 0);
    check_matrices(train);
    check_matrices(test);
    ratings_free(train);
    ratings_free(test);
    unlink(test_path);
}

static void split_holds_out_a_share_and_loses_nothing(void **state)
{
    (void)state;
    size_t len = 0;
    char *text = long_text(&len);
    write_bytes(text, len);
    free(text);
    struct ratings *all = NULL, *train = NULL, *test = NULL;
    assert_int_equal(ratings_load(path, &all, NULL), 0);

    assert_int_equal(split_ratings(all, 0.1, 7, &train, &test, NULL), 0);

    assert_int_equal(train->n_ratings + test->n_ratings, all->n_ratings);
    /* Binomial(100000, 0.1): 3.29 standard deviations are 312. */
    assert_close((double)test->n_ratings, 10000, 312);
    check_matrices(train);
    check_matrices(test);
    for (int32_t u = 0; u < all->n_users; u++) {
        for (int64_t i = all->user_start[u]; i < all->user_start[u + 1]; i++) {
            const int32_t v = all->user_item[i];
            const bool held_out = split_is_held_out(id_map_id(all->users, u),
                                                    id_map_id(all->items, v), 7, 0.1);
            assert_true(isnan(ratings_get(train, u, v)) == held_out);
            assert_true(isnan(ratings_get(test, u, v)) == !held_out);
        }
    }
    ratings_free(train);
    ratings_free(test);
    train = NULL;
    struct error error = {0};
    assert_int_equal(split_ratings(all, 0, 7, &train, &test, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    assert_null(train);
    ratings_free(all);
}

static int make_file(void **state)
{
    (void)state;
    const int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int remove_file(void **state)
{
    (void)state;
    return unlink(path);
}

/* Numbers of every length, through the parser of common lines and, since a quote sends
 * a line there, through the careful one. */
static void plain_numbers_read_like_quoted_ones(void **state)
{
    (void)state;
    static const char *const ratings[] = {"3",     "0.5",     "4.25",   "10.5",
                                          "1e0",   "-2",      "0.1235", "1234.5678",
                                          "99999", "3.14159", "007.5",  "5.0"};
    static const char *const ends[] = {
        "", ",1", ",99999999", ",123456789", ",1260759144", ",12345678901", ",", "\r"};
    struct buffer plain = {0}, quoted = {0};
    struct rng rng;
    rng_init(&rng, 5, 0);
    for (int line = 0; line < 4000; line++) {
        /* Runs of a user; each length of id; ids that begin like the one before. */
        const uint64_t u = (uint64_t)(line / 7) * (line % 2 ? 1 : 7919) *
                           (uint64_t)(line % 3 ? 1 : 104729);
        const uint64_t i = rng_next(&rng) >> (4 * rng_below(&rng, 16));
        const char *rating = ratings[rng_below(&rng, 12)];
        const char *end = ends[rng_below(&rng, 8)];
        buffer_printf(&plain, "%llu,%llu,%s%s\n", (unsigned long long)u,
                      (unsigned long long)i, rating, end);
        buffer_printf(&quoted, "\"%llu\",%llu,%s%s\n", (unsigned long long)u,
                      (unsigned long long)i, rating, end);
    }
    buffer_append_char(&plain, '\0');
    buffer_append_char(&quoted, '\0');
    assert_false(plain.failed || quoted.failed);

    struct ratings *a = load(plain.data), *b = load(quoted.data);

    check_matrices(a);
    check_same(a, b);
    ratings_free(a);
    ratings_free(b);
    buffer_free(&plain);
    buffer_free(&quoted);
}

/* The shortest way through the reader computes these: each must be the nearest float.
 */
static void tenths_are_read_exactly(void **state)
{
    (void)state;
    struct buffer text = {0};
    for (int i = 0; i < 100; i++) {
        buffer_printf(&text, "7,%d,%d.%d,1260759144\n", i, i / 10, i % 10);
    }
    buffer_append_char(&text, '\0');
    assert_false(text.failed);
    struct ratings *r = load(text.data);
    assert_int_equal(r->n_ratings, 100);
    for (int i = 0; i < 100; i++) {
        char rating[8];
        snprintf(rating, sizeof rating, "%d.%d", i / 10, i % 10);
        assert_close((double)r->user_rating[i], (double)strtof(rating, NULL), 0);
    }
    ratings_free(r);
    buffer_free(&text);
}

/* Numbers above what an array is indexed by, many of them, and users that come back: an
 * id is the same wherever and however it is met. */
static void large_numbers_and_returning_users_keep_their_index(void **state)
{
    (void)state;
    enum { N_USERS = 1500, N_ITEMS = 2000 };
    struct buffer text = {0};
    for (int32_t i = 0; i < 6000; i++) {
        const int u = i / 3 % N_USERS, n = 7 * i % N_ITEMS;
        const char *const quote = i % 11 ? "" : "\"";
        buffer_printf(&text, "%d,%s%d%s,%d.5,1260759144\n", 4194000 + 13 * u, quote,
                      90000000 + 4999 * n, quote, i % 5);
    }
    buffer_append_char(&text, '\0');
    assert_false(text.failed);
    struct ratings *r = load(text.data);
    check_matrices(r);
    assert_int_equal(r->n_users, N_USERS);
    assert_int_equal(r->n_items, N_ITEMS);
    for (int32_t i = 0; i < 6000; i++) {
        char user_id[16], item_id[16];
        snprintf(user_id, sizeof user_id, "%d", 4194000 + 13 * (i / 3 % N_USERS));
        snprintf(item_id, sizeof item_id, "%d", 90000000 + 4999 * (7 * i % N_ITEMS));
        const int32_t u = id_map_find(r->users, slice_of(user_id));
        assert_int_equal(u, i / 3 % N_USERS);
        assert_true(ratings_get(r, u, item(r, item_id)) >= 0.5F);
    }
    ratings_free(r);
    buffer_free(&text);
}

/* Users with few and with many ratings, some of them twice, in the order of users and
 * shuffled: two ways to sort, one result. */
static void order_of_lines_does_not_matter(void **state)
{
    (void)state;
    enum { N_USERS = 40, N_ITEMS = 700 };
    struct rng rng;
    int32_t *user = malloc(sizeof *user * 2 * N_USERS * N_ITEMS);
    int32_t *item = malloc(sizeof *item * 2 * N_USERS * N_ITEMS);
    float *rating = malloc(sizeof *rating * 2 * N_USERS * N_ITEMS);
    struct ratings *grouped = NULL, *mixed = NULL;
    int64_t n = 0;
    assert_true(user && item && rating);
    rng_init(&rng, 6, 0);
    for (int32_t u = 0; u < N_USERS; u++) {
        for (int32_t left = u * 17; left > 0; left--, n++) {
            user[n] = u;
            item[n] = (int32_t)rng_below(&rng, N_ITEMS);
            rating[n] = (float)(u * N_ITEMS + item[n]); /* the pair's, also if twice */
        }
    }
    const struct rating_triples triples = {user, item, rating, n};

    assert_int_equal(ratings_build(&triples, number_ids(N_USERS), number_ids(N_ITEMS),
                                   &grouped, NULL),
                     0);
    for (int64_t i = n - 1; i > 0; i--) {
        const int64_t j = (int64_t)rng_below(&rng, (uint64_t)i + 1);
        const int32_t u = user[i], x = item[i];
        const float r = rating[i];
        user[i] = user[j], item[i] = item[j], rating[i] = rating[j];
        user[j] = u, item[j] = x, rating[j] = r;
    }
    assert_int_equal(
        ratings_build(&triples, number_ids(N_USERS), number_ids(N_ITEMS), &mixed, NULL),
        0);

    assert_true(grouped->n_ratings < n); /* some came twice */
    check_matrices(grouped);
    check_same(grouped, mixed);
    ratings_free(grouped);
    ratings_free(mixed);
    free(user);
    free(item);
    free(rating);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_maps_ids_in_order_and_sorts_both_ways),
        cmocka_unit_test(load_keeps_the_last_rating_of_a_pair),
        cmocka_unit_test(plain_numbers_read_like_quoted_ones),
        cmocka_unit_test(tenths_are_read_exactly),
        cmocka_unit_test(large_numbers_and_returning_users_keep_their_index),
        cmocka_unit_test(order_of_lines_does_not_matter),
        cmocka_unit_test(load_takes_every_way_to_write_the_same),
        cmocka_unit_test(ids_are_compared_as_written),
        cmocka_unit_test(load_names_the_line_that_is_bad),
        cmocka_unit_test(load_refuses_huge_lines_and_ids),
        cmocka_unit_test(load_says_what_is_missing),
        cmocka_unit_test(skip_bad_counts_and_names_the_first),
        cmocka_unit_test(compressed_files_read_like_plain_ones),
        cmocka_unit_test(damaged_gzip_is_an_error),
        cmocka_unit_test(pair_shares_indices),
        cmocka_unit_test(split_holds_out_a_share_and_loses_nothing),
    };
    return cmocka_run_group_tests_name("ratings", tests, make_file, remove_file);
}
