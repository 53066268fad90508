/* cmd_serve.c - runs the server until SIGTERM or SIGINT. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "abtest/analyze.h"
#include "abtest/commands.h"
#include "abtest/options.h"
#include "common/buffer.h"
#include "common/clock.h"
#include "common/json_text.h"
#include "experiment/experiment.h"
#include "serve/serve.h"

#define FIRST_PASSED_FD 3  /* sd_listen_fds(3) */
#define SPARE_FDS       64 /* the log's directory, models, reports */
/* Of each thread: its listener, event queue and log segments. */
#define SPARE_WORKER_FDS 8

/* One line of JSON an event on standard error, for journald and its like. */
static void tell_as(const char *level, const char *event, const char *message)
{
    struct buffer line = {0};
    buffer_append_text(&line, "{\"ts\":");
    buffer_append_int(&line, clock_wall_us());
    buffer_append_text(&line, ",\"level\":");
    json_append_string(&line, slice_of(level));
    buffer_append_text(&line, ",\"event\":");
    json_append_string(&line, slice_of(event));
    buffer_append_text(&line, ",\"message\":");
    json_append_string(&line, slice_of(message));
    buffer_append_text(&line, "}\n");
    if (!line.failed) {
        fwrite(line.data, 1, line.len, stderr);
    }
    buffer_free(&line);
}

static void tell(void *context, const char *event, const struct error *error)
{
    (void)context;
    tell_as("error", event, error->message);
}

/* The live report is `abtest analyze` on the log so far. */
static int report(void *context, const struct config *config, struct slice experiment,
                  struct buffer *json, struct error *error)
{
    (void)context;
    char *name = strndup(experiment.data, experiment.len);
    if (!name) {
        error_set(error, ERROR_NOMEM, "no memory for a report");
        return -1;
    }
    const int rc = analyze_json(config->log.directory, name, json, error);
    free(name);
    return rc;
}

/* *fd is the listening socket that systemd passed, or -1. Returns -1 when what was
 * passed cannot be served: a second socket that nobody accepts from would let its
 * clients wait. */
static int passed_socket(int *fd)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    char *end = NULL;
    *fd = -1;
    if (!pid || !fds || strtol(pid, NULL, 10) != (long)getpid()) {
        return 0;
    }
    const long n = strtol(fds, &end, 10);
    if (end == fds || *end || n < 0) {
        complain("serve", "LISTEN_FDS is \"%s\", which is no number of sockets", fds);
        return -1;
    }
    if (n > 1) {
        complain("serve",
                 "%ld sockets were passed (LISTEN_FDS), and one is served: leave one "
                 "ListenStream= in the socket unit (a port alone takes IPv4 and IPv6)",
                 n);
        return -1;
    }
    *fd = n == 1 ? FIRST_PASSED_FD : -1;
    return 0;
}

/* As many descriptors as we may have; returns how many connections that allows: they
 * may not keep the log from opening its next segment. */
static int raise_file_limit(int n_workers)
{
    const rlim_t spare = SPARE_FDS + SPARE_WORKER_FDS * (rlim_t)n_workers;
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 256;
    }
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0 &&
        getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 256;
    }
    const rlim_t left = limit.rlim_cur > spare ? limit.rlim_cur - spare : 1;
    return left > 1000000 ? 1000000 : (int)left;
}

/* The config, which a state takes over; NULL when it is refused. */
static struct config *load(const char *path)
{
    struct config *config = NULL;
    struct config_problems problems = {0};
    struct error error = {0};
    if (config_load(path, &config, &problems, &error) != 0) {
        complain("serve", "%s (abtest check %s tells all)", error.message, path);
        config = NULL;
    }
    config_problems_free(&problems);
    return config;
}

static void announce(const struct server *server)
{
    printf("listening on %s\n", server_url(server));
    fflush(stdout); /* whoever started us waits for this line */
}

/* SIGHUP: what it did, or every reason why not, goes to standard error. */
static void reload(struct server *server)
{
    struct config_problems problems = {0};
    struct error error = {0};
    server_reopen_access_log(server); /* also when the config is refused */
    if (server_reload(server, &problems, &error) == 0) {
        struct serve_state *state = server_state(server);
        char message[64];
        snprintf(message, sizeof message, "serving config %s", state->config->hash);
        tell_as("info", "reload", message);
        serve_state_unref(state);
    } else {
        tell_as("error", "reload", error.message);
    }
    for (int i = 0; i < problems.n; i++) {
        char message[600];
        snprintf(message, sizeof message, "line %d: %s", problems.items[i].line,
                 problems.items[i].message);
        tell_as(problems.items[i].is_warning ? "warning" : "error", "config", message);
    }
    config_problems_free(&problems);
}

