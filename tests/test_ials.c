#include "tests/testing.h"

#include <string.h>

#include "tests/planted.h"
#include "trainer/trainer.h"

struct log {
    struct epoch_report report[32];
    int n;
};

static bool note(void *context, const struct epoch_report *report)
{
    struct log *log = context;
    log->report[log->n++] = *report;
    return true;
}

static struct factors *train(const struct ratings *r, const struct ials_config *config,
                             struct log *log)
{
    const struct training_observer observer = {.epoch = note, .context = log};
    struct factors *f = NULL;
    struct error error = {0};
    if (ials_train(r, NULL, config, &observer, &f, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return f;
}

static double dot(const struct factors *f, int32_t user, int32_t item)
{
    double sum = 0;
    for (int32_t k = 0; k < f->n_factors; k++) {
        sum += (double)f->user_factors[user * f->n_factors + k] *
               (double)f->item_factors[item * f->n_factors + k];
    }
    return sum;
}

static double ridge(const struct ials_config *config, int64_t n, int32_t n_other)
{
    return config->reg * pow(config->confidence * (double)n + n_other, config->nu);
}

/* The loss of ials.h, over every pair there is. */
static double naive_loss(const struct factors *f, const struct ratings *r,
                         const struct ials_config *config)
{
    double loss = 0;
    int64_t item_positives[64] = {0};
    assert_true(r->n_items <= 64);
    for (int32_t u = 0; u < r->n_users; u++) {
        int64_t n = 0;
        double norm = 0;
        for (int32_t i = 0; i < r->n_items; i++) {
            const bool wants = (double)ratings_get(r, u, i) > config->threshold;
            const double e = (wants ? 1 : 0) - dot(f, u, i);
            loss += (wants ? 1 + config->confidence : 1) * e * e;
            n += wants;
            item_positives[i] += wants;
        }
        for (int32_t k = 0; k < f->n_factors; k++) {
            const double x = (double)f->user_factors[u * f->n_factors + k];
            norm += x * x;
        }
        loss += ridge(config, n, r->n_items) * norm;
    }
    for (int32_t i = 0; i < r->n_items; i++) {
        for (int32_t k = 0; k < f->n_factors; k++) {
            const double y = (double)f->item_factors[i * f->n_factors + k];
            loss += ridge(config, item_positives[i], r->n_users) * y * y;
        }
    }
    return loss;
}

static void loss_is_the_sum_over_all_pairs_and_never_rises(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(70, 40, 0.3, 0.3, 1);
    /* Widths at which the padded row is, and is not, longer than the factors. */
    static const int32_t widths[] = {1, 5, 7, 8, 16};
    for (size_t w = 0; w < sizeof widths / sizeof widths[0]; w++) {
        struct ials_config config = ials_config_default();
        struct log log = {.n = 0};
        config.n_factors = widths[w];
        config.confidence = 3;
        config.threshold = 3;
        config.reg = 0.05;
        config.nu = 0.7;
        config.n_epochs = 12;

        struct factors *f = train(r, &config, &log);

        for (int e = 1; e < log.n; e++) {
            assert_true(log.report[e].loss <= log.report[e - 1].loss * (1 + 1e-5));
        }
        const double loss = naive_loss(f, r, &config);
        assert_close(log.report[11].loss, loss, 1e-4 * loss);
        factors_free(f);
    }
    ratings_free(r);
}

/* The last half step solved the items: the loss is flat there. */
static void items_stand_where_the_gradient_is_zero(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(40, 25, 0.4, 0.3, 2);
    struct ials_config config = ials_config_default();
    struct log log = {.n = 0};
    config.n_factors = 3;
    config.threshold = 3;
    config.n_epochs = 2;

    struct factors *f = train(r, &config, &log);

    const float h = 0x1p-6F;
    for (int32_t p = 0; p < r->n_items * 3; p++) {
        const float value = f->item_factors[p];
        f->item_factors[p] = value + h;
        const double above = naive_loss(f, r, &config);
        f->item_factors[p] = value - h;
        const double below = naive_loss(f, r, &config);
        f->item_factors[p] = value;
        assert_close((above - below) / (2 * (double)h), 0, 2e-3);
    }
    factors_free(f);
    ratings_free(r);
}

static void nothing_positive_is_an_error(void **state)
{
    (void)state;
    struct ratings *r = planted_ratings(10, 10, 0.5, 0, 3);
    struct ials_config config = ials_config_default();
    struct factors *f = NULL;
    struct error error = {0};
    config.threshold = 100;

    assert_int_equal(ials_train(r, NULL, &config, NULL, &f, &error), -1);

    assert_int_equal(error.code, ERROR_INVALID);
    assert_null(f);
    ratings_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loss_is_the_sum_over_all_pairs_and_never_rises),
        cmocka_unit_test(items_stand_where_the_gradient_is_zero),
        cmocka_unit_test(nothing_positive_is_an_error),
    };
    return cmocka_run_group_tests_name("ials", tests, NULL, NULL);
}
