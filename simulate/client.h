/* client.h - one HTTP/1.1 connection to the server, kept alive between requests.
 *
 * libcurl does the protocol (docs/dependencies.md says why); this adds the base URL, a
 * bounded answer and errors that say which URL failed and how.
 *
 * A client belongs to one thread. libcurl_load (libcurl.h) must have returned 0 before
 * the first client is made.
 */
#ifndef SIMULATE_CLIENT_H
#define SIMULATE_CLIENT_H

#include <stddef.h>

#include "common/buffer.h"
#include "common/error.h"
#include "common/slice.h"

struct client;

struct client_answer {
    int status;        /* 100 ... 599 */
    int retry_after_s; /* seconds the server asked to wait; -1 when it said nothing */
    struct slice body; /* valid until the next request of this client */
};

/* `url` is scheme://host[:port], with or without a final slash; no answer within
 * timeout_ms is a failure. Fails with ERROR_INVALID (not an http or https URL),
 * ERROR_NOMEM. */
MUST_CHECK int client_new(const char *url, int timeout_ms, struct client **client,
                          struct error *error);
void client_free(struct client *client);

/* `path` is a NUL-terminated path with query, beginning with "/". Returns 0 and fills
 * *answer whatever the status is; -1 with ERROR_IO (cannot connect, connection lost,
 * timeout: the message names the URL) or ERROR_NOMEM. */
MUST_CHECK int client_get(struct client *client, const char *path,
                          struct client_answer *answer, struct error *error);
MUST_CHECK int client_post_json(struct client *client, const char *path,
                                struct slice body, struct client_answer *answer,
                                struct error *error);

/* Appends `text` percent-encoded for a query or a path segment (RFC 3986, 2.3: all but
 * the unreserved characters). */
void url_append_encoded(struct buffer *buffer, struct slice text);

#endif
