#include "tests/stub_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 64
#define READ_MAX        ((size_t)65536)

struct stub_server {
    stub_handler *handler;
    void *context;
    pthread_t thread;
    int wake[2]; /* a pipe: closing its end stops the loop */
    int listener;
    int fds[CONNECTIONS_MAX];
    struct buffer in[CONNECTIONS_MAX];
    char url[64];
};

void stub_respond(struct buffer *out, int status, const char *headers,
                  struct slice body)
{
    buffer_printf(out, "HTTP/1.1 %d Canned\r\n%sContent-Length: %zu\r\n\r\n", status,
                  headers, body.len);
    buffer_append(out, body.data, body.len);
}

/* `in` ends with a NUL that does not count. Splits the first complete request off `in`;
 * 0 when there is none yet. */
static size_t parse_request(const struct buffer *in, struct stub_request *request)
{
    const char *end = in->len ? strstr(in->data, "\r\n\r\n") : NULL;
    if (!end) {
        return 0;
    }
    const size_t head_len = (size_t)(end - in->data) + 4;
    const char *length = strstr(in->data, "Content-Length: ");
    const size_t body_len = length && length < end ? strtoul(length + 16, NULL, 10) : 0;
    if (in->len < head_len + body_len) {
        return 0;
    }
    const char *space = strchr(in->data, ' ');
    const char *second = strchr(space + 1, ' ');
    request->method = (struct slice){in->data, (size_t)(space - in->data)};
    request->target = (struct slice){space + 1, (size_t)(second - space - 1)};
    request->body = (struct slice){in->data + head_len, body_len};
    return head_len + body_len;
}

static void close_connection(struct stub_server *server, int i)
{
    close(server->fds[i]);
    server->fds[i] = -1;
    buffer_free(&server->in[i]);
}

/* Serves what has come on connection i; -1 when the handler wants to be gone. */
static int serve_connection(struct stub_server *server, int i)
{
    struct buffer *in = &server->in[i];
    char *room = buffer_reserve(in, READ_MAX + 1);
    const ssize_t n = room ? read(server->fds[i], room, READ_MAX) : -1;
    if (n <= 0) {
        close_connection(server, i);
        return 0;
    }
    in->len += (size_t)n;
    in->data[in->len] = '\0';
    struct stub_request request;
    size_t used = 0;
    while ((used = parse_request(in, &request)) > 0) {
        struct buffer out = {0};
        const int rc = server->handler(server->context, &request, &out);
        const ssize_t sent = rc == 0 ? write(server->fds[i], out.data, out.len) : 0;
        buffer_free(&out);
        if (rc != 0 || sent < 0) {
            return rc;
        }
        memmove(in->data, in->data + used, in->len - used);
        in->len -= used;
        in->data[in->len] = '\0';
    }
    return 0;
}

static void accept_connection(struct stub_server *server)
{
    const int fd = accept(server->listener, NULL, NULL);
    for (int i = 0; i < CONNECTIONS_MAX && fd >= 0; i++) {
        if (server->fds[i] < 0) {
            server->fds[i] = fd;
            return;
        }
    }
    if (fd >= 0) {
        close(fd);
    }
}

static void *run(void *context)
{
    struct stub_server *server = context;
    for (bool is_gone = false; !is_gone;) {
        struct pollfd polled[CONNECTIONS_MAX + 2] = {
            {.fd = server->wake[0], .events = POLLIN},
            {.fd = server->listener, .events = POLLIN},
        };
        for (int i = 0; i < CONNECTIONS_MAX; i++) {
            polled[i + 2] = (struct pollfd){.fd = server->fds[i], .events = POLLIN};
        }
        if (poll(polled, CONNECTIONS_MAX + 2, -1) < 0 || polled[0].revents) {
            break;
        }
        for (int i = 0; i < CONNECTIONS_MAX && !is_gone; i++) {
            is_gone = polled[i + 2].revents && serve_connection(server, i) != 0;
        }
        if (polled[1].revents) {
            accept_connection(server);
        }
    }
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        if (server->fds[i] >= 0) {
            close_connection(server, i);
        }
    }
    close(server->listener);
    return NULL;
}

struct stub_server *stub_server_start(stub_handler *handler, void *context)
{
    struct stub_server *server = calloc(1, sizeof *server);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    if (!server) {
        return NULL;
    }
    server->handler = handler;
    server->context = context;
    for (int i = 0; i < CONNECTIONS_MAX; i++) {
        server->fds[i] = -1;
    }
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    if (server->listener < 0 ||
        bind(server->listener, (struct sockaddr *)&address, len) != 0 ||
        listen(server->listener, CONNECTIONS_MAX) != 0 ||
        getsockname(server->listener, (struct sockaddr *)&address, &len) != 0 ||
        pipe(server->wake) != 0) {
        free(server);
        return NULL;
    }
    snprintf(server->url, sizeof server->url, "http://127.0.0.1:%d",
             ntohs(address.sin_port));
    if (pthread_create(&server->thread, NULL, run, server) != 0) {
        free(server);
        return NULL;
    }
    return server;
}

const char *stub_server_url(const struct stub_server *server)
{
    return server->url;
}

void stub_server_stop(struct stub_server *server)
{
    close(server->wake[1]);
    pthread_join(server->thread, NULL);
    close(server->wake[0]);
    free(server);
}
