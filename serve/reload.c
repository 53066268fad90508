#include "serve/reload.h"

#include "common/json_text.h"

static int load(struct server *server, const struct serve_state *old,
                struct serve_state **fresh, struct config_problems *problems,
                struct error *error)
{
    const char *path = server_options(server)->config_path;
    struct config *config = NULL;
    if (config_load(path, &config, problems, error) != 0) {
        return -1;
    }
    if (config_check_environment(config, path, problems, error) != 0 ||
        reload_check(old->config, config, path, problems, error) != 0 ||
        serve_state_load(config, fresh, error) != 0) {
        config_free(config);
        return -1;
    }
    return 0;
}

int server_reload(struct server *server, struct config_problems *problems,
                  struct error *error)
{
    if (!server_options(server)->config_path) {
        error_set(error, ERROR_INVALID, "this server has no config file to read again");
        return -1;
    }
    pthread_mutex_t *lock = server_reload_lock(server);
    pthread_mutex_lock(lock);
    struct serve_state *old = server_state(server), *fresh = NULL;
    const int rc = load(server, old, &fresh, problems, error);
    if (rc == 0) {
        server_replace_state(server, fresh);
    }
    serve_state_unref(old);
    pthread_mutex_unlock(lock);
    return rc;
}

static void append_problems(struct buffer *body, const struct config_problems *problems)
{
    buffer_append_text(body, "\"problems\":[");
    for (int i = 0; i < problems->n; i++) {
        const struct config_problem *problem = &problems->items[i];
        buffer_printf(body,
                      "%s{\"line\":%d,\"severity\":\"%s\",\"message\":", i ? "," : "",
                      problem->line, problem->is_warning ? "warning" : "error");
        json_append_string(body, slice_of(problem->message));
        buffer_append_char(body, '}');
    }
    buffer_append_text(body, "]}\n");
}

/* On a side thread. */
static void reload(struct http_exchange *x)
{
    struct config_problems problems = {0};
    struct error error = {0};
    struct buffer *body = NULL;
    const int rc = server_reload(x->server, &problems, &error);
    if (rc == 0) {
        struct serve_state *state = server_state(x->server);
        body = http_answer(x, 200, HTTP_JSON);
        buffer_append_text(body, "{\"config\":");
        json_append_string(body, slice_of(state->config->hash));
        buffer_append_text(body, ",\"previous\":");
        json_append_string(body, slice_of(x->state->config->hash));
        buffer_append_char(body, ',');
        serve_state_unref(state);
    } else {
        const int status = error.code == ERROR_NOMEM ? 503 : 409;
        body = http_answer(x, status, "application/problem+json");
        buffer_printf(body,
                      "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%d,"
                      "\"detail\":",
                      http_status_text(status), status);
        json_append_string(body, slice_of(error.message));
        buffer_append_char(body, ',');
    }
    append_problems(body, &problems);
    http_answer_end(x);
    config_problems_free(&problems);
}

void route_reload(struct http_exchange *x)
{
    if (server_is_admin(x)) {
        http_run_aside(x, reload);
    }
}
