/* simulation.h - sends users to a server and counts what came of it.
 *
 * Every user asks GET /v1/recommend and answers with POST /v1/feedback by the planted
 * behaviour: event `satisfied`, and under RULE_CLICKS one event `click` per clicked
 * item before it. The arm is the one in the server's answer; it is also worked out from
 * the config, and differences are counted, because they mean that the server runs
 * another config.
 *
 * A 503 is tried again after its Retry-After with the same body, hence the same
 * feedback ids, so that an event is counted once even when the first try was in fact
 * written.
 */
#ifndef SIMULATE_SIMULATION_H
#define SIMULATE_SIMULATION_H

#include <stdbool.h>
#include <stdint.h>

#include "common/error.h"
#include "common/id_map.h"
#include "experiment/experiment.h"
#include "simulate/behaviour.h"

struct simulation_options {
    const char *url;                     /* of the server */
    const struct config *config;         /* that the server is expected to serve */
    const struct experiment *experiment; /* of it: whose arms are counted */
    const struct id_map *users;          /* who comes, each n_visits times */
    struct behaviour behaviour;
    int k;           /* list length to ask for; 0 = what the server serves */
    int n_threads;   /* connections, 1..1024 */
    int max_retries; /* of one request that gets 503; >= 0 */
    int timeout_ms;  /* of one request */

    /* Called now and then, from any thread but never two at once, with the number of
     * users that are done. NULL for none. */
    void (*progress)(void *context, int64_t n_done);
    void *progress_context;
};

/* What came of the users of one arm. A user counts in the arm of the first visit. */
struct arm_outcome {
    int64_t n_users;
    int64_t n_satisfied; /* users with at least one satisfied visit */
    int64_t n_clicked;   /* users with at least one click */
    int64_t n_clicks;
};

struct simulation_result {
    struct arm_outcome *arms;   /* (n_arms), in the order of the config; owned */
    struct arm_outcome outside; /* users who take no part in the experiment */
    int64_t n_users;            /* completed all their visits */
    int64_t n_crossovers;       /* users who met another arm on a later visit */
    int64_t n_disagreements; /* users whose arm is not the one the config gives them */
    int64_t n_requests;      /* recommendations received */
    int64_t n_sent;          /* feedback events */
    int64_t n_accepted;      /* by the server's own count */
    int64_t n_duplicates;
    int64_t n_retries; /* 503s that were tried again */
    int64_t *examined; /* (LIST_MAX) by position, RULE_CLICKS; owned */
    int64_t *clicked;  /* (LIST_MAX) */
};

/* Runs to the end, or to the first failure: then every thread finishes its request and
 * -1 is returned with ERROR_IO (the server went away, or kept saying 503),
 * ERROR_INVALID (the server refused a request, or its answer makes no sense) or
 * ERROR_NOMEM. *result is filled with what was done in both cases; free it. */
MUST_CHECK int simulation_run(const struct simulation_options *options,
                              struct simulation_result *result, struct error *error);

/* An empty result, and the sum of two: for those who make events without a server. */
MUST_CHECK int simulation_result_new(int n_arms, struct simulation_result *result,
                                     struct error *error);
void simulation_result_add(struct simulation_result *sum,
                           const struct simulation_result *part, int n_arms);
void simulation_result_free(struct simulation_result *result);

#endif