/* Opens the server of a config, which it takes over, or says why not. The log is opened
 * and read while the models are loaded. */
static struct server *open_server(const struct server_options *options,
                                  struct config *config)
{
    struct server *server = NULL;
    struct serve_state *state = NULL;
    struct error error = {0};
    if (server_new(options, config, &server, &error) != 0 ||
        serve_state_load(config, &state, &error) != 0) {
        complain("serve", "%s", error.message);
        server_free(server);
        config_free(config);
        return NULL;
    }
    if (server_open(server, state, &error) != 0) {
        complain("serve", "%s", error.message);
        server_free(server);
        serve_state_unref(state);
        return NULL;
    }
    return server;
}

/* Serves until a signal comes. The signals are blocked in every thread. */
static int run(struct server *server, const sigset_t *signals)
{
    struct error error = {0};
    int rc = -1, signal_number = 0;
    if (server_start(server, &error) != 0) {
        complain("serve", "%s", error.message);
        goto out;
    }
    announce(server);
    while (sigwait(signals, &signal_number) == 0 && signal_number == SIGHUP) {
        reload(server);
    }
    if (server_stop(server, &error) != 0) {
        tell(NULL, "stop", &error);
        goto out;
    }
    rc = 0;
out:
    server_free(server);
    return rc;
}

struct serve_options {
    int64_t port, threads;
    const char *path;
};

static int parse(int argc, char **argv, struct serve_options *given)
{
    const struct option_spec options[] = {
        {"port", OPTION_INT, &given->port, "N",
         "instead of the config's; 0 picks a free one, -1 leaves it", -1, 65535},
        {"threads", OPTION_INT, &given->threads, "N",
         "instead of the config's; 0 leaves it (there 0 means one per core)", 0, 256},
    };
    const struct command_usage usage = {
        .command = "serve",
        .arguments = "CONFIG",
        .summary =
            "Serves recommendations over HTTP, with every user in an arm of each "
            "running experiment and\nevery exposure and feedback event in the "
            "log. The first line of standard output says where it\nlistens. "
            "SIGTERM or SIGINT ends it cleanly, SIGHUP reads the config again and "
            "reopens the access log. "
            "Trouble is told on\nstandard error, one JSON line each.",
        .options = options,
        .n_options = sizeof options / sizeof options[0],
        .min_arguments = 1,
        .max_arguments = 1,
    };
    int n_arguments = 0;
    return options_parse(&usage, argc, argv, &given->path, &n_arguments);
}

static pthread_t main_thread;

static void pass_on(int signal_number)
{
    pthread_kill(main_thread, signal_number);
}

/* Signals are taken by sigwait in the main thread alone. OpenBLAS has started threads
 * before main began, which do not block them: while the main thread is busy with a
 * reload, a signal goes to one of those, and would end the process where it stands. So
 * whoever gets one passes it on to the main thread, where it waits. */
static void block_signals(sigset_t *signals)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
    const struct sigaction action = {.sa_handler = pass_on, .sa_flags = SA_RESTART};
    main_thread = pthread_self();
    sigemptyset(signals);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaddset(signals, numbers[i]);
    }
    pthread_sigmask(SIG_BLOCK, signals, NULL);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        sigaction(numbers[i], &action, NULL);
    }
}

int cmd_serve(int argc, char **argv)
{
    struct serve_options given = {.port = -1};
    struct server_options server = {.http = http_options_default(),
                                    .version = ABTEST_VERSION,
                                    .report = report,
                                    .trouble = tell};
    const int parsed = parse(argc, argv, &given);
    if (parsed != OPTIONS_RUN) {
        return parsed;
    }
    if (passed_socket(&server.http.inherited_fd) != 0) {
        return EXIT_FAILED;
    }
    struct config *loaded = load(given.path);
    if (!loaded) {
        return EXIT_FAILED;
    }
    const struct server_config *config = &loaded->server;
    const long n_cores = sysconf(_SC_NPROCESSORS_ONLN);
    sigset_t signals;
    block_signals(&signals);
    server.config_path = given.path;
    server.http.host = config->host;
    server.http.port = given.port >= 0 ? (int)given.port : config->port;
    server.http.n_workers = given.threads     ? (int)given.threads
                            : config->threads ? config->threads
                            : n_cores > 0     ? (int)n_cores
                                              : 1;
    const int max_connections = raise_file_limit(server.http.n_workers);
    if (server.http.max_connections > max_connections) {
        server.http.max_connections = max_connections;
    }
    struct server *opened = open_server(&server, loaded);
    return finish_output("serve", opened && run(opened, &signals) == 0 ? EXIT_DONE
                                                                       : EXIT_FAILED);
}
