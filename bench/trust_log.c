/* trust_log.c - A/A experiments through the real log and the real analysis.
 *
 * Users with one to five visits and a taste of their own are assigned by the frozen
 * hash, every visit is an exposure line, every satisfaction a feedback line, the log is
 * written by the server's writer, and what comes back is what `abtest analyze` runs
 * (analyze_logs: config out of the log, join, analysis, verdict).
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "abtest/analyze.h"
#include "bench/trust.h"
#include "common/hash.h"
#include "common/rng.h"
#include "experiment/experiment.h"
#include "logs/logs.h"

#define N_USERS       400
#define MAX_VISITS    5
#define N_LOOKS       100
#define PER_LOOK      10 /* users that arrive between two readings */
#define PLANNED_EVERY 20 /* readings between those of the planned looks */
#define N_METRICS     3

/* "aa" plans one look, "monitored" says that it is looked at, "planned" says when. The
 * arms are the same users in all three. */
#define MODEL_AND_METRIC                                                               \
    "[model m]\n"                                                                      \
    "file = m\n"                                                                       \
    "[metric satisfied]\n"                                                             \
    "kind = proportion\n"                                                              \
    "event = satisfied\n"                                                              \
    "direction = up\n"
#define EXPERIMENT(name, plan)                                                         \
    "[experiment " name "]\n"                                                          \
    "status = running\n"                                                               \
    "primary = satisfied\n" plan "[arm " name " control]\n"                            \
    "weight = 0.5\n"                                                                   \
    "[arm " name " treatment]\n"                                                       \
    "weight = 0.5\n"

static const char once_config[] =
    MODEL_AND_METRIC "[metric per-visit]\n"
                     "kind = ratio\n"
                     "event = satisfied\n"
                     "denominator = exposure\n"
                     "direction = up\n"
                     "[metric satisfactions]\n"
                     "kind = count\n"
                     "event = satisfied\n"
                     "direction = up\n" EXPERIMENT("aa", "");
/* Counts, for the credible interval of rates would take most of the time. */
static const char monitor_config[] =
    "[model m]\n"
    "file = m\n"
    "[metric satisfied]\n"
    "kind = count\n"
    "event = satisfied\n"
    "direction = up\n" EXPERIMENT("monitored", "sequential = yes\n"
                                               "planned_units = 1000\n")
        EXPERIMENT("planned", "planned_units = 1000\n"
                              "spending = obrien-fleming\n"
                              "looks = 5\n");
static const char *const experiments[] = {"aa", "monitored", "planned"};
#define N_EXPERIMENTS ((int)(sizeof experiments / sizeof experiments[0]))

/* What the wrong unit would have said: every visit its own trial. */
struct visits {
    struct proportion_sample arms[2];
};

/* One simulated experiment and its log. */
struct trial {
    char directory[200];
    char config[HASH_TEXT_LEN + 1];
    struct log *log;
    struct rng rng;
    int number, n_users;
    struct visits visits;
};

static int append(struct log_shard *shard, struct event *event, struct error *error)
{
    char id[EVENT_ID_SIZE];
    event->id = (struct slice){id, (size_t)log_shard_next_id(shard, id)};
    const int rc = log_shard_append(shard, event, error);
    event->id = (struct slice){"", 0};
    return rc;
}

static int write_user(struct trial *trial, struct error *error)
{
    char name[48], seed[24];
    const int user = trial->n_users++;
    struct log_shard *shard = log_shard_get(trial->log, 0);
    struct event_assignment assignments[N_EXPERIMENTS];
    snprintf(name, sizeof name, "u%d-%d", trial->number, user);
    snprintf(seed, sizeof seed, "aa-%d", trial->number);
    const int arm = assignment_bucket(slice_of(seed), slice_of(name)) >= 0.5;
    for (int e = 0; e < N_EXPERIMENTS; e++) {
        assignments[e] = (struct event_assignment){
            slice_of(experiments[e]), slice_of(arm ? "treatment" : "control"), 0.5,
            false};
    }
    const double taste =
        0.05 + 0.5 * rng_uniform(&trial->rng) * rng_uniform(&trial->rng);
    const int n_visits = 1 + (int)rng_below(&trial->rng, MAX_VISITS);
    for (int visit = 0; visit < n_visits; visit++) {
        struct event event = {
            .type = EVENT_EXPOSURE,
            .ts_us = INT64_C(1764000000000000) + user * INT64_C(1000000) + visit * 1000,
            .user = slice_of(name),
            .assignments = assignments,
            .n_assignments = N_EXPERIMENTS,
            .hash_version = ASSIGNMENT_HASH_VERSION,
            .config = slice_of(trial->config),
            .latency_us = 100,
        };
        trial->visits.arms[arm].n_trials++;
        if (append(shard, &event, error) != 0) {
            return -1;
        }
        if (rng_uniform(&trial->rng) >= taste) {
            continue;
        }
        event = (struct event){.type = EVENT_FEEDBACK,
                               .ts_us = event.ts_us + 500,
                               .user = slice_of(name),
                               .event = slice_of("satisfied"),
                               .has_value = true,
                               .value = 1};
        trial->visits.arms[arm].n_successes++;
        if (append(shard, &event, error) != 0) {
            return -1;
        }
    }
    return 0;
}

