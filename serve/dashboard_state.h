/* dashboard_state.h - the state that a dashboard shows, as JSON. Private to the
 * dashboard; used by its thread only.
 */
#ifndef SERVE_DASHBOARD_STATE_H
#define SERVE_DASHBOARD_STATE_H

#include "serve/server.h"

#define RECENT_EVENTS   20
#define LATENCY_BUCKETS 18

/* An event as one line of a table. */
struct recent_event {
    int64_t ts_us;
    enum event_type type;
    char user[80]; /* cut at a character when longer */
    char what[160];
};

/* What the end of the log told so far. */
struct observation {
    struct recent_event recent[RECENT_EVENTS]; /* a ring */
    int64_t n_events;                          /* seen; the newest is the last */
    int64_t latency[LATENCY_BUCKETS];          /* exposures by time to answer */
    int64_t last_ts_us;                        /* of an event; 0 = none yet */
    int64_t n_failed_commits;                  /* at the last look */
};

/* Takes an event of the log in. */
void observe(struct observation *observation, const struct event *event);

/* Appends the JSON object. */
void dashboard_append_state(struct buffer *out, struct server *server,
                            const struct config *config,
                            struct observation *observation);

#endif
