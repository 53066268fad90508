#include <string.h>

#include "experiment/assignment.h"
#include "experiment/config_build.h"

static bool is_same_serving(const struct serving *a, const struct serving *b)
{
    return a->model == b->model && a->k == b->k && a->item_bias == b->item_bias &&
           a->explore == b->explore && a->diversity == b->diversity;
}

static struct serving arm_serving(const struct config *config, const struct arm *arm)
{
    struct serving serving = config->serving;
    serving_override(&serving, arm);
    return serving;
}

/* An A/A test is legal, but more often a key was forgotten. */
static void warn_of_equal_arms(const struct config *config,
                               const struct experiment *experiment,
                               struct problem_list *problems)
{
    for (int i = 1; i < experiment->n_arms; i++) {
        const struct serving serving = arm_serving(config, &experiment->arms[i]);
        for (int j = 0; j < i; j++) {
            const struct serving other = arm_serving(config, &experiment->arms[j]);
            if (is_same_serving(&serving, &other)) {
                problems_warn(
                    problems, experiment->arms[i].line,
                    "arm \"%s\" changes nothing: it serves the same as \"%s\" "
                    "(set a key of [serving] in it, unless an A/A test is "
                    "meant)",
                    experiment->arms[i].name, experiment->arms[j].name);
                break;
            }
        }
    }
}

static void warn_of_direction(const struct config *config,
                              const struct experiment *experiment, int metric,
                              const char *role, struct problem_list *problems)
{
    if (config->metrics[metric].direction == DIRECTION_NONE) {
        problems_warn(problems, experiment->line,
                      "%s \"%s\" of experiment \"%s\" has no direction, so nothing can "
                      "be decided by it (add direction = up or down to [metric %s])",
                      role, config->metrics[metric].name, experiment->name,
                      config->metrics[metric].name);
    }
}

static void warn_of_metrics(const struct config *config,
                            const struct experiment *experiment,
                            struct problem_list *problems)
{
    if (experiment->primary < 0) {
        problems_warn(problems, experiment->line,
                      "experiment \"%s\" has no primary metric (name the one that "
                      "decides before it starts: primary = METRIC)",
                      experiment->name);
    } else {
        warn_of_direction(config, experiment, experiment->primary, "primary", problems);
    }
    for (int i = 0; i < experiment->n_guardrails; i++) {
        if (experiment->guardrails[i] == experiment->primary) {
            problems_warn(problems, experiment->line,
                          "\"%s\" is primary and guardrail of experiment \"%s\" (it "
                          "cannot guard itself: leave it out of guardrails)",
                          config->metrics[experiment->primary].name, experiment->name);
        } else {
            warn_of_direction(config, experiment, experiment->guardrails[i],
                              "guardrail", problems);
        }
    }
}

static void warn_of_settings(const struct config *config,
                             const struct experiment *experiment,
                             struct problem_list *problems)
{
    if (experiment->coverage == 0) {
        problems_warn(
            problems, experiment->line,
            "coverage of experiment \"%s\" is 0: nobody takes part (raise it, "
            "or say status = paused)",
            experiment->name);
    }
    if (experiment->alpha > 0.1) {
        problems_warn(
            problems, experiment->line,
            "alpha = %g of experiment \"%s\" finds a difference in %.0f of 100 "
            "experiments where there is none (0.05 is usual)",
            experiment->alpha, experiment->name, 100 * experiment->alpha);
    }
    if (experiment->sequential && experiment->spending != CHOICE_NO_SPENDING) {
        problems_warn(problems, experiment->line,
                      "experiment \"%s\" says sequential = yes and plans looks: the "
                      "always-valid answer decides, the bounds are only shown (leave "
                      "one of the two out)",
                      experiment->name);
    }
    if (experiment->spending != CHOICE_NO_SPENDING && experiment->primary >= 0 &&
        config->metrics[experiment->primary].kind == METRIC_QUANTILE) {
        problems_warn(problems, experiment->line,
                      "experiment \"%s\" plans looks, but its primary \"%s\" is a "
                      "quantile, for which there are no bounds (say sequential = yes)",
                      experiment->name, config->metrics[experiment->primary].name);
    }
    const int64_t window_us =
        experiment->primary < 0 ? 0 : config->metrics[experiment->primary].window_us;
    if (experiment->start_us != INT64_MIN && experiment->end_us != INT64_MAX &&
        experiment->end_us - experiment->start_us < window_us) {
        problems_warn(
            problems, experiment->line,
            "experiment \"%s\" is over before the window of \"%s\" has passed "
            "for its first unit (end later or shorten the window)",
            experiment->name, config->metrics[experiment->primary].name);
    }
}

void config_warn(const struct config *config, struct problem_list *problems)
{
    if (config->holdout.share > 0.5) {
        problems_warn(
            problems, 0,
            "holdout keeps %.0f %% of the units out of every experiment (0.01 "
            "to 0.1 is usual)",
            100 * config->holdout.share);
    }
    config_warn_of_logged(config, problems);
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        if (experiment->status == STATUS_RUNNING ||
            experiment->status == STATUS_DRAFT) {
            warn_of_settings(config, experiment, problems);
            warn_of_metrics(config, experiment, problems);
            warn_of_equal_arms(config, experiment, problems);
        }
    }
}

void config_warn_at(const struct config *config, int64_t now_us,
                    struct problem_list *problems)
{
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        if (experiment->status == STATUS_RUNNING && experiment->end_us <= now_us) {
            problems_warn(problems, experiment->line,
                          "experiment \"%s\" is said to be running but its end has "
                          "passed (say status = stopped, or move end)",
                          experiment->name);
        }
    }
}
