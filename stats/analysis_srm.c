/* analysis_srm.c - do the arms hold the shares that were configured? Asked of all
 * units, of each day's, of each segment's, and in a way that may be asked at any time.
 *
 * A unit is expected in the arms by the weights of the config under which it was first
 * exposed, so that a ramp is no mismatch.
 *
 * The chi-square test is for one look: asked daily it raises a false alarm in 1.5 % of
 * 100-day experiments. Where the config says that the experiment is looked at while it
 * runs, it only warns, and the always-valid test decides. That one is the smallest
 * 1/B so far, day by day, B the Bayes factor of srm.h averaged over concentrations: a
 * tight prior finds a mismatch of a few per cent among many units, a wide one a gross
 * one among few. Averages of such factors, and products over configs with other
 * weights, are again valid.
 *
 * Days and segments are tested exactly, for they may hold few units, and corrected
 * (Bonferroni) for their number. So many more questions would raise more false alarms;
 * they withhold the verdict only below a limit ten times stricter.
 */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/number_text.h"
#include "stats/srm.h"
#include "stats/tail.h"

#define DAY_US         INT64_C(86400000000)
#define MAX_STEPS      1000 /* of time; longer spans are cut into wider ones */
#define MIN_CELL_UNITS 10   /* of a day or group that is tested */
#define STRICT_LIMIT   (SRM_DEFAULT_LIMIT / 10)
#define EXACT_METHOD   "exact binomial test against the configured weights, Bonferroni"

/* Units by arm, and how many the weights promise. */
struct cell {
    uint64_t counts[SRM_MAX_ARMS];
    double expected[SRM_MAX_ARMS];
    double n_units;
};

static int n_arms_of(const struct analysis_experiment *spec)
{
    return spec->n_arms < SRM_MAX_ARMS ? spec->n_arms : SRM_MAX_ARMS;
}

static double weight_of(const struct analysis_experiment *spec, int config, int arm)
{
    return config < 0 ? spec->arms[arm].weight : spec->weights[config].weights[arm];
}

static void add_unit(const struct analysis_experiment *spec,
                     const struct unit_table *table, int unit, struct cell *cell)
{
    const int w = table->config[unit];
    cell->n_units++;
    if (table->arm[unit] < SRM_MAX_ARMS) {
        cell->counts[table->arm[unit]]++;
    }
    for (int a = 0; a < n_arms_of(spec); a++) {
        cell->expected[a] += weight_of(spec, w, a);
    }
}

/* Takes out the arms that no config gave any weight; their number of units must be 0.
 * Returns the number of arms left; -1 when there is a unit that nothing explains. */
static int squeeze(const struct cell *cell, int n_arms, struct cell *to, int *arms)
{
    int n = 0;
    *to = (struct cell){.n_units = cell->n_units};
    for (int a = 0; a < n_arms; a++) {
        if (cell->expected[a] > 0) {
            to->counts[n] = cell->counts[a];
            to->expected[n] = cell->expected[a];
            arms[n++] = a;
        } else if (cell->counts[a] > 0) {
            return -1;
        }
    }
    return n;
}

static bool is_looked_at(const struct analysis_experiment *spec)
{
    return spec->sequential || spec->has_spending;
}

