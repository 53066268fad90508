/* fuzz_bodies.c - any bytes as the body of a request that takes JSON, in a server that
 * is whole but for its sockets: no crash, no leak, an answer that is never a fault of
 * the server's own.
 *
 * The first byte of the input says which route; the rest is the body. What is logged is
 * dropped instead of written, ids are forgotten after each input. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "logs/writer_internal.h"
#include "serve/http_parser.h"
#include "serve/routes.h"
#include "serve/server_internal.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what)
{
    if (!holds) {
        fprintf(stderr, "fuzz_bodies: %s\n", what);
        abort();
    }
}

static struct slice number_id(const void *context, int32_t index)
{
    static char text[16];
    (void)context;
    return (struct slice){text, (size_t)snprintf(text, sizeof text, "%d", index)};
}

static void make_model(const char *path)
{
    static const float factors[8] = {1, 2, 3, 4, 5, 6, 7, 8}, biases[4];
    static const int32_t counts[4] = {1, 2, 3, 4};
    const struct model model = {.kind = MODEL_ALS,
                                .n_users = 2,
                                .n_items = 4,
                                .n_factors = 2,
                                .user_factors = factors,
                                .item_factors = factors,
                                .user_bias = biases,
                                .item_bias = biases,
                                .item_count = counts,
                                .settings = {"{}", 2}};
    const struct model_ids ids = {number_id, number_id, NULL};
    struct error error;
    require(model_save(&model, &ids, path, NULL, &error) == 0, "no model");
}

/* What is open stays so; nothing is written any more. */
static void tidy_up(const char *directory)
{
    static const char *const names[] = {"m.model", "logs/lock", "logs/node",
                                        "logs/starts"};
    char path[256];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        require(unlink(path) == 0, path);
    }
    snprintf(path, sizeof path, "%s/logs", directory);
    require(rmdir(path) == 0 && rmdir(directory) == 0, directory);
}

static struct server *make_server(void)
{
    char directory[] = "/tmp/fuzz_bodies.XXXXXX", text[2048];
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct serve_state *state = NULL;
    struct server *server = NULL;
    struct error error = {0};
    require(mkdtemp(directory) != NULL, "no directory");
    snprintf(text, sizeof text, "%s/m.model", directory);
    make_model(text);
    snprintf(
        text, sizeof text,
        "[log]\ndirectory = %s/logs\n[model m]\nfile = %s/m.model\n[serving]\n"
        "model = m\n[attributes]\nage = number\n[metric s]\nkind = proportion\n"
        "event = s\ndirection = up\n[experiment e]\nstatus = running\nprimary = s\n"
        "[arm e a]\nweight = 0.5\n[arm e b]\nweight = 0.5\nitem_bias = 0\n",
        directory, directory);
    const int parsed = config_parse((struct slice){text, strlen(text)}, "f.ini", "",
                                    &config, &problems, &error);
    require(parsed == 0, problems.n ? problems.items[0].message : error.message);
    config_problems_free(&problems);
    const struct server_options options = {.http = {.host = "127.0.0.1",
                                                    .inherited_fd = -1,
                                                    .n_workers = 1,
                                                    .max_connections = 1},
                                           .version = "fuzz"};
    require(server_new(&options, config, &server, &error) == 0 &&
                serve_state_load(config, &state, &error) == 0 &&
                server_open(server, state, &error) == 0,
            error.message);
    tidy_up(directory);
    return server;
}

/* The request as it would come in, and as a worker would hand it to the routes. */
static int answer(struct server *server, struct buffer *request)
{
    static struct http_exchange x;
    static struct buffer out, extra;
    const struct http_limits limits = {.max_header_bytes = 1024,
                                       .max_body_bytes = 1 << 20};
    struct http_parser parser;
    size_t consumed = 0;
    x = (struct http_exchange){.server = server,
                               .state = server->state,
                               .log = log_shard_get(server->log, 0),
                               .out = &out,
                               .extra = &extra,
                               .date = "Sun, 06 Nov 1994 08:49:37 GMT"};
    buffer_clear(&out);
    buffer_clear(&extra);
    http_parser_begin(&parser, &limits);
    require(http_parser_feed(&parser, request->data, request->len, &consumed) ==
                HTTP_PARSE_DONE,
            "the request is not one");
    http_parser_request(&parser, request->data, x.headers, &x.request);
    routes_dispatch(&x);
    require(out.len > 0 && !out.failed, "no answer");
    return x.status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const paths[] = {"/v1/feedback", "/v1/exposures",
                                        "/api/feedback", "/ofrep/v1/evaluate/flags",
                                        "/ofrep/v1/evaluate/flags/e"};
    static struct server *server;
    struct buffer request = {0};
    server = server ? server : make_server();
    if (size == 0) {
        return 0;
    }
    buffer_printf(&request,
                  "POST %s HTTP/1.1\r\nHost: h\r\nContent-Length: %zu\r\n\r\n",
                  paths[data[0] % (sizeof paths / sizeof paths[0])], size - 1);
    buffer_append(&request, data + 1, size - 1);
    const int status = answer(server, &request);
    require(status == 200 || (status >= 400 && status < 500), "a strange status");
    struct log_shard *shard = log_shard_get(server->log, 0);
    require(status == 200 || shard->n_batch == 0, "what was refused is logged");
    buffer_clear(&shard->batch);
    shard->n_batch = 0;
    dedup_undo(past_dedup(server->past), 0, 0);
    buffer_free(&request);
    return 0;
}