static void write_users(struct trial *trial, int n)
{
    struct error error = {0};
    for (int i = 0; i < n; i++) {
        if (write_user(trial, &error) != 0) {
            trust_die(trial->directory, &error);
        }
    }
    if (log_shard_commit(log_shard_get(trial->log, 0), &error) != 0) {
        trust_die(trial->directory, &error);
    }
}

static void trial_open(const char *scratch, int number, const char *config,
                       uint64_t seed, struct trial *trial)
{
    struct error error = {0};
    *trial = (struct trial){.number = number};
    snprintf(trial->directory, sizeof trial->directory, "%s/abtest-trust-XXXXXX",
             scratch);
    if (!mkdtemp(trial->directory)) {
        perror(trial->directory);
        exit(1);
    }
    hash_text(hash_bytes(config, strlen(config)), trial->config);
    const struct log_options options = {
        .directory = trial->directory,
        .sync = LOG_SYNC_NO,
        .segment_size = INT64_C(1) << 30,
        .segment_age_us = INT64_C(86400000000),
        .n_shards = 1,
        .config = {.type = EVENT_CONFIG,
                   .config = slice_of(trial->config),
                   .text = slice_of(config),
                   .version = slice_of("bench")},
    };
    if (log_open(&options, &trial->log, &error) != 0) {
        trust_die(trial->directory, &error);
    }
    rng_init(&trial->rng, seed, (uint64_t)number);
}

static void trial_close(struct trial *trial)
{
    struct error error = {0};
    char command[256];
    if (log_close(trial->log, &error) != 0) {
        trust_die(trial->directory, &error);
    }
    snprintf(command, sizeof command, "rm -rf '%s'", trial->directory);
    if (system(command) != 0) { /* NOLINT(cert-env33-c): our own mkdtemp name */
        fprintf(stderr, "bench_trust: cannot remove %s\n", trial->directory);
    }
}

/* What `abtest analyze LOGS --experiment E` runs, with `--state FILE` where one is
 * given. */
static const struct experiment_result *analyze(const struct trial *trial,
                                               const char *experiment,
                                               const char *state,
                                               struct analyze_result *result)
{
    const struct analyze_request request = {.logs = trial->directory,
                                            .experiment = experiment,
                                            .state = state,
                                            .n_threads = 1};
    struct error error = {0};
    *result = (struct analyze_result){0};
    if (analyze_logs(&request, result, &error) != 0) {
        trust_die(trial->directory, &error);
    }
    if (result->note[0]) {
        fprintf(stderr, "bench_trust: %s\n", result->note);
        exit(1);
    }
    return &result->analysis->experiments[0];
}

static const struct check *find_check(const struct experiment_result *r,
                                      const char *name)
{
    for (int c = 0; c < r->n_checks; c++) {
        if (strcmp(r->checks[c].name, name) == 0) {
            return &r->checks[c];
        }
    }
    return NULL;
}

static bool has_failed(const struct experiment_result *r, const char *name)
{
    const struct check *check = find_check(r, name);
    return check && check->status == CHECK_FAILED;
}

static bool has_decided(const struct experiment_result *r)
{
    return r->verdict == VERDICT_SHIP || r->verdict == VERDICT_ROLL_BACK;
}

/* Runs `one` for every number below n, number k in process k mod n_jobs; what it writes
 * lies in memory that the processes share. */
static void run_all(int n, int n_jobs, const char *scratch,
                    void (*one)(const char *scratch, int number, void *results),
                    void *results)
{
    for (int job = 0; job < n_jobs; job++) {
        fflush(NULL);
        const pid_t pid = fork();
        if (pid < 0) {
            perror("fork");
            exit(1);
        }
        if (pid == 0) {
            for (int k = job; k < n; k += n_jobs) {
                one(scratch, k, results);
            }
            _exit(0);
        }
    }
    for (int job = 0; job < n_jobs; job++) {
        int status = 0;
        if (wait(&status) < 0 || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
            fprintf(stderr, "bench_trust: a process failed\n");
            exit(1);
        }
    }
}

