/* analysis_trust_time.c - trust checks that look at when things happened and at how
 * much a unit did: novelty, bots, clocks.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/trend.h"

#define DAY_US        INT64_C(86400000000)
#define NOVELTY_LIMIT 0.01  /* p of the trend below which it is said */
#define SKEW_WARNING  0.001 /* share of feedback */
#define SKEW_FAILURE  0.1
#define BOT_WARNING   0.1 /* share of exposures by bot-like units */
#define BOT_EXPOSURES 100 /* exposures, and ... */
#define BOT_MULTIPLE  20  /* ... times the median: more of both is bot-like */

static int compare_counts(const void *a, const void *b)
{
    const uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static int check_bots(struct analysis *analysis, struct experiment_result *result,
                      const struct unit_table *table, struct error *error)
{
    struct check check = {"bot-like units", CHECK_OK, NULL, NAN, NULL};
    if (table->n_units == 0) {
        return 0;
    }
    uint32_t *counts = malloc((size_t)table->n_units * sizeof *counts);
    if (!counts) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < table->n_units; i++) {
        counts[i] = table->n_exposures[i];
    }
    qsort(counts, (size_t)table->n_units, sizeof *counts, compare_counts);
    const uint32_t median = counts[table->n_units / 2];
    const uint64_t limit = (uint64_t)median * BOT_MULTIPLE > BOT_EXPOSURES
                               ? (uint64_t)median * BOT_MULTIPLE
                               : BOT_EXPOSURES;
    int64_t n_bots = 0, n_theirs = 0, n_all = 0;
    for (int u = 0; u < table->n_units; u++) {
        n_all += counts[u];
        if (counts[u] > limit) {
            n_bots++;
            n_theirs += counts[u];
        }
    }
    free(counts);
    if (n_bots == 0) {
        return analysis_add_check(analysis, result, check,
                                  "no unit has more than %" PRIu64
                                  " exposures (%d, and %d times the median of %" PRIu32
                                  ")",
                                  limit, BOT_EXPOSURES, BOT_MULTIPLE, median);
    }
    const double share = (double)n_theirs / (double)n_all;
    check.status = share > BOT_WARNING ? CHECK_WARNING : CHECK_NOTE;
    return analysis_add_check(
        analysis, result, check,
        "%" PRId64 " units have more than %" PRIu64
        " exposures (%d, and %d times the median of %" PRIu32 "): %" PRId64
        " exposures, %.1f %% of all; they are counted like others%s",
        n_bots, limit, BOT_EXPOSURES, BOT_MULTIPLE, median, n_theirs, 100 * share,
        check.status == CHECK_WARNING
            ? ", so means and ratios hang on them (a cap bounds their weight)"
            : "");
}

static int check_clocks(struct analysis *analysis, struct experiment_result *result)
{
    const struct evidence *evidence = &analysis->evidence;
    struct check check = {"clocks", CHECK_OK, NULL, NAN, NULL};
    const double n_feedback = (double)evidence->n_feedback;
    if ((double)evidence->n_skewed > SKEW_FAILURE * n_feedback) {
        check.status = CHECK_FAILED;
    } else if ((double)evidence->n_skewed > SKEW_WARNING * n_feedback) {
        check.status = CHECK_WARNING;
    } else if (evidence->n_skewed) {
        check.status = CHECK_NOTE;
    }
    return analysis_add_check(analysis, result, check,
                              "%" PRId64
                              " feedback events answer a request but are dated before "
                              "their user's first exposure of all, and do not count%s",
                              evidence->n_skewed,
                              check.status == CHECK_OK || check.status == CHECK_NOTE
                                  ? ""
                                  : ": clocks disagree (warns above 0.1 %, fails above "
                                    "10 % of the feedback)");
}

/* How many days after the first exposure can be compared: inside the window, and past
 * for at least half of the units. */
static int choose_days(const struct experiment_result *result,
                       const struct unit_table *table)
{
    const struct analysis_metric *metric =
        &result->spec->metrics[result->spec->primary];
    int n_days = TREND_MAX_DAYS;
    if (metric->window_us > 0 && metric->window_us / DAY_US < n_days) {
        n_days = (int)(metric->window_us / DAY_US);
    }
    for (; n_days > 1; n_days--) {
        int64_t n = 0;
        for (int i = 0; i < table->n_units; i++) {
            n += table->first_ts_us[i] + n_days * DAY_US <= table->last_ts_us;
        }
        if (2 * n >= table->n_units) {
            return n_days;
        }
    }
    return 0;
}

static bool is_there_on_all(const struct unit_table *table, int unit, int n_days)
{
    return table->first_ts_us[unit] + n_days * DAY_US <= table->last_ts_us;
}

/* Each arm's units, where they were observed on all days. */
static void sum_days(const struct unit_table *table, const uint32_t *days, int n_days,
                     struct trend_sum *arms)
{
    for (int i = 0; i < table->n_units; i++) {
        if (is_there_on_all(table, i, n_days)) {
            trend_add(&arms[table->arm[i]], days[i]);
        }
    }
}

