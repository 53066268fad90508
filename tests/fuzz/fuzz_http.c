/* fuzz_http.c - any bytes as HTTP, in two ways of cutting them up: no crash, and where
 * a request ends does not depend on how its bytes arrive. */
#include <stdlib.h>
#include <string.h>

#include "serve/http.h"
#include "serve/http_parser.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MAX_REQUESTS 32

struct reading {
    enum http_parse_result results[MAX_REQUESTS];
    size_t ends[MAX_REQUESTS];
    size_t body_lens[MAX_REQUESTS];
    int n;
};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void look_at(const struct http_parser *parser, char *data, size_t consumed)
{
    static struct http_exchange x;
    static struct buffer out, extra;
    http_parser_request(parser, data, x.headers, &x.request);
    require(x.request.body.len <= parser->limits.max_body_bytes);
    require(x.request.body.len <= consumed);
    x.out = &out;
    x.extra = &extra;
    x.date = "";
    x.status = 0;
    (void)!http_split_query(&x);
    const struct slice path = http_percent_decode(x.request.path, false);
    require(!path.data || path.len <= x.request.path.len);
    buffer_clear(&out);
    buffer_clear(&extra);
}

/* Parses what a connection would, given pieces of `step` bytes. */
static void parse(const uint8_t *text, size_t size, size_t step,
                  struct reading *reading)
{
    const struct http_limits limits = {.max_header_bytes = 1024, .max_body_bytes = 512};
    struct http_parser parser;
    char *data = malloc(size + 1);
    size_t len = 0, base = 0;
    enum http_parse_result result = HTTP_PARSE_MORE;
    http_parser_begin(&parser, &limits);
    for (size_t at = 0; data && (at < size || result == HTTP_PARSE_DONE) &&
                        result != HTTP_PARSE_REFUSED && reading->n < MAX_REQUESTS;) {
        size_t consumed = 0;
        if (result != HTTP_PARSE_DONE || len == 0) {
            const size_t n = size - at < step ? size - at : step;
            if (n == 0) {
                break;
            }
            memcpy(data + len, text + at, n);
            at += n;
            len += n;
        }
        const size_t before = len;
        result = http_parser_feed(&parser, data, len, &consumed);
        if (result == HTTP_PARSE_DONE || result == HTTP_PARSE_REFUSED) {
            reading->results[reading->n] = result;
            base = at - (before - consumed);
            reading->ends[reading->n] = result == HTTP_PARSE_DONE ? base : 0;
            reading->body_lens[reading->n++] =
                result == HTTP_PARSE_DONE ? parser.body_len : 0;
        }
        if (result == HTTP_PARSE_DONE) {
            require(consumed <= len);
            look_at(&parser, data, consumed);
            memmove(data, data + consumed, len - consumed);
            len -= consumed;
            http_parser_begin(&parser, &limits);
        } else {
            len = http_parser_kept(&parser);
            require(len <= before);
        }
    }
    free(data);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reading whole = {.n = 0}, pieces = {.n = 0};
    if (size == 0) {
        return 0;
    }
    parse(data, size, size, &whole);
    parse(data, size, 1 + data[0] % 7, &pieces);
    require(whole.n == pieces.n);
    for (int i = 0; i < whole.n; i++) {
        require(whole.results[i] == pieces.results[i]);
        require(whole.ends[i] == pieces.ends[i]);
        require(whole.body_lens[i] == pieces.body_lens[i]);
    }
    return 0;
}
