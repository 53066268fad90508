/* json_metrics.c - the metrics of an experiment in the JSON report: arms, contrasts and
 * the findings they share with segments and lists.
 */
#include <math.h>

#include "report/json_parts.h"

#include "report/report_formats.h"

void json_finding(struct json_writer *json, const char *key,
                  const struct finding *finding)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct finding, is_testable, "testable"),
        JSON_FIELD(struct finding, why_not, "why_not"),
        JSON_FIELD(struct finding, test, "test"),
        JSON_FIELD(struct finding, statistic_name, "statistic_name"),
        JSON_FIELD(struct finding, statistic, "statistic"),
        JSON_FIELD(struct finding, df, "df"),
        JSON_FIELD(struct finding, p_value, "p_value"),
        JSON_FIELD(struct finding, log10_p_value, "log10_p_value"),
        JSON_FIELD(struct finding, effect_size, "effect_size"),
        JSON_FIELD(struct finding, standard_error, "standard_error"),
        JSON_FIELD(struct finding, interval, "interval"),
        JSON_FIELD(struct finding, ci_lower, "ci_lower"),
        JSON_FIELD(struct finding, ci_upper, "ci_upper"),
        JSON_FIELD(struct finding, rel_effect_size, "rel_effect_size"),
        JSON_FIELD(struct finding, relative, "rel_interval"),
        JSON_FIELD(struct finding, rel_ci_lower, "rel_ci_lower"),
        JSON_FIELD(struct finding, rel_ci_upper, "rel_ci_upper"),
    };
    json_open(json, key, '{');
    JSON_FIELDS(json, fields, finding);
    json_close(json, '}');
}

void json_open_arm(struct json_writer *json, const struct experiment_result *r, int arm)
{
    json_open(json, NULL, '{');
    json_text(json, "arm", r->spec->arms[arm].name);
}

void json_contrasts(struct json_writer *json, const struct experiment_result *r,
                    const struct finding *findings, const double *p_adjusted)
{
    json_open(json, "contrasts", '[');
    for (int a = 1; a < r->spec->n_arms; a++) {
        json_open_arm(json, r, a);
        json_finding(json, "fixed", &findings[a - 1]);
        json_number(json, "p_adjusted", p_adjusted[a - 1]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_arms(struct json_writer *json, const struct experiment_result *r,
                       const struct metric_result *metric)
{
    static const struct json_field bounds[] = {
        JSON_FIELD(struct metric_arm, interval, "interval"),
        JSON_FIELD(struct metric_arm, ci_lower, "ci_lower"),
        JSON_FIELD(struct metric_arm, ci_upper, "ci_upper"),
    };
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        const struct metric_arm *arm = &metric->arms[a];
        json_open_arm(json, r, a);
        json_int(json, "n", (int64_t)arm->sum.n_units);
        if (metric->spec->kind == ANALYSIS_PROPORTION) {
            json_int(json, "successes", (int64_t)arm->sum_x);
        } else if (metric->spec->kind != ANALYSIS_QUANTILE) {
            json_number(json, "total", arm->sum_x);
        }
        if (metric->spec->kind == ANALYSIS_RATIO) {
            json_number(json, "denominator", arm->sum_y);
        }
        json_number(json, report_value_word(metric->spec->kind), arm->estimate.value);
        JSON_FIELDS(json, bounds, arm);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_belief(struct json_writer *json, const struct belief *belief)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct belief, method, "method"),
        JSON_FIELD(struct belief, p_better, "p_better"),
        JSON_FIELD(struct belief, expected_loss, "expected_loss"),
        JSON_FIELD(struct belief, ci_lower, "ci_lower"),
        JSON_FIELD(struct belief, ci_upper, "ci_upper"),
    };
    if (belief->method) {
        json_open(json, "bayes", '{');
        JSON_FIELDS(json, fields, belief);
        json_close(json, '}');
    }
}

static void write_family(struct json_writer *json, const struct contrast *contrast)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct contrast, adjustment, "correction"),
        JSON_FIELD(struct contrast, n_family, "questions"),
        JSON_FIELD(struct contrast, p_adjusted, "p_value"),
        JSON_FIELD(struct contrast, always_p_adjusted, "always_valid_p_value"),
        JSON_FIELD(struct contrast, mixture.p_adjusted, "msprt_p_value"),
    };
    json_open(json, "corrected", '{');
    JSON_FIELDS(json, fields, contrast);
    json_close(json, '}');
}

