#include "serve/exposures.h"

#include "serve/intake.h"

/* The arm by name, with its share; forced where the config says so. */
static int take_arm(struct http_exchange *x, const char *where, struct slice experiment,
                    struct slice arm, struct intake_event *taken)
{
    const struct config *config = x->state->config;
    const int at = config_find_experiment(config, experiment);
    if (at < 0) {
        http_problem(x, 400, "%sthere is no experiment \"%.*s\"", where,
                     (int)experiment.len, experiment.data);
        return -1;
    }
    const int index = experiment_find_arm(&config->experiments[at], arm);
    if (index < 0) {
        http_problem(x, 400, "%sexperiment \"%.*s\" has no arm \"%.*s\"", where,
                     (int)experiment.len, experiment.data, (int)arm.len, arm.data);
        return -1;
    }
    taken->experiment = at;
    taken->arm = index;
    const struct assignment_request request = {taken->event.user, taken->event.ts_us,
                                               NULL};
    const struct assignment own = config_assign_one(config, at, &request);
    const bool is_forced = own.reason == REASON_FORCED;
    taken->assignment = (struct event_assignment){
        .experiment = experiment,
        .arm = arm,
        .probability = is_forced ? 1 : config->experiments[at].arms[index].weight,
        .is_forced = is_forced,
    };
    return 0;
}

static int take_attributes(struct http_exchange *x, const char *where,
                           const json_t *object, struct intake_event *taken)
{
    const struct config *config = x->state->config;
    const json_t *attributes = json_object_get(object, "attributes");
    struct attribute_values values;
    if (attributes && !json_is_object(attributes)) {
        http_problem(x, 400, "%sattributes must be an object", where);
        return -1;
    }
    const struct attribute *wrong = attributes_of_json(config, attributes, &values);
    if (wrong) {
        http_problem(x, 400, "%sattributes.%s must be a %s", where, wrong->name,
                     attribute_type_name(wrong->type));
        return -1;
    }
    taken->event.attributes = taken->attributes;
    taken->event.n_attributes =
        attributes_to_events(config, values.items, taken->attributes);
    return 0;
}

static int take_exposure(struct http_exchange *x, const char *where, json_t *object,
                         struct intake_event *taken)
{
    static const char *const known[] = {"id", "user",       "experiment", "arm",
                                        "ts", "attributes", NULL};
    struct event *event = &taken->event;
    struct slice experiment, arm;
    *event = (struct event){
        .type = EVENT_EXPOSURE,
        .assignments = &taken->assignment,
        .n_assignments = 1,
        .hash_version = ASSIGNMENT_HASH_VERSION,
        .config = {x->state->config->hash, HASH_TEXT_LEN},
        .latency_us = -1,
    };
    return intake_check(x, where, object, known) != 0 ||
                   intake_id(x, where, object, &event->id) != 0 ||
                   intake_text(x, where, object, "user", true, &event->user) != 0 ||
                   intake_text(x, where, object, "experiment", true, &experiment) !=
                       0 ||
                   intake_text(x, where, object, "arm", true, &arm) != 0 ||
                   intake_time(x, where, object, &event->ts_us) != 0 ||
                   take_attributes(x, where, object, taken) != 0
               ? -1
               : take_arm(x, where, experiment, arm, taken);
}

void route_exposures(struct http_exchange *x)
{
    struct intake_tally tally;
    if (intake_body(x, take_exposure, &tally) == 0) {
        intake_answer(x, &tally);
    }
}
