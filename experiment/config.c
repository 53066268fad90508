#include "experiment/config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/clock.h"
#include "common/file.h"
#include "experiment/bucket.h"
#include "experiment/config_build.h"

#define CONFIG_MAX_BYTES (1U << 20)
/* Looking for repetitions compares each with all before it. */
#define CONFIG_MAX_SECTIONS 2000

static void free_experiment(struct experiment *experiment)
{
    for (int i = 0; i < experiment->n_arms; i++) {
        free(experiment->arms[i].name);
    }
    free(experiment->arms);
    free(experiment->name);
    free(experiment->hypothesis);
    free(experiment->seed);
    free(experiment->layer);
    for (int i = 0; i < experiment->n_forced; i++) {
        free(experiment->forced[i].unit);
    }
    free(experiment->forced);
    free(experiment->name_space);
    free(experiment->audience_text);
    audience_free(experiment->audience);
    free(experiment->guardrails);
    free(experiment->click);
}

void config_free(struct config *config)
{
    if (!config) {
        return;
    }
    for (int i = 0; i < config->n_models; i++) {
        free(config->models[i].name);
        free(config->models[i].file);
    }
    for (int i = 0; i < config->n_metrics; i++) {
        free(config->metrics[i].name);
        free(config->metrics[i].event);
        free(config->metrics[i].denominator);
    }
    for (int i = 0; i < config->n_experiments; i++) {
        free_experiment(&config->experiments[i]);
    }
    for (int i = 0; i < config->n_attributes; i++) {
        free(config->attributes[i].name);
    }
    free(config->attributes);
    free(config->holdout.seed);
    free(config->models);
    free(config->metrics);
    free(config->experiments);
    free(config->server.host);
    free(config->server.admin_token_env);
    free(config->server.allow_origin);
    free(config->server.access_log);
    free(config->server.admin_token);
    free(config->log.directory);
    free(config->log.attributes);
    free(config->data.ratings);
    free(config->data.titles);
    free(config->text);
    free(config);
}

static int compare_forced(const void *a, const void *b)
{
    const struct forced_unit *x = a, *y = b;
    return strcmp(x->unit, y->unit);
}

static void finish_experiment(struct experiment *experiment,
                              struct problem_list *problems)
{
    double *weights = calloc((size_t)experiment->n_arms + 1, sizeof *weights);
    struct bucket_range *ranges =
        calloc((size_t)experiment->n_arms + 1, sizeof *ranges);
    if (!weights || !ranges) {
        problems->no_memory = true;
        goto out;
    }
    for (int i = 0; i < experiment->n_arms; i++) {
        weights[i] = experiment->arms[i].weight;
    }
    bucket_ranges(experiment->n_arms, experiment->coverage, weights, ranges);
    for (int i = 0; i < experiment->n_arms; i++) {
        experiment->arms[i].range_start = ranges[i].start;
        experiment->arms[i].range_end = ranges[i].end;
    }
    experiment->seed_state = bucket_state(slice_of(experiment->seed));
    if (experiment->layer) {
        experiment->layer_state = bucket_state(slice_of(experiment->layer));
    }
    if (experiment->n_forced > 1) {
        qsort(experiment->forced, (size_t)experiment->n_forced,
              sizeof *experiment->forced, compare_forced);
    }

out:
    free(weights);
    free(ranges);
}

static struct config *new_config(struct slice text)
{
    struct config *config = calloc(1, sizeof *config);
    if (!config) {
        return NULL;
    }
    config->text = malloc(text.len + 1);
    if (!config->text) {
        free(config);
        return NULL;
    }
    if (text.len) {
        memcpy(config->text, text.data, text.len);
    }
    config->text[text.len] = '\0';
    config->text_len = text.len;
    hash_text(hash_bytes(text.data, text.len), config->hash);
    return config;
}

static void parse(struct builder *builder, struct slice text)
{
    struct ini_file file = {0};
    const int n_errors_before = builder->problems->problems->n_errors;
    ini_scan(text, &file, builder->problems);
    if (file.n_sections > CONFIG_MAX_SECTIONS) {
        problems_add(builder->problems, 0, "%d sections are more than %d (split it)",
                     file.n_sections, CONFIG_MAX_SECTIONS);
    } else if (!builder->problems->no_memory) {
        config_build(builder, &file);
    }
    ini_file_free(&file);
    if (builder->problems->no_memory || !builder->config->holdout.seed) {
        return; /* the latter only when there are too many sections */
    }
    struct config *config = builder->config;
    config->holdout.seed_state = bucket_state(slice_of(config->holdout.seed));
    for (int i = 0; i < config->n_experiments; i++) {
        finish_experiment(&config->experiments[i], builder->problems);
    }
    config_check(config, builder->problems);
    if (builder->problems->problems->n_errors == n_errors_before) {
        /* A misspelt key would be warned of as a missing one. */
        config_warn(config, builder->problems);
    }
}

/* A config as far as it can be built, whatever is noted in `list`; NULL when memory ran
 * out. */
static struct config *build(struct slice text, const char *directory,
                            struct problem_list *list)
{
    struct builder builder = {new_config(text), directory, list};
    if (!builder.config) {
        list->no_memory = true;
        return NULL;
    }
    if (text.len > CONFIG_MAX_BYTES) {
        problems_add(list, 0, "config of %zu bytes is too long (at most %u)", text.len,
                     CONFIG_MAX_BYTES);
    } else {
        parse(&builder, text);
    }
    return builder.config;
}

