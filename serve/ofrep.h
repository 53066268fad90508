/* ofrep.h - OpenFeature Remote Evaluation Protocol 0.3: any OpenFeature SDK with an
 * OFREP provider is a client.
 *
 * Source: github.com/open-feature/protocol, service/openapi.yaml, version 0.3.0. An
 * experiment is a flag (flag.h). Evaluating a flag logs no exposure, since providers
 * evaluate ahead of use; POST /v1/exposures does. Reasons: SPLIT for an arm by the
 * hash, TARGETING_MATCH for a forced one, STATIC for who takes no part, DISABLED while
 * the experiment does not run.
 */
#ifndef SERVE_OFREP_H
#define SERVE_OFREP_H

#include "serve/http.h"

void route_ofrep_flag(struct http_exchange *x);  /* /ofrep/v1/evaluate/flags/{key} */
void route_ofrep_flags(struct http_exchange *x); /* /ofrep/v1/evaluate/flags */

#endif
