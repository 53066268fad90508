#include "serve/feedback.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include <jansson.h>

#include "common/clock.h"
#include "serve/dedup.h"
#include "serve/recommend.h"
#include "serve/server.h"

#define MAX_EVENTS    1000 /* in one request */
#define MAX_NAME_LEN  128  /* of an event's name */
#define MAX_ID_LEN    128
#define MAX_ITEM_LEN  256
#define MAX_AHEAD_US  INT64_C(86400000000) /* a client's clock may be a day ahead */
#define MAX_WHERE_LEN 40

static struct slice text_of(const json_t *value)
{
    return (struct slice){json_string_value(value), json_string_length(value)};
}

/* Takes the string member `key` of 1..max bytes. */
static int take_text(struct http_exchange *x, const char *where, const json_t *object,
                     const char *key, size_t max, struct slice *text)
{
    const json_t *value = json_object_get(object, key);
    *text = (struct slice){"", 0};
    if (!value) {
        return 0;
    }
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > max) {
        http_problem(x, 400, "%s%s must be a string of 1 to %zu bytes", where, key,
                     max);
        return -1;
    }
    *text = text_of(value);
    return 0;
}

static int check_keys(struct http_exchange *x, const char *where, json_t *object)
{
    static const char *const keys[] = {"id",   "user",       "event", "value",
                                       "item", "request_id", "ts"};
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        bool is_known = false;
        for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
            is_known |= strcmp(key, keys[i]) == 0;
        }
        if (!is_known) {
            http_problem(x, 400,
                         "%sunknown member \"%.64s\" (known: id, user, event, value, "
                         "item, request_id, ts)",
                         where, key);
            return -1;
        }
    }
    return 0;
}

static int take_numbers(struct http_exchange *x, const char *where,
                        const json_t *object, struct event *event)
{
    const json_t *value = json_object_get(object, "value");
    const json_t *ts = json_object_get(object, "ts");
    const int64_t now = clock_wall_us();
    if (value && !json_is_number(value)) {
        http_problem(x, 400, "%svalue must be a number", where);
        return -1;
    }
    event->has_value = value != NULL;
    event->value = value ? json_number_value(value) : 0;
    event->ts_us = now;
    if (ts) {
        if (!json_is_integer(ts) || json_integer_value(ts) < 0 ||
            json_integer_value(ts) > now + MAX_AHEAD_US) {
            http_problem(
                x, 400,
                "%sts must be whole microseconds since 1970 UTC, at most a day "
                "in the future (it is now %" PRId64 ")",
                where, now);
            return -1;
        }
        event->ts_us = json_integer_value(ts);
    }
    return 0;
}

/* Makes an event of one JSON object, or answers 400. */
static int take_event(struct http_exchange *x, const char *where, json_t *object,
                      struct event *event)
{
    *event = (struct event){.type = EVENT_FEEDBACK};
    if (!json_is_object(object)) {
        http_problem(x, 400, "%sfeedback is a JSON object, or an array of them", where);
        return -1;
    }
    if (check_keys(x, where, object) != 0 ||
        take_text(x, where, object, "id", MAX_ID_LEN, &event->id) != 0 ||
        take_text(x, where, object, "user", MAX_USER_LEN, &event->user) != 0 ||
        take_text(x, where, object, "event", MAX_NAME_LEN, &event->event) != 0 ||
        take_text(x, where, object, "item", MAX_ITEM_LEN, &event->item) != 0 ||
        take_text(x, where, object, "request_id", MAX_ID_LEN, &event->request) != 0) {
        return -1;
    }
    if (event->user.len == 0 || event->event.len == 0) {
        http_problem(x, 400, "%s%s is missing", where,
                     event->user.len == 0 ? "user" : "event");
        return -1;
    }
    return take_numbers(x, where, object, event);
}

struct tally {
    int n_accepted, n_duplicates;
};

static int log_one(struct http_exchange *x, struct event *event, struct tally *tally)
{
    char id[EVENT_ID_SIZE];
    if (event->id.len > 0) {
        switch (dedup_add(server_dedup(x), event->id, x->worker)) {
        case DEDUP_SEEN:
            tally->n_duplicates++;
            x->needs_commit = true; /* the first may be in this very batch */
            return 0;
        case DEDUP_BUSY:
        case DEDUP_NO_MEMORY:
            http_add_header(x, "Retry-After", "1");
            http_problem(x, 503, "another request with the same id is being logged");
            return -1;
        case DEDUP_NEW:
            break;
        }
    } else {
        event->id = (struct slice){id, (size_t)log_shard_next_id(x->log, id)};
    }
    if (server_log(x, event) != 0) {
        return -1;
    }
    tally->n_accepted++;
    return 0;
}

/* Everything is checked before anything is logged: an array counts whole or not at all.
 */
static int log_all(struct http_exchange *x, json_t *body, struct tally *tally)
{
    const bool is_array = json_is_array(body);
    const size_t n = is_array ? json_array_size(body) : 1;
    struct event event;
    if (n > MAX_EVENTS) {
        http_problem(x, 413, "%zu events in one request; the limit is %d", n,
                     MAX_EVENTS);
        return -1;
    }
    for (int pass = 0; pass < 2; pass++) {
        const size_t mark = dedup_mark(server_dedup(x), x->worker);
        for (size_t i = 0; i < n; i++) {
            char where[MAX_WHERE_LEN] = "";
            if (is_array) {
                snprintf(where, sizeof where, "event %zu: ", i);
            }
            if (take_event(x, where, is_array ? json_array_get(body, i) : body,
                           &event) != 0) {
                return -1;
            }
            if (pass == 1 && log_one(x, &event, tally) != 0) {
                dedup_undo(server_dedup(x), x->worker, mark);
                return -1;
            }
        }
    }
    return 0;
}

void route_feedback(struct http_exchange *x)
{
    json_error_t error;
    struct tally tally = {0, 0};
    json_t *body = json_loadb(x->request.body.data, x->request.body.len,
                              JSON_REJECT_DUPLICATES, &error);
    if (!body) {
        http_problem(x, 400, "the body is not JSON: line %d, column %d: %s", error.line,
                     error.column, error.text);
        return;
    }
    if (log_all(x, body, &tally) == 0) {
        struct buffer *out = http_answer(x, 200, HTTP_JSON);
        buffer_append_text(out, "{\"accepted\":");
        buffer_append_int(out, tally.n_accepted);
        buffer_append_text(out, ",\"duplicates\":");
        buffer_append_int(out, tally.n_duplicates);
        buffer_append_text(out, "}\n");
        http_answer_end(x);
    }
    json_decref(body);
}
