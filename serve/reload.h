/* reload.h - another config and other models without a restart.
 *
 * Reads the config file again, checks it, loads what it names and hands the whole to
 * the server at once, or leaves everything as it was and says why. Requests in flight
 * finish on what they began with. The log gets a new config event before the first
 * event that refers to it. Refused is what would move units that have an arm
 * (experiment/reload.h), and a change of [server] or [log], which needs a restart.
 */
#ifndef SERVE_RELOAD_H
#define SERVE_RELOAD_H

#include "serve/http.h"
#include "serve/server.h"

/* Blocks while files are read: not from a worker. Any other thread; one at a time, the
 * next one waits. Mistakes and warnings go to *problems. Returns 0 when the new config
 * is being served; -1 with the reason when the old one still is. */
MUST_CHECK int server_reload(struct server *server, struct config_problems *problems,
                             struct error *error);

/* POST /v1/reload, with the admin token. */
void route_reload(struct http_exchange *x);

#endif
