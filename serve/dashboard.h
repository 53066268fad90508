/* dashboard.h - what a dashboard watches, made once for everybody who watches.
 *
 * While at least one dashboard is open, a thread makes a snapshot about once a second:
 * the state (config, connections, log counters, latencies and last events, the last two
 * read from the end of the log) and, at a bounded share of the time, each experiment's
 * live report. The streams copy the snapshots to their clients. So ten dashboards cost
 * what one costs, none costs nothing, and the path of a recommendation does not know of
 * them.
 *
 * Stream: server-sent events (WHATWG HTML, 9.2). `state` carries the state. `report`
 * carries {"experiment","made_us","took_ms","problem","report"}: the report is what
 * `abtest analyze --json` prints of the same log, byte for byte but for line breaks.
 */
#ifndef SERVE_DASHBOARD_H
#define SERVE_DASHBOARD_H

#include "serve/http.h"

struct dashboard;

/* The thread starts with the first watcher. Fails with ERROR_NOMEM. `server` must
 * outlive the dashboard. */
MUST_CHECK int dashboard_new(struct server *server, struct dashboard **dashboard,
                             struct error *error);

/* Ends the thread; call it before what it looks at (log, state) goes. No stream may
 * begin afterwards; those that are open produce nothing more. */
void dashboard_stop(struct dashboard *dashboard); /* NULL is allowed */
void dashboard_free(struct dashboard *dashboard); /* after the last stream closed */

void route_dashboard_stream(struct http_exchange *x);

#endif
