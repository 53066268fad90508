/* report_markdown.c - for a pull request or a wiki. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/report_formats.h"
#include "report/table.h"

static void write_checks(struct buffer *out, const struct experiment_result *r)
{
    struct table table = {.align = "lll"};
    table_cell(&table, "Trust check");
    table_cell(&table, "Status");
    table_cell(&table, "Detail");
    for (int c = 0; c < r->n_checks; c++) {
        table_cell(&table, "%s", r->checks[c].name);
        table_cell(&table, "%s", check_status_name(r->checks[c].status));
        if (r->checks[c].method) {
            table_cell(&table, "%s (%s)", r->checks[c].detail, r->checks[c].method);
        } else {
            table_cell(&table, "%s", r->checks[c].detail);
        }
    }
    table_write_markdown(&table, out);
    buffer_append_char(out, '\n');
}

static void add_contrast(struct table *table, const struct experiment_result *r,
                         const struct metric_result *metric,
                         const struct contrast *contrast)
{
    const struct finding *fixed = &contrast->fixed;
    const enum analysis_kind kind = metric->spec->kind;
    char text[5][NUMBER_TEXT_SIZE];
    number_text_value(kind, metric->arms[0].estimate.value, text[0]);
    number_text_value(kind, metric->arms[contrast->arm].estimate.value, text[1]);
    number_text_effect(kind, fixed->effect_size, text[2]);
    number_text_interval(kind, fixed->ci_lower, fixed->ci_upper, text[3]);
    number_text_relative(fixed->rel_effect_size, text[4]);
    table_cell(table, "%s", metric->spec->name);
    table_cell(table, "%s", metric_role_name(metric->role));
    table_cell(table, "%s", r->spec->arms[contrast->arm].name);
    table_cell(table, "%s", text[0]);
    table_cell(table, "%s", text[1]);
    table_cell(table, "%s", text[2]);
    table_cell(table, "%s", text[3]);
    table_cell(table, "%s", text[4]);
    number_text_p(fixed->p_value, fixed->log10_p_value, text[0]);
    table_cell(table, "%s", text[0]);
    table_cell(table, "%s", fixed->is_testable ? fixed->test : fixed->why_not);
    table_cell(table, "%s", fixed->interval ? fixed->interval : "");
}

static void write_metrics(struct buffer *out, const struct experiment_result *r)
{
    static const char *const head[] = {
        "Metric",   "Role",     "Arm", "Control", "Treatment",  "Difference",
        "Interval", "Relative", "p",   "Test",    "Interval by"};
    struct table table = {.align = "lllrrrrrrll"};
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        table_cell(&table, "%s", head[i]);
    }
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            add_contrast(&table, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1]);
        }
    }
    table_write_markdown(&table, out);
    buffer_append_char(out, '\n');
}

/* The answers that hold when it is looked at more than once, where there are any. */
static void write_looks(struct buffer *out, const struct experiment_result *r)
{
    struct table table = {.align = "lllrrll"};
    static const char *const head[] = {
        "Metric",       "Arm",
        "Decides",      "At every look, asymptotic confidence sequence",
        "Its p",        "mSPRT p",
        "Planned looks"};
    int n_rows = 0;
    for (size_t i = 0; i < sizeof head / sizeof head[0]; i++) {
        table_cell(&table, "%s", head[i]);
    }
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct metric_result *metric = &r->metrics[m];
            const struct contrast *contrast = &metric->contrasts[a - 1];
            char interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE],
                mixture[NUMBER_TEXT_SIZE];
            if (!contrast->always.is_testable && !contrast->planned.method) {
                continue;
            }
            n_rows++;
            number_text_interval(metric->spec->kind, contrast->always.ci_lower,
                                 contrast->always.ci_upper, interval);
            number_text_p(contrast->always.p_value, contrast->always.log10_p_value, p);
            number_text_p(contrast->mixture.p_value, contrast->mixture.log10_p_value,
                          mixture);
            table_cell(&table, "%s", metric->spec->name);
            table_cell(&table, "%s", r->spec->arms[a].name);
            table_cell(&table, "%s", decider_name(analysis_decider(r->spec, contrast)));
            table_cell(&table, "%s", interval);
            table_cell(&table, "%s", p);
            table_cell(&table, "%s", mixture);
            if (contrast->planned.method) {
                table_cell(&table, "%s (%s, %s spending)", contrast->planned.detail,
                           contrast->planned.method, contrast->planned.spending);
            } else {
                table_cell(&table, "%s", "");
            }
        }
    }
    if (n_rows) {
        table_write_markdown(&table, out);
        buffer_append_char(out, '\n');
    } else {
        buffer_free(&table.text);
    }
}

