/* cmd_replay.c - abtest replay: is the log what the config and the models give? */
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/json_text.h"
#include "experiment/experiment.h"
#include "logs/logs.h"
#include "serve/serve.h"

#define COMMAND "replay"

/* Scores are logged to four decimals. */
#define SCORE_TOLERANCE 0.50001e-4
/* Propensities to all digits; exp may differ in the last ones from library to library.
 */
#define PROPENSITY_TOLERANCE 1e-9

/* One config of the log, with its models if they could be loaded. */
struct replay_config {
    char hash[HASH_TEXT_LEN + 1];
    char *text;
    size_t text_len;
    struct config *config; /* owned here unless there is a state */
    struct serve_state *state;
    struct assignment *arms; /* (n_experiments) scratch */
    char why_no_lists[512];  /* empty when there is a state */
};

struct replay {
    const char *directory;
    struct replay_config *configs;
    int n_configs, configs_capacity;
    struct ranking *ranking;
    const double *propensities; /* of the list; NULL: it is not sampled */
    void *scratch;
    size_t scratch_size;

    int64_t n_exposures, n_reported; /* the latter by clients, who know no lists */
    int64_t n_lists, n_lists_unchecked;
    int64_t n_different; /* exposures */
    int64_t n_damaged;
    char first_place[512], first_difference[512];
    char why_unchecked[512]; /* the first reason */
    struct error *error;
};

static int no_memory(struct replay *r)
{
    error_set(r->error, ERROR_NOMEM, "no memory to replay the log");
    return -1;
}

static struct replay_config *find_config(struct replay *r, struct slice hash)
{
    for (int i = r->n_configs - 1; i >= 0; i--) { /* the last is the likeliest */
        if (slice_is(hash, r->configs[i].hash)) {
            return &r->configs[i];
        }
    }
    return NULL;
}

/* Keeps the text of each config that is new. */
static int gather_config(void *context, const struct event *event)
{
    struct replay *r = context;
    if (event->type != EVENT_CONFIG || event->config.len != HASH_TEXT_LEN ||
        find_config(r, event->config)) {
        return 0;
    }
    if (r->n_configs == r->configs_capacity) {
        const int capacity = r->configs_capacity ? 2 * r->configs_capacity : 4;
        struct replay_config *configs =
            realloc(r->configs, (size_t)capacity * sizeof *configs);
        if (!configs) {
            return no_memory(r);
        }
        r->configs = configs;
        r->configs_capacity = capacity;
    }
    struct replay_config c = {.text = malloc(event->text.len + 1),
                              .text_len = event->text.len};
    if (!c.text) {
        return no_memory(r);
    }
    memcpy(c.hash, event->config.data, HASH_TEXT_LEN);
    memcpy(c.text, event->text.data, event->text.len);
    r->configs[r->n_configs++] = c;
    return 0;
}

static int parse_config(struct replay *r, struct replay_config *c,
                        struct config **config)
{
    struct config_problems problems = {0};
    char name[64];
    snprintf(name, sizeof name, "config %s of the log", c->hash);
    const int rc = config_parse((struct slice){c->text, c->text_len}, name,
                                r->directory, config, &problems, r->error);
    config_problems_free(&problems);
    return rc;
}

static int load_config(struct replay *r, struct replay_config *c)
{
    struct error problem = {0};
    if (parse_config(r, c, &c->config) != 0) {
        return -1;
    }
    c->arms = calloc((size_t)c->config->n_experiments + 1, sizeof *c->arms);
    if (!c->arms) {
        return no_memory(r);
    }
    if (serve_state_load(c->config, &c->state, &problem) != 0) {
        snprintf(c->why_no_lists, sizeof c->why_no_lists, "%s", problem.message);
        return 0;
    }
    for (int i = 0; i < c->config->n_models; i++) {
        const size_t size = topk_scratch_size(c->state->models[i].topk);
        r->scratch_size = size > r->scratch_size ? size : r->scratch_size;
    }
    return 0;
}

