/* text_metrics.c - one metric as text: its arms, then every treatment against control.
 */
#include <inttypes.h>
#include <math.h>

#include "report/report_formats.h"
#include "report/table.h"
#include "report/text_parts.h"

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
    if (contrast->mixture.method) {
        number_text_p(contrast->mixture.p_value, contrast->mixture.log10_p_value, p);
        table_cell(table, "%s", "");
        table_cell(table, "%s, the smallest so far, at %" PRId64 " units", p,
                   contrast->mixture.n_units);
        table_cell(table, "%s, tau = %.4g", contrast->mixture.method,
                   contrast->mixture.tau);
    }
    if (contrast->planned.method) {
        table_cell(table, "planned looks");
        table_cell(table, "%s", contrast->planned.detail);
        table_cell(table, "%s, %s spending", contrast->planned.method,
                   contrast->planned.spending);
    }
    if (contrast->n_family > 1 && isfinite(contrast->p_adjusted)) {
        table_cell(table, "corrected");
        table_cell(table, "p = %.4g, always-valid p = %.4g", contrast->p_adjusted,
                   contrast->always_p_adjusted);
        table_cell(table, "%s, %d questions", contrast->adjustment, contrast->n_family);
    }
}

static void add_adjustment(struct table *table, enum analysis_kind kind,
                           const struct finding *finding, double variance_reduction,
                           const char *by)
{
    char effect[NUMBER_TEXT_SIZE], interval[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    if (finding->is_testable) {
        number_text_effect(kind, finding->effect_size, effect);
        number_text_interval(kind, finding->ci_lower, finding->ci_upper, interval);
        number_text_p(finding->p_value, finding->log10_p_value, p);
        table_cell(table, "adjusted");
        table_cell(table, "%s, interval %s, %s", effect, interval, p);
        table_cell(table, "%s; variance reduced by %.1f %% with %s", finding->test,
                   100 * variance_reduction, by);
    }
}

/* For what was known before, and as a probability. */
static void add_adjusted(struct table *table, const struct experiment_result *r,
                         enum analysis_kind kind, const struct contrast *contrast)
{
    const struct belief *belief = &contrast->belief;
    char effect[NUMBER_TEXT_SIZE];
    add_adjustment(table, kind, &contrast->adjusted, contrast->variance_reduction,
                   r->covariates);
    for (int i = 0; i < contrast->n_adjustments; i++) {
        const struct adjustment *one = &contrast->adjustments[i];
        add_adjustment(table, kind, &one->finding, one->variance_reduction, one->by);
    }
    if (belief->method) {
        number_text_effect(kind, belief->expected_loss, effect);
        table_cell(table, "belief");
        table_cell(table, "P(better) = %.4f, expected loss %s", belief->p_better,
                   effect);
        table_cell(table, "%s", belief->method);
    }
}

static void add_equivalence(struct table *table, const struct experiment_result *r,
                            const struct equivalence_result *equivalence)
{
    char lower[NUMBER_TEXT_SIZE], upper[NUMBER_TEXT_SIZE], p[NUMBER_TEXT_SIZE];
    if (!equivalence->method) {
        return;
    }
    number_text_relative(equivalence->ci_lower, lower);
    number_text_relative(equivalence->ci_upper, upper);
    number_text_p(equivalence->p_value, log10(equivalence->p_value), p);
    table_cell(table, "equivalence");
    table_cell(table, "%s to lie within +-%g %%: %g %% interval %s to %s, %s",
               equivalence->holds ? "shown" : "not shown", 100 * equivalence->margin,
               100 * (1 - 2 * r->spec->alpha), lower, upper, p);
    table_cell(table, "%s", equivalence->method);
}

static void write_contrast(const struct page *page, const struct experiment_result *r,
                           const struct metric_result *metric,
                           const struct contrast *contrast)
{
    struct buffer *out = page->out;
    const struct finding *fixed = &contrast->fixed;
    const struct guard *guard = &contrast->guard;
    const bool is_guard_tested = guard->method && isfinite(fixed->effect_size);
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
        add_equivalence(&table, r, &contrast->equivalence);
        if (is_guard_tested) {
            table_cell(&table, "guardrail");
            table_cell(&table, "%s: %s", guard_state_name(guard->state), guard->detail);
            table_cell(&table, "%s", guard->method);
        }
        table_write_text(&table, 6, out);
    }
    if (guard->state != GUARD_NONE && !is_guard_tested) {
        buffer_printf(out, "      guardrail %s: %s\n", guard_state_name(guard->state),
                      guard->detail);
    }
    if (!fixed->is_testable) {
        buffer_printf(out, "      not testable: %s\n", fixed->why_not);
    }
}

void text_metric(const struct page *page, const struct experiment_result *r,
                 const struct metric_result *metric)
{
    text_heading(page, "Metric %s (%s)", metric->spec->name,
                 metric_role_name(metric->role));
    buffer_append_text(page->out, "  ");
    report_metric_words(metric->spec, page->out);
    buffer_append_char(page->out, '\n');
    write_metric_arms(page, r, metric);
    for (int a = 1; a < r->spec->n_arms; a++) {
        write_contrast(page, r, metric, &metric->contrasts[a - 1]);
    }
}
