#include "tests/testing.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/crc32c.h"
#include "common/error.h"
#include "common/file.h"
#include "common/hash.h"
#include "common/id_map.h"
#include "common/json_text.h"
#include "common/rng.h"
#include "common/utf8.h"
#include "tests/failing_alloc.h"

/* RFC 3720, appendix B.4. */
static void crc32c_matches_rfc_3720(void **state)
{
    (void)state;
    unsigned char zeros[32] = {0}, ones[32], rising[32];
    memset(ones, 0xFF, sizeof ones);
    for (unsigned i = 0; i < 32; i++) {
        rising[i] = (unsigned char)i;
    }

    assert_int_equal(crc32c(0, zeros, 32), 0x8A9136AA);
    assert_int_equal(crc32c(0, ones, 32), 0x62A8AB43);
    assert_int_equal(crc32c(0, rising, 32), 0x46DD794E);
    assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
}

static void crc32c_in_pieces_is_crc32c_at_once(void **state)
{
    (void)state;
    const char text[] = "the quick brown fox jumps over the lazy dog";
    const size_t len = sizeof text - 1;
    for (size_t cut = 0; cut <= len; cut++) {
        assert_int_equal(crc32c(crc32c(0, text, cut), text + cut, len - cut),
                         crc32c(0, text, len));
    }
}

/* One bit at a time, from the polynomial. */
static uint32_t crc32c_bit_by_bit(const unsigned char *data, size_t len)
{
    uint32_t crc = 0xFFFFFFFF;
    for (size_t i = 0; i < len; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78 : 0);
        }
    }
    return ~crc;
}

static void crc32c_is_right_at_every_length(void **state)
{
    (void)state;
    static unsigned char data[7000];
    struct rng rng;
    rng_init(&rng, 4, 0);
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (unsigned char)rng_next(&rng);
    }
    for (size_t len = 0; len < 900; len++) {
        assert_int_equal(crc32c(0, data + len % 9, len),
                         crc32c_bit_by_bit(data + len % 9, len));
    }
    for (size_t len = 900; len < sizeof data; len += 97) {
        assert_int_equal(crc32c(0, data, len), crc32c_bit_by_bit(data, len));
    }
}

static void buffer_grows_and_keeps_what_it_has(void **state)
{
    (void)state;
    struct buffer b = {0};

    for (int i = 0; i < 1000; i++) {
        buffer_printf(&b, "%d,", i);
    }
    buffer_append_int(&b, INT64_MIN);

    assert_false(b.failed);
    assert_memory_equal(b.data, "0,1,2,", 6);
    assert_memory_equal(b.data + b.len - 20, "-9223372036854775808", 20);
    buffer_free(&b);
}

static void json_strings_are_escaped_and_valid_utf8(void **state)
{
    (void)state;
    struct buffer b = {0};

    json_append_string(&b, slice_of("a\"\\\n\x01\xC3\xA9\xFF\xF0\x9F\x98\x80"));

    const char expected[] =
        "\"a\\\"\\\\\\n\\u0001\xC3\xA9\xEF\xBF\xBD\xF0\x9F\x98\x80\"";
    assert_int_equal(b.len, sizeof expected - 1);
    assert_memory_equal(b.data, expected, b.len);
    buffer_free(&b);
}

static void json_doubles_read_back_the_same(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 1, 0);
    for (int i = 0; i < 20000; i++) {
        struct buffer b = {0};
        const double value = ldexp(rng_normal(&rng), (int)rng_below(&rng, 200) - 100);

        json_append_double(&b, value);
        buffer_append_char(&b, '\0');

        assert_true(strtod(b.data, NULL) == value);
        buffer_free(&b);
    }
}

/* The fast path for short decimals writes what printf would. */
static void json_doubles_are_the_shortest_that_printf_gives(void **state)
{
    (void)state;
    struct rng rng;
    rng_init(&rng, 2, 0);
    for (int i = 0; i < 50000; i++) {
        struct buffer b = {0};
        char expected[40];
        const int places = (int)rng_below(&rng, 7);
        double value = (double)rng_below(&rng, 2000000) / pow(10, places);
        value = i % 3 == 1 ? -value : i % 3 == 2 ? nextafter(value, 0) : value;
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(expected, sizeof expected, "%.*g", digits, value);
            if (strtod(expected, NULL) == value) {
                break;
            }
        }

        json_append_double(&b, value);
        buffer_append_char(&b, '\0');

        assert_string_equal(b.data, expected);
        buffer_free(&b);
    }
}