static void replay_free(struct replay *r)
{
    for (int i = 0; i < r->n_configs; i++) {
        struct replay_config *c = &r->configs[i];
        if (c->state) {
            serve_state_unref(c->state);
        } else {
            config_free(c->config);
        }
        free(c->arms);
        free(c->text);
    }
    free(r->configs);
    free(r->ranking);
    free(r->scratch);
}

static void differs(struct replay *r, const struct event *event, const char *format,
                    ...) PRINTF_LIKE(3, 4);

static void differs(struct replay *r, const struct event *event, const char *format,
                    ...)
{
    const struct event_place *place = event->place;
    if (r->n_different++ > 0) {
        return;
    }
    snprintf(r->first_place, sizeof r->first_place, "%s:%" PRId64, place->file,
             place->line);
    va_list args;
    va_start(args, format);
    vsnprintf(r->first_difference, sizeof r->first_difference, format, args);
    va_end(args);
}

/* The values of the declared attributes, from those that the line holds. */
static void attributes_of(const struct config *config, const struct event *event,
                          struct attribute_value *values)
{
    for (int i = 0; i < config->n_attributes; i++) {
        values[i] = (struct attribute_value){0};
        for (int j = 0; j < event->n_attributes; j++) {
            const struct event_attribute *a = &event->attributes[j];
            if (slice_is(a->name, config->attributes[i].name)) {
                values[i] =
                    (struct attribute_value){true, a->boolean, a->number, a->text};
            }
        }
    }
}

static const struct event_assignment *find_assignment(const struct event *event,
                                                      const char *experiment)
{
    for (int i = 0; i < event->n_assignments; i++) {
        if (slice_is(event->assignments[i].experiment, experiment)) {
            return &event->assignments[i];
        }
    }
    return NULL;
}

/* Holds the logged arms against the config's; true when they are the same. A client
 * that reports an exposure names only the experiments that it exposed. */
static bool arms_agree(struct replay *r, const struct replay_config *c,
                       const struct event *event)
{
    const struct config *config = c->config;
    int n_known = 0;
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        const struct event_assignment *logged =
            find_assignment(event, experiment->name);
        const char *arm =
            c->arms[i].arm == ARM_NONE ? "none" : experiment->arms[c->arms[i].arm].name;
        n_known += logged != NULL;
        if (!logged && (c->arms[i].arm == ARM_NONE || !event->model.len)) {
            continue;
        }
        if (!logged || !slice_is(logged->arm, arm)) {
            differs(r, event,
                    "user \"%.*s\", experiment %s: the log says arm %.*s, the config "
                    "gives %s",
                    (int)event->user.len, event->user.data, experiment->name,
                    logged ? (int)logged->arm.len : 4,
                    logged ? logged->arm.data : "none", arm);
            return false;
        }
        if (fabs(logged->probability - c->arms[i].probability) > 1e-12) {
            differs(r, event,
                    "user \"%.*s\", experiment %s: the log says probability %g, the "
                    "config gives %g",
                    (int)event->user.len, event->user.data, experiment->name,
                    logged->probability, c->arms[i].probability);
            return false;
        }
    }
    if (n_known < event->n_assignments) {
        differs(r, event, "user \"%.*s\": an experiment that the config does not have",
                (int)event->user.len, event->user.data);
        return false;
    }
    return true;
}

static void unchecked(struct replay *r, const char *format, ...) PRINTF_LIKE(2, 3);

static void unchecked(struct replay *r, const char *format, ...)
{
    if (r->n_lists_unchecked++ == 0) {
        va_list args;
        va_start(args, format);
        vsnprintf(r->why_unchecked, sizeof r->why_unchecked, format, args);
        va_end(args);
    }
}

