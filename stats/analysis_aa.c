/* analysis_aa.c - control against itself: does the machinery find what is not there?
 *
 * Control's units are split in two at random, again and again, and compared by the same
 * test as the experiment. With p < alpha in a share alpha of the splits and p-values
 * spread evenly, the test may be believed on this very data, with its ties, bots and
 * heavy tails. The evenness is that of uniformity.h.
 *
 * Sums of few events take few values: 26 successes among very many units part so that
 * p < 0.05 in 7.6 % of the splits, 30 in 4.3 %, and neither says anything of the test,
 * which is right over experiments. So each
 * statistic is first smeared over one step of the sums (the largest number of which all
 * values are multiples), which changes the variance of a rate's z by less than 1 in
 * 24 n p q; what is judged is the share, and the evenness, of those.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "common/rng.h"
#include "stats/analysis_parts.h"
#include "stats/proportion_interval.h"
#include "stats/tail.h"
#include "stats/uniformity.h"

#define KS_LIMIT 0.001

/* The units of control: their values in the table's order. */
struct control {
    double *x, *y;
    double step; /* of sums of x; 0: too fine to matter */
    int n;
};

#define STEP_ROUNDING 1e-9 /* of the largest value: closer multiples are the same */
#define STEP_FINEST   1e-6 /* of the largest value: finer steps are none */

/* The largest number of which all values are multiples, by Euclid's algorithm. */
static double step_of(const double *values, int n)
{
    double step = 0, largest = 0;
    for (int i = 0; i < n; i++) {
        double a = step, b = fabs(values[i]);
        largest = fmax(largest, b);
        while (b > STEP_ROUNDING * largest) {
            const double rest = fmod(a, b);
            a = b;
            b = b - rest <= STEP_ROUNDING * largest ? 0 : rest;
        }
        step = a;
        if (largest > 0 && step < STEP_FINEST * largest) {
            return 0;
        }
    }
    return step;
}

static int gather(const struct experiment_result *result,
                  const struct unit_table *table, struct control *control)
{
    const struct analysis_metric *metric =
        &result->spec->metrics[result->spec->primary];
    const struct unit_metric *column = &table->metrics[result->spec->primary];
    control->x = malloc(((size_t)table->n_units + 1) * sizeof(double));
    control->y = malloc(((size_t)table->n_units + 1) * sizeof(double));
    if (!control->x || !control->y) {
        return -1;
    }
    for (int i = 0; i < table->n_units; i++) {
        if (table->arm[i] == 0) {
            control->x[control->n] = analysis_x(metric, column, i);
            control->y[control->n++] = analysis_y(column, i);
        }
    }
    control->step = step_of(control->x, control->n);
    return 0;
}

/* The p-value of a statistic that is moved within one step of the sums. */
static double smear(const struct finding *finding, const struct metric_arm arms[2],
                    double step, struct rng *rng)
{
    const double n = (double)arms[0].sum.n_units, m = (double)arms[1].sum.n_units;
    const double width =
        step * (1 / (n * arms[0].sum.mean_y) + 1 / (m * arms[1].sum.mean_y));
    const double statistic =
        finding->statistic + (rng_uniform(rng) - 0.5) * width / finding->standard_error;
    return isnan(finding->df)
               ? tail_p_normal(statistic, ALTERNATIVE_TWO_SIDED).p_value
               : tail_p_student(statistic, finding->df, ALTERNATIVE_TWO_SIDED).p_value;
}

/* The p-value of one split; NAN when not testable. *smeared is the one to judge by. */
static double split(const struct experiment_result *result,
                    const struct control *control, uint64_t seed, uint64_t stream,
                    double *smeared)
{
    const struct analysis_experiment *spec = result->spec;
    const enum analysis_kind kind = spec->metrics[spec->primary].kind;
    struct metric_arm arms[2] = {0};
    struct finding finding;
    struct rng rng;
    rng_init(&rng, seed, stream);
    for (int i = 0; i < control->n; i += 64) {
        uint64_t coins = rng_next(&rng);
        const int end = i + 64 < control->n ? i + 64 : control->n;
        for (int j = i; j < end; j++, coins >>= 1) {
            ratio_sum_add(&arms[coins & 1].sum, control->x[j], control->y[j]);
        }
    }
    for (int a = 0; a < 2; a++) {
        arms[a].estimate = analysis_estimate(kind, &arms[a].sum);
    }
    if (analysis_compare(kind, 1 - spec->alpha, &arms[0], &arms[1], &finding, NULL) !=
            0 ||
        !finding.is_testable) {
        return NAN;
    }
    *smeared = control->step > 0 ? smear(&finding, arms, control->step, &rng)
                                 : finding.p_value;
    return finding.p_value;
}

/* The limits of the check are wider than the interval shown, which leaves alpha out one
 * time in twenty: 1 in 1,000 for the rate, and for the evenness. A test that finds too
 * little is no danger to a verdict; one whose p-values crowd below some value, as when
 * one unit outweighs all others, is not to be believed even where few are below alpha.
 */
