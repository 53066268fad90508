#include "simulate/visit.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/clock.h"
#include "common/json_text.h"

#define RETRY_AFTER_DEFAULT_S 1
#define RETRY_AFTER_MAX_S     30 /* a longer wait is a server that is gone */

/* What the answer to GET /v1/recommend says; slices into `json`. */
struct recommendation {
    json_t *json;
    struct slice request_id;
    int arm; /* of the experiment that is counted; ARM_NONE when not in the answer */
    struct slice items[LIST_MAX];
    int n_items;
};

int session_open(struct session *session, const struct simulation_options *options,
                 struct error *error)
{
    memset(session, 0, sizeof *session);
    session->options = options;
    if (simulation_result_new(options->experiment->n_arms, &session->counts, error) !=
        0) {
        return -1;
    }
    if (client_new(options->url, options->timeout_ms, &session->client, error) != 0) {
        session_close(session);
        return -1;
    }
    return 0;
}

void session_close(struct session *session)
{
    client_free(session->client);
    buffer_free(&session->path);
    buffer_free(&session->body);
    simulation_result_free(&session->counts);
    memset(session, 0, sizeof *session);
}

static int refuse(const char *what, const struct client_answer *answer,
                  struct error *error)
{
    const int shown = answer->body.len < 240 ? (int)answer->body.len : 240;
    error_set(error, answer->status == 503 ? ERROR_IO : ERROR_INVALID,
              "%s: the server answered %d: %.*s", what, answer->status, shown,
              answer->body.data ? answer->body.data : "");
    return -1;
}

/* Sends the request, again while the answer is 503, and leaves a 2xx answer. `body`
 * NULL: GET. */
static int send_patiently(struct session *session, const char *path,
                          const struct slice *body, struct client_answer *answer,
                          struct error *error)
{
    for (int try = 0;; try++) {
        const int rc =
            body ? client_post_json(session->client, path, *body, answer, error)
                 : client_get(session->client, path, answer, error);
        if (rc != 0) {
            return -1;
        }
        if (answer->status / 100 == 2) {
            return 0;
        }
        if (answer->status != 503 || try == session->options->max_retries) {
            return refuse(path, answer, error);
        }
        session->counts.n_retries++;
        int wait_s =
            answer->retry_after_s >= 0 ? answer->retry_after_s : RETRY_AFTER_DEFAULT_S;
        if (wait_s > RETRY_AFTER_MAX_S) {
            wait_s = RETRY_AFTER_MAX_S;
        }
        const struct timespec wait = {wait_s, 0};
        nanosleep(&wait, NULL);
    }
}

static struct slice json_slice(const json_t *value)
{
    return json_is_string(value)
               ? (struct slice){json_string_value(value), json_string_length(value)}
               : (struct slice){NULL, 0};
}

static int read_items(const json_t *items, struct recommendation *answer)
{
    if (!json_is_array(items)) {
        return -1;
    }
    const size_t n = json_array_size(items);
    for (size_t i = 0; i < n && i < LIST_MAX; i++) {
        const struct slice item =
            json_slice(json_object_get(json_array_get(items, i), "item"));
        if (item.len == 0) {
            return -1;
        }
        answer->items[answer->n_items++] = item;
    }
    return 0;
}

static int read_recommendation(const struct experiment *experiment, struct slice body,
                               struct recommendation *answer, struct error *error)
{
    json_error_t at;
    answer->json = json_loadb(body.data ? body.data : "", body.len, 0, &at);
    if (!answer->json) {
        error_set(error, ERROR_INVALID, "/v1/recommend: the answer is not JSON: %s",
                  at.text);
        return -1;
    }
    answer->request_id = json_slice(json_object_get(answer->json, "request_id"));
    if (answer->request_id.len == 0 ||
        read_items(json_object_get(answer->json, "items"), answer) != 0) {
        error_set(error, ERROR_INVALID,
                  "/v1/recommend: the answer lacks a request_id or a list of items; "
                  "is this an abtest server?");
        return -1;
    }
    const struct slice arm = json_slice(json_object_get(
        json_object_get(answer->json, "assignments"), experiment->name));
    answer->arm = ARM_NONE;
    if (arm.len > 0) {
        answer->arm = experiment_find_arm(experiment, arm);
        if (answer->arm < 0) {
            error_set(error, ERROR_INVALID,
                      "the server put a user in arm \"%.*s\" of %s, which the config "
                      "does not have: it runs another config",
                      (int)arm.len, arm.data, experiment->name);
            return -1;
        }
    }
    return 0;
}

static int ask(struct session *session, struct slice user,
               struct recommendation *answer, struct error *error)
{
    struct client_answer http;
    buffer_clear(&session->path);
    buffer_append_text(&session->path, "/v1/recommend?user=");
    url_append_encoded(&session->path, user);
    if (session->options->k > 0) {
        buffer_printf(&session->path, "&k=%d", session->options->k);
    }
    buffer_append_char(&session->path, '\0');
    if (session->path.failed) {
        error_set(error, ERROR_NOMEM, "no memory for a request");
        return -1;
    }
    if (send_patiently(session, session->path.data, NULL, &http, error) != 0) {
        return -1;
    }
    session->counts.n_requests++;
    return read_recommendation(session->options->experiment, http.body, answer, error);
}

