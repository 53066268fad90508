/* server_internal.h - inside of the server: what its files share. Included by server*.c
 * and desk.c only. */
#ifndef SERVE_SERVER_INTERNAL_H
#define SERVE_SERVER_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>

#include "serve/dashboard.h"
#include "serve/metrics.h"
#include "serve/past.h"
#include "serve/server.h"

/* An exposure that is being logged. */
struct noted_exposure {
    int slot;           /* of its arm in the metrics */
    int64_t latency_us; /* negative: reported by a client */
};

/* How much of what a worker is logging there is: ids, ratings, exposures. */
struct pending {
    size_t n_ids, ratings, n_exposures;
};

/* What one worker keeps; on cache lines of its own. */
struct desk {
    _Alignas(64) struct serve_state *state; /* a reference */
    unsigned state_version;
    unsigned logged_version; /* whose config the shard has */
    uint64_t flying_batch;   /* the log's number of the batch being committed */
    struct pending flying;
    struct noted_exposure *exposures; /* (n_exposures) being logged */
    size_t n_exposures, exposure_capacity;
    const struct serve_state *slots_of; /* whose arms `slots` are for; not followed */
    void *scratch[N_SCRATCH];
    size_t scratch_size[N_SCRATCH];
    struct ranking ranking;
};

struct server {
    struct server_options options;
    struct http_workers *workers;
    struct log *log;
    struct access_log *access_log; /* NULL: none */
    struct desk *desks;            /* (n_workers) */
    struct past *past;
    struct metrics *metrics;
    bool has_committers;
    const struct config *log_config; /* until the server is open */
    pthread_t log_opener;
    bool has_log_opener;
    int log_rc; /* of opening the log */
    struct error log_error;
    atomic_int_fast64_t trouble_second; /* when trouble was told last */
    atomic_int n_troubles;              /* in that second */
    pthread_mutex_t reload_lock;        /* one reload at a time */
    pthread_mutex_t change_lock;        /* one change of the config file at a time */
    struct dashboard *dashboard;
    pthread_mutex_t state_lock;
    struct serve_state *state; /* under state_lock */
    atomic_uint state_version;
    bool is_open;
};

/* server_log.c: opens the log and reads back what a restart must not forget, on a
 * thread of its own; waits for that; tells the log what is served; and puts another
 * config into one worker's log. */
void server_begin_log(struct server *server);
MUST_CHECK int server_await_log(struct server *server, struct error *error);
MUST_CHECK int server_describe_log(struct server *server, struct error *error);
MUST_CHECK int server_log_config(const struct server *server, int worker,
                                 const struct serve_state *state, struct error *error);

/* server_hooks.c: what the workers call. */
struct http_hooks server_hooks(struct server *server);
void server_trouble(void *context, const char *event, const struct error *error);

#endif
