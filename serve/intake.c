#include "serve/intake.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "serve/dedup.h"
#include "serve/json_arena.h"
#include "serve/newcomers.h"
#include "serve/recommend.h"

#define MAX_EVENTS      1000                 /* in one request */
#define MAX_AHEAD_US    INT64_C(86400000000) /* a client's clock may be a day ahead */
#define JSON_ARENA_SIZE 65536 /* some thirty events; more go on with malloc */
#define MAX_WHERE_LEN   40
#define MAX_KNOWN_LEN   160

static size_t max_len(const char *key)
{
    return strcmp(key, "user") == 0 || strcmp(key, "UserId") == 0   ? MAX_USER_LEN
           : strcmp(key, "item") == 0 || strcmp(key, "ItemId") == 0 ? INTAKE_MAX_ITEM
                                                                    : INTAKE_MAX_NAME;
}

int intake_check(struct http_exchange *x, const char *where, json_t *object,
                 const char *const *known)
{
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(object)) {
        http_problem(x, 400, "%sthe body is a JSON object, or an array of them", where);
        return -1;
    }
    json_object_foreach(object, key, value)
    {
        char all[MAX_KNOWN_LEN] = "";
        size_t len = 0;
        bool is_known = false;
        for (int i = 0; known[i]; i++) {
            is_known = is_known || strcmp(key, known[i]) == 0;
            len += (size_t)snprintf(all + len, sizeof all - len, "%s%s", i ? ", " : "",
                                    known[i]);
        }
        if (!is_known) {
            http_problem(x, 400, "%sunknown member \"%.64s\" (known: %s)", where, key,
                         all);
            return -1;
        }
    }
    return 0;
}

int intake_text(struct http_exchange *x, const char *where, const json_t *object,
                const char *key, bool is_required, struct slice *text)
{
    const json_t *value = json_object_get(object, key);
    const size_t max = max_len(key);
    *text = (struct slice){"", 0};
    if (!value) {
        if (is_required) {
            http_problem(x, 400, "%s%s is missing", where, key);
        }
        return is_required ? -1 : 0;
    }
    if (!json_is_string(value) || json_string_length(value) == 0 ||
        json_string_length(value) > max) {
        http_problem(x, 400, "%s%s must be a string of 1 to %zu bytes", where, key,
                     max);
        return -1;
    }
    *text = (struct slice){json_string_value(value), json_string_length(value)};
    return 0;
}

int intake_id(struct http_exchange *x, const char *where, const json_t *object,
              struct slice *id)
{
    if (intake_text(x, where, object, "id", false, id) != 0) {
        return -1;
    }
    if (log_is_own_id(*id)) {
        http_problem(x, 400,
                     "%sid must not be a request_id, which is the list's own (put "
                     "something behind it)",
                     where);
        return -1;
    }
    return 0;
}

bool intake_is_time(int64_t ts_us, int64_t now_us)
{
    return ts_us >= 0 && ts_us <= now_us + MAX_AHEAD_US;
}

int intake_time(struct http_exchange *x, const char *where, const json_t *object,
                int64_t *ts_us)
{
    const json_t *ts = json_object_get(object, "ts");
    const int64_t now = clock_wall_us();
    if (ts && (!json_is_integer(ts) || !intake_is_time(json_integer_value(ts), now))) {
        http_problem(x, 400,
                     "%sts must be whole microseconds since 1970 UTC, at most a day "
                     "in the future (it is now %" PRId64 ")",
                     where, now);
        return -1;
    }
    *ts_us = ts ? json_integer_value(ts) : now;
    return 0;
}

static int log_one(struct http_exchange *x, struct intake_event *taken,
                   struct intake_tally *tally)
{
    struct event *event = &taken->event;
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
        event->id =
            (struct slice){taken->id, (size_t)log_shard_next_id(x->log, taken->id)};
    }
    if (server_log(x, event) != 0) {
        return -1;
    }
    if (event->type == EVENT_FEEDBACK && event->has_value && event->item.len > 0 &&
        slice_is(event->event, NEWCOMERS_EVENT)) {
        newcomers_note(server_newcomers(x), x->worker,
                       &(struct rating_event){event->user, event->item, event->value,
                                              event->ts_us});
    }
    if (event->type == EVENT_EXPOSURE) {
        server_count_reported(x, taken->experiment, taken->arm);
    }
    tally->n_accepted++;
    return 0;
}

static int log_all(struct http_exchange *x, json_t *body, intake_take *take,
                   struct intake_tally *tally)
{
    const bool is_array = json_is_array(body);
    const size_t n = is_array ? json_array_size(body) : 1;
    struct intake_event taken;
    if (n > MAX_EVENTS) {
        http_problem(x, 413, "%zu events in one request; the limit is %d", n,
                     MAX_EVENTS);
        return -1;
    }
    for (int pass = 0; pass < 2; pass++) {
        const struct server_mark mark = server_mark(x);
        for (size_t i = 0; i < n; i++) {
            char where[MAX_WHERE_LEN] = "";
            if (is_array) {
                snprintf(where, sizeof where, "event %zu: ", i);
            }
            if (take(x, where, is_array ? json_array_get(body, i) : body, &taken) !=
                0) {
                return -1;
            }
            if (pass == 1 && log_one(x, &taken, tally) != 0) {
                server_rewind(x, &mark);
                return -1;
            }
        }
    }
    return 0;
}

int intake_body(struct http_exchange *x, intake_take *take, struct intake_tally *tally)
{
    json_error_t error;
    void *memory = server_scratch(x, SCRATCH_JSON, JSON_ARENA_SIZE);
    if (!memory) {
        return -1;
    }
    json_arena_begin(memory, JSON_ARENA_SIZE);
    json_t *body = json_loadb(x->request.body.data, x->request.body.len,
                              JSON_REJECT_DUPLICATES, &error);
    int rc = -1;
    *tally = (struct intake_tally){0, 0};
    if (!body) {
        http_problem(x, 400, "the body is not JSON: line %d, column %d: %s", error.line,
                     error.column, error.text);
    } else {
        rc = log_all(x, body, take, tally);
        json_decref(body);
    }
    json_arena_end();
    return rc;
}

void intake_answer(struct http_exchange *x, const struct intake_tally *tally)
{
    struct buffer *out = http_answer(x, 200, HTTP_JSON);
    buffer_append_text(out, "{\"accepted\":");
    buffer_append_int(out, tally->n_accepted);
    buffer_append_text(out, ",\"duplicates\":");
    buffer_append_int(out, tally->n_duplicates);
    buffer_append_text(out, "}\n");
    http_answer_end(x);
}