/* Makes the list anew in r->ranking; false when that cannot be done. */
static bool make_list(struct replay *r, const struct replay_config *c,
                      const struct event *event)
{
    const struct config *config = c->config;
    struct serving serving = config->serving;
    if (!c->state) {
        unchecked(r, "%s", c->why_no_lists);
        return false;
    }
    for (int i = 0; i < config->n_experiments; i++) {
        if (c->arms[i].arm != ARM_NONE) {
            serving_override(&serving, &config->experiments[i].arms[c->arms[i].arm]);
        }
    }
    const struct serve_model *served = &c->state->models[serving.model];
    const int32_t user = model_find_user(served->model, event->user);
    struct topk_query query = {.item_bias = serving.item_bias};
    const char *label = user < 0 ? served->popular_label : served->label;
    if (!slice_is(event->model, label)) {
        unchecked(r, "the list was made by %.*s, here is %s", (int)event->model.len,
                  event->model.data, label);
        return false;
    }
    /* When the catalogue ended before k, all that is left are candidates either way. */
    serving.k = event->n_items + (int)event->offset;
    r->propensities = NULL;
    query.seen = serve_state_seen(c->state, serving.model, event->user, &query.n_seen);
    if (user < 0) {
        ranking_popular(r->ranking, served, serving.k, query.seen, query.n_seen);
    } else {
        topk_query_user(served->model, user, &query);
        r->propensities =
            ranking_make(r->ranking, served, &serving, &query, event->id, r->scratch);
    }
    return true;
}

static void check_list(struct replay *r, const struct replay_config *c,
                       const struct event *event)
{
    const int offset = (int)event->offset; /* a later page shows what comes behind it */
    if (event->n_items == 0 || event->n_items > TOPK_MAX - event->offset ||
        !make_list(r, c, event)) {
        return;
    }
    r->n_lists++;
    if (r->ranking->list.n < event->n_items + offset) {
        differs(r, event, "user \"%.*s\": the log has %d items, the model gives %d",
                (int)event->user.len, event->user.data, event->n_items + offset,
                r->ranking->list.n);
        return;
    }
    const size_t name_len = strcspn(event->model.data, ":");
    const struct slice name = {
        event->model.data, name_len < event->model.len ? name_len : event->model.len};
    const struct model *model = NULL;
    for (int i = 0; i < c->config->n_models; i++) {
        if (slice_is(name, c->config->models[i].name)) {
            model = c->state->models[i].model;
        }
    }
    for (int i = 0; model && i < event->n_items; i++) {
        const struct slice id =
            model_item_id(model, r->ranking->list.items[offset + i]);
        const struct event_item *logged = &event->items[i];
        if (!slice_equal(id, logged->id) || !(fabs(r->ranking->list.scores[offset + i] -
                                                   logged->score) <= SCORE_TOLERANCE)) {
            differs(r, event,
                    "user \"%.*s\", place %d: the log says item %.*s with score %.6g, "
                    "the model gives %.*s with %.6g",
                    (int)event->user.len, event->user.data, offset + i + 1,
                    (int)logged->id.len, logged->id.data, logged->score, (int)id.len,
                    id.data, r->ranking->list.scores[offset + i]);
            return;
        }
        if (r->propensities && !(fabs(r->propensities[offset + i] -
                                      logged->propensity) <= PROPENSITY_TOLERANCE)) {
            differs(r, event,
                    "user \"%.*s\", place %d: the log says propensity %.9g, the model "
                    "gives %.9g",
                    (int)event->user.len, event->user.data, offset + i + 1,
                    logged->propensity, r->propensities[offset + i]);
            return;
        }
    }
}

static int check_event(void *context, const struct event *event)
{
    struct replay *r = context;
    struct attribute_value values[CONFIG_MAX_ATTRIBUTES];
    if (event->type != EVENT_EXPOSURE) {
        return 0;
    }
    r->n_exposures++;
    r->n_reported += event->model.len == 0;
    const struct replay_config *c = find_config(r, event->config);
    if (!c) {
        differs(r, event, "config %.*s is nowhere in the log", (int)event->config.len,
                event->config.data);
        return 0;
    }
    attributes_of(c->config, event, values);
    const struct assignment_request request = {event->user, event->ts_us, values};
    config_assign(c->config, &request, c->arms);
    if (arms_agree(r, c, event) && event->model.len) {
        check_list(r, c, event);
    }
    return 0;
}

static int complain_of_damage(void *context, const struct log_damage *damage)
{
    struct replay *r = context;
    r->n_damaged++;
    complain(COMMAND, "%s: damaged at byte %" PRId64 " (%" PRId64 " bytes): %s",
             damage->file, damage->offset, damage->size, damage->reason);
    return 0;
}

