/* report_csv.c - one line per metric and treatment (RFC 4180), for spreadsheets; then,
 * told apart by `role`, one per adjustment, per segment's group and per number of the
 * lists. */
#include <math.h>
#include <string.h>

#include "common/json_text.h"
#include "report/report_formats.h"

static void text_field(struct buffer *out, const char *text)
{
    if (!text) {
        return;
    }
    if (!strpbrk(text, ",\"\r\n")) {
        buffer_append_text(out, text);
        return;
    }
    buffer_append_char(out, '"');
    for (; *text; text++) {
        if (*text == '"') {
            buffer_append_char(out, '"');
        }
        buffer_append_char(out, *text);
    }
    buffer_append_char(out, '"');
}

/* NAN is an empty field. */
static void number_field(struct buffer *out, double value)
{
    buffer_append_char(out, ',');
    if (isfinite(value)) {
        json_append_double(out, value);
    }
}

/* A line that is no metric's own: what it shares with those. */
struct line {
    const char *metric, *role, *kind, *correction;
    int arm;
    double numbers[6]; /* units, total and value of control, then of the treatment */
    const struct finding *finding;
    double p_adjusted;
};

static void write_line(struct buffer *out, const struct experiment_result *r,
                       const struct line *line)
{
    const struct finding *finding = line->finding;
    const char *const texts[] = {r->spec->name,
                                 verdict_name(r->verdict),
                                 line->metric,
                                 line->role,
                                 line->kind,
                                 r->spec->arms[0].name,
                                 r->spec->arms[line->arm].name};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        buffer_append_text(out, i ? "," : "");
        text_field(out, texts[i]);
    }
    for (size_t i = 0; i < 6; i++) {
        number_field(out, line->numbers[i]);
    }
    const double numbers[] = {
        finding->effect_size,     finding->ci_lower,     finding->ci_upper,
        finding->rel_effect_size, finding->rel_ci_lower, finding->rel_ci_upper,
        finding->statistic,       finding->p_value,      line->p_adjusted};
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        number_field(out, numbers[i]);
    }
    buffer_append_text(out, ",,,,"); /* nothing at every look */
    text_field(out, finding->is_testable ? finding->test : finding->why_not);
    buffer_append_char(out, ',');
    text_field(out, finding->interval);
    buffer_append_char(out, ',');
    text_field(out, line->correction);
    buffer_append_text(out, ",,,,,,"); /* no guardrail, no looks, no equivalence */
}

/* The last three fields. */
static void end_line(struct buffer *out, const char *by, const char *group,
                     double variance_reduction)
{
    buffer_append_char(out, ',');
    text_field(out, by);
    buffer_append_char(out, ',');
    text_field(out, group);
    number_field(out, variance_reduction);
    buffer_append_text(out, "\r\n");
}

static void write_adjustment(struct buffer *out, const struct experiment_result *r,
                             const struct metric_result *metric, int arm,
                             const struct adjustment *one)
{
    const struct line line = {
        .metric = metric->spec->name,
        .role = "adjusted",
        .kind = analysis_kind_name(metric->spec->kind),
        .arm = arm,
        .numbers = {NAN, NAN, NAN, NAN, NAN, NAN},
        .finding = &one->finding,
        .p_adjusted = NAN,
    };
    if (one->finding.is_testable) {
        write_line(out, r, &line);
        end_line(out, one->by, NULL, one->variance_reduction);
    }
}

static void write_adjustments(struct buffer *out, const struct experiment_result *r,
                              const struct metric_result *metric,
                              const struct contrast *contrast)
{
    const struct adjustment all = {r->covariates, contrast->adjusted,
                                   contrast->variance_reduction};
    write_adjustment(out, r, metric, contrast->arm, &all);
    for (int i = 0; i < contrast->n_adjustments; i++) {
        write_adjustment(out, r, metric, contrast->arm, &contrast->adjustments[i]);
    }
}

/* Methods, guardrail, looks and equivalence of a contrast. */
static void write_methods(struct buffer *out, const struct experiment_result *r,
                          const struct contrast *contrast)
{
    const struct finding *fixed = &contrast->fixed;
    buffer_append_char(out, ',');
    text_field(out, fixed->is_testable ? fixed->test : fixed->why_not);
    buffer_append_char(out, ',');
    text_field(out, fixed->interval);
    buffer_append_char(out, ',');
    text_field(out, contrast->adjustment);
    buffer_append_char(out, ',');
    text_field(out, contrast->guard.state == GUARD_NONE
                        ? NULL
                        : guard_state_name(contrast->guard.state));
    buffer_append_char(out, ',');
    text_field(out, decider_name(analysis_decider(r->spec, contrast)));
    number_field(out, contrast->mixture.p_adjusted);
    number_field(out,
                 contrast->planned.method ? contrast->planned.n_reached : (double)NAN);
    number_field(out, contrast->planned.crossed_at ? contrast->planned.crossed_at
                                                   : (double)NAN);
    number_field(out, contrast->equivalence.method ? contrast->equivalence.p_value
                                                   : (double)NAN);
}

