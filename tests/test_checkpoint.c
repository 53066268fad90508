/* Checkpoints: what is written is read again, damage is refused, and of the feedback
 * ids those are kept that are in the log and no others. */
#include "tests/testing.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include "serve/checkpoint.h"
#include "serve/dedup.h"
#include "serve/newcomers.h"

static struct slice id_of(int i)
{
    static char text[16];
    return (struct slice){text, (size_t)snprintf(text, sizeof text, "id-%d", i)};
}

static struct dedup *new_dedup(size_t capacity)
{
    struct error error;
    struct dedup *dedup = dedup_new(capacity, 2, &error);
    assert_non_null(dedup);
    return dedup;
}

static struct dedup *restored(const struct dedup_copy *copy, size_t capacity)
{
    struct error error;
    struct dedup *dedup = new_dedup(capacity);
    assert_int_equal(dedup_restore(dedup, copy->key, (const char *)copy->ids,
                                   copy->n_old, copy->n, &error),
                     0);
    return dedup;
}

static void a_copy_remembers_both_generations(void **state)
{
    (void)state;
    struct error error;
    struct dedup_copy copy;
    struct dedup *dedup = new_dedup(1000); /* 1,024 ids a generation */
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(dedup_add(dedup, id_of(i), 0), DEDUP_NEW);
    }
    dedup_settle(dedup, 0, 1500, true);

    assert_int_equal(dedup_copy_make(dedup, &copy, &error), 0);
    assert_true(dedup_copy_settle(dedup, &copy));
    struct dedup *other = restored(&copy, 1000);

    assert_int_equal(copy.n, 1500);
    assert_int_equal(copy.n_old, 1024);
    for (int i = 0; i < 1500; i++) {
        assert_int_equal(dedup_add(other, id_of(i), 0), DEDUP_SEEN);
    }
    assert_int_equal(dedup_add(other, id_of(1500), 0), DEDUP_NEW);
    dedup_copy_free(&copy);
    dedup_free(other);
    dedup_free(dedup);
}

static void a_copy_waits_for_ids_and_leaves_out_those_that_failed(void **state)
{
    (void)state;
    struct error error;
    struct dedup_copy copy;
    struct dedup *dedup = new_dedup(100);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(dedup_add(dedup, id_of(i), i % 2), DEDUP_NEW);
    }
    assert_int_equal(dedup_copy_make(dedup, &copy, &error), 0);
    assert_false(dedup_copy_settle(dedup, &copy));
    dedup_settle(dedup, 1, 1, false);
    assert_false(dedup_copy_settle(dedup, &copy));
    dedup_settle(dedup, 0, 2, true);
    assert_true(dedup_copy_settle(dedup, &copy));
    struct dedup *other = restored(&copy, 100);

    assert_int_equal(copy.n, 2);
    assert_int_equal(dedup_add(other, id_of(0), 0), DEDUP_SEEN);
    assert_int_equal(dedup_add(other, id_of(1), 0), DEDUP_NEW);
    assert_int_equal(dedup_add(other, id_of(2), 0), DEDUP_SEEN);
    dedup_copy_free(&copy);
    dedup_free(other);
    dedup_free(dedup);
}

static void more_ids_than_fit_are_refused(void **state)
{
    (void)state;
    struct error error;
    struct dedup *dedup = new_dedup(8);
    const struct dedup_id ids[20] = {{1, 1}};
    assert_int_equal(dedup_restore(dedup, 1, (const char *)ids, 0, 20, &error), -1);
    assert_int_equal(error.code, ERROR_INVALID);
    dedup_free(dedup);
}

