#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/crc32c.h"
#include "common/error.h"
#include "common/file.h"
#include "trainer/format.h"
#include "trainer/trainer.h"

#define N_USERS   37
#define N_ITEMS   11
#define N_FACTORS 3

static char path[] = "/tmp/abtest_model_XXXXXX";

static struct slice test_id(const void *context, int32_t index)
{
    static char text[16];
    snprintf(text, sizeof text, "%s%d", (const char *)context, index * index);
    return slice_of(text);
}

static struct model test_model(void)
{
    static float users[N_USERS * N_FACTORS], items[N_ITEMS * N_FACTORS];
    static float user_bias[N_USERS], item_bias[N_ITEMS];
    static int32_t count[N_ITEMS];
    for (int i = 0; i < N_USERS * N_FACTORS; i++) {
        users[i] = 0.25F * (float)i;
    }
    for (int i = 0; i < N_ITEMS * N_FACTORS; i++) {
        items[i] = 1 - 0.5F * (float)i;
    }
    for (int i = 0; i < N_USERS; i++) {
        user_bias[i] = 0.125F * (float)i;
    }
    for (int i = 0; i < N_ITEMS; i++) {
        item_bias[i] = -0.0625F * (float)i;
        count[i] = i;
    }
    return (struct model){.kind = MODEL_ALS,
                          .n_users = N_USERS,
                          .n_items = N_ITEMS,
                          .n_factors = N_FACTORS,
                          .mean = 3.5F,
                          .user_factors = users,
                          .item_factors = items,
                          .user_bias = user_bias,
                          .item_bias = item_bias,
                          .item_count = count,
                          .settings = slice_of("{\"seed\":1}")};
}

static void save(uint64_t *hash)
{
    const struct model model = test_model();
    const struct model_ids ids = {test_id, test_id, "id"};
    assert_int_equal(model_save(&model, &ids, path, hash, NULL), 0);
}

static void load_gives_back_what_was_saved(void **state)
{
    (void)state;
    const struct model saved = test_model();
    struct model *m = NULL;
    uint64_t hash = 0;
    save(&hash);

    assert_int_equal(model_load(path, &m, NULL), 0);

    assert_int_equal(m->kind, MODEL_ALS);
    assert_int_equal(m->n_users, N_USERS);
    assert_int_equal(m->n_items, N_ITEMS);
    assert_int_equal(m->n_factors, N_FACTORS);
    assert_close((double)m->mean, 3.5, 0);
    assert_true(m->hash == hash);
    assert_memory_equal(m->user_factors, saved.user_factors,
                        N_USERS * N_FACTORS * sizeof(float));
    assert_memory_equal(m->item_factors, saved.item_factors,
                        N_ITEMS * N_FACTORS * sizeof(float));
    assert_memory_equal(m->user_bias, saved.user_bias, N_USERS * sizeof(float));
    assert_memory_equal(m->item_bias, saved.item_bias, N_ITEMS * sizeof(float));
    assert_memory_equal(m->item_count, saved.item_count, N_ITEMS * sizeof(int32_t));
    assert_true(slice_is(m->settings, "{\"seed\":1}"));
    assert_int_equal((uintptr_t)m->user_factors % MODEL_ALIGNMENT, 0);
    assert_int_equal((uintptr_t)m->item_factors % MODEL_ALIGNMENT, 0);
    model_free(m);
}

static void ids_are_found_both_ways(void **state)
{
    (void)state;
    struct model *m = NULL;
    save(NULL);
    assert_int_equal(model_load(path, &m, NULL), 0);

    for (int32_t i = 0; i < N_USERS; i++) {
        const struct slice id = test_id("id", i);
        assert_int_equal(model_find_user(m, id), i);
        assert_true(slice_equal(model_user_id(m, i), id));
        assert_int_equal(model_find_item(m, id), i < N_ITEMS ? i : -1);
    }
    assert_int_equal(model_find_user(m, slice_of("id2")), -1);
    assert_int_equal(model_find_user(m, slice_of("")), -1);
    model_free(m);
}

static void score_is_the_formula(void **state)
{
    (void)state;
    struct model *m = NULL;
    save(NULL);
    assert_int_equal(model_load(path, &m, NULL), 0);

    /* u_2 = (1.5, 1.75, 2), v_1 = (-0.5, -1, -1.5), b = 0.25, c = -0.0625 */
    assert_close(model_score(m, 2, 1, 1), 3.5 + 0.25 - 5.5 - 0.0625, 1e-12);
    assert_close(model_score(m, 2, 1, 0), 3.5 + 0.25 - 5.5, 1e-12);
    model_free(m);
}

