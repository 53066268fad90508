#include "tests/testing.h"

#include <stdlib.h>
#include <string.h>

#include "serve/http_parser.h"

static const struct http_limits limits = {.max_header_bytes = 2048,
                                          .max_body_bytes = 1000};

struct outcome {
    enum http_parse_result result;
    int status;
    size_t consumed;
    char body[1200];
    size_t body_len;
    char path[256], query[256];
    enum http_method method;
    bool keep_alive, continued;
    int n_headers;
};

/* Parses `text` given in pieces of `step` bytes, as a connection would. */
static struct outcome parse(const char *text, size_t len, size_t step)
{
    struct outcome o = {.result = HTTP_PARSE_MORE};
    struct http_parser parser;
    struct http_header headers[HTTP_MAX_HEADERS];
    struct http_request request;
    char *data = malloc(len + 1);
    size_t at = 0, consumed = 0;
    http_parser_begin(&parser, &limits);
    while (at < len &&
           (o.result == HTTP_PARSE_MORE || o.result == HTTP_PARSE_CONTINUE)) {
        const size_t n = len - at < step ? len - at : step;
        const size_t kept = http_parser_kept(&parser);
        memcpy(data + kept, text + at, n);
        at += n;
        o.result = http_parser_feed(&parser, data, kept + n, &consumed);
        o.continued |= o.result == HTTP_PARSE_CONTINUE;
        if (o.result == HTTP_PARSE_DONE) {
            o.consumed = at - (kept + n - consumed);
        }
    }
    o.status = parser.status;
    if (o.result == HTTP_PARSE_DONE) {
        http_parser_request(&parser, data, headers, &request);
        o.method = request.method;
        o.keep_alive = request.keep_alive;
        o.n_headers = request.n_headers;
        o.body_len = request.body.len;
        memcpy(o.body, request.body.data, request.body.len);
        snprintf(o.path, sizeof o.path, "%.*s", (int)request.path.len,
                 request.path.data);
        snprintf(o.query, sizeof o.query, "%.*s", (int)request.query.len,
                 request.query.data ? request.query.data : "");
    }
    free(data);
    return o;
}

static struct outcome parse_text(const char *text, size_t step)
{
    return parse(text, strlen(text), step);
}

#define CHUNKED "POST /f HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"

static void parser_reads_a_request_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const char text[] = "\r\nGET /v1/recommend?user=4&k=10 HTTP/1.1\r\n"
                               "Host: 127.0.0.1:8080\r\nAccept:  */* \r\nEmpty:\r\n\r\n"
                               "GET /next HTTP/1.1\r\n";
    const size_t first = (size_t)(strstr(text, "GET /next") - text);
    for (size_t step = 1; step < sizeof text; step++) {
        const struct outcome o = parse_text(text, step);

        assert_int_equal(o.result, HTTP_PARSE_DONE);
        assert_int_equal(o.consumed, first);
        assert_string_equal(o.path, "/v1/recommend");
        assert_string_equal(o.query, "user=4&k=10");
        assert_int_equal(o.n_headers, 3);
        assert_true(o.keep_alive);
    }
}

static void parser_reads_bodies_by_length_and_by_chunks(void **state)
{
    (void)state;
    static const char by_length[] =
        "POST /f HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\nhello worldGET";
    static const char by_chunks[] =
        CHUNKED "5\r\nhello\r\n1\r\n \r\n05\r\nworld\r\n0\r\n\r\nGET";
    for (size_t step = 1; step < sizeof by_chunks; step++) {
        const struct outcome a = parse_text(by_length, step);
        const struct outcome b = parse_text(by_chunks, step);

        assert_int_equal(a.result, HTTP_PARSE_DONE);
        assert_int_equal(a.consumed, sizeof by_length - 4);
        assert_int_equal(a.body_len, 11);
        assert_memory_equal(a.body, "hello world", 11);
        assert_int_equal(b.result, HTTP_PARSE_DONE);
        assert_int_equal(b.consumed, sizeof by_chunks - 4);
        assert_int_equal(b.body_len, 11);
        assert_memory_equal(b.body, "hello world", 11);
    }
}

