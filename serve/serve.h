/* serve.h - the HTTP server: scores, assigns, logs, answers. Sees trainer/, experiment/
 * and logs/.
 *
 * worker.h moves bytes, http.h is what routes see, routes.h the table of them, state.h
 * the config and models being served, server.h ties them together.
 */
#ifndef SERVE_SERVE_H
#define SERVE_SERVE_H

#include "serve/http.h"    /* IWYU pragma: export */
#include "serve/ranking.h" /* IWYU pragma: export */
#include "serve/reload.h"  /* IWYU pragma: export */
#include "serve/server.h"  /* IWYU pragma: export */
#include "serve/state.h"   /* IWYU pragma: export */
#include "serve/topk.h"    /* IWYU pragma: export */
#include "serve/worker.h"  /* IWYU pragma: export */

#endif
