#include "abtest/simulate_log.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "common/hash.h"
#include "common/rng.h"
#include "logs/logs.h"

#define N_CATALOGUE   10000                     /* item ids "0" ... "9999" */
#define RANDOM_LISTS  "random:0000000000000000" /* a list comes with a model */
#define COMMIT_EVENTS 4096 /* events of a batch: one system call for them all */
#define REACTION_US   60000000.0
#define SEGMENT_AGE_US                                                                 \
    (INT64_C(3650) * 86400 * 1000000) /* segments are closed by size only */
/* Keeps the times' stream apart from the coin's. */
#define TIME_STREAM 0xD1B54A32D192ED03U

/* One thread's part: users [first, last). */
struct scribe {
    const struct simulate_log_options *options;
    const struct simulation_options *run;
    struct log_shard *shard;
    int first, last;
    int n_pending;
    struct event_assignment *assignments; /* (n_experiments) */
    struct event_item *items;             /* (n_items) */
    struct slice *item_ids;
    char (*item_texts)[8];
    struct simulation_result counts;
    struct error error;
    int rc;
    pthread_t thread;
};

static int append(struct scribe *scribe, const struct event *event)
{
    if (log_shard_append(scribe->shard, event, &scribe->error) != 0) {
        return -1;
    }
    if (++scribe->n_pending >= COMMIT_EVENTS) {
        scribe->n_pending = 0;
        return log_shard_commit(scribe->shard, &scribe->error);
    }
    return 0;
}

static int assign_user(struct scribe *scribe, struct slice user, int *arm)
{
    const struct config *config = scribe->options->config;
    const struct assignment_request request = {user, scribe->options->start_us, NULL};
    int n = 0;
    *arm = ARM_NONE;
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        const struct assignment assignment = config_assign_one(config, i, &request);
        if (assignment.arm == ARM_NONE) {
            continue;
        }
        scribe->assignments[n++] = (struct event_assignment){
            slice_of(experiment->name), slice_of(experiment->arms[assignment.arm].name),
            assignment.probability, assignment.reason == REASON_FORCED};
        if (experiment == scribe->run->experiment) {
            *arm = assignment.arm;
        }
    }
    return n;
}

static void draw_items(struct scribe *scribe, struct rng *rng)
{
    for (int i = 0; i < scribe->options->n_items; i++) {
        struct slice *id = &scribe->item_ids[i];
        char *text = scribe->item_texts[i];
        size_t len = 0;
        char reversed[8];
        for (uint64_t n = rng_below(rng, N_CATALOGUE); len == 0 || n > 0; n /= 10) {
            reversed[len++] = (char)('0' + n % 10);
        }
        for (size_t j = 0; j < len; j++) {
            text[j] = reversed[len - 1 - j];
        }
        *id = (struct slice){text, len};
        scribe->items[i] =
            (struct event_item){*id, (double)(1000 - i) / 256, (double)NAN};
    }
}

static int write_feedback(struct scribe *scribe, struct slice user, int64_t ts_us,
                          struct slice request)
{
    char id[EVENT_ID_SIZE];
    const int id_len = log_shard_next_id(scribe->shard, id);
    const struct event feedback = {
        .type = EVENT_FEEDBACK,
        .ts_us = ts_us,
        .id = {id, (size_t)id_len},
        .user = user,
        .event = slice_of("satisfied"),
        .has_value = true,
        .value = 1,
        .request = request,
    };
    scribe->counts.n_sent++;
    scribe->counts.n_accepted++;
    return append(scribe, &feedback);
}

static int write_visit(struct scribe *scribe, const struct encounter *encounter,
                       int n_assignments, struct rng *rng, bool *is_satisfied)
{
    const struct simulate_log_options *options = scribe->options;
    struct reaction reaction;
    char id[EVENT_ID_SIZE];
    draw_items(scribe, rng);
    const int id_len = log_shard_next_id(scribe->shard, id);
    const struct event exposure = {
        .type = EVENT_EXPOSURE,
        .ts_us =
            options->start_us + (int64_t)rng_below(rng, (uint64_t)options->span_us),
        .id = {id, (size_t)id_len},
        .user = encounter->user,
        .assignments = scribe->assignments,
        .n_assignments = n_assignments,
        .hash_version = ASSIGNMENT_HASH_VERSION,
        .config = slice_of(options->config->hash),
        .model = slice_of(options->n_items > 0 ? RANDOM_LISTS : ""),
        .items = scribe->items,
        .n_items = options->n_items,
        .latency_us = (int64_t)exp(5.3 + 0.5 * rng_normal(rng)),
    };
    if (append(scribe, &exposure) != 0) {
        return -1;
    }
    scribe->counts.n_requests++;
    behaviour_react(&scribe->run->behaviour, encounter, &reaction);
    *is_satisfied |= reaction.is_satisfied;
    const int64_t wait_us = 1 + (int64_t)(rng_uniform(rng) * REACTION_US);
    return reaction.is_satisfied ? write_feedback(scribe, encounter->user,
                                                  exposure.ts_us + wait_us, exposure.id)
                                 : 0;
}

