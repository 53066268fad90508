/* ship.h - sends the lines of closed segments to a stream, each segment once.
 *
 * The lines go out as they stand in the log, checksums included, the config lines, too,
 * so that whoever receives them can check them and needs nothing else. A cursor file
 * names the segments that have been delivered. Delivery is at least once: what breaks
 * off is sent again from the start of its segment, and the events' ids tell repeats.
 */
#ifndef LOGS_SHIP_H
#define LOGS_SHIP_H

#include <stdint.h>

#include "common/error.h"
#include "logs/reader.h"

struct ship_options {
    const char *directory;
    /* "-": `fd`. "tcp://HOST:PORT" ("tcp://[::1]:9000" for IPv6), "unix:PATH": one
     * connection for the whole run; it counts as delivered when the receiver, having
     * seen our end of the stream, closes its own. */
    const char *to;
    int fd;             /* for "-"; delivered when written */
    const char *cursor; /* file; made when absent */
    /* Told of damaged lines, which are not sent; NULL members are skipped. */
    struct log_visitor damage;
};

struct ship_result {
    int64_t n_segments; /* delivered in this run */
    int64_t n_events;
    int64_t n_bytes; /* sent */
    int64_t n_damaged;
};

/* Sends every closed segment that the cursor does not name. A segment is closed when it
 * is compressed, or when no process writes to the directory. Segments that are gone
 * leave the cursor, too. Fails with ERROR_NOT_FOUND, ERROR_INVALID (the address),
 * ERROR_IO, ERROR_BUSY (another run holds the cursor) or ERROR_NOMEM; segments
 * delivered before are then in the cursor when `to` is "-", and are not otherwise. */
MUST_CHECK int log_ship(const struct ship_options *options, struct ship_result *result,
                        struct error *error);

#endif
