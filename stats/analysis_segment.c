/* analysis_segment.c - the primary metric by groups of units.
 *
 * Groups must have been known before the experiment: to split by what happened in it is
 * to compare units that the treatment itself has chosen. Each group's p-value is
 * corrected for the number of groups and treatments, and one test a treatment asks
 * whether its effect differs between groups at all (heterogeneity.h).
 */
#include <math.h>
#include <stdlib.h>

#include "stats/analysis_parts.h"
#include "stats/heterogeneity.h"
#include "stats/multiple.h"

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

/* arms: (n_arms) of this group */
static int compare_group(const struct experiment_result *result,
                         const struct metric_arm *arms, struct segment_result *group,
                         struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const struct metric_result *primary = &result->metrics[spec->primary];
    for (int a = 0; a < spec->n_arms; a++) {
        group->arm_units[a] = (int64_t)arms[a].sum.n_units;
        group->arm_value[a] = arms[a].estimate.value;
    }
    for (int a = 1; a < spec->n_arms; a++) {
        struct finding *finding = &group->findings[a - 1];
        if (arms[0].sum.n_units < MIN_GROUP_UNITS ||
            arms[a].sum.n_units < MIN_GROUP_UNITS) {
            *finding = finding_none("too few units in this group");
        } else if (analysis_compare(primary->spec->kind, 1 - spec->alpha, &arms[0],
                                    &arms[a], finding, error) != 0) {
            return -1;
        } else if (finding->test && primary->robust_test) {
            finding->test = primary->robust_test;
        }
    }
    group->srm_p = NAN; /* analysis_srm.c tells it */
    return 0;
}

static void add_up(const struct analysis_experiment *spec,
                   const struct unit_table *table, const struct unit_segments *from,
                   struct metric_arm *arms)
{
    const struct analysis_metric *metric = &spec->metrics[spec->primary];
    const struct unit_metric *column = &table->metrics[spec->primary];
    for (int i = 0; i < table->n_units; i++) {
        if (from->group[i] >= 0) {
            ratio_sum_add(&arms[from->group[i] * spec->n_arms + table->arm[i]].sum,
                          analysis_x(metric, column, i), analysis_y(column, i));
        }
    }
    for (int i = 0; i < from->n * spec->n_arms; i++) {
        arms[i].estimate = analysis_estimate(metric->kind, &arms[i].sum);
    }
}

/* Quantiles and trimmed means want the single values: those of the units of one group,
 * as if no others had an arm. */
static int estimate_groups(const struct experiment_result *result,
                           const struct unit_table *table,
                           const struct unit_segments *from, struct metric_arm *arms,
                           struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const struct metric_result *primary = &result->metrics[spec->primary];
    const struct unit_metric *column = &table->metrics[spec->primary];
    struct unit_table view = *table;
    int rc = -1;
    view.arm = malloc(((size_t)table->n_units + 1) * sizeof *view.arm);
    if (!view.arm) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < from->n * spec->n_arms; i++) {
        struct metric_arm *arm = &arms[i];
        const int group = i / spec->n_arms, a = i % spec->n_arms;
        for (int u = 0; u < table->n_units; u++) {
            view.arm[u] = (int16_t)(from->group[u] == group ? table->arm[u] : -1);
            arm->sum.n_units += view.arm[u] == a;
        }
        arm->estimate = (struct estimate){NAN, NAN, NAN};
        if ((primary->spec->kind == ANALYSIS_QUANTILE
                 ? analysis_quantile(primary->spec, column, &view, a, arm, error)
                 : analysis_trimmed(result, primary, &view, column, a, &arm->estimate,
                                    error)) != 0) {
            goto out;
        }
    }
    rc = 0;

out:
    free(view.arm);
    return rc;
}

/* Variance of a group's effect, arms not pooled: what is asked is whether effects
 * differ, not whether there is none. */
static double effect_variance(enum analysis_kind kind,
                              const struct segment_result *group, int treatment)
{
    const struct finding *finding = &group->findings[treatment - 1];
    if (kind != ANALYSIS_PROPORTION) {
        return finding->standard_error * finding->standard_error;
    }
    const double c = group->arm_value[0], t = group->arm_value[treatment];
    return c * (1 - c) / (double)group->arm_units[0] +
           t * (1 - t) / (double)group->arm_units[treatment];
}

/* Do the groups' effects of a treatment differ by more than chance? */
static struct heterogeneity test_heterogeneity(enum analysis_kind kind,
                                               const struct segmentation *segmentation,
                                               int treatment)
{
    struct heterogeneity_sum sum = {0};
    for (int g = 0; g < segmentation->n_groups; g++) {
        const struct segment_result *group = &segmentation->groups[g];
        const struct finding *finding = &group->findings[treatment - 1];
        if (finding->is_testable) {
            (void)heterogeneity_add(&sum, finding->effect_size,
                                    effect_variance(kind, group, treatment));
        }
    }
    return heterogeneity_test(&sum);
}

/* As above for every treatment, corrected for their number. */
static int compare_groups(struct analysis *analysis,
                          const struct analysis_experiment *spec,
                          struct segmentation *segmentation, struct error *error)
{
    const enum analysis_kind kind = spec->metrics[spec->primary].kind;
    const size_t n = (size_t)(spec->n_arms - 1);
    segmentation->heterogeneity =
        arena_zeroed(&analysis->arena, n, sizeof *segmentation->heterogeneity);
    segmentation->p_heterogeneity = arena_zeroed(&analysis->arena, n, sizeof(double));
    if (!segmentation->heterogeneity || !segmentation->p_heterogeneity) {
        error_set(error, ERROR_NOMEM, "no memory for the groups of %s",
                  segmentation->name);
        return -1;
    }
    for (size_t a = 0; a < n; a++) {
        segmentation->heterogeneity[a] =
            test_heterogeneity(kind, segmentation, (int)a + 1);
        segmentation->p_heterogeneity[a] = segmentation->heterogeneity[a].p_value;
    }
    return multiple_adjust(segmentation->p_heterogeneity, n,
                           analysis_correction(spec->correction),
                           segmentation->p_heterogeneity, error);
}