static int check_all(struct analysis *analysis, struct experiment_result *result,
                     const struct cell *all, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct check check = {"sample ratio", CHECK_OK,
                          "chi-square test against the configured weights", NAN, NULL};
    struct srm_result srm;
    struct cell cell;
    int arms[SRM_MAX_ARMS];
    const int n = squeeze(all, n_arms_of(spec), &cell, arms);
    if (n < 0) {
        check.status = CHECK_FAILED;
        return analysis_add_check(analysis, result, check,
                                  "an arm has units that no config gave any weight");
    }
    if (cell.n_units == 0 || n < 2) {
        check.status = CHECK_NOTE;
        return analysis_add_check(analysis, result, check, "%s",
                                  cell.n_units == 0
                                      ? "nobody has been exposed yet"
                                      : "only one arm had any weight so far");
    }
    if (srm_test(cell.counts, cell.expected, n, SRM_DEFAULT_LIMIT, &srm, error) != 0) {
        return -1;
    }
    check.p_value = srm.p_value;
    if (srm.is_mismatch) {
        check.status = is_looked_at(spec) ? CHECK_WARNING : CHECK_FAILED;
        return analysis_add_check(
            analysis, result, check,
            "arm %s has %" PRIu64 " units where its weight promises %.1f (chi-square "
            "%.4g, p = %.3g, limit %g): units were lost, doubled or assigned wrongly%s",
            spec->arms[arms[srm.worst_arm]].name, cell.counts[srm.worst_arm],
            srm.worst_expected, srm.statistic, srm.p_value, SRM_DEFAULT_LIMIT,
            is_looked_at(spec) ? ", or this was looked at often: the always-valid "
                                 "test decides"
                               : "");
    }
    return analysis_add_check(
        analysis, result, check,
        "arms hold the shares that were configured (chi-square %.4g, "
        "p = %.3g, limit %g)%s",
        srm.statistic, srm.p_value, SRM_DEFAULT_LIMIT,
        srm.is_approximate_ok ? "" : "; too few units for this to mean much");
}

/* ---- at every look ---- */

/* ln of the Bayes factor, averaged over concentrations, of units counted apart for each
 * regime they came under. */
static int log_factor(const struct analysis_experiment *spec, const struct cell *cells,
                      int n_cells, double *log_mean, struct error *error)
{
    static const double concentrations[] = {10, 100, 1000, SRM_CONCENTRATION};
    enum { N = sizeof concentrations / sizeof concentrations[0] };
    double sums[N] = {0}, largest = -INFINITY, total = 0;
    for (int c = 0; c < n_cells; c++) {
        struct cell cell;
        int arms[SRM_MAX_ARMS];
        const int n = squeeze(&cells[c], n_arms_of(spec), &cell, arms);
        for (int i = 0; i < N && n >= 2 && cell.n_units > 0; i++) {
            struct srm_result srm;
            if (srm_sequential(cell.counts, cell.expected, n, concentrations[i],
                               SRM_DEFAULT_LIMIT, &srm, error) != 0) {
                return -1;
            }
            sums[i] += srm.statistic;
        }
    }
    for (int i = 0; i < N; i++) {
        largest = fmax(largest, sums[i]);
    }
    for (int i = 0; i < N; i++) {
        total += exp(sums[i] - largest) / N;
    }
    *log_mean = largest + log(total);
    return 0;
}

/* Units by step of time and by regime: configs that give the arms the same weights. */
struct calendar {
    struct cell *cells; /* (n_steps, n_regimes) */
    int *regime;        /* (n_weights + 1) of each config; the first: of none logged */
    int n_steps, n_regimes;
    int64_t step_us;
};

static bool is_same_regime(const struct analysis_experiment *spec, int a, int b)
{
    for (int arm = 0; arm < spec->n_arms; arm++) {
        if (weight_of(spec, a, arm) != weight_of(spec, b, arm)) {
            return false;
        }
    }
    return true;
}

static int find_regimes(const struct experiment_result *result,
                        struct calendar *calendar, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    calendar->regime = calloc((size_t)spec->n_weights + 1, sizeof *calendar->regime);
    if (!calendar->regime) {
        analysis_no_memory(result, error);
        return -1;
    }
    for (int w = -1; w < spec->n_weights; w++) {
        int same = -1;
        while (same < w && !is_same_regime(spec, same, w)) {
            same++;
        }
        calendar->regime[w + 1] =
            same < w ? calendar->regime[same + 1] : calendar->n_regimes++;
    }
    return 0;
}

