/* analysis_segment.c - the primary metric by groups of units.
 *
 * Groups must have been known before the experiment: to split by what happened in it is
 * to compare units that the treatment itself has chosen. Each group's p-value is
 * corrected for the number of groups, and one test asks whether the effect differs
 * between groups at all (Cochran's Q over the groups' effects).
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/multiple.h"
#include "stats/tail.h"

#define MIN_GROUP_UNITS 2 /* in each arm, to be compared */

static int make_group(struct analysis *analysis, const struct analysis_experiment *spec,
                      struct segment_result *group)
{
    const size_t n = (size_t)spec->n_arms;
    group->arm_units = arena_zeroed(&analysis->arena, n, sizeof(int64_t));
    group->arm_value = arena_zeroed(&analysis->arena, n, sizeof(double));
    group->findings = arena_zeroed(&analysis->arena, n, sizeof *group->findings);
    group->p_adjusted = arena_zeroed(&analysis->arena, n, sizeof(double));
    return group->arm_units && group->arm_value && group->findings && group->p_adjusted
               ? 0
               : -1;
}

/* sums: (n_groups, n_arms) */
static int compare_group(const struct analysis_experiment *spec,
                         const struct ratio_sum *sums, struct segment_result *group,
                         struct error *error)
{
    const struct analysis_metric *metric = &spec->metrics[spec->primary];
    for (int a = 0; a < spec->n_arms; a++) {
        group->arm_units[a] = (int64_t)sums[a].n_units;
        group->arm_value[a] = analysis_estimate(metric->kind, &sums[a]).value;
    }
    for (int a = 1; a < spec->n_arms; a++) {
        const struct metric_arm control = {
            .sum = sums[0], .estimate = analysis_estimate(metric->kind, &sums[0])};
        const struct metric_arm treatment = {
            .sum = sums[a], .estimate = analysis_estimate(metric->kind, &sums[a])};
        if (sums[0].n_units < MIN_GROUP_UNITS || sums[a].n_units < MIN_GROUP_UNITS) {
            group->findings[a - 1] = finding_none("too few units in this group");
        } else if (analysis_compare(metric->kind, 1 - spec->alpha, &control, &treatment,
                                    &group->findings[a - 1], error) != 0) {
            return -1;
        }
    }
    group->srm_p = NAN; /* analysis_srm.c tells it */
    return 0;
}

/* Do the groups' effects of the first treatment differ by more than chance? */
static double test_interaction(const struct segmentation *segmentation)
{
    double weights = 0, sum = 0, q = 0;
    int n = 0;
    for (int g = 0; g < segmentation->n_groups; g++) {
        const struct finding *finding = &segmentation->groups[g].findings[0];
        if (finding->is_testable && finding->standard_error > 0) {
            const double w = 1 / (finding->standard_error * finding->standard_error);
            weights += w;
            sum += w * finding->effect_size;
            n++;
        }
    }
    if (n < 2) {
        return NAN;
    }
    for (int g = 0; g < segmentation->n_groups; g++) {
        const struct finding *finding = &segmentation->groups[g].findings[0];
        if (finding->is_testable && finding->standard_error > 0) {
            const double z =
                (finding->effect_size - sum / weights) / finding->standard_error;
            q += z * z;
        }
    }
    return tail_p_chi_square(q, n - 1).p_value;
}

static int correct_groups(const struct analysis_experiment *spec,
                          struct segmentation *segmentation, struct error *error)
{
    const size_t n = (size_t)segmentation->n_groups * (size_t)(spec->n_arms - 1);
    double *p = calloc(n + 1, sizeof *p);
    if (!p) {
        error_set(error, ERROR_NOMEM, "no memory for the groups of %s",
                  segmentation->name);
        return -1;
    }
    size_t at = 0;
    for (int g = 0; g < segmentation->n_groups; g++) {
        for (int a = 1; a < spec->n_arms; a++) {
            p[at++] = segmentation->groups[g].findings[a - 1].p_value;
        }
    }
    const int rc = multiple_adjust(p, n, CORRECTION_HOLM, p, error);
    at = 0;
    for (int g = 0; g < segmentation->n_groups; g++) {
        for (int a = 1; a < spec->n_arms; a++) {
            segmentation->groups[g].p_adjusted[a - 1] = p[at++];
        }
    }
    segmentation->adjustment = correction_name(CORRECTION_HOLM);
    free(p);
    return rc;
}

static int segment(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, const struct unit_segments *from,
                   struct segmentation *to, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const struct analysis_metric *metric = &spec->metrics[spec->primary];
    const struct unit_metric *column = &table->metrics[spec->primary];
    int rc = -1;
    struct ratio_sum *sums =
        calloc((size_t)from->n * (size_t)spec->n_arms + 1, sizeof *sums);
    to->name = arena_text(&analysis->arena, slice_of(from->name));
    to->groups = arena_zeroed(&analysis->arena, (size_t)from->n, sizeof *to->groups);
    if (!sums || !to->name || !to->groups) {
        analysis_no_memory(result, error);
        goto out;
    }
    to->n_groups = from->n;
    for (int i = 0; i < table->n_units; i++) {
        if (from->group[i] >= 0) {
            ratio_sum_add(&sums[from->group[i] * spec->n_arms + table->arm[i]],
                          analysis_x(metric, column, i), analysis_y(column, i));
        }
    }
    for (int g = 0; g < from->n; g++) {
        struct segment_result *group = &to->groups[g];
        group->group = arena_text(&analysis->arena, slice_of(from->groups[g]));
        if (!group->group || make_group(analysis, spec, group) != 0) {
            analysis_no_memory(result, error);
            goto out;
        }
        if (compare_group(spec, &sums[g * spec->n_arms], group, error) != 0) {
            goto out;
        }
    }
    to->interaction_p = test_interaction(to);
    rc = correct_groups(spec, to, error);

out:
    free(sums);
    return rc;
}

int analysis_segments(struct analysis *analysis, struct experiment_result *result,
                      const struct unit_table *table, struct error *error)
{
    const int primary = result->spec->primary;
    if (table->n_segments == 0 || primary < 0 || result->spec->n_arms < 2 ||
        result->spec->metrics[primary].kind == ANALYSIS_QUANTILE) {
        return 0;
    }
    result->segmentations = arena_zeroed(&analysis->arena, (size_t)table->n_segments,
                                         sizeof *result->segmentations);
    if (!result->segmentations) {
        return analysis_no_memory(result, error);
    }
    for (int s = 0; s < table->n_segments; s++) {
        if (segment(analysis, result, table, &table->segments[s],
                    &result->segmentations[s], error) != 0) {
            return -1;
        }
        result->n_segmentations++;
    }
    return 0;
}
