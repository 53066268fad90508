#include "abtest/check_config.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "logs/logs.h"
#include "stats/stats.h"

#define WANTED_POWER  0.8
#define PATIENCE_DAYS 42 /* of an experiment without an end: warn above */
#define DAY_US        86400e6
#define MESSAGE_SIZE  400

static int warn(struct config_problems *problems, int line, bool is_warning,
                char *message, struct error *error)
{
    const struct config_problem problem = {line, is_warning, message};
    return config_problems_add(problems, &problem, error);
}

/* ---- against what was served before ---- */

struct last_config {
    char *text;
    size_t len;
    int64_t ts_us;
    bool no_memory;
};

static int keep_config(void *context, const struct event *event)
{
    struct last_config *last = context;
    if (event->type != EVENT_CONFIG || (last->text && event->ts_us < last->ts_us)) {
        return 0;
    }
    char *text = malloc(event->text.len + 1);
    if (!text) {
        last->no_memory = true;
        return -1;
    }
    memcpy(text, event->text.len ? event->text.data : "", event->text.len);
    free(last->text);
    *last = (struct last_config){text, event->text.len, event->ts_us, false};
    return 0;
}

static int last_of_log(const char *path, struct config **config, struct error *error)
{
    struct last_config last = {0};
    struct config_problems ignored = {0};
    const struct log_visitor visitor = {.on_event = keep_config, .context = &last};
    int rc = -1;
    if (log_read(path, &visitor, NULL, error) != 0 || last.no_memory) {
        if (last.no_memory) {
            error_set(error, ERROR_NOMEM, "%s: no memory for its config", path);
        }
    } else if (!last.text) {
        error_set(error, ERROR_NOT_FOUND, "%s: there is no config in this log", path);
    } else {
        rc = config_parse((struct slice){last.text, last.len}, path, "", config,
                          &ignored, error);
    }
    config_problems_free(&ignored);
    free(last.text);
    return rc;
}

static bool is_log(const char *path)
{
    struct stat status;
    const char *dot = strrchr(path, '.');
    return (stat(path, &status) == 0 && S_ISDIR(status.st_mode)) ||
           (dot && (strcmp(dot, ".jsonl") == 0 || strcmp(dot, ".zst") == 0));
}

/* Without those of line 0, which say what only a restart can change, when that does not
 * matter. */
static int compare(const struct config *before, const struct config *config,
                   bool as_warnings, bool is_restart, struct config_problems *problems,
                   struct error *error)
{
    struct config_problems moves = {0};
    struct error ignored = {0}; /* what it says is in `moves` */
    int rc = 0;
    if (reload_check(before, config, "", &moves, &ignored) != 0 &&
        ignored.code == ERROR_NOMEM) {
        *error = ignored;
        rc = -1;
    }
    for (int i = 0; rc == 0 && i < moves.n; i++) {
        if (!is_restart || moves.items[i].line > 0) {
            rc = warn(problems, moves.items[i].line, as_warnings,
                      moves.items[i].message, error);
        }
    }
    config_problems_free(&moves);
    return rc;
}

int check_against(const struct config *config, const char *against, bool as_warnings,
                  struct config_problems *problems, struct error *error)
{
    struct config *before = NULL;
    struct config_problems ignored = {0};
    const int rc = is_log(against) ? last_of_log(against, &before, error)
                                   : config_load(against, &before, &ignored, error);
    config_problems_free(&ignored);
    if (rc != 0) {
        return -1;
    }
    const int compared =
        compare(before, config, as_warnings, is_log(against), problems, error);
    config_free(before);
    return compared;
}

/* Names end in the time and a sequence number, so the last in order is the newest of
 * its node. */
static bool newest_segment(const char *directory, char *path, size_t size)
{
    char newest[256] = "";
    DIR *handle = opendir(directory);
    if (!handle) {
        return false;
    }
    for (const struct dirent *entry; (entry = readdir(handle));) {
        if (strstr(entry->d_name, ".jsonl") && strcmp(entry->d_name, newest) > 0 &&
            strlen(entry->d_name) < sizeof newest) {
            memcpy(newest, entry->d_name, strlen(entry->d_name) + 1);
        }
    }
    closedir(handle);
    return newest[0] && (size_t)snprintf(path, size, "%s/%s", directory, newest) < size;
}

