#include "tests/testing.h"

#include "common/error.h"
#include "stats/bootstrap.h"
#include "stats/order.h"

static const double x_c[] = {3.1, 4.7, 0.2, 9.9, 12.4, 5.5, 6.1, 7.3, 2.8, 41.0};
static const double x_t[] = {5.2, 8.8, 1.1,  14.6, 9.9,  30.2,
                             7.7, 6.6, 11.3, 12.9, 55.1, 4.4};
static const double ones[12] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
static const struct bootstrap_units c_units = {x_c, ones, 0.5},
                                    t_units = {x_t, ones, 0.5};
static const struct bootstrap_arm control = {&c_units, 10}, treatment = {&t_units, 12};

static struct bootstrap_result run(const struct bootstrap_arm *c,
                                   const struct bootstrap_arm *t,
                                   struct bootstrap_config config)
{
    struct bootstrap_result r;
    assert_int_equal(bootstrap_bca(c, t, &config, &r, NULL), 0);
    return r;
}

static struct bootstrap_config means(void)
{
    struct bootstrap_config config = bootstrap_config_default();
    config.value = bootstrap_mean;
    config.n_replicates = 20000;
    return config;
}

/* R 4.2.2, boot 1.3-28.1, strata = arm, R = 200000, boot.ci(type = "bca"), three seeds:
 * -9.28 to -9.39, 8.05 to 8.07, sd 4.21 to 4.23, share below 0.4734 to 0.4759;
 * acceleration by empinf(type = "jack"). The arms are of one size there, because boot
 * does not weigh the strata by theirs in the acceleration, and we do. */
static void bca_matches_r_boot(void **state)
{
    (void)state;
    const struct bootstrap_arm ten = {&t_units, 10};
    const struct bootstrap_result r = run(&control, &ten, means());

    assert_true(r.is_testable);
    assert_close(r.effect_size, 1.53, 1e-12);
    assert_close(r.ci_lower, -9.33, 0.3); /* they move by 0.1 from seed to seed */
    assert_close(r.ci_upper, 8.06, 0.2);
    assert_close(r.standard_error, 4.218, 0.08);
    assert_close(r.acceleration, -0.053899982083407, 1e-12);
    assert_close(r.z0, -0.064, 0.03);
    assert_int_equal(r.n_failed, 0);
}

/* The acceleration of a difference of means is its third cumulant over 6 sd^3, and the
 * arms' cumulants are m3 / n^2. */
static void acceleration_weighs_arms_of_two_sizes(void **state)
{
    (void)state;
    double m2[2] = {0, 0}, m3[2] = {0, 0}, mean[2] = {0, 0};
    for (int i = 0; i < 12; i++) {
        mean[0] += i < 10 ? x_c[i] / 10 : 0;
        mean[1] += x_t[i] / 12;
    }
    for (int i = 0; i < 12; i++) {
        m2[0] += i < 10 ? pow(x_c[i] - mean[0], 2) / 10 : 0;
        m3[0] += i < 10 ? pow(x_c[i] - mean[0], 3) / 10 : 0;
        m2[1] += pow(x_t[i] - mean[1], 2) / 12;
        m3[1] += pow(x_t[i] - mean[1], 3) / 12;
    }

    const struct bootstrap_result r = run(&control, &treatment, means());

    assert_close(r.acceleration,
                 (m3[1] / 144 - m3[0] / 100) / 6 / pow(m2[1] / 12 + m2[0] / 10, 1.5),
                 1e-12);
}

static void same_seed_gives_the_same_interval(void **state)
{
    (void)state;
    struct bootstrap_config config = means();
    config.n_replicates = 500;
    const struct bootstrap_result a = run(&control, &treatment, config);
    const struct bootstrap_result b = run(&control, &treatment, config);
    config.seed = 2;
    const struct bootstrap_result c = run(&control, &treatment, config);

    assert_close(a.ci_lower, b.ci_lower, 0);
    assert_true(a.ci_lower != c.ci_lower);
}

static void ratio_of_ones_is_the_mean(void **state)
{
    (void)state;
    struct bootstrap_config config = means();
    config.n_replicates = 1000;
    const struct bootstrap_result mean = run(&control, &treatment, config);
    config.value = bootstrap_ratio;
    const struct bootstrap_result ratio = run(&control, &treatment, config);

    assert_close(mean.ci_lower, ratio.ci_lower, 1e-12);
    assert_close(mean.p_value, ratio.p_value, 1e-12);
}

/* The p-value is the level at which the interval ends at no effect. */
static void p_value_inverts_the_interval(void **state)
{
    (void)state;
    struct bootstrap_config config = means();
    const double p = run(&control, &treatment, config).p_value;
    config.level = 1 - p;
    const struct bootstrap_result at_p = run(&control, &treatment, config);

    assert_close(fmin(fabs(at_p.ci_lower), fabs(at_p.ci_upper)), 0, 0.02);
}

