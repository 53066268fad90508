#include "abtest/simulate_output.h"

#include <inttypes.h>
#include <math.h>

#include "common/json_text.h"

static int last_position(const struct simulation_result *result)
{
    int n = LIST_MAX;
    while (n > 0 && result->examined[n - 1] == 0) {
        n--;
    }
    return n;
}

static double share(int64_t part, int64_t whole)
{
    return whole > 0 ? (double)part / (double)whole : (double)NAN;
}

static void append_share(struct buffer *out, double value)
{
    if (isnan(value)) {
        buffer_printf(out, "  %9s", "-");
    } else {
        buffer_printf(out, "  %9.4f", value);
    }
}

static void append_rule(struct buffer *out, const struct behaviour *behaviour)
{
    switch (behaviour->rule) {
    case RULE_RATES:
        buffer_append_text(out, "a coin per user, with the rate of the arm");
        break;
    case RULE_TRUTH:
        buffer_append_text(out, "satisfied when the list holds a liked item");
        break;
    case RULE_CLICKS:
        buffer_printf(out,
                      "position r examined with probability r^-%g, then clicked with "
                      "%g when liked, %g when not",
                      behaviour->eta, behaviour->click_liked, behaviour->click_other);
        break;
    }
}

static void append_arm_line(struct buffer *out, const char *name, double planted,
                            const struct behaviour *behaviour,
                            const struct arm_outcome *arm)
{
    buffer_printf(out, "  %-20s  %8" PRId64 "  %9" PRId64, name, arm->n_users,
                  arm->n_satisfied);
    append_share(out, share(arm->n_satisfied, arm->n_users));
    append_share(out, planted);
    if (behaviour->rule == RULE_CLICKS) {
        buffer_printf(out, "  %8" PRId64 "  %8" PRId64, arm->n_clicked, arm->n_clicks);
    }
    buffer_append_char(out, '\n');
}

static void append_positions_text(struct buffer *out,
                                  const struct simulation_options *options,
                                  const struct simulation_result *result)
{
    const int n = last_position(result);
    buffer_printf(out, "\n  %-8s  %8s  %8s  %9s  %9s\n", "position", "examined",
                  "clicks", "rate", "planted");
    for (int i = 0; i < n; i++) {
        buffer_printf(out, "  %-8d  %8" PRId64 "  %8" PRId64, i + 1,
                      result->examined[i], result->clicked[i]);
        append_share(out, share(result->examined[i], result->n_requests));
        append_share(out, pow(i + 1, -options->behaviour.eta));
        buffer_append_char(out, '\n');
    }
    buffer_append_text(out, "  (rate and planted: of being examined)\n");
}

void simulation_append_text(struct buffer *out,
                            const struct simulation_options *options,
                            const struct simulation_result *result)
{
    const struct experiment *experiment = options->experiment;
    const struct behaviour *behaviour = &options->behaviour;
    buffer_printf(out, "planted: ");
    append_rule(out, behaviour);
    buffer_printf(out,
                  " (seed %" PRIu64 ")\nexperiment %s: %" PRId64
                  " users, %d visit%s each\n\n  %-20s  %8s  %9s  %9s  %9s",
                  behaviour->seed, experiment->name, result->n_users,
                  behaviour->n_visits, behaviour->n_visits == 1 ? "" : "s", "arm",
                  "users", "satisfied", "rate", "planted");
    if (behaviour->rule == RULE_CLICKS) {
        buffer_printf(out, "  %8s  %8s", "clicked", "clicks");
    }
    buffer_append_char(out, '\n');
    for (int i = 0; i < experiment->n_arms; i++) {
        append_arm_line(out, experiment->arms[i].name,
                        behaviour->rates ? behaviour->rates[i] : (double)NAN, behaviour,
                        &result->arms[i]);
    }
    if (result->outside.n_users > 0) {
        append_arm_line(out, "(in no arm)", NAN, behaviour, &result->outside);
    }
    if (behaviour->rule == RULE_CLICKS) {
        append_positions_text(out, options, result);
    }
    buffer_printf(out,
                  "\nrequests %" PRId64 ", feedback events %" PRId64 " (%" PRId64
                  " accepted, %" PRId64 " duplicates), retries after 503: %" PRId64
                  "\n",
                  result->n_requests, result->n_sent, result->n_accepted,
                  result->n_duplicates, result->n_retries);
}

static void append_arm_json(struct buffer *out, const char *name, double planted,
                            const struct arm_outcome *arm)
{
    buffer_append_text(out, "{\"arm\":");
    json_append_string(out, slice_of(name));
    buffer_append_text(out, ",\"planted_rate\":");
    json_append_double(out, planted);
    buffer_printf(out,
                  ",\"users\":%" PRId64 ",\"satisfied\":%" PRId64
                  ",\"clicked\":%" PRId64 ",\"clicks\":%" PRId64 ",\"rate\":",
                  arm->n_users, arm->n_satisfied, arm->n_clicked, arm->n_clicks);
    json_append_double(out, share(arm->n_satisfied, arm->n_users));
    buffer_append_char(out, '}');
}

static void append_positions_json(struct buffer *out,
                                  const struct simulation_options *options,
                                  const struct simulation_result *result)
{
    const int n = last_position(result);
    buffer_append_text(out, ",\"eta\":");
    json_append_double(out, options->behaviour.eta);
    buffer_append_text(out, ",\"click_liked\":");
    json_append_double(out, options->behaviour.click_liked);
    buffer_append_text(out, ",\"click_other\":");
    json_append_double(out, options->behaviour.click_other);
    buffer_append_text(out, ",\"positions\":[");
    for (int i = 0; i < n; i++) {
        buffer_printf(
            out, "%s{\"position\":%d,\"examined\":%" PRId64 ",\"clicks\":%" PRId64 "}",
            i ? "," : "", i + 1, result->examined[i], result->clicked[i]);
    }
    buffer_append_char(out, ']');
}

void simulation_append_json(struct buffer *out,
                            const struct simulation_options *options,
                            const struct simulation_result *result)
{
    const struct experiment *experiment = options->experiment;
    const struct behaviour *behaviour = &options->behaviour;
    buffer_append_text(out, "{\"experiment\":");
    json_append_string(out, slice_of(experiment->name));
    buffer_printf(out,
                  ",\"rule\":\"%s\",\"seed\":%" PRIu64
                  ",\"visits\":%d,\"users\":%" PRId64 ",\"arms\":[",
                  rule_name(behaviour->rule), behaviour->seed, behaviour->n_visits,
                  result->n_users);
    for (int i = 0; i < experiment->n_arms; i++) {
        buffer_append_text(out, i ? "," : "");
        append_arm_json(out, experiment->arms[i].name,
                        behaviour->rates ? behaviour->rates[i] : (double)NAN,
                        &result->arms[i]);
    }
    buffer_printf(out,
                  "],\"outside\":{\"users\":%" PRId64 ",\"satisfied\":%" PRId64 "}",
                  result->outside.n_users, result->outside.n_satisfied);
    if (behaviour->rule == RULE_CLICKS) {
        append_positions_json(out, options, result);
    }
    buffer_printf(
        out,
        ",\"requests\":%" PRId64 ",\"feedback\":{\"sent\":%" PRId64
        ",\"accepted\":%" PRId64 ",\"duplicates\":%" PRId64 "},\"retries\":%" PRId64
        ",\"crossovers\":%" PRId64 ",\"disagreements\":%" PRId64 "}\n",
        result->n_requests, result->n_sent, result->n_accepted, result->n_duplicates,
        result->n_retries, result->n_crossovers, result->n_disagreements);
}
