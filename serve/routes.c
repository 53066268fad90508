#include "serve/routes.h"

#include <stdio.h>
#include <string.h>

#include "serve/assets.h"
#include "serve/change.h"
#include "serve/dashboard.h"
#include "serve/exposures.h"
#include "serve/feedback.h"
#include "serve/gorse.h"
#include "serve/growthbook.h"
#include "serve/health.h"
#include "serve/ofrep.h"
#include "serve/recommend.h"
#include "serve/reload.h"
#include "serve/try.h"

#define GET  HTTP_METHOD_GET
#define POST HTTP_METHOD_POST

/* One route a line, the busiest first: the table is searched in order. */
/* clang-format off */
static const struct route routes[] = {
    {GET,  "/v1/recommend", route_recommend},
    {POST, "/v1/feedback", route_feedback},
    {GET,  "/v1/assignments", route_assignments},
    {POST, "/ofrep/v1/evaluate/flags/{key}", route_ofrep_flag},
    {POST, "/ofrep/v1/evaluate/flags", route_ofrep_flags},
    {POST, "/v1/exposures", route_exposures},
    {GET,  "/api/features/{client}", route_growthbook_features},
    {GET,  "/api/recommend/{user}", route_gorse_recommend},
    {GET,  "/api/recommend/{user}/", route_gorse_recommend},
    {GET,  "/api/recommend/{user}/{category}", route_gorse_recommend},
    {POST | HTTP_METHOD_PUT, "/api/feedback", route_gorse_feedback},
    {GET,  "/v1/experiments", route_experiments},
    {GET,  "/v1/experiments/{experiment}/report", route_report},
    {POST, "/v1/experiments/{experiment}", route_change},
    {POST, "/v1/reload", route_reload},
    {GET,  "/healthz", route_healthz},
    {GET,  "/readyz", route_readyz},
    {GET,  "/metrics", route_metrics},
    {GET,  "/", route_overview_page},
    {GET,  "/experiments/{experiment}", route_experiment_page},
    {GET,  "/try", route_try_page},
    {GET,  "/assets/{file}", route_asset},
    {GET,  "/v1/try", route_try},
    {GET,  "/v1/dashboard/stream", route_dashboard_stream},
};
/* clang-format on */

#define N_ROUTES ((int)(sizeof routes / sizeof routes[0]))

int routes_count(void)
{
    return N_ROUTES;
}

const struct route *routes_get(int i)
{
    return &routes[i];
}

int routes_index(const struct route *route)
{
    return route ? (int)(route - routes) : -1;
}

/* Holds `path` against `pattern`; the segments for "{...}" go to params, still encoded.
 */
static bool matches(const char *pattern, struct slice path, struct slice *params)
{
    int n_params = 0;
    size_t at = 0;
    while (*pattern) {
        if (*pattern == '{') {
            const size_t start = at;
            while (at < path.len && path.data[at] != '/') {
                at++;
            }
            if (at == start) {
                return false;
            }
            params[n_params++] = (struct slice){path.data + start, at - start};
            pattern = strchr(pattern, '}') + 1;
        } else if (at < path.len && path.data[at] == *pattern) {
            at++;
            pattern++;
        } else {
            return false;
        }
    }
    return at == path.len;
}

#define METHODS_SIZE 64

/* "GET, HEAD" of the methods in `allowed`. */
static void list_methods(unsigned allowed, char text[METHODS_SIZE])
{
    size_t len = 0;
    if (allowed & GET) {
        allowed |= HTTP_METHOD_HEAD;
    }
    text[0] = '\0';
    for (unsigned bit = 1; bit <= allowed; bit <<= 1) {
        if (allowed & bit) {
            len += (size_t)snprintf(text + len, METHODS_SIZE - len, "%s%s",
                                    len ? ", " : "",
                                    http_method_name((enum http_method)bit));
        }
    }
}

static void refuse_method(struct http_exchange *x, unsigned allowed)
{
    char text[METHODS_SIZE];
    list_methods(allowed, text);
    http_add_header(x, "Allow", text);
    http_problem(x, 405, "this path takes %s", text);
}

static void call(struct http_exchange *x)
{
    const size_t n = sizeof x->path_params / sizeof x->path_params[0];
    for (size_t i = 0; i < n && x->path_params[i].data; i++) {
        x->path_params[i] = http_percent_decode(x->path_params[i], false);
        if (!x->path_params[i].data) {
            http_problem(x, 400,
                         "the path has a %% that no two hexadecimal digits "
                         "follow");
            return;
        }
    }
    if (http_split_query(x) == 0) {
        x->route->handle(x);
    }
}

/* Lets pages of the origin that the config names read the answers (Fetch standard,
 * "CORS protocol"). */
static void allow_origin(struct http_exchange *x)
{
    const char *origin = x->state->config->server.allow_origin;
    if (origin) {
        http_add_header(x, "Access-Control-Allow-Origin", origin);
        http_add_header(x, "Access-Control-Expose-Headers", "ETag, Retry-After");
        http_add_header(x, "Vary", "Origin");
    }
}

/* A browser asks before it sends JSON to another origin. */
static void answer_preflight(struct http_exchange *x, unsigned allowed)
{
    char text[METHODS_SIZE];
    list_methods(allowed, text);
    http_add_header(x, "Access-Control-Allow-Methods", text);
    http_add_header(x, "Access-Control-Allow-Headers",
                    "Content-Type, If-None-Match, Authorization, X-API-Key");
    http_add_header(x, "Access-Control-Max-Age", "600");
    (void)http_answer(x, 204, NULL);
    http_answer_end(x);
}

void routes_dispatch(struct http_exchange *x)
{
    const unsigned method = http_is_head(x) ? GET : x->request.method;
    unsigned allowed = 0;
    allow_origin(x);
    for (int i = 0; i < N_ROUTES; i++) {
        memset(x->path_params, 0, sizeof x->path_params);
        if (!matches(routes[i].pattern, x->request.path, x->path_params)) {
            continue;
        }
        if (routes[i].methods & method) {
            x->route = &routes[i];
            call(x);
            return;
        }
        allowed |= routes[i].methods;
    }
    if (allowed && method == HTTP_METHOD_OPTIONS &&
        x->state->config->server.allow_origin) {
        answer_preflight(x, allowed);
    } else if (allowed) {
        refuse_method(x, allowed);
    } else {
        http_problem(x, 404, "there is nothing at this path");
    }
}
