#include "serve/ofrep.h"

#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "serve/attributes.h"
#include "serve/flag.h"
#include "serve/recommend.h"

#define MAX_DETAILS 256

/* The protocol's own error body; `key` is empty in a bulk request. */
static void refuse(struct http_exchange *x, int status, struct slice key,
                   const char *code, const char *format, ...) PRINTF_LIKE(5, 6);

static void refuse(struct http_exchange *x, int status, struct slice key,
                   const char *code, const char *format, ...)
{
    char details[MAX_DETAILS];
    va_list args;
    va_start(args, format);
    vsnprintf(details, sizeof details, format, args);
    va_end(args);
    struct buffer *body = http_answer(x, status, HTTP_JSON);
    buffer_append_char(body, '{');
    if (key.len) {
        buffer_append_text(body, "\"key\":");
        json_append_string(body, key);
        buffer_append_char(body, ',');
    }
    buffer_append_text(body, "\"errorCode\":");
    json_append_string(body, slice_of(code));
    buffer_append_text(body, ",\"errorDetails\":");
    json_append_string(body, slice_of(details));
    buffer_append_text(body, "}\n");
    http_answer_end(x);
}

struct evaluation {
    json_t *body; /* the unit and the attributes point into it */
    struct attribute_values values;
    struct assignment_request request;
};

static int read_context(struct http_exchange *x, struct slice key,
                        struct evaluation *evaluation)
{
    const json_t *context = json_object_get(evaluation->body, "context");
    const json_t *unit = json_object_get(context, "targetingKey");
    if (!json_is_object(context)) {
        refuse(x, 400, key, "INVALID_CONTEXT", "\"context\" is %s",
               context ? "not an object" : "missing");
        return -1;
    }
    if (!unit || json_is_null(unit) ||
        (json_is_string(unit) && json_string_length(unit) == 0)) {
        refuse(x, 400, key, "TARGETING_KEY_MISSING",
               "context.targetingKey is missing; it is the user's id");
        return -1;
    }
    if (!json_is_string(unit) || json_string_length(unit) > MAX_USER_LEN) {
        refuse(x, 400, key, "INVALID_CONTEXT",
               "context.targetingKey must be a string of 1 to %d bytes", MAX_USER_LEN);
        return -1;
    }
    const struct attribute *wrong =
        attributes_of_json(x->state->config, context, &evaluation->values);
    if (wrong) {
        refuse(x, 400, key, "INVALID_CONTEXT", "context.%s must be a %s", wrong->name,
               attribute_type_name(wrong->type));
        return -1;
    }
    evaluation->request =
        (struct assignment_request){{json_string_value(unit), json_string_length(unit)},
                                    clock_wall_us(),
                                    evaluation->values.items};
    return 0;
}

/* Reads the body; answers and returns -1 when it is not what it must be. The caller
 * lets go of evaluation->body. */
static int read_evaluation(struct http_exchange *x, struct slice key,
                           struct evaluation *evaluation)
{
    json_error_t error;
    evaluation->body = json_loadb(x->request.body.data, x->request.body.len,
                                  JSON_REJECT_DUPLICATES, &error);
    if (!evaluation->body) {
        refuse(x, 400, key, "PARSE_ERROR",
               "the body is not JSON: line %d, column %d: %s", error.line, error.column,
               error.text);
        return -1;
    }
    if (read_context(x, key, evaluation) != 0) {
        json_decref(evaluation->body);
        return -1;
    }
    return 0;
}

static const char *reason_of(enum assignment_reason reason)
{
    switch (reason) {
    case REASON_SPLIT:
        return "SPLIT";
    case REASON_FORCED:
        return "TARGETING_MATCH";
    case REASON_NOT_RUNNING:
    case REASON_NOT_STARTED:
    case REASON_ENDED:
        return "DISABLED";
    case REASON_NO_UNIT:
    case REASON_HELD_OUT:
    case REASON_AUDIENCE:
    case REASON_LAYER:
    case REASON_NAME_SPACE:
    case REASON_COVERAGE:
        break;
    }
    return "STATIC";
}

static void append_flag(struct buffer *out, const struct config *config, int index,
                        const struct assignment_request *request)
{
    const struct experiment *experiment = &config->experiments[index];
    const struct assignment assignment = config_assign_one(config, index, request);
    buffer_append_text(out, "{\"key\":");
    json_append_string(out, slice_of(experiment->name));
    buffer_append_text(out, ",\"value\":");
    flag_append_value(out, config, experiment, assignment.arm);
    buffer_append_text(out, ",\"reason\":\"");
    buffer_append_text(out, reason_of(assignment.reason));
    buffer_append_char(out, '"');
    if (assignment.arm != ARM_NONE) {
        buffer_append_text(out, ",\"variant\":");
        json_append_string(out, slice_of(experiment->arms[assignment.arm].name));
    }
    buffer_append_text(out, ",\"metadata\":{\"experiment\":");
    json_append_string(out, slice_of(experiment->name));
    buffer_append_text(out, ",\"bucket\":");
    json_append_double(out, assignment.bucket);
    buffer_append_text(out, ",\"because\":");
    json_append_string(out, slice_of(assignment_reason_name(assignment.reason)));
    buffer_append_text(out, ",\"config\":");
    json_append_string(out, slice_of(config->hash));
    buffer_append_text(out, "}}");
}

void route_ofrep_flag(struct http_exchange *x)
{
    const struct slice key = http_path_param(x, 0);
    const struct config *config = x->state->config;
    const int index = config_find_experiment(config, key);
    struct evaluation evaluation;
    if (index < 0) {
        refuse(x, 404, key, "FLAG_NOT_FOUND", "there is no experiment \"%.*s\"",
               (int)(key.len < 100 ? key.len : 100), key.data);
        return;
    }
    if (read_evaluation(x, key, &evaluation) != 0) {
        return;
    }
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    append_flag(body, config, index, &evaluation.request);
    buffer_append_char(body, '\n');
    http_answer_end(x);
    json_decref(evaluation.body);
}

/* The ETag is that of the answer, so it changes with the config and with the context.
 */
void route_ofrep_flags(struct http_exchange *x)
{
    const struct config *config = x->state->config;
    struct evaluation evaluation;
    struct buffer body = {0};
    if (read_evaluation(x, (struct slice){NULL, 0}, &evaluation) != 0) {
        return;
    }
    buffer_append_text(&body, "{\"flags\":[");
    for (int i = 0; i < config->n_experiments; i++) {
        buffer_append_text(&body, i ? "," : "");
        append_flag(&body, config, i, &evaluation.request);
    }
    buffer_append_text(&body, "],\"metadata\":{\"config\":");
    json_append_string(&body, slice_of(config->hash));
    buffer_append_text(&body, "}}\n");
    if (body.failed) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "no memory for this request");
    } else {
        flag_answer(x, buffer_slice(&body));
    }
    buffer_free(&body);
    json_decref(evaluation.body);
}
