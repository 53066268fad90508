/* change.h - pause, stop, resume and ramp an experiment of a running server.
 *
 * POST /v1/experiments/{experiment} with {"status":"paused"} or {"coverage":0.5} or
 * both. The value is changed in the config file, comments and all else kept, and the
 * file is reloaded as POST /v1/reload does, so the change is checked like any other,
 * survives a restart, and stands in the log as a config event. When the reload refuses
 * it, the file is put back.
 *
 * The admin token comes in the Authorization header, which no other site can make a
 * browser send; there is no cookie, so there is nothing to forge a request with.
 */
#ifndef SERVE_CHANGE_H
#define SERVE_CHANGE_H

#include "serve/http.h"

void route_change(struct http_exchange *x);

#endif