static int write_user(struct scribe *scribe, struct slice user)
{
    struct rng rng;
    int arm = ARM_NONE;
    bool is_satisfied = false;
    const int n_assignments = assign_user(scribe, user, &arm);
    rng_init(&rng, scribe->run->behaviour.seed,
             hash_bytes(user.data, user.len) ^ TIME_STREAM);
    for (int visit = 0; visit < scribe->run->behaviour.n_visits; visit++) {
        const struct encounter encounter = {user, visit, arm, scribe->item_ids,
                                            scribe->options->n_items};
        if (write_visit(scribe, &encounter, n_assignments, &rng, &is_satisfied) != 0) {
            return -1;
        }
    }
    struct arm_outcome *outcome =
        arm >= 0 ? &scribe->counts.arms[arm] : &scribe->counts.outside;
    outcome->n_users++;
    outcome->n_satisfied += is_satisfied;
    scribe->counts.n_users++;
    return 0;
}

static void *run_scribe(void *context)
{
    struct scribe *scribe = context;
    for (int user = scribe->first; user < scribe->last; user++) {
        if (write_user(scribe, id_map_id(scribe->run->users, user)) != 0) {
            return NULL;
        }
    }
    scribe->rc = log_shard_commit(scribe->shard, &scribe->error);
    return NULL;
}

static void scribe_free(struct scribe *scribe)
{
    free(scribe->assignments);
    free(scribe->items);
    free(scribe->item_ids);
    free(scribe->item_texts);
    simulation_result_free(&scribe->counts);
}

static int scribe_init(struct scribe *scribe, int n_arms, struct error *error)
{
    const size_t n_items = (size_t)scribe->options->n_items + 1; /* never 0 bytes */
    const size_t n_experiments = (size_t)scribe->options->config->n_experiments;
    scribe->rc = -1;
    scribe->assignments = calloc(n_experiments, sizeof *scribe->assignments);
    scribe->items = calloc(n_items, sizeof *scribe->items);
    scribe->item_ids = calloc(n_items, sizeof *scribe->item_ids);
    scribe->item_texts = calloc(n_items, sizeof *scribe->item_texts);
    if (!scribe->assignments || !scribe->items || !scribe->item_ids ||
        !scribe->item_texts) {
        error_set(error, ERROR_NOMEM, "no memory to write the log");
        return -1;
    }
    return simulation_result_new(n_arms, &scribe->counts, error);
}

static int open_log(const struct simulate_log_options *options,
                    const struct simulation_options *run, struct log **log,
                    struct error *error)
{
    const struct config *config = options->config;
    /* The same seed, the same events to the byte, whichever file a thread writes. */
    const struct log_origin origin = {(uint32_t)run->behaviour.seed, options->start_us};
    const struct log_options log_options = {
        .origin = &origin,
        .directory = options->directory,
        .sync = LOG_SYNC_NO, /* it can be made again */
        .segment_size = config->log.segment_size,
        .segment_age_us = SEGMENT_AGE_US,
        .n_shards = run->n_threads,
        .config = {.type = EVENT_CONFIG,
                   .config = slice_of(config->hash),
                   .text = {config->text, config->text_len},
                   .version = slice_of(options->version)},
    };
    return log_open(&log_options, log, error);
}

/* Runs one thread a scribe; 0 when all of them wrote all of theirs. */
static int run_scribes(struct scribe *scribes, int n, int n_arms,
                       struct simulation_result *result, struct error *error)
{
    int n_started = 0, rc = 0;
    while (n_started < n && pthread_create(&scribes[n_started].thread, NULL, run_scribe,
                                           &scribes[n_started]) == 0) {
        n_started++;
    }
    if (n_started < n) {
        error_set(error, ERROR_NOMEM, "cannot start %d threads", n);
        rc = -1;
    }
    for (int i = 0; i < n_started; i++) {
        pthread_join(scribes[i].thread, NULL);
        simulation_result_add(result, &scribes[i].counts, n_arms);
        if (scribes[i].rc != 0 && rc == 0) {
            error_set(error, scribes[i].error.code, "%s", scribes[i].error.message);
            rc = -1;
        }
    }
    return rc;
}

int simulate_log_write(const struct simulate_log_options *options,
                       const struct simulation_options *run,
                       struct simulation_result *result, struct error *error)
{
    const int n = run->n_threads, n_users = id_map_count(run->users);
    const int n_arms = run->experiment->n_arms;
    struct log *log = NULL;
    struct error close_error = {0};
    int rc = -1;
    memset(result, 0, sizeof *result);
    struct scribe *scribes = calloc((size_t)n, sizeof *scribes);
    if (!scribes) {
        error_set(error, ERROR_NOMEM, "no memory for %d threads", n);
        return -1;
    }
    if (simulation_result_new(n_arms, result, error) != 0 ||
        open_log(options, run, &log, error) != 0) {
        goto out;
    }
    for (int i = 0; i < n; i++) {
        scribes[i].options = options;
        scribes[i].run = run;
        scribes[i].shard = log_shard_get(log, i);
        scribes[i].first = (int)((int64_t)n_users * i / n);
        scribes[i].last = (int)((int64_t)n_users * (i + 1) / n);
        if (scribe_init(&scribes[i], n_arms, error) != 0) {
            goto out;
        }
    }
    rc = run_scribes(scribes, n, n_arms, result, error);

out:
    if (log && log_close(log, &close_error) != 0 && rc == 0) {
        error_set(error, close_error.code, "%s", close_error.message);
        rc = -1;
    }
    for (int i = 0; i < n; i++) {
        scribe_free(&scribes[i]);
    }
    free(scribes);
    return rc;
}
