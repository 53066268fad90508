#include "experiment/config_keys.h"

#include <stdint.h>
#include <string.h>

#include "experiment/config.h"

static const struct section_spec section_specs[N_SECTION_KINDS] = {
    [SECTION_SERVER] = {"server", "", 1},
    [SECTION_LOG] = {"log", "", 1},
    [SECTION_DATA] = {"data", "", 1},
    [SECTION_MODEL] = {"model", " NAME", 2},
    [SECTION_SERVING] = {"serving", "", 1},
    [SECTION_ATTRIBUTES] = {"attributes", "", 1},
    [SECTION_HOLDOUT] = {"holdout", "", 1},
    [SECTION_METRIC] = {"metric", " NAME", 2},
    [SECTION_EXPERIMENT] = {"experiment", " NAME", 2},
    [SECTION_ARM] = {"arm", " EXPERIMENT NAME", 3},
    [SECTION_FORCE] = {"force", " EXPERIMENT", 2},
};

#define AT(type, member)  offsetof(struct type, member)
#define SECOND            1e6
#define DAY               (86400 * SECOND)
#define KIB               1024.0
#define NO_RANGE          0, 0, NULL
#define WITHIN(low, high) (low), (high), NULL
#define ONE_OF(words)     0, 0, words

static const struct config_key keys[] = {
    {SECTION_SERVER, "listen", KEY_ADDRESS, 0, NO_RANGE, "127.0.0.1:8080", 0},
    {SECTION_SERVER, "threads", KEY_INT, AT(server_config, threads), WITHIN(0, 1024),
     "0", 0},
    {SECTION_SERVER, "admin_token", KEY_TOKEN, 0, NO_RANGE, "", 0},

    {SECTION_SERVER, "allow_origin", KEY_ORIGIN, AT(server_config, allow_origin),
     NO_RANGE, "", 0},
    {SECTION_SERVER, "access_log", KEY_PATH, AT(server_config, access_log), NO_RANGE,
     "", 0},

    {SECTION_LOG, "directory", KEY_PATH, AT(log_config, directory), NO_RANGE, "logs",
     0},
    {SECTION_LOG, "fsync", KEY_WORD, AT(log_config, fsync),
     ONE_OF("always|everysec|no"), "everysec", 0},
    {SECTION_LOG, "segment_size", KEY_SIZE, AT(log_config, segment_size),
     WITHIN(64 * KIB, 1024 * KIB * KIB * KIB), "256MiB", 0},
    {SECTION_LOG, "segment_age", KEY_DURATION, AT(log_config, segment_age_us),
     WITHIN(SECOND, 365 * DAY), "1h", 0},
    {SECTION_LOG, "attributes", KEY_ATTRIBUTES, 0, NO_RANGE, "all", 0},

    {SECTION_DATA, "ratings", KEY_PATH, AT(data_config, ratings), NO_RANGE, "", 0},
    {SECTION_DATA, "titles", KEY_PATH, AT(data_config, titles), NO_RANGE, "", 0},

    {SECTION_MODEL, "file", KEY_PATH, AT(model_config, file), NO_RANGE, NULL, 0},

    {SECTION_SERVING, "model", KEY_MODEL, AT(serving, model), NO_RANGE, "",
     SERVING_MODEL},
    {SECTION_SERVING, "item_bias", KEY_NUMBER, AT(serving, item_bias),
     WITHIN(-1000, 1000), "1", SERVING_ITEM_BIAS},
    {SECTION_SERVING, "k", KEY_INT, AT(serving, k), WITHIN(1, 1000), "10", SERVING_K},
    {SECTION_SERVING, "explore", KEY_NUMBER, AT(serving, explore), WITHIN(0, 1000), "0",
     SERVING_EXPLORE},
    {SECTION_SERVING, "diversity", KEY_NUMBER, AT(serving, diversity), WITHIN(0, 1),
     "0", SERVING_DIVERSITY},

    {SECTION_HOLDOUT, "share", KEY_NUMBER, AT(holdout, share), WITHIN(0, 1), NULL, 0},
    {SECTION_HOLDOUT, "seed", KEY_TEXT, AT(holdout, seed), NO_RANGE, "holdout", 0},

    {SECTION_METRIC, "kind", KEY_KIND, 0, NO_RANGE, NULL, 0},
    {SECTION_METRIC, "event", KEY_EVENT, AT(metric, event), NO_RANGE, NULL, 0},
    {SECTION_METRIC, "denominator", KEY_EVENT, AT(metric, denominator), NO_RANGE, "",
     0},
    {SECTION_METRIC, "window", KEY_DURATION, AT(metric, window_us),
     WITHIN(0, 3650 * DAY), "none", 0},
    {SECTION_METRIC, "direction", KEY_WORD, AT(metric, direction),
     ONE_OF("none|up|down"), "none", 0},
    {SECTION_METRIC, "margin", KEY_NUMBER, AT(metric, margin), WITHIN(0, 0.99), "0", 0},
    {SECTION_METRIC, "margin_absolute", KEY_NUMBER, AT(metric, margin_absolute),
     WITHIN(0, 1e15), "0", 0},
    {SECTION_METRIC, "equivalence", KEY_NUMBER, AT(metric, equivalence),
     WITHIN(0, 0.99), "0", 0},
    {SECTION_METRIC, "cap", KEY_NUMBER, AT(metric, cap), WITHIN(0.5, 1), "1", 0},
    {SECTION_METRIC, "floor", KEY_NUMBER, AT(metric, floor), WITHIN(0, 0.49), "0", 0},
    {SECTION_METRIC, "trim", KEY_NUMBER, AT(metric, trim), WITHIN(0, 0.49), "0", 0},
    {SECTION_METRIC, "interval", KEY_WORD, AT(metric, interval),
     ONE_OF("formula|bootstrap"), "formula", 0},
    {SECTION_METRIC, "replicates", KEY_INT, AT(metric, replicates), WITHIN(100, 100000),
     "2000", 0},

    {SECTION_EXPERIMENT, "hypothesis", KEY_TEXT, AT(experiment, hypothesis), NO_RANGE,
     "", 0},
    {SECTION_EXPERIMENT, "status", KEY_WORD, AT(experiment, status),
     ONE_OF("draft|running|paused|stopped"), "draft", 0},
    {SECTION_EXPERIMENT, "seed", KEY_TEXT, AT(experiment, seed), NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "coverage", KEY_NUMBER, AT(experiment, coverage), WITHIN(0, 1),
     "1", 0},
    {SECTION_EXPERIMENT, "layer", KEY_LAYER, 0, NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "namespace", KEY_NAME_SPACE, 0, NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "audience", KEY_AUDIENCE, 0, NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "start", KEY_TIME, AT(experiment, start_us), NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "end", KEY_TIME, AT(experiment, end_us), NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "primary", KEY_METRIC, AT(experiment, primary), NO_RANGE, "",
     0},
    {SECTION_EXPERIMENT, "guardrails", KEY_METRICS, 0, NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "click", KEY_EVENT, AT(experiment, click), NO_RANGE, "", 0},
    {SECTION_EXPERIMENT, "alpha", KEY_ALPHA, AT(experiment, alpha), NO_RANGE, "0.05",
     0},
    {SECTION_EXPERIMENT, "sequential", KEY_BOOL, AT(experiment, sequential), NO_RANGE,
     "no", 0},
    {SECTION_EXPERIMENT, "planned_units", KEY_NUMBER, AT(experiment, planned_units),
     WITHIN(2, 1e12), "", 0},
    {SECTION_EXPERIMENT, "spending", KEY_WORD, AT(experiment, spending),
     ONE_OF("none|obrien-fleming|pocock|alpha-t2"), "none", 0},
    {SECTION_EXPERIMENT, "looks", KEY_INT, AT(experiment, looks), WITHIN(1, 100), "5",
     0},
    {SECTION_EXPERIMENT, "correction", KEY_WORD, AT(experiment, correction),
     ONE_OF("holm|hochberg|bonferroni|benjamini-hochberg|benjamini-yekutieli|none"),
     "holm", 0},
    {SECTION_EXPERIMENT, "minimum_time", KEY_DURATION, AT(experiment, minimum_time_us),
     WITHIN(0, 3650 * DAY), "none", 0},
    {SECTION_EXPERIMENT, "daily_units", KEY_NUMBER, AT(experiment, daily_units),
     WITHIN(1, 1e12), "", 0},
    {SECTION_EXPERIMENT, "baseline", KEY_NUMBER, AT(experiment, baseline),
     WITHIN(-1e12, 1e12), "", 0},
    {SECTION_EXPERIMENT, "deviation", KEY_NUMBER, AT(experiment, deviation),
     WITHIN(0, 1e12), "", 0},
    {SECTION_EXPERIMENT, "minimum_effect", KEY_NUMBER, AT(experiment, minimum_effect),
     WITHIN(1e-9, 1e12), "", 0},

    {SECTION_ARM, "weight", KEY_SHARE, AT(arm, weight), NO_RANGE, NULL, 0},
};

const struct section_spec *config_section_spec(enum section_kind kind)
{
    return &section_specs[kind];
}

const struct config_key *config_key_table(size_t *n)
{
    *n = sizeof keys / sizeof keys[0];
    return keys;
}

const struct config_key *config_key_find(enum section_kind kind, const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const bool is_here =
            keys[i].section == kind ||
            (kind == SECTION_ARM && keys[i].section == SECTION_SERVING);
        if (is_here && strcmp(keys[i].name, name) == 0) {
            return &keys[i];
        }
    }
    return NULL;
}
