/* text_groups.c - groups of units and lists of items as text. */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report_formats.h"
#include "report/table.h"
#include "report/text_parts.h"

static void add_segment_row(struct table *table, const struct experiment_result *r,
                            enum analysis_kind kind, const struct segment_result *group,
                            int arm)
{
    const struct finding *finding = &group->findings[arm - 1];
    char value[NUMBER_TEXT_SIZE], effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE];
    number_text_value(kind, group->arm_value[0], value);
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    table_cell(table, "%s", group->group);
    table_cell(table, "%s", r->spec->arms[arm].name);
    table_cell(table, "%" PRId64, group->arm_units[0] + group->arm_units[arm]);
    table_cell(table, "%s", value);
    table_cell(table, "%s", effect);
    if (finding->is_testable) {
        table_cell(table, "%s, adjusted p = %.4g", interval,
                   group->p_adjusted[arm - 1]);
    } else {
        table_cell(table, "not testable: %s", finding->why_not);
    }
}

/* How each later group's effect differs from the first's. */
static void write_differences(const struct page *page,
                              const struct experiment_result *r,
                              const struct segmentation *segmentation)
{
    const int n_treatments = r->spec->n_arms - 1;
    const enum analysis_kind kind = r->spec->metrics[r->spec->primary].kind;
    for (int i = 0; i < (segmentation->n_groups - 1) * n_treatments; i++) {
        const struct finding *finding = &segmentation->differences[i];
        char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
        if (!finding->is_testable) {
            continue;
        }
        number_text_effect(kind, finding->effect_size, effect);
        number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
        number_text_p(finding->p_value, finding->log10_p_value, p);
        buffer_printf(page->out,
                      "  %s, %s less %s: %s, %g %% interval %s, %s, corrected p = %.4g "
                      "(%s; %s)\n",
                      r->spec->arms[i % n_treatments + 1].name,
                      segmentation->groups[i / n_treatments + 1].group,
                      segmentation->groups[0].group, effect, 100 * (1 - r->spec->alpha),
                      interval, p, segmentation->p_differences[i],
                      segmentation->is_experiment ? "interaction of the experiments"
                                                  : finding->test,
                      segmentation->adjustment);
    }
}

/* Whether the effect of a treatment differs between groups at all. */
static void write_heterogeneity(const struct page *page,
                                const struct experiment_result *r,
                                const struct segmentation *segmentation)
{
    char p[NUMBER_TEXT_SIZE];
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct heterogeneity *all = &segmentation->heterogeneity[a - 1];
        if (!all->is_testable) {
            continue;
        }
        number_text_p(all->p_value, all->log10_p_value, p);
        buffer_printf(page->out,
                      "  %s: do the effects differ between groups? %s, corrected p = "
                      "%.4g (Cochran's Q = %.4g; %s)\n",
                      r->spec->arms[a].name, p, segmentation->p_heterogeneity[a - 1],
                      all->statistic, segmentation->adjustment);
    }
}

void text_segments(const struct page *page, const struct experiment_result *r)
{
    const enum analysis_kind kind = r->n_segmentations
                                        ? r->spec->metrics[r->spec->primary].kind
                                        : ANALYSIS_PROPORTION;
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        struct table table = {.align = "llrrrl"};
        text_heading(page, "Segment %s (%s, p corrected by %s for %d questions)",
                     segmentation->name, r->metrics[r->spec->primary].spec->name,
                     segmentation->adjustment, segmentation->n_questions);
        const struct finding *by = segmentation_method(segmentation, r->spec->n_arms);
        if (by) {
            buffer_printf(page->out, "  %s; interval: %s\n", by->test, by->interval);
        }
        table_cell(&table, "group");
        table_cell(&table, "arm");
        table_cell(&table, "units");
        table_cell(&table, "control");
        table_cell(&table, "difference");
        table_cell(&table, "%g %% interval", 100 * (1 - r->spec->alpha));
        for (int g = 0; g < segmentation->n_groups; g++) {
            const struct segment_result *group = &segmentation->groups[g];
            for (int a = 1; a < r->spec->n_arms; a++) {
                add_segment_row(&table, r, kind, group, a);
            }
        }
        table_write_text(&table, 2, page->out);
        write_differences(page, r, segmentation);
        write_heterogeneity(page, r, segmentation);
    }
}

static void add_item_row(struct table *table, const struct experiment_result *r,
                         const struct item_metric *metric, int arm)
{
    const enum analysis_kind kind = ANALYSIS_MEAN; /* plain numbers */
    const struct finding *finding = &metric->findings[arm - 1];
    char value[NUMBER_TEXT_SIZE], effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE],
        p[NUMBER_TEXT_SIZE];
    number_text_value(kind, metric->arms[0].value, value);
    number_text_effect(kind, finding->effect_size, effect);
    number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
    number_text_p(finding->p_value, finding->log10_p_value, p);
    table_cell(table, "%s", metric->name);
    table_cell(table, "%s", r->spec->arms[arm].name);
    table_cell(table, "%s", value);
    table_cell(table, "%s", effect);
    if (finding->is_testable) {
        table_cell(table, "%s, %s, corrected p = %.4g (%s, %d question%s)", interval, p,
                   metric->p_adjusted[arm - 1], metric->adjustment, metric->n_family,
                   metric->n_family == 1 ? "" : "s");
        table_cell(table, "%s", finding->test);
    } else {
        table_cell(table, "not testable: %s", finding->why_not);
        table_cell(table, "%s", "");
    }
}

void text_items(const struct page *page, const struct experiment_result *r)
{
    if (r->n_item_metrics == 0) {
        return;
    }
    text_heading(page, "Lists (%d items were shown)", r->n_items);
    struct table table = {.align = "llrrll"};
    table_cell(&table, "%s", "");
    table_cell(&table, "arm");
    table_cell(&table, "control");
    table_cell(&table, "difference");
    table_cell(&table, "%g %% interval", 100 * (1 - r->spec->alpha));
    table_cell(&table, "method");
    for (int m = 0; m < r->n_item_metrics; m++) {
        for (int a = 1; a < r->spec->n_arms; a++) {
            add_item_row(&table, r, &r->item_metrics[m], a);
        }
    }
    table_write_text(&table, 2, page->out);
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        if (m == 0 || strcmp(metric->meaning, r->item_metrics[m - 1].meaning) != 0) {
            buffer_printf(page->out, "  %s: %s\n", metric->name, metric->meaning);
        }
        if (metric->sampled_1_in > 1) {
            buffer_printf(page->out, "  %s: of one unit in %" PRId64 ", by hash\n",
                          metric->name, metric->sampled_1_in);
        }
    }
}
