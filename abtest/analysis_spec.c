#include "abtest/analysis_spec.h"

#include <stdlib.h>
#include <string.h>

static int no_memory(struct error *error)
{
    error_set(error, ERROR_NOMEM, "no memory for the experiments of the log");
    return -1;
}

void analysis_source_free(struct analysis_source *source)
{
    for (int i = 0; source->configs && i < source->n_configs; i++) {
        config_free(source->configs[i]);
    }
    arena_free(&source->arena);
    *source = (struct analysis_source){0};
}

/* Parses one logged config; one that cannot be read is a warning, not a failure, for
 * others may do. */
static int parse(struct analysis_source *source, int at, const struct join_config *from,
                 struct error *error)
{
    struct config_problems problems = {0};
    struct error why = {0};
    source->logged[at] = from;
    if (from->text.len == 0) {
        source->warnings[source->n_warnings] = arena_printf(
            &source->arena,
            "config %.*s is named by exposures, but its text is not in the log",
            (int)from->hash.len, from->hash.data);
    } else if (config_parse(from->text, "config in the log", "", &source->configs[at],
                            &problems, &why) != 0) {
        if (why.code == ERROR_NOMEM) {
            config_problems_free(&problems);
            return no_memory(error);
        }
        source->warnings[source->n_warnings] =
            arena_printf(&source->arena, "config %.*s cannot be read: %s",
                         (int)from->hash.len, from->hash.data, why.message);
    } else {
        config_problems_free(&problems);
        return 0;
    }
    config_problems_free(&problems);
    return source->warnings[source->n_warnings++] ? 0 : no_memory(error);
}

static int parse_all(const struct join *join, struct analysis_source *source,
                     struct error *error)
{
    const size_t n = (size_t)join_n_configs(join);
    source->configs = arena_zeroed(&source->arena, n, sizeof(struct config *));
    source->logged =
        arena_zeroed(&source->arena, n, sizeof(const struct join_config *));
    source->warnings = arena_zeroed(&source->arena, n, sizeof(const char *));
    if (!source->configs || !source->logged || !source->warnings) {
        return no_memory(error);
    }
    source->n_configs = (int)n;
    for (int i = 0; i < source->n_configs; i++) {
        if (parse(source, i, join_config(join, i), error) != 0) {
            return -1;
        }
    }
    return 0;
}

static enum analysis_kind kind_of(enum metric_kind kind)
{
    switch (kind) {
    case METRIC_PROPORTION:
        return ANALYSIS_PROPORTION;
    case METRIC_MEAN:
        return ANALYSIS_MEAN;
    case METRIC_COUNT:
        return ANALYSIS_COUNT;
    case METRIC_RATIO:
        return ANALYSIS_RATIO;
    case METRIC_QUANTILE:
        break;
    }
    return ANALYSIS_QUANTILE;
}

static enum analysis_correction correction_of(enum correction_choice choice)
{
    static const enum analysis_correction corrections[] = {
        [CHOICE_HOLM] = ANALYSIS_HOLM,
        [CHOICE_HOCHBERG] = ANALYSIS_HOCHBERG,
        [CHOICE_BONFERRONI] = ANALYSIS_BONFERRONI,
        [CHOICE_BH] = ANALYSIS_BH,
        [CHOICE_BY] = ANALYSIS_BY,
        [CHOICE_NONE] = ANALYSIS_UNCORRECTED,
    };
    return corrections[choice];
}

static enum spending spending_of(enum spending_choice choice)
{
    return choice == CHOICE_POCOCK     ? SPENDING_POCOCK
           : choice == CHOICE_ALPHA_T2 ? SPENDING_POWER
                                       : SPENDING_OBRIEN_FLEMING;
}