static enum check_status judge(const struct analysis_experiment *spec,
                               const struct aa_result *aa, bool is_small,
                               const char **why)
{
    const struct proportion_sample sample = {(uint64_t)aa->n_smeared,
                                             (uint64_t)aa->n_splits};
    const struct interval wide =
        proportion_wilson(&sample, tail_normal_critical(0.999, ALTERNATIVE_TWO_SIDED));
    const bool is_uneven = aa->ks_p < KS_LIMIT;
    *why = "";
    if (wide.lower > spec->alpha) {
        *why = ": the test finds what is not there, too few units or too heavy tails "
               "for it";
        return CHECK_FAILED;
    }
    if (is_uneven && is_small) {
        *why = ": they crowd where they should not, too few units or too heavy tails "
               "for the test (a cap bounds the weight of a unit)";
        return CHECK_FAILED;
    }
    if (wide.upper < spec->alpha || is_uneven) {
        *why = ": the test is too careful on this data";
        return CHECK_WARNING;
    }
    return CHECK_OK;
}

static int add_check(struct analysis *analysis, struct experiment_result *result,
                     enum check_status status, const char *why)
{
    const struct aa_result *aa = &result->aa;
    const struct check check = {
        "A/A self-check", status,
        "control split at random, Wilson score and Kolmogorov-Smirnov", aa->ks_p, NULL};
    char smeared[96] = "";
    if (aa->n_smeared != aa->n_rejected) {
        snprintf(smeared, sizeof smeared,
                 ", %.2f %% with the steps of sums of few events evened out",
                 100.0 * aa->n_smeared / aa->n_splits);
    }
    return analysis_add_check(
        analysis, result, check,
        "control against itself, %d times: p < %g in %.2f %% (95 %% interval %.2f to "
        "%.2f %%%s), p-values uniform with p = %.3g%s",
        aa->n_splits, result->spec->alpha, 100 * aa->rate, 100 * aa->ci_lower,
        100 * aa->ci_upper, smeared, aa->ks_p, why);
}

static int conclude(struct analysis *analysis, struct experiment_result *result,
                    double *p, struct aa_result *aa, struct error *error)
{
    const struct proportion_sample sample = {(uint64_t)aa->n_rejected,
                                             (uint64_t)aa->n_splits};
    const struct interval wilson =
        proportion_wilson(&sample, tail_normal_critical(0.95, ALTERNATIVE_TWO_SIDED));
    struct uniformity even;
    if (uniformity_test(p, (uint64_t)aa->n_splits, &even, error) != 0) {
        return -1;
    }
    /* The small side is what would raise false alarms. */
    const bool is_small = even.above >= even.below;
    aa->ks_statistic = even.statistic;
    aa->ks_p = even.p_value;
    aa->rate = (double)aa->n_rejected / aa->n_splits;
    aa->ci_lower = wilson.lower;
    aa->ci_upper = wilson.upper;
    const char *why = NULL;
    const enum check_status status = judge(result->spec, aa, is_small, &why);
    aa->is_sound = status == CHECK_OK;
    result->aa = *aa;
    if (add_check(analysis, result, status, why) != 0) {
        return analysis_no_memory(result, error);
    }
    return analysis_decide(analysis, result, error); /* again, with one check more */
}

static int cannot(struct analysis *analysis, struct experiment_result *result,
                  const char *why, struct error *error)
{
    const struct check check = {"A/A self-check", CHECK_NOTE, NULL, NAN, NULL};
    return analysis_add_check(analysis, result, check, "control cannot be split: %s",
                              why) == 0
               ? 0
               : analysis_no_memory(result, error);
}

int analysis_aa(struct analysis *analysis, int index, const struct unit_table *table,
                int n_splits, uint64_t seed, struct error *error)
{
    struct experiment_result *result = &analysis->experiments[index];
    const struct analysis_experiment *spec = result->spec;
    struct control control = {0};
    struct aa_result aa = {0};
    int rc = -1;
    result->aa = aa;
    if (spec->primary < 0 || !analysis_is_of_sums(&spec->metrics[spec->primary])) {
        return cannot(analysis, result,
                      spec->primary < 0 ? "there is no primary metric"
                                        : "the primary metric is a quantile or a "
                                          "trimmed mean",
                      error);
    }
    double *p = calloc((size_t)n_splits + 1, sizeof *p);
    if (!p || gather(result, table, &control) != 0) {
        analysis_no_memory(result, error);
        goto out;
    }
    for (int s = 0; s < n_splits; s++) {
        double smeared = 1;
        const double value = split(result, &control, seed, (uint64_t)s, &smeared);
        if (!isnan(value)) {
            aa.n_rejected += value < spec->alpha;
            aa.n_smeared += smeared < spec->alpha;
            p[aa.n_splits++] = smeared;
        }
    }
    rc = aa.n_splits > 0
             ? conclude(analysis, result, p, &aa, error)
             : cannot(analysis, result, "its values do not vary, or there are too few",
                      error);

out:
    free(control.x);
    free(control.y);
    free(p);
    return rc;
}