/* Zeroed memory that stays one across fork. */
static void *shared(size_t size)
{
    FILE *file = tmpfile();
    void *memory = MAP_FAILED;
    if (file && ftruncate(fileno(file), (off_t)size) == 0) {
        memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fileno(file), 0);
    }
    if (memory == MAP_FAILED) {
        perror("bench_trust");
        exit(1);
    }
    fclose(file);
    return memory;
}

/* ---- read once ---- */

struct once {
    double p[N_METRICS];
    bool covers[N_METRICS];
    bool ratio_failed, is_untrusted, has_decided, visits_differ;
};

static void read_once(const char *scratch, int number, void *results)
{
    struct once *once = &((struct once *)results)[number];
    struct trial trial;
    struct analyze_result result;
    struct proportion_z z;
    struct error error = {0};
    trial_open(scratch, number, once_config, TRUST_SEED, &trial);
    write_users(&trial, N_USERS);
    const struct experiment_result *r = analyze(&trial, "aa", NULL, &result);
    for (int m = 0; m < N_METRICS; m++) {
        const struct finding *finding = &r->metrics[m].contrasts[0].fixed;
        once->p[m] = finding->p_value;
        once->covers[m] = finding->ci_lower <= 0 && finding->ci_upper >= 0;
    }
    once->ratio_failed = has_failed(r, "sample ratio");
    once->is_untrusted = r->verdict == VERDICT_DO_NOT_TRUST;
    once->has_decided = has_decided(r);
    if (proportion_z_test(&trial.visits.arms[0], &trial.visits.arms[1], true,
                          ALTERNATIVE_TWO_SIDED, &z, &error) != 0) {
        trust_die("visits", &error);
    }
    once->visits_differ = z.p.p_value < 0.05;
    analyze_free(&result);
    trial_close(&trial);
}

static void report_metric(const char *name, const struct once *once, int n, int metric)
{
    char line[64];
    double rejected = 0, covered = 0;
    double *p = malloc((size_t)n * sizeof *p);
    if (!p) {
        perror("bench_trust");
        exit(1);
    }
    for (int k = 0; k < n; k++) {
        p[k] = once[k].p[metric];
        rejected += p[k] < 0.05;
        covered += once[k].covers[metric];
    }
    snprintf(line, sizeof line, "%s: p < 0.05", name);
    trust_report(line, rejected, n, 0.05, false);
    snprintf(line, sizeof line, "%s: 95 %% interval holds 0", name);
    trust_report(line, covered, n, 0.95, false);
    snprintf(line, sizeof line, "%s: p uniform (KS)", name);
    trust_report_uniform(line, p, n);
    free(p);
}

void trust_section_log(int n, const char *scratch, int n_jobs)
{
    static const char *const names[] = {"proportion, pooled z", "ratio, delta method",
                                        "count, Welch t"};
    double ratio = 0, untrusted = 0, decided = 0, visits = 0;
    struct once *once = shared((size_t)n * sizeof *once);
    run_all(n, n_jobs, scratch, read_once, once);
    for (int k = 0; k < n; k++) {
        ratio += once[k].ratio_failed;
        untrusted += once[k].is_untrusted;
        decided += once[k].has_decided;
        visits += once[k].visits_differ;
    }
    printf("\n%d A/A experiments through the log, %d users with 1 to %d visits\n", n,
           N_USERS, MAX_VISITS);
    for (int m = 0; m < N_METRICS; m++) {
        report_metric(names[m], once, n, m);
    }
    trust_report("sample ratio mismatch: false alarms", ratio, n, 0.001, true);
    trust_report("any trust check withholds the verdict", untrusted, n, 0.001, true);
    trust_report("verdicts of ship or roll back", decided, n, 0.05, true);
    trust_show("visits as trials (the wrong unit): p < 0.05", visits, n);
    munmap(once, (size_t)n * sizeof *once);
}

/* ---- read 100 times ---- */

enum alarm {
    NAIVE,
    LAST,
    SEQUENCE,
    MSPRT,
    MONITORED_VERDICT,
    CROSSED,
    PLANNED_VERDICT,
    CHI_SQUARE,
    ALWAYS_RATIO,
    UNTRUSTED,
    N_ALARMS
};

struct monitored {
    bool alarms[N_ALARMS];
    double last_p, last_always_p;
};

