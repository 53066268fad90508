/* report_json.c - for programs; described by docs/report.schema.json. */
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "report/json_parts.h"
#include "report/report_formats.h"

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

static void write_days(struct json_writer *json, const struct experiment_result *r)
{
    json_open(json, "days_since_exposure", '[');
    for (int a = 1; a < r->spec->n_arms && r->days; a++) {
        const struct treatment_days *days = &r->days[a - 1];
        for (int d = 0; d < days->n_days; d++) {
            json_open(json, NULL, '{');
            json_text(json, "arm", r->spec->arms[a].name);
            json_int(json, "day", d);
            json_int(json, "units", days->n_units);
            json_number(json, "effect_size", days->days[d].effect_size);
            json_text(json, "interval", "Wald");
            json_number(json, "ci_lower", days->days[d].ci_lower);
            json_number(json, "ci_upper", days->days[d].ci_upper);
            json_close(json, '}');
        }
    }
    json_close(json, ']');
}

static void write_aa(struct json_writer *json, const struct aa_result *aa)
{
    if (aa->n_splits == 0) {
        return;
    }
    json_open(json, "aa", '{');
    json_int(json, "splits", aa->n_splits);
    json_int(json, "rejected", aa->n_rejected);
    json_int(json, "rejected_smeared", aa->n_smeared);
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
    json_bool(json, "treatment_worse", r->is_treatment_worse);
}

static void write_experiment(struct json_writer *json,
                             const struct experiment_result *r)
{
    static const struct json_field counts[] = {
        JSON_FIELD(struct experiment_result, n_units, "units"),
        JSON_FIELD(struct experiment_result, n_crossover, "crossover_units"),
        JSON_FIELD(struct experiment_result, n_forced, "forced_units"),
        JSON_FIELD(struct experiment_result, n_unknown_arm, "unknown_arm_units"),
        JSON_FIELD(struct experiment_result, n_feedback_early,
                   "feedback_before_exposure"),
        JSON_FIELD(struct experiment_result, n_feedback_late, "feedback_after_window"),
        JSON_FIELD(struct experiment_result, first_ts_us, "first_ts_us"),
        JSON_FIELD(struct experiment_result, last_ts_us, "last_ts_us"),
        JSON_FIELD(struct experiment_result, units_needed, "units_needed"),
        JSON_FIELD(struct experiment_result, days_needed, "days_needed"),
    };
    const struct analysis_experiment *spec = r->spec;
    json_open(json, NULL, '{');
    json_text(json, "experiment", spec->name);
    json_text(json, "hypothesis", spec->hypothesis);
    json_text(json, "status", spec->status);
    write_verdict(json, r);
    json_text(json, "config", spec->config_hash);
    json_int(json, "config_ts_us", spec->config_ts_us);
    json_open(json, "models", '[');
    for (int i = 0; i < spec->n_models; i++) {
        json_open(json, NULL, '{');
        json_text(json, "model", spec->models[i].name);
        json_text(json, "hash", spec->models[i].hash);
        json_close(json, '}');
    }
    json_close(json, ']');
    json_number(json, "alpha", spec->alpha);
    json_bool(json, "sequential", spec->sequential);
    json_number(json, "planned_units",
                spec->planned_units > 0 ? spec->planned_units : (double)NAN);
    JSON_FIELDS(json, counts, r);
    write_checks(json, r);
    write_arms(json, r);
    write_days(json, r);
    json_open(json, "metrics", '[');
    for (int m = 0; m < spec->n_metrics; m++) {
        json_metric(json, r, &r->metrics[m]);
    }
    json_close(json, ']');
    json_text(json, "covariates", r->covariates);
    json_segments(json, r);
    json_items(json, r);
    write_aa(json, &r->aa);
    json_close(json, '}');
}

static void write_evidence(struct json_writer *json, const struct evidence *e)
{
    static const struct json_field counts[] = {
        JSON_FIELD(struct evidence, n_segments, "segments"),
        JSON_FIELD(struct evidence, n_bytes, "bytes"),
        JSON_FIELD(struct evidence, n_events, "events"),
        JSON_FIELD(struct evidence, n_exposures, "exposures"),
        JSON_FIELD(struct evidence, n_feedback, "feedback"),
        JSON_FIELD(struct evidence, n_duplicates, "duplicates"),
        JSON_FIELD(struct evidence, n_conflicts, "conflicting_duplicates"),
        JSON_FIELD(struct evidence, n_unexposed, "feedback_without_exposure"),
        JSON_FIELD(struct evidence, n_skewed, "feedback_before_its_exposure"),
        JSON_FIELD(struct evidence, n_bad_values, "unusable_values"),
        JSON_FIELD(struct evidence, n_torn_tails, "torn_tails"),
        JSON_FIELD(struct evidence, n_damaged, "damaged"),
    };
    static const struct json_field damage[] = {
        JSON_FIELD(struct evidence_damage, file, "file"),
        JSON_FIELD(struct evidence_damage, offset, "offset"),
        JSON_FIELD(struct evidence_damage, size, "size"),
        JSON_FIELD(struct evidence_damage, reason, "reason"),
    };
    char fingerprint[20];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, e->fingerprint);
    json_open(json, "evidence", '{');
    JSON_FIELDS(json, counts, e);
    json_open(json, "damage", '[');
    for (int d = 0; d < e->n_damage_listed; d++) {
        json_open(json, NULL, '{');
        JSON_FIELDS(json, damage, &e->damage[d]);
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
