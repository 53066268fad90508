#include "logs/ship.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/buffer.h"
#include "common/file.h"
#include "common/id_map.h"
#include "logs/segment_name.h"

#define SEND_SIZE  ((size_t)256 << 10)
#define CURSOR_MAX ((size_t)256 << 20)

struct shipment {
    const struct ship_options *options;
    struct ship_result result;
    int fd;
    bool is_socket;
    struct buffer pending;
    struct id_map *delivered; /* names of segments */
    struct buffer cursor;     /* what the cursor file is to hold */
    int cursor_fd;            /* of its lock */
    struct error *error;
};

static int no_memory(struct shipment *s)
{
    error_set(s->error, ERROR_NOMEM, "%s: no memory to send it", s->options->directory);
    return -1;
}

static int cannot(struct shipment *s, const char *what)
{
    error_set(s->error, ERROR_IO, "%s: cannot %s: %s", s->options->to, what,
              strerror(errno));
    return -1;
}

static int connect_unix(struct shipment *s, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        error_set(s->error, ERROR_INVALID, "%s: path is longer than %zu bytes",
                  s->options->to, sizeof address.sun_path - 1);
        return -1;
    }
    memcpy(address.sun_path, path, strlen(path)); /* the rest is zero already */
    s->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || connect(s->fd, (struct sockaddr *)&address, sizeof address) != 0) {
        return cannot(s, "connect");
    }
    return 0;
}

/* Splits HOST:PORT or [HOST]:PORT. */
static int split_address(struct shipment *s, const char *text, char host[256],
                         const char **port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon ? (size_t)(colon - text) : 0;
    if (len >= 2 && text[0] == '[' && colon[-1] == ']') {
        text++;
        len -= 2;
    }
    if (!colon || len == 0 || len >= 256 || !colon[1]) {
        error_set(s->error, ERROR_INVALID, "%s: is not tcp://HOST:PORT",
                  s->options->to);
        return -1;
    }
    memcpy(host, text, len);
    host[len] = '\0';
    *port = colon + 1;
    return 0;
}

static int connect_tcp(struct shipment *s, const char *text)
{
    char host[256];
    const char *port = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
    struct addrinfo *found = NULL;
    if (split_address(s, text, host, &port) != 0) {
        return -1;
    }
    const int rc = getaddrinfo(host, port, &hints, &found);
    if (rc != 0) {
        error_set(s->error, ERROR_INVALID, "%s: %s", s->options->to, gai_strerror(rc));
        return -1;
    }
    for (const struct addrinfo *a = found; a && s->fd < 0; a = a->ai_next) {
        s->fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC, a->ai_protocol);
        if (s->fd >= 0 && connect(s->fd, a->ai_addr, a->ai_addrlen) != 0) {
            const int failure = errno;
            close(s->fd);
            s->fd = -1;
            errno = failure;
        }
    }
    freeaddrinfo(found);
    return s->fd < 0 ? cannot(s, "connect") : 0;
}

static int open_stream(struct shipment *s)
{
    const char *to = s->options->to;
    if (strcmp(to, "-") == 0) {
        s->fd = s->options->fd;
        return 0;
    }
    s->is_socket = true;
    if (strncmp(to, "unix:", 5) == 0) {
        return connect_unix(s, to + 5);
    }
    if (strncmp(to, "tcp://", 6) == 0) {
        return connect_tcp(s, to + 6);
    }
    error_set(s->error, ERROR_INVALID,
              "%s: is none of -, tcp://HOST:PORT and unix:PATH", to);
    return -1;
}

static int flush(struct shipment *s)
{
    struct slice data = buffer_slice(&s->pending);
    while (data.len) {
        const ssize_t put = s->is_socket
                                ? send(s->fd, data.data, data.len, MSG_NOSIGNAL)
                                : write(s->fd, data.data, data.len);
        if (put < 0 && errno == EINTR) {
            continue;
        }
        if (put <= 0) {
            return cannot(s, "send");
        }
        data.data += put;
        data.len -= (size_t)put;
        s->result.n_bytes += put;
    }
    buffer_clear(&s->pending);
    return 0;
}

static int send_event(void *context, const struct event *event)
{
    struct shipment *s = context;
    const struct slice line = event->place->text;
    buffer_append(&s->pending, line.data, line.len);
    buffer_append_char(&s->pending, '\n');
    s->result.n_events++;
    if (s->pending.failed) {
        return no_memory(s);
    }
    return s->pending.len >= SEND_SIZE ? flush(s) : 0;
}

static int pass_damage(void *context, const struct log_damage *damage)
{
    struct shipment *s = context;
    const struct log_visitor *visitor = &s->options->damage;
    s->result.n_damaged++;
    return visitor->on_damage ? visitor->on_damage(visitor->context, damage) : 0;
}

/* Takes the cursor's lock, so that two runs do not send the same. */
static int lock_cursor(struct shipment *s)
{
    const char *path = s->options->cursor;
    char name[4096];
    if ((size_t)snprintf(name, sizeof name, "%s.lock", path) >= sizeof name) {
        error_set(s->error, ERROR_INVALID, "%s: name is too long", path);
        return -1;
    }
    s->cursor_fd = open(name, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->cursor_fd < 0) {
        error_set(s->error, ERROR_IO, "%s: cannot open: %s", name, strerror(errno));
        return -1;
    }
    if (flock(s->cursor_fd, LOCK_EX | LOCK_NB) != 0) {
        error_set(s->error, errno == EWOULDBLOCK ? ERROR_BUSY : ERROR_IO,
                  "%s: another run is sending with this cursor", path);
        return -1;
    }
    return 0;
}

