#include "simulate/simulation.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/libcurl.h"
#include "simulate/visit.h"

#define PROGRESS_EVERY 64 /* users of one thread between two calls of `progress` */

/* What the threads share. */
struct crowd {
    const struct simulation_options *options;
    atomic_int next_user;
    atomic_bool must_stop;
    atomic_llong n_done;
    pthread_mutex_t lock; /* of the members below and of progress() */
    struct simulation_result *result;
    struct error *error;
    bool has_failed;
};

int simulation_result_new(int n_arms, struct simulation_result *result,
                          struct error *error)
{
    memset(result, 0, sizeof *result);
    result->arms = calloc((size_t)n_arms, sizeof *result->arms);
    result->examined = calloc(LIST_MAX, sizeof *result->examined);
    result->clicked = calloc(LIST_MAX, sizeof *result->clicked);
    if (!result->arms || !result->examined || !result->clicked) {
        simulation_result_free(result);
        error_set(error, ERROR_NOMEM, "no memory to count %d arms", n_arms);
        return -1;
    }
    return 0;
}

void simulation_result_free(struct simulation_result *result)
{
    free(result->arms);
    free(result->examined);
    free(result->clicked);
    memset(result, 0, sizeof *result);
}

static void outcome_add(struct arm_outcome *sum, const struct arm_outcome *part)
{
    sum->n_users += part->n_users;
    sum->n_satisfied += part->n_satisfied;
    sum->n_clicked += part->n_clicked;
    sum->n_clicks += part->n_clicks;
}

void simulation_result_add(struct simulation_result *sum,
                           const struct simulation_result *part, int n_arms)
{
    for (int i = 0; i < n_arms; i++) {
        outcome_add(&sum->arms[i], &part->arms[i]);
    }
    outcome_add(&sum->outside, &part->outside);
    sum->n_users += part->n_users;
    sum->n_crossovers += part->n_crossovers;
    sum->n_disagreements += part->n_disagreements;
    sum->n_requests += part->n_requests;
    sum->n_sent += part->n_sent;
    sum->n_accepted += part->n_accepted;
    sum->n_duplicates += part->n_duplicates;
    sum->n_retries += part->n_retries;
    for (int i = 0; i < LIST_MAX; i++) {
        sum->examined[i] += part->examined[i];
        sum->clicked[i] += part->clicked[i];
    }
}

static void report_progress(struct crowd *crowd)
{
    const long long n_done = atomic_load(&crowd->n_done);
    if (crowd->options->progress && n_done % PROGRESS_EVERY == 0) {
        pthread_mutex_lock(&crowd->lock);
        crowd->options->progress(crowd->options->progress_context, n_done);
        pthread_mutex_unlock(&crowd->lock);
    }
}

/* The first failure is the one that is told; the others follow from it. */
static void fail(struct crowd *crowd, const struct error *error)
{
    pthread_mutex_lock(&crowd->lock);
    if (!crowd->has_failed) {
        crowd->has_failed = true;
        error_set(crowd->error, error->code, "%s", error->message);
    }
    pthread_mutex_unlock(&crowd->lock);
    atomic_store(&crowd->must_stop, true);
}

static void *run_thread(void *context)
{
    struct crowd *crowd = context;
    const struct simulation_options *options = crowd->options;
    const int n_users = id_map_count(options->users);
    struct session session;
    struct error error = {0};
    if (session_open(&session, options, &error) != 0) {
        fail(crowd, &error);
        return NULL;
    }
    while (!atomic_load(&crowd->must_stop)) {
        const int user = atomic_fetch_add(&crowd->next_user, 1);
        if (user >= n_users) {
            break;
        }
        if (session_send_user(&session, id_map_id(options->users, user), &error) != 0) {
            fail(crowd, &error);
            break;
        }
        atomic_fetch_add(&crowd->n_done, 1);
        report_progress(crowd);
    }
    pthread_mutex_lock(&crowd->lock);
    simulation_result_add(crowd->result, &session.counts, options->experiment->n_arms);
    pthread_mutex_unlock(&crowd->lock);
    session_close(&session);
    return NULL;
}

int simulation_run(const struct simulation_options *options,
                   struct simulation_result *result, struct error *error)
{
    struct crowd crowd = {.options = options, .result = result, .error = error};
    int n_started = 0;
    memset(result, 0, sizeof *result);
    pthread_t *threads = calloc((size_t)options->n_threads, sizeof *threads);
    if (!threads ||
        simulation_result_new(options->experiment->n_arms, result, error) != 0) {
        error_set(error, ERROR_NOMEM, "no memory for %d threads", options->n_threads);
        free(threads);
        return -1;
    }
    if (libcurl_load(error) != 0) {
        free(threads);
        return -1;
    }
    pthread_mutex_init(&crowd.lock, NULL);
    while (n_started < options->n_threads &&
           pthread_create(&threads[n_started], NULL, run_thread, &crowd) == 0) {
        n_started++;
    }
    if (n_started == 0) {
        const struct error none = {ERROR_NOMEM, "cannot start a thread"};
        fail(&crowd, &none);
    }
    for (int i = 0; i < n_started; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_mutex_destroy(&crowd.lock);
    free(threads);
    return crowd.has_failed ? -1 : 0;
}
