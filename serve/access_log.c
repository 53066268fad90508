#include "serve/access_log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_WAITING_BYTES (4 << 20) /* more are dropped: the disk does not keep up */
#define URGENT_BYTES      (64 << 10)
#define GATHER_NS         100000000 /* what comes within it is written in one go */

struct access_log {
    char *path;
    int fd; /* -1 after a failed reopening; the thread's own */
    struct access_log_hooks hooks;
    bool is_troubled; /* told already */
    bool is_torn;     /* the file ends inside a line */
    pthread_t thread;
    bool has_thread;
    struct buffer writing;
    pthread_mutex_t lock; /* of all below */
    pthread_cond_t changed;
    struct buffer waiting;
    int64_t n_waiting;
    bool must_reopen, must_stop;
    struct access_log_counters counters;
};

static void trouble(struct access_log *log, const char *what)
{
    struct error error;
    if (!log->is_troubled && log->hooks.on_trouble) {
        error_set(&error, ERROR_IO, "%s: %s; lines are lost until this is mended",
                  log->path, what);
        log->hooks.on_trouble(log->hooks.context, "access_log", &error);
    }
    log->is_troubled = true;
}

/* Non-blocking, for the path may be a pipe that nobody reads. */
static int open_file(const char *path)
{
    return open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0640);
}

static int64_t count_lines(const char *data, size_t len)
{
    int64_t n = 0;
    for (size_t i = 0; i < len; i++) {
        n += data[i] == '\n';
    }
    return n;
}

/* Writes log->writing; returns how many of its lines were lost. */
static int64_t write_out(struct access_log *log, bool must_reopen)
{
    size_t at = 0;
    ssize_t n = 0;
    if (must_reopen || log->fd < 0) {
        if (log->fd >= 0) {
            close(log->fd);
        }
        log->fd = open_file(log->path);
        log->is_torn = false;
    }
    if (log->fd >= 0 && log->is_torn && log->writing.len > 0 &&
        write(log->fd, "\n", 1) == 1) {
        log->is_torn = false;
    }
    while (log->fd >= 0 && !log->is_torn && at < log->writing.len) {
        n = write(log->fd, log->writing.data + at, log->writing.len - at);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            break;
        }
        at += (size_t)n;
    }
    if (at == log->writing.len && log->fd >= 0) {
        log->is_troubled = log->is_troubled && at == 0;
        return 0;
    }
    trouble(log, strerror(errno));
    log->is_torn = log->is_torn || (at > 0 && log->writing.data[at - 1] != '\n');
    return count_lines(log->writing.data + at, log->writing.len - at);
}

