/* test_http_hostile.c - about 300 requests that nobody sends in good faith, over real
 * sockets: each is answered 4xx or the connection is closed; never 5xx, never a second
 * answer smuggled out of the first one's bytes, never a hang. */
#include "tests/http_testing.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/buffer.h"
#include "serve/routes.h"

static int n_handled; /* written by the one worker, read after its answer came */
static int n_hostile; /* sent so far */

/* Answers everything well formed with 200. */
static void on_request(void *context, struct http_exchange *x)
{
    (void)context;
    n_handled++;
    if (http_split_query(x) == 0) {
        http_answer_bytes(x, 200, HTTP_JSON, slice_of("{}\n"));
    }
}

static struct http_workers *start(void)
{
    struct http_options options = http_options_default();
    options.limits.max_body_bytes = 1000;
    options.limits.max_header_bytes = 4096;
    options.timeouts.header_ms = 300;
    options.timeouts.body_ms = 300;
    return http_test_start(options, on_request);
}

/* Reads until the server closes. False when it does not within ten seconds. */
static bool read_all(int fd, struct buffer *answer)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    for (;;) {
        char *to = buffer_reserve(answer, 4096);
        if (!to || poll(&poll_fd, 1, 10000) <= 0) {
            return false;
        }
        const ssize_t n = recv(fd, to, 4096, 0);
        if (n <= 0) {
            return true;
        }
        answer->len += (size_t)n;
    }
}

static int count(const struct buffer *answer, const char *word)
{
    int n = 0;
    const size_t len = strlen(word);
    for (size_t i = 0; i + len <= answer->len; i++) {
        n += memcmp(answer->data + i, word, len) == 0;
    }
    return n;
}

/* Sends one hostile request with an innocent one behind it, which must not be answered:
 * after a doubt the connection ends. Returns whether that held. */
static bool is_refused(const struct http_workers *workers, struct slice request,
                       bool is_followed)
{
    static const char innocent[] = "GET /smuggled HTTP/1.1\r\nHost: x\r\n\r\n";
    struct buffer answer = {0};
    const int fd = http_test_connect(workers);
    const int before = n_handled;
    n_hostile++;
    http_test_send(fd, request);
    if (is_followed) {
        http_test_send(fd, slice_of(innocent));
    }
    const bool has_ended = read_all(fd, &answer);
    const bool is_closed = answer.len == 0;
    const bool is_4xx = answer.len > 12 && memcmp(answer.data, "HTTP/1.1 4", 10) == 0 &&
                        count(&answer, "\r\nDate: ") == 1 &&
                        count(&answer, "Connection: close\r\n") == 1;
    const bool held = has_ended && (is_closed || is_4xx) && n_handled == before;
    if (!held) {
        print_error("sent: %.*s\nanswered: %.*s\n", (int)request.len, request.data,
                    (int)answer.len, answer.data ? answer.data : "");
    }
    buffer_free(&answer);
    close(fd);
    return held;
}