static void relative_median_and_trimmed_mean_work(void **state)
{
    (void)state;
    struct bootstrap_config config = means();
    config.n_replicates = 2000;
    config.is_relative = true;
    config.value = bootstrap_quantile;
    const struct bootstrap_result median = run(&control, &treatment, config);
    assert_close(median.control, 5.8, 1e-12);
    assert_close(median.treatment, 9.35, 1e-12);
    assert_close(median.effect_size, 9.35 / 5.8 - 1, 1e-12);
    assert_true(median.ci_lower < median.effect_size &&
                median.effect_size < median.ci_upper);

    const struct bootstrap_units c = {x_c, NULL, 0.1}, t = {x_t, NULL, 0.1};
    const struct bootstrap_arm arm_c = {&c, 10}, arm_t = {&t, 12};
    config.value = bootstrap_trimmed;
    config.alternative = ALTERNATIVE_GREATER;
    const struct bootstrap_result trimmed = run(&arm_c, &arm_t, config);
    assert_close(trimmed.control, 6.475, 1e-12); /* scipy trim_mean */
    assert_close(trimmed.treatment, 11.16, 1e-12);
    assert_true(isinf(trimmed.ci_upper));
}

/* Above 500 units the jackknife is by groups; the acceleration must not jump. */
static void grouped_jackknife_agrees_with_the_full_one(void **state)
{
    (void)state;
    double x[1200];
    for (int i = 0; i < 1200; i++) {
        x[i] = exp(3.0 * ((i * 7919) % 1200) / 1200.0);
    }
    const struct bootstrap_units few = {x, NULL, 0}, many = {x, NULL, 0};
    const struct bootstrap_arm arm_few = {&few, 500}, arm_many = {&many, 1200};
    struct bootstrap_config config = means();
    config.n_replicates = 100;
    const double full = run(&arm_few, &arm_few, config).acceleration;
    const double grouped = run(&arm_many, &arm_few, config).acceleration;

    assert_close(full, 0, 1e-12); /* the same arm twice: skewness cancels */
    assert_close(grouped, 0, 0.02);
}

static void what_does_not_vary_is_not_testable(void **state)
{
    (void)state;
    const struct bootstrap_units same = {ones, ones, 0.5};
    const struct bootstrap_arm constant = {&same, 12};
    struct bootstrap_config config = means();
    config.n_replicates = 100;

    const struct bootstrap_result r = run(&constant, &constant, config);

    assert_false(r.is_testable);
    assert_true(isnan(r.ci_lower) && isnan(r.p_value));
}

static void nonsense_is_refused(void **state)
{
    (void)state;
    const struct bootstrap_arm empty = {&c_units, 0};
    struct bootstrap_config config = means();
    struct bootstrap_result r;
    struct error error = {0};

    assert_int_equal(bootstrap_bca(&empty, &treatment, &config, &r, &error), -1);
    assert_string_equal(error.message, "bootstrap: control arm has no units");
    config.n_replicates = 99;
    assert_int_equal(bootstrap_bca(&control, &treatment, &config, &r, &error), -1);
    config.n_replicates = 100;
    config.level = 1;
    assert_int_equal(bootstrap_bca(&control, &treatment, &config, &r, &error), -1);
}

/* Drawn units 0, 0 and 2 bring their events as often: against the plain quantile of the
 * events written out. */
static void clustered_quantiles_repeat_all_events_of_a_unit(void **state)
{
    (void)state;
    static const double values[] = {1, 2, 4, 7, 11, 16, 22};
    static const int32_t units[] = {0, 1, 2, 0, 1, 2, 2};
    static const int64_t drawn[] = {0, 2, 0};
    static const double written[] = {1, 1, 4, 7, 7, 16, 22};
    static const double shares[] = {0.01, 0.25, 0.5, 0.9, 0.99};
    double scratch[3];
    for (size_t i = 0; i < sizeof shares / sizeof shares[0]; i++) {
        const struct bootstrap_events events = {values, units, 7, 3, shares[i]};

        assert_close(bootstrap_clustered(&events, drawn, 3, scratch),
                     order_quantile(written, 7, shares[i]), 1e-12);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(clustered_quantiles_repeat_all_events_of_a_unit),
        cmocka_unit_test(bca_matches_r_boot),
        cmocka_unit_test(acceleration_weighs_arms_of_two_sizes),
        cmocka_unit_test(same_seed_gives_the_same_interval),
        cmocka_unit_test(ratio_of_ones_is_the_mean),
        cmocka_unit_test(p_value_inverts_the_interval),
        cmocka_unit_test(relative_median_and_trimmed_mean_work),
        cmocka_unit_test(grouped_jackknife_agrees_with_the_full_one),
        cmocka_unit_test(what_does_not_vary_is_not_testable),
        cmocka_unit_test(nonsense_is_refused),
    };
    return cmocka_run_group_tests_name("bootstrap", tests, NULL, NULL);
}
