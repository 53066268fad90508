#include "stats/analysis.h"

#include <stdlib.h>

#include "stats/analysis_parts.h"

const char *analysis_kind_name(enum analysis_kind kind)
{
    static const char *const names[] = {"proportion", "mean", "count", "ratio",
                                        "quantile"};
    return names[kind];
}

bool analysis_is_of_sums(const struct analysis_metric *metric)
{
    return metric->kind != ANALYSIS_QUANTILE && !(metric->trim > 0);
}

const char *verdict_name(enum verdict verdict)
{
    static const char *const names[] = {"ship", "roll back", "keep running",
                                        "do not trust", "no data"};
    return names[verdict];
}

const char *decider_name(enum decider decider)
{
    static const char *const names[] = {"fixed-horizon", "always-valid",
                                        "planned looks"};
    return names[decider];
}

const char *check_status_name(enum check_status status)
{
    static const char *const names[] = {"ok", "note", "warning", "failed"};
    return names[status];
}

const char *guard_state_name(enum guard_state state)
{
    static const char *const names[] = {"none", "holds", "unclear", "breached"};
    return names[state];
}

const char *metric_role_name(enum metric_role role)
{
    static const char *const names[] = {"primary", "guardrail", "secondary"};
    return names[role];
}

int analysis_no_memory(const struct experiment_result *result, struct error *error)
{
    error_set(error, ERROR_NOMEM, "no memory to analyze %s", result->spec->name);
    return -1;
}

struct analysis *analysis_new(const struct evidence *evidence, int n_experiments)
{
    struct analysis *analysis = calloc(1, sizeof *analysis);
    if (!analysis) {
        return NULL;
    }
    analysis->evidence = *evidence;
    analysis->source = "log";
    for (int i = 0; i < evidence->n_damage_listed; i++) {
        struct evidence_damage *damage = &analysis->evidence.damage[i];
        damage->file = arena_text(&analysis->arena, slice_of(damage->file));
        damage->reason = arena_text(&analysis->arena, slice_of(damage->reason));
        if (!damage->file || !damage->reason) {
            analysis_free(analysis);
            return NULL;
        }
    }
    analysis->experiments = arena_zeroed(&analysis->arena, (size_t)n_experiments,
                                         sizeof *analysis->experiments);
    if (!analysis->experiments) {
        analysis_free(analysis);
        return NULL;
    }
    analysis->n_experiments = n_experiments;
    return analysis;
}

void analysis_free(struct analysis *analysis)
{
    if (analysis) {
        arena_free(&analysis->arena);
        free(analysis);
    }
}

static int count_arms(struct analysis *analysis, struct experiment_result *result,
                      const struct unit_table *table, struct error *error)
{
    const struct analysis_experiment *spec = result->spec;
    const size_t n_arms = (size_t)spec->n_arms;
    result->n_units = table->n_units;
    result->arm_units = arena_zeroed(&analysis->arena, n_arms, sizeof(int64_t));
    result->arm_expected = arena_zeroed(&analysis->arena, n_arms, sizeof(double));
    result->arm_exposures = arena_zeroed(&analysis->arena, n_arms, sizeof(int64_t));
    if (!result->arm_units || !result->arm_expected || !result->arm_exposures) {
        return analysis_no_memory(result, error);
    }
    for (int i = 0; i < table->n_units; i++) {
        result->arm_units[table->arm[i]]++;
        result->arm_exposures[table->arm[i]] += table->n_exposures[i];
        const int w = table->config[i];
        for (int a = 0; a < spec->n_arms; a++) {
            result->arm_expected[a] +=
                w >= 0 ? spec->weights[w].weights[a] : spec->arms[a].weight;
        }
    }
    result->n_crossover = table->n_crossover;
    result->n_forced = table->n_forced;
    result->n_unknown_arm = table->n_unknown_arm;
    result->n_feedback_early = table->n_feedback_early;
    result->n_feedback_late = table->n_feedback_late;
    result->first_ts_us = table->n_units ? table->first_ts_us_min : 0;
    result->last_ts_us = table->n_units ? table->last_ts_us : 0;
    return 0;
}

int analysis_run(struct analysis *analysis, int index,
                 const struct analysis_experiment *spec, struct unit_table *table,
                 struct error *error)
{
    struct experiment_result *result = &analysis->experiments[index];
    *result = (struct experiment_result){.spec = spec, .winner = -1};
    if (count_arms(analysis, result, table, error) != 0 ||
        analysis_metrics(analysis, result, table, error) != 0 ||
        analysis_bootstrap(analysis, result, table, error) != 0 ||
        analysis_series(analysis, result, table, error) != 0 ||
        analysis_families(analysis, result, error) != 0 ||
        analysis_adjustments_room(analysis, result, table, error) != 0 ||
        analysis_adjust(analysis, result, table, error) != 0 ||
        analysis_stratify(analysis, result, table, error) != 0 ||
        analysis_segments(analysis, result, table, error) != 0 ||
        analysis_lists(analysis, result, table, error) != 0 ||
        analysis_trust(analysis, result, table, error) != 0 ||
        analysis_decide(analysis, result, error) != 0) {
        return -1;
    }
    return 0;
}

int analysis_run_sums(struct analysis *analysis, int index,
                      const struct analysis_experiment *spec,
                      const struct ratio_sum *sums, struct error *error)
{
    struct experiment_result *result = &analysis->experiments[index];
    const size_t n_arms = (size_t)spec->n_arms;
    *result = (struct experiment_result){.spec = spec, .winner = -1};
    result->arm_units = arena_zeroed(&analysis->arena, n_arms, sizeof(int64_t));
    result->arm_expected = arena_zeroed(&analysis->arena, n_arms, sizeof(double));
    result->arm_exposures = arena_zeroed(&analysis->arena, n_arms, sizeof(int64_t));
    if (!result->arm_units || !result->arm_expected || !result->arm_exposures) {
        return analysis_no_memory(result, error);
    }
    for (int a = 0; a < spec->n_arms; a++) {
        for (int m = 0; m < spec->n_metrics; m++) {
            const int64_t n = (int64_t)sums[m * spec->n_arms + a].n_units;
            result->arm_units[a] = n > result->arm_units[a] ? n : result->arm_units[a];
        }
        result->n_units += result->arm_units[a];
    }
    for (int a = 0; a < spec->n_arms; a++) {
        result->arm_expected[a] = spec->arms[a].weight * (double)result->n_units;
    }
    return analysis_metrics_of_sums(analysis, result, sums, error) == 0 &&
                   analysis_looks(analysis, result, NULL, NULL, error) == 0 &&
                   analysis_families(analysis, result, error) == 0 &&
                   analysis_believe(result, error) == 0 &&
                   analysis_trust(analysis, result, NULL, error) == 0 &&
                   analysis_decide(analysis, result, error) == 0
               ? 0
               : -1;
}

bool analysis_is_untrusted(const struct analysis *analysis)
{
    for (int e = 0; e < analysis->n_experiments; e++) {
        if (analysis->experiments[e].verdict == VERDICT_DO_NOT_TRUST) {
            return true;
        }
    }
    return false;
}

bool analysis_is_gated(const struct analysis *analysis)
{
    for (int e = 0; e < analysis->n_experiments; e++) {
        const struct experiment_result *result = &analysis->experiments[e];
        if (result->verdict == VERDICT_ROLL_BACK || result->is_guardrail_breached ||
            (result->verdict != VERDICT_SHIP && result->is_treatment_worse)) {
            return true;
        }
    }
    return false;
}
