#include "serve/flag.h"

#include <string.h>

#include "common/json_text.h"

static void append_key(struct buffer *out, const char *name, bool *is_first)
{
    buffer_append_text(out, *is_first ? "\"" : ",\"");
    buffer_append_text(out, name);
    buffer_append_text(out, "\":");
    *is_first = false;
}

void flag_append_value(struct buffer *out, const struct config *config,
                       const struct experiment *experiment, int arm)
{
    struct serving serving = config->serving;
    unsigned keys = 0;
    bool is_first = true;
    for (int i = 0; i < experiment->n_arms; i++) {
        keys |= experiment->arms[i].overrides;
    }
    if (arm != ARM_NONE) {
        serving_override(&serving, &experiment->arms[arm]);
    }
    buffer_append_char(out, '{');
    if (keys & SERVING_MODEL) {
        append_key(out, "model", &is_first);
        json_append_string(out, slice_of(config->models[serving.model].name));
    }
    if (keys & SERVING_K) {
        append_key(out, "k", &is_first);
        buffer_append_int(out, serving.k);
    }
    if (keys & SERVING_ITEM_BIAS) {
        append_key(out, "item_bias", &is_first);
        json_append_double(out, serving.item_bias);
    }
    if (keys & SERVING_EXPLORE) {
        append_key(out, "explore", &is_first);
        json_append_double(out, serving.explore);
    }
    if (keys & SERVING_DIVERSITY) {
        append_key(out, "diversity", &is_first);
        json_append_double(out, serving.diversity);
    }
    buffer_append_char(out, '}');
}

void flag_etag(struct slice body, char etag[FLAG_ETAG_SIZE])
{
    etag[0] = '"';
    hash_text(hash_bytes(body.data, body.len), etag + 1);
    etag[HASH_TEXT_LEN + 1] = '"';
    etag[HASH_TEXT_LEN + 2] = '\0';
}

/* RFC 9110, 13.1.2: "*", or a list of tags, weak ones ("W/") compared alike. */
static bool is_listed(struct slice list, const char *etag)
{
    const size_t len = strlen(etag);
    if (slice_is(list, "*")) {
        return true;
    }
    for (size_t i = 0; i + len <= list.len; i++) {
        if (memcmp(list.data + i, etag, len) == 0) {
            return true; /* the quotes are part of it */
        }
    }
    return false;
}

void flag_answer(struct http_exchange *x, struct slice body)
{
    char etag[FLAG_ETAG_SIZE];
    flag_etag(body, etag);
    http_add_header(x, "ETag", etag);
    http_add_header(x, "Cache-Control", "private, no-cache");
    if (is_listed(http_header(x, "If-None-Match"), etag)) {
        (void)http_answer(x, 304, NULL);
        http_answer_end(x);
    } else {
        http_answer_bytes(x, 200, HTTP_JSON, body);
    }
}
