#include "serve/recommend.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "common/utf8.h"
#include "serve/newcomers.h"
#include "serve/ranking.h"

int check_user(struct http_exchange *x, const char *name, struct slice user)
{
    if (user.len == 0 || user.len > MAX_USER_LEN) {
        http_problem(x, 400, "%s must be 1 to %d bytes long, not %zu", name,
                     MAX_USER_LEN, user.len);
        return -1;
    }
    if (!utf8_is_valid(user.data, user.len)) {
        http_problem(x, 400, "%s is not valid UTF-8", name);
        return -1;
    }
    return 0;
}

static int user_of_query(struct http_exchange *x, struct slice *user)
{
    if (!http_query(x, "user", user)) {
        http_problem(x, 400, "the parameter user is missing (?user=ID)");
        return -1;
    }
    return check_user(x, "user", *user);
}

int allot(struct http_exchange *x, struct slice user,
          const struct attribute_value *attributes, struct allotment *allotment)
{
    const struct config *config = x->state->config;
    const size_t n = (size_t)config->n_experiments;
    struct assignment *all = server_scratch(x, SCRATCH_ARMS, (n + 1) * sizeof *all);
    struct event_assignment *assignments =
        all ? server_scratch(x, SCRATCH_ASSIGNMENTS, (n + 1) * sizeof *assignments)
            : NULL;
    if (!assignments) {
        return -1;
    }
    const struct assignment_request request = {user, clock_wall_us(), attributes};
    *allotment = (struct allotment){
        .all = all,
        .assignments = assignments,
        .attributes = attributes,
        .serving = config->serving,
    };
    config_assign(config, &request, all);
    for (size_t i = 0; i < n; i++) {
        const struct experiment *experiment = &config->experiments[i];
        if (all[i].arm == ARM_NONE) {
            continue;
        }
        const struct arm *arm = &experiment->arms[all[i].arm];
        serving_override(&allotment->serving, arm);
        assignments[allotment->n_assignments++] = (struct event_assignment){
            .experiment = slice_of(experiment->name),
            .arm = slice_of(arm->name),
            .probability = all[i].probability,
            .is_forced = all[i].reason == REASON_FORCED,
        };
    }
    return 0;
}

/* Merges two ascending lists of items into `to`, each item once. */
static int32_t merge(const int32_t *a, int32_t n_a, const int32_t *b, int32_t n_b,
                     int32_t *to)
{
    int32_t n = 0, i = 0, j = 0;
    while (i < n_a || j < n_b) {
        const bool takes_a = j == n_b || (i < n_a && a[i] <= b[j]);
        const int32_t item = takes_a ? a[i] : b[j];
        i += i < n_a && a[i] == item;
        j += j < n_b && b[j] == item;
        to[n++] = item;
    }
    return n;
}

/* Solves for the vector of a user whom the model does not know, from feedback. Returns
 * 1 when that could be done: the query's vector and seen items then lie in scratch
 * memory; 0 when not, -1 when a 503 is answered. */
static int fold_in(struct http_exchange *x, struct slice user,
                   const struct serve_model *served, struct topk_query *query)
{
    const struct model *model = served->model;
    const size_t n_max = NEWCOMERS_MAX_RATINGS, n_factors = (size_t)model->n_factors;
    if (!served->fold_in) {
        return 0;
    }
    int32_t *rated =
        server_scratch(x, SCRATCH_RATINGS,
                       (2 * n_max + (size_t)query->n_seen) * sizeof(int32_t) +
                           (n_max + n_factors) * sizeof(float));
    if (!rated) {
        return -1;
    }
    int32_t *seen = rated + n_max;
    void *behind = seen + n_max + query->n_seen;
    float *values = behind, *vector = values + n_max;
    float bias = 0;
    const int n = newcomers_ratings(server_newcomers(x), user, model, rated, values);
    const struct fold_in_ratings ratings = {rated, values, n};
    struct error why;
    if (n == 0 || fold_in_user(served->fold_in, &ratings, vector, &bias, &why) != 0) {
        return 0;
    }
    query->n_seen = merge(rated, n, query->seen, query->n_seen, seen);
    query->seen = seen;
    query->vector = vector;
    query->base = (double)model->mean + (double)bias;
    return 1;
}

int list_items(struct http_exchange *x, struct slice user,
               const struct serving *serving, struct list *list)
{
    const struct serve_model *served = &x->state->models[serving->model];
    struct ranking *ranking = server_ranking(x);
    struct topk_query query = {.item_bias = serving->item_bias};
    const int32_t index = model_find_user(served->model, user);
    query.seen = serve_state_seen(x->state, serving->model, user, &query.n_seen);
    *list = (struct list){.model = served,
                          .label = served->label,
                          .items = ranking->list.items,
                          .scores = ranking->list.scores};
    log_shard_next_id(x->log, list->id);
    const int folded = index < 0 ? fold_in(x, user, served, &query) : 0;
    if (folded < 0) {
        return -1;
    }
    if (index >= 0) {
        topk_query_user(served->model, index, &query);
    } else if (folded) {
        list->fallback = "folded";
        list->label = served->folded_label;
    } else {
        list->fallback = "popular";
        list->label = served->popular_label;
        ranking_popular(ranking, served, serving->k, query.seen, query.n_seen);
    }
    if (query.vector) {
        void *scratch =
            server_scratch(x, SCRATCH_TOPK, topk_scratch_size(served->topk));
        if (!scratch) {
            return -1;
        }
        list->propensities =
            ranking_make(ranking, served, serving, &query, slice_of(list->id), scratch);
    }
    list->n = ranking->list.n;
    return 0;
}