static void utf8_refuses_overlong_surrogate_and_too_high(void **state)
{
    (void)state;
    assert_true(utf8_is_valid("\xF4\x8F\xBF\xBF", 4));
    assert_false(utf8_is_valid("\xC0\x80", 2));
    assert_false(utf8_is_valid("\xED\xA0\x80", 3));
    assert_false(utf8_is_valid("\xF4\x90\x80\x80", 4));
    assert_false(utf8_is_valid("\xE2\x82", 2));
    assert_int_equal(utf8_decode("\xF0\x9F\x98\x80", 4), 0x1F600);
}

static void rng_below_is_uniform(void **state)
{
    (void)state;
    struct rng rng;
    int counts[7] = {0};
    rng_init(&rng, 42, 3);
    for (int i = 0; i < 70000; i++) {
        counts[rng_below(&rng, 7)]++;
    }
    double chi_square = 0;
    for (int i = 0; i < 7; i++) {
        chi_square += (counts[i] - 10000.0) * (counts[i] - 10000.0) / 10000.0;
    }
    assert_true(chi_square <
                22.46); /* 99.9 % of chi-square with 6 degrees of freedom */
}

static void rng_streams_differ_and_repeat(void **state)
{
    (void)state;
    struct rng a, b, c;
    rng_init(&a, 1, 0);
    rng_init(&b, 1, 0);
    rng_init(&c, 1, 1);
    const uint64_t first = rng_next(&a);

    assert_true(first == rng_next(&b));
    assert_true(first != rng_next(&c));
}

/* What a buffer was relieved of. */
struct spilled {
    struct buffer bytes; /* the first member */
    struct buffer taken;
    int n_left; /* times that it works */
};

static int take_bytes(struct buffer *bytes)
{
    struct spilled *spilled = (struct spilled *)bytes;
    if (spilled->n_left-- == 0) {
        return -1;
    }
    buffer_append(&spilled->taken, bytes->data, bytes->len);
    bytes->len = 0;
    return 0;
}

static void buffer_that_spills_keeps_every_byte_and_stays_small(void **state)
{
    (void)state;
    struct spilled spilled = {.bytes.spill = take_bytes, .n_left = 1000};
    struct buffer whole = {0};

    for (int i = 0; i < 300000; i++) {
        buffer_append_int(&spilled.bytes, i);
        buffer_append_int(&whole, i);
    }

    assert_true(spilled.bytes.capacity <= 4 * BUFFER_SPILL);
    assert_false(spilled.bytes.failed);
    assert_int_equal(take_bytes(&spilled.bytes), 0);
    assert_true(slice_equal(buffer_slice(&spilled.taken), buffer_slice(&whole)));
    buffer_free(&spilled.bytes);
    buffer_free(&spilled.taken);
    buffer_free(&whole);
}

static void buffer_that_cannot_spill_has_failed(void **state)
{
    (void)state;
    struct spilled spilled = {.bytes.spill = take_bytes, .n_left = 1};

    for (int i = 0; i < 300000; i++) {
        buffer_append_int(&spilled.bytes, i);
    }

    assert_true(spilled.bytes.failed);
    buffer_free(&spilled.bytes);
    buffer_free(&spilled.taken);
}

static void id_map_gives_dense_indices_in_order_of_first_sight(void **state)
{
    (void)state;
    struct id_map *map = id_map_new();
    char id[16];
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < 5000; i++) {
            snprintf(id, sizeof id, "u%d", i);
            assert_int_equal(id_map_add(map, slice_of(id)), i);
        }
    }

    assert_int_equal(id_map_count(map), 5000);
    assert_int_equal(id_map_find(map, slice_of("u4999")), 4999);
    assert_int_equal(id_map_find(map, slice_of("nobody")), ID_NONE);
    assert_true(slice_is(id_map_id(map, 17), "u17"));
    id_map_free(map);
}

static void id_map_takes_the_empty_id(void **state)
{
    (void)state;
    struct id_map *map = id_map_new();

    assert_int_equal(id_map_add(map, slice_of("")), 0);
    assert_int_equal(id_map_find(map, slice_of("")), 0);
    assert_int_equal(id_map_id(map, 0).len, 0);
    id_map_free(map);
}