static int fill_calendar(const struct experiment_result *result,
                         const struct unit_table *table, struct calendar *calendar,
                         struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    int64_t last = table->first_ts_us_min;
    if (find_regimes(result, calendar, error) != 0) {
        return -1;
    }
    calendar->step_us =
        result->series_step_us < DAY_US ? result->series_step_us : DAY_US;
    for (int i = 0; i < table->n_units; i++) {
        last = table->first_ts_us[i] > last ? table->first_ts_us[i] : last;
    }
    const int64_t first = table->first_ts_us_min / calendar->step_us;
    if (last / calendar->step_us - first >= MAX_STEPS) {
        calendar->step_us = result->series_step_us;
    }
    const int64_t start = table->first_ts_us_min / calendar->step_us;
    calendar->n_steps = (int)(last / calendar->step_us - start) + 1;
    calendar->cells =
        calloc((size_t)calendar->n_steps * (size_t)calendar->n_regimes + 1,
               sizeof *calendar->cells);
    if (!calendar->cells) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < table->n_units; i++) {
        const int64_t step = table->first_ts_us[i] / calendar->step_us - start;
        const int64_t at =
            step * calendar->n_regimes + calendar->regime[table->config[i] + 1];
        add_unit(spec, table, i, &calendar->cells[at]);
    }
    return 0;
}

static void add_cell(const struct cell *from, int n_arms, struct cell *to)
{
    to->n_units += from->n_units;
    for (int a = 0; a < n_arms; a++) {
        to->counts[a] += from->counts[a];
        to->expected[a] += from->expected[a];
    }
}

static int check_always(struct analysis *analysis, struct experiment_result *result,
                        const struct calendar *calendar, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct check check = {"sample ratio at every look", CHECK_OK,
                          "always-valid sample ratio test, smallest p so far", NAN,
                          NULL};
    double most = 0;
    int rc = -1;
    struct cell *so_far = calloc((size_t)calendar->n_regimes + 1, sizeof *so_far);
    if (!so_far) {
        return analysis_no_memory(result, error);
    }
    for (int step = 0; step < calendar->n_steps; step++) {
        double now = 0;
        for (int c = 0; c < calendar->n_regimes; c++) {
            add_cell(&calendar->cells[step * calendar->n_regimes + c], n_arms_of(spec),
                     &so_far[c]);
        }
        if (log_factor(spec, so_far, calendar->n_regimes, &now, error) != 0) {
            goto out;
        }
        most = fmax(most, now);
    }
    check.p_value = tail_p_from_log(-most).p_value;
    if (check.p_value < SRM_DEFAULT_LIMIT) {
        check.status = CHECK_FAILED;
    }
    rc = analysis_add_check(
        analysis, result, check,
        check.status == CHECK_OK
            ? "no mismatch at any time so far (always-valid p = %.3g, limit %g)"
            : "units and weights do not agree (always-valid p = %.3g, limit %g): "
              "units were lost, doubled or assigned wrongly",
        check.p_value, SRM_DEFAULT_LIMIT);

out:
    free(so_far);
    return rc;
}

/* ---- days and segments ---- */

/* The exact p of one cell; NAN when there is nothing to test. */
static int test_cell(const struct analysis_experiment *spec, const struct cell *from,
                     double *p, struct error *error)
{
    struct cell cell;
    int arms[SRM_MAX_ARMS];
    const int n = squeeze(from, n_arms_of(spec), &cell, arms);
    *p = NAN;
    if (n < 0) {
        *p = 0;
    } else if (n >= 2 && cell.n_units >= MIN_CELL_UNITS) {
        struct tail_p exact;
        if (srm_exact(cell.counts, cell.expected, n, &exact, error) != 0) {
            return -1;
        }
        *p = exact.p_value;
    }
    return 0;
}

/* The worst of many cells. */
struct worst {
    double p; /* the smallest */
    int at;   /* cell */
    int n;    /* tested */
};

static void consider(struct worst *worst, double p, int at)
{
    if (!isnan(p)) {
        if (worst->n++ == 0 || p < worst->p) {
            worst->p = p;
            worst->at = at;
        }
    }
}

static int add_worst(struct analysis *analysis, struct experiment_result *result,
                     const struct worst *worst, const char *name, const char *what,
                     const char *where)
{
    struct check check = {name, CHECK_OK, EXACT_METHOD, NAN, NULL};
    if (worst->n == 0) {
        return 0;
    }
    check.p_value = fmin(1, worst->p * worst->n);
    check.status = check.p_value < STRICT_LIMIT        ? CHECK_FAILED
                   : check.p_value < SRM_DEFAULT_LIMIT ? CHECK_WARNING
                                                       : CHECK_OK;
    if (check.status == CHECK_OK) {
        return analysis_add_check(analysis, result, check,
                                  "%d %s tested, each as configured (smallest "
                                  "corrected p = %.3g)",
                                  worst->n, what, check.p_value);
    }
    return analysis_add_check(
        analysis, result, check,
        "of %d %s %s is far from the configured weights (corrected p = %.3g; warns "
        "below %g, fails below %g): assignment or logging is broken there",
        worst->n, what, where, check.p_value, SRM_DEFAULT_LIMIT, STRICT_LIMIT);
}