static void make_file(struct buffer *file)
{
    static const struct dedup_id ids[3] = {{1, 2}, {3, 4}, {5, 6}};
    struct checkpoint checkpoint = {.key = 7,
                                    .ids = (const char *)ids,
                                    .n_old = 1,
                                    .n_ids = 3,
                                    .newcomers = slice_of("ratings")};
    const struct log_extent plain = {.end = 5000,
                                     .file_size = 5000,
                                     .written_us = 17,
                                     .checked_len = 4096,
                                     .checked_crc = 99};
    const struct log_extent compressed = {
        .is_zst = true, .file_size = 12, .written_us = 18};
    assert_int_equal(log_marks_add(&checkpoint.marks, slice_of("a.jsonl"), &plain), 0);
    assert_int_equal(log_marks_add(&checkpoint.marks, slice_of("b.jsonl"), &compressed),
                     0);
    checkpoint_encode(&checkpoint, file);
    assert_false(file->failed);
    log_marks_free(&checkpoint.marks);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct error error;
    struct buffer file = {0};
    struct checkpoint read;
    make_file(&file);

    assert_int_equal(checkpoint_decode(buffer_slice(&file), &read, &error), 0);

    assert_int_equal(read.marks.n, 2);
    assert_string_equal(read.marks.items[0].name, "a.jsonl");
    assert_int_equal(read.marks.items[0].extent.end, 5000);
    assert_int_equal(read.marks.items[0].extent.checked_crc, 99);
    assert_true(read.marks.items[1].extent.is_zst);
    assert_int_equal(read.marks.items[1].extent.written_us, 18);
    assert_int_equal(read.key, 7);
    assert_int_equal(read.n_old, 1);
    assert_int_equal(read.n_ids, 3);
    assert_int_equal(read.ids[32], 5);
    assert_true(slice_is(read.newcomers, "ratings"));
    checkpoint_free(&read);
    buffer_free(&file);
}

static void any_changed_byte_and_any_other_length_is_refused(void **state)
{
    (void)state;
    struct error error;
    struct buffer file = {0};
    struct checkpoint read;
    make_file(&file);
    for (size_t i = 0; i < file.len; i++) {
        file.data[i] ^= 0x10;
        assert_int_equal(checkpoint_decode(buffer_slice(&file), &read, &error), -1);
        assert_int_equal(error.code, ERROR_DAMAGED);
        checkpoint_free(&read);
        file.data[i] ^= 0x10;
    }
    for (size_t len = 0; len < file.len; len++) {
        assert_int_equal(
            checkpoint_decode((struct slice){file.data, len}, &read, &error), -1);
        checkpoint_free(&read);
    }
    buffer_free(&file);
}

static void rate(struct newcomers *newcomers, const char *user, const char *item,
                 double value, int64_t ts_us)
{
    const struct rating_event rating = {slice_of(user), slice_of(item), value, ts_us};
    newcomers_rate(newcomers, &rating);
}

static void note(struct newcomers *newcomers, int worker, const char *user,
                 const char *item, double value, int64_t ts_us)
{
    const struct rating_event rating = {slice_of(user), slice_of(item), value, ts_us};
    newcomers_note(newcomers, worker, &rating);
}

/* Whether two hold the same; users and items must have come in the same order. */
static bool hold_the_same(struct newcomers *a, struct newcomers *b)
{
    struct buffer bytes_a = {0}, bytes_b = {0};
    newcomers_encode(a, &bytes_a);
    newcomers_encode(b, &bytes_b);
    const bool are_same = slice_equal(buffer_slice(&bytes_a), buffer_slice(&bytes_b));
    buffer_free(&bytes_a);
    buffer_free(&bytes_b);
    return are_same;
}

/* A start reads the segments one after the other, not in the order of the events. */
static void ratings_are_the_same_in_any_order(void **state)
{
    (void)state;
    struct error error;
    struct newcomers *live = newcomers_new(10, 1, &error);
    struct newcomers *again = newcomers_new(10, 1, &error);
    rate(live, "ann", "x", 1, 1000);
    rate(live, "ann", "x", 3, 1001);
    rate(live, "ann", "x", 2, 1002);
    rate(live, "ann", "x", 4, 1002);

    rate(again, "ann", "x", 1, 1000);
    rate(again, "ann", "x", 4, 1002);
    rate(again, "ann", "x", 2, 1002);
    rate(again, "ann", "x", 3, 1001);

    assert_true(hold_the_same(live, again));
    newcomers_free(live);
    newcomers_free(again);
}

static size_t allocated(void)
{
    const struct mallinfo2 memory = mallinfo2(); /* zeros under a sanitizer */
    return memory.uordblks + memory.hblkhd;
}

