#include "tests/testing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/file.h"
#include "tests/failing_alloc.h"
#include "tests/failing_io.h"
#include "trainer/rated_format.h"
#include "trainer/trainer.h"

static char directory[] = "/tmp/abtest_rated_XXXXXX";
static char path[128], side[160];
static const struct rated_options always = {.least_bytes = 0};

static void write_text(const char *text)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
}

/* Long past, so that a later change shows in the time of writing. */
static void age(const char *file)
{
    const struct timespec times[2] = {{1000000000, 7}, {1000000000, 7}};
    assert_int_equal(utimensat(AT_FDCWD, file, times, 0), 0);
}

static int prepare(void **state)
{
    (void)state;
    unlink(side);
    write_text("userId,movieId,rating,timestamp\n"
               "7,30,4.5,1\n7,10,3,1\nann,10,4.5,1\n\"7\",20,0.5,1\nzoe,40,3,1\n");
    age(path);
    return 0;
}

static struct rated *load(struct error *note)
{
    struct rated *rated = NULL;
    struct error error = {0};
    if (rated_load(path, &always, &rated, note, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return rated;
}

/* Users 7, ann, zoe; items 30, 10, 20, 40. */
static void assert_is_the_example(const struct rated *r)
{
    static const int32_t items[] = {0, 1, 2, 1, 3};
    static const float ratings[] = {4.5F, 3, 0.5F, 4.5F, 3};
    assert_int_equal(r->n_users, 3);
    assert_int_equal(r->n_items, 4);
    assert_int_equal(r->n_ratings, 5);
    assert_int_equal(id_index_find(&r->users, slice_of("7")), 0);
    assert_int_equal(id_index_find(&r->users, slice_of("zoe")), 2);
    assert_int_equal(id_index_find(&r->users, slice_of("bob")), -1);
    assert_int_equal(id_index_find(&r->items, slice_of("20")), 2);
    assert_true(slice_is(id_index_at(&r->items, 3), "40"));
    assert_int_equal(r->start[1], 3);
    assert_int_equal(r->start[2], 4);
    for (int i = 0; i < 5; i++) {
        assert_int_equal(r->item[i], items[i]);
        assert_close((double)rated_rating(r, i), (double)ratings[i], 0);
    }
}

static void a_first_load_leaves_a_file_that_the_second_maps(void **state)
{
    (void)state;
    struct error note;

    struct rated *first = load(&note);
    assert_int_equal(note.code, ERROR_NONE);
    struct rated *second = load(&note);

    assert_true(first->is_mapped && second->is_mapped);
    assert_non_null(second->code); /* three distinct ratings */
    assert_is_the_example(first);
    assert_is_the_example(second);
    assert_int_equal(note.code, ERROR_NONE);
    rated_free(first);
    rated_free(second);
}

static void small_ratings_are_just_read(void **state)
{
    (void)state;
    struct rated *rated = NULL;
    struct error note, error;

    assert_int_equal(rated_load(path, NULL, &rated, &note, &error), 0);

    assert_false(rated->is_mapped);
    assert_is_the_example(rated);
    assert_int_equal(access(side, F_OK), -1);
    rated_free(rated);
}

static void other_ratings_make_the_file_anew(void **state)
{
    (void)state;
    struct error note;
    rated_free(load(&note));

    write_text("7,30,4.5\n7,10,3\nann,10,4.5\n7,20,0.5\nzoe,40,3\nzoe,30,1\n");
    struct rated *rated = load(&note);

    assert_int_equal(rated->n_ratings, 6);
    assert_true(rated->is_mapped);
    rated_free(rated);
}

/* The same size and even the same time of writing: the time of change tells, and then
 * the content does. */
static void a_change_that_hides_is_found(void **state)
{
    (void)state;
    struct error note;
    rated_free(load(&note));

    write_text("userId,movieId,rating,timestamp\n"
               "7,30,1.5,1\n7,10,3,1\nann,10,4.5,1\n\"7\",20,0.5,1\nzoe,40,3,1\n");
    age(path);
    struct rated *rated = load(&note);

    assert_close((double)rated_rating(rated, 0), 1.5, 0);
    rated_free(rated);
}

static void read_side(struct buffer *bytes)
{
    struct error error;
    assert_int_equal(file_read(side, 1 << 20, bytes, &error), 0);
}

static void write_side(const char *bytes, size_t len)
{
    struct error error;
    assert_int_equal(file_replace(side, (struct slice){bytes, len}, &error), 0);
}

/* A time of change in the last two seconds proves nothing; the content decides. */
static void a_young_file_is_told_by_its_content(void **state)
{
    (void)state;
    struct error note;
    rated_free(load(&note));

    struct rated *rated = load(&note);

    assert_true(rated->is_mapped);
    assert_is_the_example(rated);
    assert_int_equal(note.code, ERROR_NONE);
    rated_free(rated);
}

/* Sets the stamp that the ratings have now, as if they had been old. */
static void stamp_side(void)
{
    struct buffer bytes = {0};
    struct rated_header h;
    struct stat status;
    read_side(&bytes);
    assert_int_equal(stat(path, &status), 0);
    memcpy(&h, bytes.data, sizeof h);
    h.source.stamp = (struct rated_stamp){
        (uint64_t)status.st_dev, (uint64_t)status.st_ino,
        (int64_t)status.st_mtim.tv_sec * 1000000000 + status.st_mtim.tv_nsec,
        (int64_t)status.st_ctim.tv_sec * 1000000000 + status.st_ctim.tv_nsec};
    h.source.hash++; /* whoever looks at the content finds another */
    h.crc = crc32c(0, &h, offsetof(struct rated_header, crc));
    memcpy(bytes.data, &h, sizeof h);
    write_side(bytes.data, bytes.len);
    buffer_free(&bytes);
}

static void a_stamp_that_fits_is_believed_without_reading(void **state)
{
    (void)state;
    struct error note;
    struct buffer before = {0}, after = {0};
    rated_free(load(&note));
    stamp_side();
    read_side(&before);

    struct rated *rated = load(&note);

    read_side(&after);
    assert_true(slice_equal(buffer_slice(&before), buffer_slice(&after)));
    assert_is_the_example(rated);
    rated_free(rated);
    buffer_free(&before);
    buffer_free(&after);
}

/* Cut anywhere, and each byte changed: made again, never used, never a crash. */
static void damage_is_found_and_repaired(void **state)
{
    (void)state;
    struct error note;
    struct buffer bytes = {0};
    rated_free(load(&note));
    read_side(&bytes);
    for (size_t at = sizeof(struct rated_header) - 8; at < bytes.len; at += 11) {
        bytes.data[at] ^= 0x10;
        write_side(bytes.data, bytes.len);
        bytes.data[at] ^= 0x10;
        struct rated *rated = load(&note);
        assert_is_the_example(rated);
        assert_true(rated->is_mapped);
        assert_int_equal(note.code, ERROR_DAMAGED);
        rated_free(rated);
    }
    for (size_t len = 0; len < bytes.len; len += 29) {
        write_side(bytes.data, len);
        struct rated *rated = load(&note);
        assert_is_the_example(rated);
        rated_free(rated);
    }
    buffer_free(&bytes);
}

static void somebody_elses_file_is_left_alone(void **state)
{
    (void)state;
    struct error note;
    struct buffer bytes = {0};
    write_side("my notes on what I have seen", 28);

    struct rated *rated = load(&note);

    assert_false(rated->is_mapped);
    assert_is_the_example(rated);
    assert_non_null(strstr(note.message, "remove it"));
    read_side(&bytes);
    assert_int_equal(bytes.len, 28);
    rated_free(rated);
    buffer_free(&bytes);
}

static void a_disk_that_refuses_is_no_error(void **state)
{
    (void)state;
    struct error note;
    failing_io_set(FAILING_FSYNC, 0, 1, EIO);

    struct rated *rated = load(&note);

    assert_int_equal(failing_io_clear(), 1);
    assert_false(rated->is_mapped);
    assert_is_the_example(rated);
    assert_non_null(strstr(note.message, "every start reads"));
    assert_int_equal(access(side, F_OK), -1);
    rated_free(rated);
}

/* Lists that are not those of a file with a good checksum, one at a time. */
static void lies_behind_a_good_checksum_are_refused(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    struct rated_header h;
    struct error note;
    struct rated rated;
    rated_free(load(&note));
    read_side(&bytes);
    memcpy(&h, bytes.data, sizeof h);
    size_t at = sizeof h;
    for (int s = 0; s < N_RATED_SECTIONS; s++) {
        const size_t len = rated_section_len(&h, (enum rated_section)s);
        if (s != RATED_USER_ID_BYTES && s != RATED_ITEM_ID_BYTES) {
            char *copy = malloc(bytes.len);
            assert_non_null(copy);
            memcpy(copy, bytes.data, bytes.len);
            memset(copy + at, 0xFF, 4); /* outside, descending, not a number */
            struct rated_header forged = h;
            forged.body_crc = crc32c(0, copy + sizeof h, bytes.len - sizeof h);
            memcpy(copy, &forged, sizeof forged);
            assert_non_null(rated_decode(copy, bytes.len, &rated));
            free(copy);
        }
        at += (len + RATED_ALIGNMENT - 1) / RATED_ALIGNMENT * RATED_ALIGNMENT;
    }
    buffer_free(&bytes);
}

static void an_item_twice_is_refused(void **state)
{
    (void)state;
    struct buffer bytes = {0};
    struct rated_header h;
    struct error note;
    struct rated rated;
    const size_t item_at = sizeof h + 64; /* behind four starts */
    const int32_t one = 1;
    rated_free(load(&note));
    read_side(&bytes);
    memcpy(&h, bytes.data, sizeof h);
    memcpy(bytes.data + item_at, &one, sizeof one); /* 0 1 2 becomes 1 1 2 */
    h.body_crc = crc32c(0, bytes.data + sizeof h, bytes.len - sizeof h);
    memcpy(bytes.data, &h, sizeof h);

    assert_string_equal(rated_decode(bytes.data, bytes.len, &rated),
                        "a user's items are not in order");
    buffer_free(&bytes);
}

/* 300 distinct ratings do not fit a byte each. */
static void many_distinct_ratings_are_kept_as_they_are(void **state)
{
    (void)state;
    struct error note;
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    for (int i = 0; i < 300; i++) {
        fprintf(file, "u,%d,%d.25\n", i, i);
    }
    assert_int_equal(fclose(file), 0);

    struct rated *rated = load(&note);

    assert_null(rated->code);
    for (int i = 0; i < 300; i++) {
        assert_close((double)rated_rating(rated, i), i + 0.25, 0);
    }
    rated_free(rated);
}

static void bad_ratings_are_refused_as_ever(void **state)
{
    (void)state;
    struct rated *rated = NULL;
    struct error note, error;
    write_text("7,30,4.5\n7,10,x\n");

    assert_int_equal(rated_load(path, &always, &rated, &note, &error), -1);
    assert_non_null(strstr(error.message, ":2:"));
    assert_int_equal(rated_load("/nowhere/r.csv", &always, &rated, &note, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_null(rated);
}

static void failed_allocations_leak_nothing(void **state)
{
    (void)state;
    bool failed = true;
    for (int has_side = 0; has_side < 2; has_side++) {
        for (long n = 0; failed; n++) {
            struct rated *rated = NULL;
            struct error note, error = {0};
            if (!has_side) {
                unlink(side);
            }
            failing_alloc_at(n);
            const int rc = rated_load(path, &always, &rated, &note, &error);
            failed = failing_alloc_stop();
            if (rc == 0) { /* what is not needed may fail */
                assert_is_the_example(rated);
                rated_free(rated);
            } else {
                assert_int_equal(error.code, ERROR_NOMEM);
                assert_null(rated);
            }
        }
        failed = true;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_first_load_leaves_a_file_that_the_second_maps,
                               prepare),
        cmocka_unit_test_setup(small_ratings_are_just_read, prepare),
        cmocka_unit_test_setup(other_ratings_make_the_file_anew, prepare),
        cmocka_unit_test_setup(a_change_that_hides_is_found, prepare),
        cmocka_unit_test_setup(a_young_file_is_told_by_its_content, prepare),
        cmocka_unit_test_setup(a_stamp_that_fits_is_believed_without_reading, prepare),
        cmocka_unit_test_setup(damage_is_found_and_repaired, prepare),
        cmocka_unit_test_setup(somebody_elses_file_is_left_alone, prepare),
        cmocka_unit_test_setup(a_disk_that_refuses_is_no_error, prepare),
        cmocka_unit_test_setup(lies_behind_a_good_checksum_are_refused, prepare),
        cmocka_unit_test_setup(an_item_twice_is_refused, prepare),
        cmocka_unit_test_setup(many_distinct_ratings_are_kept_as_they_are, prepare),
        cmocka_unit_test_setup(bad_ratings_are_refused_as_ever, prepare),
        cmocka_unit_test_setup(failed_allocations_leak_nothing, prepare),
    };
    if (!mkdtemp(directory)) {
        return 1;
    }
    snprintf(path, sizeof path, "%s/ratings.csv", directory);
    snprintf(side, sizeof side, "%s%s", path, RATED_SUFFIX);
    const int rc = cmocka_run_group_tests_name("rated", tests, NULL, NULL);
    unlink(path);
    unlink(side);
    rmdir(directory);
    return rc;
}
