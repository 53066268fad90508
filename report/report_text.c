/* report_text.c - for a terminal and for mail: verdict first, then trust, then numbers.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "report/report_formats.h"
#include "report/table.h"

struct page {
    struct buffer *out;
    const struct report_style *style;
};

/* ANSI colours: only ever a help, the words say the same. */
static void colour(const struct page *page, const char *code)
{
    if (page->style->is_coloured) {
        buffer_printf(page->out, "\033[%sm", code);
    }
}

static const char *verdict_colour(enum verdict verdict)
{
    static const char *const codes[] = {"1;32", "1;31", "1;33", "1;37;41", "1;33"};
    return codes[verdict];
}

static void heading(const struct page *page, const char *text)
{
    colour(page, "1");
    buffer_printf(page->out, "\n%s\n", text);
    colour(page, "0");
}

static void write_verdict(const struct page *page, const struct experiment_result *r)
{
    struct buffer *out = page->out;
    char from[REPORT_WORD_SIZE], to[REPORT_WORD_SIZE];
    colour(page, verdict_colour(r->verdict));
    buffer_append_text(out, report_verdict_word(r->verdict));
    colour(page, "0");
    buffer_printf(out, "  experiment %s\n", r->spec->name);
    buffer_printf(out, "  %s\n", r->headline);
    buffer_printf(out, "  %s\n", r->advice);
    for (int i = 0; i < r->n_reasons; i++) {
        buffer_printf(out, "  - %s\n", r->reasons[i]);
    }
    if (r->spec->hypothesis) {
        buffer_printf(out, "  Hypothesis: %s\n", r->spec->hypothesis);
    }
    if (r->n_units && r->n_series) {
        report_time(r->first_ts_us, from);
        report_time(r->last_ts_us, to);
        buffer_printf(out, "  %" PRId64 " units, %s to %s\n", r->n_units, from, to);
    }
}

static void write_checks(const struct page *page, const struct experiment_result *r)
{
    struct table table = {.align = "lll"};
    heading(page, "Trust checks");
    for (int c = 0; c < r->n_checks; c++) {
        const struct check *check = &r->checks[c];
        table_cell(&table, "%s",
                   check->status == CHECK_FAILED ? "FAILED"
                                                 : check_status_name(check->status));
        table_cell(&table, "%s", check->name);
        table_cell(&table, "%s", check->detail);
    }
    table_write_text(&table, 2, page->out);
}

static void write_arms(const struct page *page, const struct experiment_result *r)
{
    struct table table = {.align = "lrrrr"};
    heading(page, "Arms");
    table_cell(&table, "arm");
    table_cell(&table, "weight");
    table_cell(&table, "units");
    table_cell(&table, "expected");
    table_cell(&table, "exposures");
    for (int a = 0; a < r->spec->n_arms; a++) {
        table_cell(&table, "%s%s", r->spec->arms[a].name, a == 0 ? " (control)" : "");
        table_cell(&table, "%g", r->spec->arms[a].weight);
        table_cell(&table, "%" PRId64, r->arm_units[a]);
        table_cell(&table, "%.1f", r->arm_expected[a]);
        table_cell(&table, "%" PRId64, r->arm_exposures[a]);
    }
    table_write_text(&table, 2, page->out);
}

static void write_metric_arms(const struct page *page,
                              const struct experiment_result *r,
                              const struct metric_result *metric)
{
    struct table table = {.align = "lrrrl"};
    const enum analysis_kind kind = metric->spec->kind;
    char value[NUMBER_TEXT_SIZE], lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE];
    table_cell(&table, "arm");
    table_cell(&table, "units");
    table_cell(&table, "%s", kind == ANALYSIS_PROPORTION ? "successes" : "total");
    table_cell(&table, "%s", report_value_word(kind));
    table_cell(&table, "%g %% interval", 100 * (1 - r->spec->alpha));
    for (int a = 0; a < r->spec->n_arms; a++) {
        const struct metric_arm *arm = &metric->arms[a];
        number_text_value(kind, arm->estimate.value, value);
        number_text_value(kind, arm->ci_lower, lower);
        number_text_value(kind, arm->ci_upper, upper);
        table_cell(&table, "%s", r->spec->arms[a].name);
        table_cell(&table, "%" PRId64, (int64_t)arm->sum.n_units);
        table_cell(&table, "%.10g", arm->sum_x);
        table_cell(&table, "%s", value);
        if (arm->interval) {
            table_cell(&table, "%s to %s  %s", lower, upper, arm->interval);
        } else {
            table_cell(&table, "%s", "");
        }
    }
    table_write_text(&table, 4, page->out);
}

static void add_relative(struct table *table, const struct finding *fixed)
{
    char relative[NUMBER_TEXT_SIZE], lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE];
    number_text_relative(fixed->rel_effect_size, relative);
    number_text_relative(fixed->rel_ci_lower, lower);
    number_text_relative(fixed->rel_ci_upper, upper);
    table_cell(table, "relative lift");
    table_cell(table, "%s, interval %s to %s", relative, lower, upper);
    table_cell(table, "%s", fixed->relative ? fixed->relative : "");
}