#define GET     "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST    "POST / HTTP/1.1\r\nHost: x\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static const char *const fixed[] = {
    "GET / HTTP/1.1\nHost: x\n\n",
    "GET / HTTP/1.1\r\nHost: x\n\n",
    "GET / HTTP/1.1\r\n\r\n",
    "GET / HTTP/1.1\r\nHost:\r\n\r\n",
    "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "GET /\r\n\r\n",
    "GET http:// HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http:///a HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET http://?a=b HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET\r\n\r\n",
    "GET / HTTP/1.1 x\r\nHost: x\r\n\r\n",
    "GET / HTTP/1.01\r\nHost: x\r\n\r\n",
    "GET / HTTP/0.9\r\nHost: x\r\n\r\n",
    "GET / HTTP/2\r\nHost: x\r\n\r\n",
    "GET / HTTP/3.0\r\nHost: x\r\n\r\n",
    "GET / HTPP/1.1\r\nHost: x\r\n\r\n",
    "GET / RTSP/1.0\r\nHost: x\r\n\r\n",
    "POST / RTSP/1.0\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}",
    "GET / hTTP/1.1\r\nHost: x\r\n\r\n",
    "GET\t/ HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
    " GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
    "GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
    "GETT / HTTP/1.1\r\nHost: x\r\n\r\n",
    "get / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    "TRACE / HTTP/1.1\r\nHost: x\r\n\r\n",
    "PROPFIND / HTTP/1.1\r\nHost: x\r\n\r\n",
    GET "A : b\r\n\r\n",
    GET "A\t: b\r\n\r\n",
    GET " A: b\r\n\r\n",
    GET "A\r\n\r\n",
    GET ": b\r\n\r\n",
    GET "A: b\r\n c\r\n\r\n",
    GET "A: b\r\n\tc\r\n\r\n",
    GET "A:\rB: c\r\n\r\n",
    GET "A: b\rc\r\n\r\n",
    GET "A: b\r\r\n\r\n",
    GET "A b: c\r\n\r\n",
    GET "Content-Length: 4\r\n\r\nabcd",
    GET "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Content-Length: 4\r\nContent-Length: 4\r\n\r\nabcd",
    POST "Content-Length: 4\r\nContent-Length: 0\r\n\r\nabcd",
    POST "Content-Length: 4, 4\r\n\r\nabcd",
    POST "Content-Length: 4 4\r\n\r\nabcd",
    POST "Content-Length: +4\r\n\r\nabcd",
    POST "Content-Length: -4\r\n\r\nabcd",
    POST "Content-Length: 0x4\r\n\r\nabcd",
    POST "Content-Length: 4.0\r\n\r\nabcd",
    POST "Content-Length: 4;\r\n\r\nabcd",
    POST "Content-Length: \"4\"\r\n\r\nabcd",
    POST "Content-Length: four\r\n\r\nabcd",
    POST "Content-Length:\r\n\r\nabcd",
    POST "Content-Length: 99999999999999999999\r\n\r\nabcd",
    POST "Content-Length: 18446744073709551620\r\n\r\nabcd",
    POST "Content-Length: 1001\r\n\r\n",
    POST "Content-Length : 4\r\n\r\nabcd",
    POST "Content_Length: 4\r\nContent-Length: x\r\n\r\nabcd",
    POST "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding:\x0b"
         "chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: \r\n\r\n0\r\n\r\n",
    POST "Transfer-Encoding: cow\r\nContent-Length: 4\r\n\r\nabcd",
    "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    POST "Expect: 200-ok\r\nContent-Length: 4\r\n\r\nabcd",
    CHUNKED "4;a\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "4;a=\"\n\"\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "4 \r\nabcd\r\n0\r\n\r\n",
    CHUNKED " 4\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "0x4\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "+4\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "-4\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "4_0\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "\r\nabcd\r\n0\r\n\r\n",
    CHUNKED "4\nabcd\r\n0\r\n\r\n",
    CHUNKED "4\rabcd\r\n0\r\n\r\n",
    CHUNKED "4\r\nabcd\n0\r\n\r\n",
    CHUNKED "4\r\nabcd0\r\n\r\n",
    CHUNKED "4\r\nabcde\r\n0\r\n\r\n",
    CHUNKED "4\r\nabcd\r\n0\r\nA: b\r\n\r\n",
    CHUNKED "4\r\nabcd\r\n0\r\nContent-Length: 5\r\n\r\n",
    CHUNKED "4\r\nabcd\r\n0\n\n",
    CHUNKED "ffffffffffffffff\r\nabcd",
    CHUNKED "fffffffffffffffff\r\nabcd",
    CHUNKED "3e9\r\n",
    "\r\n\r\n\r\n\r\n\r\n\r\n",
    "\x16\x03\x01\x02",
    "SSH-2.0-x\r\n\r\n",
    "{\"user\":1}\r\n\r\n",
    "\x80\x81\x82",
};

static void hostile_requests_are_refused(void **state)
{
    const struct http_workers *workers = *state;
    int n_wrong = 0;
    for (size_t i = 0; i < sizeof fixed / sizeof fixed[0]; i++) {
        n_wrong += !is_refused(workers, slice_of(fixed[i]), true);
    }
    assert_int_equal(n_wrong, 0);
}

