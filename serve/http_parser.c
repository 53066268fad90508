#include "serve/http_parser.h"

#include <llhttp.h>
#include <string.h>
#include <strings.h>

/* A chunked body may be this many times longer on the wire than decoded, plus a fixed
 * allowance: one-byte chunks are six bytes each. */
#define MAX_FRAMING_FACTOR 6
#define MAX_BLANK_LINES    4 /* before the request line; RFC 9112 2.2 asks for one */

_Static_assert(sizeof(llhttp_t) <= sizeof(((struct http_parser *)0)->llhttp),
               "llhttp_t has grown");

static llhttp_t *llhttp_of(struct http_parser *parser)
{
    void *bytes = parser->llhttp;
    return bytes;
}

static int refuse(struct http_parser *parser, int status, const char *reason)
{
    if (!parser->status) {
        parser->status = status;
        parser->reason = reason;
    }
    return -1;
}

static struct slice span_slice(const char *data, struct http_parser_span span)
{
    return (struct slice){data + span.start, span.len};
}

static struct http_parser_span span_at(const struct http_parser *parser, const char *at,
                                       size_t len)
{
    return (struct http_parser_span){(uint16_t)(at - parser->data), (uint16_t)len};
}

/* llhttp sees the whole header in one piece, so no span is ever split. */
static int on_url(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    parser->target = span_at(parser, at, len);
    return 0;
}

static int on_header_field(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    if (parser->is_chunked) {
        return refuse(parser, 400, "trailers after a chunked body are not accepted");
    }
    if (parser->n_headers == HTTP_MAX_HEADERS) {
        return refuse(parser, 431, "more than 64 header fields");
    }
    parser->name[parser->n_headers] = span_at(parser, at, len);
    parser->value[parser->n_headers] = (struct http_parser_span){0, 0};
    parser->n_headers++;
    return 0;
}

static int on_header_value(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    while (len > 0 && (at[len - 1] == ' ' || at[len - 1] == '\t')) {
        len--;
    }
    if (parser->n_headers > 0) {
        parser->value[parser->n_headers - 1] = span_at(parser, at, len);
    }
    return 0;
}

static bool same_word(struct slice text, const char *word)
{
    return text.len == strlen(word) && strncasecmp(text.data, word, text.len) == 0;
}

static bool is_host(struct slice value)
{
    static const char others[] = "-._~%!$&'()*+;=:[]";
    for (size_t i = 0; i < value.len; i++) {
        const char c = value.data[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
              (c >= '0' && c <= '9') || (c && strchr(others, c)))) {
            return false;
        }
    }
    return value.len > 0;
}

/* What the header fields say about the message itself. */
struct framing {
    int n_host, n_length, n_encoding;
};

static int check_length(struct http_parser *parser, struct slice value)
{
    uint64_t length = 0;
    if (value.len == 0 || value.len > 18) {
        return refuse(parser, 400, "Content-Length is not a number");
    }
    for (size_t i = 0; i < value.len; i++) {
        if (value.data[i] < '0' || value.data[i] > '9') {
            return refuse(parser, 400, "Content-Length is not a number");
        }
        length = length * 10 + (uint64_t)(value.data[i] - '0');
    }
    parser->content_length = length;
    return 0;
}

static int check_field(struct http_parser *parser, struct slice name,
                       struct slice value, struct framing *framing)
{
    switch (name.len) {
    case 0: /* llhttp lets it through */
        return refuse(parser, 400, "a header field without a name");
    case 4:
        if (same_word(name, "host")) {
            framing->n_host++;
            return is_host(value) ? 0 : refuse(parser, 400, "Host is not a host");
        }
        break;
    case 6:
        if (same_word(name, "expect")) {
            if (!same_word(value, "100-continue")) {
                return refuse(parser, 417, "the only expectation met is 100-continue");
            }
            parser->expects_continue = true;
        }
        break;
    case 14:
        if (same_word(name, "content-length")) {
            framing->n_length++;
            return check_length(parser, value);
        }
        break;
    case 17:
        if (same_word(name, "transfer-encoding")) {
            framing->n_encoding++;
            return same_word(value, "chunked")
                       ? 0
                       : refuse(parser, 400, "the only transfer coding is chunked");
        }
        break;
    default:
        break;
    }
    return 0;
}

