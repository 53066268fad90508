/* try.h - what each arm of an experiment would show one user: for people who look. */
#ifndef SERVE_TRY_H
#define SERVE_TRY_H

#include "serve/http.h"

/* GET /v1/try?user=44&experiment=item-bias&k=10: the list of every arm side by side,
 * the arm that is the user's own (given attr.NAME=VALUE, as for /v1/recommend), and
 * what the user had rated. Logs nothing. */
void route_try(struct http_exchange *x);

#endif
