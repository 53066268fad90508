/* growthbook.h - GET /api/features/{client}: the experiments as GrowthBook's SDKs read
 * them, so that any of these decides as this server does, without asking it.
 *
 * Source: GrowthBook's SDK specification ("SDK payload"). Layers, namespaces and the
 * holdout become `filters`, audiences a `condition`, forced units a rule before the
 * experiment's. `client` may be anything: the payload is no secret, and holds the ids
 * of forced units. Exposures come back through POST /v1/exposures.
 */
#ifndef SERVE_GROWTHBOOK_H
#define SERVE_GROWTHBOOK_H

#include "serve/http.h"

void route_growthbook_features(struct http_exchange *x);

#endif
