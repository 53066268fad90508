/* connection.h - inside of the workers: one connection, one batch of answers. Included
 * by the files of the workers only. */
#ifndef SERVE_CONNECTION_H
#define SERVE_CONNECTION_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

#include "serve/access_log.h"
#include "serve/http.h"
#include "serve/worker.h"

#define READ_SIZE         65536  /* one read takes at most this much */
#define MAX_PENDING_BYTES 262144 /* answers of one connection waiting to be sent */
#define KEPT_INPUT_BYTES  2048   /* room for input that a quiet connection keeps */

/* Every connection is in the list of exactly one phase; each phase has one time limit,
 * so a list is ordered by deadline and its head expires first. */
enum phase {
    PHASE_IDLE,    /* no byte of a request yet */
    PHASE_HEADER,  /* part of a header */
    PHASE_BODY,    /* part of a body */
    PHASE_WAITING, /* its request is being answered elsewhere; no limit */
    PHASE_WRITING, /* the client is slow in reading */
    PHASE_STREAM,  /* an answer without end; no limit */
    PHASE_LINGER,  /* refused: what it still sends is read and dropped */
    N_PHASES,
};

struct worker;
struct aside_job;

struct connection {
    struct connection *prev, *next; /* of the phase's list */
    struct worker *worker;
    int64_t deadline_ms;
    int fd;
    enum phase phase;
    int n_requests;
    int n_records;  /* answers in batches, jobs: it may not be freed before they go */
    size_t pending; /* bytes of answers in the batch */
    bool is_closed; /* fd is closed; freed when n_records is 0 */
    bool is_reading;
    bool close_after; /* close when all answers are sent */
    bool linger;      /* ... after reading what may still come */
    bool saw_end;     /* the client has closed its side */
    bool in_resume;   /* in the worker's list of connections with input left over */
    struct connection *resume_next;
    struct buffer in;     /* input of an incomplete request, or not yet looked at */
    struct buffer out;    /* answers that did not fit the socket */
    size_t out_at;        /* sent so far of them */
    size_t held;          /* memory of `in` and `out`, as counted in held_bytes */
    struct buffer access; /* of the access log's line: peer, time, request */
    size_t access_peer_len;
    const struct http_stream *stream;
    void *stream_context;
    int64_t stream_due_ms;
    struct event read_event, write_event;
    struct http_parser parser;
};

struct record {
    struct connection *connection;
    const struct route *route;
    size_t start, end; /* in the batch's bytes */
    int status;
    bool needs_commit, is_head, close;
    bool is_final; /* false for "100 Continue" */
    int minor;
    size_t access_start, access_len; /* in the batch's `access`; 0: no line */
    int64_t start_ns;
};

/* Answers waiting for a commit that is done elsewhere. */
struct batch {
    struct buffer out, access;
    struct record *records;
    size_t n_records, record_capacity;
};

struct phase_list {
    struct connection *head, *tail;
};

struct worker {
    struct http_workers *owner;
    int index;
    pthread_t thread;
    bool has_thread;
    struct event_base *base;
    int listener;
    bool listener_is_shared;
    int wake_fd;
    struct event *listen_event, *wake_event, *sweep_event;
    bool accept_paused;
    bool is_in_tick;
    bool is_stopping;
    int64_t drain_deadline_ms;
    int64_t now_ms; /* of the tick */
    int64_t date_second;
    char date[40];
    char access_time[ACCESS_LOG_TIME_SIZE];
    int n_connections;
    struct phase_list phases[N_PHASES];
    struct connection *resume;
    struct connection *graveyard;
    char *scratch; /* (READ_SIZE) */
    struct buffer out, access, extra, replacement;
    struct buffer access_lines;
    struct record *records;
    size_t n_records, record_capacity;
    bool needs_commit;
    /* While one batch is being committed, answers gather in the next: group commit. */
    struct batch flying;
    bool is_flying;
    struct event *commit_event;
    struct http_exchange tick; /* what exchanges of this tick begin with */
    struct http_exchange exchange;
    pthread_mutex_t done_lock;
    struct aside_job *done; /* jobs that came back; under done_lock */
};

struct aside;

struct http_workers {
    struct http_options options;
    int port;
    char url[HTTP_URL_SIZE];
    atomic_bool stop;
    atomic_int n_connections; /* of all workers */
    atomic_bool wants_room; /* one has a newcomer and nobody of its own to send away */
    atomic_size_t held_bytes; /* by connections, for requests and answers */
    struct worker *workers;
    int n_workers;
    struct aside *aside;
};

/* connection.c */
/* Its place among n_connections of all workers is taken already. */
struct connection *connection_new(struct worker *worker, int fd);
void connection_close(struct connection *connection);
void connection_readable(struct connection *connection);
void connection_resume(struct connection *connection); /* input left over */
void connection_expire(struct connection *connection); /* its phase took too long */
void connection_send(struct connection *connection, const char *data, size_t len);
void connection_set_phase(struct connection *connection, enum phase phase);
void connection_answered(struct connection *connection, struct http_exchange *x);

/* worker.c */
void worker_tick(struct worker *worker); /* every callback calls it first */
int worker_watch(struct worker *worker); /* for wake-ups and deadlines; -1: no memory */
void *worker_run(void *context);         /* the thread */
void worker_bury(struct worker *worker); /* frees closed connections */
void worker_trouble(struct worker *worker, const char *event, enum error_code code,
                    const char *message);

/* batch.c */
struct record *worker_record(struct worker *worker, struct connection *connection,
                             size_t start);
void worker_flush(struct worker *worker); /* commits and sends, if that may be now */
void worker_flush_if_full(struct worker *worker); /* may close any connection */
void worker_finish(struct worker *worker);        /* waits until all is sent */
int worker_watch_commits(struct worker *worker);

/* listener.c */
int listener_check_free(const struct http_options *options, struct error *error);
int listener_open(struct worker *worker, struct error *error);
int listener_watch(struct worker *worker);
int listener_accept(struct worker *worker); /* how many, or -1: no more to accept now */
void listener_make_room(struct worker *worker); /* if another worker wants it */
void listener_resume(struct worker *worker); /* after a pause, if there is room again */
void listener_close(struct worker *worker);

/* aside.c */
struct aside *aside_new(int n_threads, struct error *error);
void aside_free(struct aside *aside); /* waits for what runs; drops what waits */
void aside_give(struct aside *aside, struct connection *connection,
                const struct http_exchange *x, const char *message, size_t len);
void aside_collect(struct worker *worker); /* answers of jobs that came back */

#endif
