#include <math.h>
#include <string.h>

#include "experiment/config_build.h"

/* Room for weights written with six decimals, e.g. three times 0.333333. */
#define WEIGHT_TOLERANCE 1.5e-6

static void check_weights(const struct experiment *experiment,
                          struct problem_list *problems)
{
    double sum = 0;
    for (int i = 0; i < experiment->n_arms; i++) {
        if (!(experiment->arms[i].weight > 0)) {
            return; /* missing or bad, and reported as that */
        }
        sum += experiment->arms[i].weight;
    }
    if (experiment->n_arms < 2) {
        problems_add(problems, experiment->line,
                     "experiment \"%s\" has %d arm%s (it needs at least 2: add [arm %s "
                     "NAME] sections)",
                     experiment->name, experiment->n_arms,
                     experiment->n_arms == 1 ? "" : "s", experiment->name);
    } else if (!(fabs(sum - 1) <= WEIGHT_TOLERANCE)) {
        problems_add(problems, experiment->line,
                     "weights of experiment \"%s\" sum to %.9g (they must sum to 1; "
                     "use coverage to leave units out)",
                     experiment->name, sum);
    }
}

static void check_metric(const struct metric *metric, struct problem_list *problems)
{
    if (metric->kind == METRIC_RATIO && !metric->denominator) {
        problems_add(problems, metric->line,
                     "metric \"%s\" is a ratio without a denominator (add denominator "
                     "= EVENT)",
                     metric->name);
    }
    if (metric->kind != METRIC_RATIO && metric->denominator) {
        problems_add(problems, metric->line,
                     "metric \"%s\" has a denominator but is no ratio (remove it or "
                     "write kind = ratio)",
                     metric->name);
    }
    if (metric->margin > 0 && metric->margin_absolute > 0) {
        problems_add(problems, metric->line,
                     "metric \"%s\" has a margin and a margin_absolute (choose one)",
                     metric->name);
    } else if (metric->kind == METRIC_PROPORTION && metric->margin_absolute >= 1) {
        problems_add(problems, metric->line,
                     "metric \"%s\" is a share of units: margin_absolute must be below "
                     "1 (0.01 is one percentage point)",
                     metric->name);
    }
    const bool is_winsorised = metric->cap < 1 || metric->floor > 0;
    if ((is_winsorised || metric->trim > 0) && metric->kind != METRIC_MEAN &&
        metric->kind != METRIC_COUNT) {
        problems_add(problems, metric->line,
                     "metric \"%s\" is no mean or count: it cannot be capped or "
                     "trimmed (remove cap, floor and trim)",
                     metric->name);
    } else if (is_winsorised && metric->trim > 0) {
        problems_add(problems, metric->line,
                     "metric \"%s\" is both capped and trimmed (choose one: cap and "
                     "floor, or trim)",
                     metric->name);
    }
}

static unsigned keys_set(const struct experiment *experiment)
{
    unsigned keys = 0;
    for (int i = 0; i < experiment->n_arms; i++) {
        keys |= experiment->arms[i].overrides;
    }
    return keys;
}

static const char *first_key_name(unsigned overrides)
{
    size_t n = 0;
    const struct config_key *keys = config_key_table(&n);
    for (size_t i = 0; i < n; i++) {
        if (keys[i].override & overrides) {
            return keys[i].name;
        }
    }
    return "";
}

static bool is_same_name(const char *a, const char *b)
{
    return a && b && strcmp(a, b) == 0;
}

bool config_is_disjoint(const struct experiment *a, const struct experiment *b)
{
    const bool by_layer =
        is_same_name(a->layer, b->layer) &&
        (a->layer_end <= b->layer_start || b->layer_end <= a->layer_start);
    const bool by_name_space = is_same_name(a->name_space, b->name_space) &&
                               (a->name_space_end <= b->name_space_start ||
                                b->name_space_end <= a->name_space_start);
    const bool by_time = a->end_us <= b->start_us || b->end_us <= a->start_us;
    return by_layer || by_name_space || by_time;
}

