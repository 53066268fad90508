/* cmd_simulate.c - simulated users for a running server. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "abtest/commands.h"
#include "abtest/options.h"
#include "abtest/simulate_log.h"
#include "abtest/simulate_output.h"
#include "common/clock.h"
#include "experiment/experiment.h"
#include "simulate/simulate.h"
#include "trainer/trainer.h"

#define COMMAND "simulate"

/* The options, and what they name once it is loaded. */
struct simulate_job {
    const char *config_path;
    const char *url, *to_log, *experiment, *users_from, *truth, *rates;
    bool clicks, json;
    int64_t n_users, seed, threads, visits, k, retries, timeout_s, start_s;
    double eta, click_liked, click_other, liked_above, days;

    struct config *config;
    struct ratings *ratings;      /* held-out */
    struct ratings *users_source; /* owns the ids of --users-from */
    struct id_map *numbered;      /* ids of --users N */
    double *arm_rates;            /* (n_arms) */
    struct simulation_options run;
};

static void job_free(struct simulate_job *job)
{
    config_free(job->config);
    ratings_free(job->ratings);
    ratings_free(job->users_source);
    id_map_free(job->numbered);
    free(job->arm_rates);
}

static bool truth_likes(const void *context, struct slice user, struct slice item)
{
    const struct simulate_job *job = context;
    const struct ratings *ratings = job->ratings;
    const int32_t u = id_map_find(ratings->users, user);
    const int32_t i = id_map_find(ratings->items, item);
    if (u == ID_NONE || i == ID_NONE) {
        return false;
    }
    int64_t low = ratings->user_start[u], high = ratings->user_start[u + 1];
    while (low < high) {
        const int64_t middle = low + (high - low) / 2;
        if (ratings->user_item[middle] < i) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low < ratings->user_start[u + 1] && ratings->user_item[low] == i &&
           (double)ratings->user_rating[low] > job->liked_above;
}

static int load_config(struct simulate_job *job, struct error *error)
{
    struct config_problems problems = {0};
    const int rc = config_load(job->config_path, &job->config, &problems, error);
    config_problems_free(&problems);
    return rc;
}

/* The named experiment, or the only one that runs. */
static int choose_experiment(struct simulate_job *job, struct error *error)
{
    const struct config *config = job->config;
    int chosen = -1;
    if (job->experiment) {
        chosen = config_find_experiment(config, slice_of(job->experiment));
        if (chosen < 0) {
            error_set(error, ERROR_NOT_FOUND, "%s has no [experiment %s]",
                      job->config_path, job->experiment);
            return -1;
        }
    }
    for (int i = 0; i < config->n_experiments && !job->experiment; i++) {
        if (config->experiments[i].status != STATUS_RUNNING) {
            continue;
        }
        if (chosen >= 0) {
            error_set(error, ERROR_INVALID,
                      "%s runs %s and %s (say which with --experiment)",
                      job->config_path, config->experiments[chosen].name,
                      config->experiments[i].name);
            return -1;
        }
        chosen = i;
    }
    if (chosen < 0) {
        error_set(error, ERROR_NOT_FOUND,
                  "%s has no running experiment (set status = running)",
                  job->config_path);
        return -1;
    }
    job->run.config = config;
    job->run.experiment = &config->experiments[chosen];
    return 0;
}

static int number_users(struct simulate_job *job, struct error *error)
{
    job->numbered = id_map_new();
    bool is_good = job->numbered != NULL;
    for (int64_t i = 1; i <= job->n_users && is_good; i++) {
        char id[24];
        snprintf(id, sizeof id, "%" PRId64, i);
        is_good = id_map_add(job->numbered, slice_of(id)) != ID_NONE;
    }
    if (!is_good) {
        error_set(error, ERROR_NOMEM, "no memory for %" PRId64 " users", job->n_users);
        return -1;
    }
    job->run.users = job->numbered;
    return 0;
}

static int choose_users(struct simulate_job *job, struct error *error)
{
    if (job->n_users > 0) {
        return number_users(job, error);
    }
    const char *from = job->users_from ? job->users_from : job->config->data.ratings;
    if (!from) {
        error_set(error, ERROR_INVALID,
                  "who comes? %s names no [data] ratings (give --users N or "
                  "--users-from RATINGS.csv)",
                  job->config_path);
        return -1;
    }
    if (ratings_load(from, &job->users_source, error) != 0) {
        return -1;
    }
    job->run.users = job->users_source->users;
    return 0;
}

/* Takes "arm=rate" of `len` bytes. */
static int take_rate(struct simulate_job *job, const char *text, size_t len,
                     struct error *error)
{
    const struct experiment *experiment = job->run.experiment;
    const char *equals = memchr(text, '=', len);
    const size_t name_len = equals ? (size_t)(equals - text) : len;
    const int arm = experiment_find_arm(experiment, (struct slice){text, name_len});
    if (!equals || arm < 0) {
        error_set(
            error, ERROR_INVALID,
            "--rates: \"%.*s\" is not ARM=RATE with an arm of %s (such as %s=0.45)",
            (int)len, text, experiment->name, experiment->arms[0].name);
        return -1;
    }
    char *end = NULL;
    const double rate = strtod(equals + 1, &end);
    if (end == equals + 1 || end != text + len || !(rate >= 0 && rate <= 1)) {
        error_set(error, ERROR_INVALID, "--rates: \"%.*s\": the rate is not in [0, 1]",
                  (int)len, text);
        return -1;
    }
    job->arm_rates[arm] = rate;
    return 0;
}

static int parse_rates(struct simulate_job *job, struct error *error)
{
    const struct experiment *experiment = job->run.experiment;
    job->arm_rates = calloc((size_t)experiment->n_arms, sizeof *job->arm_rates);
    if (!job->arm_rates) {
        error_set(error, ERROR_NOMEM, "no memory for rates");
        return -1;
    }
    for (int i = 0; i < experiment->n_arms; i++) {
        job->arm_rates[i] = -1;
    }
    for (const char *at = job->rates; *at;) {
        const size_t len = strcspn(at, ",");
        if (take_rate(job, at, len, error) != 0) {
            return -1;
        }
        at += len + (at[len] == ',');
    }
    for (int i = 0; i < experiment->n_arms; i++) {
        if (job->arm_rates[i] < 0) {
            error_set(error, ERROR_INVALID, "--rates gives none for arm %s of %s",
                      experiment->arms[i].name, experiment->name);
            return -1;
        }
    }
    return 0;
}

static int plant_behaviour(struct simulate_job *job, struct error *error)
{
    struct behaviour *behaviour = &job->run.behaviour;
    *behaviour = (struct behaviour){
        .rule = job->rates    ? RULE_RATES
                : job->clicks ? RULE_CLICKS
                              : RULE_TRUTH,
        .seed = (uint64_t)job->seed,
        .n_visits = (int)job->visits,
        .eta = job->eta,
        .click_liked = job->click_liked,
        .click_other = job->click_other,
    };
    if (job->rates) {
        if (parse_rates(job, error) != 0) {
            return -1;
        }
        behaviour->rates = job->arm_rates;
        return 0;
    }
    behaviour->likes = truth_likes;
    behaviour->context = job;
    return ratings_load(job->truth, &job->ratings, error);
}

static void show_progress(void *context, int64_t n_done)
{
    const struct simulate_job *job = context;
    fprintf(stderr, "\r%" PRId64 " of %d users", n_done, id_map_count(job->run.users));
}

static void warn_of_disagreement(const struct simulate_job *job,
                                 const struct simulation_result *result)
{
    if (result->n_disagreements > 0) {
        complain(COMMAND,
                 "warning: the server put %" PRId64
                 " users in another arm than %s does; it runs another config",
                 result->n_disagreements, job->config_path);
    }
    if (result->n_accepted + result->n_duplicates != result->n_sent) {
        complain(COMMAND,
                 "warning: the server speaks of %" PRId64 " events, %" PRId64
                 " were sent",
                 result->n_accepted + result->n_duplicates, result->n_sent);
    }
}

static int print_result(const struct simulate_job *job,
                        const struct simulation_result *result)
{
    struct buffer out = {0};
    if (job->json) {
        simulation_append_json(&out, &job->run, result);
    } else {
        simulation_append_text(&out, &job->run, result);
    }
    const bool is_lost = out.failed;
    fwrite(out.data, 1, out.len, stdout);
    buffer_free(&out);
    if (is_lost) {
        complain(COMMAND, "no memory for the result");
        return EXIT_FAILED;
    }
    return finish_output(COMMAND, EXIT_DONE);
}

/* Over HTTP, or straight into a log. */
static int run_simulation(struct simulate_job *job, struct simulation_result *result,
                          struct error *error)
{
    job->run.url = job->url;
    job->run.k = (int)job->k;
    job->run.n_threads = (int)job->threads;
    job->run.max_retries = (int)job->retries;
    job->run.timeout_ms = (int)job->timeout_s * 1000;
    if (!job->to_log) {
        return simulation_run(&job->run, result, error);
    }
    const struct simulate_log_options options = {
        .config = job->config,
        .directory = job->to_log,
        .version = ABTEST_VERSION,
        .start_us = job->start_s * 1000000,
        .span_us = (int64_t)(job->days * 86400e6),
        .n_items = (int)job->k,
    };
    return simulate_log_write(&options, &job->run, result, error);
}

static int run_job(struct simulate_job *job)
{
    struct error error = {0};
    struct simulation_result result = {0};
    if (load_config(job, &error) != 0 || choose_experiment(job, &error) != 0 ||
        plant_behaviour(job, &error) != 0 || choose_users(job, &error) != 0) {
        complain(COMMAND, "%s", error.message);
        return EXIT_FAILED;
    }
    if (isatty(STDERR_FILENO)) {
        job->run.progress = show_progress;
        job->run.progress_context = job;
    }
    const int64_t start = clock_monotonic_ns();
    const int rc = run_simulation(job, &result, &error);
    const double seconds = (double)(clock_monotonic_ns() - start) / 1e9;
    int status = EXIT_FAILED;
    if (result.n_users > 0) {
        fprintf(stderr, "%s%" PRId64 " users in %.2f s, %.0f requests/s\n",
                job->run.progress ? "\r" : "", result.n_users, seconds,
                (double)result.n_requests / (seconds > 0 ? seconds : 1));
    }
    if (rc != 0) {
        complain(COMMAND, "%s (after %" PRId64 " of %d users)", error.message,
                 result.n_users, id_map_count(job->run.users));
    } else {
        warn_of_disagreement(job, &result);
        status = print_result(job, &result);
    }
    simulation_result_free(&result);
    return status;
}

/* Exactly one rule must be given. */
static int check_usage(const struct simulate_job *job)
{
    if (!job->url == !job->to_log) {
        complain(COMMAND, "give --url (abtest serve prints it) or --to-log DIRECTORY, "
                          "one of them");
        return -1;
    }
    if (job->to_log && !job->rates) {
        complain(COMMAND, "--to-log needs --rates: without a server there are no lists "
                          "to judge");
        return -1;
    }
    if (job->rates && (job->truth || job->clicks)) {
        complain(COMMAND, "--rates goes with neither --truth nor --clicks");
        return -1;
    }
    if (!job->rates && !job->truth) {
        complain(COMMAND, "who is satisfied? give --truth RATINGS.csv%s",
                 job->clicks ? ": what a user likes decides the clicks"
                             : " or --rates ARM=RATE,...");
        return -1;
    }
    if (job->n_users > 0 && job->users_from) {
        complain(COMMAND, "--users goes not with --users-from");
        return -1;
    }
    return 0;
}

static int parse_and_run(struct simulate_job *job, const struct option_spec *options,
                         int n_options, int argc, char **argv)
{
    const struct command_usage usage = {
        .command = COMMAND,
        .arguments =
            "CONFIG (--url URL | --to-log DIRECTORY) (--rates ... | --truth FILE "
            "[--clicks])",
        .summary =
            "Sends simulated users to a running server. Each asks for recommendations "
            "and answers with\nfeedback `satisfied` (and `click`) by a rule that is "
            "printed together with what came of it,\nso that `abtest analyze` can be "
            "held against it. Who is satisfied depends on the seed, the\nuser's id and "
            "the list, not on threads or time.",
        .options = options,
        .n_options = n_options,
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    const int parsed =
        options_parse(&usage, argc, argv, &job->config_path, &n_arguments);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    return check_usage(job) == 0 ? run_job(job) : EXIT_USAGE;
}

int cmd_simulate(int argc, char **argv)
{
    struct simulate_job job = {.seed = 1,
                               .threads = 2,
                               .visits = 1,
                               .retries = 5,
                               .timeout_s = 10,
                               .eta = 1,
                               .click_liked = 0.8,
                               .click_other = 0.05,
                               .liked_above = 2.5,
                               .start_s = 1767225600, /* 2026-01-01 */
                               .days = 7};
    const struct option_spec options[] = {
        {"url", OPTION_TEXT, &job.url, "URL", "of the server", 0, 0},
        {"to-log", OPTION_TEXT, &job.to_log, "DIRECTORY",
         "write a log instead, without a server (with --rates)", 0, 0},
        {"start", OPTION_INT, &job.start_s, "SECONDS",
         "with --to-log: time of the first exposures, since 1970", 0, 1e11},
        {"days", OPTION_NUMBER, &job.days, "D",
         "with --to-log: exposures are spread over D days", 1e-6, 36500},
        {"experiment", OPTION_TEXT, &job.experiment, "NAME",
         "whose arms are counted (default: the one that runs)", 0, 0},
        {"users", OPTION_INT, &job.n_users, "N",
         "users 1 ... N come; 0: those of --users-from", 0, 100e6},
        {"users-from", OPTION_TEXT, &job.users_from, "FILE",
         "the users of this ratings file come (default: [data] ratings)", 0, 0},
        {"rates", OPTION_TEXT, &job.rates, "ARM=RATE,...",
         "satisfied by a coin with the rate of the arm", 0, 0},
        {"truth", OPTION_TEXT, &job.truth, "FILE",
         "satisfied when the list holds an item liked in these held-out ratings", 0, 0},
        {"liked-above", OPTION_NUMBER, &job.liked_above, "R",
         "a rating above R says that the user likes the item", -1e9, 1e9},
        {"clicks", OPTION_FLAG, &job.clicks, NULL,
         "with --truth: users examine positions and click on items", 0, 0},
        {"eta", OPTION_NUMBER, &job.eta, "X",
         "position r is examined with probability r^-X", 0, 100},
        {"click-liked", OPTION_NUMBER, &job.click_liked, "P",
         "probability of a click on an examined liked item", 0, 1},
        {"click-other", OPTION_NUMBER, &job.click_other, "P",
         "and on any other examined item", 0, 1},
        {"visits", OPTION_INT, &job.visits, "N", "requests of each user", 1, 1e6},
        {"k", OPTION_INT, &job.k, "N",
         "items of a list; 0: what the server serves, and none with --to-log", 0,
         LIST_MAX},
        {"seed", OPTION_INT, &job.seed, "N", "of the coins", 0, 9e15},
        {"threads", OPTION_INT, &job.threads, "N", "connections at once", 1, 1024},
        {"retries", OPTION_INT, &job.retries, "N",
         "times that a request is tried again after a 503", 0, 1000},
        {"timeout", OPTION_INT, &job.timeout_s, "SECONDS",
         "to wait for an answer before giving up", 1, 3600},
        {"json", OPTION_FLAG, &job.json, NULL, "print JSON", 0, 0},
    };
    const int n_options = (int)(sizeof options / sizeof options[0]);
    const int status = parse_and_run(&job, options, n_options, argc, argv);
    job_free(&job);
    return status;
}