int config_parse(struct slice text, const char *name, const char *directory,
                 struct config **config, struct config_problems *problems,
                 struct error *error)
{
    const int first = problems->n;
    struct problem_list list = {.problems = problems};
    struct config *built = build(text, directory, &list);
    problems_sort(&list, first);
    if (problems_conclude(&list, first, name, error) != 0) {
        config_free(built);
        return -1;
    }
    *config = built;
    return 0;
}

static int take_token(struct server_config *server, struct error *error)
{
    const char *token =
        server->admin_token_env ? getenv(server->admin_token_env) : NULL;
    if (!token || !*token) {
        return 0;
    }
    server->admin_token = strdup(token);
    if (!server->admin_token) {
        error_set(error, ERROR_NOMEM, "config: no memory for the admin token");
        return -1;
    }
    return 0;
}

/* What stands before relative paths; NULL when memory ran out. */
static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    /* "/exp.ini" stands in "/", which must not become "". */
    return slash == path ? strdup("/")
                         : strndup(path, slash ? (size_t)(slash - path) : 0);
}

int config_load(const char *path, struct config **config,
                struct config_problems *problems, struct error *error)
{
    int rc = -1;
    struct buffer text = {0};
    struct config *loaded = NULL;
    char *directory = directory_of(path);
    if (!directory) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto out;
    }
    if (file_read(path, CONFIG_MAX_BYTES, &text, error) != 0 ||
        config_parse(buffer_slice(&text), path, directory, &loaded, problems, error) !=
            0 ||
        take_token(&loaded->server, error) != 0) {
        goto out;
    }
    *config = loaded;
    loaded = NULL;
    rc = 0;

out:
    config_free(loaded);
    free(directory);
    buffer_free(&text);
    return rc;
}

static void check_readable(struct problem_list *list, int line, const char *what,
                           const char *path)
{
    if (path && access(path, R_OK) != 0) {
        problems_add(list, line,
                     "%s %s cannot be read: %s (paths are relative to the "
                     "config's directory)",
                     what, path, strerror(errno));
    }
}

static void check_environment(const struct config *config, struct problem_list *list)
{
    config_warn_at(config, clock_wall_us(), list);
    const struct server_config *server = &config->server;
    if (server->admin_token_env && !server->admin_token) {
        problems_add(list, server->admin_token_line,
                     "environment variable %s of admin_token is not set or empty "
                     "(export it, or remove the key)",
                     server->admin_token_env);
    }
    check_readable(list, config->data.line, "ratings", config->data.ratings);
    check_readable(list, config->data.line, "titles", config->data.titles);
    for (int i = 0; i < config->n_models; i++) {
        check_readable(list, config->models[i].line, "model file",
                       config->models[i].file);
    }
}

int config_check_environment(const struct config *config, const char *name,
                             struct config_problems *problems, struct error *error)
{
    const int first = problems->n;
    struct problem_list list = {.problems = problems};
    check_environment(config, &list);
    problems_sort(&list, first);
    return problems_conclude(&list, first, name, error);
}

int config_check_file(const char *path, bool with_environment,
                      struct config_problems *problems, struct error *error)
{
    int rc = -1;
    struct buffer text = {0};
    struct config *config = NULL;
    struct problem_list list = {.problems = problems};
    const int first = problems->n;
    char *directory = directory_of(path);
    if (!directory) {
        error_set(error, ERROR_NOMEM, "%s: no memory to read it", path);
        goto out;
    }
    if (file_read(path, CONFIG_MAX_BYTES, &text, error) != 0) {
        goto out;
    }
    config = build(buffer_slice(&text), directory, &list);
    if (config && take_token(&config->server, error) != 0) {
        goto out;
    }
    if (config && with_environment) {
        check_environment(config, &list);
    }
    if (list.no_memory) {
        error_set(error, ERROR_NOMEM, "%s: no memory to check it", path);
        goto out;
    }
    problems_sort(&list, first);
    rc = 0;

out:
    config_free(config);
    free(directory);
    buffer_free(&text);
    return rc;
}

int config_find_experiment(const struct config *config, struct slice name)
{
    for (int i = 0; i < config->n_experiments; i++) {
        if (slice_is(name, config->experiments[i].name)) {
            return i;
        }
    }
    return -1;
}

int config_find_model(const struct config *config, struct slice name)
{
    for (int i = 0; i < config->n_models; i++) {
        if (slice_is(name, config->models[i].name)) {
            return i;
        }
    }
    return -1;
}

int config_find_metric(const struct config *config, struct slice name)
{
    for (int i = 0; i < config->n_metrics; i++) {
        if (slice_is(name, config->metrics[i].name)) {
            return i;
        }
    }
    return -1;
}

int config_find_attribute(const struct config *config, struct slice name)
{
    for (int i = 0; i < config->n_attributes; i++) {
        if (slice_is(name, config->attributes[i].name)) {
            return i;
        }
    }
    return -1;
}

int experiment_find_arm(const struct experiment *experiment, struct slice name)
{
    for (int i = 0; i < experiment->n_arms; i++) {
        if (slice_is(name, experiment->arms[i].name)) {
            return i;
        }
    }
    return -1;
}

const char *experiment_status_name(enum experiment_status status)
{
    static const char *const names[] = {
        [STATUS_DRAFT] = "draft",
        [STATUS_RUNNING] = "running",
        [STATUS_PAUSED] = "paused",
        [STATUS_STOPPED] = "stopped",
    };
    return names[status];
}
