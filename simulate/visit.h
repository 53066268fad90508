/* visit.h - one visit of one user: ask, react, answer. Private to simulate/.
 *
 * A session is one thread's connection, scratch memory and counts.
 */
#ifndef SIMULATE_VISIT_H
#define SIMULATE_VISIT_H

#include "common/buffer.h"
#include "simulate/client.h"
#include "simulate/simulation.h"

struct session {
    const struct simulation_options *options;
    struct client *client;
    struct buffer path;
    struct buffer body;
    struct reaction reaction;
    struct simulation_result counts; /* of this thread */
};

MUST_CHECK int session_open(struct session *session,
                            const struct simulation_options *options,
                            struct error *error);
void session_close(struct session *session); /* counts included */

/* All visits of one user, counted in session->counts. */
MUST_CHECK int session_send_user(struct session *session, struct slice user,
                                 struct error *error);

#endif
