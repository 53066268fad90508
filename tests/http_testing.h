/* http_testing.h - workers on a free port, and clients of theirs over real sockets. */
#ifndef TESTS_HTTP_TESTING_H
#define TESTS_HTTP_TESTING_H

#include "tests/testing.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "serve/http.h"
#include "serve/worker.h"

static inline void http_test_tick(void *context, struct http_exchange *x)
{
    (void)context;
    x->server = NULL;
    x->state = NULL;
    x->log = NULL;
}

/* `on_request` answers; the port is the kernel's choice. */
static inline struct http_workers *
http_test_start(struct http_options options,
                void (*on_request)(void *context, struct http_exchange *x))
{
    struct http_workers *workers = NULL;
    struct error error = {0};
    options.port = 0;
    options.hooks =
        (struct http_hooks){.on_tick = http_test_tick, .on_request = on_request};
    if (http_workers_open(&options, &workers, &error) != 0 ||
        http_workers_start(workers, &error) != 0) {
        fail_msg("%s", error.message);
    }
    return workers;
}

static inline void http_test_stop(struct http_workers *workers)
{
    http_workers_stop(workers);
    http_workers_free(workers);
}

static inline int http_test_connect(const struct http_workers *workers)
{
    const long port = strtol(strrchr(http_workers_url(workers), ':') + 1, NULL, 10);
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)port),
                                  .sin_addr = {htonl(INADDR_LOOPBACK)}};
    const int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(fd >= 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* False when the server has closed already. */
static inline bool http_test_send(int fd, struct slice bytes)
{
    while (bytes.len > 0) {
        const ssize_t n = send(fd, bytes.data, bytes.len, MSG_NOSIGNAL);
        if (n <= 0) {
            return false;
        }
        bytes.data += n;
        bytes.len -= (size_t)n;
    }
    return true;
}

#endif
