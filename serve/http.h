/* http.h - what a route sees: the request, and how to answer it.
 *
 * A route is a function `void route_x(struct http_exchange *x)` named in the table of
 * serve/routes.c. It reads x->request, http_query(), http_path_param(), and answers
 * exactly once, by one of:
 *
 *     http_problem(x, 404, "there is no experiment \"%.*s\"", ...);   RFC 9457 error
 *     struct buffer *body = http_answer(x, 200, "application/json");  any answer
 *     buffer_append_text(body, "{...}");
 *     http_answer_end(x);
 *     http_run_aside(x, work);       slow work: `work` answers on another thread
 *     http_stream(x, &stream);       an answer without end (server-sent events)
 *
 * Headers beyond Content-Type and Content-Length are added before the answer begins,
 * with http_add_header(). HEAD needs no care: the body is written and then dropped; a
 * route that has side effects checks http_is_head().
 *
 * A route runs on the thread of its connection and must not block: no file is read, no
 * lock is waited for. Everything a route borrows (request, state, buffers) is valid
 * until it returns; what http_run_aside runs gets a copy of the request.
 */
#ifndef SERVE_HTTP_H
#define SERVE_HTTP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"
#include "serve/http_parser.h"

#define HTTP_MAX_PARAMS 32 /* query parameters; more are refused */
#define HTTP_JSON       "application/json"

struct route;
struct server;
struct serve_state;
struct log_shard;

struct http_param {
    struct slice name, value; /* percent-decoded, "+" is a blank */
};

struct http_exchange {
    struct http_request request;

    /* Set by the server before a route runs. */
    struct server *server;
    const struct serve_state
        *state;                   /* config and models: the same for the whole call */
    struct serve_state *retained; /* a reference, on a side thread */
    struct log_shard *log;        /* of this thread; NULL on a side thread */
    const struct route *route;
    int worker;       /* index of the thread, in [0, n_workers) */
    int64_t start_ns; /* monotonic: when the request was complete */

    /* For http.c. */
    struct buffer *out;   /* the answer goes to the end of this */
    struct buffer *extra; /* header lines added so far */
    const char *date;     /* "Sun, 06 Nov 1994 08:49:37 GMT" */
    size_t answer_start;  /* in *out */
    size_t length_at,
        body_at;       /* in *out: where Content-Length's value and the body go */
    int status;        /* of the answer; 0 while there is none */
    bool close;        /* end the connection after the answer */
    bool needs_commit; /* the answer says that something is logged: it leaves after the
                          commit, or a 503 leaves in its place */
    void (*aside)(struct http_exchange *x);
    const struct http_stream *stream;
    void *stream_context;
    struct http_param params[HTTP_MAX_PARAMS];
    int n_params;
    struct slice path_params[4];
    struct http_header headers[HTTP_MAX_HEADERS];
};

/* ---- the request ---- */

/* Value of a query parameter, or false when it is absent. */
bool http_query(const struct http_exchange *x, const char *name, struct slice *value);

/* Value of a whole-number parameter in [min, max], or `absent` when it is not there.
 * Answers 400 and returns -1 when it is something else. */
MUST_CHECK int http_query_int(struct http_exchange *x, const char *name, int64_t min,
                              int64_t max, int64_t absent, int64_t *value);

/* Percent-decoded text of the i-th "{...}" of the route's pattern. */
struct slice http_path_param(const struct http_exchange *x, int i);

/* Value of a header field (the name in any case), or an empty slice. */
struct slice http_header(const struct http_exchange *x, const char *name);

bool http_is_head(const struct http_exchange *x);

/* ---- the answer ---- */

/* Adds a header line to the answer that has not begun yet. `value` must not come from
 * a request unless it is free of control characters. */
void http_add_header(struct http_exchange *x, const char *name, const char *value);

/* Begins an answer and returns the buffer to append the body to. `content_type` NULL:
 * an answer without a body (204, 304). */
struct buffer *http_answer(struct http_exchange *x, int status,
                           const char *content_type);

/* Ends the answer: fills in Content-Length. */
void http_answer_end(struct http_exchange *x);

/* The whole answer at once. */
void http_answer_bytes(struct http_exchange *x, int status, const char *content_type,
                       struct slice body);

/* An RFC 9457 problem: {"type":"about:blank","title","status","detail"}. Drops what was
 * begun of another answer; added headers stay. */
void http_problem(struct http_exchange *x, int status, const char *format, ...)
    PRINTF_LIKE(3, 4);

/* ---- answers that take their time ---- */

/* Runs `work` on a side thread, with a copy of this exchange; it answers there as a
 * route does, but may block and has no log. Answers 503 when too many wait. */
void http_run_aside(struct http_exchange *x, void (*work)(struct http_exchange *x));

/* An answer without end. `produce` is called on the connection's thread once at the
 * start and then about every interval_ms, and appends what there is to send; it returns
 * -1 to end the stream. It is not called while the client is behind in reading.
 * `closed` is called exactly once. `x->state` is not kept: fetch it anew through the
 * server. */
struct http_stream {
    const char *content_type; /* "text/event-stream" */
    int interval_ms;
    int (*produce)(struct server *server, void *context, struct buffer *out);
    void (*closed)(void *context);
};
void http_stream(struct http_exchange *x, const struct http_stream *stream,
                 void *context);

/* ---- for whoever drives an exchange ---- */

/* Splits the query into x->params, decoding in place (the request's bytes are ours).
 * Answers 400 and returns -1 on bad escapes, too many parameters, or one given twice.
 */
MUST_CHECK int http_split_query(struct http_exchange *x);

/* Decodes %XX in place, writing only where something changes. Returns the decoded
 * slice; .data is NULL when an escape is malformed. `plus_is_blank` as in queries. */
struct slice http_percent_decode(struct slice text, bool plus_is_blank);

const char *http_status_text(int status);

#endif