static const struct analysis_metric *metrics_of(struct analysis_source *source,
                                                const struct config *config)
{
    struct analysis_metric *metrics =
        arena_zeroed(&source->arena, (size_t)config->n_metrics, sizeof *metrics);
    for (int m = 0; metrics && m < config->n_metrics; m++) {
        const struct metric *from = &config->metrics[m];
        metrics[m] = (struct analysis_metric){
            .name = from->name,
            .kind = kind_of(from->kind),
            .quantile = from->quantile,
            .event = from->event,
            .denominator = from->denominator,
            .window_us = from->window_us,
            .margin = from->margin,
            .margin_absolute = from->margin_absolute,
            .cap = from->cap,
            .floor = from->floor,
            .trim = from->trim,
            .replicates = from->interval == INTERVAL_BOOTSTRAP ? from->replicates : 0,
            .equivalence = from->equivalence,
            .direction = from->direction == DIRECTION_UP     ? 1
                         : from->direction == DIRECTION_DOWN ? -1
                                                             : 0,
        };
    }
    return metrics;
}

static const struct analysis_attribute *attributes_of(struct analysis_source *source,
                                                      const struct config *config)
{
    static const enum analysis_attribute_kind kinds[] = {
        [ATTRIBUTE_STRING] = ANALYSIS_ATTRIBUTE_STRING,
        [ATTRIBUTE_NUMBER] = ANALYSIS_ATTRIBUTE_NUMBER,
        [ATTRIBUTE_BOOLEAN] = ANALYSIS_ATTRIBUTE_BOOLEAN,
    };
    struct analysis_attribute *attributes =
        arena_zeroed(&source->arena, (size_t)config->n_attributes, sizeof *attributes);
    for (int i = 0; attributes && i < config->n_attributes; i++) {
        const struct attribute *from = &config->attributes[i];
        attributes[i] = (struct analysis_attribute){from->name, kinds[from->type],
                                                    from->cuts, from->n_cuts};
    }
    return attributes;
}

/* The event that answers to an item: what the config says, else the primary metric's
 * own, unless that is the exposures themselves. */
static const char *click_of(const struct config *config, const struct experiment *from)
{
    const char *event = from->click         ? from->click
                        : from->primary < 0 ? NULL
                                            : config->metrics[from->primary].event;
    return event && strncmp(event, "exposure", strlen("exposure")) != 0 ? event : NULL;
}

/* The weights that each logged config gave to the arms of `experiment`. */
static int weights_of(struct analysis_source *source,
                      const struct experiment *experiment,
                      struct analysis_experiment *to)
{
    struct analysis_weights *weights =
        arena_zeroed(&source->arena, (size_t)source->n_configs, sizeof *weights);
    if (!weights) {
        return -1;
    }
    to->weights = weights;
    for (int c = 0; c < source->n_configs; c++) {
        const struct config *config = source->configs[c];
        const int at =
            config ? config_find_experiment(config, slice_of(experiment->name)) : -1;
        if (at < 0) {
            continue;
        }
        double *values =
            arena_zeroed(&source->arena, (size_t)experiment->n_arms, sizeof(double));
        if (!values) {
            return -1;
        }
        for (int a = 0; a < experiment->n_arms; a++) {
            const struct experiment *then = &config->experiments[at];
            const int arm =
                experiment_find_arm(then, slice_of(experiment->arms[a].name));
            values[a] = arm < 0 ? 0 : then->arms[arm].weight;
        }
        weights[to->n_weights++] =
            (struct analysis_weights){source->logged[c]->hash, values};
    }
    return 0;
}

static int add_experiment(struct analysis_source *source, int from_config,
                          const struct experiment *from,
                          const struct analysis_metric *metrics,
                          struct analysis_experiment *to)
{
    const struct config *config = source->configs[from_config];
    struct analysis_arm *arms =
        arena_zeroed(&source->arena, (size_t)from->n_arms, sizeof *arms);
    const char *text =
        arena_text(&source->arena, (struct slice){config->text, config->text_len});
    const struct analysis_attribute *attributes = attributes_of(source, config);
    if (!arms || !metrics || !text || !attributes) {
        return -1;
    }
    for (int a = 0; a < from->n_arms; a++) {
        arms[a] = (struct analysis_arm){from->arms[a].name, from->arms[a].weight};
    }
    *to = (struct analysis_experiment){
        .name = from->name,
        .hypothesis = from->hypothesis,
        .status = experiment_status_name(from->status),
        .config_hash = config->hash,
        .config_text = text,
        .config_ts_us = source->logged[from_config]->first_ts_us,
        .models = source->logged[from_config]->models,
        .n_models = source->logged[from_config]->n_models,
        .alpha = from->alpha,
        .correction = correction_of(from->correction),
        .minimum_time_us = from->minimum_time_us,
        .minimum_effect = from->minimum_effect,
        .sequential = from->sequential,
        .planned_units = from->planned_units,
        .has_spending = from->spending != CHOICE_NO_SPENDING,
        .spending = spending_of(from->spending),
        .n_looks = from->looks,
        .arms = arms,
        .n_arms = from->n_arms,
        .metrics = metrics,
        .n_metrics = config->n_metrics,
        .primary = from->primary,
        .click = click_of(config, from),
        .seed = source->seed ? source->seed : 1,
        .attributes = attributes,
        .n_attributes = config->n_attributes,
        .guardrails = from->guardrails,
        .n_guardrails = from->n_guardrails,
    };
    return weights_of(source, from, to);
}