static void add_row(struct table *table, enum analysis_kind kind, const char *what,
                    const char *arm, const struct finding *finding, const char *more)
{
    char text[3][NUMBER_TEXT_SIZE];
    number_text_effect(kind, finding->effect_size, text[0]);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, text[1]);
    number_text_p(finding->p_value, finding->log10_p_value, text[2]);
    table_cell(table, "%s", what);
    table_cell(table, "%s", arm);
    table_cell(table, "%s", text[0]);
    table_cell(table, "%s", text[1]);
    table_cell(table, "%s", text[2]);
    table_cell(table, "%s", finding->is_testable ? finding->test : finding->why_not);
    table_cell(table, "%s", finding->interval ? finding->interval : "");
    table_cell(table, "%s", more);
}

/* "corrected p = 0.04 (Holm)"; nothing where nothing could be tested. */
static void corrected_text(double p, const char *correction, char *text, size_t size)
{
    text[0] = '\0';
    if (!isnan(p)) {
        snprintf(text, size, "corrected p = %.4g (%s)", p, correction);
    }
}

static void add_adjustments(struct table *table, const struct experiment_result *r,
                            const struct metric_result *metric,
                            const struct contrast *contrast)
{
    const struct adjustment all = {r->covariates, contrast->adjusted,
                                   contrast->variance_reduction};
    const struct equivalence_result *equivalence = &contrast->equivalence;
    const char *arm = r->spec->arms[contrast->arm].name;
    char more[200];
    for (int i = -1; i < contrast->n_adjustments; i++) {
        const struct adjustment *one = i < 0 ? &all : &contrast->adjustments[i];
        if (one->finding.is_testable) {
            snprintf(more, sizeof more, "variance reduced by %.1f %% with %.120s",
                     100 * one->variance_reduction, one->by);
            add_row(table, metric->spec->kind, metric->spec->name, arm, &one->finding,
                    more);
        }
    }
    if (equivalence->method) {
        snprintf(more, sizeof more, "%s to differ by less than %g %%: p = %.4g",
                 equivalence->holds ? "shown" : "not shown", 100 * equivalence->margin,
                 equivalence->p_value);
        struct finding finding = contrast->fixed;
        finding.test = equivalence->method;
        add_row(table, metric->spec->kind, metric->spec->name, arm, &finding, more);
    }
}

