/* simulate_log.h - simulated users written straight into a log, without a server.
 *
 * For trials of the analysis: millions of events in seconds, with a planted truth. The
 * users are assigned by the config's own hash and react by the same coins as over HTTP,
 * so both ways give the same counts. What is missing is what a server would have
 * decided: with n_items > 0 the lists are item ids drawn at random.
 */
#ifndef ABTEST_SIMULATE_LOG_H
#define ABTEST_SIMULATE_LOG_H

#include "simulate/simulate.h"

struct simulate_log_options {
    const struct config *config; /* stands in the log */
    const char *directory;
    const char *version; /* of the program */
    int64_t start_us;    /* exposures fall in [start_us, start_us + span_us) */
    int64_t span_us;     /* > 0 */
    int n_items;         /* items of a list, 0..LIST_MAX */
};

/* Writes the visits of run->users with run->n_threads threads, each into segments of
 * its own; RULE_RATES only. Same seed, same events, whatever the threads; their ids are
 * the writer's. Fails as the log does; *result is filled in both cases, free it. */
MUST_CHECK int simulate_log_write(const struct simulate_log_options *options,
                                  const struct simulation_options *run,
                                  struct simulation_result *result,
                                  struct error *error);

#endif
