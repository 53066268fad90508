/* routes.h - which function answers which method and path: the table is in routes.c.
 *
 * To add a route, write `void route_x(struct http_exchange *x)` (serve/http.h says
 * how), declare it in the header of its file, and add a line to the table.
 */
#ifndef SERVE_ROUTES_H
#define SERVE_ROUTES_H

#include "serve/http.h"

struct route {
    unsigned methods;    /* enum http_method bits; GET implies HEAD */
    const char *pattern; /* "/v1/experiments/{experiment}/report": "{...}" is one path
                            segment, decoded, see http_path_param(); at most 4 */
    void (*handle)(struct http_exchange *x);
};

/* Finds the route and calls it; answers 404 or 405 otherwise. Sets x->route. */
void routes_dispatch(struct http_exchange *x);

int routes_count(void);
const struct route *routes_get(int i);
int routes_index(const struct route *route); /* -1 for NULL */

#endif
