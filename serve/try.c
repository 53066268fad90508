#include "serve/try.h"

#include <stdlib.h>

#include "common/json_text.h"
#include "serve/attributes.h"
#include "serve/recommend.h"

#define RATED_MAX 50 /* ratings shown, the best first */

struct trial {
    struct slice user;
    const struct experiment *experiment;
    int index; /* of the experiment in the config */
    int own;   /* the user's arm, or ARM_NONE */
    int k;     /* 0: what the arm serves */
    int *arms; /* (n_experiments) what the user has, with this experiment's replaced */
};

static void append_item(struct buffer *body, const struct http_exchange *x,
                        struct slice id)
{
    buffer_append_text(body, "{\"item\":");
    json_append_string(body, id);
    if (x->state->titles) {
        buffer_append_text(body, ",\"title\":");
        json_append_string(body, titles_find(x->state->titles, id));
        buffer_append_text(body, ",\"genres\":");
        json_append_string(body, titles_genres(x->state->titles, id));
    }
}

/* The list of one arm. Returns -1 when a problem was answered instead. */
static int append_arm(struct http_exchange *x, const struct trial *trial, int arm,
                      struct buffer *body)
{
    struct list list;
    trial->arms[trial->index] = arm;
    struct serving serving = config_resolve(x->state->config, trial->arms);
    if (trial->k > 0) {
        serving.k = trial->k;
    }
    if (list_items(x, trial->user, &serving, &list) != 0) {
        return -1;
    }
    buffer_append_text(body, arm > 0 ? ",{\"arm\":" : "{\"arm\":");
    json_append_string(body, slice_of(trial->experiment->arms[arm].name));
    buffer_append_text(body, ",\"model\":");
    json_append_string(body, slice_of(list.model->name));
    buffer_append_text(body, ",\"fallback\":");
    if (list.fallback) {
        json_append_string(body, slice_of(list.fallback));
    } else {
        buffer_append_text(body, "null");
    }
    buffer_append_text(body, ",\"item_bias\":");
    json_append_double(body, serving.item_bias);
    buffer_append_text(body, ",\"items\":[");
    for (int i = 0; i < list.n; i++) {
        buffer_append_text(body, i ? "," : "");
        append_item(body, x, model_item_id(list.model->model, list.items[i]));
        buffer_append_text(body, ",\"score\":");
        json_append_double(body, list.scores[i]);
        buffer_append_char(body, '}');
    }
    buffer_append_text(body, "]}");
    return 0;
}

struct opinion {
    int32_t item;
    float rating;
};

/* The best first; what is rated the same in the order of the ratings file. */
static int compare_opinions(const void *a, const void *b)
{
    const struct opinion *p = a, *q = b;
    return p->rating != q->rating ? (p->rating < q->rating) - (p->rating > q->rating)
                                  : (p->item > q->item) - (p->item < q->item);
}

static void append_rated(struct http_exchange *x, struct slice user,
                         struct buffer *body)
{
    const struct rated *rated = x->state->rated;
    const int32_t u = rated ? id_index_find(&rated->users, user) : ID_NONE;
    const int64_t start = u == ID_NONE ? 0 : rated->start[u];
    const int64_t n = u == ID_NONE ? 0 : rated->start[u + 1] - start;
    struct opinion *opinions = malloc((size_t)(n + 1) * sizeof *opinions);
    buffer_append_text(body, ",\"n_rated\":");
    buffer_append_int(body, n);
    buffer_append_text(body, ",\"rated\":[");
    body->failed |= opinions == NULL;
    for (int64_t i = 0; opinions && i < n; i++) {
        opinions[i].item = rated->item[start + i];
        opinions[i].rating = rated_rating(rated, start + i);
    }
    if (opinions) {
        qsort(opinions, (size_t)n, sizeof *opinions, compare_opinions);
    }
    for (int64_t i = 0; opinions && i < n && i < RATED_MAX; i++) {
        buffer_append_text(body, i ? "," : "");
        append_item(body, x, id_index_at(&rated->items, opinions[i].item));
        buffer_append_text(body, ",\"rating\":");
        json_append_double(body, (double)opinions[i].rating);
        buffer_append_char(body, '}');
    }
    buffer_append_char(body, ']');
    free(opinions);
}

static void answer_trial(struct http_exchange *x, const struct trial *trial)
{
    struct buffer body = {0};
    buffer_append_text(&body, "{\"user\":");
    json_append_string(&body, trial->user);
    buffer_append_text(&body, ",\"experiment\":");
    json_append_string(&body, slice_of(trial->experiment->name));
    buffer_append_text(&body, ",\"assigned\":");
    if (trial->own == ARM_NONE) {
        buffer_append_text(&body, "null");
    } else {
        json_append_string(&body, slice_of(trial->experiment->arms[trial->own].name));
    }
    buffer_append_text(&body, ",\"arms\":[");
    for (int arm = 0; arm < trial->experiment->n_arms; arm++) {
        if (append_arm(x, trial, arm, &body) != 0) {
            buffer_free(&body);
            return;
        }
    }
    buffer_append_char(&body, ']');
    append_rated(x, trial->user, &body);
    buffer_append_text(&body, "}\n");
    if (body.failed) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "no memory for the lists");
    } else {
        http_answer_bytes(x, 200, HTTP_JSON, buffer_slice(&body));
    }
    buffer_free(&body);
}

/* Reads the query into *trial but for `arms`; answers 400 or 404 and returns -1. */
static int read_query(struct http_exchange *x, struct trial *trial)
{
    const struct config *config = x->state->config;
    struct slice name;
    int64_t k = 0;
    if (!http_query(x, "user", &trial->user)) {
        http_problem(x, 400, "the parameter user is missing (?user=ID)");
        return -1;
    }
    if (check_user(x, "user", trial->user) != 0 ||
        http_query_int(x, "k", 1, TOPK_MAX, 0, &k) != 0) {
        return -1;
    }
    trial->k = (int)k;
    if (!http_query(x, "experiment", &name)) {
        http_problem(x, 400, "the parameter experiment is missing");
        return -1;
    }
    trial->index = config_find_experiment(config, name);
    if (trial->index < 0) {
        http_problem(x, 404, "there is no experiment \"%.*s\"", (int)name.len,
                     name.data);
        return -1;
    }
    trial->experiment = &config->experiments[trial->index];
    return 0;
}

void route_try(struct http_exchange *x)
{
    struct trial trial = {0};
    struct allotment allotment;
    struct attribute_values attributes;
    if (read_query(x, &trial) != 0 || attributes_of_query(x, &attributes) != 0 ||
        allot(x, trial.user, attributes.items, &allotment) != 0) {
        return;
    }
    const size_t n = (size_t)x->state->config->n_experiments;
    trial.arms = malloc(n * sizeof *trial.arms);
    if (!trial.arms) {
        http_add_header(x, "Retry-After", "1");
        http_problem(x, 503, "no memory for this request");
        return;
    }
    for (size_t i = 0; i < n; i++) {
        trial.arms[i] = allotment.all[i].arm;
    }
    trial.own = trial.arms[trial.index];
    answer_trial(x, &trial);
    free(trial.arms);
}