static bool is_listed(const struct analysis_experiment *experiments, int n,
                      const char *name)
{
    for (int e = 0; e < n; e++) {
        if (strcmp(experiments[e].name, name) == 0) {
            return true;
        }
    }
    return false;
}

int analysis_source_build(const struct join *join, const char *path,
                          const char *experiment, struct analysis_source *source,
                          struct error *error)
{
    size_t n_most = 0;
    if (parse_all(join, source, error) != 0) {
        return -1;
    }
    for (int c = 0; c < source->n_configs; c++) {
        n_most += source->configs[c] ? (size_t)source->configs[c]->n_experiments : 0;
    }
    struct analysis_experiment *experiments =
        arena_zeroed(&source->arena, n_most, sizeof *experiments);
    if (!experiments) {
        return no_memory(error);
    }
    int n = 0;
    for (int c = 0; c < source->n_configs; c++) {
        const struct config *config = source->configs[c];
        const struct analysis_metric *metrics =
            config ? metrics_of(source, config) : NULL;
        for (int e = 0; config && e < config->n_experiments; e++) {
            const struct experiment *from = &config->experiments[e];
            if ((experiment && strcmp(from->name, experiment) != 0) ||
                is_listed(experiments, n, from->name)) {
                continue;
            }
            if (add_experiment(source, c, from, metrics, &experiments[n]) != 0) {
                return no_memory(error);
            }
            n++;
        }
    }
    source->spec = (struct analysis_spec){experiments, n};
    if (n == 0) {
        const char *separator = source->n_warnings ? "; " : "";
        const char *warning = source->n_warnings ? source->warnings[0] : "";
        if (experiment) {
            error_set(error, ERROR_NOT_FOUND,
                      "%s: no config in this log has an experiment \"%s\"%s%s", path,
                      experiment, separator, warning);
        } else {
            error_set(error, ERROR_NOT_FOUND,
                      "%s: no config in this log has an experiment%s%s", path,
                      separator, warning);
        }
        source->n_warnings = 0; /* said */
        return -1;
    }
    return 0;
}

int analysis_source_of_config(const char *path, struct analysis_source *source,
                              struct error *error)
{
    struct config_problems problems = {0};
    struct join_config *logged = arena_zeroed(&source->arena, 1, sizeof *logged);
    source->configs = arena_zeroed(&source->arena, 1, sizeof(struct config *));
    source->logged =
        arena_zeroed(&source->arena, 1, sizeof(const struct join_config *));
    if (!logged || !source->configs || !source->logged) {
        return no_memory(error);
    }
    source->n_configs = 1;
    const int rc = config_load(path, &source->configs[0], &problems, error);
    config_problems_free(&problems);
    if (rc != 0) {
        return -1;
    }
    const struct config *config = source->configs[0];
    const struct analysis_metric *metrics = metrics_of(source, config);
    struct analysis_experiment *experiments = arena_zeroed(
        &source->arena, (size_t)config->n_experiments, sizeof *experiments);
    logged->hash = slice_of(config->hash);
    source->logged[0] = logged;
    if (!experiments) {
        return no_memory(error);
    }
    for (int e = 0; e < config->n_experiments; e++) {
        if (add_experiment(source, 0, &config->experiments[e], metrics,
                           &experiments[e]) != 0) {
            return no_memory(error);
        }
    }
    source->spec = (struct analysis_spec){experiments, config->n_experiments};
    return 0;
}