static int correct_groups(const struct analysis_experiment *spec,
                          struct segmentation *segmentation, struct error *error)
{
    const enum correction correction = analysis_correction(spec->correction);
    const size_t n_treatments = (size_t)(spec->n_arms - 1);
    const size_t n = (size_t)segmentation->n_groups * n_treatments;
    double *p = calloc(n + 1, sizeof *p);
    if (!p) {
        error_set(error, ERROR_NOMEM, "no memory for the groups of %s",
                  segmentation->name);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        p[i] =
            segmentation->groups[i / n_treatments].findings[i % n_treatments].p_value;
    }
    segmentation->n_questions = multiple_count(p, n);
    int rc = multiple_adjust(p, n, correction, p, error);
    for (size_t i = 0; i < n; i++) {
        segmentation->groups[i / n_treatments].p_adjusted[i % n_treatments] = p[i];
    }
    for (size_t i = 0; rc == 0 && i + n_treatments < n; i++) {
        segmentation->p_differences[i] = segmentation->differences[i].p_value;
    }
    if (rc == 0 && n > n_treatments) {
        rc = multiple_adjust(segmentation->p_differences, n - n_treatments, correction,
                             segmentation->p_differences, error);
    }
    segmentation->adjustment = correction_name(correction);
    free(p);
    return rc;
}

/* Does the effect of a treatment in one group differ from that in the first? Groups
 * hold different units, so the variances add up. */
static int compare_effect(const struct analysis_experiment *spec,
                          const struct segment_result *first,
                          const struct segment_result *other, int treatment,
                          struct finding *difference, struct error *error)
{
    const enum analysis_kind kind = spec->metrics[spec->primary].kind;
    const struct finding *from = &first->findings[treatment - 1],
                         *to = &other->findings[treatment - 1];
    *difference = finding_none("too few units in a group");
    if (!from->is_testable || !to->is_testable) {
        return 0;
    }
    const struct estimate effects[] = {
        {from->effect_size, effect_variance(kind, first, treatment), (double)INFINITY},
        {to->effect_size, effect_variance(kind, other, treatment), (double)INFINITY}};
    if (finding_from_effect(effects[0], effects[1], 1 - spec->alpha,
                            "difference of effects, z-test, two-sided", difference,
                            error) != 0) {
        return -1;
    }
    difference->interval = "normal";
    difference->relative = NULL; /* a share of an effect says nothing */
    difference->rel_effect_size = difference->rel_ci_lower = difference->rel_ci_upper =
        NAN;
    return 0;
}

static int compare_effects(struct analysis *analysis,
                           const struct analysis_experiment *spec,
                           struct segmentation *segmentation, struct error *error)
{
    const int n_treatments = spec->n_arms - 1;
    const size_t n = (size_t)(segmentation->n_groups - 1) * (size_t)n_treatments;
    segmentation->differences =
        arena_zeroed(&analysis->arena, n, sizeof *segmentation->differences);
    segmentation->p_differences = arena_zeroed(&analysis->arena, n, sizeof(double));
    if (!segmentation->differences || !segmentation->p_differences) {
        error_set(error, ERROR_NOMEM, "no memory for the groups of %s",
                  segmentation->name);
        return -1;
    }
    for (size_t i = 0; i < n; i++) {
        const int a = (int)i % n_treatments + 1, g = (int)i / n_treatments + 1;
        if (compare_effect(spec, &segmentation->groups[0], &segmentation->groups[g], a,
                           &segmentation->differences[i], error) != 0) {
            return -1;
        }
    }
    return 0;
}

static int segment(struct analysis *analysis, struct experiment_result *result,
                   const struct unit_table *table, const struct unit_segments *from,
                   struct segmentation *to, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    int rc = -1;
    struct metric_arm *arms =
        calloc((size_t)from->n * (size_t)spec->n_arms + 1, sizeof *arms);
    to->name = arena_text(&analysis->arena, slice_of(from->name));
    to->groups = arena_zeroed(&analysis->arena, (size_t)from->n, sizeof *to->groups);
    if (!arms || !to->name || !to->groups) {
        analysis_no_memory(result, error);
        goto out;
    }
    to->n_groups = from->n;
    if (analysis_is_of_sums(&spec->metrics[spec->primary])) {
        add_up(spec, table, from, arms);
    } else if (estimate_groups(result, table, from, arms, error) != 0) {
        goto out;
    }
    for (int g = 0; g < from->n; g++) {
        struct segment_result *group = &to->groups[g];
        group->group = arena_text(&analysis->arena, slice_of(from->groups[g]));
        if (!group->group || make_group(analysis, spec, group) != 0) {
            analysis_no_memory(result, error);
            goto out;
        }
        if (compare_group(result, &arms[g * spec->n_arms], group, error) != 0) {
            goto out;
        }
    }
    to->is_experiment = from->is_experiment;
    if (compare_groups(analysis, spec, to, error) == 0 &&
        compare_effects(analysis, spec, to, error) == 0) {
        rc = correct_groups(spec, to, error);
    }

out:
    free(arms);
    return rc;
}

int analysis_segments(struct analysis *analysis, struct experiment_result *result,
                      const struct unit_table *table, struct error *error)
{
    const int primary = result->spec->primary;
    if (table->n_segments == 0 || primary < 0 || result->spec->n_arms < 2) {
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
