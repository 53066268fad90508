/* test_http_workers.c - what the workers do when connections or memory run out, over
 * real sockets. */
#include "tests/http_testing.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"

#define REQUEST "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

/* "/N" is answered with so many bytes. */
static void on_request(void *context, struct http_exchange *x)
{
    (void)context;
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    size_t n = 0;
    for (size_t i = 1; i < x->request.path.len; i++) {
        n = 10 * n + (size_t)(x->request.path.data[i] - '0');
    }
    char *to = buffer_reserve(body, n + 1);
    if (to) {
        memset(to, ' ', n);
        body->len += n;
    }
    http_answer_end(x);
}

/* The status of the answer, 0 when the connection ends instead, -1 when neither comes
 * within twenty seconds. */
static int status(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    char answer[4096] = "";
    if (poll(&poll_fd, 1, 20000) <= 0) {
        return -1;
    }
    const ssize_t n = recv(fd, answer, sizeof answer - 1, 0);
    return n > 12 ? (int)strtol(answer + 9, NULL, 10) : 0;
}

/* All are in use when somebody more comes, but only for a moment: once one has been
 * idle for a second it gives way, long before its own time is up. */
static void idle_connections_give_way_to_who_waits_already(void **state)
{
    (void)state;
    enum { N = 8 };
    struct http_options options = http_options_default();
    options.max_connections = N;
    struct http_workers *workers = http_test_start(options, on_request);
    int fds[N];
    for (int i = 0; i < N; i++) {
        fds[i] = http_test_connect(workers);
        assert_true(http_test_send(fds[i], slice_of(REQUEST)));
        assert_int_equal(status(fds[i]), 200);
    }

    const int late = http_test_connect(workers);
    assert_true(http_test_send(late, slice_of(REQUEST)));

    assert_int_equal(status(late), 200);
    int n_left = 0;
    for (int i = 0; i < N; i++) {
        struct pollfd fd = {.fd = fds[i], .events = POLLIN};
        n_left += poll(&fd, 1, 0) == 0;
        close(fds[i]);
    }
    assert_int_equal(n_left, N - 1); /* one was enough */
    close(late);
    http_test_stop(workers);
}

/* The kernel deals connections out by chance; the limit is that of all workers, so that
 * all places are taken whichever they come to, and one more is served by a worker that
 * has nobody to send away. */
static void all_workers_share_the_places(void **state)
{
    (void)state;
    enum { N = 16 };
    struct http_options options = http_options_default();
    options.max_connections = N;
    options.n_workers = 4;
    struct http_workers *workers = http_test_start(options, on_request);
    int fds[N], n_left = 0;
    for (int i = 0; i < N; i++) {
        fds[i] = http_test_connect(workers);
        assert_true(http_test_send(fds[i], slice_of(REQUEST)));
        assert_int_equal(status(fds[i]), 200);
    }
    assert_int_equal(http_workers_connections(workers), N);

    for (int i = 0; i < 4; i++) {
        const int late = http_test_connect(workers);
        assert_true(http_test_send(late, slice_of(REQUEST)));
        assert_int_equal(status(late), 200);
        close(late);
    }
    for (int i = 0; i < N; i++) {
        struct pollfd fd = {.fd = fds[i], .events = POLLIN};
        n_left += poll(&fd, 1, 0) == 0;
        close(fds[i]);
    }
    assert_true(n_left >= N - 4);
    http_test_stop(workers);
}

/* Who sends requests ahead learns from the answer that no more will follow: a reset,
 * which closing with unread bytes makes, could overtake it. */
static void the_last_answer_of_a_connection_is_not_followed_by_a_reset(void **state)
{
    (void)state;
    struct http_options options = http_options_default();
    options.max_requests = 1;
    struct http_workers *workers = http_test_start(options, on_request);
    struct buffer requests = {0};
    while (requests.len < 300000) {
        buffer_append_text(&requests, REQUEST);
    }
    const int fd = http_test_connect(workers);

    assert_true(http_test_send(fd, buffer_slice(&requests)));
    assert_int_equal(status(fd), 200);

    char byte = 0;
    assert_int_equal(recv(fd, &byte, 1, 0), 0);
    buffer_free(&requests);
    close(fd);
    http_test_stop(workers);
}