static void write_contrast(struct buffer *out, const struct experiment_result *r,
                           const struct metric_result *metric,
                           const struct contrast *contrast)
{
    const struct metric_arm *control = &metric->arms[0];
    const struct metric_arm *treatment = &metric->arms[contrast->arm];
    const struct finding *fixed = &contrast->fixed;
    const char *const texts[] = {
        r->spec->name,
        verdict_name(r->verdict),
        metric->spec->name,
        metric_role_name(metric->role),
        analysis_kind_name(metric->spec->kind),
        r->spec->arms[0].name,
        r->spec->arms[contrast->arm].name,
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        if (i > 0) {
            buffer_append_char(out, ',');
        }
        text_field(out, texts[i]);
    }
    const double numbers[] = {
        (double)control->sum.n_units,
        control->sum_x,
        control->estimate.value,
        (double)treatment->sum.n_units,
        treatment->sum_x,
        treatment->estimate.value,
        fixed->effect_size,
        fixed->ci_lower,
        fixed->ci_upper,
        fixed->rel_effect_size,
        fixed->rel_ci_lower,
        fixed->rel_ci_upper,
        fixed->statistic,
        fixed->p_value,
        contrast->p_adjusted,
        contrast->always.ci_lower,
        contrast->always.ci_upper,
        contrast->always_p_adjusted,
    };
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        number_field(out, numbers[i]);
    }
    write_methods(out, r, contrast);
    end_line(out, "", NULL, NAN);
    write_adjustments(out, r, metric, contrast);
}

/* Whether the effects of each treatment differ between groups at all. */
static void write_heterogeneity(struct buffer *out, const struct experiment_result *r,
                                const struct segmentation *segmentation,
                                struct line line)
{
    line.role = "heterogeneity";
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct heterogeneity *all = &segmentation->heterogeneity[a - 1];
        const struct finding finding = {
            .is_testable = true,
            .test = "Cochran's Q",
            .statistic = all->statistic,
            .df = all->df,
            .p_value = all->p_value,
            .log10_p_value = all->log10_p_value,
            .effect_size = NAN,
            .ci_lower = NAN,
            .ci_upper = NAN,
            .rel_effect_size = NAN,
            .rel_ci_lower = NAN,
            .rel_ci_upper = NAN,
        };
        if (all->is_testable) {
            line.arm = a;
            line.finding = &finding;
            line.p_adjusted = segmentation->p_heterogeneity[a - 1];
            write_line(out, r, &line);
            end_line(out, segmentation->name, NULL, NAN);
        }
    }
}

/* How each later group's effect differs from the first's, and whether any differ. */
static void write_differences(struct buffer *out, const struct experiment_result *r,
                              const struct segmentation *segmentation)
{
    const struct analysis_metric *primary = &r->spec->metrics[r->spec->primary];
    const int n_treatments = r->spec->n_arms - 1;
    struct line line = {.metric = primary->name,
                        .role = "difference",
                        .kind = analysis_kind_name(primary->kind),
                        .numbers = {NAN, NAN, NAN, NAN, NAN, NAN},
                        .correction = segmentation->adjustment};
    for (int i = 0; i < (segmentation->n_groups - 1) * n_treatments; i++) {
        line.arm = i % n_treatments + 1;
        line.finding = &segmentation->differences[i];
        line.p_adjusted = segmentation->p_differences[i];
        write_line(out, r, &line);
        end_line(out, segmentation->name,
                 segmentation->groups[i / n_treatments + 1].group, NAN);
    }
    write_heterogeneity(out, r, segmentation, line);
}

static void write_groups(struct buffer *out, const struct experiment_result *r)
{
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        for (int g = 0; g < segmentation->n_groups; g++) {
            const struct segment_result *group = &segmentation->groups[g];
            for (int a = 1; a < r->spec->n_arms; a++) {
                const struct line line = {
                    .metric = r->spec->metrics[r->spec->primary].name,
                    .role = "segment",
                    .kind = analysis_kind_name(r->spec->metrics[r->spec->primary].kind),
                    .arm = a,
                    .numbers = {(double)group->arm_units[0], NAN, group->arm_value[0],
                                (double)group->arm_units[a], NAN, group->arm_value[a]},
                    .finding = &group->findings[a - 1],
                    .p_adjusted = group->p_adjusted[a - 1],
                    .correction = segmentation->adjustment,
                };
                write_line(out, r, &line);
                end_line(out, segmentation->name, group->group, NAN);
            }
        }
        write_differences(out, r, segmentation);
    }
}

static void write_lists(struct buffer *out, const struct experiment_result *r)
{
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct line line = {
                .metric = metric->name,
                .role = "lists",
                .kind = "lists",
                .arm = a,
                .numbers = {NAN, NAN, metric->arms[0].value, NAN, NAN,
                            metric->arms[a].value},
                .finding = &metric->findings[a - 1],
                .p_adjusted = metric->p_adjusted[a - 1],
                .correction = metric->adjustment,
            };
            write_line(out, r, &line);
            end_line(out, "", NULL, NAN);
        }
    }
}

void report_csv(const struct analysis *analysis, struct buffer *out)
{
    buffer_append_text(
        out, "experiment,verdict,metric,role,kind,control,treatment,control_n,"
             "control_total,control_value,treatment_n,treatment_total,treatment_value,"
             "effect_size,ci_lower,ci_upper,rel_effect_size,rel_ci_lower,rel_ci_upper,"
             "statistic,p_value,p_adjusted,always_valid_lower,always_valid_upper,"
             "always_valid_p_adjusted,test,interval,correction,guardrail,"
             "decided_by,msprt_p_adjusted,looks_reached,crossed_at_look,"
             "equivalence_p_value,by,group,variance_reduction\r\n");
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *r = &analysis->experiments[e];
        for (int m = 0; m < r->spec->n_metrics; m++) {
            for (int a = 1; a < r->spec->n_arms; a++) {
                write_contrast(out, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1]);
            }
        }
        write_groups(out, r);
        write_lists(out, r);
    }
}