static int check_framing(struct http_parser *parser, const struct framing *framing,
                         int minor)
{
    if (framing->n_host > 1 || (framing->n_host == 0 && minor == 1)) {
        return refuse(parser, 400, "a request has exactly one Host field");
    }
    if (framing->n_length > 1 || framing->n_encoding > 1 ||
        (framing->n_length && framing->n_encoding)) {
        return refuse(parser, 400, "the body's length is stated more than once");
    }
    if (framing->n_encoding && minor == 0) {
        return refuse(parser, 400, "HTTP/1.0 has no transfer codings");
    }
    parser->is_chunked = framing->n_encoding > 0;
    const bool has_body = parser->is_chunked || parser->content_length > 0;
    if (has_body &&
        (parser->method == HTTP_METHOD_GET || parser->method == HTTP_METHOD_HEAD)) {
        return refuse(parser, 400, "GET and HEAD carry no body here");
    }
    if (parser->content_length > parser->limits.max_body_bytes) {
        return refuse(parser, 413, "the body is longer than this server takes");
    }
    parser->expects_continue = parser->expects_continue && has_body && minor == 1;
    return 0;
}

static enum http_method method_of(int method)
{
    switch (method) {
    case HTTP_GET:
        return HTTP_METHOD_GET;
    case HTTP_HEAD:
        return HTTP_METHOD_HEAD;
    case HTTP_POST:
        return HTTP_METHOD_POST;
    case HTTP_PUT:
        return HTTP_METHOD_PUT;
    case HTTP_PATCH:
        return HTTP_METHOD_PATCH;
    case HTTP_DELETE:
        return HTTP_METHOD_DELETE;
    case HTTP_OPTIONS:
        return HTTP_METHOD_OPTIONS;
    default:
        return 0;
    }
}

/* The target without its scheme and authority, when it begins with them. */
static struct slice skip_authority(struct slice target)
{
    const char *colon = target.len > 0 && target.data[0] != '/'
                            ? memchr(target.data, ':', target.len)
                            : NULL;
    size_t at = colon ? (size_t)(colon - target.data) : target.len;
    if (target.len - at < 3 || memcmp(target.data + at, "://", 3) != 0) {
        return target;
    }
    at += 3;
    while (at < target.len && !strchr("/?#", target.data[at])) {
        at++;
    }
    return (struct slice){target.data + at, target.len - at};
}

/* "http:///a": absolute, and says of nobody whose it is. */
static bool lacks_host(struct slice target)
{
    const struct slice rest = skip_authority(target);
    return rest.data != target.data && rest.data[-1] == '/';
}

static int on_headers_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;
    struct framing framing = {0, 0, 0};
    if (llhttp->http_major != 1 || llhttp->http_minor > 1) {
        return refuse(parser, 400, "only HTTP/1.0 and HTTP/1.1 are spoken here");
    }
    const char *target = parser->data + parser->target.start;
    const char *protocol = target + parser->target.len + 1;
    if (target[-2] == ' ' || *protocol == ' ') {
        return refuse(parser, 400, "more than one blank in the request line");
    }
    if (memcmp(protocol, "HTTP/", 5) != 0) {
        return refuse(parser, 400, "this is not HTTP"); /* llhttp reads RTSP, too */
    }
    if (lacks_host(span_slice(parser->data, parser->target))) {
        return refuse(parser, 400, "a target without a host: RFC 9110 4.2.1");
    }
    parser->method = method_of(llhttp->method);
    if (!parser->method) {
        return refuse(parser, 400, "no such method here");
    }
    for (int i = 0; i < parser->n_headers; i++) {
        if (check_field(parser, span_slice(parser->data, parser->name[i]),
                        span_slice(parser->data, parser->value[i]), &framing) != 0) {
            return -1;
        }
    }
    parser->minor = llhttp->http_minor;
    parser->keep_alive = llhttp_should_keep_alive(llhttp) != 0;
    return check_framing(parser, &framing, llhttp->http_minor);
}

static int on_message_complete(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;
    parser->is_complete = true;
    return HPE_PAUSED; /* the next message is not ours to look at yet */
}

