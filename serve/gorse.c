#include "serve/gorse.h"

#include <stdio.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_text.h"
#include "serve/intake.h"
#include "serve/recommend.h"

static int check_request(struct http_exchange *x, struct slice user)
{
    struct slice ignored;
    if (http_path_param(x, 1).len > 0) {
        http_problem(x, 400, "there are no categories here (leave \"%.*s\" out)",
                     (int)http_path_param(x, 1).len, http_path_param(x, 1).data);
        return -1;
    }
    if (http_query(x, "write-back-type", &ignored)) {
        http_problem(x, 400,
                     "there is no write-back here: what is shown is logged as "
                     "an exposure anyway (leave write-back-type out)");
        return -1;
    }
    return check_user(x, "user", user);
}

void route_gorse_recommend(struct http_exchange *x)
{
    const struct slice user = http_path_param(x, 0);
    struct attribute_values attributes;
    struct allotment allotment;
    struct list list;
    int64_t n = 0, offset = 0;
    if (check_request(x, user) != 0 ||
        http_query_int(x, "n", 1, TOPK_MAX, 0, &n) != 0 ||
        http_query_int(x, "offset", 0, TOPK_MAX, 0, &offset) != 0 ||
        attributes_of_query(x, &attributes) != 0 ||
        allot(x, user, attributes.items, &allotment) != 0) {
        return;
    }
    n = n ? n : allotment.serving.k;
    if (n + offset > TOPK_MAX) {
        http_problem(x, 400, "n + offset must be at most %d", TOPK_MAX);
        return;
    }
    allotment.serving.k = (int)(n + offset);
    if (list_items(x, user, &allotment.serving, &list) != 0) {
        return;
    }
    const int skipped = list.n < (int)offset ? list.n : (int)offset;
    list.items += skipped;
    list.scores += skipped;
    list.propensities += list.propensities ? skipped : 0;
    list.n -= skipped;
    list.offset = skipped;
    if (!http_is_head(x) && log_exposure(x, user, &allotment, &list) != 0) {
        return;
    }
    struct buffer *body = http_answer(x, 200, HTTP_JSON);
    buffer_append_char(body, '[');
    for (int i = 0; i < list.n; i++) {
        buffer_append_text(body, i ? "," : "");
        json_append_string(body, model_item_id(list.model->model, list.items[i]));
    }
    buffer_append_text(body, "]\n");
    http_answer_end(x);
}

/* An absent or empty time, and Go's zero time, are now. */
static int take_timestamp(struct http_exchange *x, const char *where,
                          const json_t *object, int64_t *ts_us)
{
    const json_t *value = json_object_get(object, "Timestamp");
    const char *text = json_string_value(value);
    const int64_t now = clock_wall_us();
    *ts_us = now;
    if (!value || json_is_null(value) ||
        (text && (!*text || strncmp(text, "0001-01-01", 10) == 0))) {
        return 0;
    }
    if (!text || !config_read_time(text, ts_us) || !intake_is_time(*ts_us, now)) {
        http_problem(x, 400,
                     "%sTimestamp must be like \"2026-03-01T08:00:00Z\", from 1970 to "
                     "a day from now",
                     where);
        return -1;
    }
    return 0;
}

static int take_feedback(struct http_exchange *x, const char *where, json_t *object,
                         struct intake_event *taken)
{
    static const char *const known[] = {"FeedbackType", "UserId",  "ItemId",  "Value",
                                        "Timestamp",    "Comment", "Updated", NULL};
    struct event *event = &taken->event;
    const json_t *value = json_object_get(object, "Value");
    *event = (struct event){.type = EVENT_FEEDBACK};
    if (intake_check(x, where, object, known) != 0 ||
        intake_text(x, where, object, "FeedbackType", true, &event->event) != 0 ||
        intake_text(x, where, object, "UserId", true, &event->user) != 0 ||
        intake_text(x, where, object, "ItemId", true, &event->item) != 0 ||
        take_timestamp(x, where, object, &event->ts_us) != 0) {
        return -1;
    }
    event->has_value = json_is_number(value);
    event->value = json_number_value(value);
    /* Two of the three lengths make the key's parts unambiguous. */
    char key[INTAKE_MAX_NAME + MAX_USER_LEN + INTAKE_MAX_ITEM + 32];
    const int len =
        snprintf(key, sizeof key, "%zu.%zu.%s.%s.%s", event->event.len, event->user.len,
                 event->event.data, event->user.data, event->item.data);
    memcpy(taken->id, "gorse-", 6);
    hash_text(hash_bytes(key, (size_t)len), taken->id + 6);
    event->id = slice_of(taken->id);
    return 0;
}

void route_gorse_feedback(struct http_exchange *x)
{
    struct intake_tally tally;
    if (intake_body(x, take_feedback, &tally) == 0) {
        struct buffer *body = http_answer(x, 200, HTTP_JSON);
        buffer_append_text(body, "{\"RowAffected\":");
        buffer_append_int(body, tally.n_accepted + tally.n_duplicates);
        buffer_append_text(body, "}\n");
        http_answer_end(x);
    }
}