/* Ids of up to 12 bytes are kept elsewhere than longer ones. */
static void id_map_gives_ids_of_any_length_back(void **state)
{
    enum { LENGTHS = 64, ROUNDS = 40 };
    (void)state;
    struct id_map *map = id_map_new();
    char id[LENGTHS];

    for (int i = 0; i < LENGTHS * ROUNDS; i++) {
        const size_t len = (size_t)(i % LENGTHS);
        memset(id, 'a' + i / LENGTHS % 26, len);
        id[0] = (char)(i / LENGTHS);
        const int32_t at = id_map_add(map, (struct slice){id, len});
        assert_int_equal(at, len == 0 ? 0 : i - i / LENGTHS);
    }

    for (int i = 0; i < LENGTHS * ROUNDS; i++) {
        const size_t len = (size_t)(i % LENGTHS);
        memset(id, 'a' + i / LENGTHS % 26, len);
        id[0] = (char)(i / LENGTHS);
        const int32_t at = id_map_find(map, (struct slice){id, len});
        assert_int_equal(at, len == 0 ? 0 : i - i / LENGTHS);
        assert_true(slice_equal(id_map_id(map, at), (struct slice){id, len}));
    }
    id_map_free(map);
}

static void id_map_survives_every_failed_allocation(void **state)
{
    (void)state;
    char id[32];
    for (long n = 0;; n++) {
        bool has_failed = false;
        failing_alloc_at(n);
        struct id_map *map = id_map_new();
        for (int i = 0; map && i < 300; i++) {
            snprintf(id, sizeof id, i % 2 ? "u%d" : "a-long-user-id-%d", i);
            if (id_map_add(map, slice_of(id)) == ID_NONE) {
                has_failed = true;
                assert_int_equal(id_map_add(map, slice_of(id)), i); /* works again */
            }
        }
        const bool was_injected = failing_alloc_stop();
        assert_int_equal(was_injected, has_failed || !map);
        id_map_free(map);
        if (!was_injected) {
            break;
        }
    }
}

static void file_replace_leaves_the_new_contents_and_no_temporary(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX", path[64];
    struct buffer contents = {0};
    struct error error = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);

    assert_int_equal(file_replace(path, slice_of("old"), &error), 0);
    assert_int_equal(file_replace(path, slice_of("new"), &error), 0);

    assert_int_equal(file_read(path, 100, &contents, &error), 0);
    assert_true(slice_is(buffer_slice(&contents), "new"));
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0); /* fails when a temporary is left */
    buffer_free(&contents);
}

/* Root's `--model /dev/null` must not leave a file where the device was. */
static void file_replace_writes_to_a_fifo_and_leaves_it_there(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX", path[64], got[8] = {0};
    struct stat status;
    struct error error = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/fifo", directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    const int fd = open(path, O_RDWR | O_NONBLOCK);
    assert_true(fd >= 0);

    assert_int_equal(file_check_replaceable(path, &error), 0);
    assert_int_equal(file_replace(path, slice_of("new"), &error), 0);

    assert_int_equal(lstat(path, &status), 0);
    assert_true(S_ISFIFO(status.st_mode));
    assert_int_equal(read(fd, got, sizeof got), 3);
    assert_string_equal(got, "new");
    close(fd);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void file_replace_keeps_the_link_and_the_mode(void **state)
{
    (void)state;
    char directory[] = "/tmp/abtest-test-XXXXXX", path[64], link[64];
    struct buffer contents = {0};
    struct stat status;
    struct error error = {0};
    assert_non_null(mkdtemp(directory));
    snprintf(path, sizeof path, "%s/file", directory);
    snprintf(link, sizeof link, "%s/link", directory);
    assert_int_equal(file_replace(path, slice_of("old"), &error), 0);
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(symlink("file", link), 0);

    assert_int_equal(file_replace(link, slice_of("new"), &error), 0);

    assert_int_equal(lstat(link, &status), 0);
    assert_true(S_ISLNK(status.st_mode));
    assert_int_equal(file_read(path, 100, &contents, &error), 0);
    assert_true(slice_is(buffer_slice(&contents), "new"));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0600);
    assert_int_equal(unlink(link), 0);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
    buffer_free(&contents);
}