static void parser_asks_to_continue_only_when_the_body_has_not_come(void **state)
{
    (void)state;
    static const char head[] = "POST /f HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                               "Content-Length: 2\r\n\r\n";
    char whole[256];
    snprintf(whole, sizeof whole, "%sab", head);

    const struct outcome waiting = parse_text(head, sizeof head);
    const struct outcome sent = parse_text(whole, sizeof whole);

    assert_int_equal(waiting.result, HTTP_PARSE_CONTINUE);
    assert_int_equal(sent.result, HTTP_PARSE_DONE);
    assert_false(sent.continued);
}

static void parser_takes_absolute_targets_and_old_versions(void **state)
{
    (void)state;

    const struct outcome absolute =
        parse_text("GET http://h:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n", 1000);
    const struct outcome bare =
        parse_text("GET http://h HTTP/1.1\r\nHost: h\r\n\r\n", 1000);
    const struct outcome query =
        parse_text("GET http://h?a=/b HTTP/1.1\r\nHost: h\r\n\r\n", 1000);
    const struct outcome old = parse_text("GET / HTTP/1.0\r\n\r\n", 1000);
    const struct outcome kept =
        parse_text("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 1000);

    assert_string_equal(absolute.path, "/a");
    assert_string_equal(absolute.query, "b");
    assert_string_equal(bare.path, "/");
    assert_string_equal(query.path, "/");
    assert_string_equal(query.query, "a=/b");
    assert_int_equal(old.result, HTTP_PARSE_DONE);
    assert_false(old.keep_alive);
    assert_true(kept.keep_alive);
}

struct refusal {
    const char *text;
    int status;
};

#define GET  "GET / HTTP/1.1\r\nHost: x\r\n"
#define POST "POST / HTTP/1.1\r\nHost: x\r\n"

static const struct refusal refusals[] = {
    {"GET / HTTP/1.1\nHost: x\n\n", 400},
    {"GET / HTTP/1.1\r\nHost: x\n\r\n", 400},
    {"GET / HTTP/1.1\rHost: x\r\n\r\n", 400},
    {GET "A: b\rc\r\n\r\n", 400},
    {GET "A:\r\rX: y\r\n\r\n", 400},
    {GET "A:\rContent-Length: 5\r\n\r\n", 400},
    {GET "A: b\r\n c\r\n\r\n", 400},
    {GET "A: b\r\n\tc\r\n\r\n", 400},
    {GET "A : b\r\n\r\n", 400},
    {GET " A: b\r\n\r\n", 400},
    {GET ": b\r\n\r\n", 400},
    {GET "A\r\n\r\n", 400},
    {GET "A: b\x01\r\n\r\n", 400},
    {GET "A: b\x7f\r\n\r\n", 400},
    {GET "A\x80: b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\n\r\n", 400},
    {GET "Host: x\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a,b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
    {"GET / HTTP/1.1\r\nHost: a@b\r\n\r\n", 400},
    {"GET / HTTP/2.0\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/1.2\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/0.9\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/11\r\nHost: x\r\n\r\n", 400},
    {"GET / http/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /\r\nHost: x\r\n\r\n", 400},
    {"GET  / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET / HTTP/1.1 \r\nHost: x\r\n\r\n", 400},
    {"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"GET /\x01 HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"get / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"FOO / HTTP/1.1\r\nHost: x\r\n\r\n", 400},
    {"\x16\x03\x01", 400},
    {"\r\n\r\n\r\n\r\n\r\n\r\n", 400},
    {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400},
    {"CONNECT h:80 HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"TRACE / HTTP/1.1\r\nHost: h\r\n\r\n", 400},
    {"SOURCE / ICE/1.0\r\nHost: h\r\n\r\n", 400},
    {GET "Content-Length: 1\r\n\r\na", 400},
    {GET "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Content-Length: 1\r\nContent-Length: 1\r\n\r\na", 400},
    {POST "Content-Length: 1\r\nContent-Length: 2\r\n\r\na", 400},
    {POST "Content-Length: 1, 1\r\n\r\na", 400},
    {POST "Content-Length: +1\r\n\r\na", 400},
    {POST "Content-Length: -1\r\n\r\na", 400},
    {POST "Content-Length: 0x1\r\n\r\na", 400},
    {POST "Content-Length: 1 1\r\n\r\na", 400},
    {POST "Content-Length:\r\n\r\na", 400},
    {POST "Content-Length: 18446744073709551617\r\n\r\na", 400},
    {POST "Content-Length: 1001\r\n\r\n", 413},
    {POST "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
     400},
    {POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding: identity\r\n\r\n", 400},
    {POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Transfer-Encoding:\x0b"
          "chunked\r\n\r\n0\r\n\r\n",
     400},
    {POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n", 400},
    {"POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
    {POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417},
    {CHUNKED "5;a=b\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "5 \r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED " 5\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "0x5\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "+5\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "g\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "\r\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "5\nhello\r\n0\r\n\r\n", 400},
    {CHUNKED "5\rhello\r\n0\r\n\r\n", 400},
    {CHUNKED "5\r\nhello\n0\r\n\r\n", 400},
    {CHUNKED "5\r\nhelloX\r\n0\r\n\r\n", 400},
    {CHUNKED "5\r\nhello0\r\n\r\n", 400},
    {CHUNKED "5\r\nhello\r\n0\r\n\n", 400},
    {CHUNKED "5\r\nhello\r\n0\r\nTrailer: x\r\n\r\n", 400},
    {CHUNKED "ffffffffffffffff\r\nhello", 413},
    {CHUNKED "10000000000000000\r\nhello", 400},
};

static void parser_refuses_what_others_may_read_differently(void **state)
{
    (void)state;
    static const size_t steps[] = {1, 3, 4096};
    int n_wrong = 0;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        for (size_t j = 0; j < 3; j++) {
            const struct outcome o = parse_text(refusals[i].text, steps[j]);

            if (o.result != HTTP_PARSE_REFUSED || o.status != refusals[i].status) {
                n_wrong++;
                print_error("in pieces of %zu: \"%s\": result %d, status %d, not %d\n",
                            steps[j], refusals[i].text, (int)o.result, o.status,
                            refusals[i].status);
            }
        }
    }
    assert_int_equal(n_wrong, 0);
}

static void parser_bounds_header_and_body(void **state)
{
    (void)state;
    char text[4096];
    int len = snprintf(text, sizeof text, "GET /%03000d HTTP/1.1\r\n", 0);
    const struct outcome long_line = parse(text, (size_t)len, 100);
    len = snprintf(text, sizeof text, GET "A: %03000d\r\n\r\n", 0);
    const struct outcome long_field = parse(text, (size_t)len, 4096);
    len = snprintf(text, sizeof text, GET);
    for (int i = 0; i < 64; i++) {
        len += snprintf(text + len, sizeof text - (size_t)len, "a: %d\r\n", i);
    }
    len += snprintf(text + len, sizeof text - (size_t)len, "\r\n");
    const struct outcome many_fields = parse(text, (size_t)len, 100);
    len = snprintf(text, sizeof text, CHUNKED "%x\r\n%0999d\r\n2\r\nab", 999, 0);
    const struct outcome long_body = parse(text, (size_t)len, 64);

    assert_int_equal(long_line.status, 414);
    assert_int_equal(long_field.status, 431);
    assert_int_equal(many_fields.status, 431);
    assert_int_equal(long_body.status, 413);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(parser_reads_a_request_in_pieces_of_any_size),
        cmocka_unit_test(parser_reads_bodies_by_length_and_by_chunks),
        cmocka_unit_test(parser_asks_to_continue_only_when_the_body_has_not_come),
        cmocka_unit_test(parser_takes_absolute_targets_and_old_versions),
        cmocka_unit_test(parser_refuses_what_others_may_read_differently),
        cmocka_unit_test(parser_bounds_header_and_body),
    };
    return cmocka_run_group_tests_name("http_parser", tests, NULL, NULL);
}