static void same_model_gives_the_same_bytes(void **state)
{
    (void)state;
    struct buffer first = {0}, second = {0};
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &first, NULL), 0);
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &second, NULL), 0);

    assert_true(slice_equal(buffer_slice(&first), buffer_slice(&second)));
    buffer_free(&first);
    buffer_free(&second);
}

static int load_bytes(const char *bytes, size_t len, struct error *error)
{
    struct model *m = NULL;
    FILE *file = fopen(path, "wb"); /* not file_replace: hundreds of fsyncs are slow */
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, len, file), len);
    assert_int_equal(fclose(file), 0);
    const int rc = model_load(path, &m, error);
    assert_true((rc == 0) == (m != NULL));
    model_free(m);
    return rc;
}

static void every_damaged_byte_is_noticed(void **state)
{
    (void)state;
    struct buffer file = {0};
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &file, NULL), 0);

    for (size_t i = 0; i < file.len; i += i < 512 ? 1 : 7) {
        struct error error = {0};
        file.data[i] = (char)(file.data[i] ^ 0x10);
        assert_int_equal(load_bytes(file.data, file.len, &error), -1);
        assert_int_equal(error.code, ERROR_DAMAGED);
        assert_non_null(strstr(error.message, "byte"));
        file.data[i] = (char)(file.data[i] ^ 0x10);
    }
    assert_int_equal(load_bytes(file.data, file.len, NULL), 0);
    buffer_free(&file);
}

static void every_truncation_is_noticed(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct error error = {0};
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &file, NULL), 0);

    for (size_t len = 0; len < file.len; len += 13) {
        assert_int_equal(load_bytes(file.data, len, &error), -1);
        assert_int_equal(error.code, ERROR_DAMAGED);
    }
    buffer_append(&file, "x", 1);
    assert_int_equal(load_bytes(file.data, file.len, &error), -1);
    assert_int_equal(error.code, ERROR_DAMAGED);
    buffer_free(&file);
}

/* Makes the checksums right again, so that the checks behind them are reached. */
static void repair(char *file)
{
    struct model_header h;
    memcpy(&h, file, sizeof h);
    for (int s = 0; s < N_SECTIONS; s++) {
        const size_t padded = (h.section[s].len + 63) / 64 * 64;
        h.section[s].crc = crc32c(0, file + h.section[s].offset, padded);
    }
    h.crc = crc32c(0, &h, offsetof(struct model_header, crc));
    memcpy(file, &h, sizeof h);
}

static void wrong_contents_under_right_checksums_are_refused(void **state)
{
    (void)state;
    static const struct {
        enum model_section section;
        uint32_t value;
        const char *message;
    } cases[] = {
        {SECTION_USER_FACTORS, 0x7FC00000, "not a finite number"},
        {SECTION_ITEM_BIAS, 0x7F800000, "not a finite number"},
        {SECTION_USER_ID_START, 1, "offsets are wrong"},
        {SECTION_ITEM_ID_SLOTS, 1000, "points outside"},
    };
    struct buffer file = {0};
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &file, NULL), 0);
    struct model_header h;
    memcpy(&h, file.data, sizeof h);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct error error = {0};
        char old[4];
        char *at = file.data + h.section[cases[i].section].offset;
        memcpy(old, at, sizeof old);
        memcpy(at, &cases[i].value, sizeof old);
        repair(file.data);
        assert_int_equal(load_bytes(file.data, file.len, &error), -1);
        assert_non_null(strstr(error.message, cases[i].message));
        memcpy(at, old, sizeof old);
    }
    repair(file.data);
    assert_int_equal(load_bytes(file.data, file.len, NULL), 0);
    buffer_free(&file);
}

static void another_version_is_named(void **state)
{
    (void)state;
    struct buffer file = {0};
    struct error error = {0};
    save(NULL);
    assert_int_equal(file_read(path, 1 << 20, &file, NULL), 0);
    file.data[8] = 3;

    assert_int_equal(load_bytes(file.data, file.len, &error), -1);

    assert_non_null(strstr(error.message, "model format 3, this program reads 1 to 2"));
    buffer_free(&file);
}

