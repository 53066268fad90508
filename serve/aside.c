/* aside.c - side threads for routes that take their time: reading logs, making reports.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include "serve/connection.h"

#define MAX_WAITING 64 /* jobs; more are answered 503 */

struct aside_job {
    struct aside_job *next;
    struct connection *connection; /* held by its n_records */
    struct buffer out, extra;
    char date[40];
    struct http_exchange x;
    size_t len;
    char message[]; /* (len): the request, which the slices of x point into */
};

struct aside {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct aside_job *head, *tail; /* waiting */
    int n_waiting;
    bool stop;
    pthread_t *threads;
    int n_threads;
};

static void give_back(struct aside_job *job)
{
    struct worker *worker = job->connection->worker;
    pthread_mutex_lock(&worker->done_lock);
    job->next = worker->done;
    worker->done = job;
    pthread_mutex_unlock(&worker->done_lock);
    eventfd_write(worker->wake_fd, 1);
}

static void *run(void *context)
{
    struct aside *aside = context;
    pthread_mutex_lock(&aside->lock);
    for (;;) {
        while (!aside->head && !aside->stop) {
            pthread_cond_wait(&aside->work, &aside->lock);
        }
        struct aside_job *job = aside->head;
        if (!job) {
            break;
        }
        aside->head = job->next;
        aside->tail = aside->head ? aside->tail : NULL;
        aside->n_waiting--;
        pthread_mutex_unlock(&aside->lock);
        job->x.aside(&job->x);
        give_back(job);
        pthread_mutex_lock(&aside->lock);
    }
    pthread_mutex_unlock(&aside->lock);
    return NULL;
}

struct aside *aside_new(int n_threads, struct error *error)
{
    struct aside *aside = calloc(1, sizeof *aside);
    if (!aside || !(aside->threads = calloc((size_t)n_threads, sizeof(pthread_t)))) {
        error_set(error, ERROR_NOMEM, "no memory for side threads");
        free(aside);
        return NULL;
    }
    pthread_mutex_init(&aside->lock, NULL);
    pthread_cond_init(&aside->work, NULL);
    for (; aside->n_threads < n_threads; aside->n_threads++) {
        if (pthread_create(&aside->threads[aside->n_threads], NULL, run, aside) != 0) {
            error_set(error, ERROR_IO, "cannot start a side thread");
            aside_free(aside);
            return NULL;
        }
    }
    return aside;
}

void aside_free(struct aside *aside)
{
    if (!aside) {
        return;
    }
    pthread_mutex_lock(&aside->lock);
    aside->stop = true;
    pthread_cond_broadcast(&aside->work);
    pthread_mutex_unlock(&aside->lock);
    for (int i = 0; i < aside->n_threads; i++) {
        pthread_join(aside->threads[i], NULL);
    }
    pthread_cond_destroy(&aside->work);
    pthread_mutex_destroy(&aside->lock);
    free(aside->threads);
    free(aside);
}

static void move_slice(struct slice *slice, const char *from, size_t len,
                       const char *to)
{
    if (slice->data && slice->data >= from && slice->data <= from + len) {
        slice->data = to + (slice->data - from);
    }
}

/* Makes every slice of the request point into the job's copy of the message. */
static void move_request(struct aside_job *job, const char *from, size_t len)
{
    struct http_exchange *x = &job->x;
    struct http_request *request = &x->request;
    request->headers = x->headers;
    move_slice(&request->target, from, len, job->message);
    move_slice(&request->path, from, len, job->message);
    move_slice(&request->query, from, len, job->message);
    move_slice(&request->body, from, len, job->message);
    for (int i = 0; i < request->n_headers; i++) {
        move_slice(&x->headers[i].name, from, len, job->message);
        move_slice(&x->headers[i].value, from, len, job->message);
    }
    for (int i = 0; i < x->n_params; i++) {
        move_slice(&x->params[i].name, from, len, job->message);
        move_slice(&x->params[i].value, from, len, job->message);
    }
    for (size_t i = 0; i < sizeof x->path_params / sizeof x->path_params[0]; i++) {
        move_slice(&x->path_params[i], from, len, job->message);
    }
}

static void refuse(struct connection *connection, const struct http_exchange *x)
{
    struct http_exchange *own = &connection->worker->exchange;
    if (own != x) {
        *own = *x;
    }
    own->aside = NULL;
    connection_set_phase(connection, PHASE_IDLE);
    http_add_header(own, "Retry-After", "1");
    http_problem(own, 503, "too many reports are being made; try again");
    connection_answered(connection, own);
}

void aside_give(struct aside *aside, struct connection *connection,
                const struct http_exchange *x, const char *message, size_t len)
{
    const struct http_hooks *hooks = &connection->worker->owner->options.hooks;
    struct aside_job *job = NULL;
    pthread_mutex_lock(&aside->lock);
    const bool is_full = aside->n_waiting >= MAX_WAITING || aside->stop;
    pthread_mutex_unlock(&aside->lock);
    if (is_full || !(job = calloc(1, sizeof *job + len + 1))) {
        refuse(connection, x);
        return;
    }
    job->x = *x;
    job->len = len;
    memcpy(job->message, message, len);
    memcpy(job->date, connection->worker->date, sizeof job->date);
    move_request(job, message, len);
    job->x.out = &job->out;
    job->x.extra = &job->extra;
    job->x.date = job->date;
    job->x.log = NULL;
    job->x.answer_start = 0;
    job->connection = connection;
    connection->n_records++;
    hooks->on_aside_begin(hooks->context, &job->x);
    pthread_mutex_lock(&aside->lock);
    if (aside->tail) {
        aside->tail->next = job;
    } else {
        aside->head = job;
    }
    aside->tail = job;
    aside->n_waiting++;
    pthread_cond_signal(&aside->work);
    pthread_mutex_unlock(&aside->lock);
}

/* The answer goes into the worker's batch as if it had been made there. */
static void deliver(struct worker *worker, struct aside_job *job)
{
    struct connection *connection = job->connection;
    struct http_exchange *x = &job->x;
    const struct http_hooks *hooks = &worker->owner->options.hooks;
    hooks->on_aside_end(hooks->context, x);
    connection->n_records--;
    if (!connection->is_closed) {
        connection_set_phase(connection, PHASE_IDLE);
        const bool is_good = x->status && !job->out.failed && !job->x.stream;
        x->answer_start = worker->out.len;
        x->out = &worker->out;
        x->extra = &worker->extra;
        x->status = is_good ? x->status : 0;
        x->stream = NULL;
        buffer_append(&worker->out, job->out.data, is_good ? job->out.len : 0);
        connection_answered(connection, x);
    }
    buffer_free(&job->out);
    buffer_free(&job->extra);
    free(job);
}

void aside_collect(struct worker *worker)
{
    pthread_mutex_lock(&worker->done_lock);
    struct aside_job *job = worker->done;
    worker->done = NULL;
    pthread_mutex_unlock(&worker->done_lock);
    while (job) {
        struct aside_job *next = job->next;
        deliver(worker, job);
        job = next;
    }
}
