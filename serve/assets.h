/* assets.h - the files of the pages, compiled in (cmake/assets.cmake), and the routes
 * that give them out.
 *
 * Every answer carries a Content-Security-Policy that lets a page use nothing but what
 * this server gives: no inline script or style, no other host, no frame around it. An
 * ETag saves sending what the browser has.
 */
#ifndef SERVE_ASSETS_H
#define SERVE_ASSETS_H

#include "serve/http.h"

struct asset {
    const char *name; /* "dashboard.css" */
    const char *data, *end;
};

extern const struct asset assets[]; /* (n_assets), read-only */
extern const int n_assets;

void route_asset(struct http_exchange *x);           /* /assets/{file} */
void route_overview_page(struct http_exchange *x);   /* / */
void route_experiment_page(struct http_exchange *x); /* /experiments/{experiment} */
void route_try_page(struct http_exchange *x);        /* /try */

#endif
