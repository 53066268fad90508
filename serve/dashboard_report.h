/* dashboard_report.h - the live report of one experiment, as the dashboard keeps it.
 * Private to the dashboard; used by its thread only, but for the finished text.
 */
#ifndef SERVE_DASHBOARD_REPORT_H
#define SERVE_DASHBOARD_REPORT_H

#include <stdint.h>

#include "serve/server.h"

struct live_report {
    char *experiment;
    int64_t due_ns;     /* monotonic: not to be made again before */
    struct buffer json; /* the newest report, newlines as blanks; empty before */
};

void live_report_free(struct live_report *report);

/* Makes the report again and, when it (or what is wrong with it) has changed, leaves
 * the text of an event for the stream in *event (cleared first). Returns whether it
 * has. Sets due_ns so that reports take at most a fiftieth of one core. */
bool live_report_refresh(struct live_report *report, struct server *server,
                         const struct config *config, struct buffer *event);

#endif