/* Chunk framing is hexadecimal digits and CR LF, nothing else. */
static int check_chunk_framing(struct http_parser *parser, const char *from,
                               const char *to)
{
    for (; from < to; from++) {
        const char c = *from;
        const bool is_digit =
            (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        if (!is_digit && c != '\r' && c != '\n') {
            return refuse(parser, 400, "chunk extensions and trailers are refused");
        }
        if ((c == '\n') != (parser->last_framing == '\r')) {
            return refuse(parser, 400, "chunk framing lines end in CR LF");
        }
        parser->last_framing = c;
    }
    return 0;
}

static int on_chunk_header(llhttp_t *llhttp)
{
    struct http_parser *parser = llhttp->data;
    return llhttp->content_length > parser->limits.max_body_bytes - parser->body_len
               ? refuse(parser, 413, "the body is longer than this server takes")
               : 0;
}

static int on_body(llhttp_t *llhttp, const char *at, size_t len)
{
    struct http_parser *parser = llhttp->data;
    char *to = parser->data + parser->header_len + parser->body_len;
    if (check_chunk_framing(parser, parser->data + parser->kept, at) != 0) {
        return -1;
    }
    if (len > parser->limits.max_body_bytes - parser->body_len) {
        return refuse(parser, 413, "the body is longer than this server takes");
    }
    parser->kept = (size_t)(at - parser->data) + len;
    memmove(to, at, len);
    parser->body_len += len;
    return 0;
}

static const llhttp_settings_t settings = {
    .on_url = on_url,
    .on_header_field = on_header_field,
    .on_header_value = on_header_value,
    .on_headers_complete = on_headers_complete,
    .on_chunk_header = on_chunk_header,
    .on_body = on_body,
    .on_message_complete = on_message_complete,
};

void http_parser_begin(struct http_parser *parser, const struct http_limits *limits)
{
    llhttp_init(llhttp_of(parser), HTTP_REQUEST, &settings);
    parser->limits = *limits;
    llhttp_of(parser)->data = parser;
    parser->data = NULL;
    parser->kept = parser->line_start = parser->header_len = 0;
    parser->body_len = parser->wire_len = 0;
    parser->content_length = 0;
    parser->n_headers = parser->n_blank_lines = 0;
    parser->last_framing = 0;
    parser->has_line = parser->is_chunked = parser->is_complete = false;
    parser->keep_alive = parser->expects_continue = false;
    parser->method = 0;
    parser->status = 0;
    parser->reason = NULL;
}

/* Looks at one header line, [line_start, end), `end` being its LF. */
static int scan_line(struct http_parser *parser, const char *end)
{
    const char *line = parser->data + parser->line_start;
    const size_t len = (size_t)(end - line);
    if (len == 0 || end[-1] != '\r') {
        return refuse(parser, 400, "lines end in CR LF");
    }
    if (memchr(line, '\r', len) != end - 1) {
        return refuse(parser, 400, "a bare CR in the header");
    }
    if (len > 1) {
        if (parser->has_line && (line[0] == ' ' || line[0] == '\t')) {
            return refuse(parser, 400, "a folded header line");
        }
        if (!parser->has_line && (line[0] < 'A' || line[0] > 'Z')) {
            return refuse(parser, 400, "this is not HTTP");
        }
        parser->has_line = true;
    } else if (parser->has_line) {
        parser->header_len = (size_t)(end + 1 - parser->data);
    } else if (++parser->n_blank_lines > MAX_BLANK_LINES) {
        return refuse(parser, 400, "blank lines instead of a request");
    }
    parser->line_start = (size_t)(end + 1 - parser->data);
    return 0;
}

/* Finds the end of the header, refusing what cannot become one. */
static int scan_header(struct http_parser *parser, size_t len)
{
    const char *data = parser->data, *end;
    size_t at = parser->kept;
    while (parser->header_len == 0 && (end = memchr(data + at, '\n', len - at))) {
        if (scan_line(parser, end) != 0) {
            return -1;
        }
        at = parser->line_start;
    }
    parser->kept = parser->header_len ? parser->header_len : len;
    if (parser->kept > parser->limits.max_header_bytes) {
        return parser->has_line
                   ? refuse(parser, 431, "the header is longer than this server takes")
                   : refuse(parser, 414,
                            "the request line is longer than this server "
                            "takes");
    }
    if (parser->header_len == 0 && len > parser->line_start) {
        const char *line = data + parser->line_start;
        const char *cr = memchr(line, '\r', len - parser->line_start);
        if (cr && cr != data + len - 1) {
            return refuse(parser, 400, "a bare CR in the header");
        }
        if (parser->has_line && (*line == ' ' || *line == '\t')) {
            return refuse(parser, 400, "a folded header line");
        }
        if (!parser->has_line && *line != '\r' && (*line < 'A' || *line > 'Z')) {
            return refuse(parser, 400, "this is not HTTP");
        }
    }
    return 0;
}

static enum http_parse_result refused(struct http_parser *parser)
{
    if (!parser->status) {
        const char *reason = llhttp_get_error_reason(llhttp_of(parser));
        parser->status = 400;
        parser->reason = reason && *reason ? reason : "malformed request";
    }
    return HTTP_PARSE_REFUSED;
}

static enum http_parse_result parse_header(struct http_parser *parser, size_t len)
{
    if (scan_header(parser, len) != 0) {
        return refused(parser);
    }
    if (parser->header_len == 0) {
        return HTTP_PARSE_MORE;
    }
    const llhttp_errno_t error =
        llhttp_execute(llhttp_of(parser), parser->data, parser->header_len);
    /* No method: llhttp never came to the end of the header ("PRI * HTTP/2.0"). */
    if (parser->status || !parser->method ||
        (!parser->is_complete && error != HPE_OK)) {
        return refused(parser);
    }
    parser->last_framing = 0;
    return HTTP_PARSE_DONE;
}

static enum http_parse_result parse_chunks(struct http_parser *parser, size_t len,
                                           size_t *consumed)
{
    const size_t fresh = parser->kept, available = len - fresh;
    const llhttp_errno_t error =
        llhttp_execute(llhttp_of(parser), parser->data + fresh, available);
    const char *end = parser->data + len;
    if (parser->is_complete) {
        end = llhttp_get_error_pos(llhttp_of(parser));
    } else if (error != HPE_OK || parser->status) {
        return refused(parser);
    }
    if (check_chunk_framing(parser, parser->data + parser->kept, end) != 0) {
        return refused(parser);
    }
    parser->wire_len += (size_t)(end - parser->data) - fresh;
    if (parser->wire_len / MAX_FRAMING_FACTOR > parser->limits.max_body_bytes) {
        refuse(parser, 413, "the body is longer than this server takes");
        return HTTP_PARSE_REFUSED;
    }
    parser->kept = parser->header_len + parser->body_len;
    *consumed = (size_t)(end - parser->data);
    return parser->is_complete ? HTTP_PARSE_DONE : HTTP_PARSE_MORE;
}

enum http_parse_result http_parser_feed(struct http_parser *parser, char *data,
                                        size_t len, size_t *consumed)
{
    enum http_parse_result result;
    bool header_is_new = false;
    parser->data = data;
    if (parser->header_len == 0) {
        result = parse_header(parser, len);
        if (result != HTTP_PARSE_DONE) {
            return result;
        }
        header_is_new = true;
    }
    if (parser->is_chunked) {
        result = parse_chunks(parser, len, consumed);
    } else {
        const size_t whole = parser->header_len + (size_t)parser->content_length;
        parser->kept = len < whole ? len : whole;
        parser->body_len = parser->kept - parser->header_len;
        *consumed = whole;
        result = len < whole ? HTTP_PARSE_MORE : HTTP_PARSE_DONE;
    }
    if (result == HTTP_PARSE_MORE && header_is_new && parser->expects_continue &&
        len == parser->header_len) {
        return HTTP_PARSE_CONTINUE;
    }
    return result;
}

/* Path and query of a target in origin form ("/a?b") or absolute form ("http://h/a?b",
 * of which the path may be empty: RFC 9112, 3.2.1). */
static void split_target(struct http_request *request)
{
    struct slice rest = skip_authority(request->target);
    const bool is_absolute = rest.data != request->target.data;
    const char *hash = memchr(rest.data, '#', rest.len);
    if (hash) {
        rest.len = (size_t)(hash - rest.data);
    }
    const char *mark = memchr(rest.data, '?', rest.len);
    request->path = rest;
    request->query = (struct slice){rest.data + rest.len, 0};
    if (mark) {
        request->path.len = (size_t)(mark - rest.data);
        request->query = (struct slice){mark + 1, rest.len - request->path.len - 1};
    }
    if (is_absolute && request->path.len == 0) {
        request->path = (struct slice){"/", 1};
    }
}

void http_parser_request(const struct http_parser *parser, const char *data,
                         struct http_header *headers, struct http_request *request)
{
    *request = (struct http_request){
        .method = parser->method,
        .minor = parser->minor,
        .keep_alive = parser->keep_alive,
        .target = span_slice(data, parser->target),
        .body = {data + parser->header_len, parser->body_len},
        .headers = headers,
        .n_headers = parser->n_headers,
    };
    for (int i = 0; i < parser->n_headers; i++) {
        headers[i] = (struct http_header){span_slice(data, parser->name[i]),
                                          span_slice(data, parser->value[i])};
    }
    split_target(request);
}

const char *http_method_name(enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_GET:
        return "GET";
    case HTTP_METHOD_HEAD:
        return "HEAD";
    case HTTP_METHOD_POST:
        return "POST";
    case HTTP_METHOD_PUT:
        return "PUT";
    case HTTP_METHOD_PATCH:
        return "PATCH";
    case HTTP_METHOD_DELETE:
        return "DELETE";
    case HTTP_METHOD_OPTIONS:
        return "OPTIONS";
    }
    return "";
}