static int check_days(struct analysis *analysis, struct experiment_result *result,
                      const struct calendar *calendar, int64_t first_us,
                      struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct worst worst = {0};
    for (int step = 0; step < calendar->n_steps; step++) {
        struct cell cell = {.n_units = 0};
        double p = NAN;
        for (int c = 0; c < calendar->n_regimes; c++) {
            add_cell(&calendar->cells[step * calendar->n_regimes + c], n_arms_of(spec),
                     &cell);
        }
        if (test_cell(spec, &cell, &p, error) != 0) {
            return -1;
        }
        consider(&worst, p, step);
    }
    const int64_t at_us = (first_us / calendar->step_us + worst.at) * calendar->step_us;
    char time[NUMBER_TEXT_SIZE], where[NUMBER_TEXT_SIZE + 16];
    number_text_time(at_us, time);
    snprintf(where, sizeof where, "the one from %s", time);
    return add_worst(analysis, result, &worst, "sample ratio over time",
                     calendar->step_us == DAY_US ? "days" : "steps of time", where);
}

static int check_segments(struct analysis *analysis, struct experiment_result *result,
                          const struct unit_table *table, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    struct worst worst = {0};
    char where[160] = "";
    for (int s = 0; s < table->n_segments; s++) {
        const struct unit_segments *segments = &table->segments[s];
        struct cell *cells = calloc((size_t)segments->n + 1, sizeof *cells);
        int rc = 0;
        if (!cells) {
            return analysis_no_memory(result, error);
        }
        for (int i = 0; i < table->n_units; i++) {
            if (segments->group[i] >= 0) {
                add_unit(spec, table, i, &cells[segments->group[i]]);
            }
        }
        for (int g = 0; rc == 0 && g < segments->n; g++) {
            const double before = worst.n ? worst.p : 2;
            double p = NAN;
            rc = test_cell(spec, &cells[g], &p, error);
            if (s < result->n_segmentations) {
                result->segmentations[s].groups[g].srm_p = p;
            }
            consider(&worst, p, g);
            if (worst.n && worst.p < before) {
                snprintf(where, sizeof where, "%.60s = %.60s", segments->name,
                         segments->groups[g]);
            }
        }
        free(cells);
        if (rc != 0) {
            return -1;
        }
    }
    return add_worst(analysis, result, &worst, "sample ratio by segment",
                     "groups of users", where);
}

/* From sums alone. */
static struct cell cell_of_sums(const struct experiment_result *result)
{
    struct cell cell = {.n_units = (double)result->n_units};
    for (int a = 0; a < n_arms_of(result->spec); a++) {
        cell.counts[a] = (uint64_t)result->arm_units[a];
        cell.expected[a] = result->arm_expected[a];
    }
    return cell;
}

int analysis_sample_ratio(struct analysis *analysis, struct experiment_result *result,
                          const struct unit_table *table, struct error *error)
{
    struct calendar calendar = {0};
    const struct cell all = cell_of_sums(result);
    int rc = -1;
    if (check_all(analysis, result, &all, error) != 0) {
        goto out;
    }
    if (!table || table->n_units == 0 || result->n_series == 0) {
        return 0;
    }
    if (fill_calendar(result, table, &calendar, error) != 0 ||
        check_always(analysis, result, &calendar, error) != 0 ||
        check_days(analysis, result, &calendar, table->first_ts_us_min, error) != 0 ||
        check_segments(analysis, result, table, error) != 0) {
        goto out;
    }
    rc = 0;

out:
    free(calendar.cells);
    free(calendar.regime);
    if (rc != 0 && error && error->code == ERROR_NONE) {
        analysis_no_memory(result, error); /* for a sentence */
    }
    return rc;
}