int check_against_log(const struct config *config, struct config_problems *problems,
                      struct error *error)
{
    char path[4096];
    struct error unreadable = {0};
    if (!newest_segment(config->log.directory, path, sizeof path)) {
        return 0;
    }
    if (check_against(config, path, true, problems, &unreadable) == 0) {
        return 0;
    }
    if (unreadable.code == ERROR_NOMEM) {
        *error = unreadable;
        return -1;
    }
    return 0; /* a log of old or with damage is not the config's mistake */
}

/* ---- traffic ---- */

static double share_of_units(const struct config *config,
                             const struct experiment *experiment)
{
    return experiment->coverage * (1 - config->holdout.share) *
           (experiment->layer ? experiment->layer_end - experiment->layer_start : 1) *
           (experiment->name_space
                ? experiment->name_space_end - experiment->name_space_start
                : 1);
}

/* Units of all arms that the comparison of one arm with control needs; NAN when that
 * cannot be told from what the config says. */
static double units_needed(const struct config *config,
                           const struct experiment *experiment, int arm)
{
    const struct metric *primary = &config->metrics[experiment->primary];
    const bool is_proportion = primary->kind == METRIC_PROPORTION;
    const double control = experiment->arms[0].weight;
    const struct power_plan plan = {
        .metric = is_proportion                   ? POWER_PROPORTION
                  : primary->kind == METRIC_RATIO ? POWER_RATIO
                                                  : POWER_MEAN,
        .baseline = experiment->baseline,
        .sd_control = experiment->deviation,
        .sd_treatment = experiment->deviation,
        .alpha = experiment->alpha,
        .alternative = ALTERNATIVE_TWO_SIDED,
        .allocation = experiment->arms[arm].weight / control,
    };
    const bool is_down = primary->direction == DIRECTION_DOWN;
    const double effect =
        is_down ? -experiment->minimum_effect : experiment->minimum_effect;
    struct error ignored;
    double n_control = NAN;
    if (primary->kind == METRIC_QUANTILE || isnan(plan.baseline) ||
        (!is_proportion && !(plan.sd_control > 0)) ||
        power_sample_size(&plan, effect, WANTED_POWER, &n_control, &ignored) != 0) {
        return NAN;
    }
    return n_control / control;
}

static int check_experiment(const struct config *config,
                            const struct experiment *experiment,
                            struct config_problems *problems, struct error *error)
{
    double n_units = 0;
    char message[MESSAGE_SIZE];
    const double daily = experiment->daily_units * share_of_units(config, experiment);
    if (experiment->primary < 0 || !(daily > 0) || !(experiment->minimum_effect > 0)) {
        return 0;
    }
    for (int arm = 1; arm < experiment->n_arms; arm++) {
        n_units = fmax(n_units, units_needed(config, experiment, arm));
    }
    if (!(n_units > 0)) {
        return 0;
    }
    const double days = power_days(n_units, daily);
    const bool has_end =
        experiment->start_us != INT64_MIN && experiment->end_us != INT64_MAX;
    const double has_days =
        has_end ? (double)(experiment->end_us - experiment->start_us) / DAY_US
                : PATIENCE_DAYS;
    if (days <= has_days) {
        return 0;
    }
    char limit[64] = "more than six weeks";
    if (has_end) {
        snprintf(limit, sizeof limit, "and has %.0f", has_days);
    }
    snprintf(message, sizeof message,
             "experiment \"%s\" is under-powered for its traffic: to find a difference "
             "of %g with power %g it needs %.0f units, which are %.0f days at %.6g a "
             "day, %s (raise coverage or minimum_effect, or %s)",
             experiment->name, experiment->minimum_effect, WANTED_POWER, n_units, days,
             daily, limit, has_end ? "end later" : "choose a more sensitive metric");
    return warn(problems, experiment->line, true, message, error);
}

int check_power(const struct config *config, struct config_problems *problems,
                struct error *error)
{
    for (int i = 0; i < config->n_experiments; i++) {
        const struct experiment *experiment = &config->experiments[i];
        if ((experiment->status == STATUS_RUNNING ||
             experiment->status == STATUS_DRAFT) &&
            check_experiment(config, experiment, problems, error) != 0) {
            return -1;
        }
    }
    return 0;
}
