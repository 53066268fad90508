/* feedback.h - POST /v1/feedback: what users did, one event or an array. */
#ifndef SERVE_FEEDBACK_H
#define SERVE_FEEDBACK_H

#include "serve/http.h"

void route_feedback(struct http_exchange *x);

#endif