/* What holds at every look, and among so many questions. */
static void add_always(struct table *table, const struct experiment_result *r,
                       enum analysis_kind kind, const struct contrast *contrast)
{
    const struct finding *always = &contrast->always;
    char interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    if (always->is_testable) {
        number_text_interval(kind, always->ci_lower, always->ci_upper, interval);
        number_text_p(always->p_value, always->log10_p_value, p);
        table_cell(table, "at every look");
        table_cell(table, "%g %% interval %s, %s", 100 * (1 - r->spec->alpha), interval,
                   p);
        table_cell(table, "%s", always->interval);
    }
    if (contrast->n_family > 1 && isfinite(contrast->p_adjusted)) {
        table_cell(table, "corrected");
        table_cell(table, "p = %.4g, always-valid p = %.4g", contrast->p_adjusted,
                   contrast->always_p_adjusted);
        table_cell(table, "%s, %d questions", contrast->adjustment, contrast->n_family);
    }
}

/* For what was known before, and as a probability. */
static void add_adjusted(struct table *table, const struct experiment_result *r,
                         enum analysis_kind kind, const struct contrast *contrast)
{
    const struct finding *adjusted = &contrast->adjusted;
    const struct belief *belief = &contrast->belief;
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    if (adjusted->is_testable) {
        number_text_effect(kind, adjusted->effect_size, effect);
        number_text_interval(kind, adjusted->ci_lower, adjusted->ci_upper, interval);
        number_text_p(adjusted->p_value, adjusted->log10_p_value, p);
        table_cell(table, "adjusted");
        table_cell(table, "%s, interval %s, %s", effect, interval, p);
        table_cell(table, "%s; variance reduced by %.1f %% with %s", adjusted->test,
                   100 * contrast->variance_reduction, r->covariates);
    }
    if (belief->method) {
        number_text_effect(kind, belief->expected_loss, effect);
        table_cell(table, "belief");
        table_cell(table, "P(better) = %.4f, expected loss %s", belief->p_better,
                   effect);
        table_cell(table, "%s", belief->method);
    }
}

static void write_contrast(const struct page *page, const struct experiment_result *r,
                           const struct metric_result *metric,
                           const struct contrast *contrast)
{
    struct buffer *out = page->out;
    const struct finding *fixed = &contrast->fixed;
    const enum analysis_kind kind = metric->spec->kind;
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    number_text_effect(kind, fixed->effect_size, effect);
    number_text_interval(kind, fixed->ci_lower, fixed->ci_upper, interval);
    number_text_p(fixed->p_value, fixed->log10_p_value, p);
    buffer_printf(out, "    %s against %s\n", r->spec->arms[contrast->arm].name,
                  r->spec->arms[0].name);
    if (isfinite(fixed->effect_size)) {
        struct table table = {.align = "lll"};
        table_cell(&table, "difference");
        table_cell(&table, "%s, %g %% interval %s", effect, 100 * (1 - r->spec->alpha),
                   interval);
        table_cell(&table, "%s", fixed->interval);
        add_relative(&table, fixed);
        if (fixed->is_testable) {
            table_cell(&table, "test");
            table_cell(&table, "%s = %.6f, %s", fixed->statistic_name, fixed->statistic,
                       p);
            table_cell(&table, "%s", fixed->test);
        }
        add_always(&table, r, kind, contrast);
        add_adjusted(&table, r, kind, contrast);
        if (contrast->guard.state != GUARD_NONE) {
            table_cell(&table, "guardrail");
            table_cell(&table, "%s", guard_state_name(contrast->guard.state));
            table_cell(&table, "%s", contrast->guard.detail);
        }
        table_write_text(&table, 6, out);
    }
    if (!fixed->is_testable) {
        buffer_printf(out, "      not testable: %s\n", fixed->why_not);
    }
}

static void write_metric(const struct page *page, const struct experiment_result *r,
                         const struct metric_result *metric)
{
    heading(page, "Metric");
    page->out->len--; /* the name goes on the same line */
    buffer_printf(page->out, " %s (%s)\n  ", metric->spec->name,
                  metric_role_name(metric->role));
    report_metric_words(metric->spec, page->out);
    buffer_append_char(page->out, '\n');
    write_metric_arms(page, r, metric);
    for (int a = 1; a < r->spec->n_arms; a++) {
        write_contrast(page, r, metric, &metric->contrasts[a - 1]);
    }
}

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

static void write_segments(const struct page *page, const struct experiment_result *r)
{
    const enum analysis_kind kind = r->n_segmentations
                                        ? r->spec->metrics[r->spec->primary].kind
                                        : ANALYSIS_PROPORTION;
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        struct table table = {.align = "llrrrl"};
        heading(page, "Segment");
        page->out->len--;
        buffer_printf(page->out, " %s (%s, p corrected by %s for %d groups)\n",
                      segmentation->name, r->metrics[r->spec->primary].spec->name,
                      segmentation->adjustment, segmentation->n_groups);
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
        if (isfinite(segmentation->interaction_p)) {
            buffer_printf(page->out,
                          "  do the effects differ between groups? p = %.4g (Cochran's "
                          "Q)\n",
                          segmentation->interaction_p);
        }
    }
}