static void file_check_replaceable_names_what_is_in_the_way(void **state)
{
    (void)state;
    struct error error = {0};

    assert_int_equal(file_check_replaceable("/no/such/file", &error), -1);
    assert_string_equal(error.message,
                        "/no/such/file: cannot write there: No such file or directory");
    assert_int_equal(file_check_replaceable("/tmp", &error), -1);
    assert_string_equal(error.message, "/tmp: is a directory, not a file to write");
    assert_int_equal(file_replace("/tmp", slice_of("x"), &error), -1);
    assert_string_equal(error.message, "/tmp: is a directory, not a file to write");
    assert_int_equal(file_check_replaceable("/tmp/abtest-not-there", &error), 0);
    assert_int_equal(file_check_replaceable("abtest-not-there", &error), 0);
    assert_int_equal(access("abtest-not-there", F_OK), -1);
}

static void file_errors_name_file_and_reason(void **state)
{
    (void)state;
    struct buffer contents = {0};
    struct error error = {0};

    assert_int_equal(file_read("/no/such/file", 100, &contents, &error), -1);
    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_string_equal(error.message,
                        "/no/such/file: cannot open: No such file or directory");

    assert_int_equal(file_replace("/no/such/file", slice_of("x"), &error), -1);
    assert_int_equal(error.code, ERROR_IO);
    assert_string_equal(error.message, "/no/such/file: cannot create a file beside it: "
                                       "No such file or directory");
    buffer_free(&contents);
}

static void hash_of_parts_is_the_hash_of_the_whole(void **state)
{
    (void)state;
    static char text[100000];
    for (size_t i = 0; i < sizeof text; i++) {
        text[i] = (char)(i * i % 251);
    }
    for (size_t part = 1; part < sizeof text; part = part * 7 + 3) {
        struct hash_parts *parts = hash_parts_new();
        assert_non_null(parts);

        for (size_t at = 0; at < sizeof text; at += part) {
            const size_t left = sizeof text - at;
            hash_parts_add(parts, text + at, left < part ? left : part);
        }

        assert_true(hash_parts_value(parts) == hash_bytes(text, sizeof text));
        hash_parts_free(parts);
    }
}

static void hash_text_is_sixteen_hex_digits(void **state)
{
    (void)state;
    char text[HASH_TEXT_LEN + 1];
    hash_text(0x0123456789ABCDEFU, text);
    assert_string_equal(text, "0123456789abcdef");
    assert_true(hash_bytes("a", 1) != hash_bytes("b", 1));
}

static void error_prefix_keeps_the_message(void **state)
{
    (void)state;
    struct error error = {0};
    error_set(&error, ERROR_INVALID, "line %d: bad", 3);
    error_prefix(&error, "%s", "ratings.csv");
    assert_string_equal(error.message, "ratings.csv: line 3: bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(crc32c_matches_rfc_3720),
        cmocka_unit_test(crc32c_in_pieces_is_crc32c_at_once),
        cmocka_unit_test(crc32c_is_right_at_every_length),
        cmocka_unit_test(buffer_grows_and_keeps_what_it_has),
        cmocka_unit_test(json_strings_are_escaped_and_valid_utf8),
        cmocka_unit_test(json_doubles_read_back_the_same),
        cmocka_unit_test(json_doubles_are_the_shortest_that_printf_gives),
        cmocka_unit_test(utf8_refuses_overlong_surrogate_and_too_high),
        cmocka_unit_test(rng_below_is_uniform),
        cmocka_unit_test(rng_streams_differ_and_repeat),
        cmocka_unit_test(buffer_that_spills_keeps_every_byte_and_stays_small),
        cmocka_unit_test(buffer_that_cannot_spill_has_failed),
        cmocka_unit_test(id_map_gives_dense_indices_in_order_of_first_sight),
        cmocka_unit_test(id_map_takes_the_empty_id),
        cmocka_unit_test(id_map_gives_ids_of_any_length_back),
        cmocka_unit_test(id_map_survives_every_failed_allocation),
        cmocka_unit_test(file_replace_leaves_the_new_contents_and_no_temporary),
        cmocka_unit_test(file_replace_writes_to_a_fifo_and_leaves_it_there),
        cmocka_unit_test(file_replace_keeps_the_link_and_the_mode),
        cmocka_unit_test(file_check_replaceable_names_what_is_in_the_way),
        cmocka_unit_test(file_errors_name_file_and_reason),
        cmocka_unit_test(hash_of_parts_is_the_hash_of_the_whole),
        cmocka_unit_test(hash_text_is_sixteen_hex_digits),
        cmocka_unit_test(error_prefix_keeps_the_message),
    };
    return cmocka_run_group_tests_name("common", tests, NULL, NULL);
}