static void wait_for_work(struct access_log *log)
{
    struct timespec until;
    while (!log->waiting.len && !log->must_reopen && !log->must_stop) {
        pthread_cond_wait(&log->changed, &log->lock);
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += GATHER_NS;
    until.tv_sec += until.tv_nsec / 1000000000;
    until.tv_nsec %= 1000000000;
    while (log->waiting.len < URGENT_BYTES && !log->must_reopen && !log->must_stop &&
           pthread_cond_timedwait(&log->changed, &log->lock, &until) == 0) {
    }
}

static void *run(void *context)
{
    struct access_log *log = context;
    bool must_stop = false;
    while (!must_stop) {
        pthread_mutex_lock(&log->lock);
        wait_for_work(log);
        const struct buffer empty = log->writing;
        log->writing = log->waiting;
        log->waiting = empty;
        const int64_t n_lines = log->n_waiting;
        const bool must_reopen = log->must_reopen;
        log->n_waiting = 0;
        log->must_reopen = false;
        must_stop = log->must_stop;
        pthread_mutex_unlock(&log->lock);
        const int64_t n_lost = write_out(log, must_reopen);
        buffer_clear(&log->writing);
        pthread_mutex_lock(&log->lock);
        log->counters.n_lines += n_lines - n_lost;
        log->counters.n_lost += n_lost;
        pthread_mutex_unlock(&log->lock);
    }
    return NULL;
}

int access_log_open(const char *path, const struct access_log_hooks *hooks,
                    struct access_log **result, struct error *error)
{
    struct access_log *log = calloc(1, sizeof *log);
    if (!log) {
        error_set(error, ERROR_NOMEM, "no memory for the access log");
        return -1;
    }
    pthread_mutex_init(&log->lock, NULL);
    pthread_cond_init(&log->changed, NULL);
    log->hooks = *hooks;
    log->fd = open_file(path);
    log->path = strdup(path);
    if (log->fd < 0) {
        error_set(error, ERROR_IO, "cannot write the access log %s: %s", path,
                  strerror(errno));
        goto fail;
    }
    if (!log->path || pthread_create(&log->thread, NULL, run, log) != 0) {
        error_set(error, ERROR_NOMEM, "no memory or thread for the access log");
        goto fail;
    }
    log->has_thread = true;
    *result = log;
    return 0;
fail:
    access_log_close(log);
    return -1;
}

static void signal_thread(struct access_log *log, bool *flag)
{
    pthread_mutex_lock(&log->lock);
    *flag = true;
    pthread_cond_signal(&log->changed);
    pthread_mutex_unlock(&log->lock);
}

void access_log_close(struct access_log *log)
{
    if (!log) {
        return;
    }
    if (log->has_thread) {
        signal_thread(log, &log->must_stop);
        pthread_join(log->thread, NULL);
    }
    if (log->fd >= 0) {
        close(log->fd);
    }
    buffer_free(&log->waiting);
    buffer_free(&log->writing);
    pthread_cond_destroy(&log->changed);
    pthread_mutex_destroy(&log->lock);
    free(log->path);
    free(log);
}

void access_log_add(struct access_log *log, struct slice lines, int64_t n_lines)
{
    pthread_mutex_lock(&log->lock);
    const size_t before = log->waiting.len;
    if (before + lines.len <= MAX_WAITING_BYTES) {
        buffer_append(&log->waiting, lines.data, lines.len);
    }
    if (log->waiting.len == before + lines.len && !log->waiting.failed) {
        log->n_waiting += n_lines;
    } else {
        log->waiting.len = before;
        log->waiting.failed = false;
        log->counters.n_lost += n_lines;
    }
    /* The thread sleeps, or gathers: it is woken twice a round at most. */
    if (before == 0 || (before < URGENT_BYTES && log->waiting.len >= URGENT_BYTES)) {
        pthread_cond_signal(&log->changed);
    }
    pthread_mutex_unlock(&log->lock);
}

void access_log_reopen(struct access_log *log)
{
    signal_thread(log, &log->must_reopen);
}

struct access_log_counters access_log_counters(struct access_log *log)
{
    pthread_mutex_lock(&log->lock);
    const struct access_log_counters counters = log->counters;
    pthread_mutex_unlock(&log->lock);
    return counters;
}

/* ---- lines ---- */

void access_log_peer(struct buffer *head, int fd)
{
    struct sockaddr_storage address = {0};
    socklen_t len = sizeof address;
    char text[INET6_ADDRSTRLEN] = "-";
    if (getpeername(fd, (struct sockaddr *)&address, &len) == 0) {
        struct sockaddr_in in4;
        struct sockaddr_in6 in6;
        memcpy(&in4, &address, sizeof in4);
        memcpy(&in6, &address, sizeof in6);
        const void *bytes = address.ss_family == AF_INET6 ? (const void *)&in6.sin6_addr
                                                          : (const void *)&in4.sin_addr;
        if (address.ss_family != AF_INET6 && address.ss_family != AF_INET) {
            bytes = NULL; /* a socket in the file system, passed by systemd */
        }
        if (!bytes || !inet_ntop(address.ss_family, bytes, text, sizeof text)) {
            memcpy(text, "-", 2);
        }
    }
    buffer_append_text(head, text);
    buffer_append_text(head, " - - ");
}

static void append_escaped(struct buffer *head, struct slice text)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < text.len; i++) {
        const unsigned char c = (unsigned char)text.data[i];
        if (c > ' ' && c < 0x7f && c != '"' && c != '\\') {
            buffer_append_char(head, (char)c);
        } else {
            const char escape[] = {'\\', 'x', digits[c >> 4], digits[c & 15]};
            buffer_append(head, escape, sizeof escape);
        }
    }
}

void access_log_request(struct buffer *head, const char *time_text,
                        const struct http_request *request)
{
    buffer_append_text(head, time_text);
    if (!request) {
        buffer_append_text(head, " \"-\"");
        return;
    }
    buffer_append_text(head, " \"");
    buffer_append_text(head, http_method_name(request->method));
    buffer_append_char(head, ' ');
    append_escaped(head, request->target);
    buffer_append_text(head, request->minor ? " HTTP/1.1\"" : " HTTP/1.0\"");
}

void access_log_line(struct buffer *lines, struct slice head, int status, size_t bytes,
                     int64_t latency_us)
{
    buffer_append(lines, head.data, head.len);
    buffer_append_char(lines, ' ');
    buffer_append_int(lines, status);
    buffer_append_char(lines, ' ');
    buffer_append_int(lines, (int64_t)bytes);
    buffer_append_char(lines, ' ');
    buffer_append_int(lines, latency_us);
    buffer_append_char(lines, '\n');
}

void access_log_time(time_t second, char text[ACCESS_LOG_TIME_SIZE])
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    struct tm t;
    gmtime_r(&second, &t); /* not strftime: its names follow the locale */
    snprintf(text, ACCESS_LOG_TIME_SIZE, "[%02d/%.3s/%04d:%02d:%02d:%02d +0000]",
             t.tm_mday, months + (ptrdiff_t)3 * t.tm_mon, (t.tm_year + 1900) % 10000,
             t.tm_hour, t.tm_min, t.tm_sec);
}