/* Every control character, at every place where a header can hold one. */
static void control_characters_are_refused_everywhere(void **state)
{
    static const char *const places[] = {
        "G@T / HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET /@ HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.@\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHo@st: x\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x@y\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nA: b@c\r\n\r\n",
    };
    const struct http_workers *workers = *state;
    int n_wrong = 0;
    for (size_t p = 0; p < sizeof places / sizeof places[0]; p++) {
        for (int c = 0; c <= 0x7f; c = c == 0x1f ? 0x7f : c + 1) {
            char text[128];
            if (c == '\t' && p == 5) {
                continue; /* a blank, allowed there */
            }
            const size_t len = strlen(places[p]);
            memcpy(text, places[p], len);
            *(char *)memchr(text, '@', len) = (char)c;
            n_wrong += !is_refused(workers, (struct slice){text, len}, true);
        }
    }
    assert_int_equal(n_wrong, 0);
}

/* What stops in the middle is answered 408 or closed when its time is up. */
static void requests_that_never_end_are_ended(void **state)
{
    static const char *const parts[] = {
        "G",
        "GET / HTTP/1.1\r\nHost",
        "GET / HTTP/1.1\r\nHost: x\r\n",
        POST "Content-Length: 4\r\n\r\nab",
        CHUNKED,
        CHUNKED "4\r\nab",
        "\r\n",
    };
    const struct http_workers *workers = *state;
    int n_wrong = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        n_wrong += !is_refused(workers, slice_of(parts[i]), false);
    }
    assert_int_equal(n_wrong, 0);
}

static void what_has_no_end_is_cut_off(void **state)
{
    static const char *const repeated[][2] = {
        {"GET /", "a"},     {GET "A: ", "a"},
        {GET, "A: b\r\n"},  {CHUNKED, "1\r\na\r\n"},
        {CHUNKED "0", "0"}, {"", "A"},
        {GET "A", "\x80"},  {"GET / HTTP/1.1\r\nHost: ", "x"},
    };
    const struct http_workers *workers = *state;
    int n_wrong = 0;
    for (size_t i = 0; i < sizeof repeated / sizeof repeated[0]; i++) {
        struct buffer request = {0};
        buffer_append_text(&request, repeated[i][0]);
        while (request.len < 200000) {
            buffer_append_text(&request, repeated[i][1]);
        }
        n_wrong += !is_refused(workers, buffer_slice(&request), false);
        buffer_free(&request);
    }
    assert_int_equal(n_wrong, 0);
}

static void good_requests_still_get_through(void **state)
{
    const struct http_workers *workers = *state;
    struct buffer answer = {0};
    const int fd = http_test_connect(workers);
    http_test_send(
        fd, slice_of("\r\nGET /a?b=%20c HTTP/1.1\r\nhost: [::1]:80\r\n\r\n" CHUNKED
                     "4\r\nabcd\r\n1\r\ne\r\n0\r\n\r\n" POST
                     "Content-Length: 3\r\nConnection: close\r\n\r\nabc"));

    assert_true(read_all(fd, &answer));

    assert_true(n_hostile >= 300); /* the tests above: none was left out */
    assert_int_equal(count(&answer, "HTTP/1.1 200 OK\r\n"), 3);
    assert_int_equal(count(&answer, "Connection: close\r\n"), 1);
    buffer_free(&answer);
    close(fd);
}

static int set_up(void **state)
{
    *state = start();
    return 0;
}

static int tear_down(void **state)
{
    http_workers_stop(*state);
    http_workers_free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hostile_requests_are_refused),
        cmocka_unit_test(control_characters_are_refused_everywhere),
        cmocka_unit_test(requests_that_never_end_are_ended),
        cmocka_unit_test(what_has_no_end_is_cut_off),
        cmocka_unit_test(good_requests_still_get_through),
    };
    return cmocka_run_group_tests_name("http_hostile", tests, set_up, tear_down);
}
