#include "serve/http.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/json_text.h"

#define LENGTH_DIGITS 10 /* blanks before a field value are allowed: RFC 9112 5 */

const char *http_status_text(int status)
{
    switch (status) {
    case 200:
        return "OK";
    case 201:
        return "Created";
    case 202:
        return "Accepted";
    case 204:
        return "No Content";
    case 304:
        return "Not Modified";
    case 400:
        return "Bad Request";
    case 401:
        return "Unauthorized";
    case 403:
        return "Forbidden";
    case 404:
        return "Not Found";
    case 405:
        return "Method Not Allowed";
    case 408:
        return "Request Timeout";
    case 409:
        return "Conflict";
    case 412:
        return "Precondition Failed";
    case 413:
        return "Content Too Large";
    case 414:
        return "URI Too Long";
    case 415:
        return "Unsupported Media Type";
    case 417:
        return "Expectation Failed";
    case 422:
        return "Unprocessable Content";
    case 429:
        return "Too Many Requests";
    case 431:
        return "Request Header Fields Too Large";
    case 500:
        return "Internal Server Error";
    case 501:
        return "Not Implemented";
    case 503:
        return "Service Unavailable";
    case 505:
        return "HTTP Version Not Supported";
    default:
        return "Status";
    }
}

/* ---- the request ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = (char)(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

struct slice http_percent_decode(struct slice text, bool plus_is_blank)
{
    char *to = NULL;
    /* The bytes are the receive buffer's, which is ours to write. */
    memcpy(&to, &text.data, sizeof to);
    size_t len = 0;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.data[i];
        if (c == '%') {
            if (text.len - i < 3) {
                return (struct slice){NULL, 0};
            }
            const int high = hex_digit(text.data[i + 1]);
            const int low = hex_digit(text.data[i + 2]);
            if (high < 0 || low < 0) {
                return (struct slice){NULL, 0};
            }
            c = (char)(high * 16 + low);
            i += 2;
        } else if (c == '+' && plus_is_blank) {
            c = ' ';
        }
        if (len < i || c != text.data[i]) { /* the path "/" may be a constant */
            to[len] = c;
        }
        len++;
    }
    return (struct slice){text.data ? text.data : "", len};
}

int http_split_query(struct http_exchange *x)
{
    struct slice rest = x->request.query;
    x->n_params = 0;
    while (rest.len > 0) {
        const char *end = memchr(rest.data, '&', rest.len);
        const size_t len = end ? (size_t)(end - rest.data) : rest.len;
        const char *equals = memchr(rest.data, '=', len);
        const size_t name_len = equals ? (size_t)(equals - rest.data) : len;
        if (len > 0) {
            if (x->n_params == HTTP_MAX_PARAMS) {
                http_problem(x, 400, "more than %d query parameters", HTTP_MAX_PARAMS);
                return -1;
            }
            struct http_param *param = &x->params[x->n_params++];
            param->name =
                http_percent_decode((struct slice){rest.data, name_len}, true);
            param->value = http_percent_decode(
                (struct slice){rest.data + name_len + (equals ? 1 : 0),
                               len - name_len - (equals ? 1 : 0)},
                true);
            if (!param->name.data || !param->value.data) {
                http_problem(x, 400,
                             "the query has a %% that no two hexadecimal "
                             "digits follow");
                return -1;
            }
        }
        rest = (struct slice){rest.data + len + (end ? 1 : 0),
                              rest.len - len - (end ? 1 : 0)};
    }
    for (int i = 1; i < x->n_params; i++) {
        for (int j = 0; j < i; j++) {
            if (slice_equal(x->params[i].name, x->params[j].name)) {
                http_problem(x, 400, "a query parameter is given twice");
                return -1;
            }
        }
    }
    return 0;
}

bool http_query(const struct http_exchange *x, const char *name, struct slice *value)
{
    for (int i = 0; i < x->n_params; i++) {
        if (slice_is(x->params[i].name, name)) {
            *value = x->params[i].value;
            return true;
        }
    }
    return false;
}

int http_query_int(struct http_exchange *x, const char *name, int64_t min, int64_t max,
                   int64_t absent, int64_t *value)
{
    struct slice text;
    *value = absent;
    if (!http_query(x, name, &text)) {
        return 0;
    }
    const bool is_negative = text.len > 0 && text.data[0] == '-';
    int64_t number = 0;
    size_t i = is_negative ? 1 : 0;
    bool is_good = text.len > i && text.len - i <= 18;
    for (; is_good && i < text.len; i++) {
        is_good = text.data[i] >= '0' && text.data[i] <= '9';
        number = number * 10 + (text.data[i] - '0');
    }
    number = is_negative ? -number : number;
    if (!is_good || number < min || number > max) {
        http_problem(x, 400,
                     "%s must be a whole number between %" PRId64 " and %" PRId64, name,
                     min, max);
        return -1;
    }
    *value = number;
    return 0;
}

