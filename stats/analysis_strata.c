/* analysis_strata.c - post-stratification: the effect within groups of units that were
 * known before, put together by the groups' sizes.
 *
 * Every segmentation is tried on every metric that is a mean of units, and each says
 * what variance it saved. Units that a segmentation does not know are a stratum of
 * their own. The arms of another experiment are no strata: nobody was in one before.
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/poststratification.h"

/* sums: (n + 1, n_arms), the units in no group last. */
static void add_up(const struct analysis_metric *metric, const struct unit_table *table,
                   const struct unit_metric *column,
                   const struct unit_segments *segments, int n_arms,
                   struct mean_sum *sums)
{
    for (int i = 0; i < (segments->n + 1) * n_arms; i++) {
        sums[i] = (struct mean_sum){0};
    }
    for (int i = 0; i < table->n_units; i++) {
        const int group = segments->group[i] < 0 ? segments->n : segments->group[i];
        mean_sum_add(&sums[group * n_arms + table->arm[i]],
                     analysis_x(metric, column, i));
    }
}

/* Strata without a unit are none. Returns how many there are. */
static size_t list_strata(const struct mean_sum *sums, int n, int n_arms, int arm,
                          struct stratum *strata)
{
    size_t n_strata = 0;
    for (int g = 0; g <= n; g++) {
        const struct mean_sum *control = &sums[g * n_arms],
                              *treatment = &sums[g * n_arms + arm];
        if (control->n_units + treatment->n_units > 0) {
            strata[n_strata++] =
                (struct stratum){.control = mean_sum_sample(control),
                                 .treatment = mean_sum_sample(treatment)};
        }
    }
    return n_strata;
}

static bool is_comparable(const struct stratum *strata, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strata[i].control.n_units > 1 && strata[i].treatment.n_units > 1) {
            return true;
        }
    }
    return false;
}

static int stratify(const struct experiment_result *result, struct contrast *contrast,
                    const struct unit_segments *segments, const struct mean_sum *sums,
                    struct stratum *strata, struct error *error)
{
    const double level = 1 - result->spec->alpha;
    const size_t n =
        list_strata(sums, segments->n, result->spec->n_arms, contrast->arm, strata);
    struct poststratification_result answer;
    if (!is_comparable(strata, n)) {
        return 0;
    }
    struct adjustment *to = &contrast->adjustments[contrast->n_adjustments];
    to->by = segments->name;
    to->finding = finding_none(NULL);
    if (poststratification_compare(strata, n, level, ALTERNATIVE_TWO_SIDED, &answer,
                                   error) != 0 ||
        finding_from_effect(answer.control, answer.treatment, level,
                            "post-stratification, z-test, two-sided", &to->finding,
                            error) != 0) {
        return -1;
    }
    to->variance_reduction = answer.variance_reduction;
    contrast->n_adjustments++;
    return 0;
}

static int stratify_metric(struct experiment_result *result,
                           const struct unit_table *table, int index,
                           const struct unit_segments *segments, struct error *error)
{
    const int n_arms = result->spec->n_arms;
    int rc = -1;
    struct mean_sum *sums =
        calloc((size_t)(segments->n + 1) * (size_t)n_arms, sizeof *sums);
    struct stratum *strata = calloc((size_t)segments->n + 1, sizeof *strata);
    if (!sums || !strata) {
        analysis_no_memory(result, error);
        goto out;
    }
    add_up(&result->spec->metrics[index], table, &table->metrics[index], segments,
           n_arms, sums);
    for (int a = 1; a < n_arms; a++) {
        if (stratify(result, &result->metrics[index].contrasts[a - 1], segments, sums,
                     strata, error) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(sums);
    free(strata);
    return rc;
}

int analysis_stratify(struct analysis *analysis, struct experiment_result *result,
                      const struct unit_table *table, struct error *error)
{
    for (int s = 0; s < table->n_segments; s++) {
        /* The report outlives the table, and names it. */
        struct unit_segments segments = table->segments[s];
        segments.name = arena_text(&analysis->arena, slice_of(segments.name));
        if (!segments.name) {
            return analysis_no_memory(result, error);
        }
        for (int m = 0; m < result->spec->n_metrics; m++) {
            const struct analysis_metric *metric = &result->spec->metrics[m];
            if (analysis_is_of_sums(metric) && metric->kind != ANALYSIS_RATIO &&
                !segments.is_experiment &&
                stratify_metric(result, table, m, &segments, error) != 0) {
                return -1;
            }
        }
    }
    return 0;
}
