/* desk.c - what the routes need of the server: secrets, log, scratch memory, counts. */
#define _DEFAULT_SOURCE
#include <stdlib.h>
#include <strings.h>

#include "serve/server_internal.h"

/* Takes the same time wherever the two differ. */
static bool same_secret(struct slice given, struct slice secret)
{
    unsigned difference = given.len != secret.len;
    for (size_t i = 0; i < given.len; i++) {
        const char expected = secret.len ? secret.data[i % secret.len] : 0;
        difference |= (unsigned char)(given.data[i] ^ expected);
    }
    return difference == 0;
}

bool server_is_admin(struct http_exchange *x)
{
    const char *token = x->state->config->server.admin_token;
    struct slice given = http_header(x, "Authorization");
    if (!token || !*token) {
        http_problem(x, 403,
                     "this needs an admin_token in the [server] section of the "
                     "config, and there is none");
        return false;
    }
    if (given.len > 7 && strncasecmp(given.data, "Bearer ", 7) == 0 &&
        same_secret((struct slice){given.data + 7, given.len - 7}, slice_of(token))) {
        return true;
    }
    http_add_header(x, "WWW-Authenticate", "Bearer");
    http_problem(x, 401,
                 "this needs the header \"Authorization: Bearer <admin_token>\"");
    return false;
}

int server_log(struct http_exchange *x, const struct event *event)
{
    struct error error;
    if (log_shard_append(x->log, event, &error) != 0) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "%s", error.message);
        return -1;
    }
    x->needs_commit = true;
    return 0;
}

struct server_mark server_mark(struct http_exchange *x)
{
    return (struct server_mark){
        .log = log_shard_mark(x->log),
        .n_ids = dedup_mark(server_dedup(x), x->worker),
        .ratings = newcomers_mark(server_newcomers(x), x->worker),
        .n_exposures = x->server->desks[x->worker].n_exposures,
        .needs_commit = x->needs_commit,
    };
}

void server_rewind(struct http_exchange *x, const struct server_mark *mark)
{
    log_shard_rewind(x->log, mark->log);
    dedup_undo(server_dedup(x), x->worker, mark->n_ids);
    newcomers_undo(server_newcomers(x), x->worker, mark->ratings);
    x->server->desks[x->worker].n_exposures = mark->n_exposures;
    x->needs_commit = mark->needs_commit;
}

void *server_scratch(struct http_exchange *x, enum server_scratch what, size_t size)
{
    struct desk *desk = &x->server->desks[x->worker];
    if (desk->scratch_size[what] < size) {
        void *memory = realloc(desk->scratch[what], size);
        if (!memory) {
            http_add_header(x, "Retry-After", "1");
            http_problem(x, 503, "no memory for this request");
            return NULL;
        }
        desk->scratch[what] = memory;
        desk->scratch_size[what] = size;
    }
    return desk->scratch[what];
}

struct ranking *server_ranking(struct http_exchange *x)
{
    return &x->server->desks[x->worker].ranking;
}

struct newcomers *server_newcomers(struct http_exchange *x)
{
    return past_newcomers(x->server->past);
}

struct dedup *server_dedup(struct http_exchange *x)
{
    return past_dedup(x->server->past);
}

/* Slots of the arms, flat: experiment by experiment. Made anew for another state. */
static const int *arm_slots(struct http_exchange *x)
{
    struct desk *desk = &x->server->desks[x->worker];
    const struct config *config = x->state->config;
    size_t n = 1;
    for (int i = 0; i < config->n_experiments; i++) {
        n += (size_t)config->experiments[i].n_arms;
    }
    if (desk->slots_of == x->state && desk->scratch[SCRATCH_SLOTS]) {
        return desk->scratch[SCRATCH_SLOTS];
    }
    int *slots = realloc(desk->scratch[SCRATCH_SLOTS], n * sizeof *slots);
    if (!slots) {
        return NULL;
    }
    desk->scratch[SCRATCH_SLOTS] = slots;
    desk->slots_of = x->state;
    int at = 0;
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        for (int j = 0; j < experiment->n_arms; j++) {
            slots[at++] = metrics_slot(x->server->metrics, slice_of(experiment->name),
                                       slice_of(experiment->arms[j].name));
        }
    }
    return slots;
}

/* Without memory for it an exposure is not counted; it is logged all the same. */
static void note_exposure(struct desk *desk, int slot, int64_t latency_us)
{
    if (slot == METRICS_NO_SLOT) {
        return;
    }
    if (desk->n_exposures == desk->exposure_capacity) {
        const size_t capacity =
            desk->exposure_capacity ? 2 * desk->exposure_capacity : 256;
        struct noted_exposure *more = realloc(desk->exposures, capacity * sizeof *more);
        if (!more) {
            return;
        }
        desk->exposures = more;
        desk->exposure_capacity = capacity;
    }
    desk->exposures[desk->n_exposures++] = (struct noted_exposure){slot, latency_us};
}

void server_count_exposure(struct http_exchange *x, const struct assignment *all,
                           int64_t latency_us)
{
    const struct config *config = x->state->config;
    const int *slots = arm_slots(x);
    int at = 0;
    for (int i = 0; slots && i < config->n_experiments; i++) {
        if (all[i].arm != ARM_NONE) {
            note_exposure(&x->server->desks[x->worker], slots[at + all[i].arm],
                          latency_us);
        }
        at += config->experiments[i].n_arms;
    }
}

void server_count_reported(struct http_exchange *x, int experiment, int arm)
{
    const int *slots = arm_slots(x);
    int at = arm;
    for (int i = 0; i < experiment; i++) {
        at += x->state->config->experiments[i].n_arms;
    }
    if (slots) {
        note_exposure(&x->server->desks[x->worker], slots[at], -1);
    }
}