static int read_cursor(struct shipment *s)
{
    struct buffer text = {0};
    struct error problem = {0};
    int rc = -1;
    if (file_read(s->options->cursor, CURSOR_MAX, &text, &problem) != 0) {
        if (problem.code == ERROR_NOT_FOUND) {
            rc = 0;
        } else {
            error_set(s->error, problem.code, "%s", problem.message);
        }
        goto out;
    }
    for (size_t start = 0; start < text.len;) {
        const char *at = text.data + start;
        const char *newline = memchr(at, '\n', text.len - start);
        const size_t len = newline ? (size_t)(newline - at) : text.len - start;
        if (len && id_map_add(s->delivered, (struct slice){at, len}) == ID_NONE) {
            rc = no_memory(s);
            goto out;
        }
        start += len + 1;
    }
    rc = 0;

out:
    buffer_free(&text);
    return rc;
}

static struct slice name_of(const struct segment_entry *entry)
{
    const char *slash = strrchr(entry->path, '/');
    return slice_of(slash ? slash + 1 : entry->path);
}

static int write_cursor(struct shipment *s)
{
    return s->cursor.failed
               ? no_memory(s)
               : file_replace(s->options->cursor, buffer_slice(&s->cursor), s->error);
}

/* Whether a writer has the directory; asked after the segments were listed, so that
 * each of them is closed when none has. */
static bool is_written_to(const char *directory)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/lock", directory);
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    const bool is_locked = fd >= 0 && flock(fd, LOCK_SH | LOCK_NB) != 0;
    if (fd >= 0) {
        close(fd);
    }
    return is_locked;
}

static int send_segment(struct shipment *s, const struct segment_entry *entry)
{
    const struct log_visitor visitor = {.on_event = send_event,
                                        .on_damage = pass_damage,
                                        .context = s,
                                        .skip = LOG_SKIP_ITEMS};
    const size_t size = strlen(entry->path) + sizeof ".zst";
    char *path = malloc(size);
    if (!path) {
        return no_memory(s);
    }
    snprintf(path, size, "%s%s", entry->path, entry->is_plain ? "" : ".zst");
    struct error problem = {0};
    int rc = log_read(path, &visitor, NULL, &problem);
    if (rc != 0 && problem.code == ERROR_NOT_FOUND && entry->is_plain) {
        snprintf(path, size, "%s.zst", entry->path); /* compressed meanwhile */
        problem = (struct error){0};
        rc = log_read(path, &visitor, NULL, &problem);
    }
    free(path);
    if (rc != 0) {
        if (problem.code) {
            error_set(s->error, problem.code, "%s", problem.message);
        }
        return -1;
    }
    s->result.n_segments++;
    return flush(s);
}

static int send_segments(struct shipment *s, const struct segment_list *list,
                         bool is_open_included)
{
    for (size_t i = 0; i < list->n; i++) {
        const struct segment_entry *entry = &list->items[i];
        const struct slice name = name_of(entry);
        const bool is_delivered = id_map_find(s->delivered, name) != ID_NONE;
        if (!is_delivered && entry->is_plain && !entry->is_zst && !is_open_included) {
            continue;
        }
        if (!is_delivered && s->fd < 0 && open_stream(s) != 0) {
            return -1;
        }
        if (!is_delivered && send_segment(s, entry) != 0) {
            return -1;
        }
        buffer_append(&s->cursor, name.data, name.len);
        buffer_append_char(&s->cursor, '\n');
        if (!is_delivered && !s->is_socket && write_cursor(s) != 0) {
            return -1;
        }
    }
    return 0;
}

/* Ends the stream and waits until the receiver ends its own: it has then read all. */
static int await_receiver(struct shipment *s)
{
    char ignored[256];
    ssize_t got = 0;
    if (shutdown(s->fd, SHUT_WR) != 0) {
        return cannot(s, "end the stream");
    }
    do {
        got = recv(s->fd, ignored, sizeof ignored, 0);
    } while (got > 0 || (got < 0 && errno == EINTR));
    return got < 0 ? cannot(s, "learn whether all was received") : 0;
}

int log_ship(const struct ship_options *options, struct ship_result *result,
             struct error *error)
{
    struct shipment s = {.options = options, .fd = -1, .cursor_fd = -1, .error = error};
    struct segment_list list = {0};
    int rc = -1;
    s.delivered = id_map_new();
    if (!s.delivered) {
        rc = no_memory(&s);
        goto out;
    }
    if (segment_list_read(options->directory, &list, error) != 0 ||
        lock_cursor(&s) != 0 || read_cursor(&s) != 0 ||
        send_segments(&s, &list, !is_written_to(options->directory)) != 0 ||
        (s.fd >= 0 && s.is_socket && await_receiver(&s) != 0) ||
        write_cursor(&s) != 0) {
        goto out;
    }
    *result = s.result;
    rc = 0;

out:
    if (s.is_socket && s.fd >= 0) {
        close(s.fd);
    }
    if (s.cursor_fd >= 0) {
        close(s.cursor_fd);
    }
    segment_list_free(&list);
    id_map_free(s.delivered);
    buffer_free(&s.cursor);
    buffer_free(&s.pending);
    return rc;
}
