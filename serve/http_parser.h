/* http_parser.h - one HTTP/1 request out of a run of bytes, strictly.
 *
 * llhttp (Node's parser) does the grammar; this adds what a server on the open internet
 * must refuse besides: bare CR or LF and obsolete folding (RFC 9112 2.2, 5.2), any
 * Transfer-Encoding but a single "chunked", chunk extensions and trailers, a second
 * Content-Length, Host or Transfer-Encoding even if equal, a body on GET or HEAD, HTTP
 * versions other than 1.0 and 1.1. Whoever disagrees with a proxy about where a request
 * ends can be made to serve one user's answer to another (request smuggling), so every
 * doubt is an error and ends the connection.
 *
 * No I/O and no allocation: the caller keeps the bytes of the message in one buffer and
 * the parser keeps offsets into it, so the buffer may move between calls. Not safe to
 * share between threads.
 */
#ifndef SERVE_HTTP_PARSER_H
#define SERVE_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/slice.h"

#define HTTP_MAX_HEADERS 64 /* fields in a request; more are refused with 431 */

struct http_limits {
    size_t max_header_bytes; /* request line and all fields, 256..32768 */
    size_t max_body_bytes;   /* after decoding */
};

enum http_method {
    HTTP_METHOD_GET = 1 << 0,
    HTTP_METHOD_HEAD = 1 << 1,
    HTTP_METHOD_POST = 1 << 2,
    HTTP_METHOD_PUT = 1 << 3,
    HTTP_METHOD_PATCH = 1 << 4,
    HTTP_METHOD_DELETE = 1 << 5,
    HTTP_METHOD_OPTIONS = 1 << 6,
};

struct http_header {
    struct slice name;  /* as sent; compare without regard to case */
    struct slice value; /* without the blanks around it */
};

/* A request as it was sent; the slices point into the caller's buffer. */
struct http_request {
    enum http_method method;
    int minor;           /* 0 or 1: HTTP/1.0 or HTTP/1.1 */
    bool keep_alive;     /* the client wants to go on with this connection */
    struct slice target; /* request target as sent: "/v1/recommend?user=4" */
    struct slice path;   /* its path, still percent-encoded, beginning with "/" */
    struct slice query;  /* after the "?", still percent-encoded; may be empty */
    struct slice body;   /* decoded */
    const struct http_header *headers;
    int n_headers;
};

enum http_parse_result {
    HTTP_PARSE_MORE,     /* incomplete: keep the first http_parser_kept() bytes */
    HTTP_PARSE_CONTINUE, /* the same, and the client waits for "100 Continue" */
    HTTP_PARSE_DONE,     /* a whole request */
    HTTP_PARSE_REFUSED,  /* see `status`, `reason`; the connection must end */
};

struct http_parser_span {
    uint16_t start, len;
};

struct http_parser {
    /* llhttp's state, kept out of this header: it lies outside the include path. */
    _Alignas(8) unsigned char llhttp[128];
    struct http_limits limits;
    char *data;        /* the message, during a call */
    size_t kept;       /* bytes of it that are parsed and stay */
    size_t line_start; /* of the header line being read */
    size_t header_len; /* 0 until the whole header is here */
    size_t body_len;   /* decoded bytes so far */
    size_t wire_len;   /* bytes of a chunked body as sent, framing included */
    uint64_t content_length;
    struct http_parser_span target;
    struct http_parser_span name[HTTP_MAX_HEADERS], value[HTTP_MAX_HEADERS];
    uint8_t n_headers;
    uint8_t minor;
    uint8_t n_blank_lines;
    char last_framing; /* last byte of chunk framing seen */
    bool has_line, is_chunked, is_complete, keep_alive, expects_continue;
    enum http_method method;
    int status; /* of a refusal: 400, 413, 414, 417 or 431; never 5xx, for the trouble
                   is not ours */
    const char *reason; /* of a refusal, for people; a static text or llhttp's */
};

/* Gets ready for the first request of a connection, or for the next one. */
void http_parser_begin(struct http_parser *parser, const struct http_limits *limits);

/* Goes on with the message at `data`, of which `len` bytes are here; the first
 * http_parser_kept() of them are as the last call left them. Bytes of a chunked body
 * are moved down over the framing. On HTTP_PARSE_DONE *consumed is where the next
 * message begins. Reasons to refuse are found as early as they can be. */
enum http_parse_result http_parser_feed(struct http_parser *parser, char *data,
                                        size_t len, size_t *consumed);

/* How many bytes at the front of the buffer must still be there at the next call; what
 * is read from the network goes right behind them. */
static inline size_t http_parser_kept(const struct http_parser *parser)
{
    return parser->kept;
}

/* Whether a byte of a request has come. */
static inline bool http_parser_has_begun(const struct http_parser *parser)
{
    return parser->kept > 0;
}

/* After HTTP_PARSE_DONE: the request, with slices into `data`. `headers` has room for
 * HTTP_MAX_HEADERS and must live as long as the request. */
void http_parser_request(const struct http_parser *parser, const char *data,
                         struct http_header *headers, struct http_request *request);

const char *http_method_name(enum http_method method);

#endif