/* How each later group's effect differs from the first's, and whether any differ. */
static void add_differences(struct table *table, const struct experiment_result *r,
                            const struct segmentation *segmentation)
{
    const enum analysis_kind kind = r->spec->metrics[r->spec->primary].kind;
    const int n_treatments = r->spec->n_arms - 1;
    char what[300], more[100], p[NUMBER_TEXT_SIZE];
    for (int i = 0; i < (segmentation->n_groups - 1) * n_treatments; i++) {
        snprintf(what, sizeof what, "%.80s: %.80s less %.80s", segmentation->name,
                 segmentation->groups[i / n_treatments + 1].group,
                 segmentation->groups[0].group);
        corrected_text(segmentation->p_differences[i], segmentation->adjustment, more,
                       sizeof more);
        if (segmentation->differences[i].is_testable) {
            add_row(table, kind, what, r->spec->arms[i % n_treatments + 1].name,
                    &segmentation->differences[i], more);
        }
    }
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct heterogeneity *all = &segmentation->heterogeneity[a - 1];
        if (!all->is_testable) {
            continue;
        }
        number_text_p(all->p_value, all->log10_p_value, p);
        table_cell(table, "%s: do the effects differ between groups?",
                   segmentation->name);
        table_cell(table, "%s", r->spec->arms[a].name);
        table_cell(table, "%s", "");
        table_cell(table, "%s", "");
        table_cell(table, "%s", p);
        table_cell(table, "%s", "Cochran's Q");
        table_cell(table, "%s", "");
        table_cell(table, "corrected p = %.4g (%s)",
                   segmentation->p_heterogeneity[a - 1], segmentation->adjustment);
    }
}

static void add_groups(struct table *table, const struct experiment_result *r)
{
    char what[200], more[100];
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        for (int g = 0; g < segmentation->n_groups; g++) {
            const struct segment_result *group = &segmentation->groups[g];
            for (int a = 1; a < r->spec->n_arms; a++) {
                snprintf(what, sizeof what, "%.80s: %.80s", segmentation->name,
                         group->group);
                corrected_text(group->p_adjusted[a - 1], segmentation->adjustment, more,
                               sizeof more);
                add_row(table, r->spec->metrics[r->spec->primary].kind, what,
                        r->spec->arms[a].name, &group->findings[a - 1], more);
            }
        }
        add_differences(table, r, segmentation);
    }
}

static void add_lists(struct table *table, const struct experiment_result *r)
{
    char more[100];
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            corrected_text(metric->p_adjusted[a - 1], metric->adjustment, more,
                           sizeof more);
            add_row(table, ANALYSIS_MEAN, metric->name, r->spec->arms[a].name,
                    &metric->findings[a - 1], more);
        }
    }
}

/* Adjusted effects, groups of units, lists. */
static void write_more(struct buffer *out, const struct experiment_result *r)
{
    static const char *const head[] = {"More", "Arm",    "Difference",  "Interval",
                                       "p",    "Method", "Interval by", "Beside it"};
    const int n_heads = (int)(sizeof head / sizeof head[0]);
    struct table table = {.align = "llrrrlll"};
    for (int i = 0; i < n_heads; i++) {
        table_cell(&table, "%s", head[i]);
    }
    for (int m = 0; m < r->spec->n_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            add_adjustments(&table, r, &r->metrics[m], &r->metrics[m].contrasts[a - 1]);
        }
    }
    add_groups(&table, r);
    add_lists(&table, r);
    if (table.n_cells > n_heads) {
        table_write_markdown(&table, out);
        buffer_append_char(out, '\n');
    } else {
        buffer_free(&table.text);
    }
}

void report_markdown(const struct analysis *analysis, struct buffer *out)
{
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *r = &analysis->experiments[e];
        buffer_printf(out, "## %s: %s\n\n%s\n\n**%s**\n\n", r->spec->name,
                      verdict_name(r->verdict), r->headline, r->advice);
        for (int i = 0; i < r->n_reasons; i++) {
            buffer_printf(out, "- %s\n", r->reasons[i]);
        }
        if (r->n_reasons) {
            buffer_append_char(out, '\n');
        }
        write_checks(out, r);
        write_metrics(out, r);
        write_looks(out, r);
        write_more(out, r);
    }
    const struct evidence *evidence = &analysis->evidence;
    buffer_printf(out,
                  "%" PRId64 " exposures, %" PRId64 " feedback events, %" PRId64
                  " duplicates counted once, %" PRId64
                  " damaged places; fingerprint `%016" PRIx64 "`\n",
                  evidence->n_exposures, evidence->n_feedback, evidence->n_duplicates,
                  evidence->n_damaged, evidence->fingerprint);
}
