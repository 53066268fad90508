#include "serve/health.h"

#include "common/json_text.h"
#include "serve/server.h"

void route_healthz(struct http_exchange *x)
{
    http_answer_bytes(x, 200, HTTP_JSON, slice_of("{\"status\":\"ok\"}\n"));
}

void route_readyz(struct http_exchange *x)
{
    if (server_is_degraded(x->server)) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "the event log cannot be written");
    } else {
        http_answer_bytes(x, 200, HTTP_JSON, slice_of("{\"status\":\"ready\"}\n"));
    }
}

void route_metrics(struct http_exchange *x)
{
    server_write_metrics(x->server, http_answer(x, 200, "text/plain; version=0.0.4"));
    http_answer_end(x);
}

static void append_member(struct buffer *body, const char *name, const char *value)
{
    buffer_append_char(body, '"');
    buffer_append_text(body, name);
    buffer_append_text(body, "\":");
    json_append_string(body, slice_of(value));
}

static void append_experiment(struct buffer *body, const struct config *config,
                              const struct experiment *experiment)
{
    buffer_append_char(body, '{');
    append_member(body, "experiment", experiment->name);
    buffer_append_char(body, ',');
    append_member(body, "status", experiment_status_name(experiment->status));
    if (experiment->hypothesis) {
        buffer_append_char(body, ',');
        append_member(body, "hypothesis", experiment->hypothesis);
    }
    if (experiment->primary >= 0) {
        buffer_append_char(body, ',');
        append_member(body, "primary", config->metrics[experiment->primary].name);
    }
    buffer_append_text(body, ",\"coverage\":");
    json_append_double(body, experiment->coverage);
    buffer_append_text(body, ",\"arms\":[");
    for (int i = 0; i < experiment->n_arms; i++) {
        buffer_append_text(body, i ? ",{" : "{");
        append_member(body, "arm", experiment->arms[i].name);
        buffer_append_text(body, ",\"weight\":");
        json_append_double(body, experiment->arms[i].weight);
        buffer_append_char(body, '}');
    }
    buffer_append_text(body, "]}");
}

void route_experiments(struct http_exchange *x)
{
    const struct config *config = x->state->config;
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    buffer_append_char(body, '{');
    append_member(body, "config", config->hash);
    buffer_append_text(body, ",\"experiments\":[");
    for (int i = 0; i < config->n_experiments; i++) {
        if (i > 0) {
            buffer_append_char(body, ',');
        }
        append_experiment(body, config, &config->experiments[i]);
    }
    buffer_append_text(body, "]}\n");
    http_answer_end(x);
}

/* On a side thread: reads the whole log. */
static void make_report(struct http_exchange *x)
{
    const struct server_options *options = server_options(x->server);
    struct buffer json = {0};
    struct error error = {0};
    if (options->report(options->report_context, x->state->config,
                        http_path_param(x, 0), &json, &error) == 0 &&
        !json.failed) {
        http_answer_bytes(x, 200, HTTP_JSON, buffer_slice(&json));
    } else {
        const int status = error.code == ERROR_NOT_FOUND ? 404
                           : error.code == ERROR_INVALID ? 409
                                                         : 503;
        if (status == 503) {
            http_add_header(x, "Retry-After", "1");
        }
        http_problem(x, status, "%s", error.message);
    }
    buffer_free(&json);
}

void route_report(struct http_exchange *x)
{
    const struct slice name = http_path_param(x, 0);
    if (config_find_experiment(x->state->config, name) < 0) {
        http_problem(x, 404, "there is no experiment \"%.*s\"", (int)name.len,
                     name.data);
    } else if (!server_options(x->server)->report) {
        http_problem(x, 404, "this server makes no reports");
    } else {
        http_run_aside(x, make_report);
    }
}
