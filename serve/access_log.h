/* access_log.h - one line a request in a file, written by a thread of its own.
 *
 * Common Log Format with the time to answer behind it (see docs/operations.md), so that
 * what reads Apache's and nginx's logs reads it:
 *
 *     127.0.0.1 - - [06/Nov/1994:08:49:37 +0000] "GET /v1/recommend?user=4 HTTP/1.1"
 * 200 912 85
 *
 * Peer, time of the request, request line, status, bytes of the answer with its header,
 * microseconds from the whole request to the answer being sent, the log's commit in
 * them. In the request line, `"`, `\` and all but visible ASCII are written as \xHH;
 * "-" is a request that could not be read.
 *
 * It is for people and their tools and may be lost; the evidence is in the event log.
 * So nothing waits for it: lines are handed over in memory, and what the disk does not
 * take (full, slow, gone) is dropped and counted.
 */
#ifndef SERVE_ACCESS_LOG_H
#define SERVE_ACCESS_LOG_H

#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "common/buffer.h"
#include "common/error.h"
#include "serve/http.h"

struct access_log;

/* Told of trouble, from the log's thread; once until it writes again. */
struct access_log_hooks {
    void *context;
    void (*on_trouble)(void *context, const char *event, const struct error *error);
};

/* Appends to `path`, which is created when absent. Fails with ERROR_IO or ERROR_NOMEM.
 */
MUST_CHECK int access_log_open(const char *path, const struct access_log_hooks *hooks,
                               struct access_log **log, struct error *error);

/* Writes what there is, and closes. NULL is allowed. */
void access_log_close(struct access_log *log);

/* Any thread: takes over n_lines whole lines, or drops them. Waits for no disk. */
void access_log_add(struct access_log *log, struct slice lines, int64_t n_lines);

/* Any thread: opens the path again before the next line, for whoever has renamed the
 * file. */
void access_log_reopen(struct access_log *log);

struct access_log_counters {
    int64_t n_lines; /* written */
    int64_t n_lost;
};
struct access_log_counters access_log_counters(struct access_log *log);

/* ---- lines ---- */

/* The peer of a socket and what comes before the time, into *head: a line's beginning.
 */
void access_log_peer(struct buffer *head, int fd);

/* Adds time and request line; `request` NULL: it could not be read. `time_text` as made
 * by access_log_time. */
void access_log_request(struct buffer *head, const char *time_text,
                        const struct http_request *request);

/* Appends the whole line. */
void access_log_line(struct buffer *lines, struct slice head, int status, size_t bytes,
                     int64_t latency_us);

#define ACCESS_LOG_TIME_SIZE 32
void access_log_time(time_t second, char text[ACCESS_LOG_TIME_SIZE]);

#endif