struct slice http_path_param(const struct http_exchange *x, int i)
{
    return x->path_params[i];
}

struct slice http_header(const struct http_exchange *x, const char *name)
{
    const size_t len = strlen(name);
    for (int i = 0; i < x->request.n_headers; i++) {
        const struct http_header *header = &x->request.headers[i];
        if (header->name.len == len && strncasecmp(header->name.data, name, len) == 0) {
            return header->value;
        }
    }
    return (struct slice){"", 0};
}

bool http_is_head(const struct http_exchange *x)
{
    return x->request.method == HTTP_METHOD_HEAD;
}

/* ---- the answer ---- */

void http_add_header(struct http_exchange *x, const char *name, const char *value)
{
    buffer_append_text(x->extra, name);
    buffer_append(x->extra, ": ", 2);
    buffer_append_text(x->extra, value);
    buffer_append(x->extra, "\r\n", 2);
}

static void append_literal(struct buffer *out, const char *text)
{
    buffer_append(out, text, strlen(text));
}

static void begin_head(struct http_exchange *x, int status)
{
    struct buffer *out = x->out;
    x->answer_start = out->len;
    x->status = status;
    if (status == 200) {
        append_literal(out, "HTTP/1.1 200 OK\r\nDate: ");
    } else {
        append_literal(out, "HTTP/1.1 ");
        buffer_append_int(out, status);
        buffer_append_char(out, ' ');
        append_literal(out, http_status_text(status));
        append_literal(out, "\r\nDate: ");
    }
    append_literal(out, x->date);
    append_literal(out, "\r\n");
    buffer_append(out, x->extra->data, x->extra->len);
    buffer_clear(x->extra);
    if (!x->request.keep_alive || x->close) {
        x->close = true;
        append_literal(out, "Connection: close\r\n");
    } else if (x->request.minor == 0) {
        append_literal(out, "Connection: keep-alive\r\n");
    }
}

struct buffer *http_answer(struct http_exchange *x, int status,
                           const char *content_type)
{
    struct buffer *out = x->out;
    begin_head(x, status);
    x->length_at = 0;
    if (content_type) {
        append_literal(out, "Content-Type: ");
        append_literal(out, content_type);
        append_literal(out, "\r\nContent-Length: ");
        x->length_at = out->len;
        append_literal(out, "         0\r\n");
    }
    append_literal(out, "\r\n");
    x->body_at = out->len;
    return out;
}

void http_answer_end(struct http_exchange *x)
{
    struct buffer *out = x->out;
    if (out->failed) {
        return; /* the driver of the exchange sees it and closes */
    }
    const size_t body_len = out->len - x->body_at;
    if (x->length_at) {
        char *at = out->data + x->length_at + LENGTH_DIGITS;
        size_t rest = body_len;
        do {
            *--at = (char)('0' + rest % 10);
            rest /= 10;
        } while (rest && at > out->data + x->length_at);
    }
    if (http_is_head(x) || !x->length_at) {
        out->len = x->body_at;
    }
}

void http_answer_bytes(struct http_exchange *x, int status, const char *content_type,
                       struct slice body)
{
    buffer_append(http_answer(x, status, content_type), body.data, body.len);
    http_answer_end(x);
}

void http_problem(struct http_exchange *x, int status, const char *format, ...)
{
    char detail[512];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    if (x->status) {
        x->out->len = x->answer_start;
    }
    struct buffer *body = http_answer(x, status, "application/problem+json");
    append_literal(body, "{\"type\":\"about:blank\",\"title\":");
    json_append_string(body, slice_of(http_status_text(status)));
    append_literal(body, ",\"status\":");
    buffer_append_int(body, status);
    append_literal(body, ",\"detail\":");
    json_append_string(body, slice_of(detail));
    append_literal(body, "}\n");
    http_answer_end(x);
}

void http_run_aside(struct http_exchange *x, void (*work)(struct http_exchange *x))
{
    x->aside = work;
}

void http_stream(struct http_exchange *x, const struct http_stream *stream,
                 void *context)
{
    struct buffer *out = x->out;
    x->close = true; /* it ends when the connection does */
    begin_head(x, 200);
    append_literal(out, "Content-Type: ");
    append_literal(out, stream->content_type);
    append_literal(out, "\r\nCache-Control: no-store\r\n\r\n");
    x->stream = stream;
    x->stream_context = context;
}