/* Known users rate by feedback, too, and most of all users once. */
static void a_user_with_one_rating_takes_no_room_for_more(void **state)
{
    (void)state;
    enum { N_USERS = 20000 };
    char user[16];
    struct error error;
    struct newcomers *newcomers = newcomers_new(N_USERS, 1, &error);
    const size_t before = allocated();

    for (int i = 0; i < N_USERS; i++) {
        snprintf(user, sizeof user, "%d", i);
        rate(newcomers, user, "x", 3, 1000);
    }

    assert_true(allocated() - before <= (size_t)100 * N_USERS);
    newcomers_free(newcomers);
}

static void values_that_are_no_ratings_are_dropped(void **state)
{
    (void)state;
    struct error error;
    struct newcomers *newcomers = newcomers_new(10, 1, &error);
    struct newcomers *expected = newcomers_new(10, 1, &error);
    rate(newcomers, "ann", "x", 1e300, 1000);
    rate(newcomers, "ann", "y", -1.1e6, 1000);
    assert_true(hold_the_same(newcomers, expected));
    rate(newcomers, "ann", "z", -1e6, 1000);
    assert_false(hold_the_same(newcomers, expected));
    newcomers_free(newcomers);
    newcomers_free(expected);
}

/* Clients may name what items they like: what is kept of them has an end. */
static void rate_many(struct newcomers *newcomers, int user, int first, int n)
{
    char name[32], item[32];
    snprintf(name, sizeof name, "user %d", user);
    for (int i = first; i < first + n; i++) {
        snprintf(item, sizeof item, "item %d", i);
        rate(newcomers, name, item, 3, 1000 + i);
    }
}

static void names_of_items_are_kept_only_with_ratings(void **state)
{
    (void)state;
    struct error error;
    struct newcomers *newcomers = newcomers_new(10, 1, &error);
    struct newcomers *expected = newcomers_new(10, 1, &error);
    rate_many(newcomers, 1, 0, NEWCOMERS_MAX_RATINGS);
    rate_many(expected, 1, 0, NEWCOMERS_MAX_RATINGS);

    rate_many(newcomers, 1, NEWCOMERS_MAX_RATINGS, 10);

    assert_true(hold_the_same(newcomers, expected));
    newcomers_free(newcomers);
    newcomers_free(expected);
}

static void items_that_nobody_can_rate_any_more_are_dropped(void **state)
{
    (void)state;
    enum { N_EACH = 100, N_USERS = NEWCOMERS_MAX_ITEMS / N_EACH };
    struct error error;
    struct buffer before = {0}, after = {0};
    struct newcomers *newcomers = newcomers_new(N_USERS + 1, 1, &error);
    for (int u = 0; u < N_USERS; u++) {
        rate_many(newcomers, u, u * N_EACH, N_EACH);
    }
    rate_many(newcomers, N_USERS, 0, 1);
    newcomers_encode(newcomers, &before);

    rate_many(newcomers, N_USERS, NEWCOMERS_MAX_ITEMS, 10);

    newcomers_encode(newcomers, &after);
    assert_true(slice_equal(buffer_slice(&before), buffer_slice(&after)));
    rate_many(newcomers, N_USERS, 1, 1); /* items that are known are rated as ever */
    buffer_clear(&after);
    newcomers_encode(newcomers, &after);
    assert_false(slice_equal(buffer_slice(&before), buffer_slice(&after)));
    buffer_free(&before);
    buffer_free(&after);
    newcomers_free(newcomers);
}