static void send_part_of_a_body(int fd, size_t length, size_t len)
{
    struct buffer request = {0};
    buffer_printf(&request, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %zu\r\n\r\n",
                  length);
    char *to = buffer_reserve(&request, len);
    assert_non_null(to);
    memset(to, ' ', len);
    request.len += len;
    assert_true(http_test_send(fd, buffer_slice(&request)));
    buffer_free(&request);
}

/* However many clients begin to send large bodies, the memory for them has a limit;
 * who asks for little is served all the same, and it is for everybody again later. */
static void unfinished_bodies_have_a_limit_together(void **state)
{
    (void)state;
    enum { N = 20 };
    const size_t length = 200000;
    struct http_options options = http_options_default();
    options.max_held_bytes = 1000000;
    struct http_workers *workers = http_test_start(options, on_request);
    int fds[N], n_refused = 0;
    for (int i = 0; i < N; i++) {
        fds[i] = http_test_connect(workers);
        send_part_of_a_body(fds[i], length, length - 1);
    }
    const int small = http_test_connect(workers), pieces = http_test_connect(workers);
    assert_true(http_test_send(small, slice_of(REQUEST)));
    assert_int_equal(status(small), 200);
    send_part_of_a_body(pieces, 100, 99);
    assert_true(http_test_send(pieces, slice_of(" ")));
    assert_int_equal(status(pieces), 200);

    for (int i = 0; i < N; i++) {
        (void)!send(fds[i], " ", 1, MSG_NOSIGNAL); /* what was refused may be closed */
        const int answer = status(fds[i]);
        assert_true(answer == 200 || answer == 503);
        n_refused += answer == 503;
        close(fds[i]);
    }

    assert_in_range(n_refused, N - 5, N - 1);
    const int later = http_test_connect(workers);
    send_part_of_a_body(later, length, length);
    assert_int_equal(status(later), 200);
    close(later);
    close(small);
    close(pieces);
    http_test_stop(workers);
}

/* Clients that ask and do not read: what waits for them has a limit together, too. */
static void unsent_answers_have_a_limit_together(void **state)
{
    (void)state;
    enum { N = 20 };
    struct http_options options = http_options_default();
    options.max_held_bytes = 20000000;
    struct http_workers *workers = http_test_start(options, on_request);
    int fds[N], n_ended = 0;
    for (int i = 0; i < N; i++) {
        const int small = 1 << 18;
        fds[i] = http_test_connect(workers);
        setsockopt(fds[i], SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
        assert_true(http_test_send(
            fds[i], slice_of("GET /9000000 HTTP/1.1\r\nHost: x\r\n\r\n")));
    }
    const int other = http_test_connect(workers);
    assert_true(http_test_send(other, slice_of(REQUEST)));
    assert_int_equal(status(other), 200);

    for (int i = 0; i < N; i++) {
        char bytes[65536];
        size_t len = 0;
        ssize_t n = 0;
        while ((n = recv(fds[i], bytes, sizeof bytes, 0)) > 0) {
            len += (size_t)n;
            if (len > 9000000) {
                break;
            }
        }
        n_ended += n <= 0;
        close(fds[i]);
    }

    assert_in_range(n_ended, N / 2, N - 1); /* some of them could be kept */
    close(other);
    http_test_stop(workers);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(idle_connections_give_way_to_who_waits_already),
        cmocka_unit_test(all_workers_share_the_places),
        cmocka_unit_test(the_last_answer_of_a_connection_is_not_followed_by_a_reset),
        cmocka_unit_test(unfinished_bodies_have_a_limit_together),
        cmocka_unit_test(unsent_answers_have_a_limit_together),
    };
    return cmocka_run_group_tests_name("http_workers", tests, NULL, NULL);
}
