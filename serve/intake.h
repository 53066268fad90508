/* intake.h - events that come in as JSON: one object or an array of them, of whichever
 * kind; what feedback, exposures and Gorse's feedback have in common.
 */
#ifndef SERVE_INTAKE_H
#define SERVE_INTAKE_H

#include <jansson.h>

#include "serve/attributes.h"
#include "serve/server.h"

#define INTAKE_MAX_ID   128 /* bytes of an event's id */
#define INTAKE_MAX_NAME 128 /* of an event's name */
#define INTAKE_MAX_ITEM 256

/* One event as it is taken from JSON; the event may point into the rest. */
struct intake_event {
    struct event event;
    struct event_assignment assignment;
    struct event_attribute attributes[CONFIG_MAX_ATTRIBUTES];
    int experiment, arm; /* of an exposure, in the config */
    char id[EVENT_ID_SIZE];
};

struct intake_tally {
    int n_accepted, n_duplicates;
};

/* Makes an event of one JSON object, or answers 400 and returns -1. `where` begins the
 * message: "event 3: " in an array. An event without an id gets one. */
typedef int intake_take(struct http_exchange *x, const char *where, json_t *object,
                        struct intake_event *taken);

/* Logs every event of the body. Everything is checked before anything is logged: an
 * array counts whole or not at all. Returns 0, or -1 when it has answered already. */
MUST_CHECK int intake_body(struct http_exchange *x, intake_take *take,
                           struct intake_tally *tally);

/* {"accepted":n,"duplicates":m} */
void intake_answer(struct http_exchange *x, const struct intake_tally *tally);

/* ---- for an intake_take ---- */

/* Refuses what is no object, or has a member that is not in the NULL-terminated list.
 */
MUST_CHECK int intake_check(struct http_exchange *x, const char *where, json_t *object,
                            const char *const *known);

/* Takes the string member `key` of 1..max bytes; empty when it is absent and not
 * required. */
MUST_CHECK int intake_text(struct http_exchange *x, const char *where,
                           const json_t *object, const char *key, bool is_required,
                           struct slice *text);

/* Takes "id" likewise; refuses one that the server may have given an event itself. */
MUST_CHECK int intake_id(struct http_exchange *x, const char *where,
                         const json_t *object, struct slice *id);

/* Takes "ts", whole microseconds since 1970 UTC; now when it is absent. */
MUST_CHECK int intake_time(struct http_exchange *x, const char *where,
                           const json_t *object, int64_t *ts_us);

/* Whether a time may stand in the log: from 1970 to a day from now. */
bool intake_is_time(int64_t ts_us, int64_t now_us);

#endif
