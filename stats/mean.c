#include "stats/mean.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/order.h"

void mean_sum_add(struct mean_sum *sum, double value)
{
    sum->n_units++;
    const double gap = value - sum->mean;
    sum->mean += gap / (double)sum->n_units;
    sum->squares += gap * (value - sum->mean);
}

void mean_sum_merge(struct mean_sum *sum, const struct mean_sum *other)
{
    if (other->n_units == 0) {
        return;
    }
    if (sum->n_units == 0) {
        *sum = *other;
        return;
    }
    const double n = (double)sum->n_units, m = (double)other->n_units;
    const double gap = other->mean - sum->mean;
    sum->mean += gap * (m / (n + m));
    sum->squares += other->squares + gap * gap * (n * (m / (n + m)));
    sum->n_units += other->n_units;
}

struct mean_sample mean_sum_sample(const struct mean_sum *sum)
{
    return (struct mean_sample){
        .n_units = sum->n_units,
        .mean = sum->n_units > 0 ? sum->mean : (double)NAN,
        .variance = sum->n_units > 1 ? sum->squares / (double)(sum->n_units - 1) : 0,
    };
}

struct mean_sample mean_sample_of(const double *values, uint64_t n_values)
{
    struct mean_sum sum = {.n_units = n_values};
    double total = 0, residue = 0;
    for (uint64_t i = 0; i < n_values; i++) {
        total += values[i];
    }
    sum.mean = n_values > 0 ? total / (double)n_values : 0;
    for (uint64_t i = 0; i < n_values; i++) {
        const double gap = values[i] - sum.mean;
        sum.squares += gap * gap;
        residue += gap;
    }
    if (n_values > 0) { /* what rounding of the mean put into the squares */
        sum.squares = fmax(0, sum.squares - residue * residue / (double)n_values);
        sum.mean += residue / (double)n_values;
    }
    return mean_sum_sample(&sum);
}

struct estimate mean_estimate(const struct mean_sample *sample)
{
    const double n = (double)sample->n_units;
    return (struct estimate){
        .value = sample->mean,
        .variance = sample->n_units > 1 ? sample->variance / n : (double)NAN,
        .df = n - 1,
    };
}

static int check_arm(const char *arm, const struct mean_sample *sample,
                     struct error *error)
{
    if (sample->n_units == 0) {
        error_set(error, ERROR_INVALID, "%s arm has no units", arm);
        return -1;
    }
    if (!isfinite(sample->mean) || !(sample->variance >= 0) ||
        !isfinite(sample->variance)) {
        error_set(error, ERROR_INVALID,
                  "%s arm has mean %g and variance %g; both must be finite and the "
                  "variance at least 0",
                  arm, sample->mean, sample->variance);
        return -1;
    }
    return 0;
}

int mean_compare(const struct mean_sample *control, const struct mean_sample *treatment,
                 double level, enum alternative alternative, struct effect *result,
                 struct error *error)
{
    if (check_arm("control", control, error) != 0 ||
        check_arm("treatment", treatment, error) != 0 ||
        tail_check_level(level, error) != 0) {
        return -1;
    }
    *result = effect_compare(mean_estimate(control), mean_estimate(treatment), level,
                             alternative);
    return 0;
}

static void clip(double *values, uint64_t n_values, const struct winsor *caps)
{
    for (uint64_t i = 0; i < n_values; i++) {
        values[i] = fmin(fmax(values[i], caps->lower), caps->upper);
    }
}

int mean_winsorise(double *control, uint64_t n_control, double *treatment,
                   uint64_t n_treatment, struct winsor *winsor, struct error *error)
{
    const uint64_t n = n_control + n_treatment;
    const double lower = winsor->lower_share, upper = winsor->upper_share;
    if (n == 0 || !(lower >= 0 && lower < upper && upper <= 1)) {
        error_set(error, ERROR_INVALID,
                  "winsorise %" PRIu64
                  " values at %g and %g; give values and 0 <= lower < upper <= 1",
                  n, lower, upper);
        return -1;
    }
    double *all = malloc((size_t)n * sizeof *all);
    if (!all) {
        error_set(error, ERROR_NOMEM, "winsorise: no memory for %" PRIu64 " values", n);
        return -1;
    }
    if (n_control > 0) {
        memcpy(all, control, (size_t)n_control * sizeof *all);
    }
    if (n_treatment > 0) {
        memcpy(all + n_control, treatment, (size_t)n_treatment * sizeof *all);
    }
    const int rc = order_check_finite(all, n, error);
    if (rc == 0) {
        order_sort(all, n);
        winsor->lower = order_quantile(all, n, lower);
        winsor->upper = order_quantile(all, n, upper);
        clip(control, n_control, winsor);
        clip(treatment, n_treatment, winsor);
    }
    free(all);
    return rc;
}

int mean_trimmed(double *values, uint64_t n_values, double share,
                 struct estimate *result, struct error *error)
{
    if (n_values == 0 || !(share >= 0 && share < 0.5)) {
        error_set(error, ERROR_INVALID,
                  "trim %g of %" PRIu64 " values; give values and 0 <= share < 0.5",
                  share, n_values);
        return -1;
    }
    if (order_check_finite(values, n_values, error) != 0) {
        return -1;
    }
    order_sort(values, n_values);
    const uint64_t cut = (uint64_t)(share * (double)n_values);
    const uint64_t left = n_values - 2 * cut;
    const struct mean_sample middle = mean_sample_of(values + cut, left);
    struct mean_sum winsorised = {0};
    for (uint64_t i = 0; i < n_values; i++) {
        const uint64_t at = i < cut ? cut : i >= cut + left ? cut + left - 1 : i;
        /* Of large values that vary little the differences keep their digits. */
        mean_sum_add(&winsorised, values[at] - middle.mean);
    }
    const double h = (double)left;
    *result = (struct estimate){
        .value = middle.mean,
        .variance = left > 1 ? winsorised.squares / (h * (h - 1)) : (double)NAN,
        .df = h - 1,
    };
    return 0;
}