/* The id is made of the request's, so that a retry repeats it and nobody else has it.
 */
static void append_event(struct session *session, struct slice user,
                         const struct recommendation *list, const char *event,
                         int position)
{
    struct buffer *body = &session->body;
    buffer_append_text(body, body->len == 0 ? "[" : ",");
    buffer_append_text(body, "{\"id\":");
    struct buffer id = {0};
    buffer_printf(&id, "%.*s:%s", (int)list->request_id.len, list->request_id.data,
                  event);
    if (strcmp(event, "click") == 0) {
        buffer_printf(&id, ":%d", position + 1);
    }
    json_append_string(body, buffer_slice(&id));
    body->failed |= id.failed;
    buffer_free(&id);
    buffer_append_text(body, ",\"user\":");
    json_append_string(body, user);
    buffer_append_text(body, ",\"event\":");
    json_append_string(body, slice_of(event));
    buffer_append_text(body, ",\"value\":1");
    if (position >= 0) {
        buffer_append_text(body, ",\"item\":");
        json_append_string(body, list->items[position]);
    }
    buffer_append_text(body, ",\"request_id\":");
    json_append_string(body, list->request_id);
    buffer_append_char(body, '}');
    session->counts.n_sent++;
}

static int post_feedback(struct session *session, struct error *error)
{
    struct client_answer http;
    buffer_append_char(&session->body, ']');
    if (session->body.failed) {
        error_set(error, ERROR_NOMEM, "no memory for feedback");
        return -1;
    }
    const struct slice body = buffer_slice(&session->body);
    if (send_patiently(session, "/v1/feedback", &body, &http, error) != 0) {
        return -1;
    }
    json_t *json =
        json_loadb(http.body.data ? http.body.data : "", http.body.len, 0, NULL);
    const json_t *accepted = json_object_get(json, "accepted");
    const json_t *duplicates = json_object_get(json, "duplicates");
    const bool is_good = json_is_integer(accepted);
    if (is_good) {
        session->counts.n_accepted += json_integer_value(accepted);
        session->counts.n_duplicates += json_integer_value(duplicates);
    } else {
        error_set(error, ERROR_INVALID,
                  "/v1/feedback: the answer does not say how many were accepted");
    }
    json_decref(json);
    return is_good ? 0 : -1;
}

static int answer(struct session *session, struct slice user,
                  const struct recommendation *list, struct error *error)
{
    const struct reaction *reaction = &session->reaction;
    buffer_clear(&session->body);
    for (int i = 0; i < list->n_items; i++) {
        session->counts.examined[i] += reaction->is_examined[i];
        session->counts.clicked[i] += reaction->is_clicked[i];
        if (reaction->is_clicked[i]) {
            append_event(session, user, list, "click", i);
        }
    }
    if (reaction->is_satisfied) {
        append_event(session, user, list, "satisfied", reaction->item);
    }
    return session->body.len > 0 ? post_feedback(session, error) : 0;
}

static void count_user(struct session *session, struct slice user, int arm,
                       const struct arm_outcome *user_outcome)
{
    const struct simulation_options *options = session->options;
    struct arm_outcome *outcome =
        arm >= 0 ? &session->counts.arms[arm] : &session->counts.outside;
    outcome->n_users++;
    outcome->n_satisfied += user_outcome->n_satisfied > 0;
    outcome->n_clicked += user_outcome->n_clicks > 0;
    outcome->n_clicks += user_outcome->n_clicks;
    session->counts.n_users++;
    const int index = (int)(options->experiment - options->config->experiments);
    const struct assignment_request request = {user, clock_wall_us(), NULL};
    session->counts.n_disagreements +=
        config_assign_one(options->config, index, &request).arm != arm;
}

int session_send_user(struct session *session, struct slice user, struct error *error)
{
    const struct behaviour *behaviour = &session->options->behaviour;
    struct arm_outcome outcome = {0};
    int first_arm = ARM_NONE;
    bool has_crossed = false;
    struct recommendation *list = calloc(1, sizeof *list);
    int rc = -1;
    if (!list) {
        error_set(error, ERROR_NOMEM, "no memory for a list");
        return -1;
    }
    for (int visit = 0; visit < behaviour->n_visits; visit++) {
        json_decref(list->json);
        memset(list, 0, sizeof *list);
        if (ask(session, user, list, error) != 0) {
            goto out;
        }
        first_arm = visit == 0 ? list->arm : first_arm;
        has_crossed |= list->arm != first_arm;
        const struct encounter encounter = {user, visit, list->arm, list->items,
                                            list->n_items};
        behaviour_react(behaviour, &encounter, &session->reaction);
        outcome.n_satisfied += session->reaction.is_satisfied;
        outcome.n_clicks += session->reaction.n_clicks;
        if (answer(session, user, list, error) != 0) {
            goto out;
        }
    }
    session->counts.n_crossovers += has_crossed;
    count_user(session, user, first_arm, &outcome);
    rc = 0;

out:
    json_decref(list->json);
    free(list);
    return rc;
}