static void write_guard(struct json_writer *json, const struct guard *guard)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct guard, margin, "margin"),
        JSON_FIELD(struct guard, margin_absolute, "margin_absolute"),
        JSON_FIELD(struct guard, p_value, "p_value"),
        JSON_FIELD(struct guard, method, "method"),
        JSON_FIELD(struct guard, detail, "detail"),
        JSON_FIELD(struct guard, holds_back, "holds_back"),
    };
    if (guard->state != GUARD_NONE) {
        json_open(json, "guardrail", '{');
        json_text(json, "state", guard_state_name(guard->state));
        JSON_FIELDS(json, fields, guard);
        json_close(json, '}');
    }
}

static void write_equivalence(struct json_writer *json,
                              const struct equivalence_result *equivalence)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct equivalence_result, method, "method"),
        JSON_FIELD(struct equivalence_result, margin, "margin"),
        JSON_FIELD(struct equivalence_result, p_value, "p_value"),
        JSON_FIELD(struct equivalence_result, ci_lower, "rel_ci_lower"),
        JSON_FIELD(struct equivalence_result, ci_upper, "rel_ci_upper"),
        JSON_FIELD(struct equivalence_result, holds, "holds"),
    };
    if (equivalence->method) {
        json_open(json, "equivalence", '{');
        JSON_FIELDS(json, fields, equivalence);
        json_close(json, '}');
    }
}

static void write_series(struct json_writer *json, const struct experiment_result *r,
                         const struct contrast *contrast)
{
    static const struct json_field fields[] = {
        JSON_FIELD(struct series_point, ts_us, "before_ts_us"),
        JSON_FIELD(struct series_point, n_units, "units"),
        JSON_FIELD(struct series_point, effect_size, "effect_size"),
        JSON_FIELD(struct series_point, ci_lower, "ci_lower"),
        JSON_FIELD(struct series_point, ci_upper, "ci_upper"),
        JSON_FIELD(struct series_point, always_lower, "always_valid_lower"),
        JSON_FIELD(struct series_point, always_upper, "always_valid_upper"),
    };
    json_open(json, "series", '[');
    for (int i = 0; contrast->series && i < r->n_series; i++) {
        json_open(json, NULL, '{');
        JSON_FIELDS(json, fields, &contrast->series[i]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_adjustments(struct json_writer *json, const struct contrast *contrast)
{
    json_open(json, "adjustments", '[');
    for (int i = 0; i < contrast->n_adjustments; i++) {
        const struct adjustment *one = &contrast->adjustments[i];
        json_open(json, NULL, '{');
        json_text(json, "by", one->by);
        json_finding(json, "adjusted", &one->finding);
        json_number(json, "variance_reduction", one->variance_reduction);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_contrast(struct json_writer *json, const struct experiment_result *r,
                           const struct contrast *contrast)
{
    json_open_arm(json, r, contrast->arm);
    json_text(json, "against", r->spec->arms[0].name);
    json_finding(json, "fixed", &contrast->fixed);
    json_finding(json, "always_valid", &contrast->always);
    json_looks(json, r, contrast);
    json_finding(json, "adjusted", &contrast->adjusted);
    json_number(json, "variance_reduction", contrast->variance_reduction);
    write_adjustments(json, contrast);
    write_belief(json, &contrast->belief);
    write_family(json, contrast);
    write_guard(json, &contrast->guard);
    write_equivalence(json, &contrast->equivalence);
    write_series(json, r, contrast);
    json_close(json, '}');
}

void json_metric(struct json_writer *json, const struct experiment_result *r,
                 const struct metric_result *metric)
{
    const struct analysis_metric *spec = metric->spec;
    json_open(json, NULL, '{');
    json_text(json, "name", spec->name);
    json_text(json, "role", metric_role_name(metric->role));
    json_text(json, "kind", analysis_kind_name(spec->kind));
    if (spec->kind == ANALYSIS_QUANTILE) {
        json_number(json, "quantile", spec->quantile);
        json_int(json, "sampled_1_in", metric->sampled_1_in);
    }
    if (spec->trim > 0) {
        json_number(json, "trimmed", spec->trim);
    }
    if (isfinite(metric->floor_value) || isfinite(metric->cap_value)) {
        json_number(json, "floor", metric->floor_value);
        json_number(json, "cap", metric->cap_value);
    }
    json_text(json, "event", spec->event);
    if (spec->denominator) {
        json_text(json, "denominator", spec->denominator);
    }
    json_int(json, "window_us", spec->window_us);
    json_text(json, "direction",
              spec->direction > 0   ? "up"
              : spec->direction < 0 ? "down"
                                    : NULL);
    write_arms(json, r, metric);
    json_open(json, "contrasts", '[');
    for (int a = 1; a < r->spec->n_arms; a++) {
        write_contrast(json, r, &metric->contrasts[a - 1]);
    }
    json_close(json, ']');
    json_close(json, '}');
}
