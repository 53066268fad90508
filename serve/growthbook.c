#include "serve/growthbook.h"

#include <stdio.h>
#include <time.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "serve/flag.h"

static void append_number(struct buffer *out, const char *before, double number)
{
    buffer_append_text(out, before);
    json_append_double(out, number);
}

static void append_text(struct buffer *out, const char *before, const char *text)
{
    buffer_append_text(out, before);
    json_append_string(out, slice_of(text));
}

/* One rule for each arm that units are forced into; they come first, and an SDK does
 * not report them as part of the experiment. */
static void append_forced(struct buffer *out, const struct config *config,
                          const struct experiment *experiment)
{
    for (int arm = 0; arm < experiment->n_arms; arm++) {
        int n = 0;
        for (int i = 0; i < experiment->n_forced; i++) {
            if (experiment->forced[i].arm != arm) {
                continue;
            }
            append_text(out, n++ ? "," : "{\"condition\":{\"id\":{\"$in\":[",
                        experiment->forced[i].unit);
        }
        if (n) {
            buffer_append_text(out, "]}},\"force\":");
            flag_append_value(out, config, experiment, arm);
            buffer_append_text(out, "},");
        }
    }
}

static void append_filter(struct buffer *out, int *n, const char *prefix,
                          const char *seed, int hash_version, double start, double end)
{
    char full[96];
    snprintf(full, sizeof full, "%s%s", prefix, seed);
    append_text(out, (*n)++ ? ",{\"seed\":" : ",\"filters\":[{\"seed\":", full);
    buffer_printf(out, ",\"attribute\":\"id\",\"hashVersion\":%d,\"ranges\":[[",
                  hash_version);
    json_append_double(out, start);
    append_number(out, ",", end);
    buffer_append_text(out, "]]}");
}

static void append_filters(struct buffer *out, const struct config *config,
                           const struct experiment *experiment)
{
    int n = 0;
    if (config->holdout.share > 0) {
        append_filter(out, &n, "", config->holdout.seed, 2, config->holdout.share, 1);
    }
    if (experiment->layer) {
        append_filter(out, &n, "", experiment->layer, 2, experiment->layer_start,
                      experiment->layer_end);
    }
    if (experiment->name_space) { /* an SDK ignores "namespace" beside filters */
        append_filter(out, &n, "__", experiment->name_space, 1,
                      experiment->name_space_start, experiment->name_space_end);
    }
    buffer_append_text(out, n ? "]" : "");
}

static void append_arms(struct buffer *out, const struct config *config,
                        const struct experiment *experiment)
{
    buffer_append_text(out, ",\"variations\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        buffer_append_text(out, i ? "," : "");
        flag_append_value(out, config, experiment, i);
    }
    buffer_append_text(out, "],\"meta\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        append_text(out, i ? ",{\"key\":" : "{\"key\":", experiment->arms[i].name);
        append_text(out, ",\"name\":", experiment->arms[i].name);
        buffer_append_char(out, '}');
    }
    buffer_append_text(out, "],\"weights\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        append_number(out, i ? "," : "", experiment->arms[i].weight);
    }
    buffer_append_text(out, "],\"ranges\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        append_number(out, i ? ",[" : "[", experiment->arms[i].range_start);
        append_number(out, ",", experiment->arms[i].range_end);
        buffer_append_char(out, ']');
    }
    buffer_append_char(out, ']');
}

static bool is_active(const struct experiment *experiment, int64_t now_us)
{
    return experiment->status == STATUS_RUNNING && now_us >= experiment->start_us &&
           now_us < experiment->end_us;
}

static void append_feature(struct buffer *out, const struct config *config,
                           const struct experiment *experiment, int64_t now_us)
{
    json_append_string(out, slice_of(experiment->name));
    buffer_append_text(out, ":{\"defaultValue\":");
    flag_append_value(out, config, experiment, ARM_NONE);
    if (is_active(experiment, now_us)) {
        buffer_append_text(out, ",\"rules\":[");
        append_forced(out, config, experiment);
        append_text(out, "{\"key\":", experiment->name);
        append_text(out, ",\"seed\":", experiment->seed);
        buffer_append_text(out, ",\"hashAttribute\":\"id\",\"hashVersion\":2");
        append_number(out, ",\"coverage\":", experiment->coverage);
        append_arms(out, config, experiment);
        append_filters(out, config, experiment);
        if (experiment->audience) {
            buffer_append_text(out, ",\"condition\":");
            audience_append_json(experiment->audience, out);
        }
        buffer_append_text(out, "}]");
    }
    buffer_append_char(out, '}');
}

/* When the answer last changed: the config was loaded, or an experiment began or ended.
 * An SDK that has seen a payload of the same date drops the new one unread. */
static void append_date(struct buffer *out, const struct serve_state *state,
                        int64_t now_us)
{
    int64_t changed_us = state->loaded_us;
    char text[40];
    struct tm utc;
    for (int i = 0; i < state->config->n_experiments; i++) {
        const struct experiment *experiment = &state->config->experiments[i];
        const int64_t times[] = {experiment->start_us, experiment->end_us};
        for (int t = 0; t < 2; t++) {
            if (times[t] <= now_us && times[t] > changed_us) {
                changed_us = times[t];
            }
        }
    }
    const time_t seconds = (time_t)(changed_us / 1000000);
    gmtime_r(&seconds, &utc);
    strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
    buffer_printf(out, "\"%s.%03dZ\"", text, (int)(changed_us / 1000 % 1000));
}

void route_growthbook_features(struct http_exchange *x)
{
    const struct config *config = x->state->config;
    const int64_t now_us = clock_wall_us();
    struct buffer body = {0};
    buffer_append_text(&body, "{\"status\":200,\"features\":{");
    for (int i = 0; i < config->n_experiments; i++) {
        buffer_append_text(&body, i ? "," : "");
        append_feature(&body, config, &config->experiments[i], now_us);
    }
    buffer_append_text(&body, "},\"dateUpdated\":");
    append_date(&body, x->state, now_us);
    buffer_append_text(&body, "}\n");
    if (body.failed) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "no memory for this request");
    } else {
        flag_answer(x, buffer_slice(&body));
    }
    buffer_free(&body);
}
