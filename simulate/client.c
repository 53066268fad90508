#include "simulate/client.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "simulate/libcurl.h"

#define BODY_MAX                                                                       \
    ((size_t)64 << 20) /* an answer larger than this is not from abtest                \
                        */

struct client {
    CURL *curl;
    struct curl_slist *json_headers;
    char *base; /* without a final slash */
    struct buffer url;
    struct buffer body;
    char reason[CURL_ERROR_SIZE];
};

static size_t take_body(const char *data, size_t size, size_t n, void *context)
{
    struct client *client = context;
    const size_t len = size * n;
    if (client->body.len + len > BODY_MAX) {
        return 0; /* fewer than given: libcurl stops with CURLE_WRITE_ERROR */
    }
    buffer_append(&client->body, data, len);
    return client->body.failed ? 0 : len;
}

static int set_up(struct client *client, const char *url, int timeout_ms)
{
    size_t len = strlen(url);
    while (len > 0 && url[len - 1] == '/') {
        len--;
    }
    client->base = strndup(url, len);
    client->curl = libcurl.easy_init();
    struct curl_slist *headers =
        libcurl.slist_append(NULL, "Content-Type: application/json");
    /* libcurl would wait a second for "100 Continue" before a large body. */
    client->json_headers = headers ? libcurl.slist_append(headers, "Expect:") : NULL;
    if (!client->json_headers) {
        libcurl.slist_free_all(headers);
    }
    if (!client->base || !client->curl || !client->json_headers) {
        return -1;
    }
    CURL *curl = client->curl;
    return libcurl.easy_setopt(curl, CURLOPT_ERRORBUFFER, client->reason) ||
                   libcurl.easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body) ||
                   libcurl.easy_setopt(curl, CURLOPT_WRITEDATA, client) ||
                   libcurl.easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms) ||
                   /* no signals for timeouts: they do not go with threads */
                   libcurl.easy_setopt(curl, CURLOPT_NOSIGNAL, 1L) ||
                   libcurl.easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https") ||
                   libcurl.easy_setopt(curl, CURLOPT_USERAGENT, "abtest-simulate")
               ? -1
               : 0;
}

int client_new(const char *url, int timeout_ms, struct client **client,
               struct error *error)
{
    if (strncmp(url, "http://", 7) != 0 && strncmp(url, "https://", 8) != 0) {
        error_set(error, ERROR_INVALID,
                  "\"%s\" is not a URL like http://127.0.0.1:8080 (`abtest serve` "
                  "prints it)",
                  url);
        return -1;
    }
    struct client *made = calloc(1, sizeof *made);
    if (!made || set_up(made, url, timeout_ms) != 0) {
        client_free(made);
        error_set(error, ERROR_NOMEM, "%s: no memory for a connection", url);
        return -1;
    }
    *client = made;
    return 0;
}

void client_free(struct client *client)
{
    if (!client) {
        return;
    }
    libcurl.slist_free_all(client->json_headers);
    if (client->curl) {
        libcurl.easy_cleanup(client->curl);
    }
    buffer_free(&client->url);
    buffer_free(&client->body);
    free(client->base);
    free(client);
}

static int perform(struct client *client, const char *path,
                   struct client_answer *answer, struct error *error)
{
    buffer_clear(&client->url);
    buffer_clear(&client->body);
    buffer_append_text(&client->url, client->base);
    buffer_append_text(&client->url, path);
    buffer_append_char(&client->url, '\0');
    if (client->url.failed ||
        libcurl.easy_setopt(client->curl, CURLOPT_URL, client->url.data) != CURLE_OK) {
        error_set(error, ERROR_NOMEM, "%s: no memory for a request", client->base);
        return -1;
    }
    client->reason[0] = '\0';
    const CURLcode code = libcurl.easy_perform(client->curl);
    if (code != CURLE_OK) {
        error_set(error, code == CURLE_OUT_OF_MEMORY ? ERROR_NOMEM : ERROR_IO, "%s: %s",
                  client->url.data,
                  client->reason[0] ? client->reason : libcurl.easy_strerror(code));
        return -1;
    }
    long status = 0;
    curl_off_t retry_after = 0;
    struct curl_header *header = NULL;
    libcurl.easy_getinfo(client->curl, CURLINFO_RESPONSE_CODE, &status);
    libcurl.easy_getinfo(client->curl, CURLINFO_RETRY_AFTER, &retry_after);
    /* libcurl reports 0 both for "Retry-After: 0" and for no such header. */
    const bool says = libcurl.easy_header(client->curl, "Retry-After", 0, CURLH_HEADER,
                                          -1, &header) == CURLHE_OK;
    answer->status = (int)status;
    answer->retry_after_s =
        says ? (int)(retry_after < INT_MAX ? retry_after : INT_MAX) : -1;
    answer->body = buffer_slice(&client->body);
    return 0;
}

int client_get(struct client *client, const char *path, struct client_answer *answer,
               struct error *error)
{
    libcurl.easy_setopt(client->curl, CURLOPT_HTTPHEADER, NULL);
    libcurl.easy_setopt(client->curl, CURLOPT_HTTPGET, 1L);
    return perform(client, path, answer, error);
}

int client_post_json(struct client *client, const char *path, struct slice body,
                     struct client_answer *answer, struct error *error)
{
    libcurl.easy_setopt(client->curl, CURLOPT_HTTPHEADER, client->json_headers);
    libcurl.easy_setopt(client->curl, CURLOPT_POST, 1L);
    libcurl.easy_setopt(client->curl, CURLOPT_POSTFIELDSIZE_LARGE,
                        (curl_off_t)body.len);
    libcurl.easy_setopt(client->curl, CURLOPT_POSTFIELDS, body.len ? body.data : "");
    return perform(client, path, answer, error);
}

void url_append_encoded(struct buffer *buffer, struct slice text)
{
    static const char unreserved[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
        "0123456789-._~";
    for (size_t i = 0; i < text.len; i++) {
        const char c = text.data[i];
        if (c && strchr(unreserved, c)) {
            buffer_append_char(buffer, c);
        } else {
            buffer_printf(buffer, "%%%02X", (unsigned)(unsigned char)c);
        }
    }
}