static void ratings_count_once_they_are_logged(void **state)
{
    (void)state;
    struct error error;
    struct newcomers *newcomers = newcomers_new(10, 2, &error);
    struct newcomers *expected = newcomers_new(10, 2, &error);
    uint64_t pending[2];

    note(newcomers, 1, "ann", "x", 1, 1000);
    const size_t first = newcomers_mark(newcomers, 1);
    note(newcomers, 1, "ann", "y", 2, 1001);
    newcomers_undo(newcomers, 1, first);
    note(newcomers, 1, "ann", "z", 3, 1002);
    newcomers_pending(newcomers, pending);
    assert_true(hold_the_same(newcomers, expected));
    assert_false(newcomers_are_settled(newcomers, pending));

    newcomers_settle(newcomers, 1, first, true);
    rate(expected, "ann", "x", 1, 1000);
    assert_true(hold_the_same(newcomers, expected));
    assert_false(newcomers_are_settled(newcomers, pending));

    newcomers_settle(newcomers, 1, newcomers_mark(newcomers, 1), false);
    assert_true(hold_the_same(newcomers, expected));
    assert_true(newcomers_are_settled(newcomers, pending));
    note(newcomers, 0, "bob", "z", 3, 1002);
    assert_true(newcomers_are_settled(newcomers, pending));
    newcomers_free(newcomers);
    newcomers_free(expected);
}

/* A repetition of what is being committed must not be confirmed: the commit may fail.
 * Of what is in the same batch it may: they share their fate. */
static void a_repetition_waits_for_the_batch_that_is_being_committed(void **state)
{
    (void)state;
    struct dedup *dedup = new_dedup(100);
    assert_int_equal(dedup_add(dedup, id_of(1), 0), DEDUP_NEW);
    assert_int_equal(dedup_add(dedup, id_of(1), 0), DEDUP_SEEN);
    assert_int_equal(dedup_seal(dedup, 0), 1);
    assert_int_equal(dedup_add(dedup, id_of(1), 0), DEDUP_BUSY);
    assert_int_equal(dedup_add(dedup, id_of(2), 0), DEDUP_NEW);
    assert_int_equal(dedup_add(dedup, id_of(2), 0), DEDUP_SEEN);

    dedup_settle(dedup, 0, 1, false);
    assert_int_equal(dedup_add(dedup, id_of(1), 0), DEDUP_NEW);
    assert_int_equal(dedup_seal(dedup, 0), 2);
    dedup_settle(dedup, 0, 2, true);
    assert_int_equal(dedup_add(dedup, id_of(1), 1), DEDUP_SEEN);
    assert_int_equal(dedup_add(dedup, id_of(2), 0), DEDUP_SEEN);
    dedup_free(dedup);
}

static void ratings_of_new_users_come_back(void **state)
{
    (void)state;
    struct error error;
    struct buffer bytes = {0}, again = {0};
    struct newcomers *newcomers = newcomers_new(10, 1, &error);
    struct newcomers *other = newcomers_new(10, 1, &error);
    assert_true(newcomers && other);
    rate(newcomers, "ann", "x", 1, 1000);
    rate(newcomers, "ann", "y", 2.5, 1001);
    rate(newcomers, "bob", "y", 3, 1002);
    newcomers_encode(newcomers, &bytes);

    assert_int_equal(newcomers_decode(other, buffer_slice(&bytes), &error), 0);
    newcomers_encode(other, &again);

    assert_true(slice_equal(buffer_slice(&bytes), buffer_slice(&again)));
    for (size_t len = 0; len < bytes.len; len++) {
        assert_int_equal(
            newcomers_decode(other, (struct slice){bytes.data, len}, &error), -1);
    }
    buffer_free(&bytes);
    buffer_free(&again);
    newcomers_free(newcomers);
    newcomers_free(other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_copy_remembers_both_generations),
        cmocka_unit_test(a_copy_waits_for_ids_and_leaves_out_those_that_failed),
        cmocka_unit_test(more_ids_than_fit_are_refused),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(any_changed_byte_and_any_other_length_is_refused),
        cmocka_unit_test(ratings_are_the_same_in_any_order),
        cmocka_unit_test(a_user_with_one_rating_takes_no_room_for_more),
        cmocka_unit_test(values_that_are_no_ratings_are_dropped),
        cmocka_unit_test(names_of_items_are_kept_only_with_ratings),
        cmocka_unit_test(items_that_nobody_can_rate_any_more_are_dropped),
        cmocka_unit_test(ratings_count_once_they_are_logged),
        cmocka_unit_test(a_repetition_waits_for_the_batch_that_is_being_committed),
        cmocka_unit_test(ratings_of_new_users_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
