/* health.h - what operators and analysts ask: alive, ready, metrics, experiments. */
#ifndef SERVE_HEALTH_H
#define SERVE_HEALTH_H

#include "serve/http.h"

void route_healthz(struct http_exchange *x);
void route_readyz(struct http_exchange *x);
void route_metrics(struct http_exchange *x);
void route_experiments(struct http_exchange *x);
void route_report(struct http_exchange *x);

#endif