/* Two features: the last column of each row belongs to the bias. */
static const float test_map[2 * (N_FACTORS + 1)] = {1, 2, 3, 4, 5, 6, 7, 8};

static struct model test_model_with_map(void)
{
    struct model model = test_model();
    model.n_features = 2;
    model.feature_names = slice_of("1\ngenre:film-noir\n");
    model.feature_map = test_map;
    return model;
}

static void a_map_from_features_comes_back_and_is_checked(void **state)
{
    (void)state;
    const struct model model = test_model_with_map();
    const struct model_ids ids = {test_id, test_id, "id"};
    struct model *m = NULL;
    struct buffer file = {0};
    struct error error = {0};
    assert_int_equal(model_save(&model, &ids, path, NULL, NULL), 0);

    assert_int_equal(model_load(path, &m, &error), 0);

    assert_int_equal(m->n_features, 2);
    assert_true(slice_equal(m->feature_names, model.feature_names));
    assert_memory_equal(m->feature_map, test_map, sizeof test_map);
    assert_close(model_score(m, 3, 2, 1), model_score(&model, 3, 2, 1), 0);
    model_free(m);
    assert_int_equal(file_read(path, 1 << 20, &file, NULL), 0);
    assert_int_equal(file.data[8], 2);
    for (size_t i = 0; i < file.len; i += i < 512 ? 1 : 7) {
        file.data[i] = (char)(file.data[i] ^ 0x10);
        assert_int_equal(load_bytes(file.data, file.len, &error), -1);
        assert_int_equal(error.code, ERROR_DAMAGED);
        file.data[i] = (char)(file.data[i] ^ 0x10);
    }
    buffer_free(&file);
}

/* What the checksums cannot tell: names and rows that do not belong together. */
static void a_map_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"1\n", "1\ngenre:a", "", "a\nb\nc\n",
                                        "1\nx\ty\n"};
    const struct model_ids ids = {test_id, test_id, "id"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct model model = test_model_with_map();
        struct model *m = NULL;
        struct error error = {0};
        model.feature_names = slice_of(names[i]);
        assert_int_equal(model_save(&model, &ids, path, NULL, NULL), 0);

        assert_int_equal(model_load(path, &m, &error), -1);

        assert_int_equal(error.code, ERROR_DAMAGED);
        assert_non_null(strstr(error.message, "feature"));
    }
    struct model model = test_model_with_map();
    float map[2 * (N_FACTORS + 1)] = {0};
    struct error error = {0};
    map[5] = INFINITY;
    model.feature_map = map;
    assert_int_equal(model_save(&model, &ids, path, NULL, &error), -1);
    assert_non_null(strstr(error.message, "feature map[5]"));
}

static void saving_refuses_what_is_not_finite(void **state)
{
    (void)state;
    struct model model = test_model();
    float bias[N_ITEMS] = {0};
    bias[3] = NAN;
    model.item_bias = bias;
    const struct model_ids ids = {test_id, test_id, "id"};
    struct error error = {0};

    assert_int_equal(model_save(&model, &ids, path, NULL, &error), -1);

    assert_int_equal(error.code, ERROR_NUMERIC);
    assert_non_null(strstr(error.message, "item bias[3] is nan"));
}

static void missing_file_is_not_found(void **state)
{
    (void)state;
    struct model *m = NULL;
    struct error error = {0};

    assert_int_equal(model_load("/nonexistent/als.model", &m, &error), -1);

    assert_int_equal(error.code, ERROR_NOT_FOUND);
    assert_null(m);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(load_gives_back_what_was_saved),
        cmocka_unit_test(ids_are_found_both_ways),
        cmocka_unit_test(score_is_the_formula),
        cmocka_unit_test(same_model_gives_the_same_bytes),
        cmocka_unit_test(every_damaged_byte_is_noticed),
        cmocka_unit_test(every_truncation_is_noticed),
        cmocka_unit_test(wrong_contents_under_right_checksums_are_refused),
        cmocka_unit_test(another_version_is_named),
        cmocka_unit_test(a_map_from_features_comes_back_and_is_checked),
        cmocka_unit_test(a_map_that_does_not_fit_is_refused),
        cmocka_unit_test(saving_refuses_what_is_not_finite),
        cmocka_unit_test(missing_file_is_not_found),
    };
    return cmocka_run_group_tests_name("model", tests, make_file, remove_file);
}