static int keep_days(struct analysis *analysis, const struct experiment_result *result,
                     const struct trend_sum *control, const struct trend_sum *treatment,
                     struct treatment_days *to)
{
    to->days = arena_zeroed(&analysis->arena, (size_t)to->n_days, sizeof *to->days);
    if (!to->days) {
        return -1;
    }
    to->n_units = (int64_t)(control->n_units + treatment->n_units);
    for (int d = 0; d < to->n_days; d++) {
        const struct effect effect = trend_day(
            control, treatment, d, 1 - result->spec->alpha, ALTERNATIVE_TWO_SIDED);
        to->days[d] =
            (struct day_effect){effect.effect_size, effect.ci_lower, effect.ci_upper};
    }
    return 0;
}

/* The treatment whose trend is the surest. */
struct surest {
    struct trend trend;
    int arm; /* 0: none could be tested */
    int n;   /* tested */
    int most_days;
};

static int compare_trends(struct analysis *analysis, struct experiment_result *result,
                          const struct trend_sum *arms, int n_all,
                          struct surest *surest)
{
    const struct analysis_experiment *spec = result->spec;
    for (int a = 1; a < spec->n_arms; a++) {
        struct treatment_days *to = &result->days[a - 1];
        const int n_days = trend_busy_days(&arms[0], &arms[a], n_all, TREND_MIN_EVENTS);
        surest->most_days = n_days > surest->most_days ? n_days : surest->most_days;
        if (n_days < 2) {
            continue;
        }
        to->n_days = n_days;
        if (keep_days(analysis, result, &arms[0], &arms[a], to) != 0) {
            return -1;
        }
        const struct trend trend = trend_test(&arms[0], &arms[a], n_days,
                                              1 - spec->alpha, ALTERNATIVE_TWO_SIDED);
        if (trend.slopes.is_testable) {
            if (surest->n++ == 0 ||
                trend.slopes.p_value < surest->trend.slopes.p_value) {
                surest->trend = trend;
                surest->arm = a;
            }
        }
    }
    return 0;
}

static int say_trend(struct analysis *analysis, struct experiment_result *result,
                     const struct surest *surest)
{
    struct check check = {"novelty and primacy", CHECK_OK, TREND_METHOD, NAN, NULL};
    char who[160] = "the ratio of the arms", corrected[48] = "";
    if (surest->most_days < 2) {
        return analysis_add_check(analysis, result, check,
                                  "no trend to see: units act on one day only, or the "
                                  "log is too short");
    }
    if (surest->n == 0) {
        return analysis_add_check(analysis, result, check,
                                  "the trend over %d days cannot be tested",
                                  surest->most_days);
    }
    if (result->spec->n_arms > 2) {
        snprintf(who, sizeof who, "the ratio of %.64s to %.64s",
                 result->spec->arms[surest->arm].name, result->spec->arms[0].name);
        snprintf(corrected, sizeof corrected, ", corrected for %d treatments",
                 surest->n);
    }
    check.p_value = fmin(1, surest->trend.slopes.p_value * surest->n);
    check.status = check.p_value < NOVELTY_LIMIT ? CHECK_NOTE : CHECK_OK;
    return analysis_add_check(
        analysis, result, check,
        "%s changes by %+.3g %% a day over the first %d days (p = %.3g%s)%s", who,
        100 * surest->trend.change, surest->trend.n_days, check.p_value, corrected,
        check.status == CHECK_OK ? "; no trend is shown"
                                 : ": what was measured may not be what stays");
}

static int check_novelty(struct analysis *analysis, struct experiment_result *result,
                         const struct unit_table *table, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct surest surest = {.arm = 0};
    int rc = -1;
    if (spec->primary < 0 || table->n_units == 0 || spec->n_arms < 2 ||
        !table->metrics[spec->primary].days) {
        return 0;
    }
    const int n_all = choose_days(result, table);
    struct trend_sum *arms = calloc((size_t)spec->n_arms, sizeof *arms);
    result->days =
        arena_zeroed(&analysis->arena, (size_t)spec->n_arms - 1, sizeof *result->days);
    if (!arms || !result->days) {
        analysis_no_memory(result, error);
        goto out;
    }
    sum_days(table, table->metrics[spec->primary].days, n_all, arms);
    if (compare_trends(analysis, result, arms, n_all, &surest) != 0) {
        analysis_no_memory(result, error);
        goto out;
    }
    rc = say_trend(analysis, result, &surest);

out:
    free(arms);
    return rc;
}

int analysis_trust_time(struct analysis *analysis, struct experiment_result *result,
                        const struct unit_table *table, struct error *error)
{
    if (check_novelty(analysis, result, table, error) != 0 ||
        check_bots(analysis, result, table, error) != 0 ||
        check_clocks(analysis, result) != 0) {
        if (error && error->code == ERROR_NONE) {
            analysis_no_memory(result, error); /* for a sentence */
        }
        return -1;
    }
    return 0;
}