/* One more look, which reads what came since the one before. */
static void look(const struct trial *trial, const char *state, struct monitored *to)
{
    struct analyze_result result;
    const struct experiment_result *r = analyze(trial, "monitored", state, &result);
    const struct contrast *contrast = &r->metrics[0].contrasts[0];
    const struct check *ratio = find_check(r, "sample ratio");
    to->alarms[LAST] = contrast->fixed.p_value < 0.05;
    to->alarms[NAIVE] |= to->alarms[LAST];
    to->alarms[SEQUENCE] |=
        contrast->always.is_testable &&
        (contrast->always.ci_lower > 0 || contrast->always.ci_upper < 0);
    to->alarms[MSPRT] |= contrast->mixture.p_value < 0.05;
    to->alarms[MONITORED_VERDICT] |= has_decided(r);
    to->alarms[CHI_SQUARE] |= ratio && ratio->p_value < 0.001;
    to->alarms[ALWAYS_RATIO] |= has_failed(r, "sample ratio at every look");
    to->alarms[UNTRUSTED] |= r->verdict == VERDICT_DO_NOT_TRUST;
    to->last_p = contrast->fixed.p_value;
    to->last_always_p = contrast->always.p_value;
    analyze_free(&result);
}

/* The whole log, read at once, says what the last look said. */
static bool is_as_read_whole(const struct trial *trial,
                             const struct monitored *monitored)
{
    struct analyze_result result;
    const struct contrast *contrast =
        &analyze(trial, "monitored", NULL, &result)->metrics[0].contrasts[0];
    const bool is_same = contrast->fixed.p_value == monitored->last_p &&
                         contrast->always.p_value == monitored->last_always_p;
    analyze_free(&result);
    return is_same;
}

static void monitor(const char *scratch, int number, void *results)
{
    struct monitored *to = &((struct monitored *)results)[number];
    struct trial trial;
    char state[sizeof trial.directory + 16];
    trial_open(scratch, number, monitor_config, TRUST_SEED + 5, &trial);
    snprintf(state, sizeof state, "%s.state", trial.directory);
    for (int at = 1; at <= N_LOOKS; at++) {
        write_users(&trial, PER_LOOK);
        look(&trial, state, to);
        if (at % PLANNED_EVERY == 0) {
            struct analyze_result result;
            const struct experiment_result *r =
                analyze(&trial, "planned", NULL, &result);
            to->alarms[CROSSED] |= r->metrics[0].contrasts[0].planned.crossed_at > 0;
            to->alarms[PLANNED_VERDICT] |= has_decided(r);
            analyze_free(&result);
        }
    }
    if (!is_as_read_whole(&trial, to)) {
        fprintf(stderr, "bench_trust: %s: read in 100 steps it says something else\n",
                trial.directory);
        exit(1);
    }
    remove(state);
    trial_close(&trial);
}

void trust_section_monitor(int n, const char *scratch, int n_jobs)
{
    static const struct {
        enum alarm alarm;
        const char *what;
        double promised; /* 0: nothing */
        bool is_limit;
    } lines[] = {
        {NAIVE, "fixed-horizon p < 0.05 at any look (naive)", 0, false},
        {LAST, "fixed-horizon p < 0.05 at the last look only", 0.05, false},
        {SEQUENCE, "confidence sequence ever without 0", 0.05, true},
        {MSPRT, "mSPRT p ever < 0.05", 0.05, true},
        {MONITORED_VERDICT, "sequential = yes: ever ship or roll back", 0.05, true},
        {CROSSED, "5 planned looks: a bound ever crossed", 0.05, false},
        {PLANNED_VERDICT, "5 planned looks: ever ship or roll back", 0.05, true},
        {CHI_SQUARE, "chi-square SRM p < 0.001 at any look (naive)", 0, false},
        {ALWAYS_RATIO, "always-valid SRM ever failed", 0.001, true},
        {UNTRUSTED, "any trust check ever withheld the verdict", 0.001, true},
    };
    struct monitored *all = shared((size_t)n * sizeof *all);
    run_all(n, n_jobs, scratch, monitor, all);
    printf("\n%d A/A experiments through the log, analyzed %d times, %d users with 1 "
           "to %d visits between\n",
           n, N_LOOKS, PER_LOOK, MAX_VISITS);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        double hits = 0;
        for (int k = 0; k < n; k++) {
            hits += all[k].alarms[lines[i].alarm];
        }
        if (lines[i].promised > 0) {
            trust_report(lines[i].what, hits, n, lines[i].promised, lines[i].is_limit);
        } else {
            trust_show(lines[i].what, hits, n);
        }
    }
    munmap(all, (size_t)n * sizeof *all);
}
