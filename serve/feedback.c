#include "serve/feedback.h"

#include "serve/intake.h"

static int take_feedback(struct http_exchange *x, const char *where, json_t *object,
                         struct intake_event *taken)
{
    static const char *const known[] = {"id",   "user",       "event", "value",
                                        "item", "request_id", "ts",    NULL};
    struct event *event = &taken->event;
    const json_t *value = json_object_get(object, "value");
    *event = (struct event){.type = EVENT_FEEDBACK};
    if (intake_check(x, where, object, known) != 0 ||
        intake_id(x, where, object, &event->id) != 0 ||
        intake_text(x, where, object, "user", true, &event->user) != 0 ||
        intake_text(x, where, object, "event", true, &event->event) != 0 ||
        intake_text(x, where, object, "item", false, &event->item) != 0 ||
        intake_text(x, where, object, "request_id", false, &event->request) != 0) {
        return -1;
    }
    if (value && !json_is_number(value)) {
        http_problem(x, 400, "%svalue must be a number", where);
        return -1;
    }
    event->has_value = value != NULL;
    event->value = value ? json_number_value(value) : 0;
    return intake_time(x, where, object, &event->ts_us);
}

void route_feedback(struct http_exchange *x)
{
    struct intake_tally tally;
    if (intake_body(x, take_feedback, &tally) == 0) {
        intake_answer(x, &tally);
    }
}