static void write_items(const struct page *page, const struct experiment_result *r)
{
    const enum analysis_kind kind = ANALYSIS_MEAN; /* plain numbers */
    if (r->n_item_metrics == 0) {
        return;
    }
    heading(page, "Lists");
    buffer_printf(page->out, "  %d items were shown; %s\n", r->n_items,
                  r->item_metrics[0].findings[0].test
                      ? r->item_metrics[0].findings[0].test
                      : "nothing to compare");
    struct table table = {.align = "llrrl"};
    table_cell(&table, "%s", "");
    table_cell(&table, "arm");
    table_cell(&table, "control");
    table_cell(&table, "difference");
    table_cell(&table, "%g %% interval", 100 * (1 - r->spec->alpha));
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        for (int a = 1; a < r->spec->n_arms; a++) {
            const struct finding *finding = &metric->findings[a - 1];
            char value[NUMBER_TEXT_SIZE], effect[NUMBER_TEXT_SIZE],
                interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
            number_text_value(kind, metric->arms[0].value, value);
            number_text_effect(kind, finding->effect_size, effect);
            number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
            number_text_p(finding->p_value, finding->log10_p_value, p);
            table_cell(&table, "%s", metric->name);
            table_cell(&table, "%s", r->spec->arms[a].name);
            table_cell(&table, "%s", value);
            table_cell(&table, "%s", effect);
            table_cell(&table, "%s, %s  (%s)", interval, p, metric->meaning);
        }
    }
    table_write_text(&table, 2, page->out);
}

static void write_aa(const struct page *page, const struct experiment_result *r)
{
    if (r->aa.n_splits == 0) {
        return;
    }
    heading(page, "A/A self-check");
    buffer_printf(
        page->out,
        "  control split at random %d times: p < %g in %.2f %% of them (95 %% "
        "interval %.2f to %.2f %%, Wilson score)\n"
        "  p-values against the uniform distribution: D = %.4f, p = %.4g "
        "(Kolmogorov-Smirnov): %s\n",
        r->aa.n_splits, r->spec->alpha, 100 * r->aa.rate, 100 * r->aa.ci_lower,
        100 * r->aa.ci_upper, r->aa.ks_statistic, r->aa.ks_p,
        r->aa.is_sound ? "sound" : "NOT SOUND");
}

static void write_config(const struct page *page, const struct experiment_result *r)
{
    char logged[REPORT_WORD_SIZE];
    if (r->spec->config_ts_us == 0) {
        return; /* from sums */
    }
    report_time(r->spec->config_ts_us, logged);
    heading(page, "Config");
    buffer_printf(page->out,
                  "  %s, the newest in the log that has this experiment, first logged "
                  "%s\n",
                  r->spec->config_hash, logged);
}

static void write_evidence(const struct page *page, const struct analysis *analysis)
{
    const struct evidence *e = &analysis->evidence;
    struct buffer *out = page->out;
    heading(page, "Evidence");
    buffer_printf(out,
                  "  %" PRId64 " events, %" PRId64 " bytes, %" PRId64
                  " segments: %" PRId64 " exposures, %" PRId64 " feedback\n",
                  e->n_events, e->n_bytes, e->n_segments, e->n_exposures,
                  e->n_feedback);
    buffer_printf(out,
                  "  %" PRId64 " duplicates counted once, %" PRId64
                  " torn last lines, %" PRId64 " damaged places\n",
                  e->n_duplicates, e->n_torn_tails, e->n_damaged);
    for (int d = 0; d < e->n_damage_listed; d++) {
        buffer_printf(out, "  damage: %s at byte %" PRId64 ", %" PRId64 " bytes: %s\n",
                      e->damage[d].file, e->damage[d].offset, e->damage[d].size,
                      e->damage[d].reason);
    }
    buffer_printf(out, "  fingerprint of the distinct events: %016" PRIx64 "\n",
                  e->fingerprint);
}

void report_text(const struct analysis *analysis, const struct report_style *style,
                 struct buffer *out)
{
    const struct page page = {out, style};
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *result = &analysis->experiments[e];
        if (e > 0) {
            buffer_append_text(out, "\n\n");
        }
        write_verdict(&page, result);
        write_checks(&page, result);
        write_arms(&page, result);
        for (int m = 0; m < result->spec->n_metrics; m++) {
            write_metric(&page, result, &result->metrics[m]);
        }
        write_segments(&page, result);
        write_items(&page, result);
        write_aa(&page, result);
        write_config(&page, result);
    }
    if (strcmp(analysis->source, "log") == 0) {
        write_evidence(&page, analysis);
    }
}
