/* exposures.h - POST /v1/exposures: what a client-side SDK has shown to its user.
 *
 * An SDK decides by itself (the hash is the same everywhere) and reports when it shows.
 * What it reports is taken as it is, even where this server would have decided
 * otherwise by now: the analysis must know what the user saw, and counts a unit seen in
 * two arms.
 */
#ifndef SERVE_EXPOSURES_H
#define SERVE_EXPOSURES_H

#include "serve/http.h"

void route_exposures(struct http_exchange *x);

#endif
