/* stub_server.h - a server of canned answers, so that a client can be tested against
 * faults that the real one does not have on demand.
 *
 * One thread, one poll loop, port of the system's choosing. The handler runs on that
 * thread. No more than a test needs: requests must be well-formed.
 */
#ifndef TESTS_STUB_SERVER_H
#define TESTS_STUB_SERVER_H

#include "common/buffer.h"
#include "common/slice.h"

struct stub_request {
    struct slice method, target, body;
};

/* Appends a whole HTTP response to `out`. Returns 0, or -1 to close every connection
 * and the listening socket at once: the server is gone. */
typedef int stub_handler(void *context, const struct stub_request *request,
                         struct buffer *out);

struct stub_server;

/* Returns NULL when it cannot start. */
struct stub_server *stub_server_start(stub_handler *handler, void *context);
const char *stub_server_url(const struct stub_server *server);
void stub_server_stop(struct stub_server *server);

/* Appends a response with this status, extra header lines ("" or "X: y\r\n") and JSON
 * body. */
void stub_respond(struct buffer *out, int status, const char *headers,
                  struct slice body);

#endif
