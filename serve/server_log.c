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

static int take_logged(void *context, const struct event *event)
{
    struct server *server = context;
    if (event->type != EVENT_FEEDBACK) {
        return 0;
    }
    /* Ids that the server gave out itself come back too; they cost memory only. */
    (void)dedup_add(server->dedup, event->id, 0);
    if (slice_is(event->event, NEWCOMERS_EVENT) && event->has_value &&
        event->item.len) {
        newcomers_rate(server->newcomers, event->user, event->item, event->value);
    }
    return 0;
}

/* What a restart must not forget: ids that were counted, ratings of new users. */
static int read_log(struct server *server, struct error *error)
{
    const struct log_visitor visitor = {
        .on_event = take_logged, .skip = LOG_SKIP_ITEMS, .context = server};
    struct log_statistics statistics;
    struct error why = {0};
    const char *directory = server->state->config->log.directory;
    if (log_read(directory, &visitor, &statistics, &why) != 0 &&
        why.code != ERROR_NOT_FOUND) {
        *error = why;
        return -1;
    }
    dedup_settle(server->dedup, 0, dedup_mark(server->dedup, 0), true);
    return 0;
}

static int open_log(struct server *server, struct error *error)
{
    const struct config *config = server->state->config;
    struct event_model *models = NULL;
    struct log_options options = {
        .directory = config->log.directory,
        .sync = sync_of(config->log.fsync),
        .segment_size = config->log.segment_size,
        .segment_age_us = config->log.segment_age_us,
        .n_shards = server->options.http.n_workers,
        .report = on_log_report,
        .report_context = server,
        .has_committers = server->has_committers,
    };
    int rc = config_event(server, server->state, &options.config, &models, error);
    if (rc == 0) {
        rc = log_open(&options, &server->log, error);
    }
    free(models);
    return rc;
}

int server_open_log(struct server *server, struct error *error)
{
    return open_log(server, error) == 0 ? read_log(server, error) : -1;
}
