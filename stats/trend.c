#include "stats/trend.h"

#include <math.h>

void trend_add(struct trend_sum *sum, uint32_t days)
{
    sum->n_units++;
    for (int d = 0; d < TREND_MAX_DAYS; d++) {
        if (!(days >> d & 1)) {
            continue;
        }
        for (int e = 0; e <= d; e++) {
            sum->both[d][e] += days >> e & 1;
        }
    }
}

int trend_busy_days(const struct trend_sum *control, const struct trend_sum *treatment,
                    int n_days, uint64_t min_events)
{
    int d = 0;
    while (d < n_days && control->both[d][d] >= min_events &&
           treatment->both[d][d] >= min_events) {
        d++;
    }
    return d;
}

static struct estimate share_of(const struct trend_sum *sum, int day)
{
    const double n = (double)sum->n_units, s = (double)sum->both[day][day];
    return (struct estimate){
        .value = n > 0 ? s / n : (double)NAN,
        .variance = s / n * ((n - s) / n) / n,
        .df = INFINITY,
    };
}

struct effect trend_day(const struct trend_sum *control,
                        const struct trend_sum *treatment, int day, double level,
                        enum alternative alternative)
{
    return effect_compare(share_of(control, day), share_of(treatment, day), level,
                          alternative);
}

static struct estimate slope_of(const struct trend_sum *sum, int n_days)
{
    const double middle = (n_days - 1) / 2.0, n = (double)sum->n_units;
    double squares = 0, by_share[TREND_MAX_DAYS] = {0};
    struct estimate slope = {.df = n - 1};
    for (int d = 0; d < n_days; d++) {
        squares += (d - middle) * (d - middle);
    }
    for (int d = 0; d < n_days; d++) {
        const double weight = (d - middle) / squares, share = share_of(sum, d).value;
        slope.value += weight * log(share);
        by_share[d] = weight / share;
        for (int e = 0; e <= d; e++) {
            slope.variance +=
                (e < d ? 2 : 1) * by_share[d] * by_share[e] * (double)sum->both[d][e];
        }
    }
    slope.variance = n > 1 ? fmax(slope.variance, 0) / (n - 1) / n : (double)NAN;
    return slope;
}

struct trend trend_test(const struct trend_sum *control,
                        const struct trend_sum *treatment, int n_days, double level,
                        enum alternative alternative)
{
    const struct estimate none = {NAN, NAN, NAN};
    struct trend r = {.n_days = n_days};
    r.slopes = n_days < 2
                   ? effect_compare(none, none, level, alternative)
                   : effect_compare(slope_of(control, n_days),
                                    slope_of(treatment, n_days), level, alternative);
    r.change = expm1(r.slopes.effect_size);
    return r;
}
