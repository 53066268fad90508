/* server_log.c - the server's log: opened, read back at start, told of every config. */
#include <stdlib.h>

#include "serve/server_internal.h"

/* The config event of a state; *models is for the caller to free. */
static int config_event(const struct server *server, const struct serve_state *state,
                        struct event *event, struct event_model **models,
                        struct error *error)
{
    const struct config *config = state->config;
    *models = calloc((size_t)config->n_models + 1, sizeof **models);
    if (!*models) {
        error_set(error, ERROR_NOMEM, "no memory for the log's config");
        return -1;
    }
    for (int i = 0; i < config->n_models; i++) {
        const struct slice label = slice_of(state->models[i].label);
        (*models)[i].name = slice_of(config->models[i].name);
        (*models)[i].hash =
            (struct slice){label.data + label.len - HASH_TEXT_LEN, HASH_TEXT_LEN};
    }
    *event = (struct event){.type = EVENT_CONFIG,
                            .config = slice_of(config->hash),
                            .text = {config->text, config->text_len},
                            .models = *models,
                            .n_models = config->n_models,
                            .version = slice_of(server->options.version)};
    return 0;
}

int server_log_config(const struct server *server, int worker,
                      const struct serve_state *state, struct error *error)
{
    struct event_model *models = NULL;
    struct event event;
    int rc = config_event(server, state, &event, &models, error);
    if (rc == 0) {
        rc = log_shard_set_config(log_shard_get(server->log, worker), &event, error);
    }
    free(models);
    return rc;
}

static void on_log_report(void *context, const char *message)
{
    struct error error;
    error_set(&error, ERROR_IO, "%s", message);
    server_trouble(context, "log", &error);
}

static enum log_sync sync_of(enum fsync_policy policy)
{
    return policy == FSYNC_ALWAYS     ? LOG_SYNC_ALWAYS
           : policy == FSYNC_EVERYSEC ? LOG_SYNC_EVERYSEC
                                      : LOG_SYNC_NO;
}

static int open_log(struct server *server, struct error *error)
{
    const struct log_config *config = &server->log_config->log;
    const struct log_options options = {
        .directory = config->directory,
        .sync = sync_of(config->fsync),
        .segment_size = config->segment_size,
        .segment_age_us = config->segment_age_us,
        .n_shards = server->options.http.n_workers,
        .config = {.type = EVENT_CONFIG},
        .report = on_log_report,
        .report_context = server,
        .has_committers = server->has_committers,
    };
    return log_open(&options, &server->log, error);
}

static void *open_and_read(void *context)
{
    struct server *server = context;
    server->log_rc = open_log(server, &server->log_error);
    if (server->log_rc == 0) {
        server->log_rc = past_read(server->past, &server->log_error);
    }
    return NULL;
}

void server_begin_log(struct server *server)
{
    server->has_log_opener =
        pthread_create(&server->log_opener, NULL, open_and_read, server) == 0;
    if (!server->has_log_opener) {
        open_and_read(server);
    }
}

int server_await_log(struct server *server, struct error *error)
{
    if (server->has_log_opener) {
        pthread_join(server->log_opener, NULL);
        server->has_log_opener = false;
    }
    if (server->log_rc != 0) {
        *error = server->log_error;
    }
    return server->log_rc;
}

int server_describe_log(struct server *server, struct error *error)
{
    struct event_model *models = NULL;
    struct event event;
    int rc = config_event(server, server->state, &event, &models, error);
    if (rc == 0) {
        rc = log_set_config(server->log, &event, error);
    }
    free(models);
    return rc;
}
