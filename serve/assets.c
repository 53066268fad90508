#include "serve/assets.h"

#include <stdio.h>
#include <string.h>

#include "common/hash.h"

static const char policy[] =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    "connect-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

static const struct {
    const char *suffix, *type;
} types[] = {
    {".html", "text/html; charset=utf-8"},
    {".css", "text/css; charset=utf-8"},
    {".js", "text/javascript; charset=utf-8"},
    {".svg", "image/svg+xml"},
};

static const char *type_of(const char *name)
{
    const char *suffix = strrchr(name, '.');
    for (size_t i = 0; suffix && i < sizeof types / sizeof types[0]; i++) {
        if (strcmp(types[i].suffix, suffix) == 0) {
            return types[i].type;
        }
    }
    return "application/octet-stream";
}

static const struct asset *find(struct slice name)
{
    for (int i = 0; i < n_assets; i++) {
        if (slice_is(name, assets[i].name)) {
            return &assets[i];
        }
    }
    return NULL;
}

static void answer_asset(struct http_exchange *x, const struct asset *asset)
{
    const struct slice bytes = {asset->data, (size_t)(asset->end - asset->data)};
    char hash[HASH_TEXT_LEN + 1], tag[HASH_TEXT_LEN + 3];
    hash_text(hash_bytes(bytes.data, bytes.len), hash);
    snprintf(tag, sizeof tag, "\"%s\"", hash);
    http_add_header(x, "ETag", tag);
    http_add_header(x, "Cache-Control", "no-cache"); /* keep, but ask each time */
    http_add_header(x, "Content-Security-Policy", policy);
    http_add_header(x, "X-Content-Type-Options", "nosniff");
    http_add_header(x, "Referrer-Policy", "no-referrer");
    http_add_header(x, "Cross-Origin-Resource-Policy", "same-origin");
    if (slice_is(http_header(x, "If-None-Match"), tag)) {
        http_answer_bytes(x, 304, NULL, (struct slice){NULL, 0});
    } else {
        http_answer_bytes(x, 200, type_of(asset->name), bytes);
    }
}

static void answer_name(struct http_exchange *x, struct slice name)
{
    const struct asset *asset = find(name);
    if (asset) {
        answer_asset(x, asset);
    } else {
        http_problem(x, 404, "there is no asset \"%.*s\"", (int)name.len, name.data);
    }
}

void route_asset(struct http_exchange *x)
{
    answer_name(x, http_path_param(x, 0));
}

void route_overview_page(struct http_exchange *x)
{
    answer_name(x, slice_of("index.html"));
}

void route_experiment_page(struct http_exchange *x)
{
    answer_name(x, slice_of("experiment.html"));
}

void route_try_page(struct http_exchange *x)
{
    answer_name(x, slice_of("try.html"));
}