static void check_conflicts(const struct config *config, int at,
                            struct problem_list *problems)
{
    const struct experiment *later = &config->experiments[at];
    for (int i = 0; i < at; i++) {
        const struct experiment *earlier = &config->experiments[i];
        const unsigned both = keys_set(earlier) & keys_set(later);
        if (earlier->status == STATUS_RUNNING && later->status == STATUS_RUNNING &&
            both && !config_is_disjoint(earlier, later)) {
            problems_add(problems, later->line,
                         "experiments \"%s\" (line %d) and \"%s\" are both running and "
                         "set %s (put them in one layer with disjoint ranges, or pause "
                         "one)",
                         earlier->name, earlier->line, later->name,
                         first_key_name(both));
        }
    }
}

static void check_times(const struct experiment *experiment,
                        struct problem_list *problems)
{
    if (experiment->end_us <= experiment->start_us) {
        problems_add(problems, experiment->line,
                     "experiment \"%s\" ends before it starts (swap start and end)",
                     experiment->name);
    }
}

static void check_forced(const struct experiment *experiment,
                         struct problem_list *problems)
{
    for (int i = 1; i < experiment->n_forced; i++) {
        const struct forced_unit *a = &experiment->forced[i - 1];
        const struct forced_unit *b = &experiment->forced[i];
        if (strcmp(a->unit, b->unit) == 0) {
            const int first = a->line < b->line ? a->line : b->line;
            const int second = a->line < b->line ? b->line : a->line;
            problems_add(problems, second,
                         "unit \"%s\" is forced twice, first in line %d (keep one)",
                         a->unit, first);
        }
    }
}

static void check_power(const struct config *config,
                        const struct experiment *experiment,
                        struct problem_list *problems)
{
    const struct metric *primary =
        experiment->primary < 0 ? NULL : &config->metrics[experiment->primary];
    if (primary && primary->kind == METRIC_PROPORTION &&
        !(isnan(experiment->baseline) ||
          (experiment->baseline > 0 && experiment->baseline < 1))) {
        problems_add(problems, experiment->line,
                     "baseline = %g of experiment \"%s\" is no proportion, which "
                     "metric \"%s\" is (above 0, below 1)",
                     experiment->baseline, experiment->name, primary->name);
    }
}

/* Bounds of planned looks are bounds after shares of a planned number of units. */
static void check_spending(const struct experiment *experiment,
                           struct problem_list *problems)
{
    if (experiment->spending != CHOICE_NO_SPENDING &&
        !(experiment->planned_units > 0)) {
        problems_add(problems, experiment->line,
                     "experiment \"%s\" spends alpha over looks but plans no number of "
                     "units (add planned_units = N, of all arms)",
                     experiment->name);
    }
    if (experiment->planned_units > 0 &&
        experiment->planned_units < 2.0 * experiment->looks) {
        problems_add(problems, experiment->line,
                     "experiment \"%s\" plans %d looks at %g units (plan fewer looks, "
                     "or more units)",
                     experiment->name, experiment->looks, experiment->planned_units);
    }
}

void config_check(const struct config *config, struct problem_list *problems)
{
    if (config->n_models == 0) {
        problems_add(problems, 0,
                     "there is no model to serve (add [model NAME] with file = ...)");
    }
    for (int i = 0; i < config->n_metrics; i++) {
        check_metric(&config->metrics[i], problems);
    }
    for (int i = 0; i < config->n_experiments; i++) {
        check_weights(&config->experiments[i], problems);
        check_times(&config->experiments[i], problems);
        check_forced(&config->experiments[i], problems);
        check_power(config, &config->experiments[i], problems);
        check_spending(&config->experiments[i], problems);
        check_conflicts(config, i, problems);
    }
}
