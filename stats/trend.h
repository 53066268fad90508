/* trend.h - does an effect wear off or grow, day by day since a unit's first exposure?
 *
 * On each day d a unit acts or not; s_d is the share of an arm's units that do. The
 * arm's slope is the least-squares line through ln(s_d),
 *     b = sum_d w_d ln(s_d),   w_d = (d - middle) / sum_e (e - middle)^2,
 * and what is tested is the difference of the arms' slopes: exp(b_t - b_c) - 1 is how
 * much the ratio of the arms changes a day. With C_de the units that acted on both of
 * two days, the delta method gives
 *     var b = sum_de (w_d / s_d) (w_e / s_e) C_de / (n (n - 1)):
 * a unit is its own cluster, its days may be correlated. (The units' contributions
 * sum_d w_d x_d / s_d have mean sum_d w_d = 0, so nothing is subtracted.) Test and
 * interval: effect.h. Source: least squares and the delta method (Deng, Knoblich & Lu,
 * KDD 2018, 3); for what a trend means, Kohavi, Tang & Xu, Trustworthy Online
 * Controlled Experiments (2020), chapter 23.
 *
 * Wrong where units were not observed on all the days (leave them out), and where a day
 * has few events: days from the first on which an arm has fewer than `min_events` are
 * not used.
 */
#ifndef STATS_TREND_H
#define STATS_TREND_H

#include <stdint.h>

#include "stats/effect.h"

#define TREND_METHOD                                                                   \
    "delta method on the trend of ln(treatment / control) over days since first "      \
    "exposure"
#define TREND_MAX_DAYS   14
#define TREND_MIN_EVENTS 20 /* what reports ask of a day */

/* One arm's units. All zeros is the empty one; sums of parts may be added up. */
struct trend_sum {
    uint64_t n_units;
    /* (d, e), e <= d: units that acted on both; (d, d) on d. Days counted from 0. */
    uint64_t both[TREND_MAX_DAYS][TREND_MAX_DAYS];
};

struct trend {
    int n_days;           /* used; below 2 nothing can be said */
    struct effect slopes; /* of ln(share) a day; not testable below 2 days */
    double change;        /* of treatment / control a day, exp(b_t - b_c) - 1 */
};

/* Adds a unit that acted on day d if bit d of `days` is set; bits from TREND_MAX_DAYS
 * on do not count. */
void trend_add(struct trend_sum *sum, uint32_t days);

/* The first days, of `n_days`, on which both arms have at least min_events events. */
int trend_busy_days(const struct trend_sum *control, const struct trend_sum *treatment,
                    int n_days, uint64_t min_events);

/* Effect on the share of day d in [0, TREND_MAX_DAYS): as effect.h. */
struct effect trend_day(const struct trend_sum *control,
                        const struct trend_sum *treatment, int day, double level,
                        enum alternative alternative);

/* The trend over the first n_days days in [0, TREND_MAX_DAYS], on each of which both
 * arms must have an event. Never fails. */
struct trend trend_test(const struct trend_sum *control,
                        const struct trend_sum *treatment, int n_days, double level,
                        enum alternative alternative);

#endif
