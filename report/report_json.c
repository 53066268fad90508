/* report_json.c - for programs; described by docs/report.schema.json. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/json_writer.h"
#include "report/report_formats.h"

static void write_finding(struct json_writer *json, const char *key,
                          const struct finding *e)
{
    json_open(json, key, '{');
    json_bool(json, "testable", e->is_testable);
    json_text(json, "why_not", e->why_not);
    json_text(json, "test", e->test);
    json_text(json, "statistic_name", e->statistic_name);
    json_number(json, "statistic", e->statistic);
    json_number(json, "df", e->df);
    json_number(json, "p_value", e->p_value);
    json_number(json, "log10_p_value", e->log10_p_value);
    json_number(json, "effect_size", e->effect_size);
    json_number(json, "standard_error", e->standard_error);
    json_text(json, "interval", e->interval);
    json_number(json, "ci_lower", e->ci_lower);
    json_number(json, "ci_upper", e->ci_upper);
    json_number(json, "rel_effect_size", e->rel_effect_size);
    json_text(json, "rel_interval", e->relative);
    json_number(json, "rel_ci_lower", e->rel_ci_lower);
    json_number(json, "rel_ci_upper", e->rel_ci_upper);
    json_close(json, '}');
}

static void write_checks(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "checks", '[');
    for (int c = 0; c < r->n_checks; c++) {
        const struct check *check = &r->checks[c];
        json_open(json, NULL, '{');
        json_text(json, "name", check->name);
        json_text(json, "status", check_status_name(check->status));
        json_text(json, "method", check->method);
        json_number(json, "p_value", check->p_value);
        json_text(json, "detail", check->detail);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_arms(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        json_open(json, NULL, '{');
        json_text(json, "name", r->spec->arms[a].name);
        json_number(json, "weight", r->spec->arms[a].weight);
        json_int(json, "units", r->arm_units[a]);
        json_number(json, "expected_units", r->arm_expected[a]);
        json_int(json, "exposures", r->arm_exposures[a]);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_metric_arms(struct json_writer *json,
                              const struct experiment_result *r,
                              const struct metric_result *metric)
{
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        const struct metric_arm *arm = &metric->arms[a];
        json_open(json, NULL, '{');
        json_text(json, "arm", r->spec->arms[a].name);
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
        json_text(json, "interval", arm->interval);
        json_number(json, "ci_lower", arm->ci_lower);
        json_number(json, "ci_upper", arm->ci_upper);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_belief(struct json_writer *json, const struct belief *belief)
{
    if (!belief->method) {
        return;
    }
    json_open(json, "bayes", '{');
    json_text(json, "method", belief->method);
    json_number(json, "p_better", belief->p_better);
    json_number(json, "expected_loss", belief->expected_loss);
    json_number(json, "ci_lower", belief->ci_lower);
    json_number(json, "ci_upper", belief->ci_upper);
    json_close(json, '}');
}

static void write_family(struct json_writer *json, const struct contrast *contrast)
{
    json_open(json, "corrected", '{');
    json_text(json, "correction", contrast->adjustment);
    json_int(json, "questions", contrast->n_family);
    json_number(json, "p_value", contrast->p_adjusted);
    json_number(json, "always_valid_p_value", contrast->always_p_adjusted);
    json_close(json, '}');
}

static void write_guard(struct json_writer *json, const struct guard *guard)
{
    if (guard->state == GUARD_NONE) {
        return;
    }
    json_open(json, "guardrail", '{');
    json_text(json, "state", guard_state_name(guard->state));
    json_number(json, "margin", guard->margin);
    json_number(json, "p_value", guard->p_value);
    json_text(json, "method", guard->method);
    json_text(json, "detail", guard->detail);
    json_close(json, '}');
}

static void write_series(struct json_writer *json, const struct experiment_result *r,
                         const struct contrast *contrast)
{
    json_open(json, "series", '[');
    for (int i = 0; contrast->series && i < r->n_series; i++) {
        const struct series_point *point = &contrast->series[i];
        json_open(json, NULL, '{');
        json_int(json, "before_ts_us", point->ts_us);
        json_int(json, "units", point->n_units);
        json_number(json, "effect_size", point->effect_size);
        json_number(json, "ci_lower", point->ci_lower);
        json_number(json, "ci_upper", point->ci_upper);
        json_number(json, "always_valid_lower", point->always_lower);
        json_number(json, "always_valid_upper", point->always_upper);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_days(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "days_since_exposure", '[');
    for (int d = 0; d < r->n_days; d++) {
        json_open(json, NULL, '{');
        json_int(json, "day", d);
        json_int(json, "units", r->n_days_units);
        json_number(json, "effect_size", r->days[d].effect_size);
        json_number(json, "ci_lower", r->days[d].ci_lower);
        json_number(json, "ci_upper", r->days[d].ci_upper);
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_metric(struct json_writer *json, const struct experiment_result *r,
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
    json_text(json, "event", spec->event);
    if (spec->denominator) {
        json_text(json, "denominator", spec->denominator);
    }
    json_int(json, "window_us", spec->window_us);
    json_text(json, "direction",
              spec->direction > 0   ? "up"
              : spec->direction < 0 ? "down"
                                    : NULL);
    write_metric_arms(json, r, metric);
    json_open(json, "contrasts", '[');
    for (int a = 1; a < r->spec->n_arms; a++) {
        const struct contrast *contrast = &metric->contrasts[a - 1];
        json_open(json, NULL, '{');
        json_text(json, "arm", r->spec->arms[contrast->arm].name);
        json_text(json, "against", r->spec->arms[0].name);
        write_finding(json, "fixed", &contrast->fixed);
        write_finding(json, "always_valid", &contrast->always);
        write_finding(json, "adjusted", &contrast->adjusted);
        json_number(json, "variance_reduction", contrast->variance_reduction);
        write_belief(json, &contrast->belief);
        write_family(json, contrast);
        write_guard(json, &contrast->guard);
        write_series(json, r, contrast);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void write_group(struct json_writer *json, const struct experiment_result *r,
                        const struct segment_result *group)
{
    json_open(json, NULL, '{');
    json_text(json, "group", group->group);
    json_number(json, "sample_ratio_p_value", group->srm_p);
    json_open(json, "arms", '[');
    for (int a = 0; a < r->spec->n_arms; a++) {
        json_open(json, NULL, '{');
        json_text(json, "arm", r->spec->arms[a].name);
        json_int(json, "n", group->arm_units[a]);
        json_number(json, "value", group->arm_value[a]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_open(json, "contrasts", '[');
    for (int a = 1; a < r->spec->n_arms; a++) {
        json_open(json, NULL, '{');
        json_text(json, "arm", r->spec->arms[a].name);
        write_finding(json, "fixed", &group->findings[a - 1]);
        json_number(json, "p_adjusted", group->p_adjusted[a - 1]);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void write_segments(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "segments", '[');
    for (int s = 0; s < r->n_segmentations; s++) {
        const struct segmentation *segmentation = &r->segmentations[s];
        json_open(json, NULL, '{');
        json_text(json, "name", segmentation->name);
        json_text(json, "metric", r->spec->metrics[r->spec->primary].name);
        json_text(json, "correction", segmentation->adjustment);
        json_text(json, "interaction_test", "Cochran's Q");
        json_number(json, "interaction_p_value", segmentation->interaction_p);
        json_open(json, "groups", '[');
        for (int g = 0; g < segmentation->n_groups; g++) {
            write_group(json, r, &segmentation->groups[g]);
        }
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, ']');
}

static void write_items(struct json_writer *json, const struct experiment_result *r)
{
    if (r->n_item_metrics == 0) {
        return;
    }
    json_open(json, "lists", '{');
    json_int(json, "items", r->n_items);
    json_open(json, "metrics", '[');
    for (int m = 0; m < r->n_item_metrics; m++) {
        const struct item_metric *metric = &r->item_metrics[m];
        json_open(json, NULL, '{');
        json_text(json, "name", metric->name);
        json_text(json, "meaning", metric->meaning);
        json_open(json, "arms", '[');
        for (int a = 0; a < r->spec->n_arms; a++) {
            json_open(json, NULL, '{');
            json_text(json, "arm", r->spec->arms[a].name);
            json_number(json, "value", metric->arms[a].value);
            json_number(json, "standard_error", sqrt(metric->arms[a].variance));
            json_close(json, '}');
        }
        json_close(json, ']');
        json_open(json, "contrasts", '[');
        for (int a = 1; a < r->spec->n_arms; a++) {
            json_open(json, NULL, '{');
            json_text(json, "arm", r->spec->arms[a].name);
            write_finding(json, "fixed", &metric->findings[a - 1]);
            json_close(json, '}');
        }
        json_close(json, ']');
        json_close(json, '}');
    }
    json_close(json, ']');
    json_close(json, '}');
}

static void write_aa(struct json_writer *json, const struct aa_result *aa)
{
    if (aa->n_splits == 0) {
        return;
    }
    json_open(json, "aa", '{');
    json_int(json, "splits", aa->n_splits);
    json_int(json, "rejected", aa->n_rejected);
    json_number(json, "rate", aa->rate);
    json_text(json, "interval", "Wilson score");
    json_number(json, "ci_lower", aa->ci_lower);
    json_number(json, "ci_upper", aa->ci_upper);
    json_text(json, "uniformity_test", "Kolmogorov-Smirnov");
    json_number(json, "uniformity_statistic", aa->ks_statistic);
    json_number(json, "uniformity_p_value", aa->ks_p);
    json_bool(json, "sound", aa->is_sound);
    json_close(json, '}');
}

static void write_verdict(struct json_writer *json, const struct experiment_result *r)
{
    json_text(json, "verdict", verdict_name(r->verdict));
    json_text(json, "winner", r->winner < 0 ? NULL : r->spec->arms[r->winner].name);
    json_text(json, "headline", r->headline);
    json_text(json, "advice", r->advice);
    json_open(json, "reasons", '[');
    for (int i = 0; i < r->n_reasons; i++) {
        json_text(json, NULL, r->reasons[i]);
    }
    json_close(json, ']');
    json_bool(json, "guardrail_breached", r->is_guardrail_breached);
}

static void write_experiment(struct json_writer *json,
                             const struct experiment_result *r)
{
    const struct analysis_experiment *spec = r->spec;
    json_open(json, NULL, '{');
    json_text(json, "experiment", spec->name);
    json_text(json, "hypothesis", spec->hypothesis);
    json_text(json, "status", spec->status);
    write_verdict(json, r);
    json_text(json, "config", spec->config_hash);
    json_int(json, "config_ts_us", spec->config_ts_us);
    json_number(json, "alpha", spec->alpha);
    json_bool(json, "sequential", spec->sequential);
    json_int(json, "units", r->n_units);
    json_int(json, "crossover_units", r->n_crossover);
    json_int(json, "forced_units", r->n_forced);
    json_int(json, "unknown_arm_units", r->n_unknown_arm);
    json_int(json, "feedback_before_exposure", r->n_feedback_early);
    json_int(json, "feedback_after_window", r->n_feedback_late);
    json_int(json, "first_ts_us", r->first_ts_us);
    json_int(json, "last_ts_us", r->last_ts_us);
    json_int(json, "forced_units", r->n_forced);
    json_number(json, "units_needed", r->units_needed);
    json_number(json, "days_needed", r->days_needed);
    write_checks(json, r);
    write_arms(json, r);
    write_days(json, r);
    json_open(json, "metrics", '[');
    for (int m = 0; m < spec->n_metrics; m++) {
        write_metric(json, r, &r->metrics[m]);
    }
    json_close(json, ']');
    json_text(json, "covariates", r->covariates);
    write_segments(json, r);
    write_items(json, r);
    write_aa(json, &r->aa);
    json_close(json, '}');
}

static void write_evidence(struct json_writer *json, const struct evidence *e)
{
    char fingerprint[20];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, e->fingerprint);
    json_open(json, "evidence", '{');
    json_int(json, "segments", e->n_segments);
    json_int(json, "bytes", e->n_bytes);
    json_int(json, "events", e->n_events);
    json_int(json, "exposures", e->n_exposures);
    json_int(json, "feedback", e->n_feedback);
    json_int(json, "duplicates", e->n_duplicates);
    json_int(json, "conflicting_duplicates", e->n_conflicts);
    json_int(json, "feedback_without_exposure", e->n_unexposed);
    json_int(json, "feedback_before_its_exposure", e->n_skewed);
    json_int(json, "unusable_values", e->n_bad_values);
    json_int(json, "torn_tails", e->n_torn_tails);
    json_int(json, "damaged", e->n_damaged);
    json_open(json, "damage", '[');
    for (int d = 0; d < e->n_damage_listed; d++) {
        json_open(json, NULL, '{');
        json_text(json, "file", e->damage[d].file);
        json_int(json, "offset", e->damage[d].offset);
        json_int(json, "size", e->damage[d].size);
        json_text(json, "reason", e->damage[d].reason);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_text(json, "fingerprint", fingerprint);
    json_close(json, '}');
}

void report_json(const struct analysis *analysis, struct buffer *out)
{
    struct json_writer json = {.out = out};
    json_open(&json, NULL, '{');
    json_int(&json, "report_version", 1);
    json_text(&json, "source", analysis->source);
    json_open(&json, "experiments", '[');
    for (int e = 0; e < analysis->n_experiments; e++) {
        write_experiment(&json, &analysis->experiments[e]);
    }
    json_close(&json, ']');
    write_evidence(&json, &analysis->evidence);
    json_close(&json, '}');
    buffer_append_char(out, '\n');
}
