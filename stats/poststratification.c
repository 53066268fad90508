#include "stats/poststratification.h"

#include <math.h>
#include <stdbool.h>

static bool is_comparable(const struct stratum *stratum)
{
    return stratum->control.n_units > 1 && stratum->treatment.n_units > 1;
}

static double size_of(const struct stratum *stratum)
{
    return stratum->weight > 0
               ? stratum->weight
               : (double)stratum->control.n_units + (double)stratum->treatment.n_units;
}

static int check(const struct stratum *strata, size_t n_strata, double *total,
                 struct error *error)
{
    size_t n_weighted = 0;
    *total = 0;
    for (size_t k = 0; k < n_strata; k++) {
        if (!(strata[k].weight >= 0) || !isfinite(strata[k].weight)) {
            error_set(error, ERROR_INVALID, "weight %g of stratum %zu is below 0",
                      strata[k].weight, k + 1);
            return -1;
        }
        n_weighted += strata[k].weight > 0;
        *total += is_comparable(&strata[k]) ? size_of(&strata[k]) : 0;
    }
    if (n_weighted != 0 && n_weighted != n_strata) {
        error_set(error, ERROR_INVALID,
                  "%zu of %zu strata have a weight; give all or none", n_weighted,
                  n_strata);
        return -1;
    }
    if (!(*total > 0)) {
        error_set(error, ERROR_INVALID,
                  "no stratum has two units in both arms; merge strata");
        return -1;
    }
    return 0;
}

static struct mean_sum sum_of(const struct mean_sample *sample)
{
    return (struct mean_sum){
        sample->n_units, sample->n_units > 0 ? sample->mean : 0,
        sample->n_units > 1 ? sample->variance * (double)(sample->n_units - 1) : 0};
}

static void add_stratum(struct estimate *arm, const struct mean_sample *sample,
                        double weight)
{
    arm->value += weight * sample->mean;
    arm->variance += weight * weight * sample->variance / (double)sample->n_units;
}

static struct estimate with_normal(const struct mean_sum *sum)
{
    const struct mean_sample sample = mean_sum_sample(sum);
    struct estimate estimate = mean_estimate(&sample);
    estimate.df = INFINITY;
    return estimate;
}

int poststratification_compare(const struct stratum *strata, size_t n_strata,
                               double level, enum alternative alternative,
                               struct poststratification_result *result,
                               struct error *error)
{
    double total = 0;
    if (tail_check_level(level, error) != 0 ||
        check(strata, n_strata, &total, error) != 0) {
        return -1;
    }
    struct poststratification_result r = {.control = {0, 0, INFINITY},
                                          .treatment = {0, 0, INFINITY}};
    struct mean_sum all_c = {0}, all_t = {0};
    for (size_t k = 0; k < n_strata; k++) {
        const struct stratum *stratum = &strata[k];
        const struct mean_sum c = sum_of(&stratum->control);
        const struct mean_sum t = sum_of(&stratum->treatment);
        mean_sum_merge(&all_c, &c);
        mean_sum_merge(&all_t, &t);
        if (!is_comparable(stratum)) {
            r.n_left_out += stratum->control.n_units + stratum->treatment.n_units;
            r.n_strata_left_out++;
            continue;
        }
        add_stratum(&r.control, &stratum->control, size_of(stratum) / total);
        add_stratum(&r.treatment, &stratum->treatment, size_of(stratum) / total);
    }
    r.raw =
        effect_compare(with_normal(&all_c), with_normal(&all_t), level, alternative);
    r.adjusted = effect_compare(r.control, r.treatment, level, alternative);
    r.variance_reduction = r.raw.is_testable
                               ? 1 - (r.control.variance + r.treatment.variance) /
                                         (r.raw.standard_error * r.raw.standard_error)
                               : (double)NAN;
    *result = r;
    return 0;
}
