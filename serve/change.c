#include "serve/change.h"

#include <jansson.h>
#include <math.h>
#include <pthread.h>
#include <string.h>

#include "common/file.h"
#include "common/json_text.h"
#include "serve/reload.h"

#define CONFIG_MAX ((size_t)16 << 20) /* bytes of a config file */

struct change {
    const char *status; /* NULL: as it is */
    char coverage[32];  /* "": as it is */
};

/* Reads the body; answers 400 and returns -1 when it asks for nothing sensible. */
static int read_change(struct http_exchange *x, json_t *json, struct change *change)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(json) || json_object_size(json) == 0) {
        http_problem(x, 400,
                     "the body must be a JSON object such as {\"status\":\"paused\"} "
                     "or {\"coverage\":0.5}");
        return -1;
    }
    json_object_foreach(json, key, value)
    {
        const char *text = json_string_value(value);
        const double number = json_number_value(value);
        if (strcmp(key, "status") == 0 && text &&
            (strcmp(text, "running") == 0 || strcmp(text, "paused") == 0 ||
             strcmp(text, "stopped") == 0)) {
            change->status = text;
        } else if (strcmp(key, "coverage") == 0 && json_is_number(value) &&
                   number >= 0 && number <= 1) {
            snprintf(change->coverage, sizeof change->coverage, "%.10g", number);
        } else {
            http_problem(x, 400,
                         "\"%.40s\": only status (running, paused, stopped) and "
                         "coverage (0 to 1) can be changed",
                         key);
            return -1;
        }
    }
    return 0;
}

/* The text of the config with the change in it. */
static int edit(struct slice text, struct slice name, const struct change *change,
                struct buffer *edited, struct error *error)
{
    struct buffer step = {0};
    int rc = -1;
    buffer_append(&step, text.data, text.len);
    if (change->status) {
        if (config_edit(text, "experiment", name, "status", change->status, edited,
                        error) != 0) {
            goto out;
        }
        buffer_clear(&step);
        buffer_append(&step, edited->data, edited->len);
    }
    buffer_clear(edited);
    if (change->coverage[0]) {
        rc = config_edit(buffer_slice(&step), "experiment", name, "coverage",
                         change->coverage, edited, error);
        goto out;
    }
    buffer_append(edited, step.data, step.len);
    rc = 0;
out:
    if (step.failed || edited->failed) {
        error_set(error, ERROR_NOMEM, "no memory to change the config");
        rc = -1;
    }
    buffer_free(&step);
    return rc;
}

/* Writes the changed file and reloads it, or puts the old one back. */
static int replace_and_reload(struct server *server, struct slice old,
                              struct slice edited, struct error *error)
{
    const char *path = server_options(server)->config_path;
    struct config_problems problems = {0};
    struct error ignored;
    if (file_replace(path, edited, error) != 0) {
        return -1;
    }
    const int rc = server_reload(server, &problems, error);
    config_problems_free(&problems);
    if (rc != 0 && file_replace(path, old, &ignored) != 0) {
        error_prefix(error, "%s holds the change and could not be put back (%.100s)",
                     path, ignored.message);
    }
    return rc;
}

static int apply(struct http_exchange *x, const struct change *change,
                 struct error *error)
{
    const char *path = server_options(x->server)->config_path;
    const struct config *config = x->state->config;
    struct buffer text = {0}, edited = {0};
    int rc = -1;
    if (!path) {
        error_set(error, ERROR_INVALID, "this server has no config file to change");
        return -1;
    }
    if (file_read(path, CONFIG_MAX, &text, error) == 0) {
        if (!slice_equal(buffer_slice(&text),
                         (struct slice){config->text, config->text_len})) {
            error_set(error, ERROR_INVALID,
                      "%s is not what is being served: somebody changed it "
                      "(POST /v1/reload first)",
                      path);
        } else if (edit(buffer_slice(&text), http_path_param(x, 0), change, &edited,
                        error) == 0) {
            rc = replace_and_reload(x->server, buffer_slice(&text),
                                    buffer_slice(&edited), error);
        }
    }
    buffer_free(&text);
    buffer_free(&edited);
    return rc;
}

static void answer_change(struct http_exchange *x, int rc, const struct error *error)
{
    if (rc != 0) {
        const bool is_ours = error->code == ERROR_IO || error->code == ERROR_NOMEM;
        if (is_ours) {
            http_add_header(x, "Retry-After", "1");
        }
        http_problem(x, is_ours ? 503 : 409, "%s", error->message);
        return;
    }
    struct serve_state *state = server_state(x->server);
    const struct config *config = state->config;
    const int index = config_find_experiment(config, http_path_param(x, 0));
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    buffer_append_text(body, "{\"experiment\":");
    json_append_string(body, http_path_param(x, 0));
    if (index >= 0) {
        buffer_append_text(body, ",\"status\":");
        json_append_string(
            body, slice_of(experiment_status_name(config->experiments[index].status)));
        buffer_append_text(body, ",\"coverage\":");
        json_append_double(body, config->experiments[index].coverage);
    }
    buffer_append_text(body, ",\"config\":");
    json_append_string(body, slice_of(config->hash));
    buffer_append_text(body, "}\n");
    http_answer_end(x);
    serve_state_unref(state);
}

/* On a side thread, one at a time: between reading the file and reloading it nobody
 * else may change it. */
static void change_aside(struct http_exchange *x)
{
    struct change change = {0};
    struct error error = {0};
    json_t *json = json_loadb(x->request.body.data ? x->request.body.data : "",
                              x->request.body.len, JSON_REJECT_DUPLICATES, NULL);
    if (read_change(x, json, &change) == 0) {
        pthread_mutex_t *lock = server_change_lock(x->server);
        pthread_mutex_lock(lock);
        /* What is served may have changed while this waited for its turn. */
        struct serve_state *state = server_state(x->server);
        const struct serve_state *taken = x->state;
        x->state = state;
        const int rc = apply(x, &change, &error);
        x->state = taken;
        pthread_mutex_unlock(lock);
        serve_state_unref(state);
        answer_change(x, rc, &error);
    }
    json_decref(json);
}

void route_change(struct http_exchange *x)
{
    const struct slice name = http_path_param(x, 0);
    if (!server_is_admin(x)) {
        return;
    }
    if (config_find_experiment(x->state->config, name) < 0) {
        http_problem(x, 404, "there is no experiment \"%.*s\"", (int)name.len,
                     name.data);
    } else {
        http_run_aside(x, change_aside);
    }
}