static int replay(struct replay *r, const char *path)
{
    const struct log_visitor gather = {
        .on_event = gather_config, .context = r, .skip = LOG_SKIP_ITEMS};
    const struct log_visitor check = {
        .on_event = check_event, .on_damage = complain_of_damage, .context = r};
    if (log_read(path, &gather, NULL, r->error) != 0) {
        return -1;
    }
    for (int i = 0; i < r->n_configs; i++) {
        if (load_config(r, &r->configs[i]) != 0) {
            return -1;
        }
    }
    r->ranking = malloc(sizeof *r->ranking);
    /* aligned_alloc wants a multiple of the alignment. */
    r->scratch = aligned_alloc(64, (r->scratch_size + 64) / 64 * 64);
    if (!r->ranking || !r->scratch) {
        return no_memory(r);
    }
    return log_read(path, &check, NULL, r->error);
}

static void print_json(const struct replay *r)
{
    struct buffer out = {0};
    buffer_printf(&out,
                  "{\"exposures\":%" PRId64 ",\"reported_by_clients\":%" PRId64
                  ",\"lists\":%" PRId64 ",\"lists_unchecked\":%" PRId64
                  ",\"different\":%" PRId64 ",\"damaged\":%" PRId64,
                  r->n_exposures, r->n_reported, r->n_lists, r->n_lists_unchecked,
                  r->n_different, r->n_damaged);
    if (r->n_lists_unchecked) {
        buffer_append_text(&out, ",\"why_unchecked\":");
        json_append_string(&out, slice_of(r->why_unchecked));
    }
    if (r->n_different) {
        buffer_append_text(&out, ",\"first\":{\"place\":");
        json_append_string(&out, slice_of(r->first_place));
        buffer_append_text(&out, ",\"difference\":");
        json_append_string(&out, slice_of(r->first_difference));
        buffer_append_char(&out, '}');
    }
    buffer_append_text(&out, "}\n");
    fwrite(out.data ? out.data : "", 1, out.len, stdout);
    buffer_free(&out);
}

static void print_text(const struct replay *r)
{
    printf("%" PRId64 " exposures: %" PRId64 " lists made again, %" PRId64
           " not, %" PRId64 " reported by clients; %" PRId64 " different\n",
           r->n_exposures, r->n_lists, r->n_lists_unchecked, r->n_reported,
           r->n_different);
    if (r->n_lists_unchecked) {
        printf("first list not made again: %s\n", r->why_unchecked);
    }
    if (r->n_different) {
        printf("first difference: %s: %s\n", r->first_place, r->first_difference);
    }
}

int cmd_replay(int argc, char **argv)
{
    bool is_json = false;
    struct error error = {0};
    struct replay r = {.directory = "", .error = &error};
    const struct option_spec options[] = {
        {.name = "directory",
         .type = OPTION_TEXT,
         .value = &r.directory,
         .placeholder = "DIR",
         .help = "what relative paths in the logged configs are relative to: where the "
                 "config file stood"},
        {.name = "json",
         .type = OPTION_FLAG,
         .value = &is_json,
         .help = "print one JSON object"},
    };
    const struct command_usage usage = {
        .command = COMMAND,
        .arguments = "LOGS [--directory DIR]",
        .summary = "Takes every exposure of the log and computes its arms and its list "
                   "again, from "
                   "the configs\nin the log and the model and ratings files that they "
                   "name. Names "
                   "the first line that\ndiffers and exits with 3; so it does for a "
                   "damaged log. A "
                   "list is left unchecked where its\nmodel has changed since.",
        .options = options,
        .n_options = (int)(sizeof options / sizeof options[0]),
        .min_arguments = 1,
        .max_arguments = 1,
    };
    const char *path = NULL;
    int n_arguments = 0;
    const int parsed = options_parse(&usage, argc, argv, &path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    int status = EXIT_FAILED;
    if (replay(&r, path) != 0) {
        complain(COMMAND, "%s", error.message);
    } else {
        (is_json ? print_json : print_text)(&r);
        status = r.n_different || r.n_damaged ? EXIT_DO_NOT_TRUST : EXIT_DONE;
    }
    replay_free(&r);
    return finish_output(COMMAND, status);
}