/* Four decimals say all that a reader can use and are cheap to write; the order of the
 * list is that of the exact scores. */
static double shown(double score)
{
    return nearbyint(score * 1e4) / 1e4;
}

int log_exposure(struct http_exchange *x, struct slice user,
                 const struct allotment *allotment, const struct list *list)
{
    struct event_item *items =
        server_scratch(x, SCRATCH_ITEMS, ((size_t)list->n + 1) * sizeof *items);
    if (!items) {
        return -1;
    }
    for (int i = 0; i < list->n; i++) {
        items[i] = (struct event_item){
            .id = model_item_id(list->model->model, list->items[i]),
            .score = shown(list->scores[i]),
            .propensity = list->propensities ? list->propensities[i] : (double)NAN,
        };
    }
    struct event_attribute attributes[CONFIG_MAX_ATTRIBUTES];
    const struct event event = {
        .type = EVENT_EXPOSURE,
        .ts_us = clock_wall_us(),
        .id = slice_of(list->id),
        .user = user,
        .assignments = allotment->assignments,
        .n_assignments = allotment->n_assignments,
        .attributes = attributes,
        .n_attributes =
            attributes_to_events(x->state->config, allotment->attributes, attributes),
        .hash_version = ASSIGNMENT_HASH_VERSION,
        .config = {x->state->config->hash, HASH_TEXT_LEN},
        .model = slice_of(list->label),
        .items = items,
        .n_items = list->n,
        .latency_us = (clock_monotonic_ns() - x->start_ns) / 1000,
        .offset = list->offset,
    };
    if (server_log(x, &event) != 0) {
        return -1;
    }
    server_count_exposure(x, allotment->all, event.latency_us);
    return 0;
}

static void append_assignments(struct buffer *body, const struct allotment *allotment)
{
    buffer_append(body, "\"assignments\":{", 15);
    for (int i = 0; i < allotment->n_assignments; i++) {
        if (i > 0) {
            buffer_append_char(body, ',');
        }
        json_append_string(body, allotment->assignments[i].experiment);
        buffer_append_char(body, ':');
        json_append_string(body, allotment->assignments[i].arm);
    }
    buffer_append_char(body, '}');
}

static void append_items(struct buffer *body, const struct list *list)
{
    const struct serve_model *served = list->model;
    buffer_append(body, "\"items\":[", 9);
    for (int i = 0; i < list->n; i++) {
        const uint32_t *at = served->pieces + 2 * (size_t)list->items[i];
        if (i > 0) {
            buffer_append_char(body, ',');
        }
        buffer_append(body, served->text.data + at[0], at[1] - at[0]);
        json_append_double(body, shown(list->scores[i]));
        buffer_append(body, served->text.data + at[1], at[2] - at[1]);
    }
    buffer_append_char(body, ']');
}

static void answer(struct http_exchange *x, struct slice user,
                   const struct allotment *allotment, const struct list *list)
{
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    buffer_append(body, "{\"request_id\":", 14);
    json_append_string(body, slice_of(list->id));
    buffer_append(body, ",\"user\":", 8);
    json_append_string(body, user);
    buffer_append_char(body, ',');
    append_assignments(body, allotment);
    buffer_append(body, ",\"model\":", 9);
    json_append_string(body, slice_of(list->model->name));
    if (list->fallback) {
        buffer_append(body, ",\"fallback\":", 12);
        json_append_string(body, slice_of(list->fallback));
    }
    buffer_append_char(body, ',');
    append_items(body, list);
    buffer_append(body, "}\n", 2);
    http_answer_end(x);
}

void route_recommend(struct http_exchange *x)
{
    struct slice user;
    struct attribute_values attributes;
    struct allotment allotment;
    struct list list;
    int64_t k = 0;
    if (user_of_query(x, &user) != 0 ||
        http_query_int(x, "k", 1, TOPK_MAX, 0, &k) != 0 ||
        attributes_of_query(x, &attributes) != 0 ||
        allot(x, user, attributes.items, &allotment) != 0) {
        return;
    }
    if (k) {
        allotment.serving.k = (int)k;
    }
    if (list_items(x, user, &allotment.serving, &list) != 0) {
        return;
    }
    /* HEAD shows nobody anything. */
    if (!http_is_head(x) && log_exposure(x, user, &allotment, &list) != 0) {
        return;
    }
    answer(x, user, &allotment, &list);
}

void route_assignments(struct http_exchange *x)
{
    struct slice user;
    struct attribute_values attributes;
    struct allotment allotment;
    if (user_of_query(x, &user) != 0 || attributes_of_query(x, &attributes) != 0 ||
        allot(x, user, attributes.items, &allotment) != 0) {
        return;
    }
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    buffer_append_text(body, "{\"user\":");
    json_append_string(body, user);
    buffer_append_char(body, ',');
    append_assignments(body, &allotment);
    buffer_append_text(body, "}\n");
    http_answer_end(x);
}
